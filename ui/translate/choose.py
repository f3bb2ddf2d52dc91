"""Choose a generator that translates images: a run's, at one of its steps. The address holds both."""

import streamlit as st

from gan.explore.models import BEST, best_step, translator_sources
from gan.explore.translators import TranslatorModel, find_translator
from gan.files import without_folders
from gan.networks.generator_file import CheckpointError
from gan.recipes import RECIPES
from ui.pick import missing, options, pick
from ui.text import plain
from ui.train.actions import open_form
from ui.workshop import manager

NEWEST = "newest"


def choose_translator() -> TranslatorModel | None:
    """The chosen generator, or None with the reason on the page."""
    root = manager().root
    sources = translator_sources(root)
    if not sources:
        st.info(
            "Networks can turn one image into another: outlines into a face, or a face into one with glasses. No run here does that yet. Train "
            "one with the recipe pix2pix, which learns from pairs of images, or cyclegan, which needs only two kinds of images.",
            icon=":material/lightbulb:",
        )
        with st.container(horizontal=True):
            for name in ("pix2pix", "cyclegan"):
                if st.button(f"Train {name}", key=f"train_{name}", icon=":material/model_training:"):
                    open_form(RECIPES[name].config, name)
        return None
    left, right = st.columns(2)
    names = options([run for run in manager().runs() if run.id in sources])
    missing("from", sources, "run")
    source = pick("Run", {run: names.get(run, run) for run in sources}, "from", next(iter(sources)), "The newest run is first.", left)
    steps = [i.partition("@")[2] for i in sources[source]]
    step = steps[-1]
    if len(steps) > 1:
        best = best_step(root, source)
        choices = [*steps, NEWEST] if best is None else [*steps, NEWEST, BEST]
        step = right.select_slider(
            "After step", choices, NEWEST, key="step", bind="query-params", help="The steps at which the run saved its generator."
        )
        step = steps[-1] if step == NEWEST else step
    try:
        return find_translator(root, f"{source}@{step}")
    except (KeyError, CheckpointError) as error:
        st.error(f"This generator cannot be used: {plain(without_folders(str(error)))}", icon=":material/error:")
        return None
