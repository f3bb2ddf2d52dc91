"""The lesson "The game on a plane": a GAN for points with two coordinates."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gan.course.lesson import Evidence, Goal, Lesson, Source
from gan.untrusted import is_whole

FEW = 2  # modes: with at most these, the game is broken
SETTLED = 2000  # steps: before this, few modes are normal


class Aim(StrEnum):
    """The goals, by their stored names."""

    ALL = "all"
    BROKEN = "broken"
    FIXED = "fixed"


@dataclass(frozen=True)
class Report:
    """The figure's report on its game.

    Attributes:
        found: modes of the data that the generator reaches.
        modes: modes of the data.
        steps: of the game, since its networks were made.
        treated: whether a setting changed after this very game had collapsed.
    """

    found: int
    modes: int
    steps: int
    treated: bool

    @classmethod
    def read(cls, report: Mapping[str, Any]) -> "Report | None":
        """The report, or None if the browser sent something else."""
        found, modes, steps = (_count(report.get(name)) for name in ("found", "modes", "steps"))
        return cls(found, modes, steps, report.get("treated") is True) if 0 <= found <= modes and steps >= 0 else None


def _count(value: Any) -> int:
    """A whole number, or -1 for anything else."""
    return int(value) if is_whole(value) else -1


def _is_whole_ring(evidence: Evidence) -> bool:
    report = Report.read(evidence.report)
    return report is not None and report.found == report.modes == 8


def _is_broken(evidence: Evidence) -> bool:
    report = Report.read(evidence.report)
    return report is not None and Aim.ALL in evidence.met and report.modes == 8 and report.found <= FEW and report.steps >= SETTLED


def _is_fixed(evidence: Evidence) -> bool:
    report = Report.read(evidence.report)
    return report is not None and Aim.BROKEN in evidence.met and report.treated and _is_whole_ring(evidence)


PLANE = Lesson(
    id="plane",
    title="The game on a plane",
    minutes=6,
    text=(
        "Here an image is only two numbers, a point on a plane: the real points lie in eight clusters on a ring, the **modes** of the data. "
        "The **generator** G turns random numbers, the latent vectors, into points. "
        "The **discriminator** D sees a point and says how likely it is to be real: blue where it says real, orange where it says generated. "
        "D learns to tell the two apart; then G moves its points to where D says real. "
        "The grid shows where G takes all latent vectors, and each arrow where G wants a point to go.\n\n"
        "Nobody tells G to reach all modes. If it learns faster than D, all its points run to one mode, D learns that this mode is fake, "
        "and they run on to the next. This is **mode collapse**. If both learn equally fast, the chase slows down. "
        "The penalties R1 and R2 keep D's answers from changing too steeply, so G's points spread out and stay."
    ),
    to_try="Press Step D a few times and watch the colors, then Step G and watch the points follow the arrows. Then press Run.",
    goals=(
        Goal(Aim.ALL, "Reach all 8 modes of the ring, and hold them for a moment.", _is_whole_ring),
        Goal(Aim.BROKEN, f"Break it: at most {FEW} modes after {SETTLED:,} steps. The preset Collapse is one way.", _is_broken),
        Goal(
            Aim.FIXED,
            "Fix the broken game: press a cure or change a setting, then reach and hold all 8 modes. One of the two cures works better.",
            _is_fixed,
        ),
    ),
    sources=(
        Source("Goodfellow et al. 2014, Generative Adversarial Networks", "https://arxiv.org/abs/1406.2661"),
        Source("Kahng et al. 2019, GAN Lab", "https://poloclub.github.io/ganlab/"),
        Source("Lin et al. 2018, PacGAN: modes and packing (section 4.1)", "https://arxiv.org/abs/1712.04086"),
        Source("Huang et al. 2024, R3GAN: the relativistic loss with R1 and R2", "https://arxiv.org/abs/2501.05441"),
    ),
)
