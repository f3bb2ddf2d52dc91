"""Train: pick a recipe, change what you like, launch, and watch."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from gan import glossary
from gan.config import TrainConfig
from gan.data import datasets
from gan.networks.generator_file import CheckpointError
from gan.owners import clean_name, is_personal
from gan.recipes import DEFAULT, RECIPES
from gan.runs.record import data_is_there
from gan.runs.run import Run, explain
from gan.runs.states import AT_WORK, RunState
from ui.accelerator_note import accelerator_note
from ui.comparison import parent_of
from ui.components.findings import Actions, findings_panel
from ui.components.run_view import run_view
from ui.components.visitor import heading, visitor
from ui.config_form import config_form, fill_fork_form, fill_form, fork_form, read_fork_form, read_form
from ui.export import export_menu
from ui.knobs import knobs
from ui.page_files import COMPARE, EVALUATE, EXPLORE, INSIDE, NEW_RUN
from ui.text import plain, within
from ui.workshop import manager


def choose(run_id: str) -> None:
    st.session_state["run"] = run_id


def take_recipe() -> None:
    fill_form(RECIPES[st.session_state["recipe"]].config)


def launch() -> None:
    """Reads the form here: what a button was drawn with may be older than what was typed last."""
    try:
        choose(manager().submit(read_form(), st.session_state["recipe"], visitor()).id)
    except (ValueError, OSError) as error:
        st.session_state["launch_error"] = explain(error)


def copy_settings(config: TrainConfig, recipe: str) -> None:
    st.session_state["recipe"] = recipe if recipe in RECIPES else DEFAULT
    fill_form(config)
    choose(NEW_RUN)


def steer(action: Callable[..., Any], run_id: str, *arguments: Any) -> None:
    """Does one of the manager's methods that change a run, for this visitor; a refusal is a sentence on the page."""
    try:
        action(run_id, *arguments, visitor=visitor())
    except KeyError:
        st.session_state["launch_error"] = f"There is no run {run_id} anymore."
    except (ValueError, OSError) as error:
        st.session_state["launch_error"] = explain(error)


def resume_longer(run_id: str) -> None:
    steer(manager().resume, run_id, st.session_state["longer_unit"], st.session_state["longer_amount"])


def resume_from_kept(run_id: str) -> None:
    steer(partial(manager().resume, kept=True), run_id)


def resume_elsewhere(run_id: str) -> None:
    """Continues with the data set that was chosen; for longer where the run had reached its end."""
    longer = (st.session_state["moved_unit"], st.session_state["moved_amount"]) if "moved_unit" in st.session_state else ()
    steer(partial(manager().resume, data=st.session_state["moved_to"]), run_id, *longer)


def delete(run_id: str) -> None:
    steer(manager().delete, run_id)
    if "launch_error" not in st.session_state:
        choose(NEW_RUN)
        st.session_state["deleted"] = run_id


def start_fork(run_id: str, config: TrainConfig, step: int) -> None:
    try:
        choose(manager().fork(run_id, step, *read_fork_form(config), visitor=visitor()).id)
    except (ValueError, OSError) as error:
        st.session_state["fork_error"] = explain(error)
    else:
        st.session_state["forked"] = True


@st.dialog("Fork this run")
def fork_dialog(run: Run, config: TrainConfig, wanted: int) -> None:
    """A new run from one of this run's saved states, with other settings."""
    steps = run.folder.fork_steps()
    if not steps:
        st.info("This run has no saved state yet. The first one comes within half a minute of training.", icon=":material/hourglass_empty:")
        return
    step = min(steps, key=lambda at: abs(at - wanted))
    near = "" if step == wanted else f", the saved state closest to step {wanted:,}"
    st.markdown(f"The new run continues from **step {step:,}**{near}. This run stays unchanged.", help=glossary.explain("fork"))
    sound = fork_form(config)
    icon = ":material/call_split:"
    st.button("Start the fork", type="primary", icon=icon, disabled=not sound, on_click=start_fork, args=(run.id, config, step))
    if "fork_error" in st.session_state:
        st.error(plain(st.session_state.pop("fork_error")), icon=":material/error:")
    if st.session_state.pop("forked", False):
        st.rerun()


