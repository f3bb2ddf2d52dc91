"""The settings form: a loop over TrainConfig's fields. Labels, help, bounds and units are read from them."""

import math
from typing import Any, Literal, get_args, get_origin

import streamlit as st
from pydantic.fields import FieldInfo
from streamlit.delta_generator import DeltaGenerator
from streamlit.elements.lib.mutable_expander_container import ExpanderContainer

from gan.config import GROUPS, TRANSLATORS, SettingsError, TrainConfig
from gan.data import datasets
from gan.runs.sizes import at_most, lacks_classes, no_classes, unsuited
from gan.training.feed import largest_batch, too_few
from ui.dice import seed_dice
from ui.form_words import faults_of
from ui.text import plain

KEY = "setting_"
FORK_KEY = "fork_"
SAID = "recipe_said"  # in the session: a sentence on what a chosen recipe has set; ""
ADVICE = "doctor_said"  # in the session: what the doctor changed in the form's settings, as Markdown; ""
FILLED = "filled_form"  # in the session: the values that a recipe, a suggestion, a run or the doctor last put into the form, by field
CHOSEN_DATA = "chosen_data"  # in the session: whether the visitor has chosen the form's data set
OTHERS = "all_settings"  # in the session: whether they are open
OTHERS_OPEN = "all_settings_open"  # the same, on other pages too, where Streamlit forgets the first
MOST_AMOUNT = 1_000_000  # epochs, steps or seconds to train longer
LARGEST = 10**12  # largest number in a field; browsers' numbers end at 2**53


def fill_form(config: TrainConfig, said: str = "", advice: str = "") -> None:
    """Puts a config's values into the form's widgets, and says why; call it before they are drawn, or from a callback.

    said, advice: see SAID and ADVICE.
    """
    st.session_state[SAID], st.session_state[ADVICE] = said, advice
    st.session_state[FILLED] = filled = form_values(config)
    for name, value in filled.items():
        st.session_state[KEY + name] = value


def form_values(config: TrainConfig) -> dict[str, Any]:
    """A config's values as the form shows them."""
    return config.model_dump() | {"duration": rounded(config.duration)}


def say_nothing() -> None:
    """Removes what was said about the form's values: it no longer holds."""
    st.session_state[SAID] = st.session_state[ADVICE] = ""


def config_form(base: TrainConfig, faults: DeltaGenerator) -> TrainConfig | None:
    """Draws a widget for every field: the common ones first, the others by group in an expander.

    Faults are shown below their field, and next to the button that they disable, so a phone shows both.

    Args:
        base: the initial values.
        faults: the place next to the button.

    Returns:
        the config, or None if the values do not fit together.
    """
    fields = TrainConfig.model_fields
    values = {name: st.session_state.get(KEY + name, getattr(base, name)) for name in fields}
    shown = [name for name in fields if TrainConfig.has_effect(name, values)]
    common = [name for name in shown if _extra(fields[name])["common"]]
    config, wrong = _read(_without_hidden(values))
    said = dict(wrong)
    with st.grid("auto", min_column_width=150, vertical_alignment="top"):
        for name in common:
            _widget(name, fields[name], getattr(base, name), fault=said.get(name, ""))
    others = [name for name in shown if name not in common]
    place = _other_settings(open=not said.keys().isdisjoint(others))
    if not place.open:
        for name in others:
            _hold(KEY + name, getattr(base, name))
    else:
        with place:
            for group in GROUPS:
                names = [name for name in others if _extra(fields[name])["group"] == group]
                if names:
                    st.markdown(f"**{group}**")
                    with st.grid("auto", min_column_width=150, vertical_alignment="top"):
                        for name in names:
                            _widget(name, fields[name], getattr(base, name), fault=said.get(name, ""))
    with faults:
        for _, sentence in wrong:
            st.error(f"{plain(sentence)}.", icon=":material/error:")
        if config is not None and (size := _smaller_batch(config)):
            st.button(f"Use a batch size of {size}", icon=":material/compress:", on_click=_set_batch_size, args=(size,))
    return None if wrong else config


