"""Glossary: the app's terms, from the same list as its tooltips."""

import streamlit as st

from gan.glossary import TERMS
from ui.components.visitor import heading
from ui.text import plain

heading("Glossary")
wanted = st.text_input(
    "Search", key="term", bind="query-params", placeholder="latent vector", help="Searches the terms and their explanations."
)
wanted = wanted.strip().casefold()
matching = [term for term in TERMS.values() if wanted in f"{term.name} {term.text}".casefold()]
for term in sorted(matching, key=lambda term: term.name.casefold()):
    source = f" :gray[({plain(term.source)})]" if term.source else ""
    st.markdown(f"**{plain(term.name)}**: {plain(term.text)}{source}")
if not matching:
    st.info(f"The glossary has no term with {plain(wanted[:100])}. Try a shorter word.", icon=":material/search_off:")
