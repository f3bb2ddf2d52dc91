"""Suggested settings for the chosen data set: how long they take, why, a button that fills the form, and a start with them at once."""

import functools
import logging
from collections.abc import Callable, Generator
from typing import Any

import streamlit as st

from gan.config import TRANSLATORS, TrainConfig
from gan.data import datasets
from gan.data.facts import look_at
from gan.data.suggest import Proposal, Suggestion, in_words, suggest
from gan.events import Progress
from gan.runs.run import Run, explain
from gan.runs.states import AT_WORK
from gan.training.bench import quick_speed
from ui.config_form import CHOSEN_DATA, KEY, fill_form
from ui.page_files import FOR_THE_SET, START
from ui.progress import Canceled, drain, in_its_place
from ui.text import plain
from ui.train.start_from import CHOSEN, NEW
from ui.workshop import manager

log = logging.getLogger(__name__)

FOUND = "suggestion"  # in the session: the newest one, or a sentence that says why there is none, and its set (see _version)
RUN_SAID = "suggested_run"  # in the session: the newest run that started so, and a sentence about its settings
KEPT = ("fit", "background")  # settings that the visitor chose with the set


def suggested() -> None:
    """Draws the suggestion; nothing until the visitor has chosen a data set, or if the form's networks translate images: it is for others."""
    data = st.session_state.get(KEY + "data")
    if st.session_state.get(KEY + "networks") in TRANSLATORS:
        return
    if not st.session_state.get(CHOSEN_DATA) or data not in datasets.available() or datasets.to_download(data):
        return
    cancel = Canceled("suggestion_canceled", data)
    if not _is_known(data) and cancel.waits("You canceled the suggestion of settings.", "Suggest settings", ":material/auto_fix_high:"):
        return
    found = _find(data, cancel)
    if isinstance(found, str):
        st.caption(found)
    else:
        _show(data, found)


def filled_at_once() -> Suggestion | None:
    """Fills the form with suggested settings if the visitor comes from a data set, and returns them if a run should start with them at once.

    Draws the search for them meanwhile. If it finds none, or is canceled, the form is next, and says so.
    """
    wanted = st.session_state.get(FOR_THE_SET)
    if not wanted:
        return None
    data = st.session_state[KEY + "data"]
    cancel = Canceled("suggestion_canceled", data)

    def stay() -> None:
        st.session_state.pop(FOR_THE_SET, None)
        cancel()

    place = st.empty()
    try:
        with place.container():
            st.subheader(f"Choosing settings for {plain(data)}")
            found = _find(data, stay)
    except Exception:
        stay()
        raise
    place.empty()
    st.session_state.pop(FOR_THE_SET, None)  # only now: an interrupted script continues in the next one
    if isinstance(found, str):
        return None
    _use(found)
    st.session_state[CHOSEN] = NEW  # networks that fit another run's settings
    return found if wanted == START else None


def started_with(found: Suggestion, run_id: str) -> None:
    """Remembers that a run has started with these settings, for its page."""
    said = f"Settings chosen for {plain(found.config.data)}: {found.recipe} at {found.config.image_size} pixels. {in_words(found)}"
    st.session_state[RUN_SAID] = run_id, said


def chosen_settings(run: Run) -> None:
    """Draws what was chosen for a run that started at once."""
    run_id, said = st.session_state.get(RUN_SAID, ("", ""))
    if run_id == run.id and run.state in AT_WORK:
        st.caption(f":material/auto_fix_high: {said}")


@in_its_place
def _find(data: str, cancel: Callable[[], None]) -> Suggestion | str:
    """The suggestion for a data set, or a sentence that says why there is none. Found once for each version of the set."""
    if not _is_known(data):
        try:
            found: Suggestion | str = drain(_working(data), "cancel_suggestion", cancel)
        except (ValueError, OSError, RuntimeError) as error:  # a GPU without free memory is a RuntimeError
            log.warning("no settings can be suggested for %s: %s", data, error)
            found = f"No settings can be suggested for {plain(data)}: {plain(explain(error).rstrip('.'))}."
        st.session_state[FOUND] = _version(data), found
    result: Suggestion | str = st.session_state[FOUND][1]
    return result


def _is_known(data: str) -> bool:
    return bool(st.session_state.get(FOUND, (None, ""))[0] == _version(data))


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
