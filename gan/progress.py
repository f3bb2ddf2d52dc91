"""Long work on a terminal: drains a generator of Progress behind a bar; output that survives a closed terminal."""

import logging
import os
import sys
from collections.abc import Generator
from typing import Any, TypeVar

import click
from tqdm import tqdm

from gan.events import Progress

T = TypeVar("T")
log = logging.getLogger(__name__)


def drain(work: Generator[Progress, None, T], quiet: bool = False) -> T:
    """Drains a generator and shows a bar on standard error if that is a terminal. Returns what the generator returns."""
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


class Lasting:
    """A stream that ignores writes to a closed terminal or pipe, so they cannot stop a run from being saved."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return int(self._stream.write(text))
        except OSError as error:
            log.debug("the terminal is gone: %s", error)
            return 0

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            log.debug("the terminal is gone: %s", error)


def say(text: str, err: bool = True) -> None:
    """Prints a line, if anyone can still read it."""
    try:
        click.echo(text, err=err)
    except OSError as error:
        log.debug("the terminal is gone: %s", error)


def let_go() -> None:
    """From here on, closed output is discarded: its buffered rest would end the process with another exit status."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            log.debug("the terminal is gone: %s", error)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
