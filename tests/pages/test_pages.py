"""Each page as its script draws it, without a browser."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import streamlit as st
import torch
from streamlit.testing.v1 import AppTest

from gan.accelerators import Facts, diagnose
from gan.config import TrainConfig
from gan.runs.folder import save_generator
from gan.runs.manager import RunManager
from gan.training.state import new_state
from tests.pages.apps import button, labels, open_settings, texts
from tests.waiting import ended, wait_for
from ui import page_files as pages
from ui import workshop
from ui.train import new_run


@pytest.mark.parametrize("page", [pages.HOME, pages.TRAIN], ids=["home", "train"])
def test_a_gpu_that_cannot_be_used_is_said_where_runs_start(page: Path, open_page: Callable[..., AppTest], manager: RunManager) -> None:
    assert "GPU" not in texts(open_page(page).warning)
    manager.passed_over = diagnose(Facts("2.14.1+cpu", on_bus=True, name="[T4](x)")).passed_over
    (said,) = open_page(page).warning
    assert said.value.startswith("Training runs on the CPU") and "is built without CUDA" in said.value and "[T4](x)" not in said.value
    assert "`uv pip install --reinstall --torch-backend auto torch torchvision`" in said.value, "to be copied"


def test_several_gpus_are_listed_and_the_form_says_where_a_run_will_go(
    open_page: Callable[..., AppTest], manager: RunManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = manager.devices = (torch.device("cuda:0"), torch.device("cuda:1"))
    free = {first: 70 << 30, second: 79 << 30}
    monkeypatch.setattr("gan.runs.manager.free_memory", free.__getitem__)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "H100 [x](y)")
    (listed,) = [text.value for text in open_page(pages.HOME).caption if "This server trains on" in text.value]
    assert listed.startswith("This server trains on 2 GPUs. Runs at once on each: 1.  \n") and "[x](y)" not in listed
    assert "cuda:0 (" in listed and "70.0 GiB free): 0 runs." in listed
    at = open_page(pages.TRAIN)
    assert "Your run will train on cuda:1 (" in texts(at.caption) and "79.0 GiB free)." in texts(at.caption)
    monkeypatch.setattr(manager, "next_place", lambda: None)
    assert "It will train on the first GPU with room." in texts(at.run().caption)


def test_a_recipe_fills_the_form_and_a_changed_field_is_launched(open_page: Callable[..., AppTest], manager: RunManager) -> None:
    at = open_settings(open_page(pages.TRAIN))
    at.selectbox(key="recipe").select("lecture").run()
    assert at.number_input(key="setting_latent_dim").value == 100
    at.selectbox(key="recipe").select("quick-digits").run()
    at.number_input(key="setting_batch_size").set_value(8)
    at.selectbox(key="setting_data").select("blobs")
    at.number_input(key="setting_duration").set_value(10)
    at.selectbox(key="setting_precision").select("fp32").run()
    button(at, "Train").click().run()
    assert not at.exception and not at.error
    (run,) = manager.runs()
    wait_for(ended(run))
    assert (run.config.batch_size, run.config.data, run.state) == (8, "blobs", "finished")
    at.run()
    labels = [b.label for b in at.button]
    assert "Explore its images" in labels and "Stop" not in labels
    button(at, "New run with these settings").click().run()
    assert at.number_input(key="setting_batch_size").value == 8


def test_the_page_says_that_a_run_starts_before_it_checks_the_settings(
    open_page: Callable[..., AppTest], manager: RunManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = open_page(pages.TRAIN)
    monkeypatch.setattr(new_run, "launch", st.stop)  # as long as the start takes
    button(at, "Train").click().run()
    assert button(at, "Starting the run…").disabled and "Train" not in labels(at) and not manager.runs()
    monkeypatch.undo()
    monkeypatch.setattr(manager, "submit", refuse)
    at.run()
    assert "no room" in texts(at.error) and not button(at, "Train").disabled, (
        "an interrupted start is taken up, and a refused one forgotten"
    )


def refuse(*arguments: object) -> NoReturn:
    raise ValueError("no room")


def test_pause_go_on_stop_and_resume(open_page: Callable[..., AppTest], manager: RunManager, config: TrainConfig) -> None:
    run = manager.submit(config.change(duration=1_000_000), "quick-digits")
    wait_for(lambda: run.state == "running")
    at = open_page(pages.TRAIN, run=run.id)
    button(at, "Pause").click().run()
    wait_for(lambda: run.state == "paused")
    at.run()
    button(at, "Continue").click().run()
    wait_for(lambda: run.state == "running")
    at.run()
    button(at, "Stop").click().run()
    wait_for(ended(run))
    at.run()
    assert not at.exception
    button(at, "Resume").click().run()
    assert not at.error
    wait_for(lambda: manager.get(run.id).state == "running")


def test_an_unknown_run_in_the_address_is_a_sentence(open_page: Callable[..., AppTest]) -> None:
    at = open_page(pages.TRAIN, run="gone")
    assert "no run gone on" in texts(at.warning)
    assert button(at, "Train")


def test_a_failed_run_and_a_damaged_one_are_sentences(open_page: Callable[..., AppTest], manager: RunManager, config: TrainConfig) -> None:
    run = manager.submit(config.change(batch_size=64), "quick-digits")
    wait_for(ended(run))
    at = open_page(pages.TRAIN, run=run.id)
    assert "fewer than one batch" in texts(at.error)
    run.folder.config_file.write_text("{")
    at = open_page(pages.TRAIN, run=run.id)
    said = texts(at.error).replace("\\", "")
    assert "This run cannot be opened: config.json cannot be read" in said and str(run.folder.path) not in said
    at = open_page(pages.HOME)
    said = texts(at.warning).replace("\\", "")
    assert "files are damaged: config.json cannot be read" in said and "?" not in texts(at.caption)


def test_explore_grid_and_walk(open_page: Callable[..., AppTest]) -> None:
    at = open_page(pages.EXPLORE, place="0,0,nan,1")
    assert at.selectbox(key="from").options == ["digits", "faces"] and not at.error and not at.get("image")
    at.text_input(key="corners").set_value("1,2").run()
    assert "give at least 4 seeds" in texts(at.error)
    at = open_page(pages.EXPLORE, view="Grid")
    assert len(at.get("image")) == 32
    at.text_input(key="seeds").set_value("1,5-6").run()
    assert len(at.get("image")) == 3
    for source in ("digits", "faces"):
        at = open_page(pages.EXPLORE, view="Walk", **{"from": source})
        assert not at.error and len(at.get("image")) == 13  # the film, and the strip


@pytest.mark.parametrize("text", ["", "x", "1-100000", "-4"])
def test_bad_seeds_are_a_sentence(open_page: Callable[..., AppTest], text: str) -> None:
    at = open_page(pages.EXPLORE, view="Grid")
    at.text_input(key="seeds").set_value(text).run()
    assert "seeds" in texts(at.error) and not at.exception


def test_explore_without_any_generator_and_with_a_broken_one(open_page: Callable[..., AppTest], folders: Path) -> None:
    pretrained = folders / "checkpoints" / "pretrained"
    for path in pretrained.iterdir():
        path.write_bytes(b"broken")
    assert "cannot be used" in texts(open_page(pages.EXPLORE).error)
    for path in pretrained.iterdir():
        path.unlink()
    assert "no generator yet" in texts(open_page(pages.EXPLORE).info)


def test_a_problem_in_a_page_is_a_sentence_without_a_traceback(
    open_page: Callable[..., AppTest], manager: RunManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("loose screw")

    monkeypatch.setattr(manager, "runs", broken)
    at = open_page(pages.TRAIN)
    assert "loose screw" in texts(at.error) and "Traceback" not in texts(at.error)


def test_a_conditional_generator_has_a_class_picker_in_every_view(
    open_page: Callable[..., AppTest], folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(latent_dim=10, generator_filters=4, precision="fp32", conditional=True)
    state = new_state(config, torch.device("cpu"), class_names=("cats", "*dogs*"))
    save_generator(folders / "checkpoints" / "pretrained" / "animals.safetensors", state)
    drawn = []
    original = workshop.ModelCache.images

    def images(self: workshop.ModelCache, model: Any, z: torch.Tensor, label: Any = 0) -> Any:
        drawn.append(label)
        return original(self, model, z, label)

    monkeypatch.setattr(workshop.ModelCache, "images", images)
    at = open_page(pages.EXPLORE, **{"from": "animals", "view": "Grid", "class": "*dogs*"})
    picker = at.selectbox(key="class")
    assert picker.options == ["cats", "*dogs*"] and picker.value == "*dogs*" and drawn[-1] == 1
    at.toggle(key="every").set_value(True).run()
    assert drawn[-1] == [0, 1] * 10 and r"cats, \*dogs\*" in texts(at.caption)
    at.selectbox(key="class").set_value("cats").run()
    for view in ("Sliders", "Walk"):
        at = open_page(pages.EXPLORE, **{"from": "animals", "view": view, "class": "*dogs*"})
        assert drawn[-1] == 1 and not at.error
    at = open_page(pages.EXPLORE, **{"from": "digits", "class": "cats"})
    assert not at.error and not [s for s in at.selectbox if s.label == "Class"]
