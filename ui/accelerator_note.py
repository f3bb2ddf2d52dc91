"""A GPU that is in the server and cannot be used, said where people start runs."""

import streamlit as st

from ui.text import plain
from ui.workshop import manager


def accelerator_note() -> None:
    """What is wrong with the server's GPU and what to install; nothing if it is used, or not there, or not wanted."""
    if manager().passed_over:
        st.warning(plain(manager().passed_over), icon=":material/developer_board_off:")
