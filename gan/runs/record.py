"""A training loop that writes to a run's folder while it runs. Knows nothing about threads or queues."""

import contextlib
import logging
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from gan.config import TrainConfig
from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.devices import free_memory
from gan.events import Event, Intervention, Judged, Metrics, Samples, Snapshot, ThreadChange
from gan.judging.judgements import better
from gan.networks.generator_file import CheckpointError, read_config, read_metadata
from gan.runs.folder import RunFolder, StateLost
from gan.runs.states import ENDED, RunState
from gan.runs.stored import StoredRun
from gan.runs.watch import Watch
from gan.runs.workplace import Here, Workplace
from gan.training.feed import epoch_images
from gan.training.loop import Control, draw_grid, is_grid_step, is_snapshot_step
from gan.training.memory import memory_estimate
from gan.training.state import Diverged, TrainState

log = logging.getLogger(__name__)


STATE_EVERY_S = 30.0  # between two saves of the resume state
FLUSH_EVERY_S = 0.5  # between two writes of metrics and status
SELDOM_S = 0.2  # rarer metrics are written at once, because the next event may take long
NORMS_EVERY_S = 1.0  # between two measurements of norms
BEST_KEPT = 2  # generators kept only because they were the best: the best one, and the one before
KEPT_EVERY_S = 10.0  # between two checkpoints for forks, in addition to those at powers of two and the important ones
FIRST_KEPT = 16  # the first power of two: to go back further, start a new run
BURST_S = 2.0  # of changes closer together than this, only the state before the first is kept
MOST_IMPORTANT = 3  # number of newest changes and of newest findings whose states are kept longest


def record(
    folder: RunFolder,
    state: TrainState,
    dataset: ImageDataset,
    control: Control,
    keep: bool = True,
    watch: Watch | None = None,
    place: Workplace | None = None,
) -> Iterator[Event]:
    """Trains, writes everything to the run's folder as it comes, and passes the events on.

    When the duration is reached or the control halts it, it saves the resume state and, with `keep`, the generator for
    Explore.

    watch: scores the images every few seconds, between two steps, and once more at the end. Generators that beat all
    earlier ones are kept.
    place: where the steps are computed; by default here. A state that follows a run elsewhere has the weights of its step only now and
    then (`state.whole`), and whatever needs them waits until then.

    Raises:
        WorkerLost: see Workplace.train(). The lines that were added are not written yet.
        OSError: a file could not be written, for example because the disk is full. `state` is complete, and you can call
            record() again with it.
        Diverged, ValueError: see train().
    """
    place = place or Here(state.device)
    writer = _Writer(folder, state, watch, keep, place)
    yield from _catch_up(folder, state, dataset)
    try:
        for event in place.train(state, dataset, control):
            writer.save_first()
            writer.write(event)
            yield event  # before a write can fail: added lines are written later, and the event does not come again
            writer.flush(event)
            writer.keep_for_forks(event)
            if watch and state.whole and not control.halted and watch.due(state):
                yield from _judge(writer, dataset, control, watch)
            writer.save_regularly()
    except Diverged:
        folder.flush()
        raise
    folder.flush()
    state.check_finite()
    if watch and state.step and not control.halted and watch.due(state, True):
        yield from _judge(writer, dataset, control, watch)
    if keep and state.step and state.step not in folder.generator_steps():
        folder.save_generator(state)
    if state.step:
        folder.save_state(state)


