"""The data set that a page compares a generator with, or why there is none."""

import streamlit as st

from gan.config import TrainConfig
from gan.data import datasets
from gan.data.form import Form
from gan.judging.judge import Judge
from gan.runs.run import explain
from ui.page_files import DATA
from ui.progress import Canceled, drain
from ui.text import plain
from ui.workshop import judges, manager

CANCELED = "judge_canceled"


def why_missing(config: TrainConfig, whose: str, instead: str) -> str:
    """Why a page cannot use a network's training images, in one or two sentences; empty if it can.

    Args:
        config: the networks' settings.
        whose: what was trained on them, "run" or "generator".
        instead: what to do if they are not among the data sets.
    """
    if config.data not in datasets.available():  # a path, say, which only the command line may name
        return f"This {whose}'s training images are not on this server. {instead}"
    if datasets.to_download(config.data):
        return f"The data set {plain(config.data)} is not on this server yet. The Data page can download it."
    return ""


def judge_for(config: TrainConfig) -> Judge | None:
    """The judge of a generator's own data set; None with the reason on the page.

    The first time for a set, it takes a few seconds, or up to a minute if a network must learn the set first. It shows a bar and a
    Cancel button.
    """
    name, key = plain(config.data), (config.data, *Form.of(config))
    if reason := why_missing(config, "generator", "Add them on the Data page to compare."):
        st.info(reason, icon=":material/info:")
        if datasets.to_download(config.data):
            st.page_link(DATA, label="Data", icon=":material/photo_library:", query_params={"set": config.data})
        return None
    cancel = Canceled(CANCELED, key)
    if cancel.waits(f"The comparison with {name} was canceled.", "Compare after all", ":material/compare:"):
        return None
    manager().hurry_judges()  # sets are prepared one at a time, those of runs first
    try:
        return drain(judges().get(*key), "cancel_judge", cancel)
    except (ValueError, OSError) as error:
        st.error(f"The images cannot be compared: {plain(explain(error).rstrip('.'))}.", icon=":material/error:")
        return None


def real_ones(judge: Judge, config: TrainConfig) -> str:
    """The name of held-out real images, depending on whether a generator with these settings has seen them."""
    return "new real images" if judge.reals.new and config.data_split == "train" else "other real images"
