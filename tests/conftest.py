"""Shared fixtures: a folder of its own for runs and data, a tiny data set, a tiny config."""

from tests import surroundings  # isort: skip (before torch)

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.events import Event
from gan.explore import models
from gan.owners import Visitor
from gan.runs import manager
from gan.runs.folder import RunFolder
from gan.training import execution, loop, state
from gan.training.state import Diverged, TrainState

ADA, BOB = Visitor("Ada", "a" * 16), Visitor("Bob", "b" * 16)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: takes half a minute and more on two cores, so it begins first")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests come first: if one began last, the other processes would sit idle."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """No temporary files, no processes; in continuous integration, where nobody edits meanwhile, no files in the repository either."""
    before = surroundings.changes() if os.environ.get("CI") else set()
    yield
    left = surroundings.leftovers() + sorted((surroundings.changes() if os.environ.get("CI") else set()) - before)
    assert not left


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has its own checkpoints and data folders."""
    monkeypatch.setenv("WORKSHOP_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("WORKSHOP_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("WORKSHOP_DEVICE", "cpu")
    monkeypatch.setenv("WORKSHOP_JUDGE", "0")
    for name in [name for name in os.environ if name.startswith(("WORKSHOP_MAX_", "WORKSHOP_GRACE", "WORKSHOP_ADMIN", "WORKSHOP_RAY"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(models, "SHIPPED", tmp_path / "shipped")
    # Tiny networks gain nothing from a second thread, and lose a lot if another process has the core.
    for module in (execution, loop, state):
        monkeypatch.setattr(module, "cores", lambda: 1)
    monkeypatch.setattr(manager, "cores", lambda: 1)
    return tmp_path


@pytest.fixture(autouse=True)
def no_run_outlives_its_test(folders: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that fails half-way must not leave a run behind that disturbs all others."""
    made: list[manager.RunManager] = []
    original = manager.RunManager.__init__

    def note(self: manager.RunManager, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        made.append(self)

    monkeypatch.setattr(manager.RunManager, "__init__", note)
    yield
    for one in made:
        one.shutdown()


@pytest.fixture
def config() -> TrainConfig:
    """Networks small enough that a step takes a few milliseconds."""
    return TrainConfig(
        data="blobs",
        latent_dim=4,
        generator_filters=4,
        discriminator_filters=4,
        batch_size=8,
        duration=12,
        duration_unit="steps",
        precision="fp32",
        log_every=5,
        grid_images=16,
    )


@pytest.fixture
def blobs() -> ImageDataset:
    """50 random gray images of 28 x 28."""
    images = torch.randint(0, 256, (50, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageDataset("blobs", images)


def diverging(train: Callable[..., Iterator[Event]]) -> Callable[..., Iterator[Event]]:
    """gan.training.loop.train() of a run that diverges after step 6."""

    def steps(state: TrainState, *rest: Any) -> Iterator[Event]:
        for event in train(state, *rest):
            yield event
            if state.step == 6:
                raise Diverged("the generator's loss became nan between steps 5 and 10")

    return steps


class Recorded:
    """A run that is trained once for all tests of a file: it takes longer than most of them do."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def copy(self, to: Path, train: Callable[[RunFolder], object]) -> RunFolder:
        """A copy in the folder `to`. train: makes the run, when the first test asks."""
        original = self._root / to.name
        if not original.exists():
            train(RunFolder(original))
        return RunFolder(shutil.copytree(original, to))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return Recorded(tmp_path_factory.mktemp("recorded"))


def finish(loading: Iterator[Any]) -> Any:
    """Drains a loading generator and returns what it loaded."""
    while True:
        try:
            next(loading)
        except StopIteration as stop:
            return stop.value
