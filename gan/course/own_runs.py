"""A visitor's own runs as goals see them: read from what the app records anyway, and only when a goal asks."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from gan.config import TrainConfig
from gan.doctor.checkup import Checkups
from gan.doctor.treatment import Treatment
from gan.events import Intervention
from gan.judging.judgements import Judgement
from gan.networks.generator_file import CheckpointError
from gan.runs.run import Run
from gan.runs.states import RunState

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checked:
    """What the doctor makes of a run.

    Attributes:
        findings: the keys of what is wrong now. What is getting better and what is only information does not count.
        treatment: what became of the last change that was made while something was wrong.
    """

    findings: frozenset[str] = frozenset()
    treatment: Treatment | None = None


@dataclass(frozen=True)
class OwnRun:
    """One of the visitor's runs. Its files are untrusted: what cannot be read is missing.

    Attributes:
        id: of the run.
        config: its settings when it began; for a fork, with what the fork changed.
        state: what it is doing.
        step: how far it is.
        changes: those of live settings; a fork's include its parent's.
        parent: the id of the run that it was forked from; empty if it was not.
        check: asks the doctor, which may read the run's logs.
        read_scores: reads the run's scores.
    """

    id: str
    config: TrainConfig
    state: RunState
    step: int = 0
    changes: tuple[Intervention, ...] = ()
    parent: str = ""
    check: Callable[[], Checked] = Checked
    read_scores: Callable[[], tuple[Judgement, ...]] = tuple

    @cached_property
    def checked(self) -> Checked:
        """What the doctor makes of it now."""
        return self.check()

    @cached_property
    def scores(self) -> tuple[Judgement, ...]:
        """The scores of its images, in the order of their steps."""
        return self.read_scores()


def own_runs(runs: Iterable[Run], visitor_id: str, checkups: Checkups) -> tuple[OwnRun, ...]:
    """The visitor's runs among some, in their order. A stranger has none; runs whose settings cannot be read are left out."""
    if not visitor_id:
        return ()
    found = []
    for run in runs:
        try:
            if run.owner_id == visitor_id:
                found.append(own_run(run, checkups))
        except CheckpointError as error:
            log.debug("the run %s does not count for goals: %s", run.id, error)
    return tuple(found)


def own_run(run: Run, checkups: Checkups) -> OwnRun:
    """A run as goals see it.

    Raises:
        CheckpointError: its settings cannot be read.
    """
    parent = (run.stored.parent or {}).get("run")
    return OwnRun(
        run.id,
        run.config,
        run.state,
        run.status().step,
        tuple(Intervention(**change) for change in run.interventions),
        parent if isinstance(parent, str) else "",
        lambda: _check(run, checkups),
        lambda: tuple(run.folder.read_judged()),
    )


def _check(run: Run, checkups: Checkups) -> Checked:
    checkup = checkups.of(run)
    try:
        found = checkup.findings()
    except CheckpointError as error:
        log.debug("the doctor cannot examine the run %s: %s", run.id, error)
        return Checked()
    wrong = frozenset(finding.key for finding in found if finding.severity != "information" and not finding.recovering)
    return Checked(wrong, checkup.treatment)
