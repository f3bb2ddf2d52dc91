"""Compare: up to six runs overlaid: curves, different settings, and the same latent vectors at the same point in training."""

import streamlit as st

from gan.runs.names import labels
from gan.runs.states import AT_WORK
from ui.compare.choose import choose
from ui.compare.overlay import REFRESH_S, lay_over
from ui.compare.wall import wall
from ui.components.visitor import heading
from ui.page_files import TRAIN
from ui.workshop import manager

heading("Compare")
runs = {run.id: run for run in manager().runs()}
if not runs:
    st.info("There are no runs yet. Train a network, then train it again with one setting changed.", icon=":material/lightbulb:")
    st.page_link(TRAIN, label="Train", icon=":material/model_training:")
else:
    names = labels(runs.values())
    # Places that stay where they are: if what repeats by itself moved up, because a sentence above it is gone, its last repetition at the old place
    # could come late, and everything would be there twice.
    choice, said, all_runs, overlaid = (st.container() for _ in range(4))
    with choice:
        chosen = choose(runs, names)
    if len(chosen) < 2:
        what = (
            "Choose another run to compare with this one."
            if chosen
            else "Choose runs to overlay their curves and see their images side by side."
        )
        said.info(what, icon=":material/lightbulb:")
    with all_runs:
        wall(names, chosen)
    if chosen:
        states = [runs[i].state for i in chosen]
        working = any(state in AT_WORK for state in states)
        with overlaid:
            st.fragment(lay_over, run_every=REFRESH_S if working else None)(chosen, names, states)
