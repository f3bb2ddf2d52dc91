"""What a quick look at a data set shows: how many images, how large, in color or gray, which classes. Decodes a few images only."""

import statistics
import tempfile
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gan.data import arrays, imageset, published
from gan.data.archives import Member
from gan.data.datasets import available, place
from gan.data.decoding import decode, shape_of
from gan.data.drawn import DRAWN
from gan.data.rows import layout
from gan.data.sources import Source, open_source, spread
from gan.events import Progress

LOOKED_AT = 40  # images, evenly spread
SOME = 2**20  # bytes of an array that are looked at, or one image if that is larger
SIDE = 32  # pixels at which colors are compared
COLORED = 8.0  # levels of 255 by which an image's red, green and blue differ on average; JPEG alone makes gray differ by 1 or 2
ENOUGH = 0.1  # share of colored images that makes a set colored
# How much of the differences between images and their mirror images is the same in all of them; 1/n is the average for n images that look to
# either side. Avatars that all look to the left: 0.3 to 0.4; other avatars, clothes, icons, letters: at most 0.2.
ONE_SIDED = 0.25
TELLING = 12  # images: fewer may face the same way by chance


@dataclass(frozen=True)
class Facts:
    """What a quick look shows.

    Attributes:
        data: the name of the set.
        images: training images; files that turn out not to be images count, too.
        side: pixels: the shorter side of a typical image.
        color: whether some images have colors.
        classes: the number of training images in each class, by name; empty if the set has no classes.
        one_sided: whether most images face the same way, so their mirror images are of another kind.
    """

    data: str
    images: int
    side: int
    color: bool
    classes: dict[str, int]
    one_sided: bool = False


def look_at(name: str) -> Generator[Progress, None, Facts]:
    """Takes a quick look at a data set.

    Args:
        name: as for datasets.load().

    Yields:
        Progress.

    Raises:
        ValueError: there is no such set, or it has no usable image.
        OSError: it cannot be read.
    """
    if known := published.SETS.get(name):
        images = known.images - known.tests
        return Facts(
            name, images, known.image_size, known.channels == 3, dict.fromkeys(known.class_names, images // len(known.class_names))
        )
    if drawn := DRAWN.get(name):
        return Facts(name, drawn.train, drawn.side, True, dict.fromkeys(drawn.class_names, drawn.train // len(drawn.class_names)))
    path = place(name)
    if path is None:
        raise ValueError(f"there is no data set {name!r}: choose one of {', '.join(available())}, or give the path of a folder or file")
    with ExitStack() as stack:
        source = yield from open_source(name, stack)
        if source is not None:
            return (yield from _of_files(name, source))
    if path.is_file() and arrays.known(path):
        return (yield from _of_arrays(name, path))
    raise ValueError(f"{path} is neither a folder of images nor an archive, an array or a table of images")


def _of_files(name: str, source: Source) -> Generator[Progress, None, Facts]:
    choice = source.choice
    few = spread(choice.members, LOOKED_AT)
    if not few:
        raise ValueError(f"{name} has no images to train on")
    sides, looked, fault = [], [], ""
    for number, member in enumerate(few):
        yield Progress("Looking at some images", number, len(few))
        seen = _seen(source, member)
        if isinstance(seen, str):
            fault = seen
            continue
        sides.append(seen[0])
        looked.append(seen[1])
    if not sides:
        raise ValueError(f"none of the {len(few)} images tried in {name} can be used; the last one {fault}")
    counts = Counter(choice.numbers) if choice.classes else {}
    classes = {label: counts.get(number, 0) for number, label in enumerate(choice.classes)}
    colored = _is_colored([_spread_of_colors(pixels) for pixels in looked])
    return Facts(name, len(choice.members), round(statistics.median(sides)), colored, classes, _is_one_sided(np.stack(looked)))


def _seen(source: Source, member: Member) -> tuple[int, np.ndarray] | str:
    """An image's shorter side, and its pixels, (3, SIDE, SIDE); or why it cannot be used."""
    content = source.read(member)
    if isinstance(content, str):
        return content
    shape = shape_of(content)
    if isinstance(shape, str):
        return shape
    pixels = decode(content, SIDE, 3)
    return pixels if isinstance(pixels, str) else (min(shape.width, shape.height), pixels)


def _of_arrays(name: str, path: Path) -> Generator[Progress, None, Facts]:
    with tempfile.TemporaryFile(dir=imageset.scratch()) as numbers:
        try:
            read = yield from arrays.read(path, numbers)
        except ValueError as error:
            raise ValueError(f"the file {name} {error}") from None
        first = read.pairs["train"][0].images
        images = layout(first.shape)(next(iter(first.pieces(SOME))))
        labels = read.labels("train")
    counts = np.bincount(labels, minlength=len(read.classes)).tolist() if labels is not None else []
    # Scaling all values by the same factor would not change which images have colors; values here may have any scale.
    largest = float(np.abs(images).max()) or 1.0
    colored = [_spread_of_colors(image[:3] * (255 / largest)) if len(image) >= 3 else 0.0 for image in images[:LOOKED_AT]]
    one_sided = _is_one_sided(images[:LOOKED_AT])
    return Facts(
        name, read.part("train"), min(images.shape[-2:]), _is_colored(colored), dict(zip(read.classes, counts, strict=True)), one_sided
    )


def _spread_of_colors(pixels: np.ndarray) -> float:
    """How far red, green and blue of an image (3, H, W) are apart, on average, in levels."""
    values = pixels.astype(np.float32)
    return float((values.max(0) - values.min(0)).mean())


def _is_colored(spreads: list[float]) -> bool:
    return sum(spread > COLORED for spread in spreads) > ENOUGH * len(spreads)


def _is_one_sided(images: np.ndarray) -> bool:
    """Whether most images (n, channels, height, width) face the same way."""
    if len(images) < TELLING:
        return False
    values = np.nan_to_num(images.astype(np.float64), posinf=0, neginf=0)
    values /= np.abs(values).max() or 1.0  # squares of larger numbers may overflow
    differences = values - values[..., ::-1]
    each = float((differences**2).sum() / len(differences))
    return each > 0 and float((differences.mean(0) ** 2).sum()) > ONE_SIDED * each
