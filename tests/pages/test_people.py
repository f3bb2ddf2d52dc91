"""Who may do what on the pages, and forged messages from the browser."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from gan.config import TrainConfig
from gan.data import uploads
from gan.owners import FREE_GUESSES, STRANGER, Guesses, recognise
from gan.runs.manager import RunManager
from gan.runs.run import Run
from tests.conftest import ADA, BOB
from tests.pages.apps import button, labels, texts
from tests.waiting import ended, wait_for
from ui import page_files as pages
from ui import workshop
from ui.components import visitor

TOKEN = "0123456789abcdef" * 2


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """What the browser tells the session about itself; it may be anything."""

    def says(who: dict[str, Any] | int | str) -> None:
        monkeypatch.setattr(visitor, "_component", lambda **rest: {"who": who})

    return says


@pytest.fixture
def running(manager: RunManager, config: TrainConfig) -> Run:
    """A run of Ada's that trains, with a second one that waits."""
    run = manager.submit(config.change(duration=1_000_000), "quick-digits", ADA)
    wait_for(lambda: run.state == "running")
    return run


def popovers(at: AppTest) -> list[str]:
    return [block.proto.popover.label for block in at.get("popover")]


def test_others_see_a_run_and_cannot_steer_it(
    open_page: Callable[..., AppTest], manager: RunManager, running: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = open_page(pages.TRAIN, run=running.id)
    assert {"Pause", "Stop", "New run with these settings"} <= labels(at) and "can steer this run" not in texts(at.caption)
    assert at.slider
    at.session_state[visitor.WHO] = BOB
    at.run()
    assert not {"Pause", "Stop"} & labels(at) and {"Compare", "New run with these settings"} <= labels(at)
    assert "Only Ada, who started it, can steer this run" in texts(at.caption) and not at.slider
    monkeypatch.setenv("WORKSHOP_ADMIN_TOKEN", "sesame")
    at.run()
    assert "or the workshop's host can steer" in texts(at.caption)
    at.session_state[visitor.WHO] = STRANGER
    at.run()
    assert not {"Pause", "Stop"} & labels(at) and "can steer" not in texts(at.caption)


def test_a_button_that_was_drawn_before_is_refused_too(open_page: Callable[..., AppTest], manager: RunManager, running: Run) -> None:
    at = open_page(pages.TRAIN, run=running.id)
    stop = button(at, "Stop")
    at.session_state[visitor.WHO] = BOB  # as if the page were an old one
    stop.click().run()
    assert "Only Ada, who started it, can steer this run" in texts(at.error) and running.at_work and not running.stopping


def test_a_forged_message_with_anothers_public_id_makes_nobody_the_owner(
    open_page: Callable[..., AppTest], manager: RunManager, running: Run, says: Callable[..., Any]
) -> None:
    at = open_page(pages.TRAIN, run=running.id)
    for forged in (
        {"token": ADA.id, "name": "Ada", "id": ADA.id, "admin": True},
        {"token": ADA.id * 2, "name": "Ada"},
        {"token": {"id": ADA.id}, "name": ["Ada"]},
        {"id": ADA.id, "name": "Ada"},
        {"token": None},
        ADA.id,
        7,
    ):
        at.session_state[visitor.WHO] = STRANGER
        says(forged)
        at.run()
        who = at.session_state[visitor.WHO]
        assert who.id != ADA.id and not who.admin
        assert not {"Pause", "Stop"} & labels(at) and not at.slider, forged
        assert not at.exception and not at.error
    assert running.state == "running"


def test_a_token_makes_the_owner_in_every_session(
    open_page: Callable[..., AppTest], manager: RunManager, config: TrainConfig, says: Callable[..., Any]
) -> None:
    says({"token": TOKEN, "name": "  Zoë\n"})
    at = open_page(pages.TRAIN)
    who = recognise(TOKEN, "Zoë")
    at.run()
    assert at.session_state[visitor.WHO] == who and "You: Zoë" in popovers(at)
    run = manager.submit(config.change(duration=1_000_000), "", who)
    wait_for(lambda: run.state == "running")
    at = open_page(pages.TRAIN, run=run.id)
    button(at, "Stop").click().run()
    wait_for(ended(run))
    assert TOKEN not in run.folder.config_file.read_text()
    at.run()
    button(at, "Delete it").click().run()
    assert not at.error and "is deleted" in texts(at.success) and manager.runs() == []
    assert button(at, "Train")


def test_until_the_browser_has_answered_nothing_can_be_started_and_nothing_is_said(open_page: Callable[..., AppTest]) -> None:
    at = open_page(pages.TRAIN)
    at.session_state[visitor.WHO] = STRANGER
    at.run()
    assert button(at, "Train").disabled and not at.error and not at.warning
    assert "You" in popovers(at) and not [field for field in at.text_input if field.key == visitor.NAME_KEY]


def test_a_name_is_given_once_and_goes_to_the_browser(
    open_page: Callable[..., AppTest], manager: RunManager, running: Run, says: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = open_page(pages.TRAIN)
    told = []

    def component(**rest: Any) -> dict[str, Any]:
        told.append(rest["data"])
        return {}

    monkeypatch.setattr(visitor, "_component", component)
    at.text_input(key=visitor.NAME_KEY).set_value("  Grace \u202e Hopper").run()
    assert told[-1]["name"] == "Grace Hopper" and told[-1]["id"] == ADA.id and told[-1]["run"] == running.id
    assert "token" not in told[-1]
    at.text_input(key=visitor.NAME_KEY).set_value("").run()
    assert told[-1]["name"] == "" and at.text_input(key=visitor.NAME_KEY).placeholder == "Guest aaaa"


def test_the_host_gives_a_token_and_steers_everything(
    open_page: Callable[..., AppTest], manager: RunManager, running: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = open_page(pages.TRAIN, run=running.id)
    assert not [field for field in at.text_input if field.key == visitor.TOKEN_KEY]  # nobody is the host of this server
    monkeypatch.setenv("WORKSHOP_ADMIN_TOKEN", "sesame")
    at.session_state[visitor.WHO] = BOB
    at.run()
    at.text_input(key=visitor.TOKEN_KEY).set_value("open").run()
    assert "not the host's token" in texts(at.error) and "Stop" not in labels(at)
    at.run()
    assert not at.error
    at.text_input(key=visitor.TOKEN_KEY).set_value("sesame").run()
    assert "Stop" in labels(at) and "sesame" not in repr(at.session_state._state)
    button(at, "Stop being host").click().run()
    assert "Stop" not in labels(at)
    at.text_input(key=visitor.TOKEN_KEY).set_value("sesame").run()
    button(at, "Stop").click().run()
    wait_for(ended(running))
    other = open_page(pages.TRAIN, run=running.id)  # another session of the same browser
    other.session_state[visitor.WHO] = BOB
    other.run()
    assert "Resume" not in labels(other)


def test_the_form_says_what_holds_here_and_who_is_before(
    open_page: Callable[..., AppTest], manager: RunManager, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKSHOP_MAX_STEPS", "5000")
    monkeypatch.setenv("WORKSHOP_MAX_MINUTES", "10")
    workshop.manager.cache_clear()
    own = workshop.manager()
    at = open_page(pages.TRAIN)
    assert "10 minutes of training at a stretch, 5,000 steps in all" in texts(at.caption) and "At work" not in texts(at.caption)
    at.selectbox(key="setting_data").select("blobs")
    at.selectbox(key="setting_duration_unit").select("steps")
    at.number_input(key="setting_batch_size").set_value(16)
    at.number_input(key="setting_duration").set_value(6000.0).run()
    button(at, "Train for 5,000 steps").click().run()
    (run,) = own.runs()
    assert not at.error and run.stored["config"]["duration"] == 5000 and run.stored["config"]["duration_unit"] == "steps"
    assert "Train for: 1,000 → 5,000" in texts(at.caption).replace("\\", "")
    at = open_page(pages.TRAIN)
    at.session_state[visitor.WHO] = BOB
    at.run()
    assert "Training: Ada. Waiting: 0. A new run will wait" in texts(at.caption)
    at = open_page(pages.TRAIN)
    assert "Training: your own run. Waiting: 0." in texts(at.caption)
    own.shutdown()


def test_a_run_that_was_stopped_for_others_says_why(
    open_page: Callable[..., AppTest], manager: RunManager, running: Run, config: TrainConfig
) -> None:
    running.stop("Others were waiting. Resume it to continue.")
    wait_for(ended(running))
    at = open_page(pages.TRAIN, run=running.id)
    assert "Others were waiting" in texts(at.info) and "Resume" in labels(at)


def test_its_owner_renames_a_run_and_others_are_not_offered_to(
    open_page: Callable[..., AppTest], manager: RunManager, running: Run
) -> None:
    at = open_page(pages.TRAIN, run=running.id)
    key = f"name_of_{running.id}"
    at.text_input(key=key).set_value(" [x](https://evil.example)\n*b* ").run()
    assert running.given_name == "[x](https://evil.example) *b*" and not at.error
    assert f"Ada · {running.given_name} · {running.id}" in at.selectbox(key="run").options
    home = open_page(pages.HOME)
    assert "[x](" not in texts(home.markdown) and "*b*" not in texts(home.markdown).replace("\\*", "")
    at.session_state[visitor.WHO] = BOB
    field = at.text_input(key=key).set_value("Bob's")  # as if the page were an old one
    field.run()
    assert "Only Ada, who started it, can steer this run" in texts(at.error) and running.given_name != "Bob's"
    assert "Rename" not in popovers(at)


def test_an_uploaded_set_is_deleted_by_whoever_brought_it(monkeypatch: pytest.MonkeyPatch, folders: Path) -> None:
    note = {"file": "pets.zip", "owner": "Ada", "owner_id": ADA.id, "uploaded": 1.0}
    monkeypatch.setattr(uploads, "about", lambda name: note)
    assert uploads.may_delete("pets", ADA) and not uploads.may_delete("pets", BOB) and not uploads.may_delete("pets", STRANGER)
    with pytest.raises(PermissionError, match="Only Ada, who brought it, can delete this data set"):
        uploads.delete("pets", [], BOB)
    note["owner_id"] = None
    assert not uploads.may_delete("pets", ADA)
    with pytest.raises(PermissionError, match="reload the page"):
        next(uploads.add(io.BytesIO(), "pets", "pets.zip", STRANGER))


def test_a_guesser_of_the_hosts_token_is_told_to_wait(
    open_page: Callable[..., AppTest], manager: RunManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    guesses = Guesses(clock=lambda: 0.0)
    monkeypatch.setattr(visitor, "guesses", lambda: guesses)
    monkeypatch.setenv("WORKSHOP_ADMIN_TOKEN", "sesame")
    at = open_page(pages.TRAIN)
    for _ in range(FREE_GUESSES):
        at.text_input(key=visitor.TOKEN_KEY).set_value("open").run()
        assert "not the host's token" in texts(at.error)
    at.text_input(key=visitor.TOKEN_KEY).set_value("sesame").run()
    assert "Try again in 2 seconds" in texts(at.error) and "(host)" not in popovers(at)[0]
