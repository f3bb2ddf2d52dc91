"""The knobs of a running run: its live settings and its pace."""

from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import streamlit as st

from gan.config import TrainConfig
from gan.runs.run import Run
from gan.training.schedule import moves_rates, scheduled

KEY = "knob_"
LABELS = ("real_label", "fake_label", "label_flips")  # settings of losses that have labels
RATES = [mantissa * 10.0**exponent for exponent in range(-7, -1) for mantissa in (1, 2, 5)] + [0.1]
WEIGHTS_OF = ("adversarial_weight", "l1_weight", "cycle_weight", "identity_weight")  # settings that weigh losses
WEIGHTS = [0.0, 0.1, 0.3, 1.0, 3.0, 5.0, 10.0, 30.0, 100.0, 300.0, 1000.0]
PACES = {0.0: "Full speed", 0.25: "4 steps/s", 1.0: "1 step/s", 3.0: "1 step in 3 s"}

Change = Callable[[str, Any], None]


def knobs(run: Run, change: Change, pace: Callable[[float], None]) -> None:
    """Draws a widget for each live setting. On every script run, each shows the current or the requested value.

    change, pace: called with the new value.
    """
    config = run.live_config

    def widget(name: str) -> dict[str, Any]:
        """Arguments that all knobs share."""
        info = TrainConfig.model_fields[name]
        return {"label": info.title, "help": info.description} | _bound(run, name, getattr(config, name), partial(change, name))

    def bounds(name: str) -> tuple[Any, Any]:
        limits = {b: getattr(m, b) for m in TrainConfig.model_fields[name].metadata for b in ("ge", "le") if hasattr(m, b)}
        return limits["ge"], limits["le"]

    with st.grid("auto", min_column_width=150, vertical_alignment="bottom"):
        st.selectbox(
            "Speed",
            list(PACES),
            format_func=PACES.__getitem__,
            help="Slow motion measures and draws every step. The results are the same.",
            **_bound(run, "pace", min(PACES, key=lambda s: abs(s - run.pace_s)), pace),
        )
        for name in TrainConfig.live_fields():
            value = getattr(config, name)
            kind = TrainConfig.model_fields[name].annotation
            if (name in LABELS and config.has_scores) or not TrainConfig.has_effect(name, config.model_dump()):
                continue
            if name in WEIGHTS_OF:
                st.select_slider(**widget(name), options=sorted({*WEIGHTS, value}), format_func=lambda weight: f"{weight:g}")
            elif name in ("lr_g", "lr_d"):
                st.select_slider(**widget(name), options=sorted({*RATES, value}), format_func=lambda rate: f"{rate:.3g}")
            elif kind is int or kind is float:
                low, high = bounds(name)
                if kind is float:
                    st.slider(**widget(name), min_value=float(low), max_value=float(high), step=0.01)
                else:
                    st.slider(**widget(name), min_value=low, max_value=high)
            else:
                st.selectbox(**widget(name), options=list(get_args(kind)), format_func=str.capitalize)
    if moves_rates(config):
        share = scheduled(config, run.status()["images_seen"]).rate
        st.caption(f"The schedule now multiplies both learning rates by {share:.2g}.")


def _bound(run: Run, name: str, value: Any, change: Callable[[Any], None]) -> dict[str, Any]:
    """Key and callback of a knob that shows this value of the run's.

    A knob becomes a new widget when its value was changed elsewhere, such as by a remedy or in another tab. Until the browser has drawn
    that value, each of its messages still reports the old one. Under the same key that would count as a move and undo the change.
    A knob that was moved itself stays the same widget, so it keeps the keyboard's focus.
    """
    shown = f"shown_{KEY}{run.id}_{name}"
    before, version = st.session_state.get(shown, (value, 0))
    if value != before:
        version += 1
    st.session_state[shown] = (value, version)
    key = f"{KEY}{run.id}_{name}_{version}"
    st.session_state[key] = value  # on every script run: a slider whose options changed starts at its first one

    def moved() -> None:
        if st.session_state[shown][1] != version:
            # A widget that is no longer drawn here, reported once more by a browser that has not heard of that: to Streamlit, which has
            # forgotten its value, that is a move.
            return
        st.session_state[shown] = (st.session_state[key], version)
        change(st.session_state[key])

    return {"key": key, "on_change": moved}
