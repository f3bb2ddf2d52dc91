"""A new run: its settings, and the button that starts it."""

import streamlit as st

from gan import glossary
from gan.config import TrainConfig
from gan.owners import clean_name, is_personal
from gan.recipes import DEFAULT, RECIPES
from gan.runs.limits import span
from gan.runs.names import label
from gan.runs.run import explain
from gan.runs.states import RunState
from ui.accelerator_note import accelerator_note
from ui.components.visitor import visitor
from ui.config_form import config_form, fill_form, read_form
from ui.next_step import BREAK, TRY, broken, mistake
from ui.text import plain
from ui.train.actions import choose
from ui.train.guide import guide_start
from ui.workshop import manager


def take_recipe() -> None:
    fill_form(RECIPES[st.session_state["recipe"]].config)


def launch() -> None:
    """Reads the form here: what a button was drawn with may be older than what was typed last."""
    try:
        config = manager().shorten(read_form(), visitor())
        choose(manager().submit(config, st.session_state["recipe"], visitor()).id)
        st.query_params.pop(TRY, None)
    except (ValueError, OSError) as error:
        st.session_state["launch_error"] = explain(error)


def new_run() -> None:
    """The settings, and the button that starts them."""
    st.session_state.setdefault("recipe", DEFAULT)
    guide_start()
    if st.query_params.get(TRY) == BREAK:
        st.info(
            f"This run will go wrong on purpose: {mistake(RECIPES[DEFAULT].config)}. Press Train, and read what the doctor says.",
            icon=":material/healing:",
        )
        if not st.session_state.get("tried"):
            st.session_state.update(tried=True, recipe=DEFAULT)
            fill_form(broken(RECIPES[DEFAULT].config))
    else:
        st.session_state.pop("tried", None)
    name = st.selectbox(
        "Recipe",
        list(RECIPES),
        key="recipe",
        on_change=take_recipe,
        help=f"{glossary.explain('recipe')} Pick the one to start from.",
    )
    st.caption(f"{RECIPES[name].summary} Source: {RECIPES[name].source}")
    accelerator_note()
    start = st.container()  # above the settings, so that a phone shows it without scrolling
    config = config_form(RECIPES[name].config, st.container())
    who = visitor()
    label = train_label(config, manager().shorten(config, who)) if config else "Train"
    unable = config is None or not who.known
    start.button(label, type="primary", icon=":material/play_arrow:", key="train", disabled=unable, on_click=launch)
    notes = [queue_note(), "" if who.admin else manager().limits.describe()]
    if who.known and not who.named and not is_personal():
        notes.append(f"Your run will be listed as {who.name}'s. Enter your name at the top.")
    start.caption("  \n".join(note for note in notes if note))


def train_label(asked: TrainConfig, allowed: TrainConfig) -> str:
    """What the button does: a run that is longer than this server allows is shortened, and the button says to what."""
    if allowed == asked:
        return "Train"
    amount = span(allowed.duration) if allowed.duration_unit == "seconds" else f"{allowed.duration:,.0f} steps"
    return f"Train for {amount}"


def queue_note() -> str:
    """Whose runs come before a new one."""
    before = manager().unfinished()
    at_work = [run for run in before if run.state is not RunState.QUEUED]
    if len(at_work) < manager().max_runs:
        return ""
    names = sorted({plain(clean_name(run.stored.get("owner")) or label(run)) for run in at_work})
    whose = f"{', '.join(names[:3])}{' and others' if len(names) > 3 else ''}"
    return f"Running: {whose}. Waiting: {len(before) - len(at_work)}. Your run will wait for its turn."
