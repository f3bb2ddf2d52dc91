"""A set that seems to hold pairs of images, shown as pairs."""

import logging

import streamlit as st

from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.data.pairing import looks_paired
from gan.files import in_words
from ui.progress import drain, in_its_place

log = logging.getLogger(__name__)


@in_its_place
def as_pairs(name: str, dataset: ImageDataset) -> ImageDataset | None:
    """The set with its pairs; None if it seems to hold none, or they cannot be read. The guess is made again when the images change."""
    if dataset.inputs is not None:
        return dataset
    key = (name, dataset.fingerprint())

    def give_up() -> None:
        st.session_state.update(pairs_of=key, paired=False)

    try:
        if st.session_state.get("pairs_of") != key:
            st.session_state.update(pairs_of=key, paired=drain(looks_paired(name), "cancel_pairs", give_up))
        if not st.session_state["paired"]:
            return None
        return drain(datasets.load(name, *datasets.native(name), paired="a_to_b"), "cancel_pairs", give_up)
    except (ValueError, OSError) as error:
        log.warning("%s is not shown as pairs: %s", name, in_words(error) if isinstance(error, OSError) else error)
        return None
