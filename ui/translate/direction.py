"""Which way CycleGAN translates: from A to B, or back."""

import streamlit as st

from gan.explore.translators import TranslatorModel
from ui.text import plain


def choose_direction(model: TranslatorModel) -> bool:
    """Draws the choice, if the generator has one -> whether it is from B to A. The address holds it."""
    if model.config.networks != "cyclegan":
        return False
    a, b = (plain(name) for name in model.kinds)
    way = st.segmented_control(
        "Direction",
        ["there", "back"],
        default="there",
        key="way",
        bind="query-params",
        required=True,
        format_func={"there": f"{a} to {b}", "back": f"{b} to {a}"}.__getitem__,
    )
    return way == "back"
