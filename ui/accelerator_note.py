"""Says where people start runs that the server has a GPU it cannot use."""

import re

import streamlit as st

from ui.text import plain
from ui.workshop import manager

_COMMAND = re.compile(r"(?<=\()(?:uv|docker) [a-z0-9 -]+(?=\))")  # what the remedies give in brackets


def accelerator_note() -> None:
    """Shows what is wrong with the server's GPU and what to install; nothing if it is used, missing or not wanted."""
    said = manager().passed_over
    if said:
        words, commands = _COMMAND.split(said), _COMMAND.findall(said)
        text = plain(words[0]) + "".join(f"`{command}`{plain(rest)}" for command, rest in zip(commands, words[1:], strict=True))
        st.warning(text, icon=":material/developer_board_off:")
