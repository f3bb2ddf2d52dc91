"""A limit on the memory that several threads take at once. Knows nothing about how they use it."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """A number of bytes, lent in order: a request that does not fit waits, and later requests wait behind it."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.taken = 0  # bytes lent now
        self.peak = 0  # the most bytes lent at a time
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def take(self, size: int) -> Iterator[None]:
        """Holds `size` bytes while the block runs. Never call it twice in one thread: two such threads can deadlock.

        Raises:
            ValueError: it is more than the whole budget.
        """
        if size > self.total:
            raise ValueError(f"{size} bytes exceed the budget of {self.total} bytes")
        me = object()
        with self._changed:
            self._waiting.append(me)
            self._changed.wait_for(lambda: self._waiting[0] is me and self.taken + size <= self.total)
            self._waiting.popleft()
            self.taken += size
            self.peak = max(self.peak, self.taken)
            self._changed.notify_all()  # the next request may fit, too
        try:
            yield
        finally:
            with self._changed:
                self.taken -= size
                self._changed.notify_all()
