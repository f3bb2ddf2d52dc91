"""How a set's images fit into a square: each choice, shown on a few of the images."""

import logging
from typing import get_args

import numpy as np
import streamlit as st

from gan.config import TrainConfig
from gan.data.decoding import decode
from gan.data.examples import examples
from gan.data.form import WHITE, Fit, Form
from gan.files import in_words
from gan.images import png, tile
from ui.progress import drain, in_its_place
from ui.text import plain

log = logging.getLogger(__name__)

SIDE = 96  # pixels of an example
MOST = 4  # examples
MOST_FORMS = 32  # that a session remembers: eight background colors
FIT, BACKGROUND = "set_fit", "set_background"  # in the session

_WORDS = {
    "crop": "Keeps the middle.",
    "pad": "Keeps everything and adds borders.",
    "mirror": "Keeps everything and mirrors the edges.",
    "squeeze": "Keeps everything and distorts it.",
}


def chosen() -> dict[str, str]:
    """The settings that the visitor has chosen for the set on the page."""
    return {"fit": st.session_state.get(FIT, "crop"), "background": st.session_state.get(BACKGROUND, WHITE)}


def is_default() -> bool:
    """Whether the choice is how the page shows the set's images: cropped, on white."""
    return chosen() == {"fit": "crop", "background": WHITE}


@in_its_place
def _read(name: str, key: tuple[str, str]) -> bool:
    """Reads the examples of a set if they are not those in the session. False if they cannot be read; the page then says so."""
    if st.session_state.get("examples_of") == key:
        return True
    try:
        sources = drain(examples(name, MOST), "cancel_examples")
    except (ValueError, OSError) as error:  # deleted meanwhile, say by the host
        log.warning("the images of %s cannot be read: %s", name, in_words(error) if isinstance(error, OSError) else error)
        st.error(f"The images of {plain(name)} can no longer be read.", icon=":material/error:")
        return False
    st.session_state.update(examples_of=key, examples=sources, examples_fitted={})
    st.session_state.pop(FIT, None)
    st.session_state.pop(BACKGROUND, None)
    return True


def fitting(name: str, channels: int, fingerprint: str) -> None:
    """Draws the choice if the set has images of other shapes or with transparent areas, and nothing otherwise.

    fingerprint: of the set's images; the examples are read again if it changes.
    """
    if not _read(name, (name, fingerprint)) or not st.session_state["examples"]:
        return
    st.subheader("How should they fit into a square?")
    fields = TrainConfig.model_fields
    st.caption("Networks draw squares. These images are not square, or have transparent areas.", help=fields["fit"].description)
    background = st.color_picker(str(fields["background"].title), WHITE, key=BACKGROUND, help=fields["background"].description)
    with st.grid("auto", min_column_width=150):
        for fit in get_args(Fit):
            usable = _fitted(Form(SIDE, channels, fit, background))
            with st.container(gap="xxsmall"):
                if usable:
                    st.image(png(tile(np.stack(usable), 2, 4), 1), alt=f"Some images of {name}: {fit}", width="stretch")
                icon = ":material/check:" if fit == chosen()["fit"] else None
                st.button(fit.capitalize(), key=f"fit_{fit}", icon=icon, width="stretch", on_click=choose_fit, args=(fit,))
                st.caption(plain(_WORDS[fit]))


def choose_fit(fit: Fit) -> None:
    st.session_state[FIT] = fit


def _fitted(form: Form) -> list[np.ndarray]:
    """The examples in a form, without those that cannot be decoded. Decoded once for each form: large ones take half a second each."""
    known: dict[Form, list[np.ndarray]] = st.session_state["examples_fitted"]
    if form not in known:
        pictures = [decode(source, *form) for source in st.session_state["examples"]]
        while len(known) >= MOST_FORMS:
            del known[next(iter(known))]
        known[form] = [picture for picture in pictures if isinstance(picture, np.ndarray)]
    return known[form]
