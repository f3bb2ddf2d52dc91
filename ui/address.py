"""Numbers in the page's address, which may come from anyone."""

import math
from typing import Literal

import streamlit as st


def bound(key: str) -> Literal["query-params"] | None:
    """`bind` of a number input. None if the address has an infinite number, which Streamlit cannot handle: it is dropped."""
    try:
        finite = math.isfinite(float(st.query_params.get(key, "0")))
    except ValueError:
        return "query-params"  # Streamlit itself drops what is not a number
    if finite:
        return "query-params"
    del st.query_params[key]
    return None
