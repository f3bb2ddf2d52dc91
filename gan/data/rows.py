"""An array in a file, read row by row, and the ways in which rows can be images. Knows nothing about file formats."""

import gzip
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from math import isqrt
from typing import BinaryIO, Literal, NamedTuple

import numpy as np

from gan.data.archives import LARGEST_UNPACKED
from gan.data.decoding import LARGEST_IMAGE, SMALLEST_SIDE

PIECE = 16 * 2**20  # bytes of rows read at once

# Errors that readers raise for damaged files.
DAMAGED = (
    zipfile.BadZipFile,
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    KeyError,
    struct.error,
)


class Rows(NamedTuple):
    """An array that is read from the first row to the last.

    Attributes:
        shape: its first number is the number of rows.
        dtype: type of the numbers.
        open: returns a stream at the first row; the rows follow each other, each in C order.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    open: Callable[[], BinaryIO]

    def pieces(self, most: int = PIECE) -> Iterator[np.ndarray]:
        """The rows in order, about `most` bytes at a time.

        Raises:
            ValueError: the file ends too early, or is damaged.
        """
        row = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        step = max(1, most // max(1, row))
        try:
            with self.open() as stream:
                for start in range(0, self.shape[0], step):
                    count = min(step, self.shape[0] - start)
                    content = stream.read(count * row)
                    if len(content) < count * row:
                        raise ValueError("is cut short: it holds fewer numbers than its header says")
                    yield np.frombuffer(content, self.dtype).reshape(count, *self.shape[1:])
        except DAMAGED as error:
            raise ValueError(f"is damaged ({error})") from None


def fits(rows: Rows) -> bool:
    try:
        layout(rows.shape)
    except ValueError:
        return False
    return rows.dtype.kind in "buif"


Layout = Literal["gray", "flat", "last", "first"]


def layout(shape: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """How rows of this shape become (n, C, H, W).

    Raises:
        ValueError: they are not images.
    """
    sizes = tuple(shape[1:])
    form: Layout | None = None
    channels_last, channels_first = sizes[2:] in ((1,), (3,), (4,)), sizes[:1] in ((1,), (3,), (4,))
    if len(sizes) == 1 and isqrt(sizes[0]) ** 2 == sizes[0] and sizes[0] != shape[0]:
        form, sizes = "flat", (isqrt(sizes[0]),) * 2
    elif len(sizes) == 2:
        form = "gray"
    elif len(sizes) == 3 and channels_last:
        form, sizes = "last", sizes[:2]
    elif len(sizes) == 3 and channels_first:
        form, sizes = "first", sizes[1:]
    shown = " x ".join(map(str, shape))
    if form is None:
        raise ValueError(f"holds an array of {shown}; images are N x H x W, N x H x W x C or N x C x H x W, with 1, 3 or 4 channels C")
    if min(sizes) < SMALLEST_SIDE or sizes[0] * sizes[1] > LARGEST_IMAGE:
        raise ValueError(
            f"holds an array of {shown}, so images of {sizes[1]} x {sizes[0]} pixels; "
            f"{SMALLEST_SIDE} x {SMALLEST_SIDE} to {LARGEST_IMAGE:,} pixels are read"
        )
    side = sizes[0]
    arrange: dict[Layout, Callable[[np.ndarray], np.ndarray]] = {
        "flat": lambda rows: rows.reshape(len(rows), 1, side, side),
        "gray": lambda rows: rows[:, None],
        "last": lambda rows: rows.transpose(0, 3, 1, 2),
        "first": lambda rows: rows,
    }
    return arrange[form]


def refuse_too_much(rows: Rows) -> None:
    if rows.dtype.kind not in "buif":
        raise ValueError(f"holds {rows.dtype.name} values, which are not pixel values: save numbers (uint8, for example)")
    size = int(np.prod([int(n) for n in rows.shape], dtype=object)) * rows.dtype.itemsize
    if size > LARGEST_UNPACKED:
        raise ValueError(f"unpacks to {size / 2**30:,.1f} GiB; the limit is {LARGEST_UNPACKED / 2**30:.0f} GiB: split it")


def square(images: np.ndarray) -> np.ndarray:
    """(n, C, H, W) cropped to the middle square."""
    height, width = images.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return images[:, :, top : top + side, left : left + side]


def on_background(images: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """uint8 (n, 4, H, W) on a background of one color, red, green, blue, as (n, 3, H, W); others unchanged."""
    if images.shape[1] != 4:
        return images
    opaque = images[:, 3:].astype(np.uint16)
    behind = np.array(color, np.uint16)[:, None, None]
    return ((images[:, :3] * opaque + behind * (255 - opaque) + 127) // 255).astype(np.uint8)
