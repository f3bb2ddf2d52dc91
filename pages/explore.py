"""Explore: a generator, latent vectors named by seed, and the ways between them. The address holds the view."""

import streamlit as st

from gan.networks.generator_file import CheckpointError
from ui.choose_model import choose_model
from ui.components.visitor import heading
from ui.explore import arithmetic as explore_arithmetic
from ui.explore import grid as explore_grid
from ui.explore import memory as explore_memory
from ui.explore import pad as explore_pad
from ui.explore import projection as explore_projection
from ui.explore import sliders as explore_sliders
from ui.explore import time as explore_time
from ui.explore import walk as explore_walk
from ui.explore.common import choose_class
from ui.page_files import EVALUATE, INSIDE
from ui.text import plain
from ui.workshop import manager

VIEWS = {
    "pad": "Pad",
    "grid": "Grid",
    "sliders": "Sliders",
    "arithmetic": "Arithmetic",
    "walk": "Walk",
    "time": "Time",
    "memory": "Does it copy its training images?",
    "image": "Find an image in latent space",
}
# Earlier names of views: saved links still open them.
FORMER = {"Memory or invention?": "memory", "Back from an image": "image"}


heading("Explore")
model = choose_model()
if model:
    if (asked := st.query_params.get("view")) in FORMER:
        del st.query_params["view"]  # Streamlit drops an option that it does not know
        st.session_state["view"] = FORMER[asked]
        st.rerun()  # opens the view under its present name
    view = st.segmented_control(
        "View",
        list(VIEWS),
        default="pad",
        format_func=VIEWS.__getitem__,
        key="view",
        bind="query-params",
        required=True,
        label_visibility="collapsed",
        wrap=True,
    )
    view = view or "pad"  # ?view= clears even what is required
    try:
        drawn = {
            "pad": explore_pad.view,
            "grid": explore_grid.view,
            "sliders": explore_sliders.view,
            "arithmetic": explore_arithmetic.view,
            "walk": explore_walk.view,
            "time": explore_time.view,
            "memory": explore_memory.view,
            "image": explore_projection.view,
        }
        drawn[view](model, choose_class(model))
    except CheckpointError as error:
        st.error(plain(error), icon=":material/error:")
    if model.run and manager().get(model.run).at_work:
        st.caption("This run is still training: reload the page for its newest generator.")
    name = model.run or model.id
    with st.container(horizontal=True):
        st.page_link(INSIDE, label="Look inside this network", icon=":material/visibility:", query_params={"run": name})
        st.page_link(EVALUATE, label="How realistic are its images?", icon=":material/balance:", query_params={"from": name})
