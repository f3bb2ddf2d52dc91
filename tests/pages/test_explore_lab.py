"""Explore's sliders and arithmetic as their scripts draw them."""

import json
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from streamlit.testing.v1 import AppTest

from gan import latent
from gan.config import TrainConfig
from gan.data import datasets
from gan.events import Progress
from gan.explore import attributes
from gan.explore.attributes import Contrast, Mean
from gan.runs.folder import save_generator
from gan.training.state import new_state
from tests.pages.apps import texts
from ui import page_files as pages
from ui.components.arithmetic import bounded
from ui.components.latent_sliders import Place, checked
from ui.explore import arithmetic as explore_arithmetic


def drawn(at: AppTest) -> list[Any]:
    """The view's own components on a page."""
    components: list[Any] = list(at.get("bidi_component"))
    return [c for c in components if c.proto.component_name.endswith(("latent_sliders", "arithmetic"))]


def component(at: AppTest) -> dict[str, Any]:
    """What the page's component was drawn with."""
    (found,) = drawn(at)
    return json.loads(found.proto.json)


def test_sliders_along_each_kind_of_direction(open_page: Callable[..., AppTest]) -> None:
    for source, size in (("digits", 28), ("faces", 64)):
        at = open_page(pages.EXPLORE, view="Sliders", **{"from": source})
        data = component(at)
        assert not at.error and (data["model"], data["size"], data["seed"]) == (source, size, 1)
        assert [direction["name"] for direction in data["directions"]] == [f"Direction {i}" for i in range(1, 9)]
        assert all(len(d["vector"]) == len(data["z"]) == 10 and d["strip"].startswith("data:image/webp") for d in data["directions"])
        assert data["bound"] == (1.0 if source == "faces" else None)
    at.button_group(key="count").set_value(16).run()
    at.number_input(key="seed").set_value(5).run()
    at.button_group(key="directions").set_value("sefa").run()
    data = component(at)  # at most one per number of z
    assert data["seed"] == 5 and len(data["directions"]) == 10 and "weights" in data["directions"][0]["about"]


def test_single_dimensions_on_demand(open_page: Callable[..., AppTest]) -> None:
    at = open_page(pages.EXPLORE, view="Sliders", directions="Dimensions")
    data = component(at)
    assert len(data["directions"]) == 8 and data["directions"][0]["name"].startswith("Dimension ")
    assert all(sorted(d["vector"])[-1] == 1 and sum(d["vector"]) == 1 for d in data["directions"])
    others = at.multiselect(key="more")
    assert len(others.options) == 2
    others.select(others.options[1]).run()
    assert component(at)["directions"][8]["number"] == int(others.options[1])


def test_the_address_says_where_sliders_stand(open_page: Callable[..., AppTest]) -> None:
    at = open_page(
        pages.EXPLORE,
        view="Sliders",
        pca="1:0.5,3:-9,x:1,4:nan,5",
        psi="0.7",
        pca_names="2:smile <b>,3: ,99999:x",
        sefa="1:2",
        sefa_names="1:no",
    )
    data = component(at)
    assert data["values"] == {"1": 0.5, "3": -3} and data["psi"] == 0.7 and data["names"] == {"2": "smile <b>"}
    assert str(at.query_params["pca"]) == "1:0.5,3:-3" and str(at.query_params["pca_names"]) == "2:smile <b>"
    assert str(at.query_params["sefa"]) == "1:2"
    assert "pca" not in open_page(pages.EXPLORE, view="Sliders", pca="1:0").query_params


@pytest.mark.parametrize("told", [None, "x", 3, ["1"], {"1": [1]}, {None: 1}, {"1": float("nan")}, {"-1": 2}, {"1e3": 1}])
def test_what_a_browser_tells_is_checked(told: Any) -> None:
    assert checked(told, told, told) == Place()


def test_names_and_numbers_from_a_browser_are_bounded() -> None:
    place = checked({"1": 99, 2: -0.123456, "3": 0}, -4, {"1": " " + "n" * 99, "2": "", "3": 5})
    assert place == Place({1: 3.0, 2: -0.12}, 0.0, {1: "n" * 40})
    assert len(checked({str(i): 1 for i in range(5000)}, 1, {}).values) == 1000


def test_a_class_is_looked_at_by_itself(open_page: Callable[..., AppTest], folders: Path) -> None:
    config = TrainConfig(latent_dim=10, generator_filters=4, precision="fp32", conditional=True, initialization="pytorch")
    state = new_state(config, torch.device("cpu"), class_names=("cats", "dogs"))
    save_generator(folders / "checkpoints" / "pretrained" / "animals.safetensors", state)
    found = {}
    for name in ("cats", "dogs"):
        data = component(open_page(pages.EXPLORE, view="Sliders", **{"from": "animals", "class": name}))
        assert data["label"] == name
        found[name] = data["directions"]
    assert found["cats"] != found["dogs"]


def test_a_picture_alone_moves_nothing_else(open_page: Callable[..., AppTest]) -> None:
    at = open_page(pages.EXPLORE, view="Sliders")
    before = component(at)
    at.run()
    assert component(at) == before and "Drag a slider" in texts(at.caption)


