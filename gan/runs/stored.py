"""What a run's folder says of the run: config.json and status.json, typed."""

from typing import Any

from gan.events import Done
from gan.records import COUNT, COUNT_OR_NULL, MOMENT, NUMBER_OR_NULL, SECONDS, TEXT, TEXT_OR_NULL, Field, Record
from gan.runs.states import RunState


class Status(Record):
    """status.json: a run's state, how far it is, how it is computed. Run.status() adds progress, eta_s, stopping and pace_s."""

    state = Field(
        RunState.INTERRUPTED, (f"one of {', '.join(RunState)}", lambda value: isinstance(value, str) and value in list(RunState)), RunState
    )
    step = Field(0, COUNT)
    images_seen = Field(0, COUNT)
    elapsed_s = Field(0.0, SECONDS)
    started = Field[float | None](None, MOMENT)
    ended = Field[float | None](None, MOMENT)
    error = Field("", TEXT_OR_NULL)
    reason = Field("", TEXT_OR_NULL)  # why it ended or cannot continue, where its owner did not ask for that
    stuck = Field("", TEXT_OR_NULL)  # what a run that cannot continue lacks: "state" or "data"
    judge = Field("", TEXT_OR_NULL)  # why its images have no scores
    precision = Field("", TEXT_OR_NULL)
    device = Field("", TEXT_OR_NULL)
    launch = Field("", TEXT_OR_NULL)
    threads = Field[int | None](None, COUNT_OR_NULL)
    best_step = Field[int | None](None, COUNT_OR_NULL)
    channels_last = Field(True, ("true or false", lambda value: isinstance(value, bool)))
    best_fd = Field[float | None](None, NUMBER_OR_NULL)
    progress = Field(0.0)
    eta_s = Field[float | None](None)

    @property
    def done(self) -> Done:
        """How far the run is."""
        return Done(self.step, self.images_seen, float(self.elapsed_s))


class StoredRun(Record):
    """config.json: what a run is. Empty for a run whose settings cannot be read."""

    recipe = Field("", TEXT)
    data = Field("", TEXT)
    owner = Field("", TEXT_OR_NULL)
    owner_id = Field("", TEXT_OR_NULL)
    data_fingerprint = Field("", TEXT_OR_NULL)
    data_labels = Field("", TEXT_OR_NULL)
    data_images = Field[int | None](None, COUNT_OR_NULL)
    data_skipped_count = Field(0, COUNT)
    data_skipped = Field[list[str]](
        [], ("a list of names", lambda value: isinstance(value, list) and all(isinstance(name, str) for name in value))
    )
    versions = Field[dict[str, Any]]({}, ("versions by name", lambda value: isinstance(value, dict)))
    origin = Field[dict[str, Any] | None](None, ("the run and step whose networks it began with", lambda value: isinstance(value, dict)))
    parent = Field[dict[str, Any] | None](None, ("the run that it was forked from", lambda value: isinstance(value, dict)))
