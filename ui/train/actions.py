"""What Train's buttons do to runs; a refusal becomes a sentence on the page."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from gan.config import TrainConfig
from gan.recipes import DEFAULT, RECIPES
from gan.runs.run import explain
from ui.components.visitor import visitor
from ui.config_form import fill_form
from ui.page_files import NEW_RUN


def choose(run_id: str) -> None:
    st.session_state["run"] = run_id


def copy_settings(config: TrainConfig, recipe: str) -> None:
    st.session_state["recipe"] = recipe if recipe in RECIPES else DEFAULT
    fill_form(config)
    choose(NEW_RUN)


def steer(action: Callable[..., Any], run_id: str, *arguments: Any) -> None:
    """Does one of the manager's methods that change a run, for this visitor; a refusal is a sentence on the page."""
    try:
        action(run_id, *arguments, visitor=visitor())
    except KeyError:
        st.session_state["launch_error"] = f"There is no run {run_id} anymore."
    except (ValueError, OSError) as error:
        st.session_state["launch_error"] = explain(error)
