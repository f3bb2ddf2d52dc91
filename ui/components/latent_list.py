"""The visitor's list of latent vectors for walks: pictures in order, with names and seeds, to move, lock and replace."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from gan import latent
from gan.explore import vectors
from gan.explore.models import Model
from gan.explore.vectors import MOST, LatentVector
from ui.components.component import component
from ui.text import plain

KEY = "latent_list"  # the component's
PARAMETER = "stops"  # the seeds in the address
LEAST = 2
FIRST = (1, 2, 3, 4)
FILE = "noise-vectors.json"
SEEDS = 100_000  # new seeds are drawn below it: short ones are easier to read and to say

_VECTORS, _REVISION, _WRITTEN, _REFUSED = "noise_vectors", "noise_revision", "noise_written", "noise_refused"

_HTML = """
<section class="nl" aria-label="Latent vectors of the walk, in order">
  <ol class="nl-list"></ol>
  <p class="nl-buttons">
    <button type="button" class="nl-new" title="Gives every unlocked vector a new seed">New vectors</button>
    <button type="button" class="nl-add" title="Adds a vector with a random seed">Add one</button>
  </p>
  <p class="nl-said" role="status" aria-live="polite"></p>
</section>
"""

_component = component(KEY, _HTML)


def keep(vector: LatentVector) -> bool:
    """Adds a vector to the end of the visitor's list, from any view; False if the list is full.

    It is there the next time that the list is drawn.
    """
    items = _kept()
    if len(items) >= MOST:
        return False
    _take([*items, vector])
    return True


def latent_list(model: Model, class_name: str | None) -> list[LatentVector]:
    """Draws the list. Its pictures come from the server's own route, so moving one needs no script.

    Returns:
        The vectors in order, at least LEAST, including those with another latent size than this generator's.
    """
    items = _kept()
    data = {
        "items": [_told(vector, model) for vector in items],
        # Only a newer list replaces the browser's, which may be ahead of the script.
        "revision": st.session_state[_REVISION],
        "model": model.id,
        "label": class_name,
        "page": "explore",
        "size": model.config.image_size,
        "least": LEAST,
        "most": MOST,
        "seeds": SEEDS,
        "largest": str(latent.LARGEST_SEED),  # JavaScript's numbers end before
    }
    _component(key=KEY, data=data, default={"list": None}, on_list_change=_changed)
    if refused := st.session_state.pop(_REFUSED, None):
        st.error(f"The list cannot be used: {plain(refused)}.", icon=":material/error:")
    _write_address(items)
    return items


def list_menu(model: Model) -> None:
    """A popover that saves the list as a file, loads a list, and takes typed seeds."""
    items = _kept()
    with st.popover("Save, load, type", icon=":material/list_alt:", key="noise_menu"):
        icon = ":material/download:"
        st.download_button("Save the list", vectors.write(items), FILE, "application/json", icon=icon, on_click="ignore", width="stretch")
        st.file_uploader(
            "Load a list",
            ["json"],
            key="noise_file",
            max_upload_size=1,
            on_change=_load,
            args=(model.config.latent_dim,),
            help="A file saved here, with names, locks and order.",
        )
        st.text_input(
            "Seeds, in order",
            key="noise_seeds",
            placeholder="1,2,10-13",
            on_change=_type,
            help="Replaces the list. Enter two or more, as in 1,2,10-13.",
        )


def _kept() -> list[LatentVector]:
    """The visitor's list. If the address names other seeds than were written last, it is a new visit and wins."""
    asked = st.query_params.get(PARAMETER)
    if asked is not None and asked != st.session_state.get(_WRITTEN):
        st.session_state[_WRITTEN] = asked
        try:
            _take([LatentVector(seed) for seed in _seeds(asked)])
        except ValueError as error:
            st.session_state[_REFUSED] = str(error)
    if _VECTORS not in st.session_state:
        _take([LatentVector(seed) for seed in FIRST])
    items: list[LatentVector] = st.session_state[_VECTORS]
    return items


def _take(items: Sequence[LatentVector]) -> None:
    """Replaces the list, whatever the browser shows."""
    st.session_state[_VECTORS] = list(items)
    st.session_state[_REVISION] = secrets.token_hex(4)


def _write_address(items: Sequence[LatentVector]) -> None:
    text = latent.seed_text([vector.seed for vector in items if vector.seed is not None])
    st.session_state[_WRITTEN] = text
    if text == latent.seed_text(FIRST) and PARAMETER not in st.query_params:
        return  # what a page without an address shows
    if text:
        st.query_params[PARAMETER] = text
    else:
        st.query_params.pop(PARAMETER, None)


def _seeds(text: str) -> list[int]:
    seeds = latent.parse_seeds(text, MOST)
    if len(seeds) < LEAST:
        raise ValueError(f"give at least {LEAST} seeds, as in 1,2,3")
    return seeds


def _told(vector: LatentVector, model: Model) -> dict[str, Any]:
    """A vector for the browser. `ref` stands for numbers, which stay on the server; `z` is only for its picture."""
    told: dict[str, Any] = {"name": vector.name, "locked": vector.locked}
    if vector.seed is not None:
        return told | {"seed": str(vector.seed)}
    fits = vector.fits(model.config.latent_dim)
    return told | {"ref": vector.ref, "z": ",".join(f"{number:.5g}" for number in vector.z) if fits else None}


def read_items(items: object, known: Sequence[LatentVector]) -> list[LatentVector]:
    """A list from the browser, which may send anything.

    known: the vectors that `ref` may refer to.

    Raises:
        ValueError: it cannot be used; in one sentence.
    """
    if not isinstance(items, Sequence) or isinstance(items, str) or not LEAST <= len(items) <= MOST:
        raise ValueError(f"a walk has {LEAST} to {MOST} latent vectors")
    numbers = {vector.ref: vector.z for vector in known if vector.z}
    checked = []
    for item in items:
        if not isinstance(item, Mapping):
            raise ValueError("a latent vector has a seed")
        name, seed, ref = (item.get(key) for key in ("name", "seed", "ref"))
        if ref is not None and not (isinstance(ref, str) and ref in numbers):
            raise ValueError("one of the vectors is no longer known: load the list again")
        seeds = latent.parse_seeds(str(seed), 1) if ref is None else [None]
        checked.append(
            LatentVector(seeds[0], numbers.get(ref, ()) if ref else (), name if isinstance(name, str) else "", item.get("locked") is True)
        )
    return checked


def _changed() -> None:
    """The browser has another list."""
    try:
        st.session_state[_VECTORS] = read_items(st.session_state[KEY].list, _kept())
    except ValueError as error:
        st.session_state[_REFUSED] = str(error)
        st.session_state[_REVISION] = secrets.token_hex(4)  # back to the last usable list


def _load(latent_dim: int) -> None:
    file = st.session_state.get("noise_file")
    if file is None:
        return
    try:
        loaded = vectors.read(file.getvalue(), latent_dim)
        if len(loaded) < LEAST:
            raise ValueError(f"a walk needs at least {LEAST} latent vectors; the file has {len(loaded)}")
        _take(loaded)
    except ValueError as error:
        st.session_state[_REFUSED] = str(error)


def _type() -> None:
    text = st.session_state.get("noise_seeds", "")
    if not text.strip():
        return
    try:
        _take([LatentVector(seed) for seed in _seeds(text)])
        st.session_state["noise_seeds"] = ""
    except ValueError as error:
        st.session_state[_REFUSED] = str(error)
