"""Runs: a training loop with a folder, a thread and a history. Knows nothing of queues or pages.

The command line drains record() itself; the server's runs drain it in a thread each.
"""

import errno
import logging
import math
import os
import shutil
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch

from gan import datasets
from gan.checkpoint import METRICS, CheckpointError, RunFolder
from gan.config import TrainConfig
from gan.datasets import ImageDataset
from gan.devices import describe_device, free_memory
from gan.events import Event, Intervention, Judged, Metrics, Progress, Samples, Snapshot
from gan.judgements import better
from gan.limits import NO_LIMITS, folder_size
from gan.training import (
    Control,
    Diverged,
    TrainState,
    draw_grid,
    epoch_images,
    is_grid_step,
    is_snapshot_step,
    layer_norms,
    memory_estimate,
    new_state,
    progress,
    train,
)
from gan.watch import Judges, Watch

log = logging.getLogger(__name__)

STATE_EVERY_S = 30.0  # between two saves of the resume state
FLUSH_EVERY_S = 0.5  # between two writes of metrics and status
SELDOM_S = 0.2  # metrics that come more seldom are written at once: the next event may be long in coming
NORMS_EVERY_S = 1.0  # between two measurements of how long weights and gradients are
BEST_KEPT = 2  # generators that are kept only because they were the best: the best one, and the one before
KEPT_EVERY_S = 10.0  # between two states that are kept for forks
WEIGH_EVERY_S = 10.0  # between two looks how large the folder is, where that is limited
ROOM_EVERY_S = 3.0  # between two looks whether a full disk has room again
ROOM_BYTES = 64 * 2**20  # beyond what the saved state takes, before a run goes on
AT_WORK = ("queued", "preparing", "running", "paused")
# Errors of the system that pass: a run waits for the end of them with its networks in memory. errno -> what is wrong.
PASSING = {
    errno.ENOSPC: "The server's disk is full.",
    errno.EDQUOT: "The server's disk quota is used up.",
    errno.EMFILE: "The server has too many files open.",
    errno.ENFILE: "The machine has too many files open.",
}


def record(
    folder: RunFolder, state: TrainState, dataset: ImageDataset, control: Control, keep: bool = True, watch: Watch | None = None
) -> Iterator[Event]:
    """Trains, and writes everything to the run's folder as it comes; yields the events on.

    When the duration is reached or the control halts it, the resume state is saved, and, with `keep`, the generator for
    Explore.

    watch: judges the images every few seconds, between two steps, and once more at the end; generators that are better than all
    before are kept.

    Raises:
        OSError: a file could not be written, say because the disk is full. `state` is whole, and record() can be
            called again with it.
        Diverged, ValueError: see train().
    """
    flushed = saved = kept = time.monotonic()
    measured = heard = -math.inf
    # Called again after a write failed: what the disk had no room for comes first.
    if state.step and is_grid_step(state.step, state.config.grid_every) and not folder.samples_file(state.step).exists():
        folder.save_samples(state.step, draw_grid(state))
    if state.step and is_snapshot_step(state.step, state.config.snapshot_every) and not folder.generator_file(state.step).exists():
        folder.save_generator(state)
    try:
        for event in train(state, dataset, control):
            match event:
                case Metrics():
                    folder.append_metrics(event)
                    if time.monotonic() - measured > NORMS_EVERY_S:
                        folder.append_norms(event.step, layer_norms(state))
                        measured = time.monotonic()
                case Intervention():
                    folder.append_intervention(event)
                    folder.flush()
                case Samples():
                    folder.save_samples(event.step, event.images)
                case Snapshot():
                    folder.save_generator(state)
                    if time.monotonic() - kept > KEPT_EVERY_S:
                        folder.keep_state(state)
                        kept = time.monotonic()
            now = time.monotonic()
            if isinstance(event, Metrics):
                if now - heard > SELDOM_S:
                    folder.flush()
                heard = now
            yield event
            if watch and not control.halted and watch.due(state):
                yield from _judge(folder, state, dataset, control, watch)
            now = time.monotonic()
            if now - flushed > FLUSH_EVERY_S:
                folder.flush()
                write_status(folder, "running", state, **_told(watch))
                flushed = now
            if now - saved > STATE_EVERY_S:
                state.check_finite()
                folder.save_state(state)
                saved = time.monotonic()
    except Diverged:
        folder.flush()
        raise
    folder.flush()
    state.check_finite()
    if watch and state.step and not control.halted and watch.due(state, True):
        yield from _judge(folder, state, dataset, control, watch)
    if keep and state.step and state.step not in folder.generator_steps():
        folder.save_generator(state)
    if state.step:
        folder.save_state(state)


