"""Explore's arithmetic: means of chosen samples, added and subtracted; or means of classes and attributes if the data has them."""

import streamlit as st
import torch

from gan import latent
from gan.explore import attributes, contrast_file
from gan.explore.attributes import Contrast, Mean
from gan.explore.models import Model
from gan.glossary import explain
from ui.components.arithmetic import MOST_JITTER, STRONGEST, Group, arithmetic, bounded, picked
from ui.dice import seeds_dice
from ui.explore import snippets
from ui.explore.common import contrasts, known_contrasts, stamp
from ui.explore.share import share
from ui.judging import why_missing
from ui.progress import drain, in_its_place
from ui.text import plain
from ui.workshop import models

FIRST = {"a": "1,2,3", "b": "4,5,6", "c": "7,8,9"}  # as many as in the paper's figure 7
LABELS = {"a": "A", "b": "minus B", "c": "plus C"}
MOST_PICKED = 100
LONGEST = 1000  # characters of a group as typed


def view(model: Model, label: int) -> None:
    """Three groups, chosen by seeds, by clicks, or by what samples have in common."""
    first, before = first_example(model, label), st.session_state.get("arithmetic_first")
    st.session_state["arithmetic_first"] = first
    for letter in LABELS:  # not bound to the address, because clicks and presets also write into these fields
        if letter not in st.session_state:
            st.session_state[letter] = st.query_params.get(letter, first[letter])[:LONGEST]
        elif before and st.session_state[letter] == before[letter]:  # another generator's first example
            st.session_state[letter] = first[letter]
    # Outside of the fragment, whose own buttons cannot interrupt it.
    equation(model, label, find(model, label))


def example(known: list[Contrast]) -> Contrast:
    """What to begin with: what everyone knows, or what works best."""
    return max(known, key=lambda contrast: (contrast.name in ("glasses", "smiling"), contrast.share))


def first_example(model: Model, label: int) -> dict[str, str]:
    """The groups for a page without an address, and the strength as "times"."""
    # Not of what a visitor found: the address leaves out what is here, and must mean the same after the server was started again.
    known = known_contrasts(model, label) if contrast_file.place(model.path).is_file() else None
    if not known:
        return {**FIRST, "times": "1"}
    shown = example(known)
    return {"a": shown.present.name, "b": shown.absent.name, "c": str(shown.absent.seeds[0]), "times": f"{shown.strength:g}"}


def named() -> bool:
    """Whether a group is typed as the name of a mean."""
    return any(text and not text[0].isdigit() for text in (st.session_state[letter].strip() for letter in LABELS))


@st.fragment
def equation(model: Model, label: int, known: list[Contrast] | None) -> None:
    """The groups, and what comes out."""
    above, first = st.container(), st.session_state["arithmetic_first"]
    texts = []
    *columns, right = st.columns([3, 3, 3, 2], vertical_alignment="bottom")
    for letter, column in zip(LABELS, columns, strict=True):
        text = column.text_input(
            LABELS[letter],
            key=letter,
            max_chars=LONGEST,
            help="Seeds, as in 1,2,10-13, or the name of a mean, as in: with glasses. What counts is the mean of their latent vectors.",
        )
        texts.append(text.strip())
        keep(letter, text.strip(), first[letter])
    with right:
        seeds_dice(dict.fromkeys(LABELS, MOST_PICKED))
    if named() and not st.session_state.get("arithmetic_named"):  # typed just now: what is needed for it is found outside
        st.session_state["arithmetic_named"] = True
        st.rerun()
    if known:
        with above:
            presets(known, texts)
    means = {mean.name: mean for contrast in known or [] for mean in (contrast.present, contrast.absent)}
    groups = []
    try:
        for text in texts:
            groups.append(read_group(model, text, means))
    except ValueError as error:
        st.error(f"The groups cannot be used: {plain(error)}.", icon=":material/error:")
        return
    strength, jitter = arithmetic(
        model,
        model.class_names[label] if model.class_names else None,
        groups,
        bounded(st.query_params.get("times", first["times"]), STRONGEST, 1.0),
        bounded(st.query_params.get("jitter"), MOST_JITTER, attributes.JITTER),
        st.session_state.get("arithmetic_round", 0),
        take_picked,
    )
    keep("times", f"{strength:g}", first["times"])
    keep("jitter", f"{jitter:g}", f"{attributes.JITTER:g}")
    class_name = model.class_names[label] if model.class_names else None
    told = [group.seeds if group.picked else group.title for group in groups]
    share(snippets.arithmetic(model.id, told, round(strength, 3), round(jitter, 3), label, class_name))
    st.caption(
        "Each group is the mean of its latent vectors. The center shows A − B + C, and its eight neighbors differ a little. "
        "Means of few samples may also change other things. See Radford et al. 2016, figure 7.",
        help=explain("latent vector"),
    )


