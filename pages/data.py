"""Data: the sets that can be trained on, what is in them, and a way to bring one's own."""

import time

import numpy as np
import streamlit as st

from gan.data import datasets, uploads
from gan.data.datasets import ImageDataset
from gan.data.intensity import TOO_DARK
from gan.data.leftout import examples
from gan.images import enlarge, png, tile
from gan.owners import clean_name
from gan.runs.run import explain
from gan.runs.states import AT_WORK
from ui import held
from ui.components.visitor import heading, visitor
from ui.config_form import KEY
from ui.page_files import NEW_RUN, TRAIN
from ui.progress import drain
from ui.text import plain
from ui.workshop import manager

SHOWN = 32  # images of a set
MOST_BARS = 30  # classes with a bar each
MOST_SENTENCES = 200  # of files that were left out
MOST_REASONS = 20  # that are shown
LIST_HEIGHT = 240  # pixels; the list scrolls


def choose(name: str) -> None:
    st.session_state["set"] = name


def delete(name: str) -> None:
    at_work = {str(run.stored.get("data")) for run in manager().runs() if run.state in AT_WORK}
    try:
        uploads.delete(name, at_work, visitor())
        choose(datasets.NAMED[0])
        st.session_state["data_note"] = f"The data set {plain(name)} is deleted."
    except (ValueError, OSError) as error:
        st.session_state["data_fault"] = explain(error)


def upload() -> None:
    """A zip from the visitor's machine, checked and kept under a name."""
    number = st.session_state.setdefault("uploads", 0)  # a new key empties the uploader, and frees the server's memory
    file = st.file_uploader(
        "Upload a zip of images",
        "zip",
        key=f"upload_{number}",
        max_upload_size=uploads.LARGEST_UPLOAD // 2**20,
        help="Folders in the zip become classes. Everyone on this server can see and use the set.",
    )
    if file is None:
        if held.room() < uploads.LARGEST_UPLOAD:
            st.caption("The server is busy with uploads. If yours is refused, try again later.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(
            "Name of the set",
            uploads.free_name(uploads.name_from(file.name)),
            max_chars=uploads.LONGEST_NAME,
            key=f"upload_name_{number}",
            help="Letters, digits, - and _.",
        ).strip()
        wanted = st.button("Add the set", type="primary", icon=":material/add:", disabled=not visitor().known)
    if not wanted:
        return
    try:
        given = drain(uploads.add(file, name, file.name, visitor()), "cancel_upload")
    except (ValueError, OSError) as error:
        st.error(f"The zip was not added: {plain(explain(error).rstrip('.'))}.", icon=":material/error:")
        return
    note = f"There was a set {plain(name)} already, so yours is called {plain(given)}." if given != name else f"{plain(given)} is ready."
    st.session_state.update(uploads=number + 1, next_set=given, data_note=note)
    st.rerun()


