"""Explore's sliders as their script draws them."""

import json

import pytest
import torch

from gan.checkpoint import save_generator
from gan.config import TrainConfig
from gan.training import new_state
from tests.pages.test_pages import manager, open_page, texts  # noqa: F401 (fixtures)
from ui import pages
from ui.latent_sliders import Place, checked


def component(at):
    """What the page's component was drawn with."""
    (found,) = [c for c in at.get("bidi_component") if c.proto.component_name.endswith("latent_sliders")]
    return json.loads(found.proto.json)


def test_sliders_along_each_kind_of_direction(open_page):  # noqa: F811
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
    data = component(at)  # no more than z has numbers
    assert data["seed"] == 5 and len(data["directions"]) == 10 and "weights" in data["directions"][0]["about"]


def test_single_dimensions_on_demand(open_page):  # noqa: F811
    at = open_page(pages.EXPLORE, view="Sliders", directions="Dimensions")
    data = component(at)
    assert len(data["directions"]) == 8 and data["directions"][0]["name"].startswith("Dimension ")
    assert all(sorted(d["vector"])[-1] == 1 and sum(d["vector"]) == 1 for d in data["directions"])
    others = at.multiselect(key="more")
    assert len(others.options) == 2
    others.select(others.options[1]).run()
    assert component(at)["directions"][8]["number"] == int(others.options[1])


def test_the_address_says_where_sliders_stand(open_page):  # noqa: F811
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
def test_what_a_browser_tells_is_checked(told):
    assert checked(told, told, told) == Place()


def test_names_and_numbers_from_a_browser_are_bounded():
    place = checked({"1": 99, 2: -0.123456, "3": 0}, -4, {"1": " " + "n" * 99, "2": "", "3": 5})
    assert place == Place({1: 3.0, 2: -0.12}, 0.0, {1: "n" * 40})
    assert len(checked({str(i): 1 for i in range(5000)}, 1, {}).values) == 1000


def test_a_class_is_looked_at_by_itself(open_page, folders):  # noqa: F811
    config = TrainConfig(latent_dim=10, generator_filters=4, precision="fp32", conditional=True, initialization="pytorch")
    state = new_state(config, torch.device("cpu"), class_names=("cats", "dogs"))
    save_generator(folders / "checkpoints" / "pretrained" / "animals.safetensors", state)
    found = {}
    for name in ("cats", "dogs"):
        data = component(open_page(pages.EXPLORE, view="Sliders", **{"from": "animals", "class": name}))
        assert data["label"] == name
        found[name] = data["directions"]
    assert found["cats"] != found["dogs"]


def test_a_picture_alone_moves_nothing_else(open_page):  # noqa: F811
    at = open_page(pages.EXPLORE, view="Sliders")
    before = component(at)
    at.run()
    assert component(at) == before and "follows" in texts(at.caption)
