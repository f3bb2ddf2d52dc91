"""Draws one lesson on the page Learn: its text, its figure, its mission."""

import re

import streamlit as st

from gan.course.lesson import Evidence, Lesson
from gan.course.lessons import LESSONS
from gan.course.own_runs import OwnRun, own_runs
from gan.course.progress import Met
from gan.files import in_words, without_folders
from ui.components.visitor import visitor
from ui.learn.figures import FIGURES
from ui.page_files import EXPLORE, LEARN, TRAIN, page_file
from ui.text import plain
from ui.workshop import checkups, course_progress, manager

PAGE = "learn"  # its url_path


def first_open() -> str:
    """The id of the first lesson that the visitor has not passed; of the first one if all are passed."""
    met = course_progress().read(visitor().id)
    return next((lesson.id for lesson in LESSONS.values() if not lesson.is_passed(met.get(lesson.id, frozenset()))), next(iter(LESSONS)))


def show(lesson: Lesson) -> Met:
    """Draws a lesson, checks its mission, and returns all goals that the visitor has met."""
    met = course_progress().read(visitor().id)
    st.subheader(lesson.title)
    words, mission = st.columns([3, 2], gap="large")  # the mission above the figure, so that it stays in sight
    words.markdown(lesson.text)
    words.markdown(f"**Try it:** {lesson.to_try}")
    report = FIGURES[lesson.id](PAGE)
    answers = course_progress().answers(visitor().id, lesson.id)
    met = _credit(lesson, Evidence(report, met.get(lesson.id, frozenset()), answers, _find_runs), met)
    with mission:
        _mission(lesson, met.get(lesson.id, frozenset()))
    _next(lesson, met)
    if lesson.links:
        with st.container(horizontal=True):
            for link in lesson.links:
                st.page_link(page_file(link.page), label=link.label, icon=":material/arrow_forward:", query_params=dict(link.query))
    if lesson.outlook:
        st.subheader("Where to go next")
        st.markdown(lesson.outlook)
    with st.expander("Further reading", icon=":material/menu_book:", key=f"read_{lesson.id}"):
        for source in lesson.sources:
            st.markdown(f"[{source.title}]({source.address})")
    return met


def _are_all_passed(met: Met) -> bool:
    return all(one.is_passed(met.get(one.id, frozenset())) for one in LESSONS.values())


def _next(lesson: Lesson, met: Met) -> None:
    """A link to the lesson after this one; praise if all are passed."""
    if _are_all_passed(met):
        st.success(f"You passed all {len(LESSONS)} lessons. Train a network of your own, or explore one.", icon=":material/school:")
        with st.container(horizontal=True):
            st.page_link(TRAIN, label="Train", icon=":material/model_training:")
            st.page_link(EXPLORE, label="Explore", icon=":material/explore:")
        return
    after = list(LESSONS.values())[list(LESSONS).index(lesson.id) + 1 :]
    if after:
        label = f"Next: {after[0].title} ({after[0].minutes} minutes)"
        st.page_link(LEARN, label=label, icon=":material/arrow_forward:", query_params={"lesson": after[0].id})


def _find_runs() -> tuple[OwnRun, ...]:
    return own_runs(manager().runs(), visitor().id, checkups())


def _credit(lesson: Lesson, evidence: Evidence, met: Met) -> Met:
    """Saves the goals that are met for the first time. A stranger's goals wait until the browser has said who it is."""
    newly = lesson.newly_met(evidence)
    if not newly or not visitor().id:
        return met
    _say_met(lesson, met, newly)
    try:
        return course_progress().add(visitor().id, lesson.id, newly)
    except OSError as error:
        st.error(f"Your progress cannot be saved: {plain(without_folders(in_words(error)))}.", icon=":material/error:")
        return met | {lesson.id: evidence.met | newly}


def _say_met(lesson: Lesson, met: Met, newly: frozenset[str]) -> None:
    """Says which goals are newly met, since the mission itself is often out of sight: in few words, so that they cover little."""
    count = len(lesson.goals)
    after = met | {lesson.id: met.get(lesson.id, frozenset()) | newly}
    if lesson.is_passed(after[lesson.id]):
        words = f"You passed all {len(LESSONS)} lessons." if _are_all_passed(after) else f"Lesson passed: {lesson.title}"
        st.toast(f"All {count} goals done. {words}", icon=":material/check_circle:")
        return
    for number, goal in enumerate(lesson.goals, 1):
        if goal.id in newly:
            st.toast(f"Goal {number} of {count} done: {_core(goal.text)}", icon=":material/check_circle:")


def _core(text: str) -> str:
    """What to do, of a goal's text: without what follows a colon or the first sentence."""
    return re.split(r"[:.](?: |$)", text, maxsplit=1)[0]


def _mission(lesson: Lesson, met: frozenset[str]) -> None:
    passed = " :green-badge[:material/check: Mission passed.]" if lesson.is_passed(met) else ""
    st.markdown(f"**Your mission**{passed}")  # on this line, so that the figure below stays where it is
    with st.container(gap="xsmall"):
        for goal in lesson.goals:
            st.markdown(f":material/{'check_circle' if goal.id in met else 'radio_button_unchecked'}: {goal.text}")
