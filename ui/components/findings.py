"""The doctor's findings for a run: evidence, reasons, and remedies to press."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import streamlit as st

from gan.config import TrainConfig
from gan.doctor.diagnosis import Evidence, Finding
from gan.doctor.remedies import Remedy
from gan.doctor.rules import rule
from gan.doctor.summary import Outlook
from gan.doctor.treatment import Outcome, applied
from gan.networks.generator_file import CheckpointError
from gan.runs.run import Run, explain
from gan.runs.states import AT_WORK
from ui.charts import setting_title
from ui.components.component import component
from ui.health import SIGNS as OUTLOOKS
from ui.health import changes_text, value_words
from ui.text import plain
from ui.workshop import checkups

ACTED = "doctor_acted"  # in the session: a remedy was pressed, and the whole page must show it
PRESSED = "doctor_pressed"  # in the session: the live remedy that was pressed last
SIGNS = {"alarm": (":material/error:", "red"), "warning": (":material/warning:", "orange"), "information": (":material/info:", "blue")}
RECOVERING = (":material/trending_up:", "gray")  # its figures are healthy again, so it is no longer an alarm
Kind = Literal["primary", "secondary"]  # of a button
KINDS = {"live": ":material/tune:", "fork": ":material/call_split:", "new": ":material/add_circle:"}

# Tells the live view where the findings began, and hears from it that there are others, without a run of the page's script: that
# would close its dialogs.
_marks = component("findings", "<span></span>\n")


@dataclass(frozen=True)
class Actions:
    """What pressing a remedy does.

    Attributes:
        change: changes live settings of the run; None if the run is not active, or the visitor may not steer it.
        fork: offers a fork from the saved state nearest to a step, with these settings.
        new: offers a new run with these settings instead of the run's own.
    """

    change: Callable[[dict[str, Any]], None] | None
    fork: Callable[[dict[str, Any], int], None]
    new: Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Pressed:
    """A live remedy that was pressed.

    Attributes:
        run: whose.
        finding: the key of the finding that it is for.
        changes: what it changes, in words.
        step: the run's step then.
    """

    run: str
    finding: str
    changes: str
    step: int


@dataclass(frozen=True)
class Applied:
    """A change that was made because of a finding, as the page shows it.

    Attributes:
        finding: the finding's key.
        changes: what was changed, in words.
        outcome: what became of it so far.
        text: the same as a sentence.
    """

    finding: str
    changes: str
    outcome: Outcome
    text: str


def applied_to(run: Run) -> Applied | None:
    """The last change that was made because something was wrong; one that was pressed just now comes before the run knows of it."""
    known = checkups().of(run).treatment
    pressed = st.session_state.get(PRESSED)
    if isinstance(pressed, Pressed) and pressed.run == run.id and (known is None or known.step < pressed.step):
        return Applied(pressed.finding, pressed.changes, Outcome.WATCHING, applied(pressed.step, run.config))
    if known is None:
        return None
    words = "; ".join(f"{setting_title(c.field)} {value_words(c.old)} → {value_words(c.new)}" for c in known.changes)
    return Applied(known.finding, words, known.outcome, known.text)


def applied_button(done: Applied, key: str) -> None:
    """Stands in the place of the remedy that was pressed, so that a second click there presses nothing."""
    st.button(plain(done.changes), key=f"applied_{key}", icon=":material/done:", disabled=True)


def rerun_after_a_press() -> None:
    """Runs the whole page again after a remedy was pressed: call it first in a fragment with remedies."""
    if st.session_state.pop(ACTED, False):
        st.rerun()


def press(act: Callable[[], None]) -> None:
    """Does what a button in such a fragment is for, and lets the whole page show it."""
    st.session_state[ACTED] = True
    act()


def follow_findings(run: Run, key: str, after_ms: int = 0) -> None:
    """Runs the fragment around it again when other findings are heard of; tells the live view what to mark on its charts.

    after_ms: how long it waits then. Two fragments must not ask in the same moment: Streamlit would run only one.

    Raises:
        CheckpointError: the run's settings cannot be read.
    """
    checkup = checkups().of(run)
    found = checkup.findings()
    alarm = checkup.verdict.outlook is Outlook.ALARM
    data = {
        "run": run.id,
        "marks": marks(found),
        "version": checkup.version,
        "alarm": alarm,
        "states": checkup.states,
        "after_ms": after_ms,
    }
    _marks(key=key, data=data, on_again_change=lambda: None)


def findings_panel(run: Run, actions: Actions) -> None:
    """Draws the findings of a run, and redraws them when the run's event stream reports new ones."""
    st.fragment(_panel)(run, actions)


