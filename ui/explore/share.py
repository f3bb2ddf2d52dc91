"""Shares Explore's view: its address, and Python that draws it."""

from urllib.parse import urlencode

import streamlit as st


def share(snippet: str, without: str = "") -> None:
    """A popover with the page's full address and a script, each with a button that copies it. Draw it after all of a view's widgets.

    without: the part of the view that no address can hold.
    """
    with st.popover("Copy link or Python", icon=":material/share:"):
        st.caption(f"The address of this view, with everything on screen{f', except {without}' if without else ''}.")
        query = urlencode(st.query_params.to_dict())
        st.code((st.context.url or "") + (f"?{query}" if query else ""), language=None, wrap_lines=True)
        st.caption("Python that draws these images. Run it in this project's folder.")
        st.code(snippet)