@pytest.fixture
def glasses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Makes the samples wear glasses if z begins with a positive number; lists the data sets of the searches."""
    asked = []

    def find(draw: Callable[..., Any], config: TrainConfig) -> Generator[Progress, None, Any]:
        asked.append(config.data)
        yield Progress("Looking at samples", 1, 2)
        assert draw(torch.zeros(1, config.latent_dim)).shape[1:] == (config.channels, config.image_size, config.image_size)
        up = torch.eye(config.latent_dim)[0]
        return [Contrast("glasses", Mean("with glasses", up / 2, (0, 4, 5)), Mean("without glasses", -up / 2, (2, 3)), 2.5, 0.93)]

    monkeypatch.setattr(attributes, "find", find)
    explore_arithmetic.contrasts.clear()
    yield asked
    explore_arithmetic.contrasts.clear()


def test_groups_of_seeds_and_what_comes_out(open_page: Callable[..., AppTest]) -> None:
    at = open_page(pages.EXPLORE, view="Arithmetic", b="4", c=" ", times="2.2", jitter="nan")
    assert not at.error and [at.text_input(key=letter).value for letter in "abc"] == ["1,2,3", "4", " "]
    data = component(at)
    a, b, c = data["groups"]
    assert (a["title"], a["seeds"], b["title"], c["title"]) == ("mean of 3 samples", [1, 2, 3], "seed 4", "nothing")
    assert a["vector"] == pytest.approx(latent.from_seeds([1, 2, 3], 10).mean(0).tolist(), abs=1e-4) and c["vector"] == [0] * 10
    assert (data["strength"], data["jitter"], len(data["noise"])) == (2.2, 0.25, 8)
    assert str(at.query_params["times"]) == "2.2" and str(at.query_params["b"]) == "4" and "a" not in at.query_params
    at.text_input(key="a").set_value("7,7,8").run()
    assert component(at)["groups"][0]["seeds"] == [7, 8] and str(at.query_params["a"]) == "7,7,8"
    at.button(key="a_roll").click().run()
    rolled = [at.text_input(key=letter).value for letter in "abc"]
    assert [len(text.split(",")) for text in rolled] == [3, 1, 1] and rolled[0] != "7,7,8" and rolled[2] == " " and not at.error


@pytest.mark.parametrize("text", ["1-100000", "3-1", "9" * 40, "1,x", "-4", "**bold**"])
def test_groups_that_are_none_are_a_sentence(open_page: Callable[..., AppTest], glasses: list[Any], text: str) -> None:
    at = open_page(pages.EXPLORE, view="Arithmetic", b=text)
    assert "groups cannot be used" in texts(at.error) and not drawn(at)
    at.text_input(key="b").set_value("1").run()
    assert not at.error and component(at)


def test_what_samples_have_in_common_is_looked_for_once_and_added(open_page: Callable[..., AppTest], glasses: list[Any]) -> None:
    at = open_page(pages.EXPLORE, view="Arithmetic")
    assert glasses == []
    next(b for b in at.button if b.label == "Find classes and attributes").click().run()
    assert glasses == ["mnist"] and not [b for b in at.button if "Find" in b.label]
    at.selectbox(key="preset").select("glasses").run()
    a, b, c = component(at)["groups"]
    assert (a["title"], b["title"], c["title"]) == ("with glasses", "without glasses", "seed 2")
    assert (a["count"], a["picked"], c["picked"]) == (3, False, True)
    assert a["vector"][0] == 0.5 and a["picture"][0] == pytest.approx(10**0.5, abs=1e-3)
    assert component(at)["strength"] == 2.5 and "93% of 100 samples" in texts(at.caption)
    assert (str(at.query_params["a"]), str(at.query_params["times"])) == ("with glasses", "2.5")
    # Another visitor finds it there, by the address alone.
    at = open_page(pages.EXPLORE, view="Arithmetic", a="with glasses", b="without glasses", c="3", times="2.5")
    assert not at.error and component(at)["groups"][0]["title"] == "with glasses" and glasses == ["mnist"]


def test_a_mean_that_is_named_is_looked_for(open_page: Callable[..., AppTest], glasses: list[Any]) -> None:
    at = open_page(pages.EXPLORE, view="Arithmetic", a="with glasses")
    assert not at.error and glasses == ["mnist"]
    explore_arithmetic.contrasts.clear()
    at = open_page(pages.EXPLORE, view="Arithmetic")
    at.text_input(key="a").set_value("with a hat").run()
    assert glasses == ["mnist"] * 2
    assert "the means known here are: with glasses, without glasses" in texts(at.error).replace("\\", "")


def test_data_that_is_not_there_or_tells_nothing(
    open_page: Callable[..., AppTest], glasses: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "available", lambda: ["blobs"])
    at = open_page(pages.EXPLORE, view="Arithmetic", a="with glasses")
    assert "training images are not on this server" in texts(at.caption) and "no means are known here" in texts(at.error)
    monkeypatch.setattr(datasets, "available", lambda: ["mnist"])
    monkeypatch.setattr(datasets, "to_download", lambda name: 5)
    assert "Data page can download it" in texts(open_page(pages.EXPLORE, view="Arithmetic").caption)
    monkeypatch.setattr(datasets, "to_download", lambda name: 0)

    def nothing(draw: Callable[..., Any], config: TrainConfig) -> Generator[None, None, Any]:
        yield from ()
        return []

    monkeypatch.setattr(attributes, "find", nothing)
    assert "no class or attribute of the data" in texts(open_page(pages.EXPLORE, view="Arithmetic", a="with x").caption)

    def refused(draw: Callable[..., Any], config: TrainConfig) -> Iterator[None]:
        yield from ()
        raise ValueError("the data set mnist has 3 images")

    explore_arithmetic.contrasts.clear()
    monkeypatch.setattr(attributes, "find", refused)
    assert "has 3 images" in texts(open_page(pages.EXPLORE, view="Arithmetic", a="with x").info)


def test_strength_from_a_browser_is_bounded() -> None:
    assert [bounded(value, 6, 1) for value in ("2", 9, -3, None, "x", float("nan"), [1])] == [2, 6, 0, 1, 1, 1, 1]