def _other_settings(open: bool) -> ExpanderContainer:
    """The place of all settings but the common ones: open as the visitor last left it, and with `open` in any case.

    What is closed is not drawn, so the browser need not build some 70 more fields before someone asks for them.
    """
    if open:
        st.session_state[OTHERS] = True
    else:
        st.session_state.setdefault(OTHERS, st.session_state.get(OTHERS_OPEN, False))
    place = st.expander("All settings", icon=":material/tune:", key=OTHERS, on_change="rerun")
    st.session_state[OTHERS_OPEN] = bool(place.open)
    return place


def _without_hidden(values: dict[str, Any]) -> dict[str, Any]:
    """The form's values for networks that translate images: what they refuse and the form hides goes back to its default."""
    if values["networks"] not in TRANSLATORS:
        return values
    fields = TrainConfig.model_fields
    return {name: value if TrainConfig.has_effect(name, values) else fields[name].default for name, value in values.items()}


def _read(values: dict[str, Any]) -> tuple[TrainConfig | None, list[tuple[str, str]]]:
    """The config of some values, if they are valid, and what is wrong: (field, sentence)."""
    try:
        config = TrainConfig(**values)
    except ValueError as error:
        return None, faults_of(error)
    if config.conditional and lacks_classes(config.data):
        return config, faults_of(SettingsError([("conditional", no_classes(config.data))]))
    if reason := unsuited(config):
        return config, faults_of(SettingsError([("data", reason)]))
    images = at_most(config.data, config.batch_size)
    if images is None:
        return config, []
    return config, faults_of(SettingsError([("batch_size", f"the data set {config.data} holds {too_few(config, images)}")]))


def _smaller_batch(config: TrainConfig) -> int | None:
    """The batch size that a small data set allows; None if the chosen one is fine, or no batch size is."""
    images = at_most(config.data, config.batch_size)
    return None if images is None else largest_batch(config, images)


def _set_batch_size(size: int) -> None:
    st.session_state[KEY + "batch_size"] = size


def read_form() -> TrainConfig:
    """The config from the form's current widgets; for callbacks, which run before the widgets are redrawn.

    Raises:
        ValueError: the values do not fit together.
    """
    defaults = {name: info.default for name, info in TrainConfig.model_fields.items()}
    return TrainConfig(**_without_hidden({name: st.session_state.get(KEY + name, default) for name, default in defaults.items()}))


def fork_form(config: TrainConfig) -> bool:
    """Draws the choice of changes for a fork. False if the settings do not fit together; the page then shows the reason."""
    fields = TrainConfig.model_fields
    unchanged = {*TrainConfig.fixed_fields(), "duration", "duration_unit"}
    values = config.model_dump() | {"schedule_images": 1}  # as if there were a schedule: it may be chosen in the same form
    free = [name for name in fields if name not in unchanged and TrainConfig.has_effect(name, values)]
    names = st.multiselect(
        "Settings to change",
        free,
        format_func=lambda name: str(fields[name].title),
        key="fork_names",
        placeholder="Choose settings",
        help="Settings that define the networks are fixed: a fork continues from trained weights.",
    )
    changes = {name: st.session_state.get(FORK_KEY + name, getattr(config, name)) for name in names}
    _, wrong = _read({**config.model_dump(), **changes})
    said = dict(wrong)
    for name in names:
        _widget(name, fields[name], getattr(config, name), FORK_KEY, said.get(name, ""))
    enough = longer("fork", config, "Train for")
    for _, sentence in wrong:
        st.error(f"{plain(sentence)}.", icon=":material/error:")
    return enough and not wrong


def longer(key: str, config: TrainConfig, label: str = "How much longer") -> bool:
    """Draws the choice of how much longer a run trains, in the session as KEY_amount and KEY_unit. False if the amount is invalid."""
    units = ["epochs", "steps", "seconds"]
    left, right = st.columns(2)
    with left:
        st.session_state.setdefault(f"{key}_amount", min(rounded(config.duration), float(MOST_AMOUNT)))
        st.number_input(label, step=1.0, format="%.6g", key=f"{key}_amount")
        amount = st.session_state[f"{key}_amount"]
        fits = 0 < amount <= MOST_AMOUNT
        if not fits:
            _say(f"{label} must be above 0 and at most {MOST_AMOUNT:,}; got {amount:,g}")
    right.selectbox("Unit", units, units.index(config.duration_unit), key=f"{key}_unit")
    return fits


