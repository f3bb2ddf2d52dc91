"""Translate an image of the visitor's, or a held-out one: there, and with CycleGAN back again."""

import numpy as np
import streamlit as st

from gan.explore.translators import TranslatorModel
from gan.images import enlarge
from ui.own_image import own_image
from ui.pictures import inline
from ui.text import plain
from ui.translate.direction import choose_direction
from ui.translate.held_out import held_out
from ui.workshop import translators

MINE, HELD_OUT = "Upload an image", "Held-out image"
SIDE = 192  # pixels of a picture on the page


def own_view(model: TranslatorModel) -> None:
    """One image: its translation, the way back, and what has changed."""
    with st.container(horizontal=True, gap="medium"):
        kind = (
            st.segmented_control("Image", [MINE, HELD_OUT], default=HELD_OUT, key="image", bind="query-params", required=True) or HELD_OUT
        )
        back = choose_direction(model)
    a, b = (plain(name) for name in model.kinds)
    image, target = (own_image(model.config), None) if kind == MINE else _held_out_image(model, back)
    if image is None:
        return
    there = translators().translate(model, image[None], back)[0]
    shown = [("Input", image), ("Output", there), *([("Target", target)] if target is not None else [])]
    if model.config.networks == "cyclegan":
        again = translators().translate(model, there[None], not back)[0]
        shown = [
            (b if back else a, image),
            (f"Translated to {a if back else b}", there),
            ("And back", again),
            ("Difference", _difference(image, again)),
        ]
    with st.grid("auto", min_column_width=150, gap="small"):
        for name, picture in shown:
            with st.container(gap="xsmall"):
                st.image(inline(enlarge(picture, max(1, SIDE // picture.shape[-1]))), alt=name, width="stretch")
                st.caption(name)
    if model.config.networks == "cyclegan":
        lost = np.abs(image.astype(int) - again).mean() / 255
        st.caption(f"There and back changes the pixels by {lost:.1%} of their range on average.")


def _held_out_image(model: TranslatorModel, back: bool) -> tuple[np.ndarray | None, np.ndarray | None]:
    """One of the images that training never saw, by its number, and its target if it has one. None with the reason on the page."""
    images = held_out(model)
    if images is None:
        return None, None
    if model.config.networks == "cyclegan":
        assert images.labels is not None
        of = images.images[images.labels == int(back)]
    else:
        assert images.inputs is not None
        of = images.inputs
    number = st.number_input(
        "Number", 0, len(of) - 1, 0, key="number", bind="query-params", width=160, help="Images that training never saw."
    )
    target = images.images[int(number)].numpy() if model.config.pairs else None
    return np.ascontiguousarray(of[int(number)].numpy()), target


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The absolute difference of two images, twice as bright, at most white."""
    return np.minimum(255, 2 * np.abs(a.astype(int) - b)).astype(np.uint8)