class _Writer:
    """Writes a run's events, and from time to time its status and state."""

    def __init__(
        self, folder: RunFolder, state: TrainState, watch: Watch | None, keep: bool = True, place: Workplace | None = None
    ) -> None:
        self.folder, self.state, self.watch, self.keep, self.place = folder, state, watch, keep, place or Here(state.device)
        self.has_begun = folder.state_file.exists()
        self.flushed = self.saved = self.kept = time.monotonic()
        self.measured = self.last_metrics = self.changed = -math.inf
        self.kept_step = -1
        self.was = state.config, state.changes  # after the last event
        self.changes = [change.step for change in folder.read_interventions()]
        self.troubles = folder.troubles

    def save_first(self) -> None:
        """Saves the state before anything else of a run's first step is written.

        So a run that is killed in its first half minute can continue, and a run with steps but no state must have lost it.
        """
        if self.has_begun or not self.state.step or not self.state.whole:
            return
        with contextlib.suppress(Diverged):  # train() reports it with more detail
            self.state.check_finite()
            self.folder.save_state(self.state, durable=False)
        self.has_begun = True

    def write(self, event: Event) -> None:
        """Writes the event's file or adds its line; lines wait for flush()."""
        match event:
            case Metrics():
                self.folder.append_metrics(event)
                if time.monotonic() - self.measured > NORMS_EVERY_S and (norms := self.place.norms(self.state)):
                    self.folder.append_norms(event.step, norms)
                    self.measured = time.monotonic()
            case Intervention() | ThreadChange():
                self.folder.append_intervention(event)
            case Samples():
                self.folder.save_samples(event.step, event.images)
            case Snapshot():
                self.folder.save_generator(self.state)

    def flush(self, event: Event) -> None:
        """Writes the lines at once after a change of settings or if metrics are rare, because the next event may take long."""
        now = time.monotonic()
        if isinstance(event, Intervention) or (isinstance(event, Metrics) and now - self.last_metrics > SELDOM_S):
            self.folder.flush()
        if isinstance(event, Metrics):
            self.last_metrics = now

    def keep_for_forks(self, event: Event) -> None:
        """Keeps the state from which a fork may want to continue: regularly, before a change of settings, and when something goes wrong.

        It may fail: the event was noted and told.
        """
        was, self.was = self.was, (self.state.config, self.state.changes)
        step, now = self.state.step, time.monotonic()
        match event:
            case Intervention():
                self.changes.append(event.step)
                first, self.changed = now - self.changed > BURST_S, now
                if first and step:
                    self._keep(was)
            case Snapshot() if step.bit_count() == 1 and step >= FIRST_KEPT:
                self._keep()
            case Snapshot() | Samples() if step and now - self.kept > KEPT_EVERY_S:
                self._keep()
            case Metrics() if self.folder.troubles - self.troubles:
                self.troubles |= self.folder.troubles
                self._keep()

    def keep_best(self) -> None:
        """Keeps the state whose images are the best so far."""
        self._keep(best=self.state.step)

    def _keep(self, was: tuple[TrainConfig, int] | None = None, best: int | None = None) -> None:
        """Keeps the state if that of this step was not kept already. best: the step of the best images, if it is not judged yet."""
        if not self.keep or self.state.step == self.kept_step or not self.state.whole:
            return
        self.state.check_finite()
        if best is None and (known := self.folder.best()):
            best = known.step
        important = [*self.changes[-MOST_IMPORTANT:], *sorted(self.troubles)[-MOST_IMPORTANT:], *([] if best is None else [best])]
        self.folder.keep_state(self.state, important, was)
        self.kept, self.kept_step = time.monotonic(), self.state.step

    def save_regularly(self) -> None:
        """Writes lines and status twice a second, and the resume state every half minute."""
        now = time.monotonic()
        if now - self.flushed > FLUSH_EVERY_S:
            self.folder.flush()
            write_status(self.folder, RunState.RUNNING, self.state, **judging_status(self.watch))
            self.flushed = now
        if now - self.saved > STATE_EVERY_S and self.state.whole:
            self.state.check_finite()
            self.folder.save_state(self.state)
            self.saved = now


def _catch_up(folder: RunFolder, state: TrainState, dataset: ImageDataset) -> Iterator[Event]:
    """If record() is called again after a failed write, first writes what did not fit on the disk."""
    folder.flush()
    if not state.step or not state.whole:
        return
    if is_grid_step(state.step, state.config.grid_every) and not folder.samples_file(state.step).exists():
        images = draw_grid(state, dataset)
        folder.save_samples(state.step, images)
        yield Samples(state.step, images)
    if is_snapshot_step(state.step, state.config.snapshot_every) and not folder.generator_file(state.step).exists():
        folder.save_generator(state)


def _judge(writer: _Writer, dataset: ImageDataset, control: Control, watch: Watch) -> Iterator[Event]:
    """Scores the current images, and keeps the generator and the state if they are the best so far."""
    folder, state = writer.folder, writer.state
    with watch.paying(state):
        row = watch.look(state, dataset, lambda: control.halted)
        if row is None:
            return
        if better(row, folder.best()):
            try:
                if not folder.generator_file(state.step).exists():
                    folder.save_generator(state)
                    watch.kept.append(state.step)
                writer.keep_best()
            except OSError:
                watch.forget()  # this scoring: it is repeated when there is room
                raise
            # The previous best stays until the next one comes: someone may be exploring it.
            while len(watch.kept) > BEST_KEPT:
                folder.generator_file(watch.kept.pop(0)).unlink(missing_ok=True)
        folder.append_judged(row)
        folder.flush()
    yield Judged(row)


