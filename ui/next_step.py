"""The next step of the tour, at the end of a page: train, break and fix, compare, explore."""

from collections.abc import Callable, Mapping
from pathlib import Path

import streamlit as st

from gan.config import TrainConfig

BREAK = "break"  # value of `?try=` for a form that is filled to go wrong
TRY = "try"
FAST = 0.1  # a learning rate that is far too high


def broken(config: TrainConfig) -> TrainConfig:
    """The settings with one mistake, which the doctor finds within a few hundred steps and fixes with one press.

    Flipped labels hurt the images most (docs/doctor.md). Losses without labels get too much dropout instead, and networks that translate
    images, which have neither, a discriminator that learns too fast.
    """
    if config.translates:
        return config.change(lr_d=FAST)
    return config.change(dropout=0.9) if config.has_scores else config.change(label_flips=0.5)


def mistake(config: TrainConfig) -> str:
    """The mistake in words."""
    if config.translates:
        return f"a discriminator learning rate of {FAST:g}"
    return "90% of the discriminator's features off" if config.has_scores else "half of the discriminator's labels flipped"


def offer(
    text: str,
    label: str,
    icon: str,
    page: Path | None = None,
    address: Mapping[str, str] | None = None,
    on_click: Callable[[], None] | None = None,
) -> None:
    """One sentence, and one link to a page or one button that does something on this one."""
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="next_step"):
        st.markdown(f"**Next:** {text}")
        if page is not None:
            st.page_link(page, label=label, icon=icon, query_params=dict(address or {}))
        else:
            st.button(label, icon=icon, on_click=on_click, key="next_step_button")
