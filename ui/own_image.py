"""A visitor's own image, uploaded or drawn, in the form that a network takes."""

import numpy as np
import streamlit as st

from gan.config import TrainConfig
from gan.data.decoding import SUFFIXES, decode
from gan.data.form import Form
from ui.components.sketchpad import sketchpad
from ui.text import plain

LARGEST_UPLOAD_MB = 20


def own_image(config: TrainConfig) -> np.ndarray | None:
    """An image from the visitor's machine: uint8 (C, H, W); None with the reason on the page."""
    file = st.file_uploader(
        "An image",
        [suffix.removeprefix(".") for suffix in sorted(SUFFIXES)],
        max_upload_size=LARGEST_UPLOAD_MB,
        help="It is made square and resized, as the training images were. The server does not keep it.",
    )
    if file is None:
        return None
    image = decode(file.getvalue(), *Form.of(config).single)
    if isinstance(image, str):
        st.error(f"The file {plain(file.name[:100])} {plain(image)}.", icon=":material/error:")
        return None
    if config.channels == 1 and st.toggle("Swap light and dark", help="MNIST's digits are white on black, unlike ink on paper."):
        image = 255 - image
    return image


def drawing(config: TrainConfig) -> np.ndarray | None:
    """The visitor's drawing: uint8 (1, H, W); None while it is empty."""
    try:
        return sketchpad(config.image_size, "drawing")
    except ValueError as error:
        st.error(f"The drawing cannot be used: {plain(error)}.", icon=":material/error:")
        return None
