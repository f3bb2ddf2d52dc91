"""A report in one sentence, and the three most important scores. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import numpy as np

from gan.judging.judge import COPIES, Report

Number = TypeVar("Number", float, np.ndarray)

ENOUGH = 500  # with fewer images, scores decide nothing: 60 gray blobs once had a precision of 1
MAIN = ("fd", "coverage", "copies")  # how realistic, how varied, how new
ONE_SIDED = 0.5  # share of real images' coverage: below it, much of the variety is missing
CHANCE = 3  # standard deviations above the expected number of copies


class Realism(StrEnum):
    """How close generated images come to real ones."""

    LIKE_REAL = "can hardly be told from real ones"
    CLOSE = "look close to real ones"
    DIFFERENT = "differ clearly from real ones"
    FAR = "are far from real ones"


# Upper limits of the Fréchet distance above its floor, as a share of the distance between real images and a single point.
# Measured: the pretrained digits 0.005, the pretrained faces 0.064, digits after 300 steps of a small network 0.17, after one step 2.1.
MOST_CLOSE = 0.08
LEVELS = ((0.003, Realism.LIKE_REAL), (MOST_CLOSE, Realism.CLOSE), (0.4, Realism.DIFFERENT))


@dataclass(frozen=True)
class Verdict:
    """The conclusion of a report.

    Attributes:
        text: one sentence.
        realism: None if there are too few images to say.
        good: whether nothing is wrong.
    """

    text: str
    realism: Realism | None
    good: bool


def verdict(report: Report) -> Verdict:
    """How close the images are to real ones, and what is missing or copied."""
    if report.images < ENOUGH:
        return Verdict(f"Too few images for a verdict: {report.images:,} were compared, but {ENOUGH:,} are needed.", None, False)
    realism = realism_of(report)
    faults = []
    if report.shares and report.shares.missing:
        faults.append(f"{_listed(report.shares.missing)} {'is' if len(report.shares.missing) == 1 else 'are'} missing or rare")
    elif report["coverage"].value < ONE_SIDED * report["coverage"].floor:
        faults.append("much of the variety is missing")
    expected = (1 - COPIES) * report.images
    if report["copies"].value * report.images > expected + CHANCE * expected**0.5:
        faults.append(f"{report['copies'].value:.0%} are as close as copies to training images")
    words = f"The images {realism.value}" + (f", but {' and '.join(faults)}." if faults else ".")
    if realism in (Realism.DIFFERENT, Realism.FAR):
        words = words.replace(", but ", "; ")
    return Verdict(words, realism, realism in (Realism.LIKE_REAL, Realism.CLOSE) and not faults)


def realism_of(report: Report) -> Realism:
    """How far the Fréchet distance is above its floor, in words."""
    share = excess(report["fd"].value, report["fd"].floor, report["diversity"].floor)
    return next((realism for most, realism in LEVELS if share <= most), Realism.FAR)


def too_few(floor: float | None, diversity: float | None) -> bool:
    """Whether so few images were compared that even real ones do not look close to real ones by their score, as far as is known.

    floor, diversity: see excess().
    """
    if floor is None or diversity is None:
        return False
    with np.errstate(over="ignore"):  # numbers from a file may be of any size
        return bool(excess(np.array(floor), np.array(0.0), np.array(diversity)) >= MOST_CLOSE)


def excess(fd: Number, floor: Number, diversity: Number) -> Number:
    """How far a Fréchet distance is above its floor, in a unit that suits every data set and every feature network.

    The unit is half the mean square distance between two real images: the Fréchet distance between them and the single point in
    their middle.

    Args:
        fd: of generated images.
        floor: of real images.
        diversity: the root mean square distance between two real images. All three may be arrays of one shape.
    """
    share: Number = (fd - floor) / (diversity**2 / 2 + 1e-12)
    return share


def _listed(names: tuple[str, ...], most: int = 4) -> str:
    """ "3, 8 and 9"; if there are many, the first ones."""
    shown = [*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
