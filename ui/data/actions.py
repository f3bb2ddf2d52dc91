"""Actions for a data set: train on it, delete it."""

import time

import streamlit as st

from gan.data import datasets, uploads
from gan.owners import clean_name
from gan.recipes import RECIPES
from gan.runs.run import explain
from gan.runs.states import AT_WORK
from ui.components.visitor import visitor
from ui.config_form import CHOSEN_DATA, KEY
from ui.data.fitting import chosen
from ui.page_files import FILL, FOR_THE_SET, NEW_RUN, START, TRAIN
from ui.text import plain
from ui.train.actions import open_form
from ui.workshop import manager

# Without any parameter, Streamlit would take the set out of this page's address, and Back would not find it.
NEW = {"run": NEW_RUN}
DELETED = "deleted_set"  # in the session, until the next script run: the address still names the set


def choose(name: str) -> None:
    st.session_state["set"] = name


def delete(name: str) -> None:
    at_work = {run.stored.data for run in manager().runs() if run.state in AT_WORK}
    try:
        uploads.delete(name, at_work, visitor())
        choose(datasets.NAMED[0])
        st.session_state.update({DELETED: name, "data_note": f"The data set {plain(name)} is deleted."})
    except (ValueError, OSError) as error:
        st.session_state["data_fault"] = explain(error)


def actions(name: str, channels: int, main: bool, pairs: bool) -> None:
    """The actions for a set. main: whether training on it is the page's main action; else an upload waits. pairs: whether it is a set of pairs."""
    about = uploads.about(name)
    with st.container(horizontal=True, vertical_alignment="center"):
        if pairs and st.button("Train pix2pix on its pairs", type="primary" if main else "secondary", icon=":material/model_training:"):
            open_form(RECIPES["pix2pix"].config.change(data=name), "pix2pix")
        at_once = st.button(
            "Train on single images" if pairs else "Train on it" if main else f"Train on {plain(name)}",
            type="primary" if main and not pairs else "secondary",
            key="train_on_it",
            icon=":material/model_training:",
            help="Chooses settings for these images and this machine, and starts a run of up to an hour. Something can be recognized "
            "within minutes, and you can stop it at any time.",
            disabled=not visitor().known,
        )
        if at_once or st.button("Choose the settings", key="choose_settings", icon=":material/tune:"):
            settings = {KEY + field: value for field, value in chosen().items()}
            st.session_state.update({KEY + "data": name, KEY + "channels": channels, **settings, CHOSEN_DATA: True, "run": NEW_RUN})
            st.session_state[FOR_THE_SET] = START if at_once else FILL
            st.switch_page(TRAIN, query_params=NEW)
        if uploads.may_delete(name, visitor()):
            with st.popover("Delete", icon=":material/delete:"):
                st.write("This deletes the set and its images for good. Runs trained on it stay, but cannot be resumed.")
                st.button("Delete it", on_click=delete, args=(name,))
        if about:
            when = time.strftime("%b %d, %H:%M", time.localtime(about["uploaded"]))
            owner = clean_name(about["owner"])
            st.caption(f"Uploaded {when}{f' by {plain(owner)}' if owner else ''} as {plain(about['file'])}")
