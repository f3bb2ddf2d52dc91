"""The settings form: a loop over TrainConfig's fields. Labels, help, bounds and units are read from them."""

from typing import Any, Literal, get_args, get_origin

import streamlit as st
from pydantic.fields import FieldInfo
from streamlit.delta_generator import DeltaGenerator

from gan.config import GROUPS, TrainConfig
from gan.data import datasets
from gan.runs.sizes import at_most
from gan.training.feed import largest_batch, too_few
from ui.text import plain

KEY = "setting_"
FORK_KEY = "fork_"


def fill_form(config: TrainConfig) -> None:
    """Puts a config's values into the form's widgets; call it before they are drawn, or from a callback."""
    for name, value in config.model_dump().items():
        st.session_state[KEY + name] = value


def config_form(base: TrainConfig, faults: DeltaGenerator) -> TrainConfig | None:
    """Draws a widget for every field: the common ones first, the others by group in an expander.

    Args:
        base: the values to begin with.
        faults: where it says what is wrong; next to the button that it disables, so that a phone shows both.

    Returns:
        the config, or None if the values do not fit together; the page then shows the reason.
    """
    fields = TrainConfig.model_fields
    common = [name for name, info in fields.items() if _extra(info)["common"]]
    with st.grid("auto", min_column_width=150, vertical_alignment="bottom"):
        for name in common:
            _widget(name, fields[name], getattr(base, name))
    with st.expander("All settings", icon=":material/tune:", key="all_settings"):
        for group in GROUPS:
            names = [name for name, info in fields.items() if _extra(info)["group"] == group and name not in common]
            if names:
                st.markdown(f"**{group}**")
                with st.grid("auto", min_column_width=150, vertical_alignment="bottom"):
                    for name in names:
                        _widget(name, fields[name], getattr(base, name))
    try:
        config = read_form()
    except ValueError as error:
        faults.error(f"These settings cannot be combined: {plain(error)}", icon=":material/error:")
        return None
    with faults:
        return config if _fills_a_batch(config) else None


def _fills_a_batch(config: TrainConfig) -> bool:
    """Whether the data set has enough images for a batch. Where it has not, the page says so and offers a smaller batch."""
    images = at_most(config.data, config.batch_size)
    if images is None:
        return True
    st.error(f"The data set {plain(config.data)} holds {plain(too_few(config, images))}.", icon=":material/error:")
    size = largest_batch(config, images)
    if size:
        st.button(f"Use a batch size of {size}", icon=":material/compress:", on_click=_set_batch_size, args=(size,))
    return False


def _set_batch_size(size: int) -> None:
    st.session_state[KEY + "batch_size"] = size


def read_form() -> TrainConfig:
    """The config as the form's widgets hold it now; for callbacks, which run before the widgets are drawn again.

    Raises:
        ValueError: the values do not go together.
    """
    return TrainConfig(**{name: st.session_state[KEY + name] for name in TrainConfig.model_fields})


def fork_form(config: TrainConfig) -> bool:
    """Draws the choice of what is other in a fork. False where the settings do not go together; the reason is then on the page."""
    fields = TrainConfig.model_fields
    free = [name for name in fields if name not in TrainConfig.fixed_fields() and name not in ("duration", "duration_unit")]
    names = st.multiselect(
        "Settings to change",
        free,
        format_func=lambda name: str(fields[name].title),
        key="fork_names",
        placeholder="Choose settings",
        help="Settings that define the networks are fixed: a fork continues from trained weights.",
    )
    for name in names:
        _widget(name, fields[name], getattr(config, name), FORK_KEY)
    left, right = st.columns(2)
    left.number_input("Train for", 0.01, 1e6, min(max(float(config.duration), 0.01), 1e6), format="%.6g", key="fork_amount")
    units = ["epochs", "steps", "seconds"]
    right.selectbox("Unit", units, units.index(config.duration_unit), key="fork_unit")
    try:
        read_fork_form(config)
    except ValueError as error:
        st.error(f"These settings cannot be combined: {plain(error)}", icon=":material/error:")
        return False
    return True


def fill_fork_form(changes: dict[str, Any]) -> None:
    """Puts settings that should change into the form of a fork; call it before the form is drawn."""
    st.session_state["fork_names"] = list(changes)
    for name, value in changes.items():
        st.session_state[FORK_KEY + name] = value


def read_fork_form(config: TrainConfig) -> tuple[dict[str, Any], str, float]:
    """What changes in a fork of a run with these settings, and for how much longer it trains: unit, amount.

    Raises:
        ValueError: the settings do not go together.
    """
    changes = {name: st.session_state[FORK_KEY + name] for name in st.session_state["fork_names"]}
    config.change(**changes)
    return changes, st.session_state["fork_unit"], st.session_state["fork_amount"]


def _extra(info: FieldInfo) -> dict[str, Any]:
    assert isinstance(info.json_schema_extra, dict)
    return info.json_schema_extra


def _widget(name: str, info: FieldInfo, value: Any, prefix: str = KEY) -> None:
    """One field's widget, by its type."""
    key = prefix + name
    # Set in every run: what one run sets and another one overtakes never reaches the browser, which would show the least value.
    st.session_state[key] = st.session_state.get(key, value)
    unit = _extra(info)["unit"]
    label = f"{info.title} ({unit})" if unit else str(info.title)
    options: dict[str, Any] = {"label": label, "help": info.description, "key": key}
    kind = info.annotation
    choices = datasets.available() if name == "data" else list(get_args(kind)) if get_origin(kind) is Literal else []
    if choices:
        if st.session_state[key] not in choices:  # a copied run's folder that only the command line may name
            st.session_state[key] = choices[0]
        st.selectbox(**options, options=choices)
        return
    if kind is bool:
        st.checkbox(**options)
        return
    limits = {bound: getattr(m, bound) for m in info.metadata for bound in ("ge", "gt", "le", "lt") if hasattr(m, bound)}
    low, high = limits.get("ge", limits.get("gt", 0)), limits.get("le", limits.get("lt", 1))
    if kind is int:
        st.number_input(**options, min_value=low, max_value=high, step=1)
        return
    small = high <= 0.1
    st.session_state[key] = float(st.session_state[key])
    st.number_input(
        **options, min_value=float(low), max_value=float(high), step=1e-4 if small else 0.05 if high <= 1 else 1.0, format="%.6g"
    )
