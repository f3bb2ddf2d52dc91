"""The lessons' figures: each draws its component, and returns what that reports."""

from collections.abc import Callable, Mapping
from typing import Any

from gan.course.plane import PLANE
from ui.components.plane import plane

# Figures by lesson id. A figure gets the page's url_path.
FIGURES: dict[str, Callable[[str], Mapping[str, Any]]] = {PLANE.id: plane}
