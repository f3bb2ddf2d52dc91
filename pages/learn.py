"""Learn: the course, one lesson at a time."""

import streamlit as st

from gan.course.lessons import LESSONS
from ui.components.visitor import heading, visitor
from ui.learn.lesson import first_open, show
from ui.learn.marks import marks
from ui.text import plain

heading("Learn")
named = st.query_params.get("lesson")
if named is not None and named not in LESSONS:
    st.warning(f"There is no lesson {plain(named[:100])}.", icon=":material/search_off:")
asked = named if named in LESSONS else first_open()
if named == asked or (named is None and visitor().known):
    # A link from one lesson to another leaves the browser's address as it was, and the figure's next report would come from there.
    st.query_params["lesson"] = asked
overview = st.container()  # filled last: the lesson below may pass its mission in this very run
met = show(LESSONS[asked])
with overview:
    marks(met, asked)
