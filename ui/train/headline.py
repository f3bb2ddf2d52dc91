"""The first line of a run's page: its state, the worst finding with its first remedy, and what the curves show."""

from typing import Literal

import streamlit as st

from gan.doctor.summary import Outlook
from gan.doctor.treatment import Outcome
from gan.networks.generator_file import CheckpointError
from gan.runs.run import Run
from gan.runs.states import RunState
from ui.components.findings import Actions, Kind, applied_button, applied_to, follow_findings, remedy_button, rerun_after_a_press
from ui.health import SIGNS, WRONG
from ui.page_files import EXPLORE, TRANSLATE
from ui.text import plain
from ui.train.queue import starts_now
from ui.workshop import checkups

PREPARING = "The run loads its images and finds the fastest way to compute."
MOVING = "The run lost its worker in the cluster. It continues on another one from its last saved state."
REMEMBERED_STEPS = 500  # how long a change is mentioned after its effect is known
OUTCOMES = {
    Outcome.WATCHING: (":material/visibility:", "blue"),
    Outcome.HELPED: (":material/check_circle:", "green"),
    Outcome.FAILED: (":material/cancel:", "orange"),
}
Color = Literal["red", "orange", "blue", "green", "gray"]
COLORS: dict[RunState, Color] = {
    RunState.QUEUED: "blue",
    RunState.PREPARING: "blue",
    RunState.RUNNING: "green",
    RunState.PAUSED: "orange",
    RunState.FAILED: "red",
    RunState.INTERRUPTED: "orange",
}


def headline(run: Run, actions: Actions) -> None:
    """Draws the line, and redraws it whenever the run's event stream says that the findings changed."""
    waits = run.state is RunState.QUEUED and not starts_now(run)
    # The height of a line and a sentence is reserved, so that nothing below moves; a run that waits for its turn has neither.
    with st.container(key="headline_waiting" if waits else "headline"):
        st.fragment(_headline)(run, actions)


def _headline(run: Run, actions: Actions) -> None:
    rerun_after_a_press()
    state = run.state
    badge = state.shown
    if state in (RunState.QUEUED, RunState.PREPARING):
        st.badge(badge, color=COLORS[state])
        if starts_now(run):
            st.markdown(f"**What happens now:** {MOVING if run.is_moving else PREPARING}")
        return
    checkup = checkups().of(run)
    try:
        found, config = checkup.findings(), run.live_config
    except CheckpointError:  # the panel below says why
        st.badge(badge, color=COLORS.get(state, "gray"))
        return
    follow_findings(run, "headline_findings")
    verdict, done = checkup.verdict, applied_to(run)
    if done and checkup.treatment and run.status().step > checkup.treatment.until + REMEMBERED_STEPS:
        done = None
    icon, color = SIGNS[verdict.outlook]
    others = sum(finding.severity != "information" for finding in found) - 1
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(badge, color=COLORS.get(state, "gray"))
        more = f" :gray[and {others} more below]" if verdict.outlook in WRONG and others > 0 else ""
        st.markdown(f":{color}[{icon} **{plain(verdict.text)}**]{more}", width="content")
        if done:
            sign, tone = OUTCOMES[done.outcome]
            st.markdown(f":{tone}[{sign} {plain(done.text)}]", width="content")
        worst = verdict.finding
        # What began before a change that helped needs time, too: another change now would only blur what the first one does.
        healing = done and done.outcome is Outcome.HELPED and worst and checkup.treatment and worst.began <= checkup.treatment.step
        if done and (done.outcome is Outcome.WATCHING or healing):
            applied_button(done, "headline")
        elif worst and worst.remedies and verdict.outlook is not Outlook.RECOVERING:
            kind: Kind = "primary" if verdict.outlook is Outlook.ALARM else "secondary"
            remedy_button(worst.remedies[0], worst, run, config, actions, kind, "remedy_first")
        if verdict.outlook is Outlook.GOOD:
            step = {"step": "best"} if run.folder.best() else {}
            place, label = (TRANSLATE, "Translate images") if config.translates else (EXPLORE, "Explore its images")
            st.page_link(place, label=label, icon=":material/arrow_forward:", query_params={"from": run.id, **step}, width="content")
    if checkup.what_you_see:
        st.markdown(f"**What you see:** {plain(checkup.what_you_see)}")
