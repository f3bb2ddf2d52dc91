"""Home: one thing that lives, one button that starts; then the way through, and the runs."""

import streamlit as st

from gan.recipes import RECIPES
from ui.accelerator_note import accelerator_note
from ui.components.visitor import heading, visitor
from ui.devices import server_devices
from ui.home.cards import all_cards, own
from ui.home.hero import hero
from ui.home.way import way
from ui.workshop import manager

heading("DCGAN Workshop")
who = visitor()
runs = manager().runs()
mine = own(runs, who)
hero(mine, who)
if not mine:
    way()
all_cards(runs, mine)
if mine:
    way()
accelerator_note()
with st.expander("The recipes", icon=":material/menu_book:"):
    for recipe in RECIPES.values():
        st.markdown(f"**{recipe.name}**: {recipe.summary}  \n:gray[{recipe.source}]")
st.caption(server_devices())
