"""Whether a change helped: on hand-made curves that heal, get worse, or do not change."""

from typing import Any

import pytest

from gan.config import TrainConfig
from gan.doctor.diagnosis import examine, findings
from gan.doctor.treatment import Outcome, Treatment, applied, before_last_change, changes_of_fork, lasting_changes, treatment
from gan.events import Intervention
from tests.doctor.test_doctor import judged, metrics

CHANGE = Intervention(930, "lr_d", 0.01, 5e-4)
CONFIG = TrainConfig(lr_d=5e-4, duration=10_000, duration_unit="steps")


def curves(after: float, wins: float = 0.99) -> dict[str, Any]:
    """D's answers: it wins until the change, and then has this lead."""
    lead = lambda step: wins if step <= CHANGE.step else after  # noqa: E731
    return {"d_real": lambda step: 0.5 + lead(step) / 2, "d_fake": lambda step: 0.5 - lead(step) / 2}


def treated(until: int, after: float, fd: tuple[float, float] | None = None, over: bool = False) -> Treatment | None:
    """What is said at step `until` of a change at step 930. fd: before and after it; None for a run without scores."""
    rows = metrics(until, **curves(after))
    scores = judged(until, fd=lambda step: fd[0] if step <= CHANGE.step else fd[1]) if fd else []
    before = before_last_change(CONFIG, rows, [], scores, [CHANGE])
    case = examine(CONFIG, rows, [], scores, [CHANGE])
    return treatment(before, case, findings(case), over) if before else None


def test_until_the_effect_can_be_read_it_is_watched() -> None:
    found = treated(1070, 0.99)
    assert found and found.outcome is Outcome.WATCHING and found.finding == "d-winning" and found.changes == (CHANGE,)
    assert found.text == "Applied at step 930. Watch until step 1,080."
    assert applied(930, CONFIG.change(duration=1000, duration_unit="steps")) == "Applied at step 930. Watch until the end of the run."
    ended = treated(1000, 0.99, over=True)
    assert ended and ended.text == "Applied at step 930. The run ended too soon to say whether it helped."


def test_without_a_newer_score_it_is_watched_on() -> None:
    rows = metrics(1300, **curves(0.99))
    scores = judged(930, fd=38)
    before = before_last_change(CONFIG, rows, [], scores, [CHANGE])
    case = examine(CONFIG, rows, [], scores, [CHANGE])
    assert before
    waits = treatment(before, case, findings(case), over=False)
    assert waits.outcome is Outcome.WATCHING and waits.text == "Applied at step 930. Wait for the next score."
    ended = treatment(before, case, findings(case), over=True)
    assert ended.text == "Did not help: D's lead 0.99 → 0.99."


def test_a_finding_of_scores_alone_is_not_said_to_last_without_a_score() -> None:
    rows, scores = metrics(1300), judged(930, diversity=2.0, raw_diversity=2.0, fd=None)
    before = before_last_change(CONFIG, rows, [], scores, [CHANGE])
    case = examine(CONFIG, rows, [], scores, [CHANGE])
    assert before and before.finding.key == "collapse"
    assert "Wait for the next score" in treatment(before, case, findings(case), over=False).text
    assert "ended too soon" in treatment(before, case, findings(case), over=True).text


@pytest.mark.parametrize(
    ("after", "fd", "outcome", "text"),
    [
        (0.5, (38, 4), Outcome.HELPED, "Helped: FD 38 → 4."),
        (0.99, (38, 4), Outcome.HELPED, "Helped: FD 38 → 4."),  # the images say more than the rule
        (0.99, (38, 37), Outcome.FAILED, "Did not help: FD 38 → 37."),
        (0.5, (38, 37), Outcome.HELPED, "Helped: D's lead 0.99 → 0.50."),  # the images are as before; the finding is over
        (0.5, (38, 60), Outcome.FAILED, "Did not help: FD 38 → 60."),
        (0.5, None, Outcome.HELPED, "Helped: D's lead 0.99 → 0.50."),
        (0.99, None, Outcome.FAILED, "Did not help: D's lead 0.99 → 0.99."),
    ],
)
def test_the_figures_before_and_after_say_whether_it_helped(
    after: float, fd: tuple[float, float] | None, outcome: Outcome, text: str
) -> None:
    found = treated(1500, after, fd)
    assert found and (found.outcome, found.text) == (outcome, text)


def test_a_change_of_a_healthy_run_is_no_treatment() -> None:
    assert before_last_change(CONFIG, metrics(1500), [], [], [CHANGE]) is None
    assert before_last_change(CONFIG, metrics(1500, **curves(0.5)), [], [], []) is None


def test_single_steps_are_no_changes() -> None:
    once = [Intervention(940, "frozen", "none", "generator"), Intervention(941, "frozen", "generator", "none")]
    assert lasting_changes([CHANGE, *once]) == [CHANGE]
    stays = Intervention(940, "frozen", "none", "generator")
    assert lasting_changes([CHANGE, stays]) == [CHANGE, stays]
    later = Intervention(990, "frozen", "generator", "none")
    assert lasting_changes([stays, later]) == [stays, later]


def test_a_damaged_change_is_no_treatment() -> None:
    assert before_last_change(CONFIG, metrics(1500, **curves(0.5)), [], [], [Intervention(930, "lr_d", "much", 5e-4)]) is None


def test_what_a_fork_changed_counts_as_a_change_where_it_begins() -> None:
    settings = {"lr_d": [0.01, 5e-4], "duration": [10, 20], "unknown": [1, 2], "dropout": 0.5}
    made = changes_of_fork({"run": "parent", "step": 930, "settings": settings})
    assert made == [CHANGE]
    for damaged in (None, {"step": 930}, {"step": -1, "settings": settings}, {"step": 930, "settings": []}):
        assert changes_of_fork(damaged) == []