def _judge(folder: RunFolder, state: TrainState, dataset: ImageDataset, control: Control, watch: Watch) -> Iterator[Event]:
    """Judges the images of now, and keeps the generator if it is the best so far."""
    with watch.paying(state):
        row = watch.look(state, dataset, lambda: control.halted)
        if row is None:
            return
        if better(row, folder.best()):
            if not folder.generator_file(state.step).exists():
                folder.save_generator(state)
                watch.kept.append(state.step)
            # The one that was the best until now stays until the next: somebody may be exploring it.
            while len(watch.kept) > BEST_KEPT:
                folder.generator_file(watch.kept.pop(0)).unlink(missing_ok=True)
        folder.append_judged(row)
        folder.flush()
    yield Judged(row)


def _told(watch: Watch | None) -> dict[str, Any]:
    """What the status says of the judging: why there is none, where there is none."""
    return {"judge": watch.reason or None} if watch else {}


def never_judged(folder: RunFolder, watch: Watch | None) -> str | None:
    """Of a run that ends: why its images were not judged, in a sentence; None where they were, or where nobody was to."""
    if watch is None or not watch.reason or folder.best():
        return None
    return watch.reason if watch.refused else "The run ended before its images could be judged."


def write_status(folder: RunFolder, name: str, state: TrainState | None = None, **more: Any) -> None:
    """status.json: the run's state by name, and how far it is."""
    try:
        fields = folder.read_status()
    except CheckpointError:
        fields = {"started": time.time()}
    if state:
        fields |= {"step": state.step, "images_seen": state.images_seen, "elapsed_s": round(state.elapsed_s, 3)}
        fields |= _execution(state)
    fields |= _best(folder)
    fields |= {"state": name, "ended": time.time() if name in ("stopped", "finished", "failed") else None}
    folder.write_status(**{"step": 0, "images_seen": 0, "elapsed_s": 0.0, "error": None, **fields, **more})


def _best(folder: RunFolder) -> dict[str, Any]:
    """The best judgement so far, for the status; None where there is none."""
    best = folder.best()
    return {"best_step": best.step, "best_fd": best.fd} if best else {"best_step": None, "best_fd": None}


def _execution(state: TrainState) -> dict[str, Any]:
    """How a run computes, for its status."""
    how: dict[str, Any] = {"precision": state.execution.precision, "channels_last": state.execution.channels_last}
    if state.device.type == "cpu":
        how["threads"] = state.execution.threads
    if state.launch:
        how["launch"] = state.launch
    return how | {"device": describe_device(state.device)}


def refuse_too_large(config: TrainConfig, device: torch.device) -> None:
    """Before anything is made or loaded.

    Raises:
        ValueError: training would need more memory than is free on the device; the message has the estimate.
    """
    needed, free = memory_estimate(config), free_memory(device)
    if needed > free:
        raise ValueError(
            f"these settings need about {needed / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} GiB are free: "
            "lower the filters, the image size or the batch size"
        )


