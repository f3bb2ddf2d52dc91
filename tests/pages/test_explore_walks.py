"""Explore's views of walks, time and grids as its script draws them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from streamlit.testing.v1 import AppTest

from gan.config import TrainConfig
from gan.explore import vectors
from gan.explore.models import Model, find_model
from gan.explore.vectors import LatentVector
from gan.runs.folder import RunFolder, save_generator
from gan.runs.manager import RunManager
from gan.runs.record import write_status
from gan.runs.states import RunState
from gan.training.state import new_state
from tests.pages.apps import button, texts
from tests.waiting import wait_for
from ui import page_files as pages
from ui import workshop
from ui.components import latent_list
from ui.components.latent_list import read_items
from ui.explore import time as explore_time
from ui.explore import walk as explore_walk

CPU = torch.device("cpu")


def codes(at: AppTest) -> tuple[str, str]:
    """The link and the script that can be copied."""
    link, script = (code.value for code in at.code)
    return link, script


def walk_of(at: AppTest) -> list[str]:
    """The script's lines that say where the walk goes."""
    return [line for line in codes(at)[1].splitlines() if line.startswith(("stops", "z = ", "Path"))]


def test_the_walk_of_an_address(open_page: Callable[..., AppTest]) -> None:
    at = open_page(pages.EXPLORE, view="Walk", stops="7,8,20", mode="lerp", easing="Rest at stops", frames="30", fps="10", closed="false")
    assert len(at.get("image")) == 1 + explore_walk.STOPS and not at.error
    assert walk_of(at) == [
        "stops = model.z([7, 8, 20])",
        "z = latent.walk(stops, 30, 'lerp', closed=False, easing='smooth')",
        "Path('walk.gif').write_bytes(gif(images, 10, factor=4))",
    ]
    assert "30 frames in 3.0 s, through seed 7, seed 8, seed 20." in texts(at.caption) and "lerp cuts through" in texts(at.caption)
    assert len(at.get("plotly_chart")) == 1
    at.slider(key="frames").set_value(5).run()
    assert len(at.get("image")) == 1 + 5
    assert at.query_params["stops"] == "7,8,20" and "stops=7%2C8%2C20" in codes(at)[0]


@pytest.mark.parametrize("stops", ["", "x", "5", "1-25", "1e3", "../x"])
def test_stops_that_cannot_be_used_are_a_sentence_and_the_first_ones_are_shown(open_page: Callable[..., AppTest], stops: str) -> None:
    at = open_page(pages.EXPLORE, view="Walk", stops=stops)
    assert "The list cannot be used" in texts(at.error) and at.query_params["stops"] == "1-4"
    at.run()
    assert not at.error and not at.exception


def test_the_list_is_typed_saved_and_loaded(open_page: Callable[..., AppTest]) -> None:
    at = open_page(pages.EXPLORE, view="Walk")
    at.text_input(key="noise_seeds").set_value("5-7").run()
    assert walk_of(at)[0] == "stops = model.z([5, 6, 7])" and at.query_params["stops"] == "5-7"
    assert at.text_input(key="noise_seeds").value == ""
    at.text_input(key="noise_seeds").set_value("5").run()
    assert "give at least 2 seeds" in texts(at.error) and at.query_params["stops"] == "5-7"

    kept = [LatentVector(3, name="*Ada*"), LatentVector(z=(0.5,) * 10, name="a photo"), LatentVector(4, locked=True)]
    at.file_uploader(key="noise_file").upload("list.json", vectors.write(kept), "application/json").run()
    assert not at.error and at.session_state["noise_vectors"] == kept
    assert r"through \*Ada\*, a photo, seed 4" in texts(at.caption) and "The address holds only seeds" in texts(at.caption)
    assert at.query_params["stops"] == "3,4" and "noise-vectors.json" in codes(at)[1]
    # The list stays while another view is open, and the walk skips vectors of another size.
    at.session_state["view"] = "grid"
    at.run()
    at.session_state["view"] = "walk"
    at.run()
    assert at.session_state["noise_vectors"] == kept and not at.error


@pytest.mark.parametrize("content", [b"x", json.dumps({"format": vectors.FORMAT, "vectors": [{"z": [1, 2]}, {"seed": 1}]}).encode()])
def test_a_file_that_is_no_list_is_a_sentence(open_page: Callable[..., AppTest], content: bytes) -> None:
    at = open_page(pages.EXPLORE, view="Walk")
    at.file_uploader(key="noise_file").upload("list.json", content, "application/json").run()
    assert "The list cannot be used" in texts(at.error) and "stops" not in at.query_params and not at.exception


