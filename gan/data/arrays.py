"""Files of arrays (NumPy, IDX, CSV) -> images and labels, one piece at a time. Knows nothing about caches or image files.

Nothing in them is ever executed: arrays of Python objects (pickles) are refused. Headers are read first, and their sizes are
limited. Then rows are read in pieces, so a set may be larger than memory.
"""

import zipfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from gan.data.csvs import read_csv
from gan.data.form import Form
from gan.data.idx import idx_family, is_idx, opener, read_idx
from gan.data.intensity import Scale, Tally
from gan.data.names import class_names
from gan.data.parts import Role, role
from gan.data.rows import DAMAGED, Rows, fits, layout, on_background, refuse_too_much, square
from gan.events import Progress

VERSION = 1  # increased when the same file gives other pixels or labels
SUFFIXES = (".npz", ".npy", ".csv")
MOST_CLASSES = 1000
LARGEST_LABELS = 256 * 2**20  # bytes
LONGEST_HEADER = 10_000  # characters; numpy's own limit
IMAGES = {"x", "images", "image", "imgs", "img", "data", "pixels", "arr"}
LABELS = {"y", "labels", "label", "targets", "target", "classes"}


class Pair(NamedTuple):
    """Images, and their labels if the file has them: (N,) numbers or texts."""

    images: Rows
    labels: np.ndarray | None


@dataclass
class Arrays:
    """A set of images in arrays.

    Attributes:
        pairs: images and labels by part of the set ("train", "test").
        classes: names, ordered by label value.
        notes: sentences about how the numbers became pixels, and what was not used.
    """

    pairs: dict[Role, list[Pair]]
    classes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _values: np.ndarray | None = None  # the labels' values, sorted; one per class
    _scale: Scale | None = None  # for values that are not uint8

    def _parts(self, split: str) -> list[Pair]:
        return [*(self.pairs["train"] if split != "test" else []), *(self.pairs["test"] if split != "train" else [])]

    def part(self, split: str) -> int:
        """Number of images in a part of the set: "train", "test" or "all"."""
        return sum(pair.images.shape[0] for pair in self._parts(split))

    def labels(self, split: str) -> np.ndarray | None:
        """int64 (N,), or None if the set has no classes."""
        if self._values is None:
            return None
        return np.concatenate(
            [np.searchsorted(self._values, pair.labels) for pair in self._parts(split) if pair.labels is not None]
        ).astype(np.int64)

    def images(self, split: str, form: Form) -> Iterator[tuple[int, np.ndarray]]:
        """(number of images before these, uint8 (n, C, H, W)), all on one scale. The form "crop" takes the middle squares."""
        done = 0
        for pair in self._parts(split):
            arrange = layout(pair.images.shape)
            for piece in pair.images.pieces():
                images = square(arrange(piece)) if form.fit == "crop" else arrange(piece)
                if self._scale:
                    images = np.stack([self._scale.apply(image) for image in images])
                yield done, np.array(on_background(images, form.color), order="C")  # a copy: torch wants writable memory
                done += len(images)


def known(path: Path) -> bool:
    """Whether a file holds arrays, by its name or, for IDX, by its first bytes."""
    return path.suffix.lower() in SUFFIXES or is_idx(path)


def files(path: Path) -> list[Path]:
    """The file and those that belong to it: an IDX file's labels and test images."""
    if not is_idx(path):
        return [path]
    return [path, *(other for other in idx_family(path).values() if other)]


def read(path: Path, scratch: BinaryIO) -> Generator[Progress, None, Arrays]:
    """Opens a file of arrays, and finds the classes and the scale of the numbers.

    Args:
        path: a file that known() accepts.
        scratch: an empty file for a table's numbers; it must stay open while they are used.

    Yields:
        Progress.

    Raises:
        ValueError: it holds no images, or they cannot be read; the message continues a sentence that begins with the file's name.
    """
    yield Progress("Reading the arrays", 0, 0)
    try:
        arrays = yield from _open(path, scratch)
    except DAMAGED as error:
        raise ValueError(f"is damaged ({error})") from None
    for pair in arrays._parts("all"):
        layout(pair.images.shape)
        refuse_too_much(pair.images)
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
        return Arrays({"train": [Pair(_npy(path.name, opener(path)), None)], "test": []})
    return _idx_set(path)


def _npy(name: str, opened: Callable[[], BinaryIO]) -> Rows:
    """The header of a .npy file."""
    with opened() as stream:
        try:
            shape, fortran, dtype = _read_header(stream)
            if min(shape, default=0) < 0:
                raise ValueError(f"a shape of {shape}")
        except DAMAGED:
            raise
        except Exception as error:  # a damaged header makes numpy's reader fail in many ways: TokenError, TypeError, MemoryError, ...
            raise ValueError(f"has an array that cannot be read: {name} ({' '.join(str(error).split())[:100]})") from None
    if dtype.hasobject:
        raise ValueError(f"holds Python objects in {name}, which could run code when opened: save numbers (a uint8 array)")
    if fortran and len(shape) > 1:
        raise ValueError(f"holds {name} in Fortran order: save it with numpy.ascontiguousarray")
    return Rows(tuple(shape), dtype, partial(_behind_header, opened))


def _read_header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether in Fortran order, and dtype. Afterward the stream is at the first number."""
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
    """Opens a file in a zip; the zip stays open as long as the stream does."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name

    def __call__(self) -> BinaryIO:
        with zipfile.ZipFile(self.path) as file:
            return file.open(self.name)  # type: ignore[return-value]


