"""A report in one sentence, and the three scores that a reader needs first. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from gan.judging.judge import COPIES, Report

ENOUGH = 500  # images below which scores decide nothing: 60 gray blobs once had a precision of 1
MAIN = ("fd", "coverage", "copies")  # how realistic, how varied, how new
ONE_SIDED = 0.5  # of real images' coverage: below it, much of the variety is missing
CHANCE = 3  # standard deviations above the expected number of copies


class Realism(StrEnum):
    """How near generated images come to real ones."""

    LIKE_REAL = "can hardly be told from real ones"
    CLOSE = "look close to real ones"
    DIFFERENT = "differ clearly from real ones"
    FAR = "are far from real ones"


# The Fréchet distance above its floor, as a share of what separates real images from a single point: up to which value it is which.
# Measured: the shipped digits 0.005, the shipped faces 0.064, digits after 300 steps of a small network 0.17, after one step 2.1.
LEVELS = ((0.003, Realism.LIKE_REAL), (0.08, Realism.CLOSE), (0.4, Realism.DIFFERENT))


@dataclass(frozen=True)
class Verdict:
    """What a report comes to.

    Attributes:
        text: one sentence.
        realism: None if there are too few images to say.
        good: whether nothing in it asks for a look.
    """

    text: str
    realism: Realism | None
    good: bool


def verdict(report: Report) -> Verdict:
    """How near the images are to real ones, and what is missing or copied."""
    if report.images < ENOUGH:
        return Verdict(f"Too few images for a verdict: {report.images:,} were compared, and it takes {ENOUGH:,}.", None, False)
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
    """How far the Fréchet distance lies above its floor.

    Half the mean square distance between two real images is what the Fréchet distance is between them and one point in their middle:
    a measure that holds for every data set and every feature network.
    """
    point = report["diversity"].floor ** 2 / 2
    share = (report["fd"].value - report["fd"].floor) / max(point, 1e-12)
    return next((realism for most, realism in LEVELS if share <= most), Realism.FAR)


def _listed(names: tuple[str, ...], most: int = 4) -> str:
    """ "3, 8 and 9"; of many the first."""
    shown = [*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