def keep(key: str, value: str, usual: str) -> None:
    """Keeps a value in the address if it is not the default."""
    if value == usual:
        st.query_params.pop(key, None)
    else:
        st.query_params[key] = value


def take_picked() -> None:
    """Writes the seeds picked by clicks into the text fields."""
    for letter, text in picked().items():
        st.session_state[letter] = text[:LONGEST]


def read_group(model: Model, text: str, means: dict[str, Mean]) -> Group:
    """A typed group: seeds, the name of a mean, or nothing, which counts as zero.

    Raises:
        ValueError: it is something else.
    """
    if not text:
        return Group("nothing", torch.zeros(model.config.latent_dim), (), True)
    if not text[0].isdigit():
        if text not in means:
            known = f"the means known here are: {', '.join(means)}" if means else "no means are known here"
            raise ValueError(f"a group is seeds, as in 1,2,10-13, or the name of a mean; got {text[:80]!r}, and {known}"[:1000])
        mean = means[text]
        return Group(text, mean.vector, mean.seeds, False)
    seeds = list(dict.fromkeys(latent.parse_seeds(text, MOST_PICKED)))
    title = f"seed {seeds[0]}" if len(seeds) == 1 else f"mean of {len(seeds)} samples"
    return Group(title, model.z(seeds).mean(0), tuple(seeds), True)


def presets(known: list[Contrast], texts: list[str]) -> None:
    """A choice of what to add, and how well it works."""
    left, right = st.columns([1, 2], vertical_alignment="bottom")
    names = {contrast.name: contrast for contrast in known}

    def fill() -> None:
        if contrast := names.get(st.session_state["preset"]):
            st.session_state["a"], st.session_state["b"] = contrast.present.name, contrast.absent.name
            st.session_state["c"] = str(contrast.absent.seeds[0])
            st.session_state["arithmetic_round"] = st.session_state.get("arithmetic_round", 0) + 1
            st.query_params["times"] = f"{contrast.strength:g}"

    left.selectbox(
        "Add to a picture",
        list(names),
        index=None,
        placeholder="Choose…",
        key="preset",
        on_change=fill,
        help="Fills in A with the mean of samples that show it, B with the mean of the others, and C with a sample without it.",
    )
    for contrast in known:
        if texts[:2] == [contrast.present.name, contrast.absent.name]:
            right.caption(
                plain(
                    f'At strength {contrast.strength:g}, "{contrast.name}" appears in {contrast.share:.0%} of {attributes.TRIED} samples that did not show it before. '
                    "A small classifier trained on the data's labels checks this."
                )
            )


@in_its_place
def find(model: Model, label: int) -> list[Contrast] | None:
    """The means of attributes, cached or found now; None until someone asks, or with the reason on the page if they cannot be found."""
    # Naming a mean asks for it.
    asked = st.session_state["arithmetic_named"] = named()
    key = (model.id, stamp(model), label)
    if (known := known_contrasts(model, label)) is not None:
        return known
    if reason := why_missing(model.config, "generator", "Without them its samples cannot be labeled."):
        st.caption(reason)
        return None

    def ask() -> None:
        st.session_state["arithmetic_asked"] = key
        st.session_state.pop("arithmetic_canceled", None)

    def cancel() -> None:
        st.session_state["arithmetic_canceled"] = key
        st.session_state.pop("arithmetic_asked", None)

    place = st.empty()
    place.button(
        "Find classes and attributes",
        icon=":material/search:",
        on_click=ask,
        help="A small classifier labels a few thousand samples, so that you can add glasses or change a digit. "
        "The first time takes half a minute.",
    )
    if st.session_state.get("arithmetic_asked") != key and (not asked or st.session_state.get("arithmetic_canceled") == key):
        return None
    place.empty()
    config = model.config
    try:
        known = drain(
            attributes.find(lambda z: models().images(model, z, label), config),
            "arithmetic_cancel",
            cancel,
        )
    except ValueError as error:
        st.info(f"The samples cannot be labeled: {plain(error)}.", icon=":material/info:")
        return None
    if not known:
        st.caption("Nothing found: no class or attribute of the data divides the samples.")
    contrasts.put(key, known)
    return known
