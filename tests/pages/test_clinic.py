"""The lesson "What is wrong with it?" on the page: its patient, which trains on the server."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from gan.config import TrainConfig
from gan.course import cases
from gan.course.clinic import PATIENT
from gan.course.own_runs import Checked, OwnRun
from gan.recipes import RECIPES
from gan.runs.manager import RunManager
from tests.conftest import ADA, BOB
from tests.pages.apps import button, labels, texts
from tests.waiting import ended, wait_for
from ui import page_files as pages
from ui.components import clinic as figure
from ui.learn import lesson as lesson_page
from ui.learn import patient as patient_view

OpenPage = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, config: TrainConfig, manager: RunManager) -> None:
    """The patient is a tiny network that trains for a few steps."""
    monkeypatch.setitem(RECIPES, "quick-digits", replace(RECIPES["quick-digits"], config=config))
    manager.limits = replace(manager.limits, steps=12)


def test_a_patient_starts_in_the_visitors_name_and_another_after_it(open_page: OpenPage, manager: RunManager) -> None:
    at = open_page(pages.LEARN, lesson="clinic")
    button(at, "Start the patient").click().run()
    (run,) = manager.runs()
    assert (run.owner_id, run.given_name, run.config.label_flips, run.config.duration) == (ADA.id, PATIENT, 0.5, 12)
    wait_for(ended(run))
    at.run()
    assert "**The patient**: finished, step 12" in texts(at.markdown) and not at.exception
    (link,) = [link.proto for link in at.get("page_link") if link.proto.label == "Open the patient"]
    assert link.query_string == f"run={run.id}"
    assert "Start another patient" in labels(at)


def test_only_ones_own_patients_are_shown_and_a_fork_is_one(open_page: OpenPage, manager: RunManager, config: TrainConfig) -> None:
    others = manager.submit(config.change(label_flips=0.5), "quick-digits", BOB)
    wait_for(ended(others))
    at = open_page(pages.LEARN, lesson="clinic")
    assert "Start the patient" in labels(at)
    mine = manager.submit(config.change(label_flips=0.5), "quick-digits", ADA)
    wait_for(ended(mine))
    manager.limits = replace(manager.limits, steps=20)
    fork = manager.fork(mine.id, 12, {"label_flips": 0.0}, "steps", 5, ADA)
    wait_for(ended(fork))
    at.run()
    assert "finished, step 17" in texts(at.markdown)


def test_the_mission_follows_the_patient(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, manager: RunManager) -> None:
    at = open_page(pages.LEARN, lesson="clinic")
    button(at, "Start the patient").click().run()
    (run,) = manager.runs()
    wait_for(ended(run))

    def sick(*rest: Any) -> tuple[OwnRun, ...]:
        return (OwnRun(run.id, run.config, run.state, check=lambda: Checked(frozenset({"g-winning"}))),)

    monkeypatch.setattr(lesson_page, "own_runs", sick)
    at.run()
    assert "check_circle: Start the patient" in texts(at.markdown)


def test_a_refusal_is_said(open_page: OpenPage, manager: RunManager, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*rest: Any, **named: Any) -> None:
        raise ValueError("100 runs are already waiting: try again when some have ended")

    monkeypatch.setattr(manager, "submit", refuse)
    at = open_page(pages.LEARN, lesson="clinic")
    button(at, "Start the patient").click().run()
    assert "100 runs are already waiting" in texts(at.error).replace("\\", "")
    assert patient_view.FAULT not in at.session_state


def test_a_patient_that_is_deleted_before_it_has_its_name_is_simply_gone(
    open_page: OpenPage, manager: RunManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(run_id: str, *rest: Any) -> None:
        raise KeyError(run_id)

    monkeypatch.setattr(manager, "rename", gone)
    at = open_page(pages.LEARN, lesson="clinic")
    button(at, "Start the patient").click().run()
    assert not at.exception and not at.error


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the recorded cases, to be damaged."""

    def forget() -> None:
        for known in (cases._examined, figure._data):
            known.cache_clear()

    folder = shutil.copytree(cases.FOLDER, tmp_path / "cases")
    monkeypatch.setattr(cases, "FOLDER", folder)
    forget()
    yield folder
    forget()


def test_a_missing_or_damaged_case_is_said_and_the_patient_still_there(open_page: OpenPage, copied: Path) -> None:
    case = copied / "case-3.json"
    intact = case.read_text()
    for content in (None, "{", "[]", '{"grids": []}', json.dumps({**json.loads(intact), "interventions": [{}]})):
        case.unlink() if content is None else case.write_text(content)
        at = open_page(pages.LEARN, lesson="clinic")
        assert "a file that comes with the app is missing or damaged" in texts(at.error) and "Start the patient" in labels(at), content
    case.write_text(intact)
    assert not open_page(pages.LEARN, lesson="clinic").error, "the next look reads it again"
