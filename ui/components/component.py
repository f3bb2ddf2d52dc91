"""Keyed components: parts of a page that keep their state in the browser while scripts rerun."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent


def component(name: str, html: str, *before: str) -> Callable[..., Any]:
    """A component of the name whose script and style are NAME.js and NAME.css in this folder; its script may use shared.js.

    before: names of other scripts and styles in this folder that it uses; of one name there may be either alone.

    Returns:
        what draws it, as Streamlit's reference of components says (version 2).
    """
    # Plotly puts its style sheet into the document, which a shadow root does not see.
    return st.components.v2.component(
        name, html=html, css=_joined((*before, name), "css"), js=_joined(("shared", *before, name), "js"), isolate_styles=False
    )


def _joined(names: tuple[str, ...], ending: str) -> str:
    return "".join(path.read_text(encoding="utf-8") for name in names if (path := _HERE / f"{name}.{ending}").exists())
