"""The runs whose networks come with the app, for new runs to start from."""

from collections.abc import Callable
from dataclasses import dataclass

from gan.config import TrainConfig
from gan.course import digits_run, faces_run
from gan.runs.start import Origin


@dataclass(frozen=True)
class ShippedRun:
    """A run whose networks come with the app.

    Attributes:
        title: for people.
        config: its settings.
        origin: its networks at the saved step nearest to a number; by default, and for "best", those of the last step. Raises ValueError or
            OSError if a file cannot be used.
    """

    title: str
    config: TrainConfig
    origin: Callable[[int | str | None], Origin]


SHIPPED_RUNS = {
    digits_run.DIGITS_RUN: ShippedRun("The digits that come with the app (digits-run)", digits_run.CONFIG, digits_run.digits_origin),
    faces_run.FACES_RUN: ShippedRun("The faces that come with the app (faces-run)", faces_run.CONFIG, faces_run.faces_origin),
}
