"""The Data page as its script draws it: what it says about a set, and an upload from the file to the Train page."""

import io
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from gan.config import TrainConfig
from gan.data import datasets, published, uploads
from gan.data.datasets import ImageDataset
from gan.data.decoding import decode
from gan.data.intensity import darkness
from gan.events import Progress
from gan.owners import LOCAL
from tests.conftest import ADA, finish
from tests.data.test_uploads import left, packed, pets, picture
from tests.pages.apps import ENTRY, button, open_settings, places, texts
from ui import workshop
from ui.components.visitor import WHO
from ui.config_form import KEY
from ui.data import fitting
from ui.data.fitting import BACKGROUND
from ui.page_files import FOR_THE_SET, START
from ui.train import suggested
from ui.train.start_from import CHOSEN


@pytest.fixture
def digits(blobs: Any) -> list[Any]:
    """The data set that the page loads as mnist, in a list of one."""
    return [blobs]


@pytest.fixture
def open_data(digits: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens the page on a server that has nothing but 50 digits and what is uploaded."""
    real = datasets.load

    def load(name: str, *rest: Any, **more: Any) -> Generator[Progress, None, Any]:
        if name != "mnist":
            return (yield from real(name, *rest, **more))
        yield datasets.Progress("Reading *mnist*", 1, 2)
        return digits[0]

    monkeypatch.setattr(datasets, "load", load)
    monkeypatch.setattr(published, "SYSTEM", tmp_path / "nowhere")
    workshop.manager.cache_clear()

    def open_data(**address: Any) -> AppTest:
        at = AppTest.from_file(ENTRY, default_timeout=30)
        at.session_state[WHO] = ADA
        for name, value in address.items():
            at.query_params[name] = value
        at.run()
        at.switch_page("../pages/data.py")
        at.run()
        assert not at.exception, at.exception
        return at

    yield open_data
    workshop.manager().shutdown()
    workshop.manager.cache_clear()


def upload(at: AppTest, file: io.BytesIO, name: str = "My pets.zip") -> AppTest:
    at.file_uploader[0].upload(name, file.getvalue(), "application/zip").run()
    button(at, "Add the set").click().run()
    assert not at.exception, at.exception
    return at


def test_every_set_can_be_looked_at_and_the_first_is_shown(open_data: Callable[..., AppTest]) -> None:
    at = open_data()
    assert at.selectbox(key="set").options == list(datasets.NAMED)
    assert "50 images" in texts(at.markdown) and "No classes" in texts(at.caption) and len(at.get("image")) == 1
    assert [b.label for b in at.button] == ["Train on it", "Choose the settings"] and not at.error


def test_a_set_that_is_not_here_is_downloaded_only_when_asked(open_data: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str, *rest: Any) -> Iterator[Progress]:
        yield datasets.Progress("Downloading", 0, 10)
        raise OSError("no route to host")

    monkeypatch.setattr(published, "download", refuse)
    at = open_data(set="cifar10")
    assert "not on this server yet" in texts(at.info) and not at.get("image") and not at.error
    button(at, "Download it (170 MB)").click().run()
    assert "cannot be shown: the data set cifar10 could not be downloaded" in texts(at.error) and "no route" in texts(at.error)


def test_an_upload_is_shown_and_can_be_trained_on(open_data: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suggested, "quick_speed", lambda config, device: 1000.0)
    at = upload(open_data(), pets(("pets/*bold*.txt", b"x"), ("pets/cats/2.png", b"no")))
    assert "My\\-pets is ready" in texts(at.success) and at.query_params["set"] == "My-pets"
    assert at.selectbox(key="set").value == "My-pets" and "2 images" in texts(at.markdown)
    assert "as My pets.zip" in texts(at.caption).replace("\\", "")
    said = texts(at.markdown)
    assert "**1** pets/\\*bold\\*.txt\\: ends in .txt, not like an image" in said
    assert "**1** pets/cats/2.png\\: cannot be read as an image" in said
    assert [e.label for e in at.expander] == ["2 files and folders were left out"] and not at.text, "each has its sentence already"
    button(at, "Choose the settings").click().run()
    assert not at.exception and texts(at.title) == "Train"
    assert (at.selectbox(key=KEY + "data").value, at.session_state[KEY + "channels"]) == ("My-pets", 3)
    said = texts(at.markdown).replace("\\", "")
    assert "Suggested settings for My-pets" in said and "something is recognizable after 10 to 40 seconds" in said
    assert "translation, cutout**: the discriminator soon knows so few images by heart." in said
    assert (at.selectbox(key="recipe").value, at.selectbox(key=KEY + "data").value) == ("quick-images", "My-pets")
    assert (at.number_input(key=KEY + "batch_size").value, at.session_state[KEY + "augmentation_target"]) == (2, 0.6)
    assert "These settings are in the form" in texts(at.caption) and "Use these settings" not in [b.label for b in at.button]
    assert not workshop.manager().runs()
    open_settings(at.switch_page("../pages/train.py"))  # otherwise a button would run the previous page again
    at.selectbox(key=KEY + "image_size").select(64).run()
    button(at, "Use these settings").click().run()
    assert not at.exception and at.selectbox(key=KEY + "image_size").value == 32
    monkeypatch.setattr(suggested, "quick_speed", lambda config, device: 100.0)
    path = datasets.place("My-pets")
    assert path is not None
    os.utime(path, (1e9, 1e9))  # another upload has the same name
    at.run()
    assert "something is recognizable after 1 to 7 minutes" in texts(at.markdown)


def test_train_on_it_starts_with_suggested_settings(open_data: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suggested, "quick_speed", lambda config, device: 1000.0)
    at = upload(open_data(), pets())
    at.session_state[CHOSEN] = "a run that is gone"
    button(at, "Train on it").click().run()
    assert not at.exception and texts(at.title) == "Train"
    (run,) = workshop.manager().runs()
    said = texts(at.caption).replace("\\", "")
    assert at.query_params["run"] == run.id and not at.error
    assert "Settings chosen for My-pets: quick-images at 32 pixels." in said and "after 10 to 40 seconds" in said
    assert (run.stored.recipe, run.config.data, run.config.batch_size) == ("quick-images", "My-pets", 2)
    workshop.manager().stop(run.id, LOCAL)


def test_who_leaves_while_settings_are_chosen_finds_no_run_later(open_data: Callable[..., AppTest]) -> None:
    at = open_data()
    at.session_state[FOR_THE_SET] = START  # as in a script that was interrupted
    at.session_state[KEY + "data"] = "mnist"
    at.switch_page("../pages/compare.py").run()
    at.switch_page("../pages/train.py").run()
    assert not at.exception and button(at, "Train") and not workshop.manager().runs()


def test_without_a_suggestion_train_on_it_leads_to_the_form(open_data: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(config: TrainConfig, device: torch.device) -> float:
        raise RuntimeError("the GPU is full")

    monkeypatch.setattr(suggested, "quick_speed", refuse)
    at = upload(open_data(), pets())
    button(at, "Train on it").click().run()
    assert not at.exception and "No settings can be suggested for My-pets: RuntimeError: the GPU is full." in texts(at.caption).replace(
        "\\", ""
    )
    assert at.selectbox(key=KEY + "data").value == "My-pets" and button(at, "Train") and not workshop.manager().runs()


def test_a_refused_run_leaves_the_suggested_settings_in_the_form(
    open_data: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suggested, "quick_speed", lambda config, device: 1000.0)

    def refuse(*rest: object) -> Any:
        raise ValueError("the queue is full")

    monkeypatch.setattr(workshop.manager(), "submit", refuse)
    at = upload(open_data(), pets())
    button(at, "Train on it").click().run()
    assert not at.exception and "the queue is full" in texts(at.error).lower()
    assert (at.selectbox(key="recipe").value, at.number_input(key=KEY + "batch_size").value) == ("quick-images", 2)
    assert "These settings are in the form" in texts(at.caption)


def test_the_page_shows_how_wide_images_fit_and_the_choice_goes_along(open_data: Callable[..., AppTest]) -> None:
    wide = io.BytesIO()
    Image.new("RGBA", (40, 20), (0, 0, 255, 128)).save(wide, "PNG")
    at = upload(open_data(), pets(("pets/cats/wide.png", wide.getvalue())))
    assert "How should they fit into a square?" in texts(at.subheader) and len(at.get("image")) == 5
    assert "they are cropped" not in texts(at.caption)
    button(at, "Pad").click().run()
    assert "Here they are cropped, on white." in texts(at.caption)
    at.color_picker(key=BACKGROUND).set_value("#00FF00").run()
    button(at, "Choose the settings").click().run()
    assert not at.exception and texts(at.title) == "Train"
    assert (at.session_state[KEY + "fit"], at.session_state[KEY + "background"].lower()) == ("pad", "#00ff00")


def test_nothing_moves_when_a_note_and_a_progress_bar_are_gone(open_data: Callable[..., AppTest]) -> None:
    wide = io.BytesIO()
    Image.new("RGB", (40, 20), (0, 0, 255)).save(wide, "PNG")
    at = upload(open_data(), pets(("pets/cats/wide.png", wide.getvalue())))
    assert at.success
    before = {kind: places(at, kind) for kind in ("image", "subheader", "button")}
    assert len(before["image"]) == 5 and before["subheader"]
    at.run()
    assert not at.success and {kind: places(at, kind) for kind in before} == before


def test_pairs_are_shown_as_pairs_and_trained_on_with_pix2pix(open_data: Callable[..., AppTest]) -> None:
    folders = [(f"faces/{side}/{i}.png", picture()) for side in "AB" for i in range(3)]
    at = upload(open_data(), packed(*folders, ("faces/A/alone.png", picture())))
    assert "**3 pairs**" in texts(at.markdown) and "Pairs: each image of A is to the left" in texts(at.caption)
    assert "has no partner of the same name in folder B" in texts(at.markdown) and len(at.get("image")) == 1
    assert {"Train pix2pix on its pairs", "Train on single images"} <= {b.label for b in at.button}
    button(at, "Train pix2pix on its pairs").click().run()
    assert not at.exception and texts(at.title) == "Train"
    assert (at.selectbox(key="recipe").value, at.selectbox(key=KEY + "data").value) == ("pix2pix", "My-pets")
    assert "Suggested settings" not in texts(at.markdown)  # they are not for pairs

    wide = io.BytesIO()
    Image.new("RGB", (64, 32), (0, 0, 255)).save(wide, "PNG")
    at.switch_page("../pages/data.py").run()
    at = upload(at, packed(("0.png", wide.getvalue()), ("1.png", wide.getvalue())), "Side by side.zip")
    assert "**2 pairs**" in texts(at.markdown) and "How should they fit into a square?" in texts(
        at.subheader
    )  # trained on as single images
    assert "Each file holds A and B side by side." in texts(at.caption)


def test_examples_are_decoded_once_for_each_form(open_data: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[Any] = []

    def counted(source: Any, *form: Any) -> Any:
        decoded.append(form)
        return decode(source, *form)

    monkeypatch.setattr(fitting, "decode", counted)
    wide = io.BytesIO()
    Image.new("RGBA", (40, 20), (0, 0, 255, 128)).save(wide, "PNG")
    at = upload(open_data(), pets(("pets/cats/wide.png", wide.getvalue())))
    button(at, "Pad").click().run()
    assert len(decoded) == len(set(decoded)) == 4


def test_a_set_that_is_deleted_while_its_page_is_drawn_is_a_sentence(
    open_data: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*rest: object) -> Iterator[Progress]:
        yield Progress("Looking for images", 0, 0)
        raise FileNotFoundError(2, "No such file or directory", "/secret/set")

    monkeypatch.setattr(fitting, "examples", gone)
    at = upload(open_data(), pets())
    assert not at.exception and "My\\-pets can no longer be read." in texts(at.error) and "secret" not in texts(at.error)


def test_square_opaque_images_need_no_choice(open_data: Callable[..., AppTest]) -> None:
    at = upload(open_data(), pets())
    assert not at.subheader and not at.color_picker


def test_a_second_file_does_not_keep_the_name_of_the_first(open_data: Callable[..., AppTest]) -> None:
    at = open_data()
    for file in ("cats.zip", "dogs.zip"):
        at.file_uploader[0].upload(file, pets().getvalue(), "application/zip").run()
        assert next(t for t in at.text_input if t.label == "Name of the set").value == file.removesuffix(".zip")


def test_a_taken_name_gets_a_number_and_the_page_says_so(open_data: Callable[..., AppTest]) -> None:
    finish(uploads.add(pets(), "My-pets", "x.zip"))
    at = open_data()
    at.file_uploader[0].upload("My pets.zip", pets().getvalue(), "application/zip").run()
    name = next(t for t in at.text_input if t.label == "Name of the set")
    assert name.value == "My-pets-2"
    name.set_value("my-pets").run()
    button(at, "Add the set").click().run()
    assert "There was a set my\\-pets already, so yours is called my\\-pets\\-2" in texts(at.success)
    assert datasets.available()[-2:] == ["My-pets", "my-pets-2"]


@pytest.mark.parametrize("file", [packed(), packed(("../x.png", picture())), packed(("[a](b).png", b"no"))])
def test_a_refused_upload_is_one_sentence_with_escaped_names(open_data: Callable[..., AppTest], file: io.BytesIO) -> None:
    at = upload(open_data(), file)
    assert len(at.error) == 1 and "The zip was not added: the file My pets.zip" in texts(at.error).replace("none of the 1 images in ", "")
    assert "[a](b)" not in texts(at.error) and left() in (["cache"], [])
    assert "50 images" in texts(at.markdown)


def test_a_name_that_is_not_allowed_is_a_sentence(open_data: Callable[..., AppTest]) -> None:
    at = open_data()
    at.file_uploader[0].upload("x.zip", pets().getvalue(), "application/zip").run()
    next(t for t in at.text_input if t.label == "Name of the set").set_value("../x").run()
    button(at, "Add the set").click().run()
    assert "letters, digits" in texts(at.error) and datasets.available() == list(datasets.NAMED)
    next(t for t in at.text_input if t.label == "Name of the set").set_value(" my  pets ").run()
    button(at, "Add the set").click().run()
    assert not at.error and at.selectbox(key="set").value == "my-pets"


def test_an_uploaded_set_is_deleted_unless_a_run_needs_it(open_data: Callable[..., AppTest]) -> None:
    name = finish(uploads.add(pets(), "pets", "x.zip"))
    at = open_data()
    assert "Delete it" not in [b.label for b in at.button]  # mnist came with the app
    run = workshop.manager().submit(TrainConfig(data=name, batch_size=2, precision="fp32", generator_filters=4, discriminator_filters=4))
    at = open_data(set=name)
    button(at, "Delete it").click().run()
    assert "The set was not deleted: a run trains on the data set pets" in texts(at.error).replace("\\", "")
    workshop.manager().stop(run.id)
    workshop.manager().shutdown()
    button(at, "Delete it").click().run()
    assert "is deleted" in texts(at.success) and at.selectbox(key="set").value == "mnist"
    assert not at.warning, "no second message about the same set"
    assert left() in (["cache"], []) and not at.exception


def test_classes_are_bars_and_very_many_are_a_table(open_data: Callable[..., AppTest], digits: list[Any], blobs: Any) -> None:
    for classes in (10, 40):
        digits[0] = ImageDataset("mnist", blobs.images, torch.arange(50) % classes, tuple(f"class {i}" for i in range(classes)))
        at = open_data()
        assert [len(table.value) for table in at.dataframe] == ([40] if classes == 40 else [])
        assert len(at.get("plotly_chart")) == (classes == 10) and "No classes" not in texts(at.caption)


def test_an_unknown_set_in_the_address_is_a_sentence(open_data: Callable[..., AppTest]) -> None:
    assert "no data set \\*x\\*" in texts(open_data(set="*x*").warning)


def test_what_is_left_out_is_told_by_reason_and_then_file_by_file(open_data: Callable[..., AppTest], digits: list[Any], blobs: Any) -> None:
    sentences = [f"a: b/{i}.heic: is a HEIC photo; convert it" for i in range(3)] + ["x.png: has 3 x 3 pixels; too few"]
    left_out = (("is a HEIC photo", 300), ("has … x … pixels", 1))
    digits[0] = replace(blobs, name="mnist", skipped=tuple(sentences), left_out=left_out)
    at = open_data()
    said = texts(at.markdown).replace("\\", "")
    assert "**300** such as a: b/0.heic: is a HEIC photo" in said and "**1** x.png: has 3 x 3 pixels; too few" in said
    assert at.text[0].value.splitlines() == sentences and "The first 200" in said
    assert at.expander[0].label == "301 files and folders were left out"


def test_a_set_that_is_nearly_black_is_an_alarm_and_other_notes_are_not(
    open_data: Callable[..., AppTest], digits: list[Any], blobs: Any
) -> None:
    digits[0] = replace(blobs, name="mnist", notes=("values 0 to 4,095 scaled to 0 to 255", darkness(3)))
    at = open_data()
    assert "brightest pixel is 3 of 255" in texts(at.warning) and "4,095" in texts(at.caption) and "4,095" not in texts(at.warning)
