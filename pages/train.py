"""Train: pick a recipe, change what you like, launch, and watch."""

import streamlit as st

from gan.checkpoint import CheckpointError
from gan.comparison import parent_of
from gan.config import TrainConfig
from gan.recipes import DEFAULT, RECIPES
from gan.runs import AT_WORK, Run
from ui.config_form import config_form, fill_form, read_form
from ui.pages import COMPARE, EXPLORE, NEW_RUN
from ui.run_view import run_view
from ui.text import plain
from ui.workshop import manager


def choose(run_id: str) -> None:
    st.session_state["run"] = run_id


def take_recipe() -> None:
    fill_form(RECIPES[st.session_state["recipe"]].config)


def launch() -> None:
    """Reads the form here: what a button was drawn with may be older than what was typed last."""
    try:
        choose(manager().submit(read_form(), st.session_state["recipe"]).id)
    except (ValueError, OSError) as error:
        st.session_state["launch_error"] = str(error)


def copy_settings(config: TrainConfig, recipe: str) -> None:
    st.session_state["recipe"] = recipe if recipe in RECIPES else DEFAULT
    fill_form(config)
    choose(NEW_RUN)


def resume(run_id: str, longer: bool = False) -> None:
    state = st.session_state
    try:
        manager().resume(run_id, state["longer_unit"] if longer else None, state["longer_amount"] if longer else None)
    except (ValueError, OSError) as error:
        st.session_state["launch_error"] = str(error)


def new_run() -> None:
    """The settings, and the button that starts them."""
    st.session_state.setdefault("recipe", DEFAULT)
    name = st.selectbox(
        "Recipe",
        list(RECIPES),
        key="recipe",
        on_change=take_recipe,
        help="Where the settings start from. Each is a published system, or ours.",
    )
    st.caption(f"{RECIPES[name].summary} Source: {RECIPES[name].source}")
    start = st.container()  # above the settings, so that a phone shows it without scrolling
    config = config_form(RECIPES[name].config)
    start.button("Train", type="primary", icon=":material/play_arrow:", disabled=config is None, on_click=launch)
    if any(run.at_work for run in manager().runs()):
        start.caption("Another run is at work; this one will wait for its turn.")


def controls(run: Run, config: TrainConfig) -> None:
    """The buttons that a run's state allows."""
    state = run.state
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if state == "paused" and run.at_work:
            st.button("Go on", icon=":material/play_arrow:", type="primary", on_click=run.go_on)
        elif state in ("preparing", "running") and run.at_work:
            st.button("Pause", icon=":material/pause:", on_click=run.pause, disabled=run.stopping)
        if state in AT_WORK and run.at_work:
            st.button("Stop", icon=":material/stop:", on_click=manager().stop, args=(run.id,))
        if state not in AT_WORK:
            done = run.status()["progress"] >= 1
            if not done:
                st.button("Resume", icon=":material/play_arrow:", type="primary", on_click=resume, args=(run.id,))
            with st.popover("Train longer", icon=":material/more_time:"):
                units = ["epochs", "steps", "seconds"]
                amount = min(max(float(config.duration), 0.01), 1e6)
                st.number_input("How much longer", 0.01, 1e6, amount, format="%.6g", key="longer_amount")
                st.selectbox("Unit", units, units.index(config.duration_unit), key="longer_unit")
                st.button("Train on", on_click=resume, args=(run.id, True))
        if run.folder.generator_steps() and st.button("Explore what it has learnt", icon=":material/explore:"):
            st.switch_page(EXPLORE, query_params={"from": run.id})
        parent = parent_of(run.stored)
        if st.button("Compare", icon=":material/compare:", help="Hold this run against others."):
            st.switch_page(COMPARE, query_params={"runs": ",".join([run.id, parent[0]] if parent else [run.id])})
        st.button(
            "New run with these settings",
            icon=":material/content_copy:",
            on_click=copy_settings,
            args=(config, run.stored.get("recipe", "")),
        )


def show(run: Run) -> None:
    """One run: its controls, its live view, its settings."""
    try:
        config = run.config
    except CheckpointError as error:
        st.error(plain(error), icon=":material/error:")
        return
    status = run.status()
    controls(run, config)
    if status["error"]:
        (st.warning if status["state"] == "paused" else st.error)(plain(status["error"]), icon=":material/error:")
    if status["state"] == "interrupted":
        st.info(
            "The server ended while this run was at work. Everything up to its last saved state is there: press Resume.",
            icon=":material/info:",
        )
    if status["state"] in AT_WORK and not run.at_work:
        st.info("This run is trained by another process, on the command line say. It can be watched here.", icon=":material/info:")
    run_view(run.id, config, status["state"], "train")
    if "precision" in status:
        numbers = {"bf16": "16-bit numbers (bf16)", "fp32": "32-bit numbers"}.get(status["precision"], "numbers")
        layout = "" if status.get("channels_last", True) else ", channels first"
        threads = f", {status['threads']} threads" if "threads" in status else ""
        launch = f", {plain(status['launch'])}" if status.get("launch") else ""
        st.caption(f"Computed in {numbers}{layout}: {plain(status['device'])}{threads}{launch}.")
    skipped = run.stored.get("data_skipped_count", 0)
    if skipped:
        with st.expander(f"{skipped} files of the data set were left out"):
            st.text("\n".join(run.stored["data_skipped"]))
    with st.expander("Settings of this run", icon=":material/tune:"):
        fields = TrainConfig.model_fields
        st.table({"Value": {fields[name].title: str(value) for name, value in config.model_dump().items()}})


st.title("Train")
runs = {run.id: run for run in manager().runs()}
asked = st.query_params.get("run", NEW_RUN)
if asked not in (NEW_RUN, *runs):
    st.warning(f"There is no run {plain(asked[:100])} on this server.", icon=":material/search_off:")
# The address holds the option as it is shown: a run's id, which never changes.
chosen = st.selectbox("Run", [NEW_RUN, *runs], key="run", bind="query-params", help="Start a new run, or look at one.")
if "launch_error" in st.session_state:
    st.error(plain(st.session_state.pop("launch_error")), icon=":material/error:")
if chosen == NEW_RUN:
    new_run()
else:
    show(runs[chosen])