def remedies_of(run: Run) -> Actions:
    """What pressing one of the doctor's remedies does to a run."""

    def change(changes: dict[str, Any]) -> None:
        for name, value in changes.items():
            steer(manager().change, run.id, name, value)

    def offer_fork(changes: dict[str, Any], step: int) -> None:
        fill_fork_form(changes)
        st.session_state["fork_wanted"] = step

    def offer_new(changes: dict[str, Any]) -> None:
        copy_settings(run.live_config.change(**changes), run.stored.get("recipe", ""))

    steerable = run.at_work and run.state in (RunState.RUNNING, RunState.PAUSED) and manager().may_steer(run, visitor())
    return Actions(change if steerable else None, offer_fork, offer_new)


def new_run() -> None:
    """The settings, and the button that starts them."""
    st.session_state.setdefault("recipe", DEFAULT)
    name = st.selectbox(
        "Recipe",
        list(RECIPES),
        key="recipe",
        on_change=take_recipe,
        help=f"{glossary.explain('recipe')} Pick the one to start from.",
    )
    st.caption(f"{RECIPES[name].summary} Source: {RECIPES[name].source}")
    accelerator_note()
    start = st.container()  # above the settings, so that a phone shows it without scrolling
    config = config_form(RECIPES[name].config, st.container())
    who = visitor()
    start.button("Train", type="primary", icon=":material/play_arrow:", disabled=config is None or not who.known, on_click=launch)
    notes = [queue_note(), "" if who.admin else manager().limits.describe()]
    if who.known and not who.named and not is_personal():
        notes.append(f"Your run will be listed as {who.name}'s. Enter your name at the top.")
    start.caption("  \n".join(note for note in notes if note))


def queue_note() -> str:
    """Whose runs come before a new one."""
    before = manager().unfinished()
    at_work = [run for run in before if run.state is not RunState.QUEUED]
    if len(at_work) < manager().max_runs:
        return ""
    names = sorted({plain(clean_name(run.stored.get("owner")) or run.id) for run in at_work})
    whose = f"{', '.join(names[:3])}{' and others' if len(names) > 3 else ''}"
    return f"Running: {whose}. Waiting: {len(before) - len(at_work)}. Your run will wait for its turn."


def explorable(run: Run) -> bool:
    """Whether there is something to explore and to export, or will be at once.

    A run keeps its first generator after its first step, and nothing draws the page anew for that.
    """
    return run.state is RunState.RUNNING or bool(run.folder.generator_steps())


def resume_buttons(run: Run, config: TrainConfig) -> None:
    """How a run at rest can continue; where it cannot simply, what can be done instead."""
    act, status = manager(), run.status()
    done, stuck = status["progress"] >= 1, status.get("stuck")
    if stuck == "state" or run.state_is_lost:
        kept = run.folder.newest_kept()
        if kept is not None:
            what = "Goes back to the newest copy. Later files move to set-aside/ in the run's folder."
            label = f"Continue from step {kept:,}"
            st.button(label, icon=":material/restore:", type="primary", help=what, on_click=resume_from_kept, args=(run.id,))
        return
    if stuck == "data" or not data_is_there(config.data):
        with st.popover("Find its data set", icon=":material/folder_open:", key="moved", type="primary"):
            st.write("Which data set has this run's images now? They must be the same images.")
            st.selectbox("Data set", datasets.available(), key="moved_to")
            if done:
                longer("moved", config)
            st.button("Continue with this data set", on_click=resume_elsewhere, args=(run.id,))
        if not data_is_there(config.data):
            return
    if not done:
        st.button("Resume", icon=":material/play_arrow:", type="primary", on_click=steer, args=(act.resume, run.id))
    with st.popover("Train longer", icon=":material/more_time:", key="longer"):
        longer("longer", config)
        st.button("Continue training", on_click=resume_longer, args=(run.id,))


