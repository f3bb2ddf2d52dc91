"""Explore's grid: many latent vectors at once, each under its seed."""

import numpy as np
import streamlit as st
import torch

from gan.devices import one_thread
from gan.explore.models import Model
from gan.glossary import explain
from gan.images import enlarge, tile
from gan.networks.sampling import acts_in_training, sample_as_in_training
from ui.dice import seeds_dice
from ui.explore import snippets
from ui.explore.common import read_seeds
from ui.explore.share import share
from ui.pictures import inline
from ui.text import plain
from ui.workshop import models

MOST_SEEDS = 100
MOST_ROWS, MOST_CLASSES = 10, 20  # of every class side by side


@st.fragment
def view(model: Model, label: int) -> None:
    """Many latent vectors; for a conditional generator also each vector in every class; and their images in training mode."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Seeds",
            "0-31",
            key="seeds",
            bind="query-params",
            help=f"{explain('seed')} Example: 1,2,10-20.",
        )
        seeds_dice({"seeds": MOST_SEEDS})
    seeds = read_seeds(text, 1, MOST_SEEDS)
    with st.container(horizontal=True):
        every = bool(model.class_names) and st.toggle(
            "Every class",
            key="every",
            bind="query-params",
            help="Draws each latent vector once in each class, to show what a class changes.",
        )
        in_training = st.toggle(
            "As in training mode",
            key="training",
            bind="query-params",
            help="In training, batch normalization uses the current batch. Afterward, it uses averages from training.",
        )
    if not seeds:
        return
    classes = list(range(len(model.class_names)))[:MOST_CLASSES] if every else []
    if every:
        seeds = seeds[:MOST_ROWS]
        z, labels = model.z(seeds).repeat_interleave(len(classes), 0), classes * len(seeds)
        images = models().images(model, z, labels)
    else:
        z, labels = model.z(seeds), [label] * len(seeds)
        images = models().images(model, z, label)
    if in_training:
        images = training_mode(model, z, labels, images)
    if every:
        names = model.class_names[:MOST_CLASSES]
        st.caption(plain(f"One row for each of the seeds {', '.join(map(str, seeds))}, one column per class: {', '.join(names)}."))
        picture = tile(enlarge(images, max(1, 84 // model.config.image_size)), columns=len(names), gap=2)
        st.image(inline(picture), alt="Every seed in every class")
    else:
        larger = enlarge(images, max(1, 112 // model.config.image_size))
        with st.grid("auto", min_column_width=84, gap="xsmall"):
            for seed, image in zip(seeds, larger, strict=True):
                st.image(inline(image), caption=str(seed), alt=f"Image of seed {seed}", width="stretch")
    shown = in_training and len(z) > 1
    share(snippets.grid(model.id, seeds, None if every or not model.class_names else model.class_names[label], len(classes), shown))


def training_mode(model: Model, z: torch.Tensor, labels: list[int], images: np.ndarray) -> np.ndarray:
    """The generator's images in training mode, and the change; the unchanged images if that is not possible."""
    network = models().get(model).network
    try:
        with one_thread():
            drawn = sample_as_in_training(network, z, torch.tensor(labels) if model.class_names else None)
    except ValueError as error:
        st.info(f"Training mode is not available: {error}.", icon=":material/info:")
        return images
    if not acts_in_training(network):
        st.caption("This generator has neither batch normalization nor dropout, so training mode draws the same images.")
        return drawn
    change = float(np.abs(drawn.astype(np.int16) - images).mean())
    if model.config.has_styles:
        what = f"In training mode, each image gets new noise. A share of {model.config.style_mixing:.0%} also mixes two styles. "
    else:
        what = (
            f"In training mode, batch normalization uses the mean and variance of these {len(drawn)} pictures. "
            "Each image then depends on the others. "
        )
    st.caption(f"{what}On average, a pixel changes by **{change:.1f}** of 255 levels.")
    return drawn
