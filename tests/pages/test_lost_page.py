"""What the Train page offers if a run cannot simply continue, or cannot start."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from gan.config import TrainConfig
from gan.data import datasets
from gan.data.imageset import ImageDataset
from gan.recipes import recipe
from gan.runs import record
from gan.runs.manager import RunManager
from gan.runs.run import Run
from gan.runs.states import RunState
from tests.conftest import ADA
from tests.pages.apps import button, labels, texts
from tests.waiting import ended, wait_for
from ui import page_files as pages
from ui.components import findings
from ui.config_form import KEY


def test_a_lost_state_is_said_and_the_kept_one_is_a_button(
    open_page: Callable[..., AppTest], manager: RunManager, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "KEPT_EVERY_S", -1)
    run = manager.submit(config, "quick-digits", ADA)
    wait_for(ended(run))
    kept = run.folder.newest_kept()
    run.folder.state_file.unlink()
    at = open_page(pages.TRAIN, run=run.id)
    assert f"newest checkpoint is from step {kept}" in texts(at.warning) and not {"Resume", "Continue training"} & labels(at)
    button(at, f"Continue from step {kept}").click().run()
    run = manager.get(run.id)
    wait_for(ended(run))
    assert (run.state, run.status()["step"]) == ("finished", 12) and (run.folder.path / "set-aside" / "1").is_dir()
    at.run()
    assert not at.warning and "Continue training" in labels(at) and not at.exception


def test_a_lost_state_without_a_kept_one_offers_a_new_run_alone(open_page: Callable[..., AppTest], finished: Run) -> None:
    finished.folder.state_file.write_bytes(finished.folder.state_file.read_bytes()[:-1000])
    at = open_page(pages.TRAIN, run=finished.id)
    assert "it cannot continue: start a new run with its settings" in texts(at.warning).replace("\\", "")
    assert "New run with these settings" in labels(at) and not {"Resume", "Continue training"} & labels(at)


def test_a_finished_run_whose_data_moved_stays_finished_and_continues_with_them(
    open_page: Callable[..., AppTest], finished: Run, manager: RunManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "available", lambda: ["mnist", "moved"])
    at = open_page(pages.TRAIN, run=finished.id)
    assert "is not on this server anymore" in texts(at.warning) and finished.state == "finished"
    at.selectbox(key="moved_to").set_value("moved")
    at.number_input(key="moved_amount").set_value(3.0)
    at.selectbox(key="moved_unit").set_value("steps")
    button(at, "Continue with this data set").click().run()
    run = manager.get(finished.id)
    wait_for(ended(run))
    assert (run.state, run.status()["step"], run.config.data) == ("finished", 15, "moved") and not at.exception


def test_a_run_whose_data_have_changed_says_so_and_stays_what_it_was(
    open_page: Callable[..., AppTest], finished: Run, manager: RunManager, blobs: ImageDataset
) -> None:
    blobs.images[0] += 1
    at = open_page(pages.TRAIN, run=finished.id)
    at.number_input(key="longer_amount").set_value(3.0)
    button(at, "Continue training").click().run()
    run = manager.get(finished.id)
    wait_for(ended(run))
    at.run()
    assert run.state == "finished" and not at.error
    assert "has changed since the run" in texts(at.warning) and "fork the run" in texts(at.warning)
    assert button(at, "Continue with this data set")


def test_a_batch_larger_than_the_set_is_said_in_the_form_with_a_smaller_one_to_press(
    open_page: Callable[..., AppTest], manager: RunManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = datasets.data_root() / "few"
    folder.mkdir(parents=True)
    for i in range(5):
        Image.new("L", (28, 28), i).save(folder / f"{i}.png")
    monkeypatch.setattr(datasets, "available", lambda: ["mnist", "few"])
    at = open_page(pages.TRAIN)
    at.selectbox(key=KEY + "data").set_value("few").run()
    assert "5 images, fewer than one batch of 64" in texts(at.error).replace("\\", "") and button(at, "Train").disabled
    button(at, "Use a batch size of 5").click().run()
    assert not at.error and at.number_input(key=KEY + "batch_size").value == 5 and not button(at, "Train").disabled
    for i in range(4):
        (folder / f"{i}.png").unlink()
    at.run()
    assert "1 image, fewer than one batch of 5: add images" in texts(at.error).replace("\\", "")
    assert not any(label.startswith("Use a batch size") for label in labels(at))
    with pytest.raises(ValueError, match=r"the data set few holds 1 image, fewer than one batch of 64: add images$"):
        manager.submit(recipe("quick-digits").config.change(data="few"))
    assert manager.runs() == []


@pytest.mark.parametrize(
    ("to_be_judged", "state", "at_work", "said"),
    [
        (False, "finished", False, " Its images are not scored, so only losses and gradients were checked."),
        (True, "running", True, " Its images have no scores yet."),
        (
            False,
            "running",
            True,
            " Its images are not scored, so only losses and gradients were checked.",
        ),  # the judge refused, or there is none
        (False, "running", False, ""),  # another process knows
    ],
)
def test_images_are_called_not_judged_only_once_that_is_known(to_be_judged: bool, state: str, at_work: bool, said: str) -> None:
    run: Any = SimpleNamespace(to_be_judged=to_be_judged, state=RunState(state), at_work=at_work)
    assert findings.unjudged(run) == said
