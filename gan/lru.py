"""A cache of the values used last, for all threads of a process. Each value is loaded once, however many threads ask for it."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Lru(Generic[K, V]):
    """Values by key; the value that was used least recently goes first. Safe to use from any thread.

    Args:
        most: how many values it holds, at least 1; None for any number.
        most_bytes: how many bytes they may take together; None for any number. A single value may take more.
        size: a value's size in bytes, measured when the value is stored; needed with `most_bytes`.

    Raises:
        ValueError: `most` is less than 1, or `most_bytes` comes without `size`.
    """

    def __init__(self, most: int | None = None, most_bytes: int | None = None, size: Callable[[V], int] | None = None) -> None:
        if most is not None and most < 1:
            raise ValueError(f"most must be at least 1; got {most}")
        if most_bytes is not None and size is None:
            raise ValueError("most_bytes needs size, which measures a value in bytes")
        self._most, self._most_bytes, self._size = most, most_bytes, size
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()  # each with its size in bytes
        self._bytes = 0
        self._loading: dict[K, Future[V]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        """The value of a key, or None if the cache has none."""
        with self._lock:
            return self._values[key][0] if self._has(key) else None

    def put(self, key: K, value: V) -> None:
        """Stores a value, and drops old ones until the rest is within bounds."""
        with self._lock:
            self._store(key, value)

    def load(self, key: K, make: Callable[[], V]) -> V:
        """The value of a key. `make` is called if the cache has none, outside the lock, so that other keys do not wait.

        Threads that ask for the same key meanwhile wait for the result.

        Raises:
            Exception: what `make` raised; threads that waited get the same exception. Nothing is stored, so the next call tries again.
        """
        while True:
            with self._lock:
                if self._has(key):
                    return self._values[key][0]
                loading = self._loading.get(key)
                if loading is None:
                    mine = self._loading[key] = Future()
                    break
            try:
                return loading.result()
            except CancelledError:
                if not loading.cancelled():
                    raise
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                del self._loading[key]
            if isinstance(error, Exception):
                mine.set_exception(error)
            else:  # an interrupt concerns this thread alone: one of those that wait tries next
                mine.cancel()
            raise
        with self._lock:
            del self._loading[key]
            self._store(key, value)
        mine.set_result(value)
        return value

    def drop(self, which: Callable[[K], bool]) -> None:
        """Removes the values whose keys `which` picks."""
        with self._lock:
            for key in [key for key in self._values if which(key)]:
                self._bytes -= self._values.pop(key)[1]

    def clear(self) -> None:
        """Removes all values."""
        self.drop(lambda key: True)

    def _has(self, key: K) -> bool:
        """Whether there is a value; it then counts as just used. Call it with the lock held."""
        if key not in self._values:
            return False
        self._values.move_to_end(key)
        return True

    def _store(self, key: K, value: V) -> None:
        size = self._size(value) if self._size else 0
        self._bytes += size - self._values.pop(key, (value, 0))[1]
        self._values[key] = value, size
        while len(self._values) > 1 and self._is_over():
            self._bytes -= self._values.popitem(last=False)[1][1]

    def _is_over(self) -> bool:
        too_many = self._most is not None and len(self._values) > self._most
        return too_many or (self._most_bytes is not None and self._bytes > self._most_bytes)
