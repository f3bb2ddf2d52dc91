"""Knobs that show a setting which others can change, too."""

from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st

from ui import knobs


def test_a_knob_that_is_no_longer_drawn_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "session_state", {})
    made: list[float] = []
    run: Any = SimpleNamespace(id="a-run")
    first = knobs._bound(run, "label_flips", 0.5, made.append)
    second = knobs._bound(run, "label_flips", 0.0, made.append)  # a remedy has changed it
    st.session_state[first["key"]] = 0.5  # a slow browser reports the old knob once more
    first["on_change"]()
    assert made == [] and second["key"] != first["key"]
    st.session_state[second["key"]] = 0.1
    second["on_change"]()
    assert made == [0.1] and knobs._bound(run, "label_flips", 0.1, made.append)["key"] == second["key"], "a moved knob keeps the focus"
