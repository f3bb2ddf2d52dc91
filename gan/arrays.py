"""Files of arrays (NumPy, IDX, CSV) -> images and labels, a piece at a time. Knows nothing of caches or image files.

Nothing in them is ever run: arrays of Python objects, which are pickles, are refused. Headers are read first, and what they ask for is
bounded; then rows are read in pieces, so that a set may be larger than memory.
"""

import gzip
import struct
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import partial
from math import isqrt
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import numpy as np

from gan.archives import LARGEST_UNPACKED
from gan.csvs import read_csv
from gan.decoding import LARGEST_IMAGE, SMALLEST_SIDE
from gan.events import Progress
from gan.names import class_names
from gan.parts import Role, role

VERSION = 1  # raised when the same file gives other pixels or labels
SUFFIXES = (".npz", ".npy", ".csv")
PIECE = 16 * 2**20  # bytes of rows that are read at once
MOST_CLASSES = 1000
LARGEST_LABELS = 256 * 2**20  # bytes
LONGEST_HEADER = 10_000  # characters; numpy's own bound
IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
IMAGES = {"x", "images", "image", "imgs", "img", "data", "pixels", "arr"}
LABELS = {"y", "labels", "label", "targets", "target", "classes"}

_DAMAGED = (
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
    """An array that is read from its first row to its last.

    Attributes:
        shape: the first is the number of rows.
        dtype: of the numbers.
        open: gives a stream that stands at the first row; rows follow each other, each in C order.
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
                        raise ValueError("is cut: it holds fewer numbers than it says")
                    yield np.frombuffer(content, self.dtype).reshape(count, *self.shape[1:])
        except _DAMAGED as error:
            raise ValueError(f"is damaged ({error})") from None


class Pair(NamedTuple):
    """Images, and their labels where the file has them: (N,) of numbers or texts."""

    images: Rows
    labels: np.ndarray | None


@dataclass
class Arrays:
    """A set of images in arrays.

    Attributes:
        pairs: by the part of the set that they are.
        classes: names, in the order of the labels' values.
        notes: sentences on how the numbers became pixels, and on what was not used.
    """

    pairs: dict[Role, list[Pair]]
    classes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _values: np.ndarray | None = None  # of the labels, sorted; one a class
    _low: float = 0.0
    _high: float = 255.0

    def _parts(self, split: str) -> list[Pair]:
        return [*(self.pairs["train"] if split != "test" else []), *(self.pairs["test"] if split != "train" else [])]

    def part(self, split: str) -> int:
        """How many images a part of the set has: "train", "test" or "all"."""
        return sum(pair.images.shape[0] for pair in self._parts(split))

    def labels(self, split: str) -> np.ndarray | None:
        """int64 (N,), or None where the set has no classes."""
        if self._values is None:
            return None
        return np.concatenate(
            [np.searchsorted(self._values, pair.labels) for pair in self._parts(split) if pair.labels is not None]
        ).astype(np.int64)

    def images(self, split: str) -> Iterator[tuple[int, np.ndarray]]:
        """(how many came before, uint8 (n, C, H, H)): the middle squares, all on one scale."""
        done = 0
        for pair in self._parts(split):
            arrange = _layout(pair.images.shape)
            for piece in pair.images.pieces():
                images = _square(arrange(piece))
                if (images.dtype, self._low, self._high) != (np.uint8, 0, 255):
                    scaled = (_floats(images) - self._low) * (255 / (self._high - self._low))
                    images = np.nan_to_num(scaled, nan=0.0, posinf=0.0, neginf=0.0).clip(0, 255).round().astype(np.uint8)
                yield done, np.array(_on_white(images), order="C")  # a copy: torch wants memory that may be written to
                done += len(images)


def known(path: Path) -> bool:
    """Whether a file is one of arrays, by its name or, for IDX, by its first bytes."""
    return path.suffix.lower() in SUFFIXES or _is_idx(path)


def files(path: Path) -> list[Path]:
    """The file, and those that belong to it: an IDX file's labels and test images."""
    if not _is_idx(path):
        return [path]
    return [path, *(other for other in _idx_family(path).values() if other)]


def read(path: Path, scratch: BinaryIO) -> Generator[Progress, None, Arrays]:
    """Opens a file of arrays, and finds their classes and the scale of their numbers.

    Args:
        path: as known() says.
        scratch: an empty file for the numbers of a table, which must stay open as long as they are used.

    Yields:
        Progress.

    Raises:
        ValueError: there are no images in it, or they cannot be read; the message wants the file's name before it.
    """
    yield Progress("Reading the arrays", 0, 0)
    try:
        arrays = yield from _open(path, scratch)
    except _DAMAGED as error:
        raise ValueError(f"is damaged ({error})") from None
    for pair in arrays._parts("all"):
        _layout(pair.images.shape)
        _refuse_too_much(pair.images)
    if not arrays.pairs["train"] or not arrays.part("train"):
        raise ValueError("holds no training images")
    _find_classes(arrays)
    yield from _find_scale(arrays)
    return arrays


def _open(path: Path, scratch: BinaryIO) -> Generator[Progress, None, Arrays]:
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _npz(path)
    if suffix == ".csv":
        table = yield from read_csv(path, scratch)
        rows = Rows(table.shape, np.dtype(np.float32), table.open)
        return Arrays({"train": [Pair(rows, table.labels)], "test": []})
    if suffix == ".npy":
        return Arrays({"train": [Pair(_npy(path.name, _opener(path)), None)], "test": []})
    return _idx_set(path)


def _npy(name: str, opened: Callable[[], BinaryIO]) -> Rows:
    """The header of a .npy file."""
    with opened() as stream:
        try:
            shape, fortran, dtype = _read_header(stream)
            if min(shape, default=0) < 0:
                raise ValueError(f"a shape of {shape}")
        except _DAMAGED:
            raise
        except Exception as error:  # a damaged header trips numpy's reader in every way: TokenError, TypeError, MemoryError, ...
            raise ValueError(f"is not a NumPy array that can be read: {name} ({' '.join(str(error).split())[:100]})") from None
    if dtype.hasobject:
        raise ValueError(f"holds Python objects in {name}, which may run code when they are opened: save numbers (a uint8 array)")
    if fortran and len(shape) > 1:
        raise ValueError(f"holds {name} in Fortran order: save it with numpy.ascontiguousarray")
    return Rows(tuple(shape), dtype, partial(_behind_header, opened))


def _read_header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether in Fortran order, and kind of numbers; the stream then stands at the numbers."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream, LONGEST_HEADER)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream, LONGEST_HEADER)
    raise ValueError(f"version {version[0]}.{version[1]} of the format")


def _behind_header(opened: Callable[[], BinaryIO]) -> BinaryIO:
    stream = opened()
    _read_header(stream)
    return stream


class _InZip:
    """Opens a file in a zip; the zip stays open as long as the stream is used."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name

    def __call__(self) -> BinaryIO:
        with zipfile.ZipFile(self.path) as file:
            return file.open(self.name)  # type: ignore[return-value]


def _npz(path: Path) -> Arrays:
    with zipfile.ZipFile(path) as file:
        infos = [info for info in file.infolist() if info.filename.endswith(".npy")]
    if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in infos):
        raise ValueError("is packed by a method that is not read: save it with numpy.savez or numpy.savez_compressed")
    found: dict[str, Rows] = {}
    refused: list[str] = []
    for info in infos:
        key = info.filename.removesuffix(".npy")
        try:
            found[key] = _npy(key, _InZip(path, info.filename))
        except ValueError as error:
            refused.append(f"{key} is not used: the file {error}")
    images, labels = _by_kind(found)
    if not images:
        raise ValueError(f"holds no array of images ({_listed(found) or (refused or ['it is empty'])[0]}): call it images, or x_train")
    arrays = Arrays({"train": [], "test": []}, notes=refused)
    for key, rows in images.items():
        arrays.pairs[role(key) or "train"].append(Pair(rows, _labels_for(key, rows, labels, arrays.notes)))
    used = {*images, *(label for key in images if (label := _label_key(key, labels)))}
    if others := [key for key in found if key not in used]:
        arrays.notes.append(f"These arrays of the file are not used: {', '.join(sorted(others)[:10])}.")
    return arrays


def _listed(found: dict[str, Rows]) -> str:
    return ", ".join(f"{key[:40]}: {' x '.join(map(str, rows.shape))}" for key, rows in list(found.items())[:10])


def _by_kind(found: dict[str, Rows]) -> tuple[dict[str, Rows], dict[str, Rows]]:
    """The arrays of images and those of labels, by their names; without any such name, the only array that has the shape of images."""
    fitting = {key: rows for key, rows in found.items() if _fits(rows)}
    images = {key: rows for key, rows in fitting.items() if _words(key) & IMAGES and not _words(key) & LABELS}
    if not images and len(fitting) == 1:
        images = fitting
    if len(images) > 1 and not {role(key) for key in images} - {None}:  # several, and nothing says what they are: the first one
        images = dict([next(iter(images.items()))])
    labels = {key: rows for key, rows in found.items() if key not in images and (_words(key) & LABELS or key == "arr_1")}
    return images, labels


def _words(key: str) -> set[str]:
    return {word for word in key.lower().replace("-", "_").split("_") if word}


def _fits(rows: Rows) -> bool:
    try:
        _layout(rows.shape)
    except ValueError:
        return False
    return rows.dtype.kind in "buif"


def _label_key(key: str, labels: dict[str, Rows]) -> str | None:
    """The labels that belong to images: those of the same part (train, val, test), by the words that both names share."""
    own = _words(key) - IMAGES
    return next((label for label in labels if _words(label) - LABELS - {"arr", "1"} == own - {"0"}), None)


def _labels_for(key: str, images: Rows, labels: dict[str, Rows], notes: list[str]) -> np.ndarray | None:
    label = _label_key(key, labels)
    if label is None:
        return None
    rows = labels[label]
    found = _as_labels(rows, images.shape[0])
    if found is None:
        notes.append(f"The labels {label} are not used: {' x '.join(map(str, rows.shape))} numbers are not one class for each image.")
    return found


def _as_labels(rows: Rows, count: int) -> np.ndarray | None:
    """(N,) labels out of (N,), (N, 1) or one-hot (N, K) arrays; None where they are not one class an image."""
    size = int(np.prod(rows.shape, dtype=np.int64)) * rows.dtype.itemsize
    if not rows.shape or rows.shape[0] != count or len(rows.shape) > 2 or size > LARGEST_LABELS or rows.dtype.kind not in "buifUS":
        return None
    values: np.ndarray = np.concatenate([*rows.pieces()]) if count else np.zeros(0)
    if values.ndim == 2:
        one_hot = (
            values.shape[1] > 1
            and values.dtype.kind in "buif"
            and bool(((values == 0) | (values == 1)).all() and (values.sum(1) == 1).all())
        )
        if values.shape[1] != 1 and not one_hot:
            return None
        values = values.argmax(1) if one_hot else values[:, 0]
    return values if values.dtype.kind != "f" or bool((values == np.round(values)).all()) else None


def _find_classes(arrays: Arrays) -> None:
    """Names the classes, if all images have labels; a test image of a class that is never trained makes one, too."""
    labels = [pair.labels for pair in arrays._parts("all")]
    if any(of is None for of in labels):
        if any(of is not None for of in labels):
            arrays.notes.append("The labels are not used: some of the images have none.")
        return
    if len({of.dtype.kind in "US" for of in labels if of is not None}) > 1:
        arrays.notes.append("The labels are not used: some are numbers and some are words.")
        return
    values: np.ndarray = np.unique(np.concatenate([of for of in labels if of is not None]))
    if len(values) > MOST_CLASSES:
        arrays.notes.append(f"The labels are not used: they have {len(values):,} different values; at most {MOST_CLASSES:,} are classes.")
        return
    if values.dtype.kind == "f":
        names = [str(int(value)) for value in values]
    else:
        names = class_names([v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values.tolist()])
    arrays._values, arrays.classes = values, names


def _find_scale(arrays: Arrays) -> Generator[Progress, None, None]:
    """One scale for the whole set, test images included, so that both parts look the same."""
    pairs = arrays._parts("all")
    if all(pair.images.dtype == np.uint8 for pair in pairs):
        return
    low, high, missing = np.inf, -np.inf, 0
    for pair in pairs:
        done = 0
        for piece in pair.images.pieces():
            yield Progress("Measuring the values", done, pair.images.shape[0])
            done += len(piece)
            values = _floats(piece)
            finite = np.isfinite(values)
            missing += values.size - int(finite.sum())
            low, high = min(low, values.min(initial=np.inf, where=finite)), max(high, values.max(initial=-np.inf, where=finite))
    if not low < high:
        raise ValueError("holds images whose values are all the same")
    arrays._low, arrays._high = _scale(float(low), float(high), pairs[0].images.dtype)
    if (arrays._low, arrays._high) != (0, 255):
        arrays.notes.append(f"Values {arrays._low:,.6g} to {arrays._high:,.6g} are stretched to 0 to 255.")
    if missing:
        arrays.notes.append(f"{missing:,} values are not numbers; they are shown black.")


def _floats(values: np.ndarray) -> np.ndarray:
    """float32; what is beyond its range becomes infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float32)


