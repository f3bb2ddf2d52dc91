"""Runs as cards: newest images, owner, progress, and what is wrong."""

import time
from collections.abc import Sequence
from typing import Literal

import streamlit as st

from gan.networks.generator_file import CheckpointError
from gan.owners import Visitor
from gan.runs.names import label
from gan.runs.run import Run
from gan.runs.states import AT_WORK, RunState
from ui.health import health
from ui.page_files import TRAIN
from ui.text import plain, within
from ui.workshop import manager

STATE_COLORS: dict[RunState, Literal["red", "orange", "blue", "green"]] = {
    RunState.RUNNING: "green",
    RunState.PREPARING: "green",
    RunState.PAUSED: "orange",
    RunState.QUEUED: "blue",
    RunState.FAILED: "red",
    RunState.INTERRUPTED: "orange",
}
SHOWN = 12


def all_cards(runs: Sequence[Run], mine: Sequence[Run]) -> None:
    """All runs: the visitor's own first, then those that train now, then the others."""
    order = {run.id: place for place, run in enumerate(manager().unfinished())}
    others = [run for run in runs if run not in mine]
    # Includes those of other processes, after this process's runs, which are in the order in which they start.
    now = sorted((run for run in others if run.state in AT_WORK), key=lambda run: order.get(run.id, len(order)))
    cards("Your runs", mine)
    cards("Now training", now)
    cards("Other runs" if mine or now else "Runs", [run for run in others if run not in now])


def own(runs: Sequence[Run], who: Visitor) -> list[Run]:
    """The runs that are the visitor's."""
    return [run for run in runs if _owned(run, who)]


def _owned(run: Run, who: Visitor) -> bool:
    try:
        return bool(who.id) and run.owner_id == who.id
    except CheckpointError:  # its owner is unknown
        return False


def cards(title: str, runs: Sequence[Run]) -> None:
    """The first of some runs under a title; nothing if there are none."""
    if not runs:
        return
    st.subheader(title)
    with st.grid("auto", min_column_width=230):
        for run in runs[:SHOWN]:
            card(run)
    if len(runs) > SHOWN:
        st.caption(f"{len(runs) - SHOWN} more are listed on the Train page.")


def card(run: Run) -> None:
    """One run."""
    status = run.status()
    if run.gone:
        return
    with st.container(border=True):
        _images(run)
        st.markdown(f"**{plain(label(run))}**")
        state = status.state
        position = manager().position(run)
        st.badge(f"number {position} in the queue" if position else state.shown, color=STATE_COLORS.get(state, "gray"))
        if fault := run.fault:
            st.warning(f"This run's files are damaged: {plain(within(run.folder.path, fault))}.", icon=":material/error:")
        elif found := health(run):
            st.markdown(found.line)
        if state in (RunState.RUNNING, RunState.PAUSED):
            st.progress(status.progress)
        when = time.strftime("%b %d, %H:%M", time.localtime(status.started or time.time()))
        st.caption(f"Step {status.step:,} · {when}")
        st.page_link(TRAIN, label="Open", icon=":material/open_in_new:", query_params={"run": run.id})


def _images(run: Run) -> None:
    steps = run.sample_steps
    if not steps:
        return
    try:
        picture = run.folder.read_samples(steps[-1])
    except CheckpointError as error:
        st.warning(f"Its newest images cannot be shown: {plain(within(run.folder.path, error))}.", icon=":material/broken_image:")
    else:
        st.image(picture, alt=f"Newest images of {label(run)}", output_format="PNG", width="stretch")
