"""Suggested settings for the chosen data set: how long they take, why, and a button that fills the form."""

import functools
import logging
from collections.abc import Generator
from typing import Any

import streamlit as st

from gan.config import TRANSLATORS, TrainConfig
from gan.data import datasets
from gan.data.facts import look_at
from gan.data.suggest import Proposal, Suggestion, in_words, suggest
from gan.events import Progress
from gan.runs.run import explain
from gan.training.bench import quick_speed
from ui.config_form import CHOSEN_DATA, KEY, fill_form
from ui.progress import Canceled, drain
from ui.text import plain
from ui.workshop import manager

log = logging.getLogger(__name__)

FOUND = "suggestion"  # in the session: the newest one, or a sentence that says why there is none, and its set (see _version)
KEPT = ("fit", "background")  # settings that the visitor chose with the set


def suggested() -> None:
    """Draws the suggestion; nothing until the visitor has chosen a data set, or if the form's networks translate images: it is for others."""
    data = st.session_state.get(KEY + "data")
    if st.session_state.get(KEY + "networks") in TRANSLATORS:
        return
    if not st.session_state.get(CHOSEN_DATA) or data not in datasets.available() or datasets.to_download(data):
        return
    version, found = st.session_state.get(FOUND, (None, ""))
    if version != _version(data):
        cancel = Canceled("suggestion_canceled", data)
        if cancel.waits("You canceled the suggestion of settings.", "Suggest settings", ":material/auto_fix_high:"):
            return
        try:
            found = drain(_working(data), "cancel_suggestion", cancel)
        except (ValueError, OSError) as error:
            log.warning("no settings can be suggested for %s: %s", data, error)
            found = f"No settings can be suggested for {plain(data)}: {plain(explain(error).rstrip('.'))}."
        st.session_state[FOUND] = _version(data), found
    if isinstance(found, str):
        st.caption(found)
    else:
        _show(data, found)


def _version(data: str) -> tuple[str, int]:
    """A data set's name, and when its folder or file last changed: another upload may have the same name."""
    path = datasets.place(data)
    try:
        return data, path.stat().st_mtime_ns if path else 0
    except OSError:  # deleted a moment ago: the form says so
        return data, 0


def _working(data: str) -> Generator[Progress, None, Suggestion]:
    facts = yield from look_at(data)
    yield Progress("Timing a few training steps", 0, 0)
    return suggest(facts, functools.partial(quick_speed, device=manager().next_device()))


def _show(data: str, found: Suggestion) -> None:
    with st.container(border=True, gap="small"):
        st.markdown(f"**Suggested settings for {plain(data)}**  \n{in_words(found)}")
        if _in_use(found):
            st.caption(":material/check: These settings are in the form.")
        else:
            st.button("Use these settings", icon=":material/auto_fix_high:", key="use_suggestion", on_click=_use, args=(found,))
        with st.expander("Why these settings?"):
            st.markdown("\n".join(f"- {_words(proposal)}: {plain(proposal.why)}." for proposal in found.proposals))


def _use(found: Suggestion) -> None:
    kept = {name: st.session_state[KEY + name] for name in KEPT if KEY + name in st.session_state}
    fill_form(found.config.change(**kept))
    st.session_state["recipe"] = found.recipe


def _in_use(found: Suggestion) -> bool:
    return all(st.session_state.get(KEY + name) == value for proposal in found.proposals for name, value in proposal.settings.items())


def _words(proposal: Proposal) -> str:
    """The first of a proposal's settings in words: the others follow from it."""
    name, value = next(iter(proposal.settings.items()))
    info = TrainConfig.model_fields[name]
    if name == "duration":
        return f"{info.title} **{value / 60:g} minutes**"
    unit = info.json_schema_extra["unit"] if isinstance(info.json_schema_extra, dict) else ""
    return f"{info.title} **{plain(_shown(value))}**{f' {unit}' if unit else ''}"


def _shown(value: Any) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
