"""Rename a run."""

import streamlit as st

from gan.owners import LONGEST_NAME
from gan.runs.names import label
from gan.runs.run import Run
from ui.train.actions import steer
from ui.workshop import manager


def rename(run_id: str, key: str) -> None:
    steer(manager().rename, run_id, st.session_state[key])


def rename_button(run: Run) -> None:
    """Asks for the run's name in all lists."""
    key = f"name_of_{run.id}"
    with st.popover("Rename", icon=":material/edit:", key="rename_run"):
        st.session_state[key] = run.given_name
        st.text_input(
            "Name of this run",
            key=key,
            max_chars=LONGEST_NAME,
            placeholder=label(run) if not run.given_name else None,
            on_change=rename,
            args=(run.id, key),
            help="Everyone sees it in every list. Leave it empty to name the run by its recipe and settings.",
        )
