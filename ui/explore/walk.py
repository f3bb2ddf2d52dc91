"""Explore's walk: from one latent vector to the next, as a strip and a film, with the length of z along the way."""

from collections.abc import Hashable, Sequence

import numpy as np
import plotly.graph_objects as go
import streamlit as st
import torch

from gan import latent
from gan.explore import films, vectors
from gan.explore.models import Model
from gan.glossary import explain
from gan.images import enlarge, gif, png, spaced, tile
from gan.lru import Lru
from ui.charts import Role
from ui.components.latent_list import FILE, latent_list, list_menu
from ui.explore import snippets
from ui.explore.common import film_downloads, stamp
from ui.explore.share import share
from ui.pictures import inline
from ui.progress import Canceled, drain, in_its_place
from ui.text import plain
from ui.workshop import models

MOST_FRAMES = 480
SPEEDS = (2, 5, 10, 20, 25, 50)  # frames a second that a GIF can show exactly
SIDE = 256  # pixels of a film's frame, about
STOPS = 12  # pictures in the strip
WAYS = {
    "slerp": "slerp goes along the sphere: the length changes evenly from one vector to the next.",
    "lerp": "lerp cuts through the inside of the sphere: below the band, images may blur or break.",
}

_drawn: Lru[Hashable, np.ndarray] = Lru(most_bytes=128 * 2**20, size=lambda images: images.nbytes)
_films: Lru[Hashable, bytes] = Lru(most_bytes=128 * 2**20, size=len)


