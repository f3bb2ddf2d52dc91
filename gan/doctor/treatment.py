"""Whether a change that was made while something was wrong has helped. Pure: no files, no pages."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from gan.config import TrainConfig
from gan.doctor.diagnosis import Case, Finding, Row, examine, findings
from gan.doctor.rules import FIGURES
from gan.doctor.summary import FARTHER, NEARER
from gan.events import Intervention
from gan.networks.generator_file import LARGEST_STEP
from gan.untrusted import is_whole

WATCH_STEPS = 150  # most rules see within this many steps that their figures are healthy again
NAMES = {"gap": "gap between D's answers", "lead": "D's lead"}  # short names of figures


class Outcome(StrEnum):
    """What is known about a change's effect."""

    WATCHING = "watching"
    HELPED = "helped"
    FAILED = "did not help"


@dataclass(frozen=True)
class Before:
    """A run at the moment of the last change of its settings.

    Attributes:
        changes: the changes, all after the same step.
        case: the figures until then.
        finding: the worst finding at that time.
    """

    changes: tuple[Intervention, ...]
    case: Case
    finding: Finding

    @property
    def step(self) -> int:
        return self.changes[0].step


@dataclass(frozen=True)
class Treatment:
    """A change that was made while something was wrong, and its effect.

    Attributes:
        step: the change was made after this step.
        until: the step from which on its effect can be seen.
        changes: the settings.
        finding: the key of the worst finding at that time.
        outcome: what is known so far.
        text: the same in words.
    """

    step: int
    until: int
    changes: tuple[Intervention, ...]
    finding: str
    outcome: Outcome
    text: str


def applied(step: int, config: TrainConfig) -> str:
    """The sentence about a change after this step, until its effect can be seen. It never names a step after the run's end."""
    until = step + WATCH_STEPS
    if config.duration_unit == "steps" and until >= config.duration:
        return f"Applied at step {step:,}. Watch until the end of the run."
    return f"Applied at step {step:,}. Watch until step {until:,}."


def before_last_change(
    config: TrainConfig, metrics: Sequence[Row], norms: Sequence[Row], judged: Sequence[Row], interventions: Sequence[Intervention]
) -> Before | None:
    """The run at the last change of its settings; None if nothing was changed, or nothing was wrong."""
    lasting = lasting_changes(interventions)
    if not lasting:
        return None
    step = lasting[-1].step
    changes = tuple(change for change in lasting if change.step == step)
    try:
        earlier = config.change(**{change.field: change.old for change in reversed(changes)})
    except ValueError:  # a damaged line
        return None

    def until(rows: Sequence[Row]) -> list[Row]:
        return [row for row in rows if isinstance(row.get("step"), int) and row["step"] <= step]

    case = examine(earlier, until(metrics), until(norms), until(judged), [change for change in interventions if change.step < step])
    wrong = [finding for finding in findings(case) if finding.severity != "information" and not finding.recovering]
    return Before(changes, case, wrong[0]) if wrong else None


def changes_of_fork(parent: object) -> list[Intervention]:
    """What a fork changed of its parent's settings, as changes made at the step where it begins. parent: of its config.json."""
    if not isinstance(parent, dict) or not is_whole(parent.get("step"), LARGEST_STEP) or not isinstance(parent.get("settings"), dict):
        return []
    pairs = {
        name: pair for name, pair in parent["settings"].items() if name in TrainConfig.model_fields and not name.startswith("duration")
    }
    return [Intervention(parent["step"], name, *pair) for name, pair in pairs.items() if isinstance(pair, list) and len(pair) == 2]


def lasting_changes(interventions: Sequence[Intervention]) -> list[Intervention]:
    """The changes, without those of single steps, which freeze one network and release it afterward."""
    kept: list[Intervention] = []
    for change in interventions:
        last = kept[-1] if kept else None
        if last and change.field == last.field == "frozen" and change.new == last.old and change.step - last.step <= 1:
            kept.pop()
        else:
            kept.append(change)
    return kept


def treatment(before: Before, case: Case, found: Sequence[Finding], over: bool) -> Treatment:
    """The effect of a change.

    Args:
        before: the run at the change.
        case: the run's figures now.
        found: the findings now.
        over: whether the run has ended.
    """
    until = before.step + WATCH_STEPS
    now = next((finding for finding in found if finding.key == before.finding.key), None)
    ended = now is None or now.recovering
    was, fd = before.case.last("fd"), _fd_after(case, before.step)
    unscored = not (case.times["judged"] > before.step).any()
    by_scores = FIGURES[before.finding.evidence[0].figure].base == "judged"
    if over and (case.step < until or (by_scores and unscored)):
        outcome, text = Outcome.WATCHING, f"Applied at step {before.step:,}. The run ended too soon to say whether it helped."
    elif case.step < until:
        outcome, text = Outcome.WATCHING, applied(before.step, case.config)
    elif unscored and not over and (by_scores or not math.isnan(was)):
        outcome, text = Outcome.WATCHING, f"Applied at step {before.step:,}. Wait for the next score."
    elif math.isnan(was) or math.isnan(fd) or was <= 0:
        outcome = Outcome.HELPED if ended else Outcome.FAILED
        text = _figure(before, case)
    else:
        better, worse = fd < NEARER * was, fd > FARTHER * was
        outcome = Outcome.HELPED if better or (ended and not worse) else Outcome.FAILED
        # Where the images are about as good as before, it helped against what was found, and that figure says so.
        text = _figure(before, case) if ended and not (better or worse) else f"FD {was:.3g} → {fd:.3g}"
    if outcome is not Outcome.WATCHING:
        text = f"{'Helped' if outcome is Outcome.HELPED else 'Did not help'}: {text}."
    return Treatment(before.step, until, before.changes, before.finding.key, outcome, text)


def _fd_after(case: Case, step: int) -> float:
    """The newest Fréchet distance measured after a step; NaN if there is none."""
    later = case.values["fd"][case.times["judged"] > step]
    known = later[np.isfinite(later)]
    return float(known[-1]) if len(known) else math.nan


def _figure(before: Before, case: Case) -> str:
    """The finding's first figure, then and now."""
    name = before.finding.evidence[0].figure
    form = FIGURES[name].format
    was, now = before.case.last(name), case.last(name)
    said = NAMES.get(name) or FIGURES[name].text.partition(":")[0]
    return f"{said} {was:{form}} → {now:{form}}"
