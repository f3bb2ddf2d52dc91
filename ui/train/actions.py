"""The actions of Train's buttons; a refusal becomes a sentence on the page."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from gan.config import TrainConfig
from gan.recipes import DEFAULT, RECIPES
from ui.components.visitor import visitor
from ui.config_form import CHOSEN_DATA, fill_form
from ui.form_words import refusal
from ui.page_files import NEW_RUN, TRAIN
from ui.train.start_from import CHOSEN, NEW


def choose(run_id: str) -> None:
    st.session_state["run"] = run_id


def copy_settings(config: TrainConfig, recipe: str, advice: str = "") -> None:
    """Opens the form with these settings. advice: see ADVICE in ui/config_form.py."""
    st.session_state["recipe"] = recipe if recipe in RECIPES else DEFAULT
    fill_form(config, advice=advice)
    st.session_state[CHOSEN] = NEW  # the form may have kept other networks from before
    st.session_state[CHOSEN_DATA] = True  # another recipe is then tried on the same images
    choose(NEW_RUN)


def open_form(config: TrainConfig, recipe: str) -> None:
    """From another page: Train, with these settings in the form of a new run. Ends the script."""
    copy_settings(config, recipe)
    st.switch_page(TRAIN, query_params={"run": NEW_RUN})


def steer(action: Callable[..., Any], run_id: str, *arguments: Any) -> None:
    """Calls one of the manager's methods that change a run, for this visitor; a refusal becomes a sentence on the page."""
    try:
        action(run_id, *arguments, visitor=visitor())
    except KeyError:
        st.session_state["launch_error"] = f"There is no run {run_id} anymore."
    except (ValueError, OSError) as error:
        st.session_state["launch_error"] = refusal(error)