@st.fragment
def view(model: Model, label: int) -> None:
    """The list of latent vectors, how to walk through it, and the walk."""
    class_name = model.class_names[label] if model.class_names else None
    mode, easing, frames, speed, closed = settings()
    left, right = st.columns([3, 2], gap="large")
    with left:
        kept = latent_list(model, class_name)
        list_menu(model)
    usable = [vector for vector in kept if vector.fits(model.config.latent_dim)]
    if len(usable) < len(kept):
        st.caption(f"{len(kept) - len(usable)} of the vectors have another latent size, so the walk skips them.")
    if len(usable) < 2:
        st.info("A walk needs two latent vectors of this generator's size. Add one.", icon=":material/info:")
        return
    frames = max(2, min(int(frames), MOST_FRAMES))
    distribution = model.config.latent_distribution
    z = latent.walk(vectors.points(usable, model.config.latent_dim, distribution), frames, mode, closed, easing)
    key = (model.id, stamp(model), tuple((v.seed, v.ref) for v in usable), frames, mode, easing, closed, label)
    with right:
        images = pictures(model, z, label, key)
    if images is None:
        return
    factor = max(1, SIDE // images.shape[-1])
    animation = _films.get((key, speed))
    if animation is None:
        animation = gif(images, speed, factor)
        _films.put((key, speed), animation)
    names = [vector.name or (f"seed {vector.seed}" if vector.seed is not None else "numbers") for vector in usable]
    through = ", ".join(names)
    with right:
        st.image(animation, alt=f"Animated walk through {through}", width=384)
        st.caption(f"{len(images)} frames in {len(images) / speed:.1f} s, through {plain(through)}{' and back' if closed else ''}.")
    lengths_of_z(z, model, len(usable), closed, mode)
    stops = spaced(range(frames), STOPS)
    with st.grid("auto", min_column_width=64, gap="xsmall"):
        for stop in stops:
            picture = enlarge(images[stop], max(1, 112 // images.shape[-1]))
            st.image(inline(picture), alt=f"Frame {stop + 1} of the walk", width="stretch")
    name = f"{model.id.replace('@', '-')}-{'-'.join(str(v.seed) for v in usable if v.seed is not None)}-{mode}"[:80]
    strip = png(tile(enlarge(images[stops], max(1, 112 // images.shape[-1])), columns=len(stops), gap=2))
    film_downloads(images, animation, strip, name, speed, factor)
    seeds = [vector.seed for vector in usable if vector.seed is not None]
    named = seeds if len(seeds) == len(usable) else None
    if named is None:
        st.caption("The address holds only seeds. Save the list to keep vectors without a seed.")
    missing = "" if named is not None else "vectors without a seed"
    share(snippets.walk(model.id, named, frames, mode, easing, closed, speed, class_name, FILE), missing)


def settings() -> tuple[str, str, int, int, bool]:
    """How to walk: mode, easing, frames, frames a second, closed."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        mode = st.segmented_control(
            "Path",
            ["slerp", "lerp"],
            default="slerp",
            key="mode",
            bind="query-params",
            required=True,
            help="slerp follows the sphere near which latent vectors lie. lerp cuts straight through it, where the generator never trained.",
        )
        mode = mode or "slerp"  # ?mode= clears even what is required
        easing = st.segmented_control(
            "Pace",
            ["linear", "smooth"],
            default="linear",
            format_func={"linear": "Even", "smooth": "Rest at stops"}.__getitem__,
            key="easing",
            bind="query-params",
            required=True,
            help="Rest at stops slows down near each latent vector.",
        )
        easing = easing or "linear"  # ?easing= clears even what is required
        closed = st.checkbox("Come back to the first", True, key="closed", bind="query-params", help="The film then loops without a jump.")
    first, second = st.columns(2, gap="medium")
    frames = first.slider("Frames", 2, MOST_FRAMES, 96, key="frames", bind="query-params", help="In the whole film.")
    speed = second.select_slider("Frames a second", SPEEDS, 25, key="fps", bind="query-params", help="How fast the film goes.")
    return mode, easing, frames, speed, closed


@in_its_place
def pictures(model: Model, z: torch.Tensor, label: int, key: tuple[object, ...]) -> np.ndarray | None:
    """The walk's images, with a progress bar; None if it was canceled."""
    images = _drawn.get(key)
    if images is not None:
        return images
    cancel = Canceled("walk_canceled", key)
    if cancel.waits("Drawing was canceled.", "Draw the walk", ":material/route:"):
        return None
    images = drain(films.draw(lambda part: models().images(model, part, label), z), "cancel_walk", cancel)
    _drawn.put(key, images)
    return images


def lengths_of_z(z: torch.Tensor, model: Model, stops: int, closed: bool, mode: str) -> None:
    """A chart of |z| along the way, with the usual lengths in training, and what it means."""
    low, high = usual_lengths(model.config.latent_dim, model.config.latent_distribution)
    lengths = z.norm(dim=1).tolist()
    place = np.linspace(1, stops + closed, len(lengths) + closed)[: len(lengths)].tolist()
    figure = go.Figure()
    figure.add_hrect(low, high, fillcolor=Role.GENERATOR.color, opacity=0.18, line_width=0)
    line = {"width": 2, "color": Role.GENERATOR.color}
    figure.add_scatter(x=place, y=lengths, mode="lines", line=line, name="|z|", hovertemplate="%{y:.2f}")
    figure.update_layout(
        xaxis={
            "title": {"text": "Latent vector"},
            "range": [1, stops + closed],
            "tickvals": list(range(1, stops + 1 + closed)),
            "ticktext": ticks(stops, closed),
        },
        yaxis={"title": {"text": "|z|"}, "rangemode": "tozero", "range": [0, max(high, *lengths) * 1.1]},
        height=260,
        dragmode=False,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        showlegend=False,
    )
    text = f"Length of z along the path: {min(lengths):.1f} to {max(lengths):.1f}. In training, 98 of 100 latent vectors have a length between {low:.1f} and {high:.1f} (the band)."
    st.plotly_chart(figure, config={"displayModeBar": False}, key="walk_lengths", alt=text)
    st.caption(f"{text} {WAYS[mode]}", help=explain(mode))


def ticks(stops: int, closed: bool) -> Sequence[str]:
    """The labels below the chart: the vectors' places, the first again if the walk returns."""
    return [*(str(n) for n in range(1, stops + 1)), *(["1"] if closed else [])]


@st.cache_data(max_entries=50, show_spinner=False)
def usual_lengths(latent_dim: int, distribution: str) -> tuple[float, float]:
    """latent.usual_lengths(), which draws ten thousand vectors."""
    return latent.usual_lengths(latent_dim, distribution)
