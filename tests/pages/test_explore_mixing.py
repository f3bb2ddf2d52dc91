"""Explore with a generator that has styles: its own view, and sliders in w, as their scripts draw them."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from gan.config import TrainConfig
from gan.explore import projection
from gan.networks.stylegan import StyleGenerator
from gan.runs.folder import save_generator
from gan.runs.manager import RunManager
from gan.training.state import new_state
from tests.pages.apps import button, texts
from ui import page_files as pages
from ui.explore.projection import STOPS

STYLED = TrainConfig(networks="stylegan", latent_dim=6, generator_filters=4, discriminator_filters=4, precision="fp32")


@pytest.fixture(autouse=True)
def styled(manager: RunManager) -> Iterator[None]:
    """A generator "styles" among those that come with the app."""
    state = new_state(STYLED, torch.device("cpu"))
    assert isinstance(state.averaged, StyleGenerator)
    state.averaged.mean_w.fill_(0.25)
    with torch.no_grad():  # an untrained network's styles change little
        for layer in state.averaged.modulated():
            layer.affine.weight.mul_(10)
    save_generator(manager.root / "pretrained" / "styles.safetensors", state)
    yield


def component(at: AppTest, name: str) -> dict[str, Any]:
    """What a component of the page was drawn with."""
    found: list[Any] = [c for c in at.get("bidi_component") if c.proto.component_name.endswith(name)]  # type: ignore[attr-defined]
    assert len(found) == 1
    data: dict[str, Any] = json.loads(found[0].proto.json)
    return data


def test_only_a_generator_with_styles_has_the_view(open_page: Callable[..., AppTest]) -> None:
    at = open_page(pages.EXPLORE, view="Style mixing", **{"from": "digits"})
    assert not at.exception and "Style mixing" not in at.button_group(key="view").options and at.button_group(key="view").value == "pad"
    at = open_page(pages.EXPLORE, view="Style mixing", **{"from": "styles"})
    assert not at.exception and at.button_group(key="view").value == "mixing"
    data = component(at, "style_table")
    assert (data["columns"], data["rows"], data["split"]) == ([1, 2, 3, 4, 5], [11, 12, 13, 14], "coarse")
    assert data["sheet"].startswith("data:image/webp") and "coarse styles, 1 to 3 of 8" in texts(at.caption)
    assert at.query_params["view"] == "Style mixing"


def test_its_controls_are_in_the_address_and_in_the_script(open_page: Callable[..., AppTest]) -> None:
    address = {"columns": "7", "rows": "8,9", "split": "Fine", "truncation": "0.5", "noise": "false"}
    at = open_page(pages.EXPLORE, view="Style mixing", **{"from": "styles"}, **address)
    data = component(at, "style_table")
    assert (data["columns"], data["rows"], data["split"]) == ([7], [8, 9], "fine")
    code = at.code[1].value
    assert "across, down = [7], [8, 9]" in code and "truncated(w, 0.5)" in code and "['fine']" in code and "noise=False" in code
    at = open_page(pages.EXPLORE, view="Style mixing", **{"from": "styles"})
    before = component(at, "style_table")["sheet"]
    at.button_group(key="split").set_value("middle").run()
    assert component(at, "style_table")["sheet"] != before
    at.text_input(key="rows").set_value("1-20").run()
    assert "at most 6 seeds" in texts(at.error) and not at.exception
    at.button(key="columns_roll").click().run()
    assert at.text_input(key="columns").value != "1-5" and not at.exception


def test_sliders_move_w_or_z(open_page: Callable[..., AppTest]) -> None:
    at = open_page(pages.EXPLORE, view="Sliders", **{"from": "styles"})
    data = component(at, "latent_sliders")
    assert data["styled"] and data["noise"] and data["center"] == [0.25] * 6 and data["bound"] is None
    of_w, known = data["z"], data["known"]
    assert known[0] < known[1] and len(data["directions"]) == 6 and "variance of w" in data["directions"][0]["about"]
    at.button_group(key="directions").set_value("sefa").run()
    assert "style weights" in component(at, "latent_sliders")["directions"][0]["about"]
    at.button_group(key="directions").set_value("raw").run()
    assert "one standard deviation" in component(at, "latent_sliders")["directions"][0]["about"]
    at.button_group(key="space").set_value("z").run()
    at.toggle(key="noise").set_value(False).run()
    data = component(at, "latent_sliders")
    assert "center" not in data and not data["noise"] and data["z"] != of_w and not at.exception
    assert "network.styles(z)" in at.code[1].value and "noise=False" in at.code[1].value


def test_a_found_style_walks_to_a_seed_in_w(open_page: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "STARTS", 64)
    monkeypatch.setattr(projection, "STEPS", 12)
    at = open_page(pages.EXPLORE, view="image", picture="Your own", **{"from": "styles"}, seed="5")
    file = io.BytesIO()
    Image.new("L", (28, 28), 200).save(file, "PNG")
    at.file_uploader[0].upload("yes.png", file.getvalue(), "image/png").run()
    button(at, "Search").click().run()
    assert not at.exception and not [b for b in at.button if b.label == "Walk from it"]
    uploaded, found, first, *_, last = shown(at)
    assert len(shown(at)) == 2 + STOPS and first == found != last
    at.number_input(key="seed").set_value(6).run()
    assert shown(at)[:3] == [uploaded, found, first] and shown(at)[-1] != last and not at.exception


def shown(at: AppTest) -> list[str]:
    """What the pictures on the page show."""
    pictures: list[Any] = list(at.get("image"))
    return [picture.proto.imgs[0].url for picture in pictures]
