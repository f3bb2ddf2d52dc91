"""The page Look inside as its script draws it."""

import base64
import io
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from gan.config import TrainConfig
from gan.data import datasets
from gan.data.form import Form
from gan.data.imageset import ImageDataset
from gan.inside.files import saved_at
from gan.owners import Visitor
from gan.runs.folder import RunFolder, save_generator
from gan.runs.names import label, listed
from gan.runs.record import write_status
from gan.runs.run import Run
from gan.runs.states import RunState
from gan.training.loop import layer_norms
from gan.training.state import TrainState, new_state
from tests.pages.apps import ENTRY, button, texts
from ui import workshop
from ui.inside import choose as inside_choose

CPU = torch.device("cpu")


@pytest.fixture
def open_inside(blobs: ImageDataset, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Opens the page on a server whose one data set is blobs."""

    def load(*rest: Any) -> Generator[None, None, Any]:
        yield from ()
        return blobs

    monkeypatch.setattr(datasets, "load", load)
    monkeypatch.setattr(datasets, "available", lambda: ["blobs"])
    caches = (workshop.manager, workshop.models, workshop.network_cache)
    for cache in caches:
        cache.cache_clear()

    def open_inside(**address: Any) -> AppTest:
        at = AppTest.from_file(ENTRY, default_timeout=30)
        for name, value in address.items():
            at.query_params[name] = value
        at.run()
        at.switch_page("../pages/inside.py")
        at.run()
        assert not at.exception, at.exception
        return at

    yield open_inside
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def make_run(config: TrainConfig, folders: Path) -> Callable[..., Any]:
    """Makes a run's folder with untrained networks."""

    def make_run(name: str, state: bool = True, generator: bool = False, **settings: Any) -> tuple[RunFolder, TrainState]:
        made = new_state(config.change(**settings), CPU, class_names=("cats", "*dogs*"))
        folder = RunFolder(folders / "checkpoints" / name)
        folder.path.mkdir(parents=True)
        folder.write_config(made.config, "quick-digits")
        write_status(folder, RunState.STOPPED)
        made.step = 7
        if state:
            folder.save_state(made)
        if generator:
            folder.save_generator(made)
        return folder, made

    return make_run


def pictures(at: AppTest) -> int:
    return len(at.get("image"))


def test_a_server_without_networks_leads_to_training(open_inside: Callable[..., AppTest]) -> None:
    at = open_inside(run="gone")
    assert "no networks yet" in texts(at.info) and not at.error
    assert not at.selectbox


def test_the_way_through_the_generator(open_inside: Callable[..., AppTest], make_run: Callable[..., Any]) -> None:
    make_run("one")
    at = open_inside(run="one")
    assert "step 7" in texts(at.caption)
    assert at.selectbox(key="layer").options == [
        *("1 transposed convolution", "2 batch normalization", "3 ReLU", "4 transposed convolution", "5 batch normalization", "6 ReLU"),
        *("7 transposed convolution", "8 batch normalization", "9 ReLU", "10 transposed convolution", "11 tanh"),
    ]
    assert at.selectbox(key="layer").value == "7 transposed convolution"
    assert pictures(at) == 1 + 11 + 4
    at.selectbox(key="layer").select("11 tanh").run()
    assert pictures(at) == 1 + 11 + 1 and "this is the image" in texts(at.markdown)
    at.number_input(key="seed").set_value(5).run()
    assert not at.exception and not at.error


def test_the_page_opens_on_what_can_be_looked_at(
    open_inside: Callable[..., AppTest], make_run: Callable[..., Any], folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not on a stranger's run that waits, although it is the newest; on the visitor's own before all others."""
    waiting, state = make_run("z-waiting", state=False)
    write_status(waiting, RunState.QUEUED)
    save_generator(folders / "checkpoints" / "pretrained" / "digits.safetensors", state)
    assert "of digits after step 7" in texts(open_inside().caption)
    make_run("b-ended")
    assert "of b-ended after step 7" in texts(open_inside().caption)
    own, _ = make_run("a-own")
    own.write_config(state.config, "quick-digits", owner="Ada", owner_id="a" * 16)
    write_status(own, RunState.INTERRUPTED)
    monkeypatch.setattr(inside_choose, "visitor", lambda: Visitor("Ada", "a" * 16))
    at = open_inside()
    assert "of a-own after step 7" in texts(at.caption) and "run" not in at.query_params


def test_a_generator_that_comes_with_the_app_is_shown_and_what_is_missing_is_said(
    open_inside: Callable[..., AppTest], make_run: Callable[..., Any], folders: Path
) -> None:
    one, state = make_run("one")
    save_generator(folders / "checkpoints" / "pretrained" / "digits.safetensors", state)
    at = open_inside(run="digits")
    assert (
        at.selectbox(key="run").options == [f"newest: {listed(label(Run(one)), 'one')}", listed(label(Run(one)), "one"), "digits"]
        and pictures(at) == 16
    )
    for view in ("Discriminator", "Filters"):
        at = open_inside(run="digits", look=view)
        assert "has no discriminator" in texts(at.info) and not at.error
    assert pictures(at) == 1
    assert "have no norms" in texts(open_inside(run="digits", look="Norms over time").info)


def test_a_run_without_a_state_says_so(open_inside: Callable[..., AppTest], make_run: Callable[..., Any]) -> None:
    make_run("none", state=False)
    assert "ended before it saved its networks" in texts(open_inside(run="none").info)
    make_run("alone", state=False, generator=True)
    assert "no checkpoint yet" in texts(open_inside(run="alone", look="Discriminator").info)
    assert pictures(open_inside(run="alone")) == 16


def test_an_earlier_step_has_the_generator_alone(open_inside: Callable[..., AppTest], make_run: Callable[..., Any]) -> None:
    folder, state = make_run("one", generator=True)
    folder.keep_state(state)
    state.step = 9
    folder.save_generator(state)
    at = open_inside(run="one", look="Discriminator", at="9")
    assert "The discriminator is saved at step 7." in texts(at.info)
    at = open_inside(run="one", look="Discriminator", at="7")
    assert not at.info and at.metric[0].label == "D's answer"


def test_a_run_that_trains_is_shown_at_its_newest_step_and_followed(
    open_inside: Callable[..., AppTest], make_run: Callable[..., Any], folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, state = make_run("one", state=False)
    folder.lock()  # as if another process trained it
    write_status(folder, RunState.RUNNING)
    at = open_inside(run="one")
    assert "this page shows them then" in texts(at.info) and not at.caption
    folder.save_state(state)
    state.step = 9
    folder.save_generator(state)
    at = open_inside(run="one")
    assert "The generator of one after step 9" in texts(at.caption) and "newer networks appear here" in texts(at.caption)
    at = open_inside(run="one", look="Filters")
    assert "Both networks of one after step 7" in texts(at.caption)
    assert "newer networks" not in texts(open_inside(run="one", at="9").caption), "this step was asked for"

    drawn_again = []
    monkeypatch.setattr(inside_choose.st, "rerun", lambda: drawn_again.append(folder.generator_steps()))
    before = saved_at(folders / "checkpoints", "one")
    inside_choose.follow("one", before)
    assert not drawn_again
    state.step = 16
    folder.save_generator(state)
    inside_choose.follow("one", before)
    assert drawn_again == [[9, 16]]
    write_status(folder, RunState.STOPPED)
    folder.unlock()
    inside_choose.follow("one", saved_at(folders / "checkpoints", "one"))
    inside_choose.follow("gone", saved_at(folders / "checkpoints", "gone"))
    assert len(drawn_again) == 3


def test_the_next_step_is_the_same_generator_in_explore(open_inside: Callable[..., AppTest], make_run: Callable[..., Any]) -> None:
    make_run("alone")
    assert not open_inside(run="alone").get("page_link")
    make_run("one", generator=True)
    (link,) = open_inside(run="one", look="Filters").get("page_link")
    assert link.proto.label == "Explore" and link.proto.query_string == "from=one"


def test_pictures_travel_with_the_page(open_inside: Callable[..., AppTest], make_run: Callable[..., Any]) -> None:
    """A picture with a separate address is gone when the next page's script ends, and a browser that still loads it gets a 404."""
    make_run("one")
    for view in ("Generator", "Discriminator", "Filters"):
        urls = [part.url for image in open_inside(run="one", look=view).get("image") for part in image.proto.imgs]
        assert urls and all(url.startswith("data:image/png;base64,") for url in urls)


def test_unknown_runs_and_damaged_states_are_sentences(open_inside: Callable[..., AppTest], make_run: Callable[..., Any]) -> None:
    folder, _ = make_run("one")
    at = open_inside(run="gone<b>")
    assert r"no run gone\<b\>" in texts(at.warning) and at.selectbox(key="run").value == "newest"
    folder.state_file.write_bytes(folder.state_file.read_bytes()[:-500])
    for view in ("Generator", "Discriminator", "Filters"):
        assert "cannot be opened" in texts(open_inside(run="one", look=view).error)
    folder.config_file.write_text("{")
    assert "cannot be read" in texts(open_inside(run="one").error)


def test_answers_to_real_and_generated_images(open_inside: Callable[..., AppTest], make_run: Callable[..., Any]) -> None:
    make_run("one", loss="hinge")
    at = open_inside(run="one", look="Discriminator")
    choices = [b for b in at.button if (b.key or "").startswith("pick")]
    assert len(choices) == 12 and len({b.label for b in choices}) > 6
    choices[4].click().run()
    assert at.metric[0].value == next(b for b in at.button if b.key == "pick4").label
    before = [b.label for b in choices]
    button(at, "Other images").click().run()
    assert [b.label for b in at.button if (b.key or "").startswith("pick")] != before
    at.segmented_control(key="image").set_value("Generated").run()
    answers = {at.metric[0].value}
    for judged in ("Among real", "Among generated"):
        at.segmented_control(key="judged").set_value(judged).run()
        assert not at.exception and not at.error
        answers.add(at.metric[0].value)
    assert "asked in the same way" in texts(at.caption) and len(answers) == 3


def test_data_that_are_not_here_are_a_sentence(
    open_inside: Callable[..., AppTest], make_run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run("one", data="/etc")
    assert "training images are not on this server" in texts(open_inside(run="one", look="Discriminator").info)
    make_run("two")

    def load(*rest: Any) -> Iterator[None]:
        raise ValueError("all *gone*")
        yield

    monkeypatch.setattr(datasets, "load", load)
    at = open_inside(run="two", look="Discriminator")
    assert r"cannot be read: all \*gone\*" in texts(at.error)
    assert at.segmented_control(key="image").options == ["Real", "Generated", "Your own", "Drawn"]
    at.segmented_control(key="image").set_value("Generated").run()
    assert at.metric and not at.error


def test_loading_that_was_canceled_waits_to_be_asked_for(open_inside: Callable[..., AppTest], make_run: Callable[..., Any]) -> None:
    make_run("one")
    at = open_inside(run="one", look="Discriminator", image="Generated")
    at.session_state["canceled"] = ("blobs", *Form(28, 1), "train", (), 0)
    at.segmented_control(key="image").set_value("Real").run()
    assert "was canceled" in texts(at.caption) and not at.metric
    button(at, "Load the real images").click().run()
    assert at.metric and not at.exception
    assert not at.run().error and at.metric


def test_an_image_of_ones_own(open_inside: Callable[..., AppTest], make_run: Callable[..., Any]) -> None:
    make_run("one", loss="hinge")  # whose scores show more digits than a probability near 1/2
    at = open_inside(run="one", look="Discriminator", image="Your own")
    assert not at.metric
    buffer = io.BytesIO()
    Image.effect_noise((60, 40), 50).save(buffer, "PNG")
    at.file_uploader[0].upload("a.png", buffer.getvalue(), "image/png").run()
    first = at.metric[0].value
    assert not at.error
    at.toggle[0].set_value(True).run()
    assert at.metric[0].value != first
    at.file_uploader[0].upload("<b>.png", b"nothing", "image/png").run()
    assert r"\<b\>.png cannot be read as an image" in texts(at.error) and not at.metric


def test_a_drawing_that_the_browser_made_up_is_a_sentence(open_inside: Callable[..., AppTest], make_run: Callable[..., Any]) -> None:
    make_run("one")
    at = open_inside(run="one", look="Discriminator", image="Drawn")
    assert not at.metric and not at.error
    at.session_state["drawing_28"] = base64.b64encode(np.full((28, 28), 200, np.uint8).tobytes()).decode()
    at.run()
    assert at.metric and not at.error
    for wrong in ("x" * 100, 7, {"a": 1}):
        at.session_state["drawing_28"] = wrong
        at.run()
        assert "28 x 28 gray values" in texts(at.error) and not at.metric and not at.exception


@pytest.mark.parametrize(
    "settings", [{"packing": 2, "minibatch_std": True}, {"loss": "hinge"}, {"networks": "mlp"}, {"image_size": 64, "channels": 3}]
)
def test_other_kinds_of_networks(open_inside: Callable[..., AppTest], make_run: Callable[..., Any], settings: dict[str, Any]) -> None:
    make_run("one", **settings)
    for view in ("Generator", "Filters"):
        at = open_inside(run="one", look=view)
        assert not at.error
    assert pictures(at) == 2
    at = open_inside(run="one", look="Discriminator", image="Generated")
    assert not at.error and at.metric[0].label == ("D's score" if "loss" in settings else "D's answer")
    assert bool([c for c in at.segmented_control if c.key == "judged"]) == (settings != {"networks": "mlp"})
    if "packing" in settings:
        assert "sees 2 images at once" in texts(at.caption) and at.segmented_control(key="judged").value == "Among generated"
    assert ("Drawn" in at.segmented_control(key="image").options) == ("channels" not in settings)


def test_a_conditional_run_has_a_class_picker(
    open_inside: Callable[..., AppTest], make_run: Callable[..., Any], blobs: ImageDataset
) -> None:
    make_run("one", generator=True, conditional=True)
    at = open_inside(run="one")
    assert at.selectbox(key="class").options == ["cats", "*dogs*"] and at.selectbox(key="layer").options[0] == "1 class"
    at = open_inside(run="one", look="Discriminator", image="Generated", **{"class": "*dogs*"})
    assert r"D gets the class \*dogs\*" in texts(at.caption) and not at.error
    at = open_inside(run="one", look="Discriminator")
    assert "other classes" in texts(at.error)
    object.__setattr__(blobs, "labels", torch.arange(50) % 2)
    object.__setattr__(blobs, "class_names", ("cats", "*dogs*"))
    at = open_inside(run="one", look="Discriminator")
    assert "D gets the class" in texts(at.caption) and not at.error


def test_norms_over_time(open_inside: Callable[..., AppTest], make_run: Callable[..., Any]) -> None:
    folder, state = make_run("one")
    folder.lock()
    folder.append_norms(7, layer_norms(state))
    folder.flush()
    folder.unlock()
    at = open_inside(run="one", look="Norms over time")
    assert len(at.get("plotly_chart")) == 4 and "convolution at 7 x 7" in texts(at.markdown)
    at.toggle(key="everything").set_value(True).run()
    assert "normalization at 7 x 7" in texts(at.markdown) and not at.exception
