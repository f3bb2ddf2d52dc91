"""Fixtures of the pages' tests."""

import functools
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
import torch
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from gan.config import TrainConfig
from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.runs.folder import save_generator
from gan.runs.manager import RunManager
from gan.runs.run import Run
from gan.training.state import new_state
from tests.conftest import ADA
from tests.pages.apps import ENTRY
from tests.waiting import ended, wait_for
from ui import page_files as pages
from ui import workshop
from ui.components.visitor import WHO


@pytest.fixture(scope="session", autouse=True)
def components_are_looked_for_once() -> Iterator[None]:
    """AppTest reads the metadata of every installed package at each run of a page, most of the page tests' time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", functools.cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(scope="session")
def generators(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two generators that are as if shipped. Copies keep the time of the file, so what is drawn with them is drawn once."""
    folder = tmp_path_factory.mktemp("generators")
    config = TrainConfig(latent_dim=10, generator_filters=4, precision="fp32")
    color = config.change(image_size=64, channels=3, latent_distribution="uniform")
    for name, made in (("digits", config), ("faces", color)):
        save_generator(folder / f"{name}.safetensors", new_state(made, torch.device("cpu")))
    return folder


@pytest.fixture
def manager(blobs: ImageDataset, folders: Path, generators: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunManager]:
    """The workshop's own manager, in this test's folders, with two shipped generators and a tiny data set."""

    def load(*rest: object) -> Generator[object, None, ImageDataset]:
        yield from ()
        return blobs

    monkeypatch.setattr(datasets, "load", load)
    monkeypatch.setattr(datasets, "available", lambda: ["mnist", "blobs"])
    workshop.manager.cache_clear()
    workshop.models.cache_clear()
    workshop.translators.cache_clear()
    workshop.course_progress.cache_clear()
    shutil.copytree(generators, folders / "checkpoints" / "pretrained")
    yield workshop.manager()
    workshop.manager().shutdown()
    workshop.manager.cache_clear()
    workshop.models.cache_clear()
    workshop.translators.cache_clear()
    workshop.course_progress.cache_clear()


@pytest.fixture
def open_page(manager: RunManager) -> Callable[..., AppTest]:
    """Opens a page as Ada; named arguments are the parameters of its address."""

    def open_page(page: Path, **address: str) -> AppTest:
        at = AppTest.from_file(ENTRY, default_timeout=30)
        at.session_state[WHO] = ADA
        for name, value in address.items():
            at.query_params[name] = value
        at.run()
        if page != pages.HOME:
            at.switch_page(f"../pages/{page.name}")
            at.run()
        assert not at.exception, at.exception
        return at

    return open_page


@pytest.fixture
def finished(manager: RunManager, config: TrainConfig) -> Run:
    """A run of Ada's that has ended."""
    run = manager.submit(config, "quick-digits", ADA)
    wait_for(ended(run))
    return run
