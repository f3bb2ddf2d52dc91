"""The buttons of one run."""

import streamlit as st

from gan.config import TrainConfig
from gan.runs.run import Run
from gan.runs.states import AT_WORK, RunState
from ui.comparison import parent_of
from ui.components.visitor import visitor
from ui.export import export_menu
from ui.page_files import COMPARE, EXPLORE, NEW_RUN, TRANSLATE
from ui.text import plain
from ui.train.about import explorable
from ui.train.actions import choose, copy_settings, steer
from ui.train.queue import starts_now
from ui.train.rename import rename_button
from ui.train.resume import resume_buttons
from ui.workshop import manager


def delete(run_id: str) -> None:
    # Noted before: the live view hears of the deletion at once and asks for another run of the script, which ends this callback at its
    # next look into the session.
    st.session_state["deleted"] = run_id
    choose(NEW_RUN)
    steer(manager().delete, run_id)
    if "launch_error" in st.session_state:
        choose(run_id)


def controls(run: Run, config: TrainConfig) -> None:
    """The buttons for a run's state. Visitors who may not steer it get only the buttons for everyone."""
    state, act = run.state, manager()
    mine = act.may_steer(run, visitor())
    soon = starts_now(run)  # its buttons are there already, so nothing below moves when they become active
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if not mine:
            pass
        elif state == RunState.PAUSED and run.at_work:
            st.button("Continue", icon=":material/play_arrow:", type="primary", on_click=steer, args=(act.go_on, run.id))
            for network, label in (("both", "One step"), ("generator", "One step of G"), ("discriminator", "One step of D")):
                st.button(label, icon=":material/skip_next:", on_click=steer, args=(act.step_once, run.id, network))
        elif soon or (state is RunState.RUNNING and run.at_work):
            st.button("Pause", icon=":material/pause:", on_click=steer, args=(act.pause, run.id), disabled=run.stopping)
        if mine and state in AT_WORK and run.at_work:
            st.button("Stop", icon=":material/stop:", on_click=steer, args=(act.stop, run.id))
        if mine and state not in AT_WORK:
            resume_buttons(run, config)
        place, what, icon = (
            (TRANSLATE, "Translate images", ":material/translate:")
            if config.translates
            else (EXPLORE, "Explore its images", ":material/explore:")
        )
        if (explorable(run) or soon) and st.button(what, icon=icon, disabled=not explorable(run)):
            st.switch_page(place, query_params={"from": run.id})
        parent, drawn = parent_of(run.stored), state is RunState.RUNNING or bool(run.sample_steps)
        if (drawn or soon) and st.button("Compare", icon=":material/compare:", help="Compare this run with others.", disabled=not drawn):
            st.switch_page(COMPARE, query_params={"runs": ",".join([run.id, parent.run] if parent else [run.id])})
        if explorable(run) or run.folder.sample_steps():
            export_menu(run)
        elif soon:
            st.popover("Export", icon=":material/download:", key="export_menu", disabled=True)
        st.button(
            "New run with these settings",
            icon=":material/content_copy:",
            on_click=copy_settings,
            args=(config, run.stored.recipe),
        )
        if mine:
            rename_button(run)
        if mine and state not in AT_WORK:
            delete_button(run)
    if not mine and visitor().known:
        st.caption(plain(act.who_may_steer(run)))


def delete_button(run: Run) -> None:
    """Asks before it deletes."""
    with st.popover("Delete", icon=":material/delete:", key="delete_run"):
        st.write("This deletes the run with its images and generators for good. Its forks stay.")
        st.button("Delete it", on_click=delete, args=(run.id,))
