"""How a run that is not active continues: resume, train longer, find its data set, go back to a checkpoint."""

from functools import partial

import streamlit as st

from gan.config import TrainConfig
from gan.data import datasets
from gan.runs.record import data_is_there
from gan.runs.run import Run
from ui.config_form import longer
from ui.train.actions import steer
from ui.workshop import manager


def resume_longer(run_id: str) -> None:
    steer(manager().resume, run_id, st.session_state["longer_unit"], st.session_state["longer_amount"])


def resume_from_kept(run_id: str) -> None:
    steer(partial(manager().resume, kept=True), run_id)


def resume_elsewhere(run_id: str) -> None:
    """Continues with the chosen data set, and for longer if the run had reached its end."""
    longer = (st.session_state["moved_unit"], st.session_state["moved_amount"]) if "moved_unit" in st.session_state else ()
    steer(partial(manager().resume, data=st.session_state["moved_to"]), run_id, *longer)


def resume_buttons(run: Run, config: TrainConfig) -> None:
    """How a run that is not active can continue, or what to do if it cannot simply continue."""
    act, status = manager(), run.status()
    done, stuck = status.progress >= 1, status.stuck
    if stuck == "state" or run.state_is_lost:
        kept = run.folder.newest_kept()
        if kept is not None:
            what = "Goes back to the newest checkpoint. Later files move to set-aside/ in the run's folder."
            label = f"Continue from step {kept:,}"
            st.button(label, icon=":material/restore:", type="primary", help=what, on_click=resume_from_kept, args=(run.id,))
        return
    if stuck == "data" or not data_is_there(config.data):
        with st.popover("Find its data set", icon=":material/folder_open:", key="moved", type="primary"):
            st.write("Which data set has this run's images now? They must be the same images.")
            st.selectbox("Data set", datasets.available(), key="moved_to")
            fits = longer("moved", config) if done else True
            st.button("Continue with this data set", on_click=resume_elsewhere, args=(run.id,), disabled=not fits)
        if not data_is_there(config.data):
            return
    if not done:
        st.button("Resume", icon=":material/play_arrow:", type="primary", on_click=steer, args=(act.resume, run.id))
    with st.popover("Train longer", icon=":material/more_time:", key="longer"):
        fits = longer("longer", config)
        st.button("Continue training", on_click=resume_longer, args=(run.id,), disabled=not fits)
