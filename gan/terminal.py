"""Work that takes a while, on a terminal: a generator of Progress drained behind a bar."""

from collections.abc import Generator
from typing import TypeVar

from tqdm import tqdm

from gan.events import Progress

T = TypeVar("T")


def drain(work: Generator[Progress, None, T], quiet: bool = False) -> T:
    """Drains a generator behind a bar on standard error, where that is a terminal; returns what it returns."""
    with tqdm(disable=True if quiet else None, leave=False, unit="", unit_scale=True) as bar:
        while True:
            try:
                event = next(work)
            except StopIteration as stop:
                result: T = stop.value
                return result
            bar.set_description(event.task, refresh=False)
            bar.total, bar.n = event.total or None, event.done
            bar.refresh()
