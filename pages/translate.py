"""Translate: generators that turn an image into another one: draw, upload, or look at images that training never saw."""

import streamlit as st

from gan.networks.generator_file import CheckpointError
from gan.runs.run import explain
from ui.components.visitor import heading
from ui.page_files import TRAIN
from ui.text import plain
from ui.translate.choose import choose_translator
from ui.translate.views import show
from ui.workshop import manager

heading("Translate")
model = choose_translator()
if model:
    try:
        show(model)
    except (CheckpointError, OSError) as error:
        st.error(f"{plain(explain(error).rstrip('.'))}.", icon=":material/error:")
    if manager().get(model.run).at_work:
        st.caption("This run is still training: reload the page for its newest generator.")
    st.page_link(TRAIN, label="This run", icon=":material/model_training:", query_params={"run": model.run})
