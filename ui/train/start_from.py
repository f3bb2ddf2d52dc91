"""Which trained networks a new run starts from, if any: those of a run on this server, or of one that comes with the app."""

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from gan.config import TrainConfig
from gan.course.shipped_runs import SHIPPED_RUNS
from gan.networks.generator_file import CheckpointError
from gan.runs.names import label
from gan.runs.start import SHAPING, Origin, origin_of
from ui.config_form import KEY
from ui.text import plain
from ui.workshop import manager

CHOSEN = "start_from"  # in the session: the id of the run, or NEW
NEW = ""


def start_from(faults: DeltaGenerator) -> bool:
    """Draws the choice, and what it changes in the form. False if the chosen networks do not fit the settings.

    faults: the place next to the button that starts the run.
    """
    runs = {run.id: run for run in manager().runs() if not run.fault and run.folder.state_file.exists()}
    options = [NEW, *SHIPPED_RUNS, *runs]
    if st.session_state.get(CHOSEN, NEW) not in options:  # deleted
        st.session_state[CHOSEN] = NEW
    with st.expander("Start from trained networks", icon=":material/school:", expanded=st.session_state.get(CHOSEN, NEW) != NEW):
        st.selectbox(
            "Start from",
            options,
            key=CHOSEN,
            format_func=lambda run_id: _name(run_id) if run_id not in runs else label(runs[run_id]),
            on_change=_take_settings,
            help="Uses another run's networks, from its best step if it was scored. On similar images, the new run is far ahead at first.",
        )
        other = _different()
        if st.session_state[CHOSEN] != NEW and not other:
            st.caption("Size, colors, filters and other settings that define the networks come from that run.")
    if other:
        with faults:
            st.error(f"The trained networks that you start from need other settings: {plain(', '.join(other))}.", icon=":material/error:")
            with st.container(horizontal=True):
                st.button("Use the settings they need", icon=":material/rule:", on_click=_take_settings)
                st.button("Start from new networks", icon=":material/restart_alt:", on_click=_take_new)
    return not other


def chosen_origin() -> Origin | None:
    """The chosen networks; None for new ones.

    Raises:
        ValueError: the run is gone, or its networks cannot be read.
    """
    run_id = st.session_state.get(CHOSEN, NEW)
    if run_id == NEW:
        return None
    if run_id in SHIPPED_RUNS:
        return SHIPPED_RUNS[run_id].origin(None)
    try:
        folder = manager().get(run_id).folder
    except KeyError:
        raise ValueError("the run whose networks you chose was deleted: choose another one, or new networks") from None
    return origin_of(folder, "best" if folder.best() else None)


def _name(run_id: str) -> str:
    return "New networks" if run_id == NEW else SHIPPED_RUNS[run_id].title


def _needed() -> dict[str, Any]:
    """The settings that the chosen networks need."""
    run_id = st.session_state.get(CHOSEN, NEW)
    if run_id == NEW:
        return {}
    try:
        config = SHIPPED_RUNS[run_id].config if run_id in SHIPPED_RUNS else manager().get(run_id).config
    except (KeyError, CheckpointError):  # deleted or damaged a moment ago: Train says so
        return {}
    return {name: getattr(config, name) for name in SHAPING}


def _different() -> list[str]:
    """The titles of settings in the form that do not fit the chosen networks."""
    return [str(TrainConfig.model_fields[name].title) for name, value in _needed().items() if st.session_state.get(KEY + name) != value]


def _take_new() -> None:
    st.session_state[CHOSEN] = NEW


def _take_settings() -> None:
    for name, value in _needed().items():
        st.session_state[KEY + name] = value
