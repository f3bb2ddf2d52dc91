"""The weights of the layers at the pixels, as pictures."""

from pathlib import Path

import numpy as np
import streamlit as st

from gan import glossary
from gan.images import enlarge, tile
from gan.inside.files import Networks
from gan.inside.pictures import first_filters, last_filters, paint_filters
from ui.inside.choose import missing_discriminator
from ui.pictures import inline

FILTERS = 64


def filters_view(networks: Networks, name: str, path: Path) -> None:
    """The weights of the layers that touch the pixels, as pictures."""
    dense = networks.config.networks == "mlp"
    colors = "red for positive weights, blue for negative ones, white for 0" if networks.config.channels == 1 else "gray is 0"
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Discriminator, first layer", help=glossary.explain("filter"))
        if networks.discriminator is None:
            missing_discriminator(name, path)
        else:
            said = (
                f"Each picture shows the weights of one number of the first dense layer: {colors}."
                if dense
                else f"Each square is one filter, the pattern that it looks for everywhere in the image ({colors})."
            )
            show_filters(first_filters(networks), said)
    with right:
        st.subheader("Generator, last layer")
        said = (
            f"Each picture shows what one number before the last layer adds to the image: {colors}."
            if dense
            else f"Each square shows what one map before the last layer adds around each of its pixels ({colors}). The image is the sum of all."
        )
        show_filters(last_filters(networks), said)


def show_filters(filters: np.ndarray, said: str) -> None:
    """Filters, largest weights first."""
    order = (-np.square(filters).sum(axis=(1, 2, 3))).argsort(kind="stable")[:FILTERS]
    pictures = paint_filters(filters[order])
    columns = 8 if pictures.shape[-1] <= 2 * pictures.shape[-2] else 4
    picture = tile(enlarge(pictures, max(1, 48 // pictures.shape[-2])), columns=columns, gap=4)
    st.image(inline(picture), alt=f"{len(order)} filters", width="stretch")
    count = f"All {len(filters)}" if len(order) == len(filters) else f"The {len(order)} of {len(filters)} with the largest weights"
    st.caption(f"{said} {count}, largest first, each on its own scale.")
