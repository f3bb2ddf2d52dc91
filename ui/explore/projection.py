"""Find an image in latent space: the latent vector whose image is closest to it, and a walk from there."""

import hashlib
from collections.abc import Sequence

import numpy as np
import streamlit as st
import torch

from gan import latent
from gan.events import Progress
from gan.explore.models import Model
from gan.explore.projection import STARTS, Drawn, Guess, Projection, project
from gan.explore.vectors import MOST, LatentVector
from gan.glossary import explain
from gan.images import enlarge
from gan.judging import metrics
from gan.judging.judge import Judge
from ui.address import bound
from ui.components.latent_list import keep
from ui.dice import seed_dice
from ui.explore import snippets
from ui.explore.common import stamp
from ui.explore.share import share
from ui.judging import judge_for
from ui.own_image import drawing, own_image
from ui.pictures import inline
from ui.progress import drain
from ui.text import plain
from ui.workshop import models

HELD_OUT, UPLOADED, DRAWN = "held-out", "own", "drawn"
KINDS = {HELD_OUT: "Held out", UPLOADED: "Your own", DRAWN: "Drawn"}
RESULT = "projection"  # in the session: (what it was found for, what was found)
FULL = "latent_list_full"  # in the session: whether the list was full
SIDE = 224  # pixels of a picture
STOPS = 9  # pictures of a strip


def view(model: Model, label: int) -> None:
    """An image, the closest generated image, and a walk from there."""
    st.markdown("Can the generator draw this? Give it an image to search for in the latent space.", help=explain("projection"))
    config = model.config
    kinds = [HELD_OUT, UPLOADED] + ([DRAWN] if config.channels == 1 else [])
    if st.session_state.get("picture", HELD_OUT) not in kinds:  # another generator's
        st.session_state.pop("picture", None)
    kind = st.segmented_control(
        "Image",
        kinds,
        default=HELD_OUT,
        format_func=KINDS.__getitem__,
        key="picture",
        bind="query-params",
        required=True,
        help="A real image held out from training, your own file, or your drawing.",
    )
    kind = kind or HELD_OUT  # ?picture= clears even what is required
    judge = judge_for(config)
    if judge is None and kind == HELD_OUT:
        return
    left, right = st.columns([2, 3], gap="large")
    with left:
        image = held_out(judge) if judge and kind == HELD_OUT else own_image(config) if kind == UPLOADED else drawing(config)
        if image is None:
            return
        if kind != DRAWN:
            st.image(picture(image), alt="The image to find", width=SIDE)
        every = bool(model.class_names) and st.toggle(
            "Search all classes",
            True,
            key="any_class",
            bind="query-params",
            help="Off: search only the class chosen above.",
        )
        wanted = st.button("Search", type="primary", icon=":material/search:")
    asked = None if every or not model.class_names else label
    key = (model.id, stamp(model), hashlib.sha256(image.tobytes()).hexdigest(), asked, judge is None)
    with right:
        with st.container():  # a place for the search, so that its result does not move up later
            if wanted:
                st.session_state[RESULT] = (key, find(model, image, judge, asked))
        kept = st.session_state.get(RESULT)
        if not kept or kept[0] != key:
            st.caption("The result appears here.")
            return
        result: Projection = kept[1]
        show(model, judge, image, result)
    if judge:
        others(judge, image, result)
    if model.config.has_styles:  # the list for walks holds latent vectors, and the result is a style
        toward(model, result.found)
    else:
        walk_on(result.found, model.class_names[result.found.label] if model.class_names else None)
    number = int(st.session_state["held_out"]) if kind == HELD_OUT else None
    share(snippets.projection(model.id, number, asked, judge is not None), "" if kind == HELD_OUT else "your image")


def held_out(judge: Judge) -> np.ndarray:
    """One of the real images that were held out, by its number."""
    part = judge.reals.held_out
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if st.session_state.get("held_out", 0) >= len(part):  # another set's
            st.session_state.pop("held_out", None)
        number = int(st.number_input("Number", 0, len(part) - 1, 0, key="held_out", bind=bound("held_out"), width=140))

        def another() -> None:
            st.session_state["held_out"] = (number * 7919 + 4801) % len(part)

        st.button("Another", icon=":material/shuffle:", on_click=another)
    return part.images(slice(number, number + 1))[0]