def longer(key: str, config: TrainConfig) -> None:
    """The choice of how much longer a run trains."""
    units = ["epochs", "steps", "seconds"]
    amount = min(max(float(config.duration), 0.01), 1e6)
    st.number_input("How much longer", 0.01, 1e6, amount, format="%.6g", key=f"{key}_amount")
    st.selectbox("Unit", units, units.index(config.duration_unit), key=f"{key}_unit")


def obstacles(run: Run, config: TrainConfig) -> None:
    """Says why a run at rest cannot simply continue, before anybody tries."""
    if run.state in AT_WORK or run.status().get("reason"):
        return
    if run.state_is_lost:
        lost = "This run's saved state is missing or damaged."
        kept = run.folder.newest_kept()
        if kept is None:
            st.warning(f"{lost} {plain(run.folder.what_is_left())}", icon=":material/warning:")
        else:
            st.warning(f"{lost} The newest copy is of step {kept:,}: continue from there, or fork the run.", icon=":material/warning:")
    elif not data_is_there(config.data) and run.status().get("step"):
        st.warning(
            f"This run's data set {plain(config.data)} is not on this server anymore. If it has another name now, press Find its data set. "
            "Otherwise put it back. To train on other images, fork the run.",
            icon=":material/warning:",
        )


def controls(run: Run, config: TrainConfig) -> None:
    """The buttons that a run's state allows; to those who may not steer it, what anybody may do."""
    state, act = run.state, manager()
    mine = act.may_steer(run, visitor())
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if not mine:
            pass
        elif state == RunState.PAUSED and run.at_work:
            st.button("Continue", icon=":material/play_arrow:", type="primary", on_click=steer, args=(act.go_on, run.id))
            for network, label in (("both", "One step"), ("generator", "One step of G"), ("discriminator", "One step of D")):
                st.button(label, icon=":material/skip_next:", on_click=steer, args=(act.step_once, run.id, network))
        elif state in (RunState.PREPARING, RunState.RUNNING) and run.at_work:
            st.button("Pause", icon=":material/pause:", on_click=steer, args=(act.pause, run.id), disabled=run.stopping)
        if mine and state in AT_WORK and run.at_work:
            st.button("Stop", icon=":material/stop:", on_click=steer, args=(act.stop, run.id))
        if mine and state not in AT_WORK:
            resume_buttons(run, config)
        if explorable(run) and st.button("Explore its images", icon=":material/explore:"):
            st.switch_page(EXPLORE, query_params={"from": run.id})
        parent = parent_of(run.stored)
        if st.button("Compare", icon=":material/compare:", help="Compare this run with others."):
            st.switch_page(COMPARE, query_params={"runs": ",".join([run.id, parent.run] if parent else [run.id])})
        if explorable(run) or run.folder.sample_steps():
            export_menu(run)
        st.button(
            "New run with these settings",
            icon=":material/content_copy:",
            on_click=copy_settings,
            args=(config, run.stored.get("recipe", "")),
        )
        if mine and state not in AT_WORK:
            delete_button(run)
    if not mine and visitor().known:
        st.caption(plain(act.who_may_steer(run)))


def delete_button(run: Run) -> None:
    """Asks before it deletes."""
    with st.popover("Delete", icon=":material/delete:", key="delete_run"):
        st.write("This deletes the run with its images and generators for good. Its forks stay.")
        st.button("Delete it", on_click=delete, args=(run.id,))


