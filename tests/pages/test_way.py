"""The way through the app: the guided first run, the next step at the end of a page, and what to do while a run waits."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from gan.config import TrainConfig
from gan.course.clinic import PATIENT
from gan.doctor.summary import Outlook
from gan.owners import LOCAL, Visitor
from gan.recipes import RECIPES
from gan.runs import manager as managing
from gan.runs.manager import RunManager
from gan.runs.names import label
from gan.runs.run import Run
from gan.runs.states import RunState
from gan.runs.stored import StoredRun
from tests.conftest import ADA, BOB
from tests.pages.apps import button, labels, open_settings, texts
from tests.waiting import ended, wait_for
from ui import page_files as pages
from ui.components.visitor import WHO
from ui.health import Health
from ui.next_step import broken
from ui.text import plain
from ui.train import after, controls, queue
from ui.train.guide import steps_of
from ui.train.run import origin

Open = Callable[..., AppTest]


def links(at: AppTest) -> dict[str, str]:
    """The page links: label -> address."""
    return {link.proto.label: f"{link.proto.page}?{link.proto.query_string}" for link in at.get("page_link")}


@pytest.fixture
def running(manager: RunManager, config: TrainConfig) -> Run:
    """A run of Ada's that trains, and has drawn its first images."""
    run = manager.submit(config.change(duration=1_000_000), "quick-digits", ADA)
    wait_for(lambda: run.state == "running" and bool(run.sample_steps))
    return run


def test_a_first_run_is_led_and_the_tour_can_be_skipped_and_called_again(open_page: Open, running: Run) -> None:
    at = open_page(pages.TRAIN, guide="1")
    assert "Press **Train**" in texts(at.markdown)
    at = open_page(pages.TRAIN, guide="1", run=running.id)
    for title in ("What are the two curves?", "What should I watch?", "Turn one knob"):
        assert title in texts(at.markdown) and not at.exception
        button(at, "Next").click().run()
    assert "That was your first run" in texts(at.markdown) and "Next" not in labels(at)
    button(at, "Back").click().run()
    assert "Discriminator learning rate" in texts(at.markdown)
    button(at, "Skip the tour").click().run()
    assert "Turn one knob" not in texts(at.markdown) and "guide" not in at.query_params and at.query_params["run"] == running.id
    button(at, "Show me around").click().run()
    assert "What are the two curves?" in texts(at.markdown) and at.query_params["guide"] == "1"


def test_the_tour_asks_for_no_knob_where_there_is_none(open_page: Open, running: Run) -> None:
    assert steps_of(RunState.FINISHED, False)[2].text != steps_of(RunState.RUNNING, True)[2].text
    at = open_page(pages.TRAIN, guide="1", run=running.id)
    at.session_state[WHO] = BOB
    at.run()
    for _ in range(2):
        button(at, "Next").click().run()
    assert "cannot be changed now" in texts(at.markdown)


