"""About a run: its recipe, its data set, and how it is computed."""

from pathlib import Path

import streamlit as st

from gan.config import TrainConfig
from gan.recipes import RECIPES
from gan.runs.run import Run
from gan.runs.states import RunState
from gan.runs.stored import Status
from ui.charts import changed
from ui.page_files import EVALUATE, INSIDE, TRANSLATE
from ui.text import plain


def explorable(run: Run) -> bool:
    """Whether there is something to explore and export, or will be at once.

    A run saves its first generator after its first step, but nothing redraws the page then.
    """
    return run.state is RunState.RUNNING or bool(run.folder.generator_steps())


def about(run: Run, config: TrainConfig, status: Status) -> None:
    """The run's recipe, data and computation, in a few lines."""
    st.subheader("About this run")
    if explorable(run):
        if config.translates:
            st.page_link(TRANSLATE, label="Translate", icon=":material/translate:", query_params={"from": run.id})
        else:
            st.page_link(INSIDE, label="Look inside", icon=":material/visibility:", query_params={"run": run.id})
            st.page_link(EVALUATE, label="Evaluate", icon=":material/balance:", query_params={"from": run.id})
    stored = run.stored
    if stored.parent and stored.parent.get("other_images"):
        st.caption("Its data set has different images from those its parent trained on.")
    if stored.origin:
        st.caption(f"Started from the networks of {plain(str(stored.origin.get('run')))} at step {plain(str(stored.origin.get('step')))}.")
    if moves := run.moves:
        times = "once, at" if len(moves) == 1 else f"{len(moves)} times, last at"
        st.caption(f"It lost its worker in the cluster {times} step {moves[-1].reached:,}.")
    recipe = RECIPES.get(stored.recipe)
    images = f", {stored.data_images:,} images" if stored.data_images is not None else ""
    st.markdown(f"Recipe **{plain(stored.recipe or 'none')}** on **{plain(Path(config.data).name)}**{images}")
    if recipe:
        other = [name for name, value in recipe.config if name != "seed" and value != getattr(config, name)]
        words = [plain(changed(name, getattr(recipe.config, name), getattr(config, name))) for name in other]
        st.caption(
            "It began with the recipe's settings, unchanged."
            if not words
            else "Different from the recipe when it began: " + "; ".join(words)
        )
    if status.precision:
        numbers = {"bf16": "16-bit numbers (bf16)", "fp32": "32-bit numbers"}.get(status.precision, "numbers")
        layout = "" if status.channels_last else ", channels first"
        threads = f", {status.threads} thread{'s' if status.threads != 1 else ''}" if status.threads else ""
        launch = f", {plain(status.launch)}" if status.launch else ""
        st.caption(f"Computed in {numbers}{layout}: {plain(status.device)}{threads}{launch}.")
