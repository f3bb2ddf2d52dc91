"""The lesson "What the losses say": from the value function to cross entropy, and distances between two densities."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gan.course.lesson import Evidence, Goal, Lesson, Source
from gan.untrusted import is_number

NONE = 0.002  # nats: below it the densities are the same
FLAT = 0.69  # nats: above it the Jensen-Shannon divergence has reached ln 2 = 0.693
FURTHER = 0.5  # that the Wasserstein distance must grow by meanwhile
SURE = 0.05  # D(G(z)): below it D is sure, and the minimax loss stalls


class Aim(StrEnum):
    """The goals, as they are stored."""

    EQUAL = "equal"
    FLAT = "flat"
    STALL = "stall"


@dataclass(frozen=True)
class Report:
    """What the figure says when a hand comes to rest.

    Attributes:
        js: the Jensen-Shannon divergence of the densities, in nats.
        w: their Wasserstein distance.
        dial: D(G(z)) on the dial.
        js_before, w_before: the same, when a hand last rested before.
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
    minutes=6,
    text=(
        "On this line the real values have the blue density p, and the generated ones the orange density q. "
        "The best discriminator is D* = p / (p + q): the black curve. "
        "Where only real values lie it answers 1, and where both are equally likely ½. "
        "What the best discriminator reaches, V(D*, G), measures how different the densities are: "
        "it is −2 ln 2 plus twice the **Jensen-Shannon divergence**.\n\n"
        "That divergence is at most ln 2. Once the densities no longer overlap it stays there, and does not say which way G should go. "
        "The **Wasserstein distance** keeps growing with the distance."
    ),
    to_try="Drag the orange density over the blue one, or use the sliders. Watch D*, V(D*, G), and both distances.",
    goals=(
        Goal(Aim.EQUAL, "Make D* answer ½ everywhere: V(D*, G) = −2 ln 2.", _is_equal),
        Goal(Aim.FLAT, "Drive the densities apart until Jensen-Shannon is flat, then further: only Wasserstein grows.", _is_flat),
        Goal(Aim.STALL, f"Set D(G(z)) below {SURE} and compare the slopes: the minimax loss stalls.", _is_stalled),
    ),
    sources=(
        Source("Goodfellow et al. 2014, Generative Adversarial Networks (section 4.1)", "https://arxiv.org/abs/1406.2661"),
        Source("Arjovsky et al. 2017, Wasserstein GAN (section 2)", "https://arxiv.org/abs/1701.07875"),
    ),
)
