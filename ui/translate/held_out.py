"""Held-out images through a run's training: what its saved generators make of images that training never sees."""

import numpy as np
import streamlit as st
import torch

from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.data.form import Form
from gan.explore.models import translator_sources
from gan.explore.translators import TranslatorModel, find_translator
from gan.files import without_folders
from gan.images import enlarge, spaced, tile
from gan.judging import similarity
from gan.networks.generator_file import CheckpointError
from gan.runs.run import explain
from ui.judging import why_missing
from ui.pictures import inline
from ui.progress import Canceled, drain
from ui.text import plain
from ui.translate.direction import choose_direction
from ui.workshop import manager, translators

KEPT = "held_out_images"  # in the session: the key of a data set, and its held-out images
COLUMNS, STEPS = 8, 6
WIDTH = 760  # pixels of a row on a page that is wide enough
SCORED = 100  # images


def held_out(model: TranslatorModel) -> ImageDataset | None:
    """The images of a run's data set that its training never sees; None with the reason on the page."""
    config = model.config
    key = (config.data, *Form.of(config), config.networks)
    kept = st.session_state.get(KEPT)
    if kept and kept[0] == key:
        return kept[1]  # type: ignore[no-any-return]
    if reason := why_missing(config, "run", "Upload an image instead."):
        st.info(reason, icon=":material/info:")
        return None
    name, cancel = plain(config.data), Canceled("canceled", key)
    if cancel.waits(f"Loading the data set {name} was canceled.", "Load the held-out images", ":material/photo_library:"):
        return None
    try:
        dataset = drain(datasets.load_for(config), "cancel_load", cancel)
    except (ValueError, OSError) as error:
        st.error(f"The data set {name} cannot be read: {plain(explain(error).rstrip('.'))}.", icon=":material/error:")
        return None
    images = dataset.held_out if dataset.held_out is not None else dataset
    if (config.networks == "cyclegan" and len(images.class_names) != 2) or (config.networks == "pix2pix" and images.inputs is None):
        st.error(f"The data set {name} is not the one that this run learned from.", icon=":material/error:")
        return None
    st.session_state[KEPT] = (key, images)
    return images


def held_out_view(model: TranslatorModel) -> None:
    """Inputs in the first row, one row for each of several saved generators, targets in the last row."""
    images = held_out(model)
    if images is None:
        return
    back = choose_direction(model)
    if model.config.networks == "cyclegan":
        assert images.labels is not None
        of = images.images[images.labels == int(back)].numpy()
        inputs, targets = of[:COLUMNS], None
    else:
        assert images.inputs is not None
        inputs, targets = images.inputs[:COLUMNS].numpy(), images.images[:COLUMNS].numpy()
    _row("Input", np.ascontiguousarray(inputs))
    steps = [int(i.partition("@")[2]) for i in translator_sources(manager().root).get(model.run, [])]
    for step in sorted({*spaced(steps, STEPS), model.step}):
        try:
            at = find_translator(manager().root, f"{model.run}@{step}")
            _row(f"Step {step:,}", translators().translate(at, np.ascontiguousarray(inputs), back))
        except (KeyError, CheckpointError) as error:
            st.caption(f"Step {step:,} cannot be shown: {plain(without_folders(str(error)))}")
    if targets is not None:
        _row("Target", targets)
        _scores(model, images)
    st.caption("Training never sees these images.")


def _row(name: str, images: np.ndarray) -> None:
    picture = tile(enlarge(images, max(1, 96 // images.shape[-1])), columns=len(images), gap=2)
    st.markdown(f"**{name}**")
    st.image(inline(picture), alt=f"{name}: {len(images)} images", width=WIDTH)


def _scores(model: TranslatorModel, images: ImageDataset) -> None:
    """L1 and SSIM next to what the input itself and the mean target get."""
    assert images.inputs is not None
    inputs, targets = images.inputs[:SCORED], images.images[:SCORED]
    outputs = torch.from_numpy(translators().translate(model, inputs.numpy()))
    mean = targets.float().mean(0, keepdim=True).round().to(torch.uint8).expand_as(targets)
    rows = {"Output": outputs, "The input itself": inputs, "The mean target": mean}
    st.table(
        {
            name: {"L1 (lower is better)": f"{similarity.l1(of, targets):.3f}", "SSIM (1: equal)": f"{similarity.ssim(of, targets):.3f}"}
            for name, of in rows.items()
        }
    )