def find(model: Model, image: np.ndarray, judge: Judge | None, label: int | None) -> Projection:
    """Searches for an image, and shows the progress."""
    place = st.empty()

    def watch(event: Progress) -> None:
        if isinstance(event, Guess):
            place.image(picture(event.image), alt="The best picture so far", width=SIDE)

    result = drain(project(models().get(model), image, judge.network if judge else None, label), "cancel_projection", watch=watch)
    place.empty()
    return result


def picture(image: np.ndarray) -> str:
    return inline(enlarge(image, max(1, SIDE // image.shape[-1])))


def show(model: Model, judge: Judge | None, image: np.ndarray, result: Projection) -> None:
    """The result, and how close it is."""
    found, (low, high) = result.found, result.usual
    st.image(picture(found.image), alt="The closest generated image", caption="The closest image found", width=SIDE)
    with st.container(horizontal=True, gap="large"):
        if judge:
            st.metric(
                "Distance",
                f"{found.features:.2f}",
                help=f"In the features of {plain(judge.network.name)}. Two real images lie about {metrics.diversity(judge.held_out):.0f} apart.",
                width="content",
            )
        st.metric("Pixels", f"{found.pixels:.0f} of 255", help="Root mean square difference in gray levels.", width="content")
        st.metric(
            "Distance from the mean of w" if model.config.has_styles else "Length of z",
            f"{result.length:.1f}",
            help=f"The search keeps it between {low:.1f} and {high:.1f}, the usual range in training. Outside it, the generator can imitate almost any image, which says little about what it has learned.",
            width="content",
        )
    if model.class_names:
        st.markdown(f"Drawn as **{plain(model.class_names[found.label])}**.")


def others(judge: Judge, image: np.ndarray, result: Projection) -> None:
    """The image, next to the result and to the closest random and training images."""
    distances, rows, _ = judge.neighbors(image[None])
    nearest = judge.reals.learned.dataset.images[int(rows[0, 0])].numpy()
    rows_shown: Sequence[tuple[np.ndarray, str]] = [
        (image, "The image"),
        (result.found.image, f"Found: {result.found.features:.2f} away"),
        (result.start.image, f"Closest of {STARTS:,} random images: {result.start.features:.2f}"),
        (nearest, f"Closest training image: {distances[0, 0]:.2f}"),
    ]
    with st.grid("auto", min_column_width=120, gap="small"):
        for each, caption in rows_shown:
            st.image(picture(each), alt=caption, caption=caption, width="stretch")


def walk_on(found: Drawn, class_name: str | None) -> None:
    """Adds the result to the list of latent vectors for walks."""

    def go() -> None:
        st.session_state[FULL] = not keep(LatentVector(z=tuple(found.z.tolist()), name="From an image"))
        if not st.session_state[FULL]:
            st.session_state["view"] = "walk"
            if class_name is not None:
                st.session_state["class"] = class_name

    st.button(
        "Walk from it",
        icon=":material/route:",
        on_click=go,
        help="Adds this latent vector to your list and opens Walk.",
    )
    if st.session_state.pop(FULL, False):
        st.info(f"The list of latent vectors is full: it holds {MOST}. Remove one under Walk.", icon=":material/info:")


@st.fragment
def toward(model: Model, found: Drawn) -> None:
    """A strip of images from the result to another image, along a straight line in w."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        seed = int(st.number_input("Walk in w to seed", 0, 2**31 - 1, 1, key="seed", bind=bound("seed"), help=explain("style"), width=160))
        seed_dice("seed")
    w = latent.lerp(found.z[None], models().styles(model, model.z([seed]), found.label), torch.linspace(0, 1, STOPS)[:, None])
    with st.grid("auto", min_column_width=64, gap="xsmall"):
        for stop, image in enumerate(models().images_of_styles(model, w)):
            st.image(picture(image), alt=f"Image {stop + 1} of {STOPS} on the way", width="stretch")
    st.caption("The first is the image that was found, the last the seed's. Between them, the style moves along a straight line.")
