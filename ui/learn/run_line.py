"""A run's state in a few words, as lessons show it."""

from gan.runs.run import Run
from gan.runs.states import RunState
from ui.train.queue import about
from ui.workshop import manager


def run_line(run: Run) -> str:
    """Its state and step, or when it starts."""
    if run.state is not RunState.QUEUED:
        return f"{run.state}, step {run.status().step:,}"
    position, starts_in_s = manager().place(run)
    if not position:
        return "starts now"
    return f"number {position} in the queue" + ("" if starts_in_s is None else f", starts in {about(starts_in_s)}")
