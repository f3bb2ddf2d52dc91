"""What to do after a run: break it, fix it, compare it, explore it."""

from functools import partial

import streamlit as st

from gan.config import TrainConfig
from gan.course.clinic import CLINIC, PATIENT
from gan.networks.generator_file import CheckpointError
from gan.runs.run import Run
from gan.runs.states import RunState
from ui.comparison import parent_of
from ui.components.findings import follow_findings, press, rerun_after_a_press
from ui.components.visitor import visitor
from ui.health import health
from ui.home.cards import own
from ui.next_step import broken, mistake, offer
from ui.page_files import COMPARE, LEARN, TRANSLATE
from ui.train.actions import copy_settings, steer
from ui.workshop import manager


def after(run: Run, config: TrainConfig) -> None:
    """The next step, at the end of a run's page; redrawn when the doctor finds something else. Nothing for a run that has not begun."""
    st.fragment(_after)(run, config)


def _after(run: Run, config: TrainConfig) -> None:
    rerun_after_a_press()
    try:
        follow_findings(run, "next_findings", after_ms=1400)
    except CheckpointError:  # the doctor's panel says why
        return
    if run.state in (RunState.QUEUED, RunState.PREPARING, RunState.FAILED) or not run.sample_steps:
        return
    found, recipe = health(run), run.stored.recipe
    together = companions(run)
    address = {"runs": ",".join(together)}
    live = run.at_work and run.state in (RunState.RUNNING, RunState.PAUSED) and manager().may_steer(run, visitor())
    if found and found.wrong and found.remedy:
        offer(
            "fix it. Press the doctor's first remedy above, and watch the images.", "Then compare", ":material/compare:", COMPARE, address
        )
    elif run.given_name == PATIENT:
        offer(
            "return to the lesson, and see what you have achieved.", "Back to the lesson", ":material/school:", LEARN, {"lesson": CLINIC.id}
        )
    elif len(together) > 1:
        offer("compare your runs. What did the setting change?", "Compare", ":material/compare:", COMPARE, address)
    elif config.translates:
        what = "draw an outline, and watch the face follow your pen" if config.pairs else "translate images that training never saw"
        offer(f"{what}.", "Translate", ":material/translate:", TRANSLATE, {"from": run.id})
    elif run.interventions:
        start = partial(copy_settings, config, recipe)
        offer(
            "train the same settings without your changes, then compare both runs.",
            "Fill in the form",
            ":material/content_copy:",
            on_click=partial(press, start),
        )
    elif live:
        offer(
            f"break it on purpose, and fix it with the doctor's help: {mistake(config)}.",
            "Break it",
            ":material/healing:",
            on_click=partial(press, partial(spoil, run)),
        )
    else:
        start = partial(copy_settings, broken(config), recipe)
        offer(
            f"break a run on purpose, and fix it with the doctor's help: {mistake(config)}.",
            "Break a run",
            ":material/healing:",
            on_click=partial(press, start),
        )


def spoil(run: Run) -> None:
    """Makes the mistake in a run that trains."""
    config = run.live_config
    for name, value in broken(config):
        if value != getattr(config, name):
            steer(manager().change, run.id, name, value)


def companions(run: Run) -> list[str]:
    """The ids of the run and of one to compare it with: its parent, or the visitor's newest other run; only the run if there is none."""
    parent = parent_of(run.stored)
    others = [other.id for other in own(manager().runs(), visitor()) if other.id != run.id and other.sample_steps]
    return [run.id, *([parent.run] if parent else others)[:1]]
