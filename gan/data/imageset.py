"""A set of decoded images, and how it gets into and out of the cache. Knows nothing about where images come from."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from gan.data import cache, decoding
from gan.data.archives import Member
from gan.data.form import Form
from gan.data.leftout import LeftOut
from gan.data.parts import Choice
from gan.events import Progress
from gan.images import resized, with_channels

LAYOUT = 2  # increased when the cache's notes on a set (all but its pixels) change


@dataclass(frozen=True)
class ImageDataset:
    """Decoded images of one size.

    Attributes:
        name: the name that the set was requested by.
        images: uint8, (N, C, H, W); memory-mapped, so a set may be larger than memory.
        labels: int64, (N,), indices into class_names; None if the set has none.
        class_names: one name per class.
        attributes: bool, (N, len(attribute_names)): several yes-or-no facts per image; None if the set has none.
        skipped: a sentence for each file or folder that was left out; if there are very many, only for the first ones.
        left_out: the reasons, most frequent first, each with its number of files or folders.
        notes: sentences, without a period, on how the set was read: what was done to the pixels, which folder is for training.
        tests: number of its test images, whichever part was loaded.
        inputs: for a set of pairs, the image that becomes images[i], in the same form; None if the set has no pairs.
        held_out: for a run that translates images, those that training never sees; None for all other runs.
    """

    name: str
    images: torch.Tensor
    labels: torch.Tensor | None = None
    class_names: tuple[str, ...] = ()
    attributes: torch.Tensor | None = None
    attribute_names: tuple[str, ...] = ()
    skipped: tuple[str, ...] = field(default=(), repr=False)
    left_out: tuple[tuple[str, int], ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)
    tests: int = 0
    inputs: torch.Tensor | None = None
    held_out: "ImageDataset | None" = field(default=None, repr=False)
    # Known from the cache. Not an argument, so dataclasses.replace() with other images drops it.
    _fingerprint: str = field(default="", init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def skipped_count(self) -> int:
        """Number of files and folders that were left out."""
        return sum(count for _, count in self.left_out)

    def fingerprint(self) -> str:
        """16 hex digits that differ if the shape or any pixel differs, of inputs, too. For a set from the cache, they were computed at decoding."""
        if self._fingerprint or self.inputs is None:
            return self._fingerprint or cache.fingerprint(self.images.numpy())
        return cache.fingerprint(torch.cat([self.images, self.inputs], 1).numpy())

    def labels_fingerprint(self) -> str:
        """16 hex digits that differ if the class of any image differs; empty if the set has no labels. Class names do not count."""
        return cache.fingerprint(self.labels.numpy()) if self.labels is not None else ""


Loading = Generator[Progress, None, ImageDataset]
Filling = Generator[Progress, None, None]


def data_root() -> Path:
    """The folder for data sets: WORKSHOP_DATA, or data/ in the working directory."""
    return Path(os.environ.get("WORKSHOP_DATA") or "data")


def kept(name: str, digest: str, form: Form, most: int, fill: Callable[[cache.Writer], Filling], choice: Choice | None = None) -> Loading:
    """A set from the cache. If it is not there yet, `fill` adds its images, at most `most`.

    choice: what is known about the set beyond the cache's notes.
    """
    folder = entry_of(digest, form)
    entry = cache.read(folder)
    if entry is None:
        shape = (form.channels * (2 if form.pairs else 1), form.image_size, form.image_size)
        with cache.writing(folder, shape, most, f"the data set {name}") as writer:
            yield from fill(writer)
            writer.about["paired"] = bool(form.pairs)
        entry = writer.entry
        if entry is None:
            raise OSError(f"{folder} cannot be read back")
    return from_cache(name, entry, choice)


def entry_of(digest: str, form: Form) -> Path:
    return data_root() / "cache" / f"{digest}-{form.name}"


def from_cache(name: str, entry: cache.Entry, choice: Choice | None = None) -> ImageDataset:
    labels, attributes = (None if array is None else torch.from_numpy(array) for array in (entry.labels, entry.attributes))
    about, left_out = entry.about, LeftOut()
    if choice:
        left_out.extend(choice.left_out)
    left_out.extend(LeftOut.from_json(about.get("left_out")))
    images, inputs = torch.from_numpy(entry.images), None
    if about.get("paired"):  # a pair's images are stored as one, the target's channels first
        images, inputs = images.chunk(2, 1)
    dataset = ImageDataset(
        name,
        images,
        labels,
        tuple(about.get("class_names", ())),
        attributes,
        tuple(about.get("attribute_names", ())),
        tuple(left_out.sentences),
        tuple(left_out.reasons.most_common()),
        (*(choice.notes if choice else ()), *about.get("notes", ())),
        choice.tests if choice else int(about.get("tests", 0)),
        inputs,
    )
    return fingerprinted(dataset, about["fingerprint"])


def fingerprinted(dataset: ImageDataset, known: str = "") -> ImageDataset:
    """The same set, which from now on knows its fingerprint. known: if it has been computed before."""
    object.__setattr__(dataset, "_fingerprint", known or dataset.fingerprint())
    return dataset


def resize(images: torch.Tensor, form: Form) -> torch.Tensor:
    """uint8 (N, C, H, W) -> uint8 (N, channels, image_size, image_size), antialiased. For "crop", they are square already."""
    images = with_channels(images, form.channels)
    width, height = form.inner(images.shape[-1], images.shape[-2])
    images = resized(images, height, width)
    return images if height == width == form.image_size else torch.from_numpy(form.border(images.numpy()))


def scratch() -> Path:
    """A folder on a disk with room for large temporary files."""
    folder = data_root() / "cache"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # a read-only disk, as with the cache
        return Path(tempfile.gettempdir())
    return folder


def stamps(files: Sequence[Path]) -> list[tuple[str, int, int]]:
    return [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]


def digest_of(choice: Choice) -> str:
    """The digest of a set of image files. It includes the set's other parts, because a set has one scale."""
    return digest([*choice.members, choice.classes, choice.numbers, *choice.whole])


def digest(what: Sequence[object]) -> str:
    """16 hex digits of everything that a decoded set depends on, except its size."""
    hashed = hashlib.blake2b(f"{decoding.VERSION}/{LAYOUT}".encode(), digest_size=8)
    for item in what:
        hashed.update(ascii(item[:3] if isinstance(item, Member) else item).encode())
    return hashed.hexdigest()
