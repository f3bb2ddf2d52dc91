"""The contents of a data set: some images, its classes and attributes, and the files left out."""

import numpy as np
import streamlit as st

from gan.data.datasets import ImageDataset
from gan.data.intensity import TOO_DARK
from gan.data.leftout import examples
from gan.images import enlarge, png, tile
from ui.charts import counts_chart
from ui.data.fitting import is_default
from ui.text import plain

SHOWN = 32  # images of a set
MOST_BARS = 30  # classes with a bar each
MOST_SENTENCES = 200  # the most sentences about files that were left out
MOST_REASONS = 20  # shown
LIST_HEIGHT = 240  # pixels; the list scrolls


def preview(dataset: ImageDataset) -> bytes:
    """Some images from the whole set, as one PNG. Of pairs, each input is to the left of its image."""
    columns, shown = (8, SHOWN) if dataset.inputs is None else (4, SHOWN // 2)
    which = np.linspace(0, len(dataset) - 1, min(shown, len(dataset))).round().astype(int)
    images = dataset.images[which].numpy()
    if dataset.inputs is not None:
        images = np.concatenate([dataset.inputs[which].numpy(), images], 3)
    return png(tile(enlarge(images, max(1, 112 // images.shape[-2])), columns=columns, gap=4), 1)


def counts(title: str, names: tuple[str, ...], numbers: list[int]) -> None:
    """How many images each class or attribute has."""
    st.markdown(f"**{title}**")
    if len(names) > MOST_BARS:
        st.dataframe({title: names, "Images": numbers}, height=300)
    else:
        drawn = counts_chart(title, names, numbers)
        st.plotly_chart(drawn.figure, key=f"counts_{title}", alt=drawn.text, config={"displayModeBar": False})


def show(name: str, dataset: ImageDataset) -> None:
    """The contents of a set."""
    left, right = st.columns([3, 2], gap="medium")
    pairs = dataset.inputs is not None
    left.image(preview(dataset), alt=f"Some {'pairs' if pairs else 'images'} of {name}", output_format="PNG", width="stretch")
    if pairs:
        left.caption("Pairs: each image of A is to the left of its partner in B.")
    elif not is_default():
        left.caption("Here they are cropped, on white. In training, they fit as you chose.")
    channels, height, width = dataset.images.shape[1:]
    with right:
        st.markdown(
            f"**{len(dataset):,} {'pairs' if pairs else 'images'}**, shown at {width} x {height} pixels, {'gray' if channels == 1 else 'in color'}."
        )
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
    """What a set leaves out: a count and an example for each reason, then each file's sentence."""
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
