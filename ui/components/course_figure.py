"""A lesson's figure: a component that computes in the browser and reports what can meet a goal."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from gan.files import in_words
from ui.components.component import component

log = logging.getLogger(__name__)


def course_figure(name: str, html: str, late: Callable[[], Mapping[str, Any]] = dict, **constants: Any) -> Callable[..., Mapping[str, Any]]:
    """The function that draws a figure.

    Args:
        name: of its .js and .css.
        html: what it begins with.
        late: gives more data for the figure when it is drawn. It may raise ValueError or OSError: the page then says that a file that
            comes with the app cannot be used, and the figure is missing.
        constants: numbers that the lesson's goals and the figure share.

    Returns:
        (the page's url_path, from which the component finds the address of the server behind any prefix; more data by name) -> what the
        figure last reported, from the browser: any mapping, or an empty one.
    """
    mounted = component(name, html, "figure")

    def draw(page: str, **given: Any) -> Mapping[str, Any]:
        try:
            more = late()
        except (ValueError, OSError) as error:  # an installation that lacks a file
            log.warning("the figure %s cannot be drawn: %s", name, in_words(error) if isinstance(error, OSError) else error)
            st.error("This figure cannot be drawn: a file that comes with the app is missing or damaged.", icon=":material/error:")
            return {}
        report = mounted(key=name, data={"page": page, **constants, **more, **given}, on_report_change=lambda: None).report
        return report if isinstance(report, Mapping) else {}

    return draw
