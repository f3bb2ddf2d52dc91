"""Keyed components: an element of a page that keeps its state in the browser while scripts run again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent


def component(name: str, html: str, *before: str) -> Callable[..., Any]:
    """A component of the name whose script and style are ui/NAME.js and ui/NAME.css; its script may use ui/shared.js.

    before: names of other scripts of ui/ that it uses.

    Returns:
        what draws it, as Streamlit's reference of components says (version 2).
    """
    script = "".join((_HERE / f"{part}.js").read_text() for part in ("shared", *before, name))
    # Plotly puts its style sheet into the document, which a shadow root does not see.
    return st.components.v2.component(name, html=html, css=(_HERE / f"{name}.css").read_text(), js=script, isolate_styles=False)
