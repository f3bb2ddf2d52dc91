"""Devices: work on one thread, then on as many as before."""

from collections.abc import Generator, Iterator

import pytest
import torch

from gan.devices import one_thread, one_thread_a_step


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_one_thread_inside_and_as_many_as_before_after_it() -> None:
    with one_thread():
        assert torch.get_num_threads() == 1
        with one_thread():
            assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_an_error_puts_the_threads_back() -> None:
    with pytest.raises(ZeroDivisionError), one_thread():
        _ = 1 / 0
    assert torch.get_num_threads() == 2


@one_thread_a_step
def work(fail: bool = False) -> Generator[int, None, str]:
    """Yields twice: the number of threads that it computes on."""
    yield torch.get_num_threads()
    if fail:
        raise ValueError("no")
    yield torch.get_num_threads()
    return "done"


def test_a_generator_computes_on_one_thread_and_its_caller_does_not() -> None:
    events = work()
    assert next(events) == 1 and torch.get_num_threads() == 2
    assert next(events) == 1 and torch.get_num_threads() == 2
    with pytest.raises(StopIteration, match="done"):
        next(events)
    assert torch.get_num_threads() == 2


def test_a_generator_that_fails_or_is_closed_puts_the_threads_back() -> None:
    events = work(fail=True)
    next(events)
    with pytest.raises(ValueError, match="no"):
        next(events)
    assert torch.get_num_threads() == 2
    closed: list[bool] = []

    @one_thread_a_step
    def endless() -> Generator[int, None, None]:
        try:
            while True:
                yield 0
        finally:
            closed.append(True)

    events_without_end = endless()
    next(events_without_end)
    events_without_end.close()
    assert closed and torch.get_num_threads() == 2
