"""A table of numbers with one image per line, like Kaggle's MNIST -> rows of pixels and labels. Knows nothing about images' shapes."""

from collections.abc import Generator
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gan.events import Progress

LARGEST_CSV = 4 * 2**30  # bytes
LONGEST_LINE = 4 * 2**20  # bytes
LINES = 2000  # read at once
LABEL_COLUMNS = {"label", "labels", "class", "target", "y", "digit", "category", "emotion"}


@dataclass
class Numbers:
    """A table's pixels, in a file.

    Attributes:
        shape: number of lines, and of pixels per line.
        labels: int64, (lines,), or None if no column holds labels.
    """

    shape: tuple[int, int]
    labels: np.ndarray | None
    _file: BinaryIO

    def open(self) -> BinaryIO:
        """A stream of the pixels, float32, line by line. Only one stream at a time."""
        stream = open(self._file.fileno(), "rb", closefd=False)  # noqa: SIM115 (closed by its user)
        stream.seek(0)
        return stream


def read_csv(path: Path, pixels: BinaryIO) -> Generator[Progress, None, Numbers]:
    """Reads a table whose lines are images: pixels, and a label in the first or last column or in one of LABEL_COLUMNS.

    Args:
        path: the table; numbers separated by commas, with or without a header line.
        pixels: an empty file for the numbers; it must stay open while they are used.

    Raises:
        ValueError: it is not such a table; the message continues a sentence that begins with the file's name.
    """
    if (size := path.stat().st_size) > LARGEST_CSV:
        raise ValueError(f"has {size / 2**30:,.1f} GiB; the limit for tables is {LARGEST_CSV / 2**30:.0f} GiB: save it as .npz")
    with path.open("rb") as stream:
        first, second = stream.readline(LONGEST_LINE), stream.readline(LONGEST_LINE)
    names = first.decode("utf-8-sig", "replace").strip().split(",")
    titled = not _numeric(names)
    if not _numeric((second if titled else first).decode("utf-8-sig", "replace").strip().split(",")):
        raise ValueError("is not a table of pixels: each line must hold the numbers of one image, such as label,pixel0,pixel1,...")
    label = _label_column([name.strip().strip('"').lower() for name in names] if titled else [], len(names))
    labels, lines = [], 0
    with path.open("rb") as stream:
        if titled:
            stream.readline(LONGEST_LINE)
        while part := stream.readlines(LINES * len(second or first)):
            yield Progress("Reading the table", stream.tell(), size)
            rows = _parse(part, len(names), lines)
            lines += len(rows)
            if label is not None:
                labels.append(rows[:, label])
                rows = np.delete(rows, label, axis=1)
            pixels.write(np.ascontiguousarray(rows).data)
    pixels.flush()
    return Numbers((lines, len(names) - (label is not None)), _whole(labels), pixels)


def _numeric(texts: list[str]) -> bool:
    try:
        return bool(np.isfinite([float(text) for text in texts]).all())
    except ValueError:
        return False


def _label_column(names: list[str], columns: int) -> int | None:
    """The column of labels: one of LABEL_COLUMNS, or the first column if there is one more than a square image has pixels."""
    for i, name in enumerate(names):
        if name in LABEL_COLUMNS:
            return i
    if isqrt(columns) ** 2 == columns:
        return None
    if isqrt(columns - 1) ** 2 == columns - 1:
        return 0
    raise ValueError(
        f"has {columns:,} columns; a table of square images has one column per pixel, and maybe one for labels: 784 or 785, for example"
    )


def _parse(part: list[bytes], columns: int, before: int) -> np.ndarray:
    """float32 (lines, columns)."""
    try:
        rows = np.loadtxt(part, dtype=np.float32, delimiter=",", ndmin=2, encoding="utf-8-sig")
    except ValueError as error:
        raise ValueError(f"cannot be read as a table of numbers after line {before + 1:,} ({error})") from None
    if rows.shape[1] != columns:
        raise ValueError(f"has lines with {rows.shape[1]:,} numbers and lines with {columns:,}: give all lines the same number")
    return rows


def _whole(labels: list[np.ndarray]) -> np.ndarray | None:
    """int64 labels; None if there are none, or some are not whole numbers."""
    if not labels:
        return None
    values = np.concatenate(labels)
    return values.astype(np.int64) if bool((values == np.round(values)).all()) else None
