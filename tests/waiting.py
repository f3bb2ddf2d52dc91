"""Waiting for what another thread does."""

import threading
import time
from collections.abc import Callable
from typing import Any

from gan.runs.run import Run


def wait_for(condition: Callable[..., Any], timeout_s: float = 120.0) -> None:
    """Waits until a condition holds; a test that waits in vain fails here."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def ended(run: Run) -> Callable[..., Any]:
    return lambda: not run.at_work


def threads(name: str) -> list[str]:
    """The names of living threads that begin with this name."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(name)]
