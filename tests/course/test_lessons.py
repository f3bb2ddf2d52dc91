"""The lessons, and what meets their goals."""

from typing import Any

import pytest

from gan.course import losses, transposed
from gan.course.lesson import Evidence
from gan.course.lessons import LESSONS
from gan.course.losses import LOSSES
from gan.course.plane import PLANE, SETTLED, Aim
from gan.course.transposed import TRANSPOSED


def test_lessons_are_complete_and_short() -> None:
    assert list(LESSONS) == [lesson.id for lesson in LESSONS.values()]
    for lesson in LESSONS.values():
        assert lesson.goals and lesson.sources and len({goal.id for goal in lesson.goals}) == len(lesson.goals)
        assert 2 <= lesson.minutes <= 10 and 3 <= lesson.text.count(". ") + 1 <= 12
        assert all(source.address.startswith("https://") for source in lesson.sources)
        assert all(goal.text.endswith(".") for goal in lesson.goals)
    assert sum(lesson.minutes for lesson in LESSONS.values()) <= 45


@pytest.mark.parametrize("lesson", LESSONS.values(), ids=LESSONS)
@pytest.mark.parametrize(
    "report", [{}, {"found": "8"}, {"found": True, "modes": True, "steps": 1}, {"found": [8], "modes": {}, "steps": None}]
)
def test_a_report_of_anything_meets_nothing_and_raises_nothing(lesson: Any, report: dict[str, Any]) -> None:
    assert lesson.newly_met(Evidence(report)) == frozenset()
    assert not lesson.is_passed(frozenset())


def report(found: int, steps: int = SETTLED, modes: int = 8) -> dict[str, int]:
    return {"found": found, "modes": modes, "steps": steps}


def test_the_plane_asks_for_all_modes_then_a_collapse_then_all_again() -> None:
    met: frozenset[str] = frozenset()
    told = [
        (report(0), set()),  # the beginning is no collapse
        (report(7), set()),
        (report(8, steps=10), {Aim.ALL}),
        (report(8), set()),
        (report(3), set()),
        (report(2, steps=SETTLED - 1), set()),
        (report(2), {Aim.BROKEN}),
        (report(0), set()),
        (report(8), {Aim.FIXED}),
        (report(8), set()),
    ]
    for said, expected in told:
        assert PLANE.newly_met(Evidence(said, met)) == expected, (said, met)
        met |= expected
    assert PLANE.is_passed(met)


@pytest.mark.parametrize(
    "wrong", [report(25, modes=25), report(9), report(-1), report(8, steps=-1), report(8, modes=7), {"found": 8, "modes": 8}]
)
def test_only_the_whole_ring_counts(wrong: dict[str, int]) -> None:
    for met in (frozenset(), frozenset({"all"}), frozenset({"all", "broken"})):
        assert PLANE.newly_met(Evidence(wrong, met)) == frozenset()


def distances(js: float, w: float, dial: float = 0.4, js_before: float = 0.3, w_before: float = 1.0) -> dict[str, float]:
    return {"js": js, "w": w, "dial": dial, "js_before": js_before, "w_before": w_before}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (distances(0.3, 1.0), set()),
        (distances(0.0, 0.0), {losses.Aim.EQUAL}),
        (distances(0.01, 0.0), set()),
        (distances(-1.0, 0.0), set()),
        (distances(0.692, 6.0, js_before=0.3), set()),  # only now apart
        (distances(0.693, 6.0, js_before=0.692, w_before=5.8), set()),  # not much further
        (distances(0.693, 6.0, js_before=0.692, w_before=5.0), {losses.Aim.FLAT}),
        (distances(0.7, 6.0, js_before=0.692, w_before=5.0), set()),  # more than there can be
        (distances(0.3, 1.0, dial=0.04), {losses.Aim.STALL}),
        (distances(0.3, 1.0, dial=0.05), set()),
        (distances(0.3, float("nan")), set()),
        ({"js": 0.0}, set()),
    ],
)
def test_what_meets_the_goals_of_the_losses(said: dict[str, float], expected: set[str]) -> None:
    assert LOSSES.newly_met(Evidence(said)) == expected


def layer(kernel: Any, stride: Any, size: Any = 3, chain: Any = (1,)) -> dict[str, Any]:
    return {"kernel": kernel, "stride": stride, "size": size, "chain": list(chain) if isinstance(chain, tuple) else chain}


@pytest.mark.parametrize(
    ("said", "met", "expected"),
    [
        (layer(4, 1, 1, (1, 4, 7, 14, 28)), (), {transposed.Aim.CHAIN}),
        (layer(4, 1, 1, (9, 1, 4, 7, 14, 28)), (), {transposed.Aim.CHAIN}),
        (layer(4, 1, 1, (1, 4, 8, 16, 28)), (), set()),
        (layer(4, 1, 1, (4, 7, 14, 28)), (), set()),
        (layer(3, 2), (), {transposed.Aim.UNEVEN}),
        (layer(3, 2, size=2), (), set()),
        (layer(2, 3), (), set()),
        (layer(3, 1), ("uneven",), set()),
        (layer(4, 2), (), set()),
        (layer(4, 2), ("uneven",), {transposed.Aim.EVEN}),
        (layer(2, 2), ("uneven",), set()),  # copies next to each other, without overlap
        (layer("4", 2), ("uneven",), set()),
        (layer(4, 0), ("uneven",), set()),
        (layer(4, 2, chain="1"), ("uneven",), set()),
        (layer(4, 2, chain=(1, None)), ("uneven",), set()),
        (layer(4, 2, chain=(1,) * 9), ("uneven",), set()),
    ],
)
def test_what_meets_the_goals_of_the_transposed_convolution(said: dict[str, Any], met: tuple[str, ...], expected: set[str]) -> None:
    assert TRANSPOSED.newly_met(Evidence(said, frozenset(met))) == expected
