"""The views of Explore that compare a generator with real images, as the page's script draws them."""

import io
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from gan import latent
from gan.config import TrainConfig
from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.data.form import Form
from gan.events import Progress
from gan.explore import projection
from gan.explore.vectors import MOST, LatentVector
from gan.networks.sampling import sample
from gan.runs.folder import save_generator
from gan.training.state import TrainState, new_state
from tests.pages.apps import ENTRY, button, texts
from ui import workshop
from ui.explore import memory as explore_memory

MEMORY, BACK = "Does it copy its training images?", "Find an image in latent space"


def state(classes: tuple[Any, ...] | tuple[str, str] = (), **changes: Any) -> TrainState:
    config = TrainConfig(
        latent_dim=6, generator_filters=8, precision="fp32", initialization="pytorch", conditional=bool(classes), **changes
    )
    made = new_state(config, torch.device("cpu"), class_names=tuple(classes))
    with torch.no_grad():
        for name, parameter in made.averaged.named_parameters():
            if "norm" in name and name.endswith("weight"):
                parameter.mul_(5)  # an untrained generator draws nothing but gray
    return made


@pytest.fixture
def parted(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any | TrainState]:
    """The server's mnist by split. Training images: the generator's images of the seeds 0 to 9, and noise. Test images: other ones."""
    made = state()
    own, other = (torch.from_numpy(sample(made.averaged, latent.from_seeds(seeds, 6))) for seeds in (range(10), range(100, 140)))
    noise = torch.randint(0, 256, (190, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    training = ImageDataset("mnist", torch.cat([own, noise]), torch.arange(200) % 10, tuple("0123456789"))
    return {"train": training, "test": ImageDataset("mnist", other, torch.arange(40) % 10, tuple("0123456789")), "made": made}


@pytest.fixture
def open_view(parted: dict[str, Any], folders: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Opens a view of Explore on a server with a generator "digits" that has memorized ten of its training images."""

    def load(name: str, image_size: int, channels: int, split: str = "train", *rest: Any) -> Generator[Progress, None, Any]:
        yield datasets.Progress("Reading *mnist*", 0, 2)
        return parted[split]

    monkeypatch.setattr(datasets, "load", load)
    monkeypatch.setattr(datasets, "available", lambda: ["mnist"])
    monkeypatch.setattr(projection, "STARTS", 64)
    monkeypatch.setattr(projection, "STEPS", 12)
    monkeypatch.setattr(explore_memory, "SURVEYED", 40)
    caches = (workshop.manager, workshop.models, workshop.judges)
    for cache in caches:
        cache.cache_clear()
    save_generator(folders / "checkpoints" / "pretrained" / "digits.safetensors", parted["made"])

    def open_view(view: str, **address: Any) -> AppTest:
        at = AppTest.from_file(ENTRY, default_timeout=60)
        for name, value in (address | {"view": view}).items():
            at.query_params[name] = value
        at.run()
        at.switch_page("../pages/explore.py")
        at.run()
        assert not at.exception, at.exception
        return at

    yield open_view
    for cache in caches:
        cache.cache_clear()


def test_copies_are_told_from_inventions(open_view: Callable[..., AppTest]) -> None:
    at = open_view(MEMORY, memory_seeds="0,5,70")
    assert len(at.get("image")) == 3 and not at.error
    captions = [c.value for c in at.caption if "Seed" in c.value]
    assert [("As close as a copy" in c) for c in captions] == [True, True, False]
    assert "**Seed 5** is closer to a training image than 100% of new real images." in captions[1]
    assert "digits-CNN" in texts(at.markdown) or "digits" in texts(at.markdown)
    at.text_input(key="memory_seeds").set_value("1-99").run()
    assert "at most 24 seeds" in texts(at.error) and not at.exception


def test_the_closest_of_many(open_view: Callable[..., AppTest]) -> None:
    at = open_view(MEMORY)
    at.segmented_control(key="memory").select(explore_memory.CLOSEST).run()
    assert not at.exception and len(at.get("image")) == explore_memory.SHOWN
    assert "more than chance explains (about 0): look at the pairs" in texts(at.markdown) and "Of 40 images, " in texts(at.markdown)
    assert sum("As close as a copy" in c.value for c in at.caption) >= 10


def test_where_chance_would_have_as_many_none_is_called_a_copy(open_view: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explore_memory, "COPIES", 0.0)  # of 40 images, 40 are expected to lie that close
    at = open_view(MEMORY)
    at.segmented_control(key="memory").select(explore_memory.CLOSEST).run()
    assert "no more than chance explains" in texts(at.markdown) and "As close as a copy" not in texts(at.caption)
    at.segmented_control(key="memory").select(explore_memory.CHOSEN).run()
    assert "**Seed 5** is closer to a training image than 100%" in texts(at.caption) and "As close as a copy" not in texts(at.caption), (
        "the same seeds, picked"
    )


def test_a_set_without_test_images_and_one_that_was_trained_on_say_so(
    open_view: Callable[..., AppTest], parted: dict[str, Any], monkeypatch: pytest.MonkeyPatch, folders: Path
) -> None:
    at = open_view(MEMORY)
    assert "% of new real images." in texts(at.caption) and "has no test images" not in texts(at.markdown)
    other = state(data_split="all")
    save_generator(folders / "checkpoints" / "pretrained" / "both.safetensors", other)
    at = open_view(MEMORY, **{"from": "both"})
    assert "% of other real images." in texts(at.caption) and "also trained on the test images" in texts(at.markdown)


def test_what_cannot_be_compared_is_a_sentence(
    open_view: Callable[..., AppTest], folders: Path, parted: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_generator(folders / "checkpoints" / "pretrained" / "private.safetensors", state(data="/etc"))
    for view in (MEMORY, BACK):
        at = open_view(view, **{"from": "private"})
        assert "training images are not on this server" in texts(at.info) and not at.error
    parted["train"] = ImageDataset("mnist", parted["train"].images[:50])
    assert "need at least 100" in texts(open_view(MEMORY).error)
    monkeypatch.setattr(datasets, "to_download", lambda name: 100)
    assert "not on this server yet" in texts(open_view(MEMORY).info)


def test_every_run_of_the_script_says_which_view_to_mark(open_view: Callable[..., AppTest]) -> None:
    """A browser may see only the second of two quick runs."""
    at = open_view("Sliders")
    for _ in range(2):
        choice = at.segmented_control(key="view")
        assert [choice.options[i] for i in choice.proto.default] == ["Sliders"] and choice.value == "sliders"
        at.run()


def test_a_canceled_comparison_waits_to_be_asked_for(open_view: Callable[..., AppTest]) -> None:
    at = open_view("Grid")
    at.session_state["judge_canceled"] = ("mnist", *Form(28, 1))
    at.segmented_control(key="view").select("memory").run()
    assert "was canceled" in texts(at.caption) and not at.get("image")
    button(at, "Compare after all").click().run()
    assert len(at.get("image")) == 8 and not at.exception


def test_a_held_out_image_is_looked_for_and_walked_from(open_view: Callable[..., AppTest]) -> None:
    at = open_view(BACK, held_out="7")
    assert at.number_input(key="held_out").value == 7 and at.number_input(key="held_out").max == 39
    assert "The result appears here." in texts(at.caption) and len(at.get("image")) == 1
    button(at, "Search").click().run()
    assert not at.exception and not at.error
    assert [m.label for m in at.metric] == ["Distance", "Pixels", "Length of z"]
    assert r"digits\-CNN" in at.metric[0].help and "of 255" in at.metric[1].value
    assert len(at.get("image")) == 1 + 1 + 4
    code: list[Any] = list(at.get("code"))
    assert "judge.reals.held_out.images()[7]" in code[1].value
    length = float(at.metric[2].value)
    button(at, "Walk from it").click().run()
    assert at.segmented_control(key="view").value == "walk" and not at.exception and not at.error
    vector = at.session_state["noise_vectors"][-1]
    assert vector.name == "From an image" and length == pytest.approx(float(np.linalg.norm(vector.z)), abs=0.06)
    at.session_state["view"] = "image"
    at.run()
    assert len(at.metric) == 3, "what was found stays"
    at.session_state["noise_vectors"] = [LatentVector(seed) for seed in range(MOST)]
    button(at, "Walk from it").click().run()
    assert "list of latent vectors is full" in texts(at.info) and at.segmented_control(key="view").value == "image"
    button(at, "Another").click().run()
    assert not at.exception and not at.metric and "The result appears here." in texts(at.caption)
    assert 0 <= at.number_input(key="held_out").value < 40


def test_an_upload_is_checked_and_looked_for(open_view: Callable[..., AppTest]) -> None:
    at = open_view(BACK, picture="Your own")
    assert not at.get("image") and not at.exception
    at.file_uploader[0].upload("no.png", b"this is no image", "image/png").run()
    assert r"The file no.png cannot be read as an image" in texts(at.error)
    file = io.BytesIO()
    Image.new("RGB", (60, 40), "white").save(file, "PNG")
    at.file_uploader[0].upload("yes.png", file.getvalue(), "image/png").run()
    assert not at.error and len(at.get("image")) == 1
    button(at, "Search").click().run()
    assert len(at.metric) == 3 and not at.exception


def test_without_the_data_an_own_image_is_compared_by_pixels(open_view: Callable[..., AppTest], folders: Path) -> None:
    save_generator(folders / "checkpoints" / "pretrained" / "private.safetensors", state(data="/etc"))
    at = open_view(BACK, picture="Your own", **{"from": "private"})
    file = io.BytesIO()
    Image.new("L", (28, 28), 200).save(file, "PNG")
    at.file_uploader[0].upload("yes.png", file.getvalue(), "image/png").run()
    button(at, "Search").click().run()
    assert [m.label for m in at.metric] == ["Pixels", "Length of z"] and not at.exception


def test_the_class_is_looked_for_too(open_view: Callable[..., AppTest], folders: Path) -> None:
    save_generator(folders / "checkpoints" / "pretrained" / "animals.safetensors", state(("cats", "*dogs*")))
    at = open_view(BACK, **{"from": "animals", "class": "*dogs*"})
    assert at.toggle(key="any_class").value
    at.toggle(key="any_class").set_value(False).run()
    button(at, "Search").click().run()
    assert r"Drawn as **\*dogs\***" in texts(at.markdown) and not at.exception
    button(at, "Walk from it").click().run()
    assert at.selectbox(key="class").value == "*dogs*"


@pytest.mark.parametrize("former, view", [("Memory or invention?", "memory"), ("Back from an image", "image")])
def test_addresses_with_a_former_name_still_open_the_view(open_view: Callable[..., AppTest], former: str, view: str) -> None:
    at = open_view(former)
    assert at.segmented_control(key="view").value == view and not at.exception
