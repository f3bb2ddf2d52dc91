"""Helpers for pages that run in Streamlit's AppTest: the script to start, and what a page shows."""

from collections.abc import Iterable
from typing import Any

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from ui import page_files as pages
from ui.config_form import OTHERS

ENTRY = str(pages.HOME.parent.parent / "ui" / "navigation.py")


def open_settings(at: AppTest) -> AppTest:
    """Opens "All settings" of the form on Train, as a visitor does; they stay open."""
    at.session_state[OTHERS] = True
    return at.run()


def button(at: AppTest, label: str) -> Button:
    return next(b for b in at.button if b.label == label)


def labels(at: AppTest) -> set[str]:
    """The labels of all buttons."""
    return {b.label for b in at.button}


def texts(elements: Iterable[Any]) -> str:
    return " ".join(str(e.value) for e in elements)
