"""The cache that all threads share: what stays, what is dropped, and who loads."""

import sys
import threading
from typing import Any

import pytest

from gan.lru import Lru

WAIT_S = 30.0  # a bound for events that come at once


class Interrupt(BaseException):
    """Like KeyboardInterrupt: it concerns one thread."""


class Loads:
    """Counts its calls. A call waits until the gate opens, then takes the next outcome; the last one repeats."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes, self.calls = list(outcomes), 0
        self.begun, self.gate = threading.Event(), threading.Event()

    def __call__(self) -> object | str:
        self.calls += 1
        outcome = self.outcomes[min(self.calls, len(self.outcomes)) - 1]
        self.begun.set()
        assert self.gate.wait(WAIT_S)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def forty(make: Loads) -> tuple[list[object], Lru] | tuple[list[str | Interrupt], Lru]:
    """The results of forty threads that ask one cache for one key at once, and the cache."""
    cache: Lru[str, Any] = Lru(8)
    together, answers = threading.Barrier(40), []

    def ask() -> None:
        together.wait(WAIT_S)
        try:
            answers.append(cache.load("key", make))
        except BaseException as error:
            answers.append(error)

    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    assert make.begun.wait(WAIT_S)
    make.gate.set()
    for thread in threads:
        thread.join(WAIT_S)
    assert len(answers) == 40
    return answers, cache


def is_waiting(thread: threading.Thread) -> bool:
    """Whether a thread is in Future.result(), at the load of another thread."""
    frame = sys._current_frames().get(thread.ident)
    while frame:
        if frame.f_code.co_qualname == "Future.result":
            return True
        frame = frame.f_back
    return False


def test_forty_threads_that_ask_for_one_key_cause_one_load() -> None:
    value = object()
    make = Loads(value)
    answers, cache = forty(make)
    assert make.calls == 1 and all(answer is value for answer in answers) and cache.get("key") is value


def test_those_who_wait_get_the_error_and_the_next_call_tries_again() -> None:
    make = Loads(ValueError("damaged"), "repaired")
    cache: Lru[str, Any] = Lru(8)
    answers = []

    def ask() -> None:
        with pytest.raises(ValueError, match="damaged") as raised:
            cache.load("key", make)
        answers.append(raised.value)

    first = threading.Thread(target=ask)
    first.start()
    assert make.begun.wait(WAIT_S)
    second = threading.Thread(target=ask)
    second.start()
    while second.is_alive() and not is_waiting(second):
        pass
    make.gate.set()
    first.join(WAIT_S)
    second.join(WAIT_S)
    assert len(answers) == 2 and answers[0] is answers[1] and make.calls == 1
    assert len(cache) == 0 and cache.load("key", make) == "repaired"


def test_an_interrupt_stops_one_thread_and_another_loads() -> None:
    make = Loads(Interrupt(), "value")
    answers, cache = forty(make)
    assert make.calls == 2 and sum(isinstance(answer, Interrupt) for answer in answers) == 1 and answers.count("value") == 39
    assert cache.get("key") == "value"


def test_a_key_loads_while_another_one_loads() -> None:
    cache: Lru[str, Any] = Lru(8)
    slow = Loads("slow")
    thread = threading.Thread(target=cache.load, args=("slow", slow))
    thread.start()
    assert slow.begun.wait(WAIT_S)
    assert cache.load("quick", lambda: "quick") == "quick" and cache.get("slow") is None
    slow.gate.set()
    thread.join(WAIT_S)
    assert cache.get("slow") == "slow"


def test_the_value_used_least_recently_goes_first() -> None:
    cache: Lru[str, Any] = Lru(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1 and cache.load("c", lambda: 3) == 3
    assert cache.get("b") is None and cache.get("a") == 1 and len(cache) == 2
    cache.load("a", lambda: pytest.fail("it is there"))
    cache.put("d", 4)
    assert cache.get("c") is None and cache.get("a") == 1
    cache.drop(lambda key: key == "a")
    assert cache.get("a") is None and cache.get("d") == 4
    cache.clear()
    assert len(cache) == 0


def test_values_stay_within_their_bytes_and_a_single_one_may_take_more() -> None:
    cache: Lru[str, Any] = Lru(most_bytes=100, size=len)
    for key in "abc":
        cache.put(key, bytes(40))
        cache.get("a")
    assert cache.get("b") is None and cache.get("a") and cache.get("c")
    cache.put("a", bytes(60))
    assert cache.get("c") and cache.get("a"), "the replaced value no longer counts"
    cache.drop(lambda key: key == "a")
    cache.put("d", bytes(60))
    assert cache.get("c"), "a dropped value no longer counts"
    cache.put("large", bytes(1000))
    assert cache.get("large") and len(cache) == 1
    cache.put("b", bytes(1))
    assert cache.get("large") is None and cache.get("b")


@pytest.mark.parametrize("bounds", [{"most": 0}, {"most_bytes": 100}])
def test_bounds_that_make_no_sense_are_refused(bounds: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="most"):
        Lru(**bounds)
