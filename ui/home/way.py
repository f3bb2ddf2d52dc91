"""The way through the app, step by step, and the pages next to it."""

from pathlib import Path

import streamlit as st

from ui.next_step import BREAK, TRY
from ui.page_files import COMPARE, DATA, EVALUATE, EXPLORE, GLOSSARY, INSIDE, TRAIN
from ui.train.guide import GUIDE

STEPS: tuple[tuple[Path, dict[str, str], str, str, str], ...] = (
    (TRAIN, {GUIDE: "1"}, "Train", "model_training", "Start a recipe and watch both networks learn."),
    (TRAIN, {TRY: BREAK}, "Break it, fix it", "healing", "Train on wrong labels. The doctor says what is wrong and how to fix it."),
    (COMPARE, {}, "Compare", "compare", "Overlay the two runs to see what the setting changed."),
    (EXPLORE, {}, "Explore", "explore", "Drag to move through the latent space of your generator."),
)
MORE = (
    (DATA, "See the data sets, or upload your own", "photo_library"),
    (INSIDE, "Look inside: what does each layer do?", "visibility"),
    (EVALUATE, "How realistic are the images?", "balance"),
    (GLOSSARY, "Look up a term", "dictionary"),
)


def way() -> None:
    """Four steps, each with a link to its page."""
    st.subheader("A tour in half an hour")
    with st.grid(len(STEPS), min_column_width=230):
        for number, (page, address, name, icon, what) in enumerate(STEPS, 1):
            with st.container(border=True):
                st.page_link(page, label=f"**{number}. {name}**", icon=f":material/{icon}:", query_params=address)
                st.markdown(what)
    with st.container(horizontal=True):
        for page, question, icon in MORE:
            st.page_link(page, label=question, icon=f":material/{icon}:")