def preview(dataset: ImageDataset) -> bytes:
    """Some images from all over the set, as one PNG."""
    which = np.linspace(0, len(dataset) - 1, min(SHOWN, len(dataset))).round().astype(int)
    images = dataset.images[which].numpy()
    return png(tile(enlarge(images, max(1, 112 // images.shape[-1])), columns=8, gap=4), 1)


def counts(title: str, names: tuple[str, ...], numbers: list[int]) -> None:
    """How many images each class or attribute has."""
    st.markdown(f"**{title}**")
    if len(names) > MOST_BARS:
        st.dataframe({title: names, "Images": numbers}, height=300)
    else:
        table = {title: names, "Images": numbers}
        st.bar_chart(table, x=title, y="Images", x_label="", y_label="", horizontal=True, sort=False, height=50 + 26 * len(names))


def show(name: str, dataset: ImageDataset) -> None:
    """What is in a set."""
    left, right = st.columns([3, 2], gap="medium")
    left.image(preview(dataset), alt=f"Some images of {name}", output_format="PNG", width="stretch")
    channels, height, width = dataset.images.shape[1:]
    with right:
        st.markdown(f"**{len(dataset):,} images**, shown at {width} x {height} pixels, {'gray' if channels == 1 else 'in color'}.")
        if dataset.labels is not None:
            counts("Class", dataset.class_names, np.bincount(dataset.labels, minlength=len(dataset.class_names)).tolist())
        else:
            st.caption("No classes: the images are not sorted into folders.")
        if dataset.attributes is not None:
            counts("Attribute", dataset.attribute_names, dataset.attributes.sum(0).tolist())
        for note in dataset.notes:
            text = f"{plain(note[0].upper() + note[1:])}."
            if note.endswith(TOO_DARK):
                st.warning(text, icon=":material/brightness_low:")
            else:
                st.caption(text)
    if dataset.skipped:
        left_out(dataset)


def left_out(dataset: ImageDataset) -> None:
    """What of a set is not used: how many for each reason, with an example, then each file's sentence."""
    with st.expander(left_out_title(dataset.skipped_count), icon=":material/warning:"):
        for count, example in examples(dataset.skipped, dataset.left_out[:MOST_REASONS]):
            st.markdown(f"**{count:,}** {'such as ' if count > 1 else ''}{plain(example)}")
        if len(dataset.left_out) > MOST_REASONS:
            st.caption(f"And {len(dataset.left_out) - MOST_REASONS:,} more reasons.")
        if dataset.skipped_count > len(dataset.left_out):
            st.markdown("**All of them**" if dataset.skipped_count <= MOST_SENTENCES else f"**The first {MOST_SENTENCES:,}**")
            with st.container(height=LIST_HEIGHT):
                st.text("\n".join(dataset.skipped[:MOST_SENTENCES]))


def left_out_title(count: int) -> str:
    return "1 file or folder was left out" if count == 1 else f"{count:,} files and folders were left out"


def actions(name: str, channels: int) -> None:
    """What can be done with a set."""
    about = uploads.about(name)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Train on it", type="primary", icon=":material/model_training:"):
            st.session_state.update({KEY + "data": name, KEY + "channels": channels, "run": NEW_RUN})
            st.switch_page(TRAIN, query_params={})  # without, Streamlit refuses to clear what is bound to a widget
        if uploads.may_delete(name, visitor()):
            with st.popover("Delete", icon=":material/delete:"):
                st.write("This deletes the set and its images for good. Runs trained on it stay, but cannot be resumed.")
                st.button("Delete it", on_click=delete, args=(name,))
        if about:
            when = time.strftime("%d %b, %H:%M", time.localtime(about["uploaded"]))
            owner = clean_name(about["owner"])
            st.caption(f"Uploaded {when}{f' by {plain(owner)}' if owner else ''} as {plain(about['file'])}")


heading("Data")
if "next_set" in st.session_state:  # set here, since a widget's value cannot change once it is drawn
    choose(st.session_state.pop("next_set"))
if "data_note" in st.session_state:
    st.success(st.session_state.pop("data_note"), icon=":material/check:")
if "data_fault" in st.session_state:
    st.error(f"The set was not deleted: {plain(st.session_state.pop('data_fault'))}.", icon=":material/error:")
left, right = st.columns([3, 2], gap="medium")
with left:
    names = datasets.available()
    asked = st.query_params.get("set", names[0])
    if asked not in names:
        st.warning(f"There is no data set {plain(asked[:100])} on this server.", icon=":material/search_off:")
    name = st.selectbox(
        "Data set",
        names,
        key="set",
        bind="query-params",
        help="The data sets on this server. own: marks a folder with the name of a built-in set.",
    )
with right:
    upload()

megabytes = datasets.to_download(name) / 1e6
if megabytes and not st.button(f"Download it ({megabytes:.0f} MB)", icon=":material/download:"):
    st.info(f"{plain(name)} is not on this server yet. It is downloaded once: now, or when a run needs it.", icon=":material/info:")
else:
    try:
        dataset = drain(datasets.load(name, *datasets.native(name)), "cancel_load", lambda: choose(names[0]))
    except (ValueError, OSError) as error:
        st.error(f"The data set {plain(name)} cannot be shown: {plain(explain(error).rstrip('.'))}.", icon=":material/error:")
    else:
        actions(name, dataset.images.shape[1])
        show(name, dataset)