def test_a_run_that_trains_is_broken_and_the_doctor_sees_it(
    open_page: Open, manager: RunManager, running: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = open_page(pages.TRAIN, run=running.id)
    button(at, "Break it").click().run()
    assert running.live_config.label_flips == 0.5 and not at.error
    wait_for(lambda: bool(running.interventions))
    monkeypatch.setattr(after, "health", lambda run: Health(Outlook.ALARM, "G wins", "Label flips 0.5 → 0"))
    at.run()
    assert "Press the doctor's first remedy" in texts(at.markdown) and "Break it" not in labels(at)
    monkeypatch.undo()
    at.run()
    button(at, "Fill in the form").click().run()  # fixed: a second run to compare with
    assert at.number_input(key="setting_latent_dim").value == running.config.latent_dim and button(at, "Train")


def test_a_patient_leads_back_to_its_lesson(open_page: Open, manager: RunManager, finished: Run) -> None:
    finished.folder.write_name(PATIENT)
    assert "lesson=clinic" in links(open_page(pages.TRAIN, run=finished.id))["Back to the lesson"]


def test_after_a_run_comes_a_broken_one_then_both_are_compared_and_explored(
    open_page: Open, manager: RunManager, finished: Run, config: TrainConfig
) -> None:
    at = open_settings(open_page(pages.TRAIN, run=finished.id))
    button(at, "Break a run").click().run()
    assert at.number_input(key="setting_label_flips").value == 0.5 and at.number_input(key="setting_latent_dim").value == 4
    second = manager.submit(broken(config), "quick-digits", ADA)
    wait_for(ended(second))
    address = links(open_page(pages.TRAIN, run=second.id))["Compare"]
    assert finished.id in address and second.id in address
    at = open_page(pages.COMPARE, runs=f"{finished.id},{second.id}")
    assert "from=" in links(at)["Explore"]
    assert {"Look inside this network", "How realistic are its images?"} <= links(open_page(pages.EXPLORE, **{"from": finished.id})).keys()


def test_the_address_of_home_fills_the_form_for_a_run_that_goes_wrong(open_page: Open) -> None:
    at = open_settings(open_page(pages.TRAIN, **{"try": "break"}))
    assert "go wrong on purpose" in texts(at.info) and at.number_input(key="setting_label_flips").value == 0.5
    at.number_input(key="setting_label_flips").set_value(0.25).run()
    assert at.number_input(key="setting_label_flips").value == 0.25, "what someone typed stays"


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_can_be_broken(recipe: str) -> None:
    assert broken(RECIPES[recipe].config) != RECIPES[recipe].config


def test_a_waiting_run_says_who_is_ahead_and_offers_no_dead_controls(
    open_page: Open, manager: RunManager, running: Run, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(managing, "PLAN_S", -1.0)  # forecasts are computed each time
    waiting = manager.submit(config, "quick-digits", BOB)
    at = open_page(pages.TRAIN, run=waiting.id)
    said = texts(at.markdown)
    assert "Number 1 in the queue" in said and plain(label(running)) in said
    assert {"Watch the run ahead", "Explore a trained generator", "See what it will learn from"} <= links(at).keys()
    assert running.id in links(at)["Watch the run ahead"]
    assert "Compare" not in labels(at) and not at.slider and not at.exception
    manager.pause(running.id, ADA)
    wait_for(lambda: running.state == "paused")
    at.run()
    assert "is paused" in texts(at.markdown)


def test_a_run_that_gets_ready_has_its_buttons_and_knobs_already(
    open_page: Open, running: Run, config: TrainConfig, manager: RunManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = manager.submit(config, "quick-digits", BOB)
    assert not queue.starts_now(waiting) and not queue.starts_now(running)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "state", RunState.PREPARING)
        patch.setattr(Run, "sample_steps", [])
        patch.setattr(controls, "explorable", lambda run: False)
        assert queue.starts_now(running)
        at = open_page(pages.TRAIN, run=running.id)
    assert {"Explore its images", "Compare"} <= {button.label for button in at.button if button.disabled}
    assert "**What happens now:**" in texts(at.markdown) and "Pause" in labels(at) and at.slider


def test_a_fork_names_its_parent(running: Run) -> None:
    def named(parent: str) -> object:
        stored = StoredRun({"parent": {"run": parent, "step": 3, "settings": {"lr_d": [0.1, 0.2]}}})
        found = origin(SimpleNamespace(stored=stored))  # type: ignore[arg-type]
        assert found and found["settings"] == {"lr_d": [0.1, 0.2]} and found["run"] == parent
        return found["name"]

    assert named(running.id) == label(running) != running.id
    assert named("quick-digits-deleted") == "quick-digits-deleted"
    assert origin(running) is None


def test_a_long_wait_says_who_can_make_room(running: Run, manager: RunManager, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(who: Visitor, starts_in_s: float | None) -> str:
        monkeypatch.setattr(queue, "visitor", lambda: who)
        return queue.blocked(starts_in_s, [running])

    assert told(BOB, 60) == "" and told(BOB, None) == "", "nobody needs to know, or nobody knows yet"
    name = plain(label(running))
    away = "It makes room by itself when Ada has been away for 10 minutes."
    assert told(BOB, 1e6) == f"Only Ada can stop {name}. {away}"
    monkeypatch.setenv("WORKSHOP_ADMIN_TOKEN", "a secret of the host")
    assert told(BOB, 1e6) == f"Only Ada or the host can stop {name}. {away}"
    assert told(ADA, 1e6) == told(LOCAL, 1e6) == f"You can stop {name} on its page, and resume it later."
    manager.pause(running.id, ADA)
    wait_for(lambda: running.state == "paused")
    assert told(BOB, None).startswith("Only Ada or the host can stop")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3, "a moment"), (30, "about half a minute"), (70, "about a minute"), (600, "about 10 minutes"), (7200, "about 2 hours")],
)
def test_a_forecast_is_rough(seconds: float, words: str) -> None:
    assert words in queue.forecast(seconds, []) and "or sooner" in queue.forecast(seconds, [])


def test_nobody_says_when_it_starts_before_anybody_knows(running: Run) -> None:
    assert "unknown" in queue.forecast(None, [running])