def test_vectors_of_another_size_are_walked_past(open_page: Callable[..., AppTest]) -> None:
    at = open_page(pages.EXPLORE, view="Walk")
    at.session_state["noise_vectors"] = [LatentVector(1), LatentVector(z=(1.0, 2.0)), LatentVector(2)]
    at.run()
    assert "1 of the vectors have another latent size" in texts(at.caption) and "seed 1, seed 2" in texts(at.caption)
    at.session_state["noise_vectors"] = [LatentVector(1), LatentVector(z=(1.0, 2.0))]
    at.run()
    assert "needs two latent vectors" in texts(at.info) and not at.exception


def test_what_the_browser_tells_of_the_list_is_checked() -> None:
    known = [LatentVector(z=(1.0, 2.0), name="a photo")]
    told = [{"name": " x\n", "seed": "7", "locked": True}, {"name": "b", "ref": known[0].ref, "locked": False}]
    assert read_items(told, known) == [LatentVector(7, name="x", locked=True), LatentVector(z=(1.0, 2.0), name="b")]
    bad = [
        None,
        "ab",
        [],
        told[:1],
        told * 13,
        [1, 2],
        [{"seed": "-1"}] * 2,
        [{"seed": "1-9"}] * 2,
        [{"seed": None}] * 2,
        [{"ref": "x"}] * 2,
    ]
    for items in [*bad, [{"ref": ["x"]}] * 2, [{}] * 2, {"0": told}]:
        with pytest.raises(ValueError):
            read_items(items, known)


def test_other_views_can_put_a_vector_into_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    state: dict[str, Any] = {}
    address: dict[str, Any] = {}
    monkeypatch.setattr(latent_list.st, "session_state", state)
    monkeypatch.setattr(latent_list.st, "query_params", address)
    assert latent_list.keep(LatentVector(9, name="found"))
    assert [vector.seed for vector in state["noise_vectors"]] == [1, 2, 3, 4, 9]
    for _ in range(vectors.MOST - 5):
        assert latent_list.keep(LatentVector(1))
    assert not latent_list.keep(LatentVector(1)) and len(state["noise_vectors"]) == vectors.MOST


def test_a_walk_that_was_canceled_waits_until_it_is_asked_for(open_page: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch) -> None:
    def canceled(work: Iterator[Any], key: str, on_cancel: Callable[..., Any]) -> None:
        on_cancel()
        explore_walk.st.rerun()

    monkeypatch.setattr(explore_walk, "drain", canceled)
    at = open_page(pages.EXPLORE, view="Walk", stops="701,702")
    assert "Drawing was canceled" in texts(at.caption) and not at.get("image")
    monkeypatch.undo()
    button(at, "Draw the walk").click().run()
    assert len(at.get("image")) == 1 + explore_walk.STOPS and "canceled" not in texts(at.caption)


@pytest.fixture
def make_run(config: TrainConfig, folders: Path) -> Callable[..., Any]:
    """Makes a run's folder with generators of some steps."""

    def make_run(name: str, steps: list[int] | range, **settings: Any) -> RunFolder:
        state = new_state(config.change(**settings), CPU, class_names=("cats", "*dogs*"))
        folder = RunFolder(folders / "checkpoints" / name)
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.write_config(state.config, "quick-digits")
        write_status(folder, RunState.STOPPED)
        for step in steps:
            state.step = step
            folder.save_generator(state)
        return folder

    return make_run


def columns(at: AppTest) -> list[int]:
    """The steps below the strip."""
    return [int(b.label.replace(",", "")) for b in at.button if (b.key or "").startswith("pad_at_")]


def test_time_shows_all_steps_of_a_run(open_page: Callable[..., AppTest], make_run: Callable[..., Any]) -> None:
    make_run("a-run", [1, 2, 4, 1000])
    at = open_page(pages.EXPLORE, view="Time", **{"from": "a-run"}, rows="3,9", step="2")
    assert columns(at) == [1, 2, 4, 1000] and len(at.get("image")) == 4 + 1 and not at.error
    assert "4 steps in 0.8 s" in texts(at.caption) and "seeds 3, 9" in texts(at.caption)
    assert "run = checkpoints_root() / 'a-run'" in codes(at)[1] and "for step in [1, 2, 4, 1000]:" in codes(at)[1]
    # A step opens the pad with the generator of that step and these seeds.
    button(at, "4").click().run()
    assert (at.session_state["view"], at.session_state["step"]) == ("pad", "4")
    assert at.text_input(key="corners").value == "3,9,1,2" and "find_model(checkpoints_root(), 'a-run@4')" in codes(at)[1]
    assert "corners = model.z([3, 9, 1, 2])" in codes(at)[1] and "torch.tensor(0.0), torch.tensor(0.0)" in codes(at)[1]


