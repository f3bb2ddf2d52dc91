"""A new run: its settings, and the button that starts it."""

from typing import Any

import streamlit as st

from gan import glossary
from gan.config import TrainConfig
from gan.data import datasets
from gan.owners import clean_name, is_personal
from gan.recipes import DEFAULT, RECIPES, Recipe
from gan.runs.limits import span
from gan.runs.names import label
from gan.runs.sizes import lacks_classes, unsuited
from gan.runs.states import RunState
from ui.accelerator_note import accelerator_note
from ui.components.visitor import visitor
from ui.config_form import ADVICE, CHOSEN_DATA, FILLED, KEY, SAID, config_form, fill_form, form_values, read_form, say_nothing
from ui.devices import next_device
from ui.form_words import refusal
from ui.next_step import BREAK, TRY, broken, mistake
from ui.text import plain
from ui.train.guide import guide_start
from ui.train.kept_form import drop_kept, keep_form, take_kept
from ui.train.start_from import CHOSEN, NEW, chosen_origin, start_from
from ui.train.suggested import filled_at_once, started_with, suggested
from ui.workshop import manager

PRESSED = "train_pressed"  # in the session
MOST_NAMED = 6  # settings that the visitor changed


def take_recipe() -> None:
    """Fills the form with the chosen recipe's settings. A data set that the visitor has chosen stays."""
    config, said = with_data(RECIPES[st.session_state["recipe"]].config, str(st.session_state.get(KEY + "data")))
    fill_form(config, said)


def with_data(recipe: TrainConfig, data: str) -> tuple[TrainConfig, str]:
    """A recipe's settings, with the data set that the visitor has chosen if possible, and a sentence about it."""
    if not st.session_state.get(CHOSEN_DATA) or data == recipe.data or data not in datasets.available():
        return recipe, ""
    if recipe.conditional and lacks_classes(data):
        return recipe, f"This recipe needs images with classes. {plain(data)} has none, so the recipe's own {plain(recipe.data)} is chosen."
    if unsuited(recipe.change(data=data)):
        return recipe, f"This recipe cannot use {plain(data)}, so its own data set {plain(recipe.data)} is chosen."
    fitting = {name: st.session_state.get(KEY + name, getattr(recipe, name)) for name in ("fit", "background")}
    kept = recipe.change(data=data, channels=datasets.native(data)[1], **fitting)
    return kept, f"Your data set {plain(data)} stays. The recipe's own is {plain(recipe.data)}."


def recipe_caption(recipe: Recipe) -> str:
    """What a recipe makes and where it comes from. Its promise may hold only for its own data set."""
    data = st.session_state.get(KEY + "data", recipe.config.data)
    holds = recipe.any_images or data == recipe.config.data
    about = recipe.summary if holds else f"Made for {plain(recipe.config.data)}: other images may need more time."
    return f"{about} Source: {recipe.source}"


def changes(recipe: Recipe) -> None:
    """Which settings the visitor changed, and a button that undoes it. Below the form, which must not move when the first one is changed."""
    before = _unchanged(recipe)
    values = {name: st.session_state.get(KEY + name) for name in TrainConfig.model_fields}
    changed = [name for name, value in before.items() if TrainConfig.has_effect(name, values) and values[name] != value]
    if not changed:
        return
    titles = [str(TrainConfig.model_fields[name].title) for name in changed]
    more = f" and {len(titles) - MOST_NAMED} more" if len(titles) > MOST_NAMED else ""
    with st.container(horizontal=True, vertical_alignment="center", key="changed"):
        st.caption(f"You changed: {plain(', '.join(titles[:MOST_NAMED]))}{more}.", width="content")
        st.button("Undo these changes", icon=":material/undo:", type="tertiary", key="undo_changes", on_click=_undo, args=(recipe,))


def _unchanged(recipe: Recipe) -> dict[str, Any]:
    """The values that the form was last filled with, by field. The data set is a choice of its own, which other settings may follow."""
    before: dict[str, Any] = st.session_state.get(FILLED) or form_values(recipe.config)
    return {name: value for name, value in before.items() if name != "data"}


def _undo(recipe: Recipe) -> None:
    st.session_state.update({KEY + name: value for name, value in _unchanged(recipe).items()} | {CHOSEN: NEW})


def press() -> None:
    """Notes that Train was pressed. The page says so first, because checking the settings takes seconds on a new server."""
    st.session_state[PRESSED] = True


