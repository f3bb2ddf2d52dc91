"""Says that a run translates images, where a page is about latent vectors, and leads to Translate."""

import streamlit as st

from ui.page_files import TRANSLATE


def translates_note(run: str) -> None:
    """One sentence, and a link to the run's generator."""
    st.info("This run translates images. It has no latent vectors, so this page has nothing to show for it.", icon=":material/translate:")
    st.page_link(TRANSLATE, label="Translate", icon=":material/translate:", query_params={"from": run})
