"""Fixtures for tests of runs: a tiny data set that everyone knows, a manager, settings that never end."""

import time
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from gan.config import TrainConfig
from gan.data import datasets
from gan.data.imageset import ImageDataset
from gan.events import Progress
from gan.runs.manager import RunManager


@pytest.fixture
def data(blobs: ImageDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data set "blobs", known to everyone."""

    def load(name: str, *rest: Any) -> Generator[Progress, None, Any]:
        yield Progress("Loading", 0, 1)
        return blobs

    monkeypatch.setattr(datasets, "load", load)
    monkeypatch.setattr(datasets, "available", lambda: ["blobs", "mnist"])


@pytest.fixture
def now() -> list[float]:
    """The time by the manager's clock, in a list of one; the clock runs until a test puts a number into it."""
    return []


@pytest.fixture
def manager(data: None, now: list[float]) -> Iterator[RunManager]:
    manager = RunManager(clock=lambda: now[0] if now else time.monotonic())
    yield manager
    manager.shutdown()


@pytest.fixture
def endless(config: TrainConfig) -> TrainConfig:
    return config.change(duration=1_000_000)
