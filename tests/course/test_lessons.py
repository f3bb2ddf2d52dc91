"""The lessons, and what meets their goals."""

import math
import re
from typing import Any

import pytest

from gan import latent
from gan.course import batch_norm, losses, real_or_fake, space, transposed
from gan.course.batch_norm import BATCH_NORM
from gan.course.lesson import Evidence
from gan.course.lessons import LESSONS
from gan.course.losses import LOSSES
from gan.course.plane import PLANE, SETTLED, Aim
from gan.course.real_or_fake import REAL_OR_FAKE
from gan.course.space import SPACE
from gan.course.transposed import TRANSPOSED


def test_lessons_are_complete_and_short() -> None:
    assert list(LESSONS) == [lesson.id for lesson in LESSONS.values()]
    for lesson in LESSONS.values():
        assert lesson.goals and lesson.sources and len({goal.id for goal in lesson.goals}) == len(lesson.goals)
        assert 2 <= lesson.minutes <= 10 and 3 <= lesson.text.count(". ") + 1 <= 12
        assert all(source.address.startswith("https://") for source in lesson.sources)
        assert all(goal.text.endswith(".") for goal in lesson.goals)
    assert 38 <= sum(lesson.minutes for lesson in LESSONS.values()) <= 42


@pytest.mark.parametrize("lesson", LESSONS.values(), ids=LESSONS)
@pytest.mark.parametrize(
    "report", [{}, {"found": "8"}, {"found": True, "modes": True, "steps": 1}, {"found": [8], "modes": {}, "steps": None}]
)
def test_a_report_of_anything_meets_nothing_and_raises_nothing(lesson: Any, report: dict[str, Any]) -> None:
    assert lesson.newly_met(Evidence(report)) == frozenset()
    assert not lesson.is_passed(frozenset())


def report(found: int, steps: int = SETTLED, modes: int = 8, treated: Any = False) -> dict[str, Any]:
    return {"found": found, "modes": modes, "steps": steps, "treated": treated}


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
        (report(8), set()),  # a new game that works is not a treated one
        (report(8, treated=1), set()),
        (report(7, treated=True), set()),
        (report(8, treated=True), {Aim.FIXED}),
        (report(8, treated=True), set()),
    ]
    for said, expected in told:
        assert PLANE.newly_met(Evidence(said, met)) == expected, (said, met)
        met |= expected
    assert PLANE.is_passed(met)


@pytest.mark.parametrize(
    "wrong",
    [
        report(25, modes=25, treated=True),
        report(9, treated=True),
        report(-1, treated=True),
        report(8, steps=-1, treated=True),
        report(8, modes=7, treated=True),
        {"found": 8, "modes": 8, "treated": True},
    ],
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
        (distances(0.693, 6.0, js_before=0.6851, w_before=4.6), {losses.Aim.FLAT}),  # the figure read 0.69 before, too
        (distances(0.693, 6.0, js_before=0.684, w_before=4.6), set()),
        (distances(0.7, 6.0, js_before=0.692, w_before=5.0), set()),  # more than there can be
        (distances(0.3, 1.0, dial=0.04), {losses.Aim.STALL}),
        (distances(0.3, 1.0, dial=0.05), set()),
        (distances(0.3, float("nan")), set()),
        ({"js": 0.0}, set()),
    ],
)
def test_what_meets_the_goals_of_the_losses(said: dict[str, float], expected: set[str]) -> None:
    assert LOSSES.newly_met(Evidence(said)) == expected


def layer(kernel: Any, stride: Any, size: Any = 3, chain: Any = (1,), guess: Any = None) -> dict[str, Any]:
    return {"kernel": kernel, "stride": stride, "size": size, "chain": list(chain) if isinstance(chain, tuple) else chain, "guess": guess}


CHECKERBOARD, EVEN = transposed.Guess.CHECKERBOARD, transposed.Guess.EVEN