def score_ended(folder: RunFolder, state: TrainState, dataset: ImageDataset, watch: Watch, control: Control) -> bool:
    """Scores a run that ended before its judge was ready, as it would have been scored at its end. Call it while holding the folder's lock.

    The status then has the scores, or why there are none. Nothing changes if the control halts it, or the server ends.

    Returns:
        whether it was scored.

    Raises:
        CheckpointError: the status cannot be read.
        OSError: a file could not be written.
    """
    was, scored = folder.read_status(), False
    if watch.due(state, at_the_end=True):
        scored = any(isinstance(event, Judged) for event in _judge(_Writer(folder, state, watch), dataset, control, watch))
    if scored or watch.refused:
        write_status(folder, was.state, state, judge=watch.reason or None, ended=was.ended)
    return scored


def judging_status(watch: Watch | None) -> dict[str, Any]:
    """For the status: why there are no scores, if there are none."""
    return {"judge": watch.reason or None} if watch else {}


def never_judged(folder: RunFolder, watch: Watch | None) -> str | None:
    """For a run that ends: why its images were not scored, in a sentence; None if they were, or were not meant to be."""
    if watch is None or not watch.reason or folder.best():
        return None
    return watch.reason if watch.refused else "The run ended before its images could be scored."


def write_status(folder: RunFolder, name: RunState, state: TrainState | None = None, **more: Any) -> None:
    """Writes status.json: the run's state, and how far it is."""
    try:
        fields = dict(folder.read_status())
    except CheckpointError:
        fields = {"started": time.time()}
    if state:
        for key in ("threads", "launch", "ranks"):  # from a device that the run may have used earlier
            fields.pop(key, None)
        fields |= {"step": state.step, "images_seen": state.images_seen, "elapsed_s": round(state.elapsed_s, 3)}
        fields |= execution_status(state)
    fields |= best_status(folder)
    fields |= {"state": name, "ended": time.time() if name in ENDED else None}
    folder.write_status(**{"step": 0, "images_seen": 0, "elapsed_s": 0.0, "error": None, **fields, **more})


def best_status(folder: RunFolder) -> dict[str, Any]:
    """The best scoring so far, for the status; None if there is none."""
    best = folder.best()
    return {"best_step": best.step, "best_fd": best.fd} if best else {"best_step": None, "best_fd": None}


def execution_status(state: TrainState) -> dict[str, Any]:
    """How a run computes, for its status."""
    how: dict[str, Any] = {"precision": state.execution.precision, "channels_last": state.execution.channels_last}
    if state.kind == "cpu":
        how["threads"] = state.execution.threads
    if state.ranks:
        how["ranks"] = state.ranks.count
    if state.launch:
        how["launch"] = state.launch
    return how | {"device": state.where}


def refuse_too_large(config: TrainConfig, *devices: torch.device) -> None:
    """Refuses settings that need too much memory, before anything is made or loaded.

    devices: those that the run may train on, at least one.

    Raises:
        ValueError: training would need more memory than is free on any of the devices; the message has the estimate.
    """
    free, roomiest = max(((free_memory(device), device) for device in devices), key=lambda pair: pair[0])
    refuse_more_than(config, free, f"on {roomiest}, the GPU with the most" if len(devices) > 1 else "")


def refuse_more_than(config: TrainConfig, free: float, where: str = "") -> None:
    """Refuses settings that need more memory than there is.

    Args:
        config: the settings.
        free: bytes.
        where: these are, in words.

    Raises:
        ValueError: the message has the estimate.
    """
    needed = memory_estimate(config)
    if needed > free:
        where = f" {where}" if where else ""
        raise ValueError(
            f"these settings need about {needed / 2**30:.1f} GiB of memory, but only {free / 2**30:.1f} GiB are free{where}: "
            "lower the filters, the image size or the batch size"
        )


def data_is_there(name: str) -> bool:
    """Whether a data set can be found: by name, or a folder or a file by its path."""
    return name in datasets.available() or Path(name).expanduser().exists()


def refuse_missing_data(config: TrainConfig) -> None:
    """Call it before a run that has trained continues.

    Raises:
        ValueError: its data set is missing.
    """
    if not data_is_there(config.data):
        raise ValueError(
            f"the data set {config.data} is missing: put it back, or give the new place of the same images (--data on the command line). "
            "To train on other images, fork the run"
        )


