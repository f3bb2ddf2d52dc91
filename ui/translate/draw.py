"""Translate's paper: draw an outline, and the face follows the pen."""

import streamlit as st

from gan.explore.translators import TranslatorModel
from ui.components.drawing import drawing

OUTLINES = "sketches"  # the set whose outlines the paper can begin with
FIRST = 5001  # an outline that training does not see


def draw_view(model: TranslatorModel) -> None:
    """Paper to draw on, and next to it what the generator makes of the drawing."""
    drawing(model, FIRST if model.config.data == OUTLINES else None, "translate")
    st.caption("Draw on the left: the picture on the right follows the pen.")
    if model.config.data != OUTLINES:
        st.caption("This generator learned from other images than outlines. See what it makes of lines.")
