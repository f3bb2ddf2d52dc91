"""What the views of Explore share."""

from functools import partial

import numpy as np
import streamlit as st

from gan import latent
from gan.explore import contrast_file, films
from gan.explore.attributes import Contrast
from gan.explore.models import Model
from gan.lru import Lru
from ui.text import plain

NOISE_HELP = "Adds the noise that the layers trained with, which varies small details. It is the same for every image."
KEPT = 20  # generators whose contrasts are kept

contrasts: Lru[tuple[str, int, int], list[Contrast]] = Lru(KEPT)  # by generator, the stamp of its file, and class


def known_contrasts(model: Model, label: int) -> list[Contrast] | None:
    """What the samples have in common, if it was found before: by a visitor of this server, or for a generator that comes with the app."""
    key = (model.id, stamp(model), label)
    known = contrasts.get(key)
    if known is None and not model.class_names and (known := contrast_file.read(model.path, model.config)) is not None:
        contrasts.put(key, known)
    return known


def stamp(model: Model) -> int:
    """The modification time of a generator's file: a newer file is examined again."""
    return model.path.stat().st_mtime_ns


def choose_class(model: Model) -> int:
    """The class to draw; 0 for a generator that does not draw by class."""
    names = list(model.class_names)
    if not names:
        return 0
    if st.session_state.get("class") not in names:  # another generator's
        st.session_state.pop("class", None)
    chosen = st.selectbox("Class", names, key="class", bind="query-params", help="The class that the generator draws.", width=320)
    return names.index(chosen)


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


def film_downloads(images: np.ndarray, animation: bytes, strip: bytes, name: str, frames_per_s: float, factor: int) -> None:
    """Buttons that save a film. MP4 and PNG files are made on request.

    Args:
        images: uint8 (N, C, H, W), the frames.
        animation, strip: the film as a GIF, and some of its frames as one PNG.
        name: of the files, without an ending.
        factor: how often each pixel is repeated across and down.
    """
    icon = ":material/download:"
    with st.container(horizontal=True):
        st.download_button("GIF", animation, f"{name}.gif", "image/gif", icon=icon, on_click="ignore")
        mp4 = partial(films.mp4, images, frames_per_s, factor)
        st.download_button("MP4", mp4, f"{name}.mp4", "video/mp4", icon=icon, on_click="ignore", help="H.264: for slides and phones.")
        zipped = partial(films.png_sequence, images, factor)
        st.download_button(
            "PNG sequence", zipped, f"{name}.zip", "application/zip", icon=icon, on_click="ignore", help="Every frame, as a zip."
        )
        st.download_button("PNG strip", strip, f"{name}.png", "image/png", icon=icon, on_click="ignore")