def launch() -> None:
    """Starts a run with the form's current values, and makes the address name it, so the next script run shows it."""
    try:
        config = manager().shorten(read_form(), visitor())
        st.query_params["run"] = manager().submit(config, st.session_state["recipe"], visitor(), chosen_origin()).id
        drop_kept()
        st.query_params.pop(TRY, None)
        say_nothing()
    except (ValueError, OSError) as error:
        st.session_state["launch_error"] = refusal(error)
    finally:  # only now: an interrupted script starts the run in the next one
        st.session_state.pop(PRESSED, None)


def new_run() -> None:
    """The settings, and the button that starts them."""
    take_kept()
    st.session_state.setdefault("recipe", DEFAULT)
    if found := filled_at_once():
        launch()
        if run_id := st.query_params.get("run"):
            started_with(found, run_id)
        st.rerun()
    guide_start()
    if st.query_params.get(TRY) == BREAK:
        st.info(
            f"This run will go wrong on purpose: {mistake(RECIPES[DEFAULT].config)}. Press Train, and read what the doctor says.",
            icon=":material/healing:",
        )
        if not st.session_state.get("tried"):
            st.session_state.update({"tried": True, "recipe": DEFAULT, CHOSEN: NEW})
            fill_form(broken(RECIPES[DEFAULT].config))
    elif st.session_state.pop("tried", False):
        st.session_state.pop(FILLED, None)  # the form is the recipe's, or the visitor's from before
    if advice := st.session_state.get(ADVICE):
        st.info(f"From the doctor: **{advice}**. All other settings are unchanged. Press Train.", icon=":material/stethoscope:")
    name = st.selectbox(
        "Recipe",
        list(RECIPES),
        key="recipe",
        on_change=take_recipe,
        help=f"{glossary.explain('recipe')} Pick the one to start from.",
    )
    st.caption(recipe_caption(RECIPES[name]))
    if said := st.session_state.get(SAID):
        st.caption(said)
    accelerator_note()
    notes = start_notes()
    # Above the settings, so a phone shows it without scrolling. shell.css keeps its place, and more of it for notes.
    with st.container(key="start"):
        button = st.empty()
        with st.container(key="start_notes" if notes else None):
            st.caption("  \n".join(notes))  # even if it is empty: an empty container would reserve no space for it
    proposal = st.container()
    faults = st.container()
    config = config_form(RECIPES[name].config, faults)
    changes(RECIPES[name])
    fits = start_from(faults)  # before a start, which ends the script: a widget that is not drawn loses its value
    if st.query_params.get(TRY) != BREAK:  # which are wrong on purpose
        keep_form()
    who = visitor()
    label = train_label(config, manager().shorten(config, who)) if config else "Train"
    unable = config is None or not fits or not who.known
    if st.session_state.get(PRESSED):
        button.button("Starting the run…", icon="spinner", key="starting", disabled=True)
        launch()
        st.rerun()
    button.button(label, type="primary", icon=":material/play_arrow:", key="train", disabled=unable, on_click=press)
    if not advice:  # two proposals at once would confuse
        with proposal:  # last, because it may take seconds: everything else is there already
            suggested()


def start_notes() -> list[str]:
    """What to know before the start."""
    who = visitor()
    notes = [queue_note(), next_device(), "" if who.admin else manager().limits.describe()]
    if who.known and not who.named and not is_personal():
        notes.append(f"Your run will be listed as {who.name}'s. Enter your name at the top.")
    return [note for note in notes if note]


def train_label(asked: TrainConfig, allowed: TrainConfig) -> str:
    """The button's label: a run that is longer than this server allows is shortened, and the button says to what."""
    if allowed == asked:
        return "Train"
    amount = span(allowed.duration) if allowed.duration_unit == "seconds" else f"{allowed.duration:,.0f} steps"
    return f"Train for {amount}"


def queue_note() -> str:
    """The runs ahead of a new one."""
    before = manager().unfinished()
    at_work = [run for run in before if run.state is not RunState.QUEUED]
    if len(at_work) < manager().most_at_work:
        return ""
    own = manager().unfinished_run(visitor())
    names = sorted({"your own run" if run is own else plain(clean_name(run.stored.owner) or label(run)) for run in at_work})
    whose = f"{', '.join(names[:3])}{' and others' if len(names) > 3 else ''}"
    return f"Training: {whose}. Waiting: {len(before) - len(at_work)}. A new run will wait for its turn."
