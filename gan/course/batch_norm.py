"""The lesson "What batch normalization does": the same latent vector in different batches, and in eval mode."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gan.course.lesson import Evidence, Goal, Lesson, Source
from gan.untrusted import is_number

VISIBLE = 0.05  # mean difference per pixel, as a share of the range from black to white: from here on, two digits look different
FAR = 0.5  # standard deviations between a channel's mean in the batch and its average from training; a mixed batch stays below 0.3
MOVED = 0.5  # how far the companions must move, as a share of the path between their two groups


class Aim(StrEnum):
    """The goals, by their stored names."""

    DIFFERENT = "different"
    CHANNEL = "channel"
    INDEPENDENT = "independent"


@dataclass(frozen=True)
class Report:
    """The figure's report, sent when its companions come to rest or a channel is chosen.

    Attributes:
        trains: whether the generator is in training mode.
        moved: how far the companions have moved since the vector, their groups or the mode were chosen, as a share of the path, 0 to 1.
        difference: the largest mean difference per pixel among the vector's images on that path, as a share of the range from black to white.
        shift: how far the chosen channel's batch mean is from its average from training, in standard deviations from training.
    """

    trains: bool
    moved: float
    difference: float
    shift: float

    @classmethod
    def read(cls, report: Mapping[str, Any]) -> "Report | None":
        """The report, or None if the browser sent something else."""
        trains, values = report.get("trains"), [report.get(name) for name in ("moved", "difference", "shift")]
        if not isinstance(trains, bool) or not all(is_number(value) and value >= 0 for value in values):
            return None
        moved, difference, shift = (float(value) for value in values if value is not None)
        return cls(trains, moved, difference, shift) if moved <= 1 and difference <= 1 else None


def _is_different(evidence: Evidence) -> bool:
    report = Report.read(evidence.report)
    return report is not None and report.trains and report.moved > 0 and report.difference >= VISIBLE


def _is_far(evidence: Evidence) -> bool:
    report = Report.read(evidence.report)
    return report is not None and report.shift >= FAR


def _is_independent(evidence: Evidence) -> bool:
    report = Report.read(evidence.report)
    if report is None or Aim.DIFFERENT not in evidence.met:
        return False
    return not report.trains and report.moved >= MOVED and report.difference == 0


BATCH_NORM = Lesson(
    id="batch-norm",
    title="What batch normalization does",
    minutes=5,
    text=(
        "A generator draws a **batch** of images at once, and each of its layers holds channels, maps of numbers, for each image. "
        "Between the layers, **batch normalization** keeps these numbers in a useful range. "
        "For each channel it takes the mean μ and the variance σ² over the whole batch, subtracts μ, divides by σ, "
        "then scales and shifts with two learned numbers, γ and β. "
        "So an image depends on its **companions**: the other latent vectors that happen to be in its batch.\n\n"
        "During training, that is a useful kind of noise. Afterward, a vector should always give the same image. "
        "So in **eval mode** the layer uses averages of μ and σ² that it collected while training. "
        "The generator below drew the fakes in the last round of *Real or fake?* Here it runs in your browser."
    ),
    to_try="Drag the Companions slider from end to end and watch the framed digit: its own latent vector never changes.",
    goals=(
        Goal(Aim.DIFFERENT, "Make one vector draw two visibly different images: change only its companions.", _is_different),
        Goal(
            Aim.CHANNEL,
            "Choose a channel whose bar reaches the dashed line: its batch mean is at least half a standard deviation from its average.",
            _is_far,
        ),
        Goal(Aim.INDEPENDENT, "Now make the image independent of its companions, and move them to check.", _is_independent),
    ),
    sources=(
        Source("Ioffe and Szegedy 2015, Batch normalization (section 3)", "https://arxiv.org/abs/1502.03167"),
        Source("Radford et al. 2015, DCGAN: batch normalization in both networks (section 3)", "https://arxiv.org/abs/1511.06434"),
        Source("Salimans et al. 2016, Virtual batch normalization (section 3.5)", "https://arxiv.org/abs/1606.03498"),
    ),
)
