"""Files that appear whole or not at all. Knows nothing of what is in them."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def write_atomically(path: Path, durable: bool = True) -> Iterator[BinaryIO]:
    """Opens a file for writing that takes `path`'s place only when it is complete.

    durable: wait until the disk has it, so that it outlives a power cut too; without, it outlives the process.

    Raises:
        OSError: the folder cannot be made, or the disk is full; what was at `path` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
