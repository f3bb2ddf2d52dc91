"""Name, folder or zip -> ImageDataset: every image as uint8, decoded once. Knows nothing of networks or runs.

Sets are loaded by generators that yield Progress and return the set, so that whoever waits can show how far they are,
and can stop.
"""

import functools
import hashlib
import os
import stat
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torchvision.transforms.v2 import functional as transforms

from gan import cache, decoding, faces, published
from gan.archives import Archive, Member, printable
from gan.decoding import NEEDS_SCALE, SUFFIXES, decode, measure
from gan.events import Progress
from gan.intensity import Scale, Tally, darkness

NAMED = ("mnist", "faces", "fashion-mnist", "cifar10")  # all of them have test images
FACES, TEST_FACES = 5000, 1000
BATCH = 16  # files that are decoded side by side, and lie in memory undecoded
LARGEST_BATCH = 64 * 2**20  # bytes of them, unless a single one is larger
MOST_MEASURED = 2000  # deep images that the scale of a set is worked out over
# Folders below data_root() that hold no images of their own: the cache, and published sets as torchvision lays them out.
RESERVED = {"cache", "MNIST", "FashionMNIST", "cifar-10-batches-py", "cifar-10-batches-bin"}
UPLOADED_ZIP, UPLOADED_ABOUT = "images.zip", "upload.json"  # a folder with these is an uploaded set; see uploads.py


@dataclass(frozen=True)
class ImageDataset:
    """Images of one size, decoded.

    Attributes:
        name: what the set was asked for by.
        images: uint8, (N, C, H, W); decoded files lie on disk, mapped, so a set may be larger than memory.
        labels: int64, (N,), indices into class_names; None where the set has none.
        class_names: one name a class.
        attributes: bool, (N, len(attribute_names)): several yes-or-no facts an image; None where the set has none.
        skipped: a sentence for each file that was left out.
        notes: sentences on what was done to the pixels, or is wrong with them, without a full stop.
    """

    name: str
    images: torch.Tensor
    labels: torch.Tensor | None = None
    class_names: tuple[str, ...] = ()
    attributes: torch.Tensor | None = None
    attribute_names: tuple[str, ...] = ()
    skipped: tuple[str, ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)
    # Known from the cache. Not an argument, so that dataclasses.replace() with other images forgets it.
    _fingerprint: str = field(default="", init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.images)

    def fingerprint(self) -> str:
        """16 hex digits that differ when shape or any pixel differs; of a set from the cache, as it was when it was decoded."""
        return self._fingerprint or cache.fingerprint(self.images.numpy())


Loading = Generator[Progress, None, ImageDataset]
Filling = Generator[Progress, None, None]


def data_root() -> Path:
    """Where data sets are looked for: WORKSHOP_DATA, or data/ in the working directory."""
    return Path(os.environ.get("WORKSHOP_DATA") or "data")


def available() -> list[str]:
    """The sets that can be chosen without naming a path: the named ones, then the folders below data_root()."""
    root = data_root()
    folders = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")) if root.is_dir() else []
    return [*NAMED, *(name for name in folders if name not in NAMED and name not in RESERVED)]


def native(name: str) -> tuple[int, int]:
    """(image_size, channels) at which a set is best looked at: its own, where it has one."""
    known = published.SETS.get(name)
    return (known.image_size, known.channels) if known else (64, 3)


def to_download(name: str) -> int:
    """Bytes that must be downloaded before a set can be used; 0 for all that are on this machine."""
    known = published.SETS.get(name)
    return known.download if known and not published.find(name, data_root()) else 0


