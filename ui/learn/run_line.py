"""Runs of lessons: starts one, and shows its state in a few words."""

from contextlib import suppress

from gan.config import TrainConfig
from gan.owners import Visitor
from gan.recipes import DEFAULT
from gan.runs.run import Run
from gan.runs.states import RunState
from ui.train.queue import about
from ui.workshop import manager


def begin(config: TrainConfig, name: str, who: Visitor) -> None:
    """Starts a run in the visitor's name, no longer than this server allows.

    name: what it is called.

    Raises:
        ValueError, OSError: see RunManager.submit(), or it cannot be named.
    """
    made = manager().submit(manager().shorten(config, who), DEFAULT, who)
    with suppress(KeyError):  # deleted already, say by the host: it needs no name
        manager().rename(made.id, name, who)


def run_line(run: Run) -> str:
    """Its state and step, or when it starts."""
    if run.state is not RunState.QUEUED:
        return f"{run.state.shown}, step {run.status().step:,}"
    position, starts_in_s = manager().place(run)
    if not position:
        return "starts now"
    return f"number {position} in the queue" + ("" if starts_in_s is None else f", starts in {about(starts_in_s)}")
