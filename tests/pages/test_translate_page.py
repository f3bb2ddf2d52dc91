"""The page Translate as its script draws it, and what other pages say about runs that translate images."""

from collections.abc import Callable, Generator
from typing import Any

import pytest
import torch
from streamlit.testing.v1 import AppTest

from gan.data import datasets
from gan.data.imageset import ImageDataset
from gan.recipes import recipe
from gan.runs.folder import RunFolder
from gan.runs.manager import RunManager
from gan.runs.record import write_status
from gan.runs.states import RunState
from gan.training.loop import layer_norms
from gan.training.state import new_state
from tests.pages.apps import button, texts
from ui import page_files as pages

Open = Callable[..., AppTest]


@pytest.fixture
def translated(manager: RunManager, monkeypatch: pytest.MonkeyPatch) -> RunManager:
    """Finished runs "a-pix2pix" and "a-cyclegan" with two generators each, on a set of pairs of two classes."""
    images = torch.randint(0, 256, (40, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    dataset = ImageDataset("blobs", images, torch.arange(40) % 2, ("dark", "bright"), inputs=255 - images)

    def load(*rest: object) -> Generator[object, None, ImageDataset]:
        yield from ()
        return dataset

    monkeypatch.setattr(datasets, "load", load)
    for name in ("pix2pix", "cyclegan"):
        config = recipe(name).config.change(data="blobs", image_size=28, channels=1, generator_filters=4, discriminator_filters=4)
        folder = RunFolder(manager.root / f"a-{name}")
        folder.write_config(config, name, dataset)
        state = new_state(config, torch.device("cpu"), class_names=dataset.class_names)
        for state.step in (1, 4):
            folder.save_generator(state)
        folder.append_norms(4, layer_norms(state))
        folder.flush()
        folder.save_state(state)
        write_status(folder, RunState.FINISHED, state)
    return manager


def choose(at: AppTest, key: str, value: str) -> None:
    widget: Any = at.get_by_key(key)
    widget.set_value(value).run()


def test_without_a_run_the_page_says_what_to_train(open_page: Open) -> None:
    at = open_page(pages.TRANSLATE)
    assert "Train one with the recipe pix2pix, which learns from pairs of images, or cyclegan" in texts(at.info)
    button(at, "Train cyclegan").click().run()
    assert at.session_state["recipe"] == at.session_state["setting_networks"] == "cyclegan"


@pytest.mark.usefixtures("translated")
def test_pairs_can_be_drawn_looked_up_and_followed_through_training(open_page: Open) -> None:
    at = open_page(pages.TRANSLATE, **{"from": "a-pix2pix"})
    assert not at.exception and "the picture on the right follows the pen" in texts(at.caption)
    choose(at, "view", "One image")
    assert not at.exception and not at.error and {"Input", "Output", "Target"} <= {c.value for c in at.caption}
    choose(at, "view", "Through training")
    assert not at.exception and not at.error
    said = texts(at.markdown)
    assert all(f"**{row}**" in said for row in ("Input", "Step 1", "Step 4", "Target")) and len(at.table) == 1
    assert "The mean target" in str(at.table[0].value) and "SSIM" in str(at.table[0].value)


@pytest.mark.usefixtures("translated")
def test_classes_are_translated_there_and_back(open_page: Open) -> None:
    at = open_page(pages.TRANSLATE, **{"from": "a-cyclegan"})
    assert not at.exception and not at.error
    assert [c.value for c in at.caption][1:5] == ["dark", "Translated to bright", "And back", "Difference"]
    assert "There and back changes the pixels by" in texts(at.caption)
    choose(at, "way", "back")
    assert [c.value for c in at.caption][1:3] == ["bright", "Translated to dark"]
    choose(at, "view", "Through training")
    assert not at.exception and "Training never sees these images." in texts(at.caption) and not at.table


@pytest.mark.usefixtures("translated")
@pytest.mark.parametrize(("page", "key"), [(pages.EXPLORE, "from"), (pages.EVALUATE, "from"), (pages.INSIDE, "run")])
def test_pages_about_latent_vectors_lead_to_translate(open_page: Open, page: Any, key: str) -> None:
    at = open_page(page, **{key: "a-pix2pix"})
    assert not at.exception and not at.error
    assert "This run translates images. It has no latent vectors" in texts(at.info)
    assert [link.proto.page for link in at.get("page_link") if link.proto.label == "Translate"]


@pytest.mark.usefixtures("translated")
def test_a_run_s_page_and_its_norms_work(open_page: Open) -> None:
    at = open_page(pages.TRAIN, run="a-cyclegan")
    assert not at.exception and not at.error
    assert "Translate images" in [b.label for b in at.button] and "Explore its images" not in [b.label for b in at.button]
    at = open_page(pages.INSIDE, run="a-cyclegan", look="Norms over time")
    assert not at.exception and not at.error and not at.info
    at = open_page(pages.COMPARE, runs="a-cyclegan,a-pix2pix")
    assert not at.exception and not at.error