def _scale(low: float, high: float, dtype: np.dtype) -> tuple[float, float]:
    """The values that become black and white: the range that such numbers usually have, where they stay within it."""
    usual: list[tuple[float, float]] = [(0, 1), (-1, 1)] if dtype.kind in "fb" else []
    for first, last in (*usual, (0, 255)):
        if first <= low and high <= last and (last != 255 or high > 1):
            return first, last
    return low, high


Layout = Literal["grey", "flat", "last", "first"]


def _layout(shape: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """How rows of a shape become (n, C, H, W).

    Raises:
        ValueError: they are no images.
    """
    sizes = tuple(shape[1:])
    form: Layout | None = None
    channels_last, channels_first = sizes[2:] in ((1,), (3,), (4,)), sizes[:1] in ((1,), (3,), (4,))
    if len(sizes) == 1 and isqrt(sizes[0]) ** 2 == sizes[0] and sizes[0] != shape[0]:
        form, sizes = "flat", (isqrt(sizes[0]),) * 2
    elif len(sizes) == 2:
        form = "grey"
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
        "grey": lambda rows: rows[:, None],
        "last": lambda rows: rows.transpose(0, 3, 1, 2),
        "first": lambda rows: rows,
    }
    return arrange[form]


def _refuse_too_much(rows: Rows) -> None:
    if rows.dtype.kind not in "buif":
        raise ValueError(f"holds {rows.dtype.name}, which are no numbers of pixels")
    size = int(np.prod([int(n) for n in rows.shape], dtype=object)) * rows.dtype.itemsize
    if size > LARGEST_UNPACKED:
        raise ValueError(f"unpacks to {size / 2**30:,.1f} GiB; at most {LARGEST_UNPACKED / 2**30:.0f} GiB are read: split it")


