"""The page Learn: lessons, missions, and marks that stay."""

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from gan.course.lessons import LESSONS
from tests.conftest import ADA, BOB
from tests.pages.apps import texts
from ui import page_files as pages
from ui import workshop
from ui.learn import figures

OpenPage = Callable[..., AppTest]
PASSED, OPEN = ":material/check_circle:", ":material/radio_button_unchecked:"
PASSED_MISSION = "Mission passed."


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the figure of the plane reports: a test fills it in."""
    said: dict[str, Any] = {}
    monkeypatch.setitem(figures.FIGURES, "plane", lambda page: said)
    return said


def marks(at: AppTest) -> dict[str, str]:
    """The lessons on top: label -> icon."""
    return {link.proto.label: link.proto.icon for link in at.get("page_link") if link.proto.icon in (PASSED, OPEN)}


def test_every_lesson_has_a_figure() -> None:
    assert figures.FIGURES.keys() == LESSONS.keys()


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_lesson_can_be_opened(open_page: OpenPage, lesson: str) -> None:
    at = open_page(pages.LEARN, lesson=lesson)
    assert LESSONS[lesson].title in texts(at.subheader) and not at.warning and not at.error
    assert all(goal.text in texts(at.markdown) for goal in LESSONS[lesson].goals)
    assert len(marks(at)) == len(LESSONS)


def test_a_mission_is_passed_goal_by_goal_and_stays_passed(open_page: OpenPage, report: dict[str, Any]) -> None:
    at = open_page(pages.LEARN, lesson="plane")
    assert list(marks(at).values()) == [OPEN] * len(LESSONS) and PASSED_MISSION not in texts(at.markdown)
    for found in (8, 1, 8):
        report |= {"found": found, "modes": 8, "steps": 3000, "treated": True}
        at.run()
    assert PASSED_MISSION in texts(at.markdown)
    assert PASSED in marks(at).values() and "1 of " in texts(at.caption)
    report.clear()
    workshop.course_progress.cache_clear()  # as after a restart of the server
    at = open_page(pages.LEARN, lesson="plane")
    assert PASSED_MISSION in texts(at.markdown) and PASSED in marks(at).values()
    assert workshop.course_progress().read(BOB.id) == {}


def test_each_goal_is_said_once_wherever_the_page_is(open_page: OpenPage, report: dict[str, Any]) -> None:
    at = open_page(pages.LEARN, lesson="plane")
    said = []
    for found in (8, 8, 1, 8):
        report |= {"found": found, "modes": 8, "steps": 3000, "treated": True}
        at.run()
        said += [toast.value for toast in at.toast]
    assert said == [
        "Goal 1 of 3 done: Reach all 8 modes of the ring, and hold them for a moment",
        "Goal 2 of 3 done: Break it",  # in few words: a phone shows three lines
        "All 3 goals done. Lesson passed: The game on a plane",
    ]


def test_the_last_goal_of_the_course_says_that_all_lessons_are_passed(open_page: OpenPage, report: dict[str, Any]) -> None:
    for lesson in LESSONS.values():
        left = {"fixed"} if lesson.id == "plane" else set()
        workshop.course_progress().add(ADA.id, lesson.id, frozenset(goal.id for goal in lesson.goals) - left)
    at = open_page(pages.LEARN, lesson="plane")
    report |= {"found": 8, "modes": 8, "steps": 3000, "treated": True}
    at.run()
    assert [toast.value for toast in at.toast] == ["All 3 goals done. You passed all 8 lessons."]
    assert "You passed all 8 lessons." in texts(at.success)


def test_learn_opens_at_the_first_lesson_that_is_not_passed_and_stays_there(open_page: OpenPage, report: dict[str, Any]) -> None:
    first, second, third = list(LESSONS.values())[:3]
    workshop.course_progress().add(ADA.id, first.id, frozenset(goal.id for goal in first.goals))
    at = open_page(pages.LEARN)
    assert second.id == "plane" and second.title in texts(at.subheader)
    for found in (8, 1, 8):
        report |= {"found": found, "modes": 8, "steps": 3000, "treated": True}
        at.run()
    assert PASSED_MISSION in texts(at.markdown) and second.title in texts(at.subheader)
    assert third.title in texts(open_page(pages.LEARN).subheader)


def test_home_leads_back_to_a_course_that_was_begun(open_page: OpenPage) -> None:
    def labels() -> str:
        return " ".join(link.proto.label for link in open_page(pages.HOME).get("page_link"))

    first, *others = LESSONS.values()
    workshop.course_progress().add(ADA.id, first.id, frozenset(goal.id for goal in first.goals))
    assert f"Continue the course: 1 of {len(LESSONS)} lessons passed" in labels() and "New to GANs?" not in labels()
    for lesson in others:
        workshop.course_progress().add(ADA.id, lesson.id, frozenset(goal.id for goal in lesson.goals))
    assert f"You passed all {len(LESSONS)} lessons of the course" in labels() and "New to GANs?" not in labels()
    assert f"You passed all {len(LESSONS)} lessons. " in texts(open_page(pages.LEARN).success)


def test_strange_reports_change_nothing(open_page: OpenPage, report: dict[str, Any]) -> None:
    for value in ("8", None, True, [8], -1, 10**30):
        report |= {"found": value, "modes": value, "steps": value}
        at = open_page(pages.LEARN, lesson="plane")
        assert not at.exception and workshop.course_progress().read(ADA.id) == {}


def test_a_full_disk_is_said_and_the_goal_still_shown(open_page: OpenPage, report: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*rest: object) -> None:
        raise OSError(28, "No space left on device", "<b>/x")

    at = open_page(pages.LEARN, lesson="plane")
    monkeypatch.setattr(workshop.course_progress(), "add", full)
    report |= {"found": 8, "modes": 8, "steps": 10}
    at.run()
    assert "Your progress cannot be saved" in texts(at.error) and "the disk is full" in texts(at.error)
    assert ":material/check_circle: Reach all 8 modes" in texts(at.markdown)


def test_an_unknown_lesson_is_said_and_the_first_one_shown(open_page: OpenPage) -> None:
    at = open_page(pages.LEARN, lesson="<b>none")
    assert "There is no lesson" in texts(at.warning) and "<b>" not in texts(at.warning)
    assert next(iter(LESSONS.values())).title in texts(at.subheader)


def test_each_lesson_leads_to_the_next(open_page: OpenPage) -> None:
    links = [
        [
            link.proto.query_string
            for link in open_page(pages.LEARN, lesson=lesson).get("page_link")
            if link.proto.label.startswith("Next: ")
        ]
        for lesson in LESSONS
    ]
    assert links == [*([f"lesson={lesson}"] for lesson in list(LESSONS)[1:]), []]


def test_the_last_lesson_leads_into_explore_and_says_what_comes_next(open_page: OpenPage) -> None:
    at = open_page(pages.LEARN, lesson="space")
    queries = [link.proto.query_string for link in at.get("page_link") if link.proto.page == "explore"]
    assert queries == ["from=faces&view=Walk&mode=lerp", "from=faces&view=Arithmetic", "from=faces"]
    assert "Where to go next" in texts(at.subheader) and "Diffusion" in texts(at.markdown)


def test_home_leads_newcomers_to_the_course_and_says_how_long_it_takes(open_page: OpenPage) -> None:
    at = open_page(pages.HOME)
    minutes = sum(lesson.minutes for lesson in LESSONS.values())
    assert f"New to GANs? Learn: {minutes} minutes, {len(LESSONS)} short lessons" in [link.proto.label for link in at.get("page_link")]
    assert "Train: 2 minutes" in texts(at.caption)
