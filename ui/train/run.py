"""One run: its controls, its live view, its findings, its settings."""

from functools import partial
from typing import Any

import streamlit as st

from gan.config import TrainConfig
from gan.networks.generator_file import CheckpointError
from gan.runs.names import label
from gan.runs.run import Run
from gan.runs.states import RunState
from ui.charts import value_text
from ui.comparison import parent_of
from ui.components.findings import Actions, findings_panel
from ui.components.run_view import run_view
from ui.components.visitor import visitor
from ui.config_form import fill_fork_form
from ui.health import changes_text
from ui.knobs import knobs
from ui.text import plain, within
from ui.train.about import about
from ui.train.actions import copy_settings, steer
from ui.train.after import after
from ui.train.controls import controls, delete_button
from ui.train.fork import fork
from ui.train.guide import guide
from ui.train.headline import headline
from ui.train.notes import notes, obstacles
from ui.train.queue import REFRESH_S, starts_now, waiting
from ui.train.suggested import chosen_settings
from ui.workshop import manager


def remedies_of(run: Run) -> Actions:
    """The effects of the doctor's remedies on a run."""

    def change(changes: dict[str, Any]) -> None:
        for name, value in changes.items():
            steer(manager().change, run.id, name, value)

    def offer_fork(changes: dict[str, Any], step: int) -> None:
        fill_fork_form(changes)
        st.session_state["fork_wanted"] = step

    def offer_new(changes: dict[str, Any]) -> None:
        config = run.live_config
        copy_settings(config.change(**changes), run.stored.recipe, plain(changes_text(config, changes)))

    steerable = run.at_work and run.state in (RunState.RUNNING, RunState.PAUSED) and manager().may_steer(run, visitor())
    return Actions(change if steerable else None, offer_fork, offer_new)


def origin(run: Run) -> dict[str, Any] | None:
    """The run that a fork continues, as the live view shows it: its id, its name in lists, the step and the changed settings."""
    parent = parent_of(run.stored)
    if parent is None:
        return None
    try:
        name = label(manager().get(parent.run))
    except KeyError:  # deleted since
        name = parent.run
    return {"run": parent.run, "name": name, "step": parent.step, "settings": parent.settings}


def show(run: Run) -> None:
    """One run: its controls, its live view, its settings."""
    try:
        config = run.config
    except CheckpointError as error:
        st.error(f"This run cannot be opened: {plain(within(run.folder.path, error))}.", icon=":material/error:")
        mine = manager().may_steer(run, visitor())
        st.caption(f"The other runs are not affected: choose one above.{'' if mine else ' The host can delete this one.'}")
        if mine:
            delete_button(run)
        return
    status = run.status()
    said = st.container()  # why first, then what to press
    controls(run, config)
    with said:
        notes(run, status)
        obstacles(run, config)
        chosen_settings(run)
    actions = remedies_of(run)
    headline(run, actions)
    with st.container():
        guide(run)
    soon = starts_now(run)
    if status.state == RunState.QUEUED and not soon:
        st.fragment(waiting, run_every=REFRESH_S)(run)
    # The same columns in every state: anywhere else, the live view would be rebuilt.
    with st.container(key="run_room"):  # shell.css keeps room for the live view while it is loaded
        view, beside = st.columns([3, 1], gap="medium")
    with view:
        unbegun = status.state == RunState.QUEUED and not soon and not status.step
        wanted = run_view(
            run.id, config, status.state, "train", origin(run), can_fork=True, waiting=unbegun, judged=run.at_work and run.to_be_judged
        )
        if status.state != RunState.QUEUED:
            findings_panel(run, actions)
    if wanted is None:
        wanted = st.session_state.pop("fork_wanted", None)
    fork(run, wanted)
    with beside:
        if (soon or status.state in (RunState.RUNNING, RunState.PAUSED)) and run.at_work and manager().may_steer(run, visitor()):
            st.subheader(
                "Change settings live", help="A change takes effect at the next step. It is marked on the charts and saved with the run."
            )
            knobs(run, partial(steer, manager().change, run.id), partial(steer, manager().set_pace, run.id))
        about(run, config, status)
    with st.container(key="below_run"):  # shell.css shows it when the live view is there
        after(run, config)
        skipped = run.stored.data_skipped_count
        if skipped:
            with st.expander(f"{skipped:,} files and folders of the data set were left out"):
                st.text("\n".join(run.stored.data_skipped))
        with st.expander("Settings of this run", icon=":material/tune:"):
            fields = TrainConfig.model_fields
            values = config.model_dump()
            effective = {name: value for name, value in values.items() if TrainConfig.has_effect(name, values)}
            st.table({"Value": {fields[name].title: plain(value_text(value)) for name, value in effective.items()}})