def _square(images: np.ndarray) -> np.ndarray:
    """(n, C, H, W) cut to its middle square."""
    height, width = images.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return images[:, :, top : top + side, left : left + side]


def _on_white(images: np.ndarray) -> np.ndarray:
    """uint8 (n, 4, H, W) laid on white; others as they are."""
    if images.shape[1] != 4:
        return images
    opaque = images[:, 3:].astype(np.uint16)
    return ((images[:, :3] * opaque + 255 * (255 - opaque) + 127) // 255).astype(np.uint8)


def _is_idx(path: Path) -> bool:
    if "idx" not in path.name.lower() and "ubyte" not in path.name.lower():
        return False
    try:
        with _opener(path)() as stream:
            head = stream.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in IDX_TYPES and 1 <= head[3] <= 4


def _opener(path: Path) -> Callable[[], BinaryIO]:
    return partial(gzip.open, path, "rb") if path.suffix.lower() == ".gz" else partial(path.open, "rb")  # type: ignore[return-value]


def _idx(path: Path) -> Rows:
    """The header of an IDX file (LeCun's format: magic, sizes, big-endian 32-bit, then the numbers)."""
    opened = _opener(path)
    with opened() as stream:
        head = stream.read(4)
        sizes = np.frombuffer(stream.read(4 * head[3]), ">u4")
    if len(sizes) != head[3]:
        raise ValueError("is cut: it ends within its header")
    return Rows(tuple(int(size) for size in sizes), np.dtype(IDX_TYPES[head[2]]), partial(_skip, opened, 4 + 4 * head[3]))


def _skip(opened: Callable[[], BinaryIO], count: int) -> BinaryIO:
    stream = opened()
    stream.read(count)
    return stream


def _idx_family(path: Path) -> dict[str, Path | None]:
    """The files next to an IDX file of images that belong to it, by MNIST's way of naming them."""
    labels = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    test = path.with_name(path.name.replace("train", "t10k")) if "train" in path.name else path
    test = test if test.is_file() or test == path else path.with_name(path.name.replace("train", "test"))
    test_labels = test.with_name(test.name.replace("images", "labels").replace("idx3", "idx1"))
    candidates = {"labels": labels, "test": test, "test_labels": test_labels}
    taken = {path}
    family: dict[str, Path | None] = {}
    for what, candidate in candidates.items():
        family[what] = candidate if candidate not in taken and _is_idx(candidate) else None
        taken.add(candidate)
    return family


def _idx_set(path: Path) -> Arrays:
    images, family = _idx(path), _idx_family(path)

    def labels(file: Path | None, count: int) -> np.ndarray | None:
        return _as_labels(_idx(file), count) if file else None

    arrays = Arrays({"train": [Pair(images, labels(family["labels"], images.shape[0]))], "test": []})
    if test := family["test"]:
        rows = _idx(test)
        arrays.pairs["test"].append(Pair(rows, labels(family["test_labels"], rows.shape[0])))
    names = [file.name for file in family.values() if file]
    if names:
        arrays.notes.append(f"{', '.join(names)} next to it {'belongs' if len(names) == 1 else 'belong'} to the set.")
    return arrays
