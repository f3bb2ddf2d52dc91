import logging
from typing import Any

import pytest

from gan.serving.logs import MOST_ALIKE, PERIOD_S, Repeats


@pytest.fixture
def written() -> tuple[logging.Logger, list[Any], list[float]]:
    """A logger whose handlers drop repeats; what each of two handlers wrote; and its clock."""
    texts, now = [], [0.0]
    repeats = Repeats(clock=lambda: now[0])

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            texts.append(record.getMessage())

    logger = logging.Logger("test")
    for _ in range(2):
        handler = Handler()
        handler.addFilter(repeats)
        logger.addHandler(handler)
    return logger, texts, now


def test_the_same_line_again_and_again_is_written_ten_times_a_minute_and_then_counted(
    written: tuple[logging.Logger, list[Any], list[float]],
) -> None:
    logger, texts, now = written
    for number in range(1000):
        logger.warning("no room for %d\nTraceback", number)
    assert len(texts) == 2 * MOST_ALIKE and texts[-1] == f"no room for {MOST_ALIKE - 1}\nTraceback"
    logger.warning("something else")
    assert texts[-1] == "something else"
    now[0] += PERIOD_S + 1
    logger.warning("no room for %d\nTraceback", 7)
    assert texts[-1] == texts[-2] == "no room for 7\nTraceback [990 more like this]"
    logger.warning("no room for %d\nTraceback", 8)
    assert texts[-1] == "no room for 8\nTraceback"


def test_a_line_now_and_then_is_always_written(written: tuple[logging.Logger, list[Any], list[float]]) -> None:
    logger, texts, now = written
    for _ in range(50):
        logger.warning("hello")
        now[0] += PERIOD_S / 5
    assert texts == ["hello"] * 100
