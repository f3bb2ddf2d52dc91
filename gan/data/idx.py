"""IDX files (LeCun's format, used by MNIST): their headers, and which files belong together."""

import gzip
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gan.data.rows import Rows

IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def is_idx(path: Path) -> bool:
    if "idx" not in path.name.lower() and "ubyte" not in path.name.lower():
        return False
    try:
        with opener(path)() as stream:
            head = stream.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in IDX_TYPES and 1 <= head[3] <= 4


def opener(path: Path) -> Callable[[], BinaryIO]:
    return partial(gzip.open, path, "rb") if path.suffix.lower() == ".gz" else partial(path.open, "rb")  # type: ignore[return-value]


def read_idx(path: Path) -> Rows:
    """The header of an IDX file (LeCun's format: magic, sizes, big-endian 32-bit, then the numbers)."""
    opened = opener(path)
    with opened() as stream:
        head = stream.read(4)
        sizes = np.frombuffer(stream.read(4 * head[3]), ">u4")
    if len(sizes) != head[3]:
        raise ValueError("is cut short: it ends within its header")
    return Rows(tuple(int(size) for size in sizes), np.dtype(IDX_TYPES[head[2]]), partial(_skip, opened, 4 + 4 * head[3]))


def _skip(opened: Callable[[], BinaryIO], count: int) -> BinaryIO:
    stream = opened()
    stream.read(count)
    return stream


def idx_family(path: Path) -> dict[str, Path | None]:
    """The files that belong to an IDX file of images and lie next to it, found by MNIST's file names."""
    labels = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    test = path.with_name(path.name.replace("train", "t10k")) if "train" in path.name else path
    test = test if test.is_file() or test == path else path.with_name(path.name.replace("train", "test"))
    test_labels = test.with_name(test.name.replace("images", "labels").replace("idx3", "idx1"))
    candidates = {"labels": labels, "test": test, "test_labels": test_labels}
    taken = {path}
    family: dict[str, Path | None] = {}
    for what, candidate in candidates.items():
        family[what] = candidate if candidate not in taken and is_idx(candidate) else None
        taken.add(candidate)
    return family
