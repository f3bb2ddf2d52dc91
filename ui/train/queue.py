"""A waiting run: when it starts, if that is known, and what to do meanwhile."""

from pathlib import Path

import streamlit as st

from gan.config import TrainConfig
from gan.networks.generator_file import CheckpointError
from gan.owners import clean_name, is_personal
from gan.runs.limits import span
from gan.runs.names import label
from gan.runs.run import Run
from gan.runs.states import RunState
from ui.components.visitor import visitor
from ui.page_files import DATA, EXPLORE, GLOSSARY, TRAIN
from ui.text import plain
from ui.workshop import manager

REFRESH_S = 2.0
MOST_AHEAD = 4  # runs that are listed
LONG_S = 20 * 60.0  # of waiting: beyond this, people want to know what they can do


def starts_now(run: Run) -> bool:
    """Whether a run loads its data, or is about to: it does not wait for its turn, and has not begun."""
    if not run.at_work:
        return False
    return run.state is RunState.PREPARING or (run.state is RunState.QUEUED and not manager().position(run))


def waiting(run: Run) -> None:
    """The runs ahead, when this one starts, and links for the meantime."""
    if run.state is not RunState.QUEUED:
        st.rerun()
    position, starts_in_s = manager().place(run)
    ahead = [other for other in manager().unfinished() if other.id != run.id and manager().position(other) < max(1, position)]
    with st.container(border=True, key="waiting"):
        where = " It waits for a free slot in the cluster." if manager().cluster else ""
        st.markdown(
            f"**Number {position} in the queue.**{where} {forecast(starts_in_s, ahead)}" if position else "**This run starts now.**"
        )
        if said := blocked(starts_in_s, ahead):
            st.markdown(said)
        for other in ahead[:MOST_AHEAD]:
            st.markdown(f"- {plain(label(other))}: {_far(other)}")
        if len(ahead) > MOST_AHEAD:
            st.caption(f"And {len(ahead) - MOST_AHEAD} more.")
        st.markdown("Meanwhile:")
        with st.container(horizontal=True):
            if working := next((other for other in ahead if other.state is RunState.RUNNING), None):
                st.page_link(TRAIN, label="Watch the run ahead", icon=":material/monitoring:", query_params={"run": working.id})
            st.page_link(EXPLORE, label="Explore a trained generator", icon=":material/explore:")
            if config := _config(run):
                name = Path(config.data).name
                st.page_link(DATA, label="See what it will learn from", icon=":material/photo_library:", query_params={"set": name})
            st.page_link(GLOSSARY, label="Look up a term", icon=":material/dictionary:")


def forecast(starts_in_s: float | None, ahead: list[Run]) -> str:
    """When a run starts, or why that is unknown."""
    if starts_in_s is not None:
        return f"It starts in {about(starts_in_s)}, or sooner if a run ahead is stopped. This page shows it then."
    paused = [other for other in ahead if other.state is RunState.PAUSED]
    if paused:
        return f"The start time is unknown: {plain(label(paused[0]))} is paused."
    return "The start time is unknown until the run ahead has trained for a moment."


def blocked(starts_in_s: float | None, ahead: list[Run]) -> str:
    """Who can make room, for a run that waits for long or for a paused one; empty if it starts soon."""
    at_work = [run for run in ahead if run.state in (RunState.RUNNING, RunState.PAUSED)]
    paused = [run for run in at_work if run.state is RunState.PAUSED]
    if not at_work or (not paused if starts_in_s is None else starts_in_s < LONG_S):
        return ""
    if yours := next((run for run in at_work if manager().may_steer(run, visitor())), None):
        return f"You can stop {plain(label(yours))} on its page, and resume it later."
    longest = [*paused, *at_work][0]
    owner = plain(clean_name(longest.stored.owner) or "its owner")
    grace_s = longest.limits.grace_s
    away = f" It makes room by itself when {owner} has been away for {span(grace_s)}." if grace_s is not None else ""
    return f"Only {owner}{'' if is_personal() else ' or the host'} can stop {plain(label(longest))}.{away}"


def about(seconds: float) -> str:
    """An approximate time in words."""
    if seconds < 10:
        return "a moment"
    if seconds < 45:
        return "about half a minute"
    if seconds < 90:
        return "about a minute"
    if seconds < 100 * 60:
        return f"about {round(seconds / 60)} minutes"
    return f"about {round(seconds / 3600)} hours"


def _far(run: Run) -> str:
    """How far a run ahead is."""
    if run.state is RunState.QUEUED:
        return "waits too"
    if run.state is RunState.PREPARING:
        return "loading its data"
    status = run.status()
    return f"{run.state.shown}, {round(100 * status.progress)}% done"


def _config(run: Run) -> TrainConfig | None:
    try:
        return run.config
    except CheckpointError:
        return None
