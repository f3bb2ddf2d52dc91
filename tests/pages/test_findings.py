"""What the doctor finds, on the Train page."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from gan.config import TrainConfig
from gan.doctor.checkup import Checkup
from gan.doctor.diagnosis import Evidence, Finding
from gan.doctor.remedies import Remedy
from gan.runs.manager import RunManager
from gan.runs.run import Run
from tests.conftest import ADA, BOB
from tests.pages.apps import button, texts
from tests.waiting import ended, wait_for
from ui import page_files as pages
from ui.components import findings, visitor

FOUND = Finding(
    "d-winning",
    "The discriminator wins",
    "alarm",
    3,
    5,
    (Evidence("lead", "D's lead", 0.983, "0.98", "above 0.95"),),
    "It tells every image right.",
    "A paper",
    (
        Remedy("live", {"lr_d": 1e-4, "dropout": 0.25}, "It gives the generator time."),
        Remedy("fork", {"diffaugment": "translation, cutout"}, "A small set goes farther.", 4),
        Remedy("new", {"latent_dim": 8}, "Two numbers say little."),
    ),
)


@pytest.fixture
def sick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Checkup, "findings", lambda self: [FOUND])


@pytest.fixture
def running(manager: RunManager, config: TrainConfig) -> Run:
    run = manager.submit(config.change(duration=1_000_000, lr_d=5e-4), "quick-digits", ADA)
    wait_for(lambda: run.state == "running" and len(run.history))
    return run


def remedy(at: AppTest, number: int) -> Button:
    return at.button(key=f"remedy_d-winning_{number}")


def test_a_healthy_run_has_a_quiet_line(open_page: Callable[..., AppTest], finished: Run) -> None:
    at = open_page(pages.TRAIN, run=finished.id)
    assert "Too few steps to say: checks begin at step 300" in texts(at.markdown) and not [
        b for b in at.button if str(b.key).startswith("remedy_")
    ]


def test_a_finding_has_evidence_reasons_and_remedies(open_page: Callable[..., AppTest], finished: Run, sick: None) -> None:
    at = open_page(pages.TRAIN, run=finished.id)
    said = texts(at.markdown)
    assert "**The discriminator wins** since step 3" in said and "D's lead: **0.98** (rule: above 0.95)" in said
    assert "It tells every image right." in said and "Nothing wrong" not in said
    assert "Source: A paper." in texts(at.caption) and "gives the generator time" in texts(at.caption)
    assert len([b for b in at.button if str(b.key).startswith("remedy_")]) == 3


def test_a_live_remedy_moves_the_knobs(open_page: Callable[..., AppTest], running: Run, sick: None) -> None:
    at = open_page(pages.TRAIN, run=running.id)
    remedy(at, 0).click().run()
    assert not at.error and not at.exception
    assert (running.live_config.lr_d, running.live_config.dropout) == (1e-4, 0.25)


def test_others_and_runs_that_have_ended_get_a_fork_in_its_place(
    open_page: Callable[..., AppTest], finished: Run, running: Run, sick: None
) -> None:
    at = open_page(pages.TRAIN, run=running.id)
    assert not remedy(at, 0).label.startswith("Fork")
    at.session_state[visitor.WHO] = BOB
    at.run()
    assert remedy(at, 0).label.startswith("Fork")
    at = open_page(pages.TRAIN, run=finished.id)
    assert remedy(at, 0).label.startswith("Fork from step 12")


def test_a_fork_opens_with_the_setting_filled_in(open_page: Callable[..., AppTest], manager: RunManager, finished: Run, sick: None) -> None:
    at = open_page(pages.TRAIN, run=finished.id)
    remedy(at, 1).click().run()
    assert not at.exception
    assert at.multiselect(key="fork_names").value == ["diffaugment"]
    assert at.selectbox(key="fork_diffaugment").value == "translation, cutout"
    button(at, "Start the fork").click().run()
    (fork,) = [run for run in manager.runs() if run.id != finished.id]
    assert fork.config.diffaugment == "translation, cutout" and fork.stored["parent"]["run"] == finished.id
    wait_for(ended(fork))


def test_a_new_run_is_a_form_filled_in(open_page: Callable[..., AppTest], finished: Run, sick: None) -> None:
    at = open_page(pages.TRAIN, run=finished.id)
    remedy(at, 2).click().run()
    assert not at.exception
    assert at.selectbox(key="run").value == pages.NEW_RUN
    assert at.number_input(key="setting_latent_dim").value == 8 and at.number_input(key="setting_batch_size").value == 8


def test_marks_of_one_step_are_one() -> None:
    later = Finding("finished", "Training has stopped improving", "information", 9, 9, (), "", "", ())
    also = Finding("collapse", "It has collapsed", "alarm", 3, 9, (), "", "", ())
    assert findings.marks([FOUND, also, later]) == [
        {"step": 3, "name": "The discriminator wins; It has collapsed", "severity": "alarm"},
        {"step": 9, "name": "Training has stopped improving", "severity": "information"},
    ]
