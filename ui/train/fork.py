"""The dialog that forks a run from one of its saved states."""

import streamlit as st

from gan import glossary
from gan.config import TrainConfig
from gan.runs.run import Run
from ui.components.visitor import visitor
from ui.config_form import fork_form, read_fork_form
from ui.form_words import refusal
from ui.page_files import FORKING
from ui.text import plain
from ui.train.actions import choose
from ui.workshop import manager


def close() -> None:
    """Forgets the open dialog, so the next script run does not draw it."""
    st.session_state.pop(FORKING, None)


def start_fork(run_id: str, config: TrainConfig, step: int) -> None:
    try:
        choose(manager().fork(run_id, step, *read_fork_form(config), visitor=visitor()).id)
    except (ValueError, OSError) as error:
        st.session_state["fork_error"] = refusal(error)
    else:
        st.session_state["forked"] = True
        close()


def fork(run: Run, wanted: int | None) -> None:
    """Draws the dialog if it is open. wanted: the step to fork from, if it was just asked for; this opens it.

    It stays open while the page is drawn again, for example when the run ends.
    """
    if wanted is not None:
        st.session_state[FORKING] = run.id, wanted
    run_id, step = st.session_state.get(FORKING, ("", 0))
    if run_id == run.id:
        fork_dialog(run, run.live_config, step)
    elif run_id:  # another run was chosen meanwhile
        close()


@st.dialog("Fork this run", on_dismiss=close)
def fork_dialog(run: Run, config: TrainConfig, wanted: int) -> None:
    """A new run from one of this run's saved states, with other settings."""
    steps = run.folder.fork_steps()
    if not steps:
        st.info("This run has no saved state yet. The first one comes within half a minute of training.", icon=":material/hourglass_empty:")
        return
    step = min(steps, key=lambda at: abs(at - wanted))
    near = "" if step == wanted else f", the nearest saved state to step {wanted:,}"
    st.markdown(f"Forks from **step {step:,}**{near}. This run stays unchanged.", help=glossary.explain("fork"))
    sound = fork_form(config)
    icon = ":material/call_split:"
    st.button("Start the fork", type="primary", icon=icon, disabled=not sound, on_click=start_fork, args=(run.id, config, step))
    if "fork_error" in st.session_state:
        st.error(plain(st.session_state.pop("fork_error")), icon=":material/error:")
    if st.session_state.pop("forked", False):
        st.rerun()
