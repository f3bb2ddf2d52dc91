"""The form of a new run while the visitor is elsewhere, until it starts a run: Streamlit forgets the values of widgets that are not drawn."""

import streamlit as st

from gan.config import TrainConfig
from ui.config_form import FILLED, KEY
from ui.train.start_from import CHOSEN

KEPT = "kept_form"  # in the session: the form's values when it was last drawn, by their keys
KEYS = ("recipe", CHOSEN, *(KEY + name for name in TrainConfig.model_fields))


def take_kept() -> None:
    """Call it before the form is drawn. What was filled in meanwhile, as the Data page does, stays.

    The values are kept on: a visitor may leave before the form is drawn again.
    """
    for key, value in st.session_state.get(KEPT, {}).items():
        st.session_state.setdefault(key, value)


def keep_form() -> None:
    """Call it when the form is drawn."""
    st.session_state[KEPT] = {key: st.session_state[key] for key in KEYS if key in st.session_state}


def drop_kept() -> None:
    """The next form is a new one."""
    for key in (KEPT, FILLED):
        st.session_state.pop(key, None)
