"""Decoded image sets on disk: written once, piece by piece, then memory-mapped. Knows nothing about where images come from.

An entry is a folder: images.npy, uint8 (N, C, H, W); labels.npy and attributes.npy if the set has them; about.json. It
appears whole or not at all, and an entry that cannot be read counts as missing. Nothing in it is a pickle.
"""

import functools
import hashlib
import json
import os
import shutil
import uuid
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir
from typing import Any, BinaryIO

import numpy as np

from gan.files import abandoned, claimed, in_words, sweep, write_through
from gan.untrusted import read_json

LARGEST_ABOUT = 64 * 2**20  # bytes of about.json: it may name 100,000 files that were left out
LARGEST_CACHE = 32 * 2**30  # bytes, all entries together; the least recently used are deleted first
DISK_RESERVE = 256 * 2**20  # bytes of the disk to keep free


@dataclass(frozen=True)
class Entry:
    """A set from the cache.

    Attributes:
        images: uint8, (N, C, H, W), memory-mapped: pages are loaded when they are read, and dropped when memory is needed. The
            file may be deleted meanwhile.
        labels: int64, (N,), or None.
        attributes: bool, (N, A), or None.
        about: the writer's other notes, and the images' `fingerprint`.
    """

    images: np.ndarray
    labels: np.ndarray | None
    attributes: np.ndarray | None
    about: dict[str, Any]


def fingerprint(images: np.ndarray) -> str:
    """16 hex digits that differ if the shape or any pixel differs. images: uint8, any shape."""
    digest = hashlib.blake2b(repr(tuple(images.shape)).encode(), digest_size=8)
    digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()


def read(folder: Path) -> Entry | None:
    """The entry in a folder; None if it is missing, cut, damaged or not ours."""
    try:
        about = read_json(folder / "about.json", LARGEST_ABOUT)
        # Copy on write: nothing is ever written, but torch warns about read-only memory.
        images = np.load(folder / "images.npy", mmap_mode="c", allow_pickle=False)
        labels, attributes = (
            np.load(file, allow_pickle=False) if (file := folder / f"{name}.npy").exists() else None for name in ("labels", "attributes")
        )
        sizes = {len(array) for array in (images, labels, attributes) if array is not None}
        if (images.dtype, images.ndim) != (np.uint8, 4) or sizes != {about["images"]}:
            raise ValueError("another shape")
        os.utime(folder / "about.json")  # time of last use
    except (OSError, ValueError, EOFError, KeyError, TypeError):  # the caller recreates it
        return None
    return Entry(images, labels, attributes, about)


@dataclass
class Writer:
    """An entry being written: add() its images and set the other attributes before writing() ends."""

    file: BinaryIO
    shape: tuple[int, int, int]
    labels: np.ndarray | None = None
    attributes: np.ndarray | None = None
    about: dict[str, Any] = field(default_factory=dict)
    count: int = 0
    entry: Entry | None = None  # set when writing() has ended

    def add(self, images: np.ndarray) -> None:
        """Appends images, uint8 (n, C, H, W)."""
        assert images.dtype == np.uint8 and images.shape[1:] == self.shape, (images.dtype, images.shape)
        self.file.write(np.ascontiguousarray(images).data)
        self.count += len(images)

    def header(self) -> None:
        """Writes the .npy header; numpy reserves room in it for a larger count."""
        self.file.seek(0)
        np.lib.format.write_array_header_1_0(self.file, {"descr": "|u1", "fortran_order": False, "shape": (self.count, *self.shape)})


