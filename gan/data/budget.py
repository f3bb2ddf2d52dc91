"""A bound on the memory that several threads take at once. Knows nothing about what they do with it."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """So many bytes, lent out in turn: a request that does not fit waits, and those behind it wait too, so none is passed over."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.taken = 0  # bytes lent out now
        self.peak = 0  # the most that were lent out at a time
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def take(self, size: int) -> Iterator[None]:
        """Holds `size` bytes while the block runs. Never take twice in one thread: two that do can wait for each other.

        Raises:
            ValueError: it is more than there is in all.
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
            self._changed.notify_all()  # the next may fit as well
        try:
            yield
        finally:
            with self._changed:
                self.taken -= size
                self._changed.notify_all()
