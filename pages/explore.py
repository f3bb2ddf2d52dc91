"""Explore: a generator, noise vectors named by seed, and the ways between them. Everything shown stands in the address."""

import numpy as np
import streamlit as st
import torch

from gan import latent
from gan.checkpoint import CheckpointError
from gan.images import enlarge, gif, png, tile
from gan.models import Model, find_model, model_sources
from ui import explore_memory, explore_projection, explore_sliders
from ui.explore_common import read_seeds, stamp
from ui.pad import pad
from ui.pages import INSIDE, TRAIN
from ui.text import plain
from ui.visitor import heading
from ui.workshop import manager, models

VIEWS = {
    "pad": "Pad",
    "grid": "Grid",
    "sliders": "Sliders",
    "walk": "Walk",
    "memory": "Memory or invention?",
    "image": "Back from an image",
}
NEWEST = "newest"
MOST_SEEDS = 100
MOST_ROWS, MOST_CLASSES = 10, 20  # of every class side by side
MOST_FRAMES = 240
FRAMES_PER_S = 25


@st.cache_data(show_spinner="Drawing the walk…", max_entries=20)
def film(model_id: str, stamp: int, seeds: list[int], frames: int, mode: str, closed: bool, label: int) -> tuple[bytes, bytes, list[float]]:
    """(GIF, strip as PNG, |z| at each frame)."""
    model = find_model(models().root, model_id)
    z = latent.walk(model.noise(seeds), min(frames, MOST_FRAMES), mode, closed)
    images = models().images(model, z, label)
    factor = max(1, 256 // images.shape[-1])
    stops = np.linspace(0, frames - 1, min(frames, 12)).round().astype(int)
    strip = png(tile(enlarge(images[stops], max(1, 112 // images.shape[-1])), columns=len(stops), gap=2))
    return gif(enlarge(images, factor), FRAMES_PER_S), strip, z.norm(dim=1).tolist()


def choose_model() -> Model | None:
    """The generator to explore: a shipped one or a run's, at one of its steps."""
    sources = model_sources(models().root)
    if not sources:
        st.info("There is no generator yet. Train one first: the first can be explored after a few seconds.", icon=":material/lightbulb:")
        st.page_link(TRAIN, label="Train", icon=":material/model_training:")
        return None
    left, right = st.columns(2)
    source = left.selectbox(
        "Generator",
        list(sources),
        key="from",
        bind="query-params",
        help="The first ones come with the app; the others are runs, the newest first.",
    )
    ids = sources[source]
    model_id = ids[-1]
    if len(ids) > 1:
        steps = [i.partition("@")[2] for i in ids]
        # "newest" is an option of its own, so that the address of an older step keeps its meaning while the run goes on.
        step = right.select_slider(
            "After step",
            [*steps, NEWEST],
            NEWEST,
            key="step",
            bind="query-params",
            help="An earlier generator of the same run: see what it knew then.",
        )
        model_id = model_id if step == NEWEST else ids[steps.index(step)]
    try:
        return find_model(models().root, model_id)
    except (KeyError, CheckpointError) as error:
        st.error(f"This generator cannot be used: {plain(error)}", icon=":material/error:")
        return None


def choose_class(model: Model) -> int:
    """The class to draw; 0 for a generator that does not draw by class."""
    names = list(model.class_names)
    if not names:
        return 0
    if st.session_state.get("class") not in names:  # another generator's
        st.session_state.pop("class", None)
    chosen = st.selectbox("Class", names, key="class", bind="query-params", help="What the generator is asked to draw.", width=320)
    return names.index(chosen)


@st.fragment
def square(model: Model, label: int) -> None:
    """Four noise vectors at the corners of a square; the picture follows the finger."""
    first, second = st.columns([3, 2], vertical_alignment="bottom")
    text = first.text_input(
        "Seeds at the corners",
        "1,2,3,4",
        key="corners",
        bind="query-params",
        help="Four noise vectors: top left, top right, bottom left, bottom right. Beyond them the map goes on without an end.",
    )
    cells = second.segmented_control(
        "Map",
        [1, 2],
        default=1,
        format_func={1: "4 corners", 2: "9 corners"}.__getitem__,
        key="cells",
        bind="query-params",
        required=True,
        help="How much of the map the square shows.",
    )
    seeds = read_seeds(text, 4, 4)
    if not seeds:
        return
    place = pad(model, seeds, model.class_names[label] if model.class_names else None, read_place(cells), cells, "explore")
    st.query_params["place"] = ",".join(f"{value:g}" for value in place)
    st.caption("Drag over the square, or use the arrow keys. With Shift the map itself moves, to new corners without end.")


def read_place(cells: int) -> tuple[float, float, float, float]:
    """Where the address says that the pad stands: the map's left and top edge, and the point; the middle where it does not."""
    try:
        left, top, x, y = (float(part) for part in st.query_params.get("place", "").split(","))
        if all(abs(value) < 1e6 for value in (left, top, x, y)):  # not so for NaN
            return left, top, x, y
    except ValueError:
        pass  # nobody has dragged yet, or the address was typed by hand
    return 0.0, 0.0, cells / 2, cells / 2


def grid(model: Model, label: int) -> None:
    """Many noise vectors at once, each under its seed; of a conditional generator also every class of each."""
    text = st.text_input(
        "Seeds",
        "0-31",
        key="seeds",
        bind="query-params",
        help="Each seed names one noise vector, the same in every generator. As in 1,2,10-20.",
    )
    seeds = read_seeds(text, 1, MOST_SEEDS)
    every = bool(model.class_names) and st.toggle(
        "Every class",
        key="every",
        bind="query-params",
        help="Draws each noise vector once in each class: what a class changes, and what it leaves.",
    )
    if not seeds:
        return
    if every:
        seeds = seeds[:MOST_ROWS]
        images = models().images(model, *every_class(model, seeds))
        names = model.class_names[:MOST_CLASSES]
        picture = tile(enlarge(images, max(1, 84 // model.config.image_size)), columns=len(names), gap=2)
        st.caption(plain(f"A row for each of the seeds {', '.join(map(str, seeds))}; a column a class: {', '.join(names)}."))
        st.image(png(picture, 1), alt="Every seed in every class", output_format="PNG")
        return
    images = enlarge(models().images(model, model.noise(seeds), label), max(1, 112 // model.config.image_size))
    with st.grid("auto", min_column_width=84, gap="xsmall"):
        for seed, image in zip(seeds, images, strict=True):
            st.image(png(image, 1), caption=str(seed), alt=f"Image of seed {seed}", output_format="PNG", width="stretch")


def every_class(model: Model, seeds: list[int]) -> tuple[torch.Tensor, list[int]]:
    """Each seed's noise vector once for each class, and these classes."""
    classes = list(range(len(model.class_names)))[:MOST_CLASSES]
    return model.noise(seeds).repeat_interleave(len(classes), 0), classes * len(seeds)


def walk(model: Model, label: int) -> None:
    """From one noise vector to the next, as a strip and a film."""
    left, right = st.columns([2, 3], gap="large")
    with left:
        text = st.text_input(
            "Seeds, in order",
            "1,2,3,4",
            key="stops",
            bind="query-params",
            help="Two or more noise vectors; the walk goes from each to the next.",
        )
        mode = st.segmented_control(
            "Way",
            ["slerp", "lerp"],
            default="slerp",
            key="mode",
            bind="query-params",
            required=True,
            help="slerp follows the sphere on which the noise lies; lerp cuts straight through it, where training never was.",
        )
        frames = st.slider("Frames", 2, MOST_FRAMES, 96, key="frames", bind="query-params", help=f"{FRAMES_PER_S} are shown a second.")
        closed = st.checkbox("Come back to the first", True, key="closed", bind="query-params", help="The film then loops without a jump.")
        seeds = read_seeds(text, 2, 24)
    if not seeds:
        return
    animation, strip, norms = film(model.id, stamp(model), seeds, frames, mode, closed, label)
    with right:
        st.image(animation, alt=f"Animated walk through seeds {text}", width=384)
    st.image(strip, alt=f"Stops of the walk through seeds {text}", output_format="PNG", width="stretch")
    radius = (model.config.latent_dim / (1 if model.config.latent_distribution == "normal" else 3)) ** 0.5
    st.caption(
        f"Length of z along the way: {min(norms):.1f} to {max(norms):.1f}. Training knew lengths near {radius:.1f}; "
        "where lerp falls far below, pictures may blur or break."
    )
    name = f"{model.id.replace('@', '-')}-{'-'.join(map(str, seeds))}-{mode}"[:80]
    with st.container(horizontal=True):
        st.download_button("GIF", animation, f"{name}.gif", "image/gif", icon=":material/download:", on_click="ignore")
        st.download_button("PNG strip", strip, f"{name}.png", "image/png", icon=":material/download:", on_click="ignore")


heading("Explore")
model = choose_model()
if model:
    view = st.segmented_control(
        "View",
        list(VIEWS),
        default="pad",
        format_func=VIEWS.__getitem__,
        key="view",
        bind="query-params",
        required=True,
        label_visibility="collapsed",
        wrap=True,
    )
    try:
        draw = {"pad": square, "grid": grid, "sliders": explore_sliders.view, "walk": walk}
        draw |= {"memory": explore_memory.view, "image": explore_projection.view}
        draw[view](model, choose_class(model))
    except CheckpointError as error:
        st.error(plain(error), icon=":material/error:")
    if model.run and manager().get(model.run).at_work:
        st.caption("This run is still training: reload the page for its newest generator.")
    name = model.run or model.id
    st.page_link(INSIDE, label="Look inside this network", icon=":material/visibility:", query_params={"run": name})
