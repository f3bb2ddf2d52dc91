"""Explore: a generator, latent vectors named by seed, and the ways between them. Everything shown stands in the address."""

import math

import streamlit as st

from gan import latent
from gan.explore.models import Model
from gan.networks.generator_file import CheckpointError
from ui.choose_model import choose_model
from ui.components.pad import pad
from ui.components.visitor import heading
from ui.explore import arithmetic as explore_arithmetic
from ui.explore import grid as explore_grid
from ui.explore import memory as explore_memory
from ui.explore import projection as explore_projection
from ui.explore import sliders as explore_sliders
from ui.explore import snippets
from ui.explore import time as explore_time
from ui.explore import walk as explore_walk
from ui.explore.common import read_seeds
from ui.explore.share import share
from ui.page_files import INSIDE
from ui.text import plain
from ui.workshop import manager

VIEWS = {
    "pad": "Pad",
    "grid": "Grid",
    "sliders": "Sliders",
    "arithmetic": "Arithmetic",
    "walk": "Walk",
    "time": "Time",
    "memory": "Does it copy its training images?",
    "image": "Find an image in latent space",
}
# What views were called before: links that people saved still open them.
FORMER = {"Memory or invention?": "memory", "Back from an image": "image"}


def choose_class(model: Model) -> int:
    """The class to draw; 0 for a generator that does not draw by class."""
    names = list(model.class_names)
    if not names:
        return 0
    if st.session_state.get("class") not in names:  # another generator's
        st.session_state.pop("class", None)
    chosen = st.selectbox("Class", names, key="class", bind="query-params", help="The class that the generator draws.", width=320)
    return names.index(chosen)


@st.fragment
def square(model: Model, label: int) -> None:
    """Four latent vectors at the corners of a square; the picture follows the finger."""
    first, second = st.columns([3, 2], vertical_alignment="bottom")
    text = first.text_input(
        "Seeds at the corners",
        "1,2,3,4",
        key="corners",
        bind="query-params",
        help="Four latent vectors: top left, top right, bottom left, bottom right. The map continues beyond them.",
    )
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
    place = pad(model, seeds, model.class_names[label] if model.class_names else None, read_place(cells), cells, "explore")
    st.query_params["place"] = ",".join(f"{value:g}" for value in place)
    st.caption("Drag over the square or use the arrow keys; hold Shift to move the map.")
    x, y = place[2:]
    i, j = math.floor(x), math.floor(y)
    corners = [latent.lattice_seed(seeds, i + right, j + down) for down in (0, 1) for right in (0, 1)]
    share(snippets.pad(model.id, corners, round(x - i, 3), round(y - j, 3), model.class_names[label] if model.class_names else None))


def read_place(cells: int) -> tuple[float, float, float, float]:
    """Where the address says that the pad stands: the map's left and top edge, and the point; the middle where it does not."""
    try:
        left, top, x, y = (float(part) for part in st.query_params.get("place", "").split(","))
        if all(abs(value) < 1e6 for value in (left, top, x, y)):  # not so for NaN
            return left, top, x, y
    except ValueError:
        pass  # nobody has dragged yet, or the address was typed by hand
    return 0.0, 0.0, cells / 2, cells / 2


heading("Explore")
model = choose_model()
if model:
    if (asked := st.query_params.get("view")) in FORMER:
        del st.query_params["view"]  # Streamlit drops an option that it does not know
        st.session_state["view"] = FORMER[asked]
        st.rerun()  # opens the view under its present name
    view = st.segmented_control(
        "View",
        list(VIEWS),
        default="pad",
        format_func=VIEWS.__getitem__,
        key="view",
        bind="query-params",
        required=True,
        label_visibility="collapsed",
        wrap=True,
    )
    view = view or "pad"  # ?view= clears even what is required
    try:
        drawn = {
            "pad": square,
            "grid": explore_grid.view,
            "sliders": explore_sliders.view,
            "arithmetic": explore_arithmetic.view,
            "walk": explore_walk.view,
            "time": explore_time.view,
            "memory": explore_memory.view,
            "image": explore_projection.view,
        }
        drawn[view](model, choose_class(model))
    except CheckpointError as error:
        st.error(plain(error), icon=":material/error:")
    if model.run and manager().get(model.run).at_work:
        st.caption("This run is still training: reload the page for its newest generator.")
    name = model.run or model.id
    st.page_link(INSIDE, label="Look inside this network", icon=":material/visibility:", query_params={"run": name})