def _npz(path: Path) -> Arrays:
    with zipfile.ZipFile(path) as file:
        infos = [info for info in file.infolist() if info.filename.endswith(".npy")]
    if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in infos):
        raise ValueError("is compressed with an unsupported method: save it with numpy.savez or numpy.savez_compressed")
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
        raise ValueError(
            f"holds no array of images ({_listed(found) or (refused or ['it is empty'])[0]}): name the array images or x_train"
        )
    arrays = Arrays({"train": [], "test": []}, notes=refused)
    for key, rows in images.items():
        arrays.pairs[role(key) or "train"].append(Pair(rows, _labels_for(key, rows, labels, arrays.notes)))
    used = {*images, *(label for key in images if (label := _label_key(key, labels)))}
    if others := [key for key in found if key not in used]:
        arrays.notes.append(f"unused arrays in the file: {', '.join(sorted(others)[:10])}")
    return arrays


def _listed(found: dict[str, Rows]) -> str:
    return ", ".join(f"{key[:40]}: {' x '.join(map(str, rows.shape))}" for key, rows in list(found.items())[:10])


def _by_kind(found: dict[str, Rows]) -> tuple[dict[str, Rows], dict[str, Rows]]:
    """The arrays of images and of labels, by name. If no name fits, the only array that has the shape of images."""
    fitting = {key: rows for key, rows in found.items() if fits(rows)}
    images = {key: rows for key, rows in fitting.items() if _words(key) & IMAGES and not _words(key) & LABELS}
    if not images and len(fitting) == 1:
        images = fitting
    if len(images) > 1 and not {role(key) for key in images} - {None}:  # several, and nothing says what they are: take the first
        images = dict([next(iter(images.items()))])
    labels = {key: rows for key, rows in found.items() if key not in images and (_words(key) & LABELS or key == "arr_1")}
    return images, labels


def _words(key: str) -> set[str]:
    return {word for word in key.lower().replace("-", "_").split("_") if word}


def _label_key(key: str, labels: dict[str, Rows]) -> str | None:
    """The labels that belong to the images: those of the same part (train, val, test), by the words that both names share."""
    own = _words(key) - IMAGES
    return next((label for label in labels if _words(label) - LABELS - {"arr", "1"} == own - {"0"}), None)


def _labels_for(key: str, images: Rows, labels: dict[str, Rows], notes: list[str]) -> np.ndarray | None:
    label = _label_key(key, labels)
    if label is None:
        return None
    rows = labels[label]
    labels_read = _as_labels(rows, images.shape[0])
    if labels_read is None:
        notes.append(f"the labels {label} are not used: {' x '.join(map(str, rows.shape))} numbers do not give one class per image")
    return labels_read


def _as_labels(rows: Rows, count: int) -> np.ndarray | None:
    """(N,) labels from (N,), (N, 1) or one-hot (N, K) arrays; None if they do not give one class per image."""
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
    """Names the classes if all images have labels. A class that only test images have counts too."""
    labels = [pair.labels for pair in arrays._parts("all")]
    if any(of is None for of in labels):
        if any(of is not None for of in labels):
            arrays.notes.append("the labels are not used: some images have none")
        return
    if len({of.dtype.kind in "US" for of in labels if of is not None}) > 1:
        arrays.notes.append("the labels are not used: some are numbers and some are words")
        return
    values: np.ndarray = np.unique(np.concatenate([of for of in labels if of is not None]))
    if len(values) > MOST_CLASSES:
        arrays.notes.append(f"the labels are not used: they have {len(values):,} different values; at most {MOST_CLASSES:,} are classes")
        return
    if values.dtype.kind == "f":
        names = [str(int(value)) for value in values]
    else:
        names = class_names([v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values.tolist()])
    arrays._values, arrays.classes = values, names


def _find_scale(arrays: Arrays) -> Generator[Progress, None, None]:
    """One scale for the whole set, including test images, so both parts look the same."""
    pairs = arrays._parts("all")
    if all(pair.images.dtype == np.uint8 for pair in pairs):
        return
    tally = Tally()
    for pair in pairs:
        done = 0
        for piece in pair.images.pieces():
            yield Progress("Measuring the range of values", done, pair.images.shape[0])
            done += len(piece)
            tally.add(piece)
    arrays._scale = _usual(tally, pairs[0].images.dtype) or tally.scale()
    if (arrays._scale.low, arrays._scale.high, arrays._scale.holes) != (0, 255, False):
        arrays.notes.append(arrays._scale.sentence())


def _usual(tally: Tally, dtype: np.dtype) -> Scale | None:
    """The usual range of pixels that all numbers fit into: 0 to 1, -1 to 1 or 0 to 255."""
    if tally.low > tally.high:  # no finite value at all
        return None
    usual: list[tuple[float, float]] = [(0, 1), (-1, 1)] if dtype.kind in "fb" else []
    for low, high in (*usual, (0, 255)):
        if low <= tally.low and tally.high <= high and (high != 255 or tally.high > 1):
            return Scale(low, high, holes=tally.holes)
    return None


def _idx_set(path: Path) -> Arrays:
    images, family = read_idx(path), idx_family(path)

    def labels(file: Path | None, count: int) -> np.ndarray | None:
        return _as_labels(read_idx(file), count) if file else None

    arrays = Arrays({"train": [Pair(images, labels(family["labels"], images.shape[0]))], "test": []})
    if test := family["test"]:
        rows = read_idx(test)
        arrays.pairs["test"].append(Pair(rows, labels(family["test_labels"], rows.shape[0])))
    names = [file.name for file in family.values() if file]
    if names:
        arrays.notes.append(f"{', '.join(names)} next to it {'belongs' if len(names) == 1 else 'belong'} to the set")
    return arrays
