"""Which views Explore has, and which one is shown: the choice on the page, and the same in the address."""

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from gan.explore.models import Model
from ui.explore import arithmetic, grid, memory, mixing, pad, projection, sliders, time, walk

KEY = "view"  # of the choice, and of the parameter in the address
_TOLD = "view_in_address"


@dataclass(frozen=True)
class View:
    """One way to look at a generator.

    Attributes:
        name: as people read it, and as the address has it.
        draw: of a generator and a class.
        former: other names that it had: links that people saved still open it.
        styles: whether only generators with styles have it.
    """

    name: str
    draw: Callable[[Model, int], None]
    former: tuple[str, ...] = ()
    styles: bool = False


VIEWS = {
    "pad": View("Pad", pad.view),
    "grid": View("Grid", grid.view),
    "sliders": View("Sliders", sliders.view),
    "mixing": View("Style mixing", mixing.view, styles=True),
    "arithmetic": View("Arithmetic", arithmetic.view),
    "walk": View("Walk", walk.view),
    "time": View("Time", time.view),
    "memory": View("Does it copy its training images?", memory.view, ("Memory or invention?",)),
    "image": View("Find an image in latent space", projection.view, ("Back from an image",)),
}
DEFAULT = "pad"
_BY_NAME = {name: key for key, view in VIEWS.items() for name in (key, view.name, *view.former)}


def choose_view(model: Model) -> View:
    """Draws the choice. The address counts when the page is opened, and when someone goes back to it."""
    asked = st.query_params.get(KEY)
    offered = [key for key, view in VIEWS.items() if model.config.has_styles or not view.styles]
    if KEY not in st.session_state or asked != st.session_state.get(_TOLD):
        st.session_state[KEY] = _BY_NAME.get(asked or DEFAULT, DEFAULT)
    if st.session_state[KEY] not in offered:  # another generator's
        st.session_state[KEY] = DEFAULT
    chosen = st.segmented_control(
        "View",
        offered,
        format_func=lambda key: VIEWS[key].name,
        # A value alone reaches the browser once: if it sees only the second of two quick script runs, it marks no view.
        default=st.session_state[KEY],
        key=KEY,
        required=True,
        label_visibility="collapsed",
        wrap=True,
    )
    view = VIEWS[chosen or DEFAULT]
    address = None if chosen == DEFAULT else view.name
    if address is None:
        st.query_params.pop(KEY, None)
    elif asked != address:
        st.query_params[KEY] = address
    st.session_state[_TOLD] = address
    return view
