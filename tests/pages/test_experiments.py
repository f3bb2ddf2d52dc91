"""The lesson "Do DCGAN's rules hold?" on the page: predict, start, watch, compare."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from gan.config import TrainConfig
from gan.course.experiments import BASELINE, EXPERIMENTS
from gan.judging.judgements import Judgement
from gan.recipes import RECIPES
from gan.runs.manager import RunManager
from gan.runs.states import RunState
from tests.conftest import ADA, BOB
from tests.pages.apps import button, labels, texts
from tests.waiting import ended, wait_for
from ui import page_files as pages
from ui import workshop
from ui.learn.experiments import GUESSED

OpenPage = Callable[..., AppTest]
ONE = EXPERIMENTS["batch-norm"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, config: TrainConfig) -> None:
    """The experiments train tiny networks for a few steps."""
    monkeypatch.setitem(RECIPES, "quick-digits", replace(RECIPES["quick-digits"], config=config))


def opened(open_page: OpenPage) -> AppTest:
    return open_page(pages.LEARN, lesson="rules")


def predict(at: AppTest, guess: str = "worse") -> AppTest:
    at.session_state[f"{GUESSED}{ONE.id}"] = guess
    return at.run()


def test_nothing_starts_before_a_prediction(open_page: OpenPage, manager: RunManager) -> None:
    at = opened(open_page)
    assert ONE.claim in texts(at.markdown) and "Generator normalization: batch → none" in texts(at.caption)
    assert button(at, "Start both runs").disabled and "Predict first." in texts(at.caption)
    assert not button(predict(at), "Start both runs").disabled and manager.runs() == []
    assert "Predict first." not in texts(at.caption)  # that has been done


def test_one_press_starts_both_runs_in_the_visitors_name(open_page: OpenPage, manager: RunManager) -> None:
    at = predict(opened(open_page))
    button(at, "Start both runs").click().run()
    # A run that just began counts as newer than one that waits, so the order says nothing yet.
    baseline, changed = sorted(manager.runs(), key=lambda run: run.given_name != BASELINE)
    assert [run.owner_id for run in (baseline, changed)] == [ADA.id] * 2
    assert [run.given_name for run in (baseline, changed)] == [BASELINE, ONE.name]
    assert [run.config for run in (baseline, changed)] == list(ONE.configs())
    for run in (baseline, changed):
        wait_for(ended(run))
        scores = [{"step": 12, "fd": 10.0 + 30 * (run is changed), "fd_error": 1.0, "fd_floor": 0.5}]
        run.folder.append_judged(Judgement(scores[0]))
        run.folder.flush()
    at.run()
    assert "the change made the images worse" in texts(at.success) and "You predicted that." in texts(at.success)
    assert "40 ± 1" in str(at.table[0].value) and "500 real images get an FD of 0.5." in texts(at.caption)
    assert "check_circle: Let both runs finish" in texts(at.markdown)
    (link,) = [link.proto for link in at.get("page_link") if link.proto.label == "Compare all their curves"]
    assert link.query_string == f"runs={baseline.id}%2C{changed.id}"
    assert "Start both runs" not in labels(at) and len(manager.runs()) == 2
    assert workshop.course_progress().answers(ADA.id, "rules") == {"batch-norm": "worse"}


def test_a_baseline_serves_another_experiment_and_only_ones_own_counts(open_page: OpenPage, manager: RunManager) -> None:
    for who in (BOB, ADA):
        wait_for(ended(manager.submit(ONE.configs()[0], "quick-digits", who)))
    at = predict(opened(open_page), "same")
    button(at, "Start the other run").click().run()
    assert [run.given_name for run in manager.runs()] == [ONE.name, "", ""]


def test_a_server_with_short_runs_shortens_both(open_page: OpenPage, manager: RunManager, monkeypatch: pytest.MonkeyPatch) -> None:
    manager.limits = replace(manager.limits, steps=7)
    at = predict(opened(open_page))
    button(at, "Start both runs").click().run()
    runs = manager.runs()
    for run in runs:
        wait_for(ended(run))
    at.run()
    assert [run.status().step for run in runs] == [7, 7] and "check_circle: Let both runs finish" in texts(at.markdown)
    assert "no scores" in texts(at.info)


def test_a_run_that_was_stopped_can_be_started_again(open_page: OpenPage, manager: RunManager) -> None:
    at = predict(opened(open_page))
    button(at, "Start both runs").click().run()
    for run in manager.runs():
        wait_for(ended(run))
    changed = manager.runs()[0]
    changed.folder.write_status(**{**changed.disk_status(), "state": RunState.STOPPED})
    at.run()
    assert "Only runs that reached their end" in texts(at.warning)
    button(at, "Start the other run").click().run()
    assert len(manager.runs()) == 3


def test_a_refusal_is_said(open_page: OpenPage, manager: RunManager, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*rest: Any, **named: Any) -> None:
        raise ValueError("10 runs of yours wait already: try again when one has started")

    monkeypatch.setattr(manager, "submit", refuse)
    at = predict(opened(open_page))
    button(at, "Start both runs").click().run()
    assert "10 runs of yours wait already" in texts(at.error).replace("\\", "")
    assert workshop.course_progress().answers(ADA.id, "rules") == {}
