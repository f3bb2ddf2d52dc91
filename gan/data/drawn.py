"""Sets that the project draws itself: an index and a size give an image and the facts about it. Knows nothing about caches."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gan.data import faces, sketches


@dataclass(frozen=True)
class Drawn:
    """A set that is drawn.

    Attributes:
        what: what it shows, for the progress bar: "the faces".
        draw: (index, size) -> the image, uint8 (3, size, size), or with a set of pairs (6, size, size), the target first, and its facts, bool (len(attribute_names),); the same at every call.
        attribute_names: what each fact is called. The first one is also the class of an image.
        class_names: of images without the first fact, and with it.
        version: increased when the drawings change, so that older cached sets are drawn again.
        train: number of training images, from index 0 on.
        tests: number of test images, which follow.
        side: pixels; larger images show no more detail.
        paired: whether it is a set of pairs.
    """

    what: str
    draw: Callable[[int, int], tuple[np.ndarray, np.ndarray]]
    attribute_names: tuple[str, ...]
    class_names: tuple[str, str]
    version: int
    train: int = 5000
    tests: int = 1000
    side: int = 256
    paired: bool = False

    def part(self, split: str) -> range:
        """The indices of "train", "test" or "all"."""
        last = self.train + self.tests
        return {"train": range(self.train), "test": range(self.train, last), "all": range(last)}[split]


_CLASSES = ("no glasses", "glasses")
DRAWN = {
    "faces": Drawn("the faces", faces.draw_face, faces.ATTRIBUTES, _CLASSES, faces.VERSION),
    "sketches": Drawn(
        "the faces and their outlines", sketches.draw_pair, faces.ATTRIBUTES, _CLASSES, 100 * faces.VERSION + sketches.VERSION, paired=True
    ),
}
