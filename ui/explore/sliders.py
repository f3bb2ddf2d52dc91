"""Explore's sliders: along directions of a generator's latent space, with a picture that follows."""

import streamlit as st
import torch

from gan.devices import one_thread
from gan.explore import attributes, directions
from gan.explore.attributes import Contrast
from gan.explore.directions import Directions
from gan.explore.models import Model, find_model
from gan.glossary import explain
from gan.images import shrink, tile, webp
from ui.address import bound
from ui.components.latent_sliders import FURTHEST, Place, Where, checked, latent_sliders, rounded
from ui.dice import seed_dice
from ui.explore import snippets
from ui.explore.common import NOISE_HELP, known_contrasts, stamp
from ui.explore.share import share
from ui.pictures import data_url
from ui.workshop import models

NAMED = "named"
METHODS = {NAMED: "Attributes", "pca": "PCA", "sefa": "SeFa", "raw": "Dimensions"}  # the first for generators that have some
STRONGEST = 8  # sliders shown without asking
STOPS = 5  # pictures of a strip
STYLES = 1000  # to measure how far they usually are from their mean
STRIP_SIDE = 32  # pixels of each, about

_HELP = """What a slider moves along.

- **Attributes**: what the data's labels name, such as glasses or a digit. Worked out for the generators that come with the app.
- **PCA**: principal components of the features after the generator's first layer, over a few thousand latent vectors
  (GANSpace, Härkönen et al. 2020).
- **SeFa**: directions that the first layer's weights stretch most (Shen and Zhou 2021).
- **Dimensions**: the single numbers of z that change the image most.

In w, PCA and SeFa look at the styles: the principal components of w, and the directions that all layers' style weights stretch most.
"""

SPACES = ("w", "z")  # of a generator with styles
_SPACE_HELP = """Where the sliders move.

- **w**: the styles, which the mapping network makes of z. Its directions change fewer things at once (Karras et al. 2019).
- **z**: the latent vector itself.
"""


@st.cache_data(show_spinner="Looking for the strongest directions…", max_entries=100)
def find(model_id: str, stamp: int, method: str, label: int | None, space: str = "z") -> Directions:
    """All directions for sliders. stamp: the file's modification time, so a newer file is examined again. space: see SPACES."""
    model = find_model(models().root, model_id)
    if method == NAMED:
        return attributes.as_directions(named(model, label), directions.MOST)
    count = model.config.latent_dim if method == "raw" else directions.MOST
    with one_thread():
        if space == "w":
            return directions.find_styles(models().styled(model), method, count, model.config.latent_distribution, label)
        return directions.find(models().get(model).network, method, count, model.config.latent_distribution, label)


@st.cache_data(show_spinner=False, max_entries=20)
def known(model_id: str, stamp: int, label: int | None) -> tuple[list[float], tuple[float, float]]:
    """The mean of w, and the usual distances from it: those of 98% of the styles in training."""
    model = find_model(models().root, model_id)
    center = models().styled(model).mean_w
    away = (models().styles(model, model.z(list(range(STYLES))), label or 0) - center).norm(dim=1)
    low, high = away.quantile(torch.tensor([0.01, 0.99])).tolist()
    return rounded(center), (low, high)


@st.cache_data(show_spinner="Drawing what each direction does…", max_entries=200)
def strips(
    model_id: str, stamp: int, method: str, places: list[int], seed: int, label: int | None, space: str = "z", noise: bool = True
) -> list[str]:
    """For each direction a strip of five pictures, from one end of its slider to the other, as a data URL."""
    model = find_model(models().root, model_id)
    along = torch.linspace(-FURTHEST, FURTHEST, STOPS)
    vectors = find(model_id, stamp, method, label, space).vectors[places]
    start = models().styles(model, model.z([seed]), label or 0) if space == "w" else model.z([seed])
    points = (start + along[:, None] * vectors[:, None]).flatten(0, 1)
    if space == "z" and model.config.latent_distribution == "uniform":
        points.clamp_(-1, 1)  # the generator never saw values beyond
    if model.config.has_styles:
        w = points if space == "w" else models().styles(model, points, label or 0)
        images = models().images_of_styles(model, w, noise)
    else:
        images = models().images(model, points, label or 0)
    images = shrink(images, STRIP_SIDE)
    pictures = [webp(tile(images[start : start + STOPS], columns=STOPS, gap=0)) for start in range(0, len(images), STOPS)]
    return [data_url(picture, "webp") for picture in pictures]


