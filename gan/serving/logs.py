"""Keeps logs bounded: a repeated line is counted instead of written."""

import logging
import threading
import time
from collections.abc import Callable

MOST_ALIKE = 10  # lines of one kind in a period
PERIOD_S = 60.0
MOST_KINDS = 500  # remembered


class Repeats(logging.Filter):
    """Lets ten lines of a kind through per minute; the next one says how many were left out.

    Lines are of one kind if they come from one logger with one message, whatever its arguments and its trace.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: returns seconds."""
        super().__init__()
        self._clock = clock
        self._kinds: dict[tuple[str, str], tuple[float, int]] = {}  # since when, and how many lines
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written. Adds the count to its message."""
        if getattr(record, "counted", None) is self:  # by this filter on another handler
            return bool(record.__dict__["passed"])
        kind, now = (record.name, str(record.msg).partition("\n")[0]), self._clock()
        with self._lock:
            since, count = self._kinds.get(kind, (now, 0))
            left_out = max(0, count - MOST_ALIKE)
            if now - since > PERIOD_S:
                since, count = now, 0
            else:
                left_out = 0
            self._kinds.pop(kind, None)
            self._kinds[kind] = (since, count + 1)  # after those that were seen before
            while len(self._kinds) > MOST_KINDS:
                del self._kinds[next(iter(self._kinds))]
        if left_out:
            record.msg = f"{record.msg!s} [{left_out:,} more like this]"
        record.counted, record.passed = self, count < MOST_ALIKE
        return count < MOST_ALIKE


def bound_logs() -> None:
    """Limits what every handler writes: the root's, and those of servers with their own."""
    repeats = Repeats()
    loggers = [logging.getLogger(), *(logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger))]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        if not any(isinstance(known, Repeats) for known in handler.filters):
            handler.addFilter(repeats)
