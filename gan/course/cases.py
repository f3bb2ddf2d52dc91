"""The cases of the lesson "What is wrong with it?": runs that were broken on purpose and recorded, and what the doctor finds in them.

`python -m benchmarks.clinic` records them again.
"""

import functools
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from gan.config import TrainConfig
from gan.doctor import diagnosis, summary
from gan.doctor.diagnosis import Case as Figures
from gan.doctor.diagnosis import Finding, examine
from gan.events import Intervention
from gan.recipes import DEFAULT, recipe
from gan.untrusted import read_json

FOLDER = Path(__file__).parent / "cases"  # per case, ID.json with its rows and ID.png with its grids, one below the other
SIDE = 6  # a grid has SIDE x SIDE images


class Trouble(StrEnum):
    """What can be wrong."""

    HEALTHY = "healthy"
    COLLAPSE = "collapse"
    D_WINS = "d-wins"
    G_WINS = "g-wins"
    MISSING = "missing"
    OVERFITTING = "overfitting"


# On screen, and the doctor's rule for it.
LABELS = {
    Trouble.HEALTHY: "Nothing, it is healthy",
    Trouble.COLLAPSE: "The generator has collapsed",
    Trouble.D_WINS: "The discriminator wins",
    Trouble.G_WINS: "The discriminator cannot tell real from generated",
    Trouble.MISSING: "Classes are missing",
    Trouble.OVERFITTING: "The discriminator memorizes its images",
}
RULES = {
    Trouble.COLLAPSE: "collapse",
    Trouble.D_WINS: "d-winning",
    Trouble.G_WINS: "g-winning",
    Trouble.MISSING: "classes-missing",
    Trouble.OVERFITTING: "d-overfitting",
}


@dataclass(frozen=True)
class Case:
    """A recorded run.

    Attributes:
        id: lower case. It is stored with the visitor's answers and in file names, and says nothing about the trouble.
        trouble: what is wrong with it.
        cause: what was done to it, one sentence.
        settings: those that differ from `quick-digits`.
        steps: how long it trained.
        changes: live settings that changed after step `changed_at`.
        classes: the digits that it was trained on; all if empty.
        images: how many training images it had; all if 0.
    """

    id: str
    trouble: Trouble
    cause: str
    settings: dict[str, Any] = field(default_factory=dict)
    steps: int = 600
    changes: dict[str, Any] = field(default_factory=dict)
    changed_at: int = 0
    classes: tuple[int, ...] = ()
    images: int = 0

    def config(self) -> TrainConfig:
        """Its settings at the start."""
        return recipe(DEFAULT).config.change(duration=self.steps, duration_unit="steps", seed=100, **self.settings)


@dataclass(frozen=True)
class Recording:
    """What was recorded of a run.

    Attributes:
        grids: the steps of its grids.
        metrics, norms, judged: rows as in a run's folder; norms hold one total per network.
        interventions: the changes of its settings.
    """

    grids: list[int]
    metrics: list[dict[str, Any]]
    norms: list[dict[str, Any]]
    judged: list[dict[str, Any]]
    interventions: list[dict[str, Any]]


CASES: dict[str, Case] = {
    case.id: case
    for case in (
        Case(
            "case-1",
            Trouble.D_WINS,
            "From step 300 on, G's learning rate was a ten-thousandth of D's: G hardly learned.",
            steps=700,
            changes={"lr_g": 2e-7},
            changed_at=300,
        ),
        Case("case-2", Trouble.HEALTHY, "Nobody changed anything: these are the settings of quick-digits."),
        Case(
            "case-3",
            Trouble.COLLAPSE,
            "G learned 25 times as fast as D, and Adam's momentum was 0.9 instead of 0.5.",
            {"lr_g": 0.01, "lr_d": 4e-4, "beta1_g": 0.9, "beta1_d": 0.9},
            steps=450,
        ),
        Case("case-4", Trouble.MISSING, "It was trained on only three digits: 1, 3 and 7.", classes=(1, 3, 7)),
        Case(
            "case-5",
            Trouble.G_WINS,
            "From step 300 on, half of the discriminator's labels were flipped.",
            changes={"label_flips": 0.5},
            changed_at=300,
        ),
        Case("case-6", Trouble.OVERFITTING, "It was trained on only 200 images.", steps=700, images=200),
    )
}


def recording(case_id: str) -> Recording:
    """What was recorded of a case.

    Raises:
        KeyError: there is no such case.
        ValueError, OSError: its file cannot be used.
    """
    name = f"{CASES[case_id].id}.json"
    try:
        return Recording(**read_json(FOLDER / name))
    except TypeError as error:
        raise ValueError(f"{name} is not the recording of a run: {error}") from None


@functools.cache
def _examined(case_id: str) -> tuple[Figures, tuple[Finding, ...]]:
    case, recorded = CASES[case_id], recording(case_id)
    try:
        changes = [Intervention(**change) for change in recorded.interventions]
        figures = examine(case.config().change(**case.changes), recorded.metrics, recorded.norms, recorded.judged, changes)
        return figures, tuple(found for found in diagnosis.findings(figures) if found.severity != "information")
    except (TypeError, AttributeError, LookupError) as error:  # rows that are no rows
        raise ValueError(f"{case.id}.json is not the recording of a run: {error!r}") from None


def findings(case_id: str) -> tuple[Finding, ...]:
    """What the doctor finds at the end of a case, the worst first; empty if it is healthy.

    Raises:
        KeyError: there is no such case.
        ValueError, OSError: its file cannot be used.
    """
    return _examined(case_id)[1]


def what_you_see(case_id: str) -> str:
    """What a case's curves show at its end, in a sentence or two.

    Raises:
        KeyError: there is no such case.
        ValueError, OSError: its file cannot be used.
    """
    return summary.what_you_see(_examined(case_id)[0])
