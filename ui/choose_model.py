"""Choose a generator: one that comes with the app or a run's, at one of its steps. The address holds both."""

import streamlit as st

from gan.explore.models import BEST, Model, best_step, find_model, model_sources, translator_sources
from gan.files import without_folders
from gan.glossary import explain
from gan.networks.generator_file import CheckpointError
from gan.runs.folder import RunFolder
from ui.page_files import TRAIN
from ui.pick import missing, pick
from ui.pick import options as listed_runs
from ui.text import plain
from ui.translates_note import translates_note
from ui.workshop import manager, models

NEWEST = "newest"


def choose_model() -> Model | None:
    """The chosen generator, or None with the reason on the page. For a run with scores, the best generator is the default."""
    sources = model_sources(models().root)
    asked = st.query_params.get("from", "")
    if asked in translator_sources(models().root):
        translates_note(asked)
        return None
    if not sources:
        st.info("There is no generator yet. Train one: you can explore it after a few seconds.", icon=":material/lightbulb:")
        st.page_link(TRAIN, label="Train", icon=":material/model_training:")
        return None
    left, right = st.columns(2)
    names = listed_runs([run for run in manager().runs() if run.id in sources])
    missing("from", sources, "generator")
    source = pick(
        "Generator",
        {source: names.get(source, source) for source in sources},
        "from",
        next(iter(sources)),
        "The first ones come with the app. The others are runs, newest first.",
        left,
    )
    ids = sources[source]
    model_id = ids[-1]
    if len(ids) > 1:
        steps = [i.partition("@")[2] for i in ids]
        best = best_step(models().root, source)
        # "newest" and "best" are options of their own, so the address of an older step keeps its meaning while the run continues.
        options = [*steps, NEWEST] if best is None else [*steps, NEWEST, BEST]
        step = right.select_slider(
            "After step",
            options,
            options[-1],
            key="step",
            bind="query-params",
            help=explain("snapshot") + ("" if best is None else " The best one had the lowest FD during training."),
        )
        if step == BEST:
            model_id = f"{source}@{best}"
            judged = RunFolder(models().root / source).best()
            if judged:
                right.caption(f"Best: step {judged.step:,}, FD {judged.fd:.3g} ± {judged.error:.2g}.", help=explain("FD"))
        elif step != NEWEST:
            model_id = ids[steps.index(step)]
    try:
        return find_model(models().root, model_id)
    except (KeyError, CheckpointError) as error:
        st.error(f"This generator cannot be used: {plain(without_folders(str(error)))}", icon=":material/error:")
        return None