@contextmanager
def writing(folder: Path, shape: tuple[int, int, int], most: int, what: str) -> Iterator[Writer]:
    """Writes an entry. When the block ends without an error, it is in `folder` and in the writer's `entry`.

    Args:
        folder: where it goes; its parent is the cache.
        shape: of one image, (C, H, W).
        most: the largest number of images; there must be room for them.
        what: names the set in error messages.

    Raises:
        ValueError: there is no room for this many images.
        OSError: the disk is full, say. Nothing of the entry is left.
    """
    root, kept = folder.parent, True
    with ExitStack() as claims:
        try:
            root.mkdir(parents=True, exist_ok=True)
            part = root / f".part-{uuid.uuid4().hex}"
            claims.enter_context(claimed(part))
        except OSError as error:
            warnings.warn(f"decoded images cannot be saved in {root} ({in_words(error)}); they will be decoded again", stacklevel=3)
            kept, part = False, Path(gettempdir()) / f"workshop-{uuid.uuid4().hex}"
            claims.enter_context(claimed(part))
        try:
            _make_room(part.parent if kept else None, part, most * int(np.prod(shape)), what)
            # Written as a file, not through a map: then a full disk is an error, while a map would kill the process.
            with (part / "images.npy").open("wb") as file:
                writer = Writer(file, shape)
                writer.header()
                yield writer
                writer.header()
                file.flush()
                os.fsync(file.fileno())
            for name, array in (("labels", writer.labels), ("attributes", writer.attributes)):
                if array is not None:
                    with (part / f"{name}.npy").open("wb") as file:
                        write_through(functools.partial(np.save, arr=array, allow_pickle=False), file)
            writer.about |= {"images": writer.count, "fingerprint": fingerprint(np.load(part / "images.npy", mmap_mode="r"))}
            (part / "about.json").write_text(json.dumps(writer.about), encoding="utf-8")
            writer.entry = read(part)  # the map stays valid when the folder is moved or deleted
            if kept:
                _put(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def remove_abandoned(root: Path) -> None:
    """Removes half-written entries that killed processes left in a cache or in the fallback folder."""
    sweep(root.glob(".part-*"))
    sweep(Path(gettempdir()) / lock.stem for lock in Path(gettempdir()).glob("workshop-*.lock"))


def drop(entry: Path) -> None:
    """Deletes an entry if it exists."""
    if entry.is_dir():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)


def _put(part: Path, folder: Path) -> None:
    """Moves a finished entry to its place, unless another process was faster."""
    try:
        part.rename(folder)
    except OSError:  # something exists there
        if read(folder) is None:
            drop(folder)
            part.rename(folder)


def _make_room(root: Path | None, part: Path, needed: int, what: str) -> None:
    """Deletes entries until `needed` bytes fit. root: the cache, or None if there is none."""
    if needed > LARGEST_CACHE:
        raise ValueError(
            f"{what} takes {needed / 2**30:.1f} GiB once decoded; the cache holds {LARGEST_CACHE / 2**30:.0f} GiB: "
            "choose smaller images, or fewer of them"
        )
    entries = sorted((used, p) for p in (root.iterdir() if root else ()) if p != part and (used := _used(p)) is not None)
    sizes = {p: _size(p) for _, p in entries}
    total = sum(sizes.values())
    for _, oldest in entries:
        if total + needed <= LARGEST_CACHE and shutil.disk_usage(part).free >= needed + DISK_RESERVE:
            return
        drop(oldest)
        total -= sizes[oldest]
    free = shutil.disk_usage(part).free - DISK_RESERVE
    if needed > free:
        raise ValueError(
            f"{what} takes {needed / 2**30:.1f} GiB once decoded, but only {max(0, free) / 2**30:.1f} GiB are free on the disk of {part.parent}: "
            "free some space, or choose smaller images"
        )


def _size(entry: Path) -> int:
    """Bytes that an entry takes; 0 if another process has just deleted it."""
    try:
        return sum(file.stat().st_size for file in entry.iterdir())
    except OSError:
        return 0


def _used(entry: Path) -> float | None:
    """When an entry was last used; None if it must not be deleted because another process is writing it."""
    try:
        if entry.name.startswith("."):
            return 0.0 if entry.suffix != ".lock" and abandoned(entry) else None
        return (entry / "about.json").stat().st_mtime
    except OSError:
        return 0.0 if entry.is_dir() else None
