"""The doctor's findings for a run, from what its folder holds: computed once for everyone who looks at the run."""

import math
import threading
import time
from pathlib import Path
from typing import Any

from gan.doctor.diagnosis import Finding, examine, findings, total_norm
from gan.doctor.summary import Outlook, Verdict, verdict, what_you_see
from gan.doctor.treatment import Before, Treatment, before_last_change, changes_of_fork, treatment
from gan.events import Intervention
from gan.lru import Lru
from gan.recipes import RECIPES
from gan.runs.run import Run
from gan.runs.states import AT_WORK

MOST_ROWS = 4000  # of a history; a longer one is thinned
MOST_RUNS = 200  # to remember
FRESH_S = 3.0  # how long an answer is reused: checking a long run takes 50 ms, and forty people may be looking


class Checkup:
    """One run's findings. Safe to use from any thread.

    Attributes:
        judged: whether the run has scores.
        verdict: the run's state of health in one line.
        what_you_see: what its curves show now, in a sentence or two; empty before there is anything to see.
        states: the steps from which a fork can begin.
        treatment: what became of the last change of settings, if something was wrong when it was made.
        version: rises whenever the findings or their numbers as text change; 0 before the first check.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._norms: list[dict[str, Any]] = []  # one total per network: whole rows would be megabytes an hour
        self._offset = 0
        self._looked = -math.inf
        self._stamp: object = None  # of the files that were looked at; None while the run trains in this process
        self._findings: list[Finding] = []
        self._told: object = None
        self.judged: bool = False
        self.verdict = Verdict(Outlook.TOO_EARLY, "Not checked yet")
        self.what_you_see = ""
        self.states: list[int] = []
        self.treatment: Treatment | None = None
        self._before: tuple[object, Before | None] = (None, None)  # the run when its settings were changed last; for which changes
        self.version = 0

    @property
    def fresh(self) -> bool:
        """Whether findings() still reuses its last answer: it is recent, or the run's files are the same."""
        return time.monotonic() - self._looked < FRESH_S or (self._stamp is not None and self._stamp == self._files())

    def look_again(self) -> None:
        """The next findings() examines the run even if it was examined a moment ago: someone changed its settings."""
        self._looked, self._stamp = -math.inf, None

    def _files(self) -> object:
        """What changes with the files of a run that is at rest here; None while it trains in this process, ahead of its files."""
        if self._run.at_work:
            return None
        folder = self._run.folder
        logs = (folder.metrics_file, folder.norms_file, folder.judge_file, folder.interventions_file)
        return [_stamp(path) for path in (folder.config_file, folder.status_file, *logs)]

    def findings(self) -> list[Finding]:
        """What is wrong with the run now; see gan.doctor.diagnosis.diagnose().

        Raises:
            CheckpointError: the run's settings cannot be read.
        """
        with self._lock:
            if not self.fresh:
                files = self._files()  # before they are read
                self._findings = self._look()
                self._stamp, self._looked = files, time.monotonic()
                told = (
                    self.judged,
                    self.verdict.text,
                    self.what_you_see,
                    self.treatment and self.treatment.text,
                    self.states,
                    [(f.key, f.began, f.recovering, [e.shown for e in f.evidence], f.remedies) for f in self._findings],
                )
                if told != self._told:
                    self._told = told
                    self.version += 1
            return self._findings

    def _look(self) -> list[Finding]:
        run = self._run
        columns = run.history.since(0, MOST_ROWS)
        metrics = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        last = metrics[-1]["step"] if metrics else 0
        if self._norms and self._norms[-1]["step"] > last:  # the run was resumed from before
            self._norms, self._offset = [], 0
        rows, self._offset = run.folder.norms_since(self._offset)
        for row in rows:
            self._norms.append({"step": row["step"], "gradients": {n: {"all": total_norm(g)} for n, g in row["gradients"].items()}})
        judged = run.folder.read_judged()
        self.judged = bool(judged)
        changes = [Intervention(**change) for change in run.interventions]
        status = run.status()
        config = run.config_in_force  # a pending change has no step yet, so the figures before it would seem to have been made with it
        case = examine(config, metrics, self._norms, judged, changes)
        recipe = RECIPES.get(run.stored.recipe)
        found = findings(case, str(status.error or ""), recipe.config if recipe else None)
        run.folder.troubles = frozenset(finding.began for finding in found if finding.severity != "information")
        self.states = run.folder.fork_steps()
        over = run.state not in AT_WORK
        made = sorted([*changes_of_fork(run.stored.parent), *changes], key=lambda change: change.step)
        if self._before[0] != made:
            self._before = made, before_last_change(config, metrics, self._norms, judged, made)
        before = self._before[1]
        self.treatment = treatment(before, case, found, over) if before else None
        if over:  # lists of runs ask for many that have ended
            self._norms, self._offset = [], 0
        self.verdict, self.what_you_see = verdict(case, found, over, status.step), what_you_see(case)
        return found


def _stamp(path: Path) -> tuple[int, int]:
    """When a file was written last, and its size; zeros if there is none."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


class Checkups:
    """The checkups of the runs that were looked at last. Safe to use from any thread."""

    def __init__(self) -> None:
        self._known: Lru[Run, Checkup] = Lru(MOST_RUNS)

    def of(self, run: Run) -> Checkup:
        """A run's checkup."""
        self._known.drop(lambda other: other.id == run.id and other is not run)  # the manager has read the run again
        return self._known.load(run, lambda: Checkup(run))
