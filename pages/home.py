"""Home: what this is, what it runs on, and the runs."""

import time
from typing import Literal

import streamlit as st

from gan.devices import describe_device
from gan.explore.models import find_model, pretrained
from gan.images import enlarge, png, tile
from gan.networks.generator_file import CheckpointError
from gan.owners import clean_name
from gan.recipes import RECIPES
from gan.runs.run import Run
from gan.runs.states import AT_WORK, RunState
from ui.accelerator_note import accelerator_note
from ui.components.visitor import heading
from ui.page_files import COMPARE, DATA, EVALUATE, EXPLORE, INSIDE, TRAIN
from ui.text import plain, within
from ui.workshop import manager, models

STATE_COLORS: dict[RunState, Literal["red", "orange", "blue", "green"]] = {
    RunState.RUNNING: "green",
    RunState.PREPARING: "green",
    RunState.PAUSED: "orange",
    RunState.QUEUED: "blue",
    RunState.FAILED: "red",
    RunState.INTERRUPTED: "orange",
}
SHOWN = 12
ROOMS = (
    (TRAIN, "Train", "model_training", "Pick a recipe, launch it, and change settings while the networks learn."),
    (COMPARE, "Compare", "compare", "Overlay runs to see what a setting changed."),
    (INSIDE, "Look inside", "visibility", "See what each layer does, and what the discriminator thinks of your drawing."),
    (EXPLORE, "Explore", "explore", "Drag to move through the latent space."),
    (EVALUATE, "Evaluate", "balance", "How realistic are the images? Scores, each next to the score of real images."),
    (DATA, "Data", "photo_library", "See what the networks learn from, or upload your own images."),
)

heading("DCGAN Workshop")
left, right = st.columns([3, 2], gap="large")
with left:
    st.markdown(
        "Two networks play a game. The **generator** turns random numbers into images; the **discriminator** tries to tell them from "
        "real ones. Each learns from the other's mistakes, until the images look real. Train such a pair here, live, "
        "and walk through what it learned."
    )
    with st.container(horizontal=True):
        if st.button("Train a network", type="primary", icon=":material/model_training:"):
            st.switch_page(TRAIN)
        if st.button("Explore a trained network", icon=":material/explore:"):
            st.switch_page(EXPLORE)
    for page, label, icon, what in ROOMS:
        name, words = st.columns([1, 3], gap="xsmall", vertical_alignment="center")
        name.page_link(page, label=f"**{label}**", icon=f":material/{icon}:")
        words.markdown(what)
    accelerator_note()
    st.caption(f"This server trains on: {describe_device(manager().device)}. Runs at once: {manager().max_runs}.")


@st.cache_data(show_spinner=False)
def gallery(model_id: str) -> bytes:
    """Some of a shipped generator's images, as one PNG."""
    model = find_model(models().root, model_id)
    images = models().images(model, model.noise(list(range(18))))
    return png(tile(enlarge(images, max(1, 112 // images.shape[-1])), columns=6, gap=2))


with right:
    for model_id in sorted(pretrained(models().root)):
        try:
            picture = gallery(model_id)
        except CheckpointError as error:
            st.warning(f"A generator cannot be used: {plain(error)}.", icon=":material/error:")
            continue
        st.image(
            picture,
            caption=f"Drawn by the generator '{model_id}', which comes with the app",
            alt=f"Images by the generator {model_id}",
            output_format="PNG",
            width="stretch",
        )


def card(run: Run) -> None:
    """One run: its newest images, whose it is, how far it is."""
    status, stored = run.status(), run.stored
    if run.gone:
        return
    with st.container(border=True):
        if steps := run.sample_steps:
            try:
                picture = run.folder.read_samples(steps[-1])
            except CheckpointError as error:
                st.warning(f"Its newest images cannot be shown: {plain(within(run.folder.path, error))}.", icon=":material/broken_image:")
            else:
                st.image(picture, alt=f"Newest images of {run.id}", output_format="PNG", width="stretch")
        st.markdown(f"**{run.id}**")
        if fault := run.fault:
            st.warning(f"This run's files are damaged: {plain(within(run.folder.path, fault))}.", icon=":material/error:")
        state = status["state"]
        position = manager().position(run)
        st.badge(f"number {position} in the queue" if position else state, color=STATE_COLORS.get(state, "gray"))
        if state in (RunState.RUNNING, RunState.PAUSED):
            st.progress(status["progress"])
        when = time.strftime("%d %b, %H:%M", time.localtime(float(status.get("started") or time.time())))
        settings = [stored.get("recipe") or "own settings", stored.get("data", "?")] if stored else []  # a damaged run says neither
        what = [*settings, f"step {status.get('step', 0):,}", when]
        owner = clean_name(stored.get("owner"))
        st.caption(f"{f'**{plain(owner)}**: ' if owner else ''}{plain(', '.join(map(str, what)))}")
        st.page_link(TRAIN, label="Open", icon=":material/open_in_new:", query_params={"run": run.id})


def cards(title: str, runs: list[Run]) -> None:
    """The first of some runs."""
    st.subheader(title)
    with st.grid("auto", min_column_width=230):
        for run in runs[:SHOWN]:
            card(run)
    if len(runs) > SHOWN:
        st.caption(f"{len(runs) - SHOWN} more are listed on the Train page.")


runs = manager().runs()
now = manager().unfinished()
ids = {run.id for run in now}
now += [run for run in runs if run.id not in ids and run.state in AT_WORK]  # trained by another process
if now:
    cards("Now training", now)
if not runs:
    st.subheader("Runs")
    st.info("No runs yet. Press Train a network: the digits appear within half a minute.", icon=":material/lightbulb:")
elif earlier := [run for run in runs if run.id not in {other.id for other in now}]:
    cards("Earlier runs" if now else "Runs", earlier)

with st.expander("The recipes", icon=":material/menu_book:"):
    for recipe in RECIPES.values():
        st.markdown(f"**{recipe.name}**: {recipe.summary}  \n:gray[{recipe.source}]")