def test_time_shows_some_of_many_steps_and_the_chosen_one(
    open_page: Callable[..., AppTest], make_run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explore_time, "MOST_STEPS", 20)
    make_run("a-run", range(1, 41))
    at = open_page(pages.EXPLORE, view="Time", **{"from": "a-run"}, rows="1", step="2")
    assert len(columns(at)) <= explore_time.COLUMNS and {2, 40} <= set(columns(at))
    assert "of 40 that the run has kept" in texts(at.caption)


def test_time_goes_on_while_the_run_trains_and_past_what_is_gone(open_page: Callable[..., AppTest], make_run: Callable[..., Any]) -> None:
    folder = make_run("a-run", [1, 2])
    at = open_page(pages.EXPLORE, view="Time", **{"from": "a-run"}, rows="1-2")
    assert columns(at) == [1, 2]
    make_run("a-run", [4])
    folder.generator_file(1).write_bytes(b"broken")
    at.run()
    assert columns(at) == [2, 4] and not at.error


def test_time_of_a_run_at_work(open_page: Callable[..., AppTest], manager: RunManager, config: TrainConfig) -> None:
    run = manager.submit(config.change(duration=1_000_000), "quick-digits")
    wait_for(lambda: len(run.folder.generator_steps()) > 2)
    at = open_page(pages.EXPLORE, view="Time", **{"from": run.id})
    assert len(columns(at)) > 2 and not at.error


def test_time_of_a_shipped_generator_and_of_a_single_step(open_page: Callable[..., AppTest], make_run: Callable[..., Any]) -> None:
    at = open_page(pages.EXPLORE, view="Time")
    assert "comes with the app" in texts(at.info) and not at.get("image") and not at.error
    make_run("a-run", [1])
    at = open_page(pages.EXPLORE, view="Time", **{"from": "a-run"})
    assert "saved one generator, at step 1" in texts(at.info) and columns(at) == [1] and len(at.get("image")) == 1


def test_time_by_class_and_with_bad_seeds(open_page: Callable[..., AppTest], make_run: Callable[..., Any]) -> None:
    make_run("a-run", [1, 2], conditional=True)
    at = open_page(pages.EXPLORE, view="Time", **{"from": "a-run", "class": "*dogs*"})
    assert "loaded.class_names.index('*dogs*')" in codes(at)[1]
    at.text_input(key="rows").set_value("1-9").run()
    assert "at most 8 seeds" in texts(at.error) and not at.exception


def test_the_grid_in_training_mode(open_page: Callable[..., AppTest]) -> None:
    at = open_page(pages.EXPLORE, view="Grid", seeds="1-3")
    assert "sample(network, z)" in codes(at)[1] and "latent.parse_seeds('1-3')" in codes(at)[1]
    model = workshop.models().get(digits())
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    at.toggle(key="training").set_value(True).run()
    assert "these 3 pictures" in texts(at.caption) and "of 255 levels" in texts(at.caption)
    assert "sample_as_in_training(network, z)" in codes(at)[1] and len(at.get("image")) == 3
    after = workshop.models().get(digits())
    assert after is model and not model.network.training
    assert all(torch.equal(value, before[name]) for name, value in model.network.state_dict().items())
    at.text_input(key="seeds").set_value("1").run()
    assert "at least 2 images" in texts(at.info) and "sample(network, z)" in codes(at)[1]


def digits() -> Model:
    return find_model(workshop.models().root, "digits")


def test_training_mode_without_normalization_and_by_class(open_page: Callable[..., AppTest], config: TrainConfig, folders: Path) -> None:
    plain = new_state(config.change(generator_norm="none"), CPU)
    save_generator(folders / "checkpoints" / "pretrained" / "plain.safetensors", plain)
    at = open_page(pages.EXPLORE, view="Grid", training="true", **{"from": "plain"})
    assert "neither batch normalization nor dropout" in texts(at.caption)
    animals = new_state(config.change(conditional=True), CPU, class_names=("cats", "dogs"))
    save_generator(folders / "checkpoints" / "pretrained" / "animals.safetensors", animals)
    at = open_page(pages.EXPLORE, view="Grid", training="true", every="true", seeds="1-3", **{"from": "animals"})
    assert "these 6 pictures" in texts(at.caption) and "classes = list(range(2))" in codes(at)[1]