def about(run: Run, config: TrainConfig, status: dict[str, Any]) -> None:
    """What the run is, and how it is computed, in a few lines."""
    st.subheader("About this run")
    if explorable(run):
        st.page_link(INSIDE, label="Look inside", icon=":material/visibility:", query_params={"run": run.id})
        st.page_link(EVALUATE, label="Evaluate", icon=":material/balance:", query_params={"from": run.id})
    stored, fields = run.stored, TrainConfig.model_fields
    if isinstance(origin := stored.get("parent"), dict) and origin.get("other_images"):
        st.caption("Its data set has different images from those its parent trained on.")
    recipe = RECIPES.get(stored.get("recipe", ""))
    images = f", {stored['data_images']:,} images" if isinstance(stored.get("data_images"), int) else ""
    st.markdown(f"Recipe **{plain(stored.get('recipe') or 'none')}** on **{plain(Path(config.data).name)}**{images}")
    if recipe:
        other = [name for name, value in recipe.config if name != "seed" and value != getattr(config, name)]
        words = [f"{fields[name].title}: {plain(getattr(recipe.config, name))} → {plain(getattr(config, name))}" for name in other]
        st.caption("The recipe's settings, unchanged." if not words else "Different from the recipe: " + "; ".join(words))
    if "precision" in status:
        numbers = {"bf16": "16-bit numbers (bf16)", "fp32": "32-bit numbers"}.get(status["precision"], "numbers")
        layout = "" if status.get("channels_last", True) else ", channels first"
        used = status.get("threads")
        threads = f", {used} thread{'s' if used != 1 else ''}" if used else ""
        launch = f", {plain(status['launch'])}" if status.get("launch") else ""
        st.caption(f"Computed in {numbers}{layout}: {plain(status['device'])}{threads}{launch}.")


def notes(run: Run, status: dict[str, Any]) -> None:
    """What went wrong with the run, or is out of the ordinary."""
    fault = run.fault
    if fault:
        st.warning(f"This run's files are damaged: {plain(within(run.folder.path, fault))}.", icon=":material/error:")
    if status["error"] and status["error"] != fault:
        (st.warning if status["state"] == RunState.PAUSED else st.error)(plain(status["error"]), icon=":material/error:")
    if status.get("reason"):
        (st.warning if status.get("stuck") else st.info)(plain(status["reason"]), icon=":material/info:")
    if status["state"] == RunState.INTERRUPTED:
        st.info(
            "The server stopped during this run. Everything up to its last saved state is there: press Resume.",
            icon=":material/info:",
        )
    if status["state"] in AT_WORK and not run.at_work:
        st.info("Another process trains this run, such as the command line. You can watch it here.", icon=":material/info:")


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
    # The same columns in every state: the live view would be made anew in another place.
    view, beside = st.columns([3, 1], gap="medium")
    with view:
        wanted = run_view(run.id, config, status["state"], "train", run.stored.get("parent"), can_fork=True)
        if status["state"] != RunState.QUEUED:
            findings_panel(run, remedies_of(run))
    if wanted is None:
        wanted = st.session_state.pop("fork_wanted", None)
    if wanted is not None:
        fork_dialog(run, run.live_config, wanted)
    with beside:
        if status["state"] in (RunState.RUNNING, RunState.PAUSED) and run.at_work and manager().may_steer(run, visitor()):
            st.subheader(
                "Change settings live", help="A change takes effect at the next step. It is marked on the charts and saved with the run."
            )
            knobs(run, partial(steer, manager().change, run.id), partial(steer, manager().set_pace, run.id))
        about(run, config, status)
    skipped = run.stored.get("data_skipped_count", 0)
    if skipped:
        with st.expander(f"{skipped:,} files and folders of the data set were left out"):
            st.text("\n".join(run.stored["data_skipped"]))
    with st.expander("Settings of this run", icon=":material/tune:"):
        fields = TrainConfig.model_fields
        st.table({"Value": {fields[name].title: str(value) for name, value in config.model_dump().items()}})


heading("Train")
runs = {run.id: run for run in manager().runs()}
asked = st.query_params.get("run", NEW_RUN)
deleted = st.session_state.get("deleted")
if asked not in (NEW_RUN, *runs, deleted):
    st.warning(f"There is no run {plain(asked[:100])} on this server.", icon=":material/search_off:")
# The address holds the option as it is shown: a run's id, which never changes.
chosen = st.selectbox("Run", [NEW_RUN, *runs], key="run", bind="query-params", help="Start a new run, or look at one.")
if "launch_error" in st.session_state:
    st.error(plain(st.session_state.pop("launch_error")), icon=":material/error:")
if chosen != NEW_RUN:
    st.session_state.pop("deleted", None)
elif deleted:  # said until another run is chosen: the live view of the deleted one makes the script run once more
    st.success(f"The run {plain(deleted)} is deleted.", icon=":material/check:")
if chosen == NEW_RUN:
    new_run()
else:
    show(runs[chosen])
