"""The course at a glance: a mark for each lesson, which links to it."""

import streamlit as st

from gan.course.lessons import LESSONS
from gan.course.progress import Met
from ui.components.visitor import visitor
from ui.page_files import LEARN


def marks(met: Met, open_id: str) -> None:
    """Draws the marks. On a phone, theme.css shows only their icons and numbers, in one row. open_id: the lesson that the page shows."""
    passed = [lesson.is_passed(met.get(lesson.id, frozenset())) for lesson in LESSONS.values()]
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="marks"):
        for number, (lesson, is_passed) in enumerate(zip(LESSONS.values(), passed, strict=True), 1):
            label = f"{number}. *{lesson.title}*"
            st.page_link(
                LEARN,
                label=label if lesson.id != open_id else f"**{label}**",
                icon=":material/check_circle:" if is_passed else ":material/radio_button_unchecked:",
                help=f"{lesson.title}: {lesson.minutes} minutes. {'Passed.' if is_passed else 'Not passed yet.'}",
                query_params={"lesson": lesson.id},
                width="content",
            )
    count = f"{sum(passed)} of {len(passed)} lessons passed. " if visitor().known else ""  # of a stranger, nothing is known yet
    st.caption(f"{count}Your progress is saved for this browser.")
