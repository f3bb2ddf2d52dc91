"""The lessons' figures: each draws its component, and returns what that reports."""

from collections.abc import Callable, Mapping
from typing import Any

from gan.course.losses import LOSSES
from gan.course.plane import PLANE
from gan.course.rules import RULES
from gan.course.transposed import TRANSPOSED
from ui.components.losses import losses
from ui.components.plane import plane
from ui.components.transposed import transposed
from ui.learn.experiments import experiments

# By the lesson's id. A figure gets the page's url_path.
FIGURES: dict[str, Callable[[str], Mapping[str, Any]]] = {
    PLANE.id: plane,
    LOSSES.id: losses,
    TRANSPOSED.id: transposed,
    RULES.id: experiments,
}
