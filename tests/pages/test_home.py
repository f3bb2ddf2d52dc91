"""Home: one moving picture, one button, and the runs with what is wrong with them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from gan.config import TrainConfig
from gan.doctor.summary import Outlook
from gan.owners import STRANGER, Visitor
from gan.runs.manager import RunManager
from gan.runs.names import label
from gan.runs.run import Run
from tests.conftest import ADA, BOB
from tests.pages.apps import button, texts
from tests.waiting import ended, wait_for
from ui import page_files as pages
from ui.components.visitor import WHO
from ui.health import Health
from ui.home import cards
from ui.text import plain

Open = Callable[..., AppTest]


def living(at: AppTest) -> dict[str, Any]:
    """The data of the moving picture."""
    (found,) = [c for c in at.get("bidi_component") if c.proto.component_name == "living"]
    data: dict[str, Any] = json.loads(found.proto.json)
    return data


def as_visitor(at: AppTest, who: Visitor) -> AppTest:
    at.session_state[WHO] = who
    return at.run()


def test_a_new_visitor_sees_a_film_and_one_button_that_starts_the_led_run(open_page: Open) -> None:
    at = open_page(pages.HOME)
    assert living(at)["sheet"].startswith("data:image/webp;base64,") and living(at)["frames"] > 1
    assert [b.label for b in at.button if b.proto.type == "primary"] == ["Train your first network"]
    button(at, "Train your first network").click().run()
    assert at.title[0].value == "Train" and at.query_params["guide"] == "1" and not at.exception


def test_a_visitor_whose_run_trains_sees_its_images_and_is_led_to_it(open_page: Open, manager: RunManager, config: TrainConfig) -> None:
    run = manager.submit(config.change(duration=1_000_000), "quick-digits", ADA)
    wait_for(lambda: bool(run.sample_steps))
    at = open_page(pages.HOME)
    assert living(at)["run"] == run.id and living(at)["step"] in run.sample_steps and "sheet" not in living(at)
    button(at, "Watch your run").click().run()
    assert at.title[0].value == "Train" and at.query_params["run"] == run.id
    at = as_visitor(open_page(pages.HOME), BOB)
    assert "sheet" in living(at), "another one's run is not theirs"
    assert button(at, "Train your first network") and "Now training" in texts(at.subheader)
    assert "Your runs" not in texts(as_visitor(at, STRANGER).subheader)


def test_own_runs_come_first_and_each_card_says_whose_it_is_and_how_far(open_page: Open, manager: RunManager, config: TrainConfig) -> None:
    mine = manager.submit(config, "quick-digits", ADA)
    wait_for(ended(mine))
    running = manager.submit(config.change(duration=1_000_000), "quick-digits", BOB)
    waiting = manager.submit(config, "lecture", BOB)
    at = open_page(pages.HOME)
    assert [s.value for s in at.subheader][:2] == ["Your runs", "Now training"]
    said = texts(at.markdown)
    names = [said.index(f"**{plain(label(run))}**") for run in (mine, running, waiting)]
    assert names == sorted(names) and label(waiting).startswith("Bob · lecture")
    assert "number 1 in the queue" in said and "Step 12 · " in texts(at.caption)
    assert button(at, "Train another network")


def test_a_card_says_what_is_wrong_in_one_line(open_page: Open, finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Too few steps to say" in texts(open_page(pages.HOME).markdown)
    monkeypatch.setattr(cards, "health", lambda run: Health(Outlook.ALARM, "D *wins* since step 4", "lr_d 0.1 → 0.001"))
    said = texts(open_page(pages.HOME).markdown)
    assert r"D \*wins\* since step 4" in said and "Try: " in said


def test_a_damaged_shipped_generator_is_a_sentence_and_the_next_one_is_shown(open_page: Open, folders: Path) -> None:
    (folders / "checkpoints" / "pretrained" / "faces.safetensors").write_bytes(b"broken")
    at = open_page(pages.HOME)
    assert "cannot be used" in texts(at.warning) and "digits" in living(at)["alt"]