def load(name: str, image_size: int, channels: int, split: str = "train") -> Loading:
    """Loads a set at a size.

    Args:
        name: one of NAMED, a folder below data_root(), or the path of a folder or a zip of images; class subfolders become
            labels, as in torchvision's ImageFolder. Folders around everything are no classes.
        image_size: height and width in pixels; folders' images are cropped to their middle square.
        channels: 1 for grey, 3 for RGB.
        split: "train", or "all" to add the test images where the set has them, or "test" for these alone.

    Yields:
        Progress.

    Raises:
        ValueError: there is no such set or file, it has no test images, no image in it can be used, it cannot be downloaded, or
            there is no room.
    """
    if name in published.SETS:
        return (yield from _published(name, image_size, channels, split))
    if name == "faces":
        return (yield from _faces(image_size, channels, split))
    if split == "test":
        raise ValueError(f"the data set {name} has no test images: it is one folder or file")
    for path in (data_root() / name, Path(name).expanduser()):
        if (path / UPLOADED_ABOUT).is_file():
            return (yield from load_zip(name, path / UPLOADED_ZIP, image_size, channels))
        if path.is_dir():
            return (yield from _folder(name, path, image_size, channels))
        if path.is_file() and path.suffix.lower() == ".zip":
            return (yield from load_zip(name, path, image_size, channels))
    raise ValueError(f"there is no data set {name!r}: choose one of {', '.join(available())}, or the path of a folder or a zip of images")


def forget(path: Path) -> None:
    """Deletes what the cache holds of a zip, at every size.

    Raises:
        ValueError: it is no zip.
    """
    with Archive(path, SUFFIXES) as archive:
        digest = _digest([*archive.members, *archive.skipped])
    for entry in (data_root() / "cache").glob(f"{digest}-*"):
        cache.drop(entry)


def _kept(name: str, digest: str, image_size: int, channels: int, most: int, fill: Callable[[cache.Writer], Filling]) -> Loading:
    """A set from the cache, which `fill` fills with at most `most` images where it does not hold them yet."""
    folder = data_root() / "cache" / f"{digest}-{image_size}-{channels}"
    entry = cache.read(folder)
    if entry is None:
        with cache.writing(folder, (channels, image_size, image_size), most, f"the data set {name}") as writer:
            yield from fill(writer)
        entry = writer.entry
        if entry is None:
            raise OSError(f"{folder} cannot be read back")
    labels, attributes = (None if array is None else torch.from_numpy(array) for array in (entry.labels, entry.attributes))
    names = [tuple(entry.about.get(key, ())) for key in ("class_names", "attribute_names", "skipped", "notes")]
    dataset = ImageDataset(name, torch.from_numpy(entry.images), labels, names[0], attributes, *names[1:])
    object.__setattr__(dataset, "_fingerprint", entry.about["fingerprint"])
    return dataset


def _published(name: str, image_size: int, channels: int, split: str) -> Loading:
    files = yield from published.obtain(name, data_root())
    known = published.SETS[name]

    def fill(writer: cache.Writer) -> Filling:
        images, writer.labels = yield from published.read(name, files, split)
        writer.about["class_names"] = known.class_names
        for start in range(0, len(images), 2000):
            yield Progress("Resizing the images", start, len(images))
            writer.add(_resize(torch.from_numpy(images[start : start + 2000]), image_size, channels).numpy())

    if (image_size, channels) == native(name) and not files[0].name.endswith(".tar.gz"):  # as quick to read as a cache
        images, labels = yield from published.read(name, files, split)
        return ImageDataset(name, torch.from_numpy(images), torch.from_numpy(labels), known.class_names)
    stamps = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return (yield from _kept(name, _digest([split, *stamps]), image_size, channels, known.images, fill))


def _resize(images: torch.Tensor, image_size: int, channels: int) -> torch.Tensor:
    """uint8 (N, C, H, W) -> uint8 (N, channels, image_size, image_size), antialiased."""
    if images.shape[1] != channels:
        images = transforms.grayscale_to_rgb(images) if channels == 3 else transforms.rgb_to_grayscale(images)
    return images if images.shape[-1] == image_size else transforms.resize(images, [image_size, image_size], antialias=True)