def fill_fork_form(changes: dict[str, Any]) -> None:
    """Puts changed settings into the form of a fork; call it before the form is drawn."""
    st.session_state["fork_names"] = list(changes)
    for name, value in changes.items():
        st.session_state[FORK_KEY + name] = value


def read_fork_form(config: TrainConfig) -> tuple[dict[str, Any], str, float]:
    """The changes in a fork of a run with these settings, and how much longer it trains: unit, amount.

    Raises:
        ValueError: the settings do not go together.
    """
    changes = {name: st.session_state[FORK_KEY + name] for name in st.session_state["fork_names"]}
    config.change(**changes)
    return changes, st.session_state["fork_unit"], st.session_state["fork_amount"]


def _extra(info: FieldInfo) -> dict[str, Any]:
    assert isinstance(info.json_schema_extra, dict)
    return info.json_schema_extra


def rounded(duration: float) -> float:
    """A duration for the form: after a resume or a fork it may be any number of epochs."""
    return float(f"{duration:.4g}") if duration < 10_000 else float(round(duration))


def _say(fault: str) -> None:
    """The rule that the field above breaks; the reason is next to the button."""
    st.markdown(f":red[:material/error: {plain(fault.partition(': ')[0])}.]")


def _hold(key: str, value: Any) -> None:
    """Sets a field's value in the session, in every script run.

    Streamlit drops the value of a widget that is not drawn. One set by an interrupted run never reaches the browser, which would show the
    lowest value. And one set while its widget was not drawn would come back when the widget is gone again, so it is removed first.
    """
    st.session_state[key] = st.session_state.pop(key, value)


def _widget(name: str, info: FieldInfo, value: Any, prefix: str = KEY, fault: str = "") -> None:
    """One field's widget, by its type, and below it what is wrong with its value."""
    key = prefix + name
    _hold(key, value)
    unit = _extra(info)["unit"]
    label = f"{info.title} ({unit})" if unit else str(info.title)
    options: dict[str, Any] = {"label": label, "help": info.description, "key": key}
    kind, may_be_empty = _kind(info)
    choices = datasets.available() if name == "data" else list(get_args(kind)) if get_origin(kind) is Literal else []
    with st.container(gap="xxsmall"):
        if choices:
            if st.session_state[key] not in choices:  # the folder of a copied run, which only the command line may name
                st.session_state[key] = choices[0]
            st.selectbox(**options, options=choices, on_change=_note_data if name == "data" else None)
        elif kind is bool:
            st.checkbox(**options)
        elif name == "background":
            st.color_picker(**options)
        elif name == "seed":
            _number(kind, options)
            seed_dice(key)
        else:
            _number(kind, options | ({"value": None, "placeholder": "No change"} if may_be_empty else {}), _extra(info)["step"])
        if fault:
            _say(fault)


def _kind(info: FieldInfo) -> tuple[Any, bool]:
    """A field's type, and whether it may be empty."""
    parts = get_args(info.annotation)
    return (parts[0], True) if type(None) in parts else (info.annotation, False)


def _number(kind: Any, options: dict[str, Any], step: float = 1) -> None:
    """A field for a number. The widget has no bounds, because it would drop a number beyond them silently."""
    key = options["key"]
    if st.session_state[key] is None:
        st.number_input(**options, step=max(1, int(step)) if kind is int else float(step), format="%d" if kind is int else "%.6g")
        return
    value = min(max(st.session_state[key], -LARGEST), LARGEST)
    if kind is int:
        st.session_state[key] = int(value)
        st.number_input(**options, step=max(1, int(step)))
        return
    st.session_state[key] = float(value)
    if not step:
        step = 10.0 ** (math.floor(math.log10(abs(value))) - 1) if value else 1e-4
    st.number_input(**options, step=float(step), format="%.6g")


def _note_data() -> None:
    """The visitor has chosen the data set, so another recipe does not change it."""
    st.session_state[CHOSEN_DATA] = True
    say_nothing()
