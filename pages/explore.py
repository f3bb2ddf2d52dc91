"""Explore: a generator, latent vectors named by seed, and the ways between them. Everything shown is in the address."""

import streamlit as st

from gan.networks.generator_file import CheckpointError
from gan.runs.run import explain
from ui.choose_model import choose_model
from ui.components.visitor import heading
from ui.explore.common import choose_class
from ui.explore.views import choose_view
from ui.page_files import EVALUATE, INSIDE
from ui.text import plain
from ui.workshop import manager

heading("Explore")
model = choose_model()
if model:
    view = choose_view(model)
    try:
        view.draw(model, choose_class(model))
    except CheckpointError as error:
        st.error(plain(explain(error)), icon=":material/error:")
    if model.run and manager().get(model.run).at_work:
        st.caption("This run is still training: reload the page for its newest generator.")
    name = model.run or model.id
    with st.container(horizontal=True):
        st.page_link(INSIDE, label="Look inside this network", icon=":material/visibility:", query_params={"run": name})
        st.page_link(EVALUATE, label="How realistic are its images?", icon=":material/balance:", query_params={"from": name})