@st.fragment
def view(model: Model, label: int) -> None:
    """One picture, and a slider for each of the strongest directions."""
    first, second, third = st.columns([3, 4, 3], vertical_alignment="bottom")
    with first.container(horizontal=True, vertical_alignment="bottom"):
        seed = int(
            st.number_input("Start from seed", 0, 2**31 - 1, 1, key="seed", bind=bound("seed"), help=explain("latent vector"), width=160)
        )
        seed_dice("seed")
    within = label if model.class_names else None
    space, noise = choose_space() if model.config.has_styles else ("z", True)
    things = named(model, within) if space == "z" else []
    methods = [method for method in METHODS if method != NAMED or things]
    if st.session_state.get("directions", methods[0]) not in methods:  # another generator's
        st.session_state.pop("directions", None)
    method = second.segmented_control(
        "Directions",
        methods,
        default=methods[0],
        format_func=METHODS.__getitem__,
        key="directions",
        bind="query-params",
        required=True,
        help=_HELP,
    )
    method = method or methods[0]  # ?directions= clears even what is required
    most = model.config.latent_dim if method == "raw" else directions.MOST
    all_of_them = find(model.id, stamp(model), method, within, space)
    if method == "raw":
        more = third.multiselect(
            "More dimensions",
            list(all_of_them.numbers[STRONGEST:]),
            key="more",
            bind="query-params",
            max_selections=directions.MOST - STRONGEST,
            help="The sliders show the strongest dimensions. This list has the others, strongest first.",
        )
        places = [*range(min(STRONGEST, len(all_of_them))), *(all_of_them.numbers.index(number) for number in more)]
    else:
        count = third.segmented_control(
            "Sliders", [STRONGEST, directions.MOST], default=STRONGEST, key="count", bind="query-params", required=True
        )
        count = count or STRONGEST  # ?count= clears even what is required
        places = list(range(min(count, len(all_of_them))))
    if not places:
        st.info("This generator has no clear directions yet. Train it longer.", icon=":material/info:")
        return
    name = model.class_names[label] if model.class_names else None
    drawn = strips(model.id, stamp(model), method, places, seed, within, space, noise)
    shown = all_of_them.only(places)
    about = [_about(method, number, share, things, space) for number, share in zip(shown.numbers, shown.shares, strict=True)]
    kind = method if space == "z" else f"{method}_w"
    if model.config.has_styles:
        center, usual = known(model.id, stamp(model), within)
        start = models().styles(model, model.z([seed]), label)[0] if space == "w" else model.z([seed])[0]
        where = Where(space, rounded(start), center, usual, noise)
    else:
        where = None
    place = latent_sliders(model, name, seed, shown, about, drawn, read_place(kind), kind, where)
    write_place(kind, place)
    reach = f"It moves {space} by up to {FURTHEST:g} standard deviations."
    if method == NAMED:
        reach = f"At {attributes.WANTED_AT:g}, most samples have what its name says."
    st.caption(f"Drag a slider or use the arrow keys. {reach} Click a name to change it.")
    moved = {number: far for number, far in place.values.items() if number in shown.numbers}
    styled = (space, noise) if model.config.has_styles else None
    share(snippets.sliders(model.id, seed, method, most, moved, place.psi, within, name, styled))


def choose_space() -> tuple[str, bool]:
    """Where a generator with styles is moved, and whether its images have noise."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        space = st.segmented_control("Space", SPACES, default=SPACES[0], key="space", bind="query-params", required=True, help=_SPACE_HELP)
        noise = st.toggle("Noise", True, key="noise", bind="query-params", help=NOISE_HELP)
    return space or SPACES[0], noise  # ?space= clears even what is required


def named(model: Model, label: int | None) -> list[Contrast]:
    """What the generator's samples have in common, if that is known; nothing for generators that draw by class."""
    return (known_contrasts(model, 0) or []) if label is None else []


def _about(method: str, number: int, share: float, things: list[Contrast], space: str) -> tuple[str, str]:
    """What a direction is called, and a sentence on it."""
    if method == NAMED:
        name = things[number - 1].name
        return name.capitalize(), f'At {attributes.WANTED_AT:g}, "{name}" appears in {share:.0%} of samples that did not show it before.'
    if method == "raw":
        step = "1" if space == "z" else "one standard deviation"
        return f"Dimension {number}", f"A step of {step} changes a pixel by {share / 2:.1%} of its range on average."
    of_z = {"pca": "the variance of the features", "sefa": "the first layer's squared weights"}
    what = (of_z if space == "z" else {"pca": "the variance of w", "sefa": "all layers' squared style weights"})[method]
    return f"Direction {number}", f"It holds {share:.1%} of {what}."


def read_place(method: str) -> Place:
    """The positions of the sliders of a kind from the address: pca=1:0.5,3:-2 and pca_names=1:smile."""
    values: dict[str, str] = {}
    names: dict[str, str] = {}
    for text, into in ((st.query_params.get(method, ""), values), (st.query_params.get(f"{method}_names", ""), names)):
        into.update(part.partition(":")[::2] for part in text[:4000].split(","))
    return checked(values, st.query_params.get("psi", "1"), names)


def write_place(method: str, place: Place) -> None:
    """Keeps the sliders' positions and names in the address; nothing if nothing was moved."""
    values = ",".join(f"{number}:{value:g}" for number, value in sorted(place.values.items()))
    names = ",".join(f"{number}:{name.replace(',', ' ')}" for number, name in sorted(place.names.items()))
    for key, text in ((method, values), (f"{method}_names", names), ("psi", f"{place.psi:g}" if place.psi < 1 else "")):
        if text:
            st.query_params[key] = text
        else:
            st.query_params.pop(key, None)
