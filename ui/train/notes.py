"""What went wrong with a run, and why it cannot simply continue."""

import streamlit as st

from gan.config import TrainConfig
from gan.runs.record import data_is_there
from gan.runs.run import Run
from gan.runs.states import AT_WORK, RunState
from gan.runs.stored import Status
from ui.text import plain, within


def obstacles(run: Run, config: TrainConfig) -> None:
    """Says why a run that is not active cannot simply continue, before anyone tries."""
    if run.state in AT_WORK or run.status().reason:
        return
    if run.state_is_lost:
        lost = "This run's saved state is missing or damaged."
        kept = run.folder.newest_kept()
        if kept is None:
            st.warning(f"{lost} {plain(run.folder.what_is_left())}", icon=":material/warning:")
        else:
            st.warning(
                f"{lost} The newest checkpoint is from step {kept:,}: continue from there, or fork the run.", icon=":material/warning:"
            )
    elif not data_is_there(config.data) and run.status().step:
        st.warning(
            f"This run's data set {plain(config.data)} is not on this server anymore. If it has another name now, press **Find its data set**. "
            "Otherwise put it back. To train on other images, fork the run.",
            icon=":material/warning:",
        )


def notes(run: Run, status: Status) -> None:
    """What went wrong with the run, or is unusual."""
    fault = run.fault
    if fault:
        st.warning(f"This run's files are damaged: {plain(within(run.folder.path, fault))}.", icon=":material/error:")
    if status.error and status.error != fault:
        (st.warning if status.state == RunState.PAUSED else st.error)(plain(status.error), icon=":material/error:")
    if run.at_work and (moves := run.moves):
        st.info(plain(moves[-1].in_words), icon=":material/move_up:")
    if status.reason:
        (st.warning if status.stuck else st.info)(plain(status.reason), icon=":material/info:")
    if status.state == RunState.INTERRUPTED:
        st.info(
            "The server stopped during this run. Everything up to its last saved state is there: press Resume.",
            icon=":material/info:",
        )
    if status.state in AT_WORK and not run.at_work:
        st.info("Another process is training this run, such as the command line. You can watch it here.", icon=":material/info:")
