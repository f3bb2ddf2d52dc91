"""The states of a run."""

from enum import StrEnum


class RunState(StrEnum):
    """What a run is doing. status.json and the page's stream contain the value."""

    QUEUED = "queued"  # waits for its turn
    PREPARING = "preparing"  # loads its data
    RUNNING = "running"
    PAUSED = "paused"  # its networks wait in memory
    STOPPED = "stopped"  # stopped before its end; it can be resumed
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"  # its process ended while it was at work

    @property
    def shown(self) -> str:
        """The word for it on pages."""
        return "training" if self is RunState.RUNNING else self.value


AT_WORK = frozenset({RunState.QUEUED, RunState.PREPARING, RunState.RUNNING, RunState.PAUSED})
AT_REST = frozenset(RunState) - AT_WORK
ENDED = AT_REST - {RunState.INTERRUPTED}  # deleted by a process that could still report it