def _faces(image_size: int, channels: int, split: str) -> Loading:
    first, last = {"train": (0, FACES), "test": (FACES, FACES + TEST_FACES), "all": (0, FACES + TEST_FACES)}[split]

    def fill(writer: cache.Writer) -> Filling:
        facts = []
        for i in range(first, last):
            if i % 50 == 0:
                yield Progress("Drawing the faces (once)", i - first, last - first)
            pixels, attributes = faces.draw_face(i, image_size)
            writer.add(pixels[None])
            facts.append(attributes)
        writer.attributes = np.stack(facts)
        writer.labels = writer.attributes[:, 0].astype(np.int64)
        writer.about |= {"class_names": ["no glasses", "glasses"], "attribute_names": faces.ATTRIBUTES}

    digest = _digest([*([first] if first else []), last, faces.VERSION])
    drawn = yield from _kept("faces", digest, image_size, 3, last - first, fill)
    if channels == 3:
        return drawn
    grey = _resize(drawn.images, image_size, channels)
    return ImageDataset("faces", grey, drawn.labels, drawn.class_names, drawn.attributes, drawn.attribute_names)


def _folder(name: str, folder: Path, image_size: int, channels: int) -> Loading:
    """Images of a folder and everything below it, sorted by path; links to elsewhere are not followed."""
    members, looked = [], 0
    for directory, subfolders, files in os.walk(folder):
        yield Progress("Looking for images", looked, 0)
        looked += len(files)
        subfolders[:] = [s for s in subfolders if not s.startswith(".")]
        inside = Path(directory).relative_to(folder).parts
        for path in (Path(directory) / file for file in files):
            if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
                found = path.lstat()
                if stat.S_ISREG(found.st_mode):
                    members.append(Member((*inside, path.name), found.st_size, found.st_mtime_ns, path))
    if not members:
        raise ValueError(f"{folder} holds no images; known endings are {', '.join(sorted(SUFFIXES))}")
    members.sort(key=lambda member: member.parts)
    fill = functools.partial(_decode_all, str(folder), members, lambda member: member.source, [], image_size, channels)
    # Known by names, sizes and times of change: reading the files themselves would take as long as a good part of decoding.
    return (yield from _kept(name, _digest(members), image_size, channels, len(members), fill))


def load_zip(name: str, path: Path, image_size: int, channels: int) -> Loading:
    """load() for a zip whose set is called otherwise than the file."""
    yield Progress("Looking for images", 0, 0)
    try:
        archive = Archive(path, SUFFIXES)
    except ValueError as error:
        raise ValueError(f"the file {name} {error}") from None
    with archive:
        if not archive.members:
            reason = f"; the first of {len(archive.skipped):,} other files: {archive.skipped[0]}" if archive.skipped else ""
            raise ValueError(f"the file {name} holds no images that can be used{reason}")
        fill = functools.partial(_decode_all, f"the file {name}", archive.members, archive.read, archive.skipped, image_size, channels)
        # Known by names, sizes and the checksums in the table of contents: by content, and quickly.
        return (yield from _kept(name, _digest([*archive.members, *archive.skipped]), image_size, channels, len(archive.members), fill))


