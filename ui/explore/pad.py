"""Explore's pad: four latent vectors at the corners of a square, and the map that continues beyond them."""

import math

import streamlit as st

from gan import latent
from gan.explore.models import Model
from gan.glossary import explain
from ui.components.pad import pad
from ui.dice import seeds_dice
from ui.explore import snippets
from ui.explore.common import read_seeds
from ui.explore.share import share


@st.fragment
def view(model: Model, label: int) -> None:
    """Four latent vectors at the corners of a square; the picture follows the finger."""
    above = st.container()  # the pad is what one came for: on a phone it is on the first screen
    first, second = st.columns([3, 2], vertical_alignment="bottom")
    with first.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Seeds at the corners",
            "1,2,3,4",
            key="corners",
            bind="query-params",
            help="Four latent vectors: top left, top right, bottom left, bottom right. The map continues beyond them.",
        )
        seeds_dice({"corners": 4})
    cells = second.segmented_control(
        "Map",
        [1, 2],
        default=1,
        format_func={1: "4 corners", 2: "9 corners"}.__getitem__,
        key="cells",
        bind="query-params",
        required=True,
        help="How much of the map the square shows.",
    )
    cells = cells or 1  # ?cells= clears even what is required
    seeds = read_seeds(text, 4, 4)
    if not seeds:
        return
    with above:
        place = pad(model, seeds, model.class_names[label] if model.class_names else None, read_place(cells), cells, "explore")
        st.caption("Drag over the square to move through the latent space.", help=explain("latent space"))
    if tuple(place) != begins(cells) or "place" in st.query_params:
        st.query_params["place"] = ",".join(f"{value:g}" for value in place)
    x, y = place[2:]
    i, j = math.floor(x), math.floor(y)
    corners = [latent.lattice_seed(seeds, i + right, j + down) for down in (0, 1) for right in (0, 1)]
    share(snippets.pad(model.id, corners, round(x - i, 3), round(y - j, 3), model.class_names[label] if model.class_names else None))


def read_place(cells: int) -> tuple[float, float, float, float]:
    """The pad's position from the address: the map's left and top edge, and the point; by default the middle."""
    try:
        left, top, x, y = (float(part) for part in st.query_params.get("place", "").split(","))
        if all(abs(value) < 1e6 for value in (left, top, x, y)):  # false for NaN
            return left, top, x, y
    except ValueError:
        pass  # nobody has dragged yet, or the address was typed by hand
    return begins(cells)


def begins(cells: int) -> tuple[float, float, float, float]:
    """The place that the address leaves out: the first corners, and the point in their middle."""
    return 0.0, 0.0, cells / 2, cells / 2
