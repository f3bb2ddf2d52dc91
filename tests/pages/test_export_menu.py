"""The export of a run, from the menu on its page to the file."""

import dataclasses
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from gan.config import TrainConfig
from gan.events import Progress
from gan.runs.folder import RunFolder
from gan.runs.manager import RunManager
from gan.runs.run import Run
from tests.films import frames
from tests.pages.apps import button, texts
from tests.waiting import ended, wait_for
from ui import export
from ui import page_files as pages


@pytest.fixture
def run(manager: RunManager, config: TrainConfig) -> Run:
    run = manager.submit(config, "quick-digits")
    wait_for(ended(run))
    return run


def slow(monkeypatch: pytest.MonkeyPatch, write: Callable[..., Any]) -> None:
    """Replaces the function that writes the GIF."""
    monkeypatch.setitem(export.KINDS, "gif", dataclasses.replace(export.KINDS["gif"], write=write))


def finished(at: AppTest) -> AppTest:
    """What the page offers once the job is done."""
    wait_for(lambda: at.session_state["export"].done)
    at.run()
    assert not at.exception
    return at


def test_a_run_that_has_nothing_yet_has_no_menu(open_page: Callable[..., AppTest], manager: RunManager, config: TrainConfig) -> None:
    run = manager.submit(config.change(batch_size=64))  # fails before its first step
    wait_for(ended(run))
    at = open_page(pages.TRAIN, run=run.id)
    assert "Everything (zip)" not in [b.label for b in at.button]


def test_a_run_has_its_menu_before_its_first_step_is_done(
    open_page: Callable[..., AppTest], manager: RunManager, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunFolder, "generator_steps", lambda self: [])  # nothing redraws the page when it is
    run = manager.submit(config.change(duration=1_000_000))
    wait_for(lambda: run.state == "running")
    labels = [b.label for b in open_page(pages.TRAIN, run=run.id).button]
    assert {"Explore its images", "Everything (zip)"} <= set(labels)


def test_each_kind_is_made_when_it_is_asked_for(open_page: Callable[..., AppTest], run: Run) -> None:
    at = open_page(pages.TRAIN, run=run.id)
    assert not at.download_button and "export" not in at.session_state
    button(at, "Everything (zip)").click().run()
    finished(at)
    job = at.session_state["export"]
    assert at.download_button[0].label.startswith("Save the zip, ") and job.name == f"{run.id}.zip"
    with zipfile.ZipFile(io.BytesIO(job.content)) as archive:
        assert f"{run.id}/sample.py" in archive.namelist()
    button(at, "Training (GIF)").click().run()
    finished(at)
    assert [b.label.partition(",")[0] for b in at.download_button] == ["Save the GIF"]
    with Image.open(io.BytesIO(at.session_state["export"].content)) as film:
        assert frames(film) > 1
    button(at, "Metrics (TensorBoard)").click().run()
    finished(at)
    assert at.download_button[0].label.startswith("Save the event files, ")
    assert at.session_state["export"].name == f"{run.id}-tensorboard.zip"


def test_one_export_at_a_time_shows_how_far_it_is_and_is_canceled(
    open_page: Callable[..., AppTest], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = threading.Event()

    def never(folder: RunFolder, file: io.BytesIO) -> Iterator[Progress]:
        try:
            while True:
                yield Progress("Reading *grids*", 1, 4)
        finally:
            closed.set()

    slow(monkeypatch, never)
    at, other = open_page(pages.TRAIN, run=run.id), open_page(pages.TRAIN, run=run.id)
    button(at, "Training (GIF)").click().run()
    assert "Reading" in at.get("progress")[0].proto.text and not at.download_button
    button(other, "Everything (zip)").click().run()
    assert "Waiting for another export" in other.get("progress")[0].proto.text
    button(at, "Cancel").click().run()
    assert not at.exception and not at.get("progress") and "export" not in at.session_state
    wait_for(closed.is_set)
    assert finished(other).download_button[0].label.startswith("Save the zip")


def test_a_new_wish_takes_the_place_of_the_old_one(open_page: Callable[..., AppTest], run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = threading.Event()

    def never(folder: RunFolder, file: io.BytesIO) -> Iterator[Progress]:
        try:
            while True:
                yield Progress("Reading", 0, 0)
        finally:
            closed.set()

    slow(monkeypatch, never)
    at = open_page(pages.TRAIN, run=run.id)
    button(at, "Training (GIF)").click().run()
    button(at, "Everything (zip)").click().run()
    finished(at)
    assert closed.is_set() and at.download_button[0].label.startswith("Save the zip")


def test_what_goes_wrong_is_a_sentence_and_another_run_has_a_menu_of_its_own(
    open_page: Callable[..., AppTest], manager: RunManager, run: Run, config: TrainConfig
) -> None:
    for step in run.folder.sample_steps():
        run.folder.samples_file(step).unlink()
    at = open_page(pages.TRAIN, run=run.id)
    button(at, "Training (GIF)").click().run()
    finished(at)
    assert "has drawn no grid yet" in texts(at.error) and not at.download_button
    other = manager.submit(config, "quick-digits")
    wait_for(ended(other))
    at.run()
    at.selectbox(key="run").select(other.id).run()
    assert not at.exception and not at.error and "export" not in at.session_state
