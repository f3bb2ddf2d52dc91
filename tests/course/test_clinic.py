"""The clinic: the doctor finds in each recorded case what is wrong with it; what counts as a diagnosis, and as a cure."""

from typing import Any

import pytest
from PIL import Image

from gan.course import cases
from gan.course.cases import CASES, LABELS, SIDE, Trouble, findings, recording, what_you_see
from gan.course.clinic import CLINIC, ENOUGH, Aim, diagnoses, patient, right
from gan.course.lesson import Evidence
from gan.course.own_runs import Checked, OwnRun
from gan.doctor.remedies import Situation, remedies
from gan.doctor.treatment import Outcome, Treatment
from gan.events import Intervention
from gan.judging.judgements import Judgement
from gan.runs.states import RunState

MOST_BYTES = 2_000_000  # of all files


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_doctor_finds_what_is_wrong_with_a_case(case: cases.Case) -> None:
    assert next((found.key for found in findings(case.id)), None) == cases.RULES.get(case.trouble)
    assert what_you_see(case.id).endswith(".")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_recording_is_whole(case: cases.Case) -> None:
    recorded = recording(case.id)
    assert recorded.grids[-1] == case.steps == recorded.metrics[-1]["step"] == recorded.judged[-1]["step"]
    assert [change["field"] for change in recorded.interventions] == list(case.changes)
    assert all(change["step"] == case.changed_at for change in recorded.interventions)
    with Image.open(cases.FOLDER / f"{case.id}.png") as picture:
        assert picture.size == (SIDE * 28, SIDE * 28 * len(recorded.grids))


def test_the_cases_are_six_different_ones_and_small() -> None:
    assert sorted(case.trouble for case in CASES.values()) == sorted(Trouble) == sorted(LABELS)
    assert {path.name for path in cases.FOLDER.iterdir()} == {f"{name}.{kind}" for name in CASES for kind in ("json", "png")}
    assert sum(path.stat().st_size for path in cases.FOLDER.iterdir()) < MOST_BYTES
    for case in CASES.values():
        assert case.config().seed == 100 and not any(trouble in case.id for trouble in Trouble)
        assert case.config().change(**case.changes)


ALL = {case.id: str(case.trouble) for case in CASES.values()}


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (ALL, 6),
        ({**ALL, "case-1": "healthy"}, 5),
        (dict(list(ALL.items())[:ENOUGH]), ENOUGH),
        ({"case-9": "healthy"}, 0),
        ({"case-1": ["d-wins"], "case-2": None, "case-3": {}}, 0),
        (list(ALL.items()), 0),
        (None, 0),
        ("case-1", 0),
    ],
)
def test_right_diagnoses_are_counted_in_any_report(answers: Any, expected: int) -> None:
    assert right({"answers": answers}) == expected
    assert (Aim.DIAGNOSED in CLINIC.newly_met(Evidence({"answers": answers}))) == (expected >= ENOUGH)


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ({"answers": ALL}, ALL),
        ({"answers": {}}, {}),
        ({"answers": {"case-1": "<b>", "case-2": ["healthy"], "case-9": "healthy", 3: "healthy"}}, {}),
        ({"answers": ["case-1"]}, None),
        ({}, None),
    ],
)
def test_only_diagnoses_of_cases_are_kept(report: dict[str, Any], expected: dict[str, str] | None) -> None:
    assert diagnoses(report) == expected


def treated(outcome: Outcome = Outcome.HELPED) -> Treatment:
    return Treatment(500, 650, (Intervention(500, "label_flips", 0.5, 0.0),), "g-winning", outcome, "")


def scores(before: float | None, after: float | None) -> tuple[Judgement, ...]:
    rows = ((450, before), (900, after))
    return tuple(Judgement({"step": step, "fd": fd}) for step, fd in rows if fd is not None)


def met(*runs: OwnRun) -> set[str]:
    return set(CLINIC.newly_met(Evidence(find_runs=lambda: runs)))


def sick(id: str = "a", findings: frozenset[str] = frozenset(), treatment: Treatment | None = None, **more: Any) -> OwnRun:
    settings = {"config": patient(), "state": RunState.RUNNING, **more}
    return OwnRun(id, check=lambda: Checked(findings, treatment), **settings)


def test_a_patient_is_found_sick_and_then_cured_in_the_running_run() -> None:
    ill = frozenset({"g-winning"})
    assert met() == met(sick()) == set()
    assert met(sick(findings=ill)) == {Aim.FOUND}
    change = treated().changes
    assert met(sick(findings=ill, treatment=treated(), changes=change)) == {Aim.FOUND}
    assert met(sick(treatment=treated(Outcome.WATCHING), changes=change)) == {Aim.FOUND}
    assert met(sick(treatment=treated(), changes=change)) == {Aim.FOUND, Aim.CURED}
    worse = sick(treatment=treated(), changes=change, read_scores=lambda: scores(60.0, 58.0))
    better = sick(treatment=treated(), changes=change, read_scores=lambda: scores(60.0, 6.0))
    assert met(worse) == {Aim.FOUND} and met(better) == {Aim.FOUND, Aim.CURED}


def test_a_fork_of_the_patient_counts_and_other_runs_do_not() -> None:
    cured = patient().change(label_flips=0.0)
    fork = sick("b", treatment=treated(), config=cured, parent="a")
    assert met(fork, sick()) == {Aim.FOUND, Aim.CURED} and met(fork) == set()
    assert met(sick("b", treatment=treated(), config=cured)) == set()


def test_the_doctor_has_a_live_remedy_for_the_patient() -> None:
    first, *_ = remedies("g-winning", Situation(patient(), (), 300, 500, None, 32_000, True))
    assert (first.kind, first.changes) == ("live", {"label_flips": 0.0})
