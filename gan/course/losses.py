"""The lesson "What the losses say": from the value function to cross entropy, and distances between two densities."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gan.course.lesson import Evidence, Goal, Lesson, Source
from gan.untrusted import is_number

NONE = 0.002  # nats: below this, the densities count as equal
FLAT = 0.685  # nats: from here on, the Jensen-Shannon divergence reads 0.69 and counts as ln 2 = 0.693
FURTHER = 0.5  # growth that the Wasserstein distance must show meanwhile
SURE = 0.05  # D(G(z)): below this, D is sure and the minimax loss stalls


class Aim(StrEnum):
    """The goals, by their stored names."""

    EQUAL = "equal"
    FLAT = "flat"
    STALL = "stall"


@dataclass(frozen=True)
class Report:
    """The figure's report when a drag ends.

    Attributes:
        js: the Jensen-Shannon divergence of the densities, in nats.
        w: their Wasserstein distance.
        dial: D(G(z)) on the dial.
        js_before, w_before: the same at the end of the previous drag.
    """

    js: float
    w: float
    dial: float
    js_before: float
    w_before: float

    @classmethod
    def read(cls, report: Mapping[str, Any]) -> "Report | None":
        """The report, or None if the browser sent something else."""
        values: list[Any] = [report.get(name) for name in cls.__dataclass_fields__]
        return cls(*(float(value) for value in values)) if all(is_number(value) for value in values) else None


def _is_equal(evidence: Evidence) -> bool:
    report = Report.read(evidence.report)
    return report is not None and 0 <= report.js < NONE


def _is_flat(evidence: Evidence) -> bool:
    report = Report.read(evidence.report)
    if report is None:
        return False
    return all(FLAT <= js <= math.log(2) + 1e-6 for js in (report.js, report.js_before)) and report.w >= report.w_before + FURTHER


def _is_stalled(evidence: Evidence) -> bool:
    report = Report.read(evidence.report)
    return report is not None and 0 < report.dial < SURE


LOSSES = Lesson(
    id="losses",
    title="What the losses say",
    minutes=5,
    text=(
        "A **loss** says how badly a network does, and training makes it smaller. "
        "Here an image is one number: real ones have the blue density p, generated ones the orange density q. "
        "The best discriminator is D* = p / (p + q), the black curve: 1 where there are only real values, "
        "and ½ where both are equally likely. "
        "The value V(D*, G) is this discriminator's loss with the opposite sign: −1.386 (−2 ln 2) if the densities are equal, and 0 if they are "
        "far apart. Half of its distance above −1.386 is the **Jensen-Shannon divergence**.\n\n"
        "Once the densities no longer overlap, this divergence stays at 0.693 (ln 2) and does not tell G which way to go. "
        "The **Wasserstein distance** keeps growing. "
        "There are two losses for G. If D is sure that an image is fake, the minimax loss teaches G almost nothing, and the non-saturating loss "
        "teaches it a lot."
    ),
    to_try="Drag the orange density over the blue one, or use the sliders. Watch D*, V(D*, G), and both distances.",
    goals=(
        Goal(Aim.EQUAL, "Make D* answer ½ everywhere: V(D*, G) = −2 ln 2.", _is_equal),
        Goal(
            Aim.FLAT,
            "Drag the densities apart until Jensen-Shannon reads 0.69. Let go, then drag further: only Wasserstein grows.",
            _is_flat,
        ),
        Goal(Aim.STALL, f"Move the slider D(G(z)) below {SURE} and compare the slopes: the minimax loss stalls.", _is_stalled),
    ),
    sources=(
        Source("Goodfellow et al. 2014, Generative Adversarial Networks (section 4.1)", "https://arxiv.org/abs/1406.2661"),
        Source("Arjovsky et al. 2017, Wasserstein GAN (section 2)", "https://arxiv.org/abs/1701.07875"),
    ),
)
