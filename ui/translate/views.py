"""Which views Translate has, and which one is shown. The address holds it."""

from collections.abc import Callable

import streamlit as st

from gan.explore.translators import TranslatorModel
from ui.translate.draw import draw_view
from ui.translate.held_out import held_out_view
from ui.translate.own import own_view

DRAW, IMAGE, TRAINING = "Draw", "One image", "Through training"
_VIEWS: dict[str, Callable[[TranslatorModel], None]] = {DRAW: draw_view, IMAGE: own_view, TRAINING: held_out_view}


def show(model: TranslatorModel) -> None:
    """The chosen view of a generator. Only generators that learned from pairs can translate drawings."""
    names = [name for name in _VIEWS if name != DRAW or model.config.networks == "pix2pix"]
    if st.session_state.get("view", names[0]) not in names:
        st.session_state.pop("view", None)
    view = st.segmented_control(
        "View", names, default=names[0], key="view", bind="query-params", required=True, label_visibility="collapsed"
    )
    _VIEWS[view or names[0]](model)
