"""The lessons' figures: each draws its component, and returns what that reports."""

from collections.abc import Callable, Mapping
from typing import Any

from gan.course.batch_norm import BATCH_NORM
from gan.course.clinic import CLINIC
from gan.course.losses import LOSSES
from gan.course.plane import PLANE
from gan.course.real_or_fake import REAL_OR_FAKE
from gan.course.rules import RULES
from gan.course.space import SPACE
from gan.course.transposed import TRANSPOSED
from ui.components.batch_norm import batch_norm
from ui.components.losses import losses
from ui.components.plane import plane
from ui.components.real_or_fake import real_or_fake
from ui.components.space import space
from ui.components.transposed import transposed
from ui.learn.experiments import experiments
from ui.learn.patient import cases_and_patient

# By the lesson's id. A figure gets the page's url_path.
FIGURES: dict[str, Callable[[str], Mapping[str, Any]]] = {
    REAL_OR_FAKE.id: real_or_fake,
    PLANE.id: plane,
    LOSSES.id: losses,
    TRANSPOSED.id: transposed,
    BATCH_NORM.id: batch_norm,
    RULES.id: experiments,
    CLINIC.id: cases_and_patient,
    SPACE.id: space,
}
