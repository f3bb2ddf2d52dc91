"""Files that appear whole or not at all. Knows nothing of what is in them."""

import os
import re
import threading
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_PART = re.compile(r"\.(?P<name>.+)\.\d+-\d+\.part")  # as write_atomically() calls a file until it is complete
ABANDONED_S = 60.0


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


def remove_parts(folder: Path, shared: Container[str] = ()) -> None:
    """Deletes what killed processes left half-written in a folder and below it. Call it only where nobody else writes.

    shared: names of files that others may be writing at this very moment; what is half-written of these goes when it is
        a minute old.

    Raises:
        OSError: a file cannot be deleted.
    """
    for part in folder.rglob(".*.part"):
        match = _PART.fullmatch(part.name)
        if match and part.is_file() and (match["name"] not in shared or time.time() - part.stat().st_mtime > ABANDONED_S):
            part.unlink(missing_ok=True)
