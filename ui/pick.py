"""A list to choose one item from: it shows names, and the address holds the id, which never changes."""

from collections.abc import Container, Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from gan.runs.names import labels, listed
from gan.runs.run import Run
from ui.text import plain

LONGEST_SHOWN = 100  # characters of an id that is not there
MOST_SHOWN = 6  # of them


def options(runs: Sequence[Run]) -> dict[str, str]:
    """Runs in a list to choose from: id -> the run's name and id, so you can search for either."""
    return {run_id: listed(name, run_id) for run_id, name in labels(runs).items()}


def asked(key: str) -> str | None:
    """The choice before the list is drawn, from this session or the address; None for nothing.

    The address counts when the page is opened, and when someone goes back in the browser; from then on the session does.
    """
    state, address = st.session_state, st.query_params.get(key)
    if key in state and address == state.get(_told(key)):
        value = state[key]
        return state.get(_texts(key), {}).get(value, value)  # the browser may name a text that has just been replaced
    return address


def pick(label: str, texts: dict[str, str], key: str, default: str, help: str | None = None, place: DeltaGenerator | None = None) -> str:
    """Draws the list; returns the chosen id.

    Args:
        label: what is chosen.
        texts: id -> what the list shows, in order.
        key: of the widget, and of the parameter in the address.
        default: the id if nothing, or something missing, is requested; it is left out of the address.
        help: a sentence about the list.
        place: where to draw it; the page by default.
    """
    wanted = asked(key)
    st.session_state.setdefault(_texts(key), {}).update({text: i for i, text in texts.items()})
    st.session_state[key] = wanted if wanted in texts else default  # in each script run, so the browser gets the current texts
    chosen = (place or st).selectbox(label, list(texts), key=key, format_func=lambda i: texts.get(i, i), help=help)
    address = None if chosen == default else chosen
    if address is None and st.query_params.get(key, chosen) != chosen:
        del st.query_params[key]
    elif address is not None and st.query_params.get(key) != address:
        st.query_params[key] = address
    st.session_state[_told(key)] = st.query_params.get(key)
    return chosen


def keep(key: str, known: Container[str]) -> None:
    """Before the list is drawn, when the page is opened by a link without the parameter: the last choice in this session stays."""
    last = st.session_state.get(_told(key))
    if key not in st.query_params and isinstance(last, str) and last in known:
        st.query_params[key] = last


def _told(key: str) -> str:
    return f"{key}_in_address"


def _texts(key: str) -> str:
    return f"{key}_texts"


def missing(key: str, known: Container[str], what: str = "run") -> None:
    """Says that the item in the address is not on this server, until someone dismisses it. The address is corrected at once."""
    wanted = asked(key)
    say_missing(key, [] if wanted is None or wanted in known else [wanted], known, what)


def say_missing(key: str, unknown: Sequence[str], known: Container[str], what: str = "run") -> None:
    """The same for several items.

    Args:
        key: the key of the list and of the parameter in the address.
        unknown: the items in the address that do not exist; if empty, the previous warning stays.
        known: the items that exist.
        what: the word for an item.
    """
    state = st.session_state
    if unknown:
        state[_missing(key)] = [name[:LONGEST_SHOWN] for name in unknown[:MOST_SHOWN]]
    gone = [name for name in state.get(_missing(key), []) if name not in known]  # it may exist by now
    if not gone:
        state.pop(_missing(key), None)
        return
    with st.container(horizontal=True, vertical_alignment="center", key=f"{key}_not_there"):
        st.warning(f"There is no {what} {', '.join(map(plain, gone))} on this server.", icon=":material/search_off:")
        st.button("Dismiss", key=f"{key}_dismiss", icon=":material/close:", on_click=state.pop, args=(_missing(key), None))


def _missing(key: str) -> str:
    return f"{key}_missing"