def _panel(run: Run, actions: Actions) -> None:
    rerun_after_a_press()
    checkup = checkups().of(run)
    try:
        found, config = checkup.findings(), run.live_config
    except CheckpointError as error:
        st.error(plain(explain(error)), icon=":material/error:")
        return
    follow_findings(run, "findings", after_ms=700)
    st.subheader(
        "What the doctor says",
        help="Rules check losses, gradients and image scores. docs/doctor.md lists them with their sources.",
    )
    if not any(finding.severity != "information" for finding in found):
        some = "" if checkup.judged else unjudged(run)
        with st.container(key="nothing_wrong"):
            icon, color = OUTLOOKS[checkup.verdict.outlook]
            st.markdown(f":{color}[{icon}] {checkup.verdict.text}.{some}")
    for finding in found:
        with st.container(border=True, key=f"finding_{finding.key}"):
            _finding(finding, run, config, actions)


def unjudged(run: Run) -> str:
    """What is said of a run none of whose images was judged so far."""
    if run.to_be_judged:
        return " Its images have no scores yet."
    if run.state in AT_WORK and not run.at_work:  # another process knows
        return ""
    return " Its images are not scored, so only losses and gradients were checked."


def marks(found: list[Finding]) -> list[dict[str, Any]]:
    """What the charts show: a mark for each step where something began, with the worst of it."""
    steps = sorted({finding.began for finding in found})
    told = [(step, [finding for finding in found if finding.began == step]) for step in steps]
    return [
        {"step": step, "name": "; ".join(f.name for f in some), "severity": "over" if all(f.recovering for f in some) else some[0].severity}
        for step, some in told
    ]


def _finding(finding: Finding, run: Run, config: TrainConfig, actions: Actions) -> None:
    sign, color = RECOVERING if finding.recovering else SIGNS[finding.severity]
    st.markdown(f":{color}[{sign}] **{finding.name}** since step {finding.began:,}{' · getting better' if finding.recovering else ''}")
    st.markdown("\n".join(f"- {_evidence(evidence, finding)}" for evidence in finding.evidence))
    st.markdown(finding.why)
    st.caption(f"Source: {plain(finding.source)}.")
    others = list(finding.remedies)
    done = applied_to(run)
    if done and done.finding == finding.key:
        applied_button(done, finding.key)
        st.caption(plain(done.text))
    elif others:
        _remedy(others.pop(0), finding, run, config, actions, "primary" if finding.severity == "alarm" else "secondary")
    if others:
        with st.expander(f"Other things to try ({len(others)})", key=f"others_{finding.key}"):
            for remedy in others:
                _remedy(remedy, finding, run, config, actions)


def _evidence(evidence: Evidence, finding: Finding) -> str:
    """One figure and its limit; of a finding that is getting better, whether the figure is healthy again."""
    value, limit = plain(evidence.shown), plain(evidence.limit)
    if not finding.recovering:
        return f"{evidence.text}: **{value}** (rule: {limit})"
    condition = next(c for c in rule(finding.key).conditions if c.figure == evidence.figure)
    again = "still" if condition.holds(np.array(evidence.value)) else "healthy again; the alarm is"
    return f":gray[{evidence.text}: {value} ({again} {limit})]"


def _remedy(remedy: Remedy, finding: Finding, run: Run, config: TrainConfig, actions: Actions, kind: Kind = "secondary") -> None:
    """A button with what it changes, and why it may help below it."""
    enabled = remedy_button(remedy, finding, run, config, actions, kind)
    steps = run.folder.fork_steps() if remedy.undoes else []
    st.caption(plain(remedy.why_from(steps)) + ("" if enabled else " No state of this run is saved yet."))


def remedy_button(
    remedy: Remedy, finding: Finding, run: Run, config: TrainConfig, actions: Actions, kind: Kind, place: str = "remedy"
) -> bool:
    """A button that says what it changes; whether it can be pressed. Nobody can fork from a run that has no saved state yet.

    place: tells two buttons of one remedy apart.
    """
    steps = run.folder.fork_steps() if remedy.kind != "new" else []
    changes = changes_text(config, remedy.changes)

    def act() -> None:
        if remedy.kind == "new":
            actions.new(remedy.changes)
        elif remedy.kind == "live" and actions.change:
            st.session_state[PRESSED] = Pressed(run.id, finding.key, changes, run.status().step)
            actions.change(remedy.changes)
            checkups().of(run).look_again()
        else:
            # The dialog takes the state nearest to a step, and says so.
            actions.fork(remedy.changes, at or 0 if remedy.undoes or remedy.step is None else remedy.step)

    at = remedy.state_of(steps)
    as_fork = remedy.kind == "fork" or (remedy.kind == "live" and actions.change is None)
    if as_fork:
        label = f"Fork from step {at:,}: {changes}" if at is not None else f"Fork: {changes}"
    else:
        label = f"New run: {changes}" if remedy.kind == "new" else changes
    icon = KINDS["fork" if as_fork else remedy.kind]
    unable = as_fork and not steps
    # The key says what it does: a click that comes after another remedy took its place does nothing.
    key = f"{place}_{finding.key}_{remedy.kind}_{'_'.join(remedy.changes)}_{'_'.join(map(str, remedy.changes.values()))}"
    st.button(plain(label), key=re.sub(r"[^\w-]", "-", key), icon=icon, type=kind, disabled=unable, on_click=press, args=(act,))
    return not unable
