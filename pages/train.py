"""Train: pick a recipe, change what you like, launch, and watch."""

import streamlit as st

from ui.components.visitor import heading
from ui.page_files import NEW_RUN
from ui.pick import missing, options, pick
from ui.text import plain
from ui.train.new_run import new_run
from ui.train.run import show
from ui.workshop import manager

heading("Train")
runs = {run.id: run for run in manager().runs()}
deleted = st.session_state.get("deleted")
missing("run", {NEW_RUN, *runs, *([deleted] if deleted else [])})
chosen = pick("Run", {NEW_RUN: NEW_RUN} | options(list(runs.values())), "run", NEW_RUN, "Start a new run, or look at one.")
if "launch_error" in st.session_state:
    st.error(plain(st.session_state.pop("launch_error")), icon=":material/error:")
if chosen != NEW_RUN:
    st.session_state.pop("deleted", None)
elif deleted and deleted not in runs:  # shown until another run is chosen: the live view of the deleted run makes the script rerun once
    st.success(f"The run {plain(deleted)} is deleted.", icon=":material/check:")
# When a run replaces the form, the form disappears all at once. If it went piece by piece, the rest of it would move.
kind = "form" if chosen == NEW_RUN else "run"
place = st.container() if st.session_state.get("train_shows") == kind else st.empty().container()
st.session_state["train_shows"] = kind
with place:
    if chosen == NEW_RUN:
        new_run()
    else:
        show(runs[chosen])