def prepare(
    folder: RunFolder,
    config: TrainConfig,
    dataset: ImageDataset,
    device: torch.device,
    control: Control | None = None,
    threads: int | None = None,
) -> TrainState:
    """prepare_at() on a device of this process, on up to `threads` processor threads, or all cores."""
    return prepare_at(Here(device, threads), folder, config, dataset, control)


def prepare_at(
    place: Workplace, folder: RunFolder, config: TrainConfig, dataset: ImageDataset, control: Control | None = None
) -> TrainState:
    """The state to train from: the folder's own if it has one, else a new one.

    control: repeats the changes of live settings and of the number of threads after that state.

    Raises:
        StateLost: the run has trained, and its saved state is missing or cannot be used.
        CheckpointError: the data set is no longer the one that the run started with.
        ValueError: the set does not fit the config.
    """
    epoch_images(config, dataset)
    _, stored = folder.read_config()
    if folder.state_file.exists():
        _refuse_other_images(folder, config, dataset, stored)
        state = place.load(folder, config, dataset.class_names)
        if stored.data_fingerprint not in ("", dataset.fingerprint()):
            _note_other_images(folder, stored)
    elif steps := folder.begun():
        raise StateLost(f"the run {folder.path.name} has trained {steps:,} steps, and its state.pt is missing. {folder.what_is_left()}")
    else:
        state = place.new(config, dataset.class_names)
        folder.take_start(state)
    if control:
        control.repeat(folder.read_script()[state.changes :])
    folder.truncate(state.step, state.changes)
    folder.write_config(config, stored.recipe, dataset, stored.owner, stored.owner_id)
    return state


def _refuse_other_images(folder: RunFolder, config: TrainConfig, dataset: ImageDataset, stored: StoredRun) -> None:
    """
    Raises:
        CheckpointError: the run started with other images or other classes.
    """
    began_with, name = stored.data_fingerprint, folder.path.name
    if began_with and began_with != dataset.fingerprint() and not _is_fork_before_its_first_step(folder, stored):
        count = f", which held {stored.data_images:,} images" if stored.data_images is not None else ""
        raise CheckpointError(
            f"the data set {config.data} ({len(dataset):,} images) has changed since the run {name} began{count}: resuming needs the same "
            "images. If they were moved, give their new place; to train on these images, fork the run"
        )
    if other_labels(config, dataset, stored) and not _is_fork_before_its_first_step(folder, stored):
        raise CheckpointError(
            f"the images of the data set {config.data} have other classes than when the run {name} began, and the run is conditional: restore "
            "the classes, or fork the run to train with these classes"
        )
    known = _class_names(folder) if config.conditional else ()
    if known and known != dataset.class_names:
        raise CheckpointError(
            f"the classes of the data set {config.data} are now called {', '.join(dataset.class_names[:5])}, but were {', '.join(known[:5])} when the run {name} "
            "began: give the folders their old names"
        )


def other_labels(config: TrainConfig, dataset: ImageDataset, stored: StoredRun) -> bool:
    """Whether a conditional run started with other classes of the same images. stored: its config.json; older ones do not say."""
    return config.conditional and stored.data_labels not in ("", dataset.labels_fingerprint())


def _is_fork_before_its_first_step(folder: RunFolder, stored: StoredRun) -> bool:
    """A fork may start on other images than its parent's: forking is the way to continue on a changed set."""
    return stored.parent is not None and folder.fork_file.exists() and folder.begun() == stored.parent.get("step")


def _note_other_images(folder: RunFolder, stored: StoredRun) -> None:
    """For a fork that starts on other images than its parent's: says so in config.json, and drops the parent's scores."""
    log.warning("the run %s begins on other images than its parent's", folder.path.name)
    folder.judge_file.unlink(missing_ok=True)
    folder.write_json(folder.config_file, stored.change(parent={**stored["parent"], "other_images": True}))


def _class_names(folder: RunFolder) -> tuple[str, ...]:
    """The names of a conditional run's classes, from its newest generator; empty if unknown."""
    for step in reversed(folder.generator_steps()):
        try:
            return read_config(read_metadata(folder.generator_file(step), ""))[1]
        except (CheckpointError, KeyError, TypeError, ValueError) as error:
            log.warning("the classes in %s cannot be read: %s", folder.generator_file(step), error)
    return ()
