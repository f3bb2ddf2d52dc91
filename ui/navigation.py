"""The script that Streamlit runs for every page: sets the page up and hands over to it."""

import logging
from pathlib import Path
from typing import Literal

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from gan.runs.run import explain
from ui.cluster import may_look
from ui.components import visitor
from ui.components.theme import theme
from ui.page_files import (
    CLUSTER,
    COMPARE,
    DATA,
    EVALUATE,
    EXPLORE,
    FOR_THE_SET,
    FORKING,
    GLOSSARY,
    HOME,
    INSIDE,
    LEARN,
    RETURNING,
    TRAIN,
    TRANSLATE,
)
from ui.text import plain
from ui.workshop import manager

st.set_page_config(page_title="DCGAN Workshop", page_icon=str(Path(__file__).parent / "icon.png"), layout="wide")


def cluster_page() -> list[StreamlitPage]:
    """On a server with a cluster: the host's page about it, which only the host finds in the menu."""
    if manager().cluster is None:
        return []
    shown: Literal["visible", "hidden"] = "visible" if may_look() else "hidden"
    return [st.Page(CLUSTER, title="Cluster", icon=":material/dns:", url_path="cluster", visibility=shown)]


page = st.navigation(
    [
        st.Page(HOME, title="Home", icon=":material/home:", default=True),
        st.Page(LEARN, title="Learn", icon=":material/school:", url_path="learn"),
        st.Page(DATA, title="Data", icon=":material/photo_library:", url_path="data"),
        st.Page(TRAIN, title="Train", icon=":material/model_training:", url_path="train"),
        st.Page(COMPARE, title="Compare", icon=":material/compare:", url_path="compare"),
        st.Page(INSIDE, title="Look inside", icon=":material/visibility:", url_path="inside"),
        st.Page(EXPLORE, title="Explore", icon=":material/explore:", url_path="explore"),
        st.Page(TRANSLATE, title="Translate", icon=":material/translate:", url_path="translate"),
        st.Page(EVALUATE, title="Evaluate", icon=":material/balance:", url_path="evaluate"),
        st.Page(GLOSSARY, title="Glossary", icon=":material/dictionary:", url_path="glossary"),
        *cluster_page(),
    ],
    position="top",
)
theme()
if page.url_path != "data":
    st.session_state[RETURNING] = True
if page.url_path != "train":
    st.session_state.pop(FOR_THE_SET, None)  # a visitor who leaves while Train looks for settings should not find a run later
    st.session_state.pop(FORKING, None)  # nor an open dialog
try:
    visitor.listen()
    page.run()
except Exception as error:  # Streamlit's own control flow (rerun, stop) derives from BaseException
    logging.getLogger(__name__).exception("the page %s failed", page.title)
    st.error(
        f"This page failed: {plain(explain(error).rstrip('.'))}. The server's log has the details; runs continue.",
        icon=":material/error:",
    )
visitor.ask(page.url_path)
