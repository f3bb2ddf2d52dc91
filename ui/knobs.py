"""The knobs of a running run: its live settings and its pace."""

from collections.abc import Callable
from typing import Any, get_args

import streamlit as st

from gan.config import TrainConfig
from gan.runs.run import Run

KEY = "knob_"
LABELS = ("real_label", "fake_label", "label_flips")  # settings of losses that have labels
RATES = [mantissa * 10.0**exponent for exponent in range(-7, -1) for mantissa in (1, 2, 5)] + [0.1]
PACES = {0.0: "Full speed", 0.25: "4 steps/s", 1.0: "1 step/s", 3.0: "1 step in 3 s"}

Change = Callable[[str, Any], None]


def knobs(run: Run, change: Change, pace: Callable[[float], None]) -> None:
    """Draws a widget for each live setting. On every script run, each shows the current or the requested value.

    change, pace: called with the new value.
    """
    config = run.live_config

    def widget(name: str) -> dict[str, Any]:
        """Arguments that all knobs share. First sets the widget to the run's own value."""
        info = TrainConfig.model_fields[name]
        key = f"{KEY}{run.id}_{name}"
        st.session_state[key] = getattr(config, name)
        return {"label": info.title, "help": info.description, "key": key, "on_change": lambda: change(name, st.session_state[key])}

    def bounds(name: str) -> tuple[Any, Any]:
        limits = {b: getattr(m, b) for m in TrainConfig.model_fields[name].metadata for b in ("ge", "le") if hasattr(m, b)}
        return limits["ge"], limits["le"]

    with st.grid("auto", min_column_width=150, vertical_alignment="bottom"):
        key = f"{KEY}{run.id}_pace"
        st.session_state[key] = min(PACES, key=lambda s: abs(s - run.pace_s))
        st.selectbox(
            "Speed",
            list(PACES),
            format_func=PACES.__getitem__,
            key=key,
            on_change=lambda: pace(st.session_state[key]),
            help="Slow motion measures and draws every step. The results are the same.",
        )
        for name in TrainConfig.live_fields():
            value = getattr(config, name)
            kind = TrainConfig.model_fields[name].annotation
            if name in LABELS and config.has_scores:
                continue
            if name in ("lr_g", "lr_d"):
                st.select_slider(**widget(name), options=sorted({*RATES, value}), format_func=lambda rate: f"{rate:.3g}")
            elif kind is int or kind is float:
                low, high = bounds(name)
                if kind is float:
                    st.slider(**widget(name), min_value=float(low), max_value=float(high), step=0.01)
                else:
                    st.slider(**widget(name), min_value=low, max_value=high)
            else:
                st.selectbox(**widget(name), options=list(get_args(kind)), format_func=str.capitalize)
