"""Data: the sets to train on, what is in them, and uploads of your own."""

import streamlit as st

from gan.data import datasets
from gan.runs.run import explain
from ui.components.visitor import heading
from ui.data.actions import DELETED, actions, choose
from ui.data.contents import show
from ui.data.fitting import fitting
from ui.data.pairs import as_pairs
from ui.data.upload import upload
from ui.page_files import RETURNING
from ui.pick import keep, missing, pick
from ui.progress import drain
from ui.text import plain

heading("Data")
if "next_set" in st.session_state:  # set here, because a widget's value cannot change once it is drawn
    choose(st.session_state.pop("next_set"))
elif st.session_state.pop(RETURNING, False):
    keep("set", datasets.available())
# Places that stay where they are: if something moved up, because what was above it is gone, the page would have it twice until its script ends.
said, choice, begun, first, second = (st.container() for _ in range(5))
if "data_note" in st.session_state:
    said.success(st.session_state.pop("data_note"), icon=":material/check:")
if "data_fault" in st.session_state:
    said.error(f"The set was not deleted: {plain(st.session_state.pop('data_fault'))}.", icon=":material/error:")
left, right = choice.columns([3, 2], gap="medium")
with left:
    names = datasets.available()
    missing("set", [*names, st.session_state.pop(DELETED, "")], "data set")
    name = pick(
        "Data set",
        {name: name for name in names},
        "set",
        names[0],
        'The data sets on this server. The prefix "own:" marks a folder on this server with the name of a built-in set.',
    )
with right:
    waits = upload()

with begun:
    megabytes = datasets.to_download(name) / 1e6
    dataset = None
    if megabytes and not st.button(f"Download it ({megabytes:.0f} MB)", icon=":material/download:"):
        st.info(f"{plain(name)} is not on this server yet. It is downloaded once: now, or when a run needs it.", icon=":material/info:")
    else:
        try:
            dataset = drain(datasets.load(name, *datasets.native(name)), "cancel_load", lambda: choose(names[0]))
        except (ValueError, OSError) as error:
            st.error(f"The data set {plain(name)} cannot be shown: {plain(explain(error).rstrip('.'))}.", icon=":material/error:")
    if dataset is not None:
        pairs = as_pairs(name, dataset)
        actions(name, dataset.images.shape[1], main=not waits, pairs=pairs is not None)
if dataset is not None:
    with second if pairs is not None else first:
        fitting(name, dataset.images.shape[1], dataset.fingerprint())  # for single images: files twice as wide as high may be no pairs
    with first if pairs is not None else second:
        show(name, dataset if pairs is None else pairs)
