"""A data set's real images, split by index into those that a judge learns from and those that it never sees.

Knows nothing about networks.
"""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.data.form import Form
from gan.events import Progress

PART = 5  # every fifth image: many sets are sorted by class, and each part must have all classes
FEWEST = 100  # images of a set; with fewer, no part is large enough
MOST_HELD_OUT = 5000  # for a set without test images: the more are held out, the fewer are left to learn from


@dataclass(frozen=True)
class Part:
    """Some images of a data set, not copied.

    Attributes:
        dataset: the whole set.
        rows: int64, (n,), rising: the indices of its images.
    """

    dataset: ImageDataset
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def images(self, which: slice | np.ndarray = slice(None)) -> np.ndarray:
        """uint8 (N, C, H, W): all images of the part, or those at some indices in it."""
        images: np.ndarray = self.dataset.images.numpy()[self.rows[which]]
        return images

    def some(self, n: int) -> "Part":
        """n images from the whole part, the same at every call; all of them if there are no more."""
        places = np.linspace(0, len(self) - 1, n).round().astype(np.int64) if n < len(self) else slice(None)
        return Part(self.dataset, self.rows[places])


@dataclass(frozen=True)
class Reals:
    """A data set, split in three by image index.

    Attributes:
        name: the data set's.
        learned: training images that the feature network learns from, too.
        spare: training images that no feature network learns from: they stand for a perfect generator.
        held_out: the images that scores compare with; no feature network has seen them.
        new: whether generators have not seen `held_out` either. False for a set without test images, because runs train on all of it.
    """

    name: str
    learned: Part
    spare: Part
    held_out: Part
    new: bool

    @property
    def learnt(self) -> Part:
        """The same as `learned`, by the name in scripts that Explore once gave out."""
        return self.learned

    @property
    def training(self) -> Part:
        """Learned and spare together."""
        return Part(self.learned.dataset, np.sort(np.concatenate([self.learned.rows, self.spare.rows])))


def load(name: str, form: Form) -> Generator[Progress, None, Reals]:
    """Loads a data set, and its test images if it has any.

    Raises:
        ValueError: see datasets.load(); or it has too few images.
    """
    training = yield from datasets.load(name, form.image_size, form.channels, "train", form.fit, form.background, form.pairs)
    enough = name in datasets.NAMED or training.tests >= FEWEST // PART
    test = (
        (yield from datasets.load(name, form.image_size, form.channels, "test", form.fit, form.background, form.pairs)) if enough else None
    )
    return part(training, test)


def part(training: ImageDataset, test: ImageDataset | None = None) -> Reals:
    """Splits a set by image index alone: the same at every call.

    Without test images, a fifth of the training images is held out, at most MOST_HELD_OUT.

    Raises:
        ValueError: it has too few images.
    """
    n = len(training)
    if n < FEWEST or (test is not None and len(test) < FEWEST // PART):
        raise ValueError(f"the data set {training.name} has {n} images; scores need at least {FEWEST}")
    place = np.arange(n)
    spare = place % PART == PART - 1
    held_out = np.zeros(n, bool) if test is not None else place % max(PART, -(-n // MOST_HELD_OUT)) == 2
    spare &= ~held_out
    return Reals(
        training.name,
        Part(training, place[~spare & ~held_out]),
        Part(training, place[spare]),
        Part(test, np.arange(len(test))) if test is not None else Part(training, place[held_out]),
        test is not None,
    )