def prepare(
    folder: RunFolder,
    config: TrainConfig,
    dataset: ImageDataset,
    device: torch.device,
    control: Control | None = None,
    threads: int | None = None,
) -> TrainState:
    """The state to train from: the folder's own where it holds one, else a new one (on `threads`, or all cores).

    control: is asked to repeat the changes of live settings that were made beyond that state.

    Raises:
        CheckpointError: the saved state cannot be used, or the data set is no longer the one that the run began with.
        ValueError: the set does not fit the config.
    """
    epoch_images(config, dataset)
    _, stored = folder.read_config()
    began_with = stored.get("data_fingerprint")
    if folder.state_file.exists():
        if began_with and began_with != dataset.fingerprint():
            raise CheckpointError(
                f"the data set {config.data} has changed since the run {folder.path.name} began; resuming needs the same images"
            )
        state = folder.load_state(config, device, dataset.class_names)
    else:
        state = new_state(config, device, class_names=dataset.class_names, threads=threads)
    if control:
        control.repeat(folder.read_interventions()[state.changes :])
    folder.truncate(state.step, state.changes)
    folder.write_config(config, stored.get("recipe", ""), dataset, stored.get("owner", ""), stored.get("owner_id", ""))
    return state


class History:
    """A run's metrics as columns of numbers, shared by all who look. Appended by one thread, read by many."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in METRICS}

    def __len__(self) -> int:
        return len(self.columns[METRICS[-1]])  # appended last: when it is there, the row is whole

    def append(self, row: dict[str, Any]) -> None:
        for name in METRICS:
            self.columns[name].append(row[name])

    def after(self, step: int) -> int:
        """The index of the first row whose step is beyond `step`."""
        steps = self.columns["step"]
        index = len(self)
        while index and steps[index - 1] > step:
            index -= 1
        return index

    def since(self, index: int, most: int = 4000) -> dict[str, list[Any]]:
        """Columns from a row on. Longer stretches are thinned evenly to `most` rows; the last stays."""
        end = len(self)
        every = max(1, -(-(end - index) // most))
        first = index + (end - index - 1) % every if end > index else index
        return {name: column[first:end:every] for name, column in self.columns.items()}


class Run:
    """One run as the server knows it: its folder, and, while it is at work here, its thread.

    States: queued, preparing, running, paused, stopped, finished, failed, interrupted. All methods are safe from any
    thread.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.id = folder.path.name
        self.error = ""
        self.preparing: Progress | None = None
        self._history = History()
        self._history_offset = 0
        self._history_lock = threading.Lock()
        self._sample_steps: list[int] = []
        self._started: float | None = None
        self._read_config: tuple[int, TrainConfig, dict[str, Any]] | None = None
        self._live = ""  # the state, while this process works on the run
        self._control = Control()
        self.limits = NO_LIMITS
        self.judges: Judges | None = None  # None: its images are not judged while it trains
        self._watch: Watch | None = None
        self._weighed = -math.inf  # when the folder was looked at last
        self._wish = ""  # "pause" or "stop"
        self._reason = ""  # why it is to stop, where somebody else than its owner wishes it
        self._once = ""  # the network that a paused run is to teach for one step
        self._interventions: list[dict[str, Any]] = []
        self._wishes = threading.Condition()  # guards the wish, and what it means to the run's thread
        self._state: TrainState | None = None

    @property
    def config(self) -> TrainConfig:
        """The run's settings.

        Raises:
            CheckpointError: they cannot be read.
        """
        return self._stored()[0]

    @property
    def stored(self) -> dict[str, Any]:
        """config.json: recipe, owner, data, fingerprint, versions; empty where it cannot be read."""
        try:
            return self._stored()[1]
        except CheckpointError:
            return {}

    @property
    def owner_id(self) -> str:
        """The id of the visitor whose run it is; empty for nobody's.

        Raises:
            CheckpointError: config.json cannot be read, so nobody knows.
        """
        return str(self._stored()[1].get("owner_id") or "")

    def _stored(self) -> tuple[TrainConfig, dict[str, Any]]:
        """config.json, read again only when it has changed: every viewer asks for it many times a second."""
        try:
            stamp = self.folder.config_file.stat().st_mtime_ns
        except OSError:
            stamp = 0
        if self._read_config is None or self._read_config[0] != stamp:
            self._read_config = (stamp, *self.folder.read_config())
        return self._read_config[1:]

    @property
    def at_work(self) -> bool:
        """Whether this process has it queued or in a thread."""
        return bool(self._live)

    @property
    def in_memory(self) -> bool:
        """Whether its history and status can be told without reading files."""
        return self._state is not None

    @property
    def state(self) -> str:
        return self._live or str(self._disk_status().get("state", "interrupted"))

    @property
    def stopping(self) -> bool:
        """Asked to pause or stop, and still finishing its step."""
        return bool(self._wish) and self._live in ("preparing", "running")

    @property
    def history(self) -> History:
        """The metrics so far; those of a run that another process trains are read from its folder as they come."""
        with self._history_lock:
            if not self._live or self._live == "queued":
                rows, offset = self.folder.read_metrics(self._history_offset)
                if self._history_offset and self.folder.metrics_file.stat().st_size < self._history_offset:
                    self._history, (rows, offset) = History(), self.folder.read_metrics()
                for row in rows:
                    self._history.append(row)
                self._history_offset = offset
            return self._history

    @property
    def sample_steps(self) -> list[int]:
        """The steps at which the fixed-noise grid was kept."""
        if not self._state:
            self._sample_steps = self.folder.sample_steps()
        return self._sample_steps

    @property
    def interventions(self) -> list[dict[str, Any]]:
        """The changes of live settings so far: step, field, old, new."""
        if self._state is None:
            self._interventions = [asdict(change) for change in self.folder.read_interventions()]
        return self._interventions

    @property
    def live_config(self) -> TrainConfig:
        """The settings as they are now: live ones as they were changed last, or are about to be.

        Raises:
            CheckpointError: they cannot be read.
        """
        state = self._state
        if state is not None:
            return state.config.change(**self._control.wishes)
        inherited = (self.stored.get("parent") or {}).get("changes", 0)  # a fork's settings hold these
        changed = {change["field"]: change["new"] for change in self.interventions[inherited:]}
        return self.config.change(**changed, **self._control.wishes)

    @property
    def pace_s(self) -> float:
        """Seconds that each step takes at least; 0 for as fast as it goes."""
        return self._control.pace_s

    def status(self) -> dict[str, Any]:
        """State, step, images_seen, elapsed_s, progress (0 to 1), eta_s, error, how it computes, started, ended."""
        state = self._state
        if state is not None:  # at work here: nothing needs to be read
            status: dict[str, Any] = {
                "state": self._live,
                "step": state.step,
                "images_seen": state.images_seen,
                "elapsed_s": state.elapsed_s,
            }
            status |= _execution(state) | {"error": self.error or None, "started": self._started, "ended": None}
            status |= _best(self.folder) | _told(self._watch)
        else:
            status = self._disk_status()
            status |= {"state": self._live or status.get("state"), "error": self.error or status.get("error")}
        done = (int(status.get("step", 0)), int(status.get("images_seen", 0)), float(status.get("elapsed_s", 0.0)))
        status["progress"], status["eta_s"] = self._progress(*done)
        if self.preparing and self._live == "preparing":
            status["preparing"] = {"task": self.preparing.task, "done": self.preparing.done, "total": self.preparing.total}
        status["stopping"] = self.stopping
        status["pace_s"] = self.pace_s
        return status

    def _progress(self, step: int, images_seen: int, elapsed_s: float) -> tuple[float, float | None]:
        try:
            config, stored = self._stored()
        except CheckpointError:
            return 0.0, None
        images = stored.get("data_images")
        if not isinstance(images, int) or images < config.batch_size:
            return 0.0, None
        done = progress(config, step, images_seen, elapsed_s, images // config.batch_size * config.batch_size)
        return done, elapsed_s * (1 - done) / done if done > 0 else None

    def _disk_status(self) -> dict[str, Any]:
        try:
            return self.folder.read_status()
        except CheckpointError as error:
            return {"state": "failed", "error": str(error)}

    def pause(self) -> None:
        """Asks the run to rest after its step; its networks stay in memory."""
        with self._wishes:
            if self._live in ("preparing", "running") and not self._wish:
                self._wish = "pause"
                self._control.halt()

    def change(self, name: str, value: Any) -> None:
        """Asks for a live setting to be changed before the run's next step.

        Raises:
            ValueError: the run is not at work, the setting cannot change while it trains, or the value is out of bounds.
        """
        with self._wishes:
            if not self._live:
                raise ValueError(f"{name} cannot change: the run {self.id} is not training; fork it to go on with other settings")
            self.live_config.change(**{name: value})  # refused here, where somebody reads the reason
            self._control.change(name, value)

    def set_pace(self, pace_s: float) -> None:
        """Slow motion: at least so many seconds a step, 0 to 10; 0 for as fast as it goes.

        Raises:
            ValueError: out of bounds.
        """
        if not 0 <= pace_s <= 10:
            raise ValueError(f"the pace must be 0 to 10 seconds a step; got {pace_s}")
        self._control.pace_s = pace_s

    def step_once(self, network: Literal["generator", "discriminator", "both"]) -> None:
        """One step of a paused run, in which only this network learns."""
        with self._wishes:
            if self._live == "paused" and self._wish == "pause" and not self._once:
                self._once = network
                self._wishes.notify_all()

    def go_on(self) -> None:
        """Ends a pause."""
        with self._wishes:
            if self._live == "paused" and self._wish == "pause":
                self._wish = ""
                self._control.clear()
                self._wishes.notify_all()

    def stop(self, reason: str = "") -> None:
        """Asks the run to end after its step; it can be resumed.

        reason: why, in a sentence, where its owner did not wish it; status() then has it as `reason`.
        """
        with self._wishes:
            if self._live:
                if self._wish != "stop":
                    self._reason = reason
                self._wish = "stop"
                self._control.halt()
                self._wishes.notify_all()

    # What follows runs in the run's own thread, and in no other.

    def work(self, device: torch.device, threads: int) -> None:
        """Trains until the end, a stop or a failure. Never raises: what went wrong is kept with the run."""
        torch.set_num_threads(threads)  # a new thread takes over what another one set for itself
        try:
            self.folder.lock()
        except CheckpointError as error:
            self.error, self._live = str(error), ""
            return
        try:
            ended = self._train(device, threads)
            self._live = ended  # until the status file says so
            self._note(ended, reason=self._reason or None, judge=never_judged(self.folder, self._watch))
        except Exception as error:
            log.exception("the run %s failed", self.id)
            self._fail(error)
        finally:
            self.folder.unlock()
            with self._history_lock:  # from here on the history follows the file
                self._history, self._history_offset = History(), 0
                self._state = self.preparing = self._watch = None
                self._live = ""
            if device.type == "cuda":
                torch.cuda.empty_cache()

    def _train(self, device: torch.device, threads: int) -> str:
        """Works until the run's end; returns the state that it ended in."""
        self._live = "preparing"
        self.error = ""
        self._note("running", error=None, reason=None, judge=None)
        self._started = self._disk_status().get("started")
        config = self.config
        loading = datasets.load(config.data, config.image_size, config.channels, config.data_split)
        while True:
            try:
                self.preparing = next(loading)
            except StopIteration as stop:
                dataset = stop.value
                break
            if self._wish == "stop":
                return "stopped"
        state = prepare(self.folder, config, dataset, device, self._control, threads)
        self._sample_steps = self.folder.sample_steps()
        self._interventions = [asdict(change) for change in self.folder.read_interventions()]
        with self._history_lock:
            self._history, self._history_offset = History(), 0
            rows, self._history_offset = self.folder.read_metrics()
            for row in rows:
                self._history.append(row)
        self._watch = Watch(self.judges.prepare(config)) if self.judges else None
        self._state = state
        began_s = state.elapsed_s
        full = False
        while True:
            once, self._once = self._once, ""
            if not once:
                self._live = "running"
            try:
                for event in record(self.folder, state, dataset, self._control, not once, None if once else self._watch):
                    if isinstance(event, Metrics):
                        self._history.append(asdict(event))
                    elif isinstance(event, Intervention):
                        self._interventions = [*self._interventions, asdict(event)]
                    elif isinstance(event, Samples) and event.step not in self._sample_steps:
                        self._sample_steps = [*self._sample_steps, event.step]
                    if not self._wish and (reason := self._beyond_limits(state, began_s)):
                        self.stop(reason)
            except OSError as error:
                if error.errno not in PASSING:
                    raise
                # Nothing is lost: the networks wait in memory until there is room.
                full = True
                self.error = f"{PASSING[error.errno]} The run waits, and goes on by itself when there is room."
                with self._wishes:
                    self._wish = self._wish or "pause"
            with self._wishes:
                if once and not self._wish:  # Go on was pressed during the single step
                    continue
                if not self._wish:
                    return "finished"
                if self._wish == "pause":
                    self._live = "paused"
            if self._live == "paused":
                self._note("paused")
            with self._wishes:
                while not self._wishes.wait_for(lambda: self._wish != "pause" or self._once, ROOM_EVERY_S if full else None):
                    if self._has_room():
                        self._wish = ""
                if self._wish == "stop":
                    return "stopped"
                self._control.clear()
                if self._once:
                    self._control.step_once(self._once)  # type: ignore[arg-type]
            self.error, full = "", False

    def _beyond_limits(self, state: TrainState, began_s: float) -> str:
        """Why the run must end here, in a sentence; empty where it need not, or ends by itself."""
        disk = 0
        if self.limits.disk_mb is not None and time.monotonic() - self._weighed > WEIGH_EVERY_S:
            disk, self._weighed = folder_size(self.folder.path), time.monotonic()
        reason = self.limits.reached(state.step, state.elapsed_s - began_s, disk)
        return reason if reason and self._progress(state.step, state.images_seen, state.elapsed_s)[0] < 1 else ""

    def _has_room(self) -> bool:
        """Whether a run that found the disk full can write its state again."""
        try:
            needed = self.folder.state_file.stat().st_size if self.folder.state_file.exists() else 0
            return shutil.disk_usage(self.folder.path).free > needed + ROOM_BYTES
        except OSError as error:
            log.warning("whether there is room for %s cannot be told: %s", self.id, error)
            return False

    def _note(self, name: str, **more: Any) -> None:
        """Writes status.json; a full disk must not end the run."""
        try:
            write_status(self.folder, name, self._state, **more)
        except OSError as error:
            log.warning("the status of %s could not be written: %s", self.id, error)

    def _fail(self, error: Exception) -> None:
        self.error = explain(error)
        try:
            self.folder.error_file.write_text(traceback.format_exc())
        except OSError as cannot:
            log.warning("the trace of %s could not be written: %s", self.id, cannot)
        self._note("failed", error=self.error)


def explain(error: BaseException) -> str:
    """An exception as one sentence for a participant."""
    if isinstance(error, Diverged):
        return f"Training diverged: {error}. What was kept before is unharmed: fork from there with lower learning rates, or explore it."
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
        return "There is not enough memory for these settings: lower the batch size, the filters or the image size."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full. What was saved before is unharmed: free some space and resume."
    if isinstance(error, ValueError | OSError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def checkpoints_root() -> Path:
    """Where runs land: WORKSHOP_CHECKPOINTS, or checkpoints/ in the working directory."""
    return Path(os.environ.get("WORKSHOP_CHECKPOINTS") or "checkpoints")
