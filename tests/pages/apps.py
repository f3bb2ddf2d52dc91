"""Helpers for pages that run in Streamlit's AppTest: the script to start, and what a page shows."""

from collections.abc import Iterable, Iterator
from typing import Any

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block, Button

from ui import page_files as pages
from ui.config_form import OTHERS

ENTRY = str(pages.HOME.parent.parent / "ui" / "navigation.py")


def open_settings(at: AppTest) -> AppTest:
    """Opens "All settings" of the form on Train, as a visitor does; they stay open."""
    at.session_state[OTHERS] = True
    return at.run()


def places(at: AppTest, kind: str) -> list[tuple[int, ...]]:
    """Where on the page the elements of a kind are. One that moves is there twice until the script ends."""

    def below(block: Block, path: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        for number, child in block.children.items():
            if isinstance(child, Block):
                yield from below(child, (*path, number))
            elif child.type == kind:
                yield (*path, number)

    return list(below(at.main, ()))


def button(at: AppTest, label: str) -> Button:
    return next(b for b in at.button if b.label == label)


def labels(at: AppTest) -> set[str]:
    """The labels of all buttons."""
    return {b.label for b in at.button}


def texts(elements: Iterable[Any]) -> str:
    return " ".join(str(e.value) for e in elements)
