"""Home: one thing that lives, one button that starts; then the way through, and the runs."""

import streamlit as st

from gan.devices import describe_device
from gan.recipes import RECIPES
from ui.accelerator_note import accelerator_note
from ui.components.visitor import heading, visitor
from ui.home.cards import all_runs, own_runs
from ui.home.hero import hero
from ui.home.way import way
from ui.workshop import manager

heading("DCGAN Workshop")
who = visitor()
mine = own_runs(who)
hero(mine, who)
if not mine:
    way()
all_runs(who)
if mine:
    way()
accelerator_note()
with st.expander("The recipes", icon=":material/menu_book:"):
    for recipe in RECIPES.values():
        st.markdown(f"**{recipe.name}**: {recipe.summary}  \n:gray[{recipe.source}]")
st.caption(f"This server trains on: {describe_device(manager().device)}. Runs at once: {manager().max_runs}.")