@pytest.mark.parametrize(
    ("said", "met", "expected"),
    [
        (layer(4, 1, 1, (1, 4, 7, 14, 28)), (), {transposed.Aim.CHAIN}),
        (layer(4, 1, 1, (9, 1, 4, 7, 14, 28)), (), {transposed.Aim.CHAIN}),
        (layer(4, 1, 1, (1, 4, 8, 16, 28)), (), set()),
        (layer(4, 1, 1, (4, 7, 14, 28)), (), set()),
        (layer(3, 2, guess="checkerboard"), (), {transposed.Aim.UNEVEN}),
        (layer(3, 2), (), set()),  # in passing, without a prediction
        (layer(3, 2, guess="even"), ("uneven",), set()),
        (layer(3, 2, guess=["even"]), (), set()),
        (layer(3, 2, guess="perhaps"), (), set()),
        (layer(3, 2, size=2, guess=CHECKERBOARD), (), set()),
        (layer(2, 3, guess=CHECKERBOARD), (), set()),
        (layer(3, 1, guess=EVEN), ("uneven",), set()),
        (layer(4, 2, guess=EVEN), (), set()),
        (layer(4, 2, guess=CHECKERBOARD), ("uneven",), set()),
        (layer(4, 2, guess=EVEN), ("uneven",), {transposed.Aim.EVEN}),
        (layer(4, 2), ("uneven",), set()),
        (layer(2, 2, guess=EVEN), ("uneven",), set()),  # copies next to each other, without overlap
        (layer("4", 2), ("uneven",), set()),
        (layer(4, 0), ("uneven",), set()),
        (layer(4, 2, chain="1"), ("uneven",), set()),
        (layer(4, 2, chain=(1, None)), ("uneven",), set()),
        (layer(4, 2, chain=(1,) * 9), ("uneven",), set()),
    ],
)
def test_what_meets_the_goals_of_the_transposed_convolution(said: dict[str, Any], met: tuple[str, ...], expected: set[str]) -> None:
    assert TRANSPOSED.newly_met(Evidence(said, frozenset(met))) == expected


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        ([None, None, None], set()),
        ([[9, 10], None, None], set()),
        ([[10, 11], None, None], {real_or_fake.Aim.CHANCE}),
        ([None, [6, 6], None], {real_or_fake.Aim.EQUAL}),
        ([[5, 8], [7, 9], [6, 9]], {real_or_fake.Aim.ROUNDS}),
        ([[0, 8], [12, 12], [6, 9]], set(real_or_fake.Aim)),
        ([[12, 0], [12, 0]], set()),  # one round is missing
        ([[13, 0], None, None], set()),
        ([[12, -1], None, None], set()),
        ([[True, 0], None, None], set()),
        ([[12], None, None], set()),
        ([{"0": 12, "1": 0}, None, None], set()),
        ("[[12, 0]]", set()),
    ],
)
def test_what_meets_the_goals_of_real_or_fake(rounds: Any, expected: set[str]) -> None:
    assert REAL_OR_FAKE.newly_met(Evidence({"rounds": rounds})) == expected


def test_a_coin_seldom_gets_as_many_right_as_the_lesson_says() -> None:
    ways = sum(math.comb(real_or_fake.IMAGES, right) for right in range(real_or_fake.GOOD, real_or_fake.IMAGES + 1))
    assert round(2**real_or_fake.IMAGES / ways) == 52


def batch(trains: Any = True, moved: Any = 1.0, difference: Any = 0.0, shift: Any = 0.0) -> dict[str, Any]:
    return {"trains": trains, "moved": moved, "difference": difference, "shift": shift}


@pytest.mark.parametrize(
    ("said", "met", "expected"),
    [
        (batch(), (), set()),
        (batch(difference=batch_norm.VISIBLE), (), {batch_norm.Aim.DIFFERENT}),
        (batch(difference=batch_norm.VISIBLE - 1e-6), (), set()),
        (batch(difference=0.5, moved=0), (), set()),  # another vector would draw another image, too
        (batch(trains=False, difference=0.5), (), set()),
        (batch(shift=0.5), (), {batch_norm.Aim.CHANNEL}),
        (batch(shift=0.49), (), set()),
        (batch(trains=False), (), set()),  # not before it was seen that the companions matter
        (batch(trains=False), ("different",), {batch_norm.Aim.INDEPENDENT}),
        (batch(trains=False, moved=0.4), ("different",), set()),
        (batch(trains=False, difference=1e-9), ("different",), set()),
        (batch(trains=0), ("different",), set()),
        (batch(moved=2.0, difference=0.5), (), set()),
        (batch(difference=2.0), (), set()),
        (batch(shift=float("inf")), (), set()),
        (batch(shift="9"), (), set()),
    ],
)
def test_what_meets_the_goals_of_batch_normalization(said: dict[str, Any], met: tuple[str, ...], expected: set[str]) -> None:
    assert BATCH_NORM.newly_met(Evidence(said, frozenset(met))) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"length": 8.0, "attribute": "beard", "strength": 1.5, "psi": 1.0}, set()),
        ({"length": 6.3}, {space.Aim.HOLE}),
        ({"length": 6.4}, set()),
        ({"length": -1}, set()),
        ({"attribute": "glasses", "strength": 1}, {space.Aim.GLASSES}),
        ({"attribute": "glasses", "strength": 0.9}, set()),
        ({"attribute": ["glasses"], "strength": 1}, set()),
        ({"psi": 0.25}, {space.Aim.ALIKE}),
        ({"psi": 0}, {space.Aim.ALIKE}),
        ({"psi": 0.3}, set()),
        ({"psi": False}, set()),
        ({"length": 5, "attribute": "glasses", "strength": 1.5, "psi": 0}, set(space.Aim)),
    ],
)
def test_what_meets_the_goals_of_the_space(said: dict[str, Any], expected: set[str]) -> None:
    assert SPACE.newly_met(Evidence(said)) == expected


def test_the_band_of_the_space_is_that_of_its_generator() -> None:
    assert latent.usual_lengths(64)[0] == pytest.approx(space.SHORT, abs=0.05)


def test_links_and_the_outlook_are_whole() -> None:
    for lesson in LESSONS.values():
        assert all(link.label and link.page.isidentifier() for link in lesson.links)
    papers = re.findall(r"\((https://arxiv\.org/abs/\d{4}\.\d{4,5})\)", SPACE.outlook)
    assert len(papers) == len(set(papers)) == 5 == SPACE.outlook.count("\n\n") + 1
