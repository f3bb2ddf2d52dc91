"""Examines each run every few seconds while it trains, whether or not anyone has its page open.

A run keeps its state when a finding begins (RunFolder.troubles), so someone must look for findings while it trains. The Train page does,
but only while it is open. A run with the setting `stop_when_finished` is stopped here when it has stopped improving.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Self

from gan.doctor.checkup import Checkups
from gan.doctor.diagnosis import Finding
from gan.networks.generator_file import CheckpointError
from gan.runs.run import Run
from gan.runs.states import RunState

log = logging.getLogger(__name__)

EVERY_S = 5.0  # between two rounds: a finding needs a few hundred steps anyway
ENOUGH = "The images have stopped improving, so the run stopped, as its settings ask. Resume it to train longer."
REST = 250  # pause after a round, as a multiple of its duration: at most 0.4 percent of one core


def _has_finished(run: Run, findings: Iterable[Finding]) -> bool:
    """Whether a run has stopped improving since it was started or resumed. A finding from before a resume does not count."""
    return any(finding.key == "finished" and finding.found > run.began_step and not finding.recovering for finding in findings)


class Rounds:
    """A thread that examines runs. Use it in a `with` statement: the thread ends with the block.

    It has the usual priority: most of its work holds Python's global lock, and a thread of low priority would hold it for longer.
    """

    def __init__(self, checkups: Checkups, runs: Callable[[], Iterable[Run]], stop: Callable[[Run, str], None] = Run.stop) -> None:
        """
        Args:
            runs: returns the active runs.
            stop: stops a run and gives it the reason, one sentence.
        """
        self._checkups, self._runs, self._stop = checkups, runs, stop
        self._said: dict[str, str] = {}  # the last error of each active run that could not be examined
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="rounds", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the thread, and waits for it: a round takes a fraction of a second."""
        self._closing.set()
        self._thread.join()

    def once(self) -> None:
        """Examines each run that is training and was not examined in the last few seconds. A run that cannot be examined delays no other."""
        runs = list(self._runs())
        self._said = {run.id: self._said[run.id] for run in runs if run.id in self._said}
        for run in runs:
            if self._closing.is_set():
                return
            try:
                self._examine(run)
            except CheckpointError as error:  # its settings cannot be read: the page says so
                log.debug("the run %s cannot be examined: %s", run.id, error)
            except Exception as error:  # files that anyone may have edited, or that were deleted meanwhile
                message = f"{type(error).__name__}: {error}"
                if self._said.get(run.id) != message:  # the next rounds fail in the same way
                    self._said[run.id] = message
                    log.exception("the doctor could not examine the run %s", run.id)

    def _examine(self, run: Run) -> None:
        if run.state is not RunState.RUNNING:
            return
        checkup = self._checkups.of(run)
        if not checkup.fresh:
            found = checkup.findings()
            if run.config.stop_when_finished and _has_finished(run, found):
                self._stop(run, ENOUGH)

    def _work(self) -> None:
        rest_s = EVERY_S
        while not self._closing.wait(rest_s):
            began = time.thread_time()
            try:
                self.once()
            except Exception:  # an error must not end the thread; the next round may succeed
                log.exception("the doctor's rounds failed")
            rest_s = max(EVERY_S, REST * (time.thread_time() - began))
