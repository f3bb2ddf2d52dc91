"""Long work on a page: a progress bar and a Cancel button."""

import functools
import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import ParamSpec, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from gan.events import Progress
from ui.text import plain

PATIENCE_S = 0.3  # faster work needs no bar: it would only flicker

P = ParamSpec("P")
T = TypeVar("T")


def in_its_place(draw: Callable[P, T]) -> Callable[P, T]:
    """Decorates a function that draws something only sometimes, such as a progress bar: what comes after it keeps its place on the page.

    Otherwise what comes after moves up when the bar is gone, and the page has it twice until the script ends.
    """

    @functools.wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> T:
        with st.container():
            return draw(*args, **kwargs)

    return inside


class Canceled:
    """Whether this session canceled some work, which then waits until someone asks for it again. Call it to cancel."""

    def __init__(self, name: str, work: object) -> None:
        """
        Args:
            name: of the kind of work, in the session.
            work: identifies the work; other work of this kind was not canceled.
        """
        self._name, self._work = name, work

    def __call__(self) -> None:
        st.session_state[self._name] = self._work

    def waits(self, sentence: str, button: str, icon: str) -> bool:
        """Whether it is still canceled: then the page has a sentence, and a button to start it again."""
        if st.session_state.get(self._name) == self._work and not st.button(button, icon=icon):
            st.caption(sentence)
            return True
        st.session_state.pop(self._name, None)
        return False


def drain(
    work: Generator[Progress, None, T],
    key: str,
    on_cancel: Callable[[], None] | None = None,
    watch: Callable[[Progress], None] | None = None,
) -> T:
    """Drains a generator of Progress with a bar and a Cancel button; returns the generator's result, and passes its errors on.

    Streamlit interrupts a script when a button is pressed, in whatever call of `st` comes next. That is here, between two
    events, and the generator is closed: it cleans up after itself. The page then runs again.

    Args:
        work: the long work.
        key: of the button; unique for each place on a page with work.
        on_cancel: called when the button is pressed, before the page reruns.
        watch: called with each event.
    """
    place, began = st.empty(), time.monotonic()
    bar: DeltaGenerator | None = None
    try:
        with closing(work):
            while True:
                try:
                    event = next(work)
                except StopIteration as stop:
                    result: T = stop.value
                    break
                if bar is None and time.monotonic() - began > PATIENCE_S:
                    with place.container(horizontal=True, vertical_alignment="center"):
                        bar = st.progress(0.0)
                        st.button("Cancel", icon=":material/close:", key=key, on_click=on_cancel)
                if watch:
                    watch(event)
                if bar is not None:
                    share = min(1.0, event.done / event.total) if event.total else 0.0
                    bar.progress(share, f"{plain(event.task)}: {share:.0%}" if event.total else f"{plain(event.task)}…")
    except Exception:
        place.empty()
        raise
    place.empty()
    return result
