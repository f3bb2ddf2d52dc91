"""What the views of Explore share."""

import streamlit as st

from gan import latent
from gan.models import Model
from ui.text import plain


def stamp(model: Model) -> int:
    """When a generator's file was written: what is kept of it is kept for that file, and a newer one is looked at anew."""
    return model.path.stat().st_mtime_ns


def read_seeds(text: str, least: int, most: int) -> list[int] | None:
    """Seeds as typed, or None with the reason on the page."""
    try:
        seeds = latent.parse_seeds(text, most)
        if len(seeds) < least:
            raise ValueError(f"give at least {least} seeds, as in 1,2,3")
    except ValueError as error:
        st.error(f"The seeds cannot be used: {plain(error)}.", icon=":material/error:")
        return None
    return seeds
