"""Evaluate: how good a generator is, compared with real images. The address holds the view."""

import streamlit as st

from gan.judging.evaluation import SAMPLES
from gan.networks.generator_file import CheckpointError
from gan.runs.run import explain
from ui.choose_model import choose_model
from ui.components.visitor import heading
from ui.evaluate.evaluations import COUNTS, MOST, begin, judge_it, kept
from ui.evaluate.scores import classes, scores
from ui.evaluate.table import downloads, side_by_side
from ui.explore.common import stamp
from ui.page_files import DATA, EXPLORE
from ui.text import plain
from ui.workshop import evaluations, manager

heading("Evaluate")
st.markdown("How realistic are a generator's images? Each score is next to the score of real images.")
model = choose_model()
if model:
    samples = st.select_slider(
        "Images to draw",
        COUNTS,
        SAMPLES,
        key="samples",
        bind="query-params",
        help="More images give more certain scores. With few images, distances are larger for real images too.",
    )
    pressed = st.button("Evaluate", type="primary", icon=":material/balance:", on_click=begin)
    try:
        key = (model.id, stamp(model), samples)
        with st.container():  # a place for the progress bar, so that the scores do not move up later
            done = evaluations().get(key) or (judge_it(model, key) if pressed else None)
    except (CheckpointError, OSError) as error:
        st.error(f"This generator cannot be used: {plain(explain(error))}", icon=":material/error:")
        done = None
    if done:
        st.session_state["evaluated"] = [*(e.key for e in kept() if e.key != key), key][-MOST:]
        scores(done)
        classes(done)
    elif not pressed:
        st.caption("Press Evaluate. It takes a few seconds, or a minute for a new data set.")
    if len(kept()) > 1:
        side_by_side(kept())
    if kept():
        downloads(kept())
    with st.container(horizontal=True):
        address = {"from": model.run or model.id}
        st.page_link(EXPLORE, label="Explore this generator", icon=":material/explore:", query_params=address)
        st.page_link(DATA, label="Its data set", icon=":material/photo_library:", query_params={"set": model.config.data})
    if model.run and manager().get(model.run).at_work:
        st.caption("This run is still training: reload the page for its newest generator.")
