"""Numbers in the page's address, which anybody may have written."""

import math
from typing import Literal

import streamlit as st


def bound(key: str) -> Literal["query-params"] | None:
    """`bind` of a number input; None where the address has an infinite number, which Streamlit cannot take: it is dropped."""
    try:
        finite = math.isfinite(float(st.query_params.get(key, "0")))
    except ValueError:
        return "query-params"  # what is no number Streamlit drops itself
    if finite:
        return "query-params"
    del st.query_params[key]
    return None
