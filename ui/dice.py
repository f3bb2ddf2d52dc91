"""A button for other seeds, next to every field for seeds."""

import random
from collections.abc import Mapping

import streamlit as st

from gan import latent

HIGHEST = 10_000  # short seeds are easier to read and to say
MOST_LISTED = 8  # more seeds become a range
ICON = ":material/casino:"


def seed_dice(key: str) -> None:
    """For the number field of a key."""
    st.button("Another seed", key=f"{key}_roll", icon=ICON, type="tertiary", on_click=_roll, args=(key,))


def seeds_dice(fields: Mapping[str, int]) -> None:
    """For text fields. Each gets as many new seeds as it has; a field that is empty or has the name of a mean stays unchanged.

    fields: key -> the most seeds in that field.
    """
    st.button("Other seeds", key=f"{next(iter(fields))}_roll", icon=ICON, type="tertiary", on_click=_roll_texts, args=(dict(fields),))


def others(text: str, most: int) -> str:
    """New seeds, as many as a text has; the text itself if it has none: "1,2" -> "7120,351", "0-31" -> "4410-4441"."""
    try:
        count = len(latent.parse_seeds(text, most))
    except ValueError:
        return text
    if count <= MOST_LISTED:
        return ",".join(map(str, random.sample(range(HIGHEST), count)))
    first = random.randrange(HIGHEST)
    return f"{first}-{first + count - 1}"


def _roll(key: str) -> None:
    st.session_state[key] = random.randrange(HIGHEST)


def _roll_texts(fields: Mapping[str, int]) -> None:
    for key, most in fields.items():
        st.session_state[key] = others(st.session_state[key], most)
