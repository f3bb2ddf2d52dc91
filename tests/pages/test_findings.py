"""The doctor's findings on the Train page."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from gan.config import TrainConfig
from gan.doctor.checkup import Checkup
from gan.doctor.diagnosis import Evidence, Finding
from gan.doctor.remedies import Remedy
from gan.doctor.summary import Outlook, Verdict
from gan.doctor.treatment import Outcome, Treatment
from gan.events import Intervention
from gan.runs.manager import RunManager
from gan.runs.run import Run
from tests.conftest import ADA, BOB
from tests.pages.apps import button, labels, texts
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
    def findings(self: Any) -> list[Finding]:
        self.verdict = Verdict(Outlook.ALARM, "The discriminator wins since step 3", FOUND)
        self.what_you_see = "D is unsure."
        return [FOUND]

    monkeypatch.setattr(Checkup, "findings", findings)


@pytest.fixture
def running(manager: RunManager, config: TrainConfig) -> Run:
    run = manager.submit(config.change(duration=1_000_000, lr_d=5e-4), "quick-digits", ADA)
    wait_for(lambda: run.state == "running" and len(run.history))
    return run


def remedy(at: AppTest, number: int) -> Button:
    return [b for b in at.button if str(b.key).startswith("remedy_d-winning_")][number]


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
    assert len([b for b in at.button if str(b.key).startswith("remedy_d-winning")]) == 3


def first(at: AppTest) -> Button:
    """The remedy over the charts."""
    return next(b for b in at.button if str(b.key).startswith("remedy_first_"))


def test_the_state_the_worst_finding_and_its_first_remedy_stand_over_the_charts(
    open_page: Callable[..., AppTest], running: Run, sick: None
) -> None:
    at = open_page(pages.TRAIN, run=running.id)
    shown = [str(e.value) for e in at.markdown]
    line = next(i for i, text in enumerate(shown) if "**The discriminator wins since step 3**" in text)
    assert ":green-badge[training]" in shown[line - 1] and line < next(i for i, text in enumerate(shown) if "rule: above 0.95" in text)
    assert first(at).label == remedy(at, 0).label and ":red[" in shown[line]
    assert "**What you see:** D is unsure." in shown


def test_after_a_press_the_place_of_the_button_presses_nothing(open_page: Callable[..., AppTest], running: Run, sick: None) -> None:
    at = open_page(pages.TRAIN, run=running.id)
    pressed = first(at).label
    first(at).click().run()
    assert running.live_config.lr_d == 1e-4
    assert "Applied at step" in texts(at.markdown) and "Watch until step" in texts(at.markdown)
    done = [b for b in at.button if str(b.key).startswith("applied_")]
    assert [b.key for b in done] == ["applied_headline", "applied_d-winning"]
    assert all(b.disabled and b.label == pressed for b in done)
    assert not [b for b in at.button if str(b.key).startswith("remedy_first_")]


def test_an_outcome_is_said_and_the_next_remedy_offered(
    open_page: Callable[..., AppTest], running: Run, sick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = Intervention(930, "lr_d", 5e-4, 1e-4)
    done = Treatment(930, 1080, (change,), "d-winning", Outcome.FAILED, "Did not help: FD 38 → 40.")
    found = Checkup.findings

    def treated(self: Any) -> list[Finding]:
        self.treatment = done
        return found(self)

    monkeypatch.setattr(Checkup, "findings", treated)
    at = open_page(pages.TRAIN, run=running.id)
    assert "FD 38 → 40" in texts(at.markdown) and first(at).label
    assert at.button(key="applied_d-winning").disabled and at.button(key="applied_d-winning").label.startswith(
        "Discriminator learning rate"
    )


def test_no_remedy_competes_with_a_change_that_helped(
    open_page: Callable[..., AppTest], running: Run, sick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What began before that change needs time to end."""
    done = Treatment(930, 1080, (Intervention(930, "lr_d", 5e-4, 1e-4),), "another", Outcome.HELPED, "Helped: FD 38 → 20.")
    found = Checkup.findings

    def treated(self: Any) -> list[Finding]:
        self.treatment = done
        return found(self)

    monkeypatch.setattr(Checkup, "findings", treated)
    keys = [str(b.key) for b in open_page(pages.TRAIN, run=running.id).button]
    assert "applied_headline" in keys and not any(key.startswith("remedy_first_") for key in keys)


def test_a_finding_that_is_over_looks_so(open_page: Callable[..., AppTest], running: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    healed = replace(FOUND, recovering=True, evidence=(Evidence("lead", "D's lead", 0.7, "0.70", "above 0.95"),))
    monkeypatch.setattr(Checkup, "findings", lambda self: [healed])
    at = open_page(pages.TRAIN, run=running.id)
    assert ":gray[D's lead: 0.70 (healthy again; the alarm is above 0.95)]" in texts(at.markdown)
    assert findings.marks([healed])[0]["severity"] == "over"


def test_a_live_remedy_moves_the_knobs(open_page: Callable[..., AppTest], running: Run, sick: None) -> None:
    at = open_page(pages.TRAIN, run=running.id)
    remedy(at, 0).click().run()
    assert not at.error and not at.exception
    assert (running.live_config.lr_d, running.live_config.dropout) == (1e-4, 0.25)


def test_a_knob_that_a_remedy_moved_is_a_new_widget(open_page: Callable[..., AppTest], running: Run, sick: None) -> None:
    """A slow browser reports a knob's old value for a while. Under the same key, this undid the remedy."""

    def knob(name: str) -> str:
        (key,) = {str(w.key) for w in [*at.slider, *at.select_slider] if str(w.key).startswith(f"knob_{running.id}_{name}_")}
        return key

    at = open_page(pages.TRAIN, run=running.id)
    before = {name: knob(name) for name in ("lr_d", "lr_g", "dropout")}
    at.select_slider(key=before["lr_g"]).set_value(1e-3).run()
    assert running.live_config.lr_g == 1e-3 and knob("lr_g") == before["lr_g"], "a knob that someone moves keeps the keyboard's focus"
    remedy(at, 0).click().run()
    assert at.select_slider(key=knob("lr_d")).value == 1e-4 and at.slider(key=knob("dropout")).value == 0.25
    assert knob("lr_d") != before["lr_d"] and knob("dropout") != before["dropout"] and knob("lr_g") == before["lr_g"]
    assert at.run() and (running.live_config.lr_d, running.live_config.dropout) == (1e-4, 0.25)


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
    at.run()  # as when the run ends meanwhile: the dialog stays
    assert at.selectbox(key="fork_diffaugment").value == "translation, cutout"
    button(at, "Start the fork").click().run()
    assert "Start the fork" not in labels(at) and "Start the fork" not in labels(at.run())
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


def test_a_dialog_is_closed_by_another_run_and_by_another_page(
    open_page: Callable[..., AppTest], finished: Run, running: Run, sick: None
) -> None:
    for away in (lambda at: at.selectbox(key="run").select(running.id).run(), lambda at: at.switch_page("../pages/compare.py").run()):
        at = open_page(pages.TRAIN, run=finished.id)
        remedy(at, 1).click().run()
        assert "Start the fork" in labels(at)
        assert "Start the fork" not in labels(away(at))
        at.switch_page("../pages/train.py").run()
        at.selectbox(key="run").select(finished.id).run()
        assert "Start the fork" not in labels(at) and not at.exception