def _decode_all(
    where: str,
    members: list[Member],
    read: Callable[[Member], Path | bytes | str],
    skipped: list[str],
    image_size: int,
    channels: int,
    writer: cache.Writer,
    whole: list[Member] | None = None,
) -> Filling:
    """Decodes files side by side into the writer; read gives a file's path or content, or why there is none.

    Sets of 8-bit images are gone through once. The first deep image (16 bits, floats, ...) has the range of all of them measured,
    and that is their one scale; 8-bit images among them stay as they are.

    whole: all files of the set, where `members` is a part of it (its test images, say): the scale is the same for all parts.
    """
    classes, numbers = _classes(members)
    skipped, labels = [*skipped], []
    scale: Scale | None = None
    notes, brightest = [], 0
    with _Pool(read) as pool:
        for start, part in _batches(members):
            yield Progress("Reading the images", start, len(members))

            def decoded(source: Path | bytes, scale: Scale | None) -> np.ndarray | str:
                return decode(source, image_size, channels, scale, True)

            results = pool.each(functools.partial(decoded, scale=scale), part)
            if scale is None and any(result is NEEDS_SCALE for result in results):
                scale, note = yield from _scale_of(pool, whole or members)
                notes.append(note)
                results = pool.each(functools.partial(decoded, scale=scale), part)
            for i, (member, result) in enumerate(zip(part, results, strict=True), start):
                if isinstance(result, str):
                    skipped.append(f"{printable('/'.join(member.parts))}: {result}")
                else:
                    writer.add(result[None])
                    labels.append(numbers[i])
                    brightest = max(brightest, int(result.max()))
    if not labels:
        raise ValueError(f"none of the {len(members)} images in {where} can be used; the first: {skipped[-len(members)]}")
    notes += [note] if (note := darkness(brightest)) else []
    writer.about |= {"class_names": classes, "skipped": skipped, "notes": notes}
    writer.labels = np.array(labels, dtype=np.int64) if classes else None


T = TypeVar("T")


class _Pool:
    """Threads that do something with files side by side. Use it in a `with`."""

    def __init__(self, read: Callable[[Member], Path | bytes | str]) -> None:
        self._read = read
        self._threads = ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="decode")

    def __enter__(self) -> "_Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()

    def each(self, work: Callable[[Path | bytes], T | str], members: list[Member]) -> list[T | str]:
        """What the work makes of each file, or why a file cannot be read."""
        sources = [self._read(member) for member in members]
        with warnings.catch_warnings(action="ignore"):  # Pillow's, of every oddity in a file
            return list(self._threads.map(lambda source: source if isinstance(source, str) else work(source), sources))


def _batches(members: list[Member]) -> Iterator[tuple[int, list[Member]]]:
    """Files that may lie in memory together, and the place of the first of them."""
    start = 0
    while start < len(members):
        end, size = start + 1, members[start].size
        while end < min(start + BATCH, len(members)) and size + members[end].size <= LARGEST_BATCH:
            size += members[end].size
            end += 1
        yield start, members[start:end]
        start = end


def _scale_of(pool: _Pool, members: list[Member]) -> Generator[Progress, None, tuple[Scale, str]]:
    """The one scale of all deep images in a set, and the sentence that says it."""
    step = -(-len(members) // MOST_MEASURED)
    some = members[::step]
    tally, plain = Tally(), 0
    for start, part in _batches(some):
        yield Progress("Measuring the range of values", start, len(some))
        for found in pool.each(measure, part):
            if isinstance(found, Tally):
                tally.merge(found)
            plain += found is None
    scale = tally.scale()
    note = scale.sentence()
    if step > 1:
        note += f"; measured on {len(some):,} of {len(members):,} images"
    if plain:
        note += "; images of 8 bits stay as they are"
    return scale, note


def _classes(members: list[Member]) -> tuple[list[str], list[int]]:
    """Class names, and each file's class: the first folder that tells files apart. None, and zeros, where some have no such folder."""
    first, last = (chosen(member.parts[:-1] for member in members) for chosen in (min, max))
    around = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    if any(len(member.parts) <= around + 1 for member in members):
        return [], [0] * len(members)
    names = [printable(member.parts[around], 60) for member in members]
    classes = sorted(set(names))
    number = {name: i for i, name in enumerate(classes)}
    return classes, [number[name] for name in names]


def _digest(what: Sequence[object]) -> str:
    """16 hex digits of what a decoded set depends on, besides its size."""
    digest = hashlib.blake2b(str(decoding.VERSION).encode(), digest_size=8)
    for item in what:
        digest.update(ascii(item[:3] if isinstance(item, Member) else item).encode())
    return digest.hexdigest()
