"""A lesson's figure: a component that computes in the browser and reports what can meet a goal."""

from collections.abc import Callable, Mapping
from typing import Any

from ui.components.component import component


def course_figure(
    name: str, html: str, late: Callable[[], Mapping[str, Any]] = dict, **constants: Any
) -> Callable[[str], Mapping[str, Any]]:
    """The function that draws a figure.

    Args:
        name: of its .js and .css.
        html: what it begins with.
        late: gives more data for the figure when it is drawn.
        constants: numbers that the lesson's goals and the figure share.

    Returns:
        (the page's url_path, from which the component finds the address of the server behind any prefix) -> what the figure last
        reported, from the browser: any mapping, or an empty one.
    """
    mounted = component(name, html, "figure")

    def draw(page: str) -> Mapping[str, Any]:
        report = mounted(key=name, data={"page": page, **constants, **late()}, on_report_change=lambda: None).report
        return report if isinstance(report, Mapping) else {}

    return draw
