"""Learn: the course, one lesson at a time."""

import streamlit as st

from gan.course.lessons import LESSONS
from ui.components.visitor import heading
from ui.learn.lesson import show
from ui.learn.marks import marks
from ui.text import plain

heading("Learn")
asked = st.query_params.get("lesson", next(iter(LESSONS)))
if asked not in LESSONS:
    st.warning(f"There is no lesson {plain(asked[:100])}.", icon=":material/search_off:")
    asked = next(iter(LESSONS))
overview = st.container()  # filled last: the lesson below may pass its mission in this very run
met = show(LESSONS[asked])
with overview:
    marks(met, asked)
