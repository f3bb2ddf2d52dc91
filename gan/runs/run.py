"""Runs: a training loop with a folder, a thread and a history. Knows nothing about queues or pages.

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
from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import torch

from gan.config import TrainConfig
from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.events import Done, Intervention, Metrics, Progress, Samples
from gan.files import in_words, without_folders
from gan.networks.generator_file import CheckpointError
from gan.runs.folder import METRICS, RunFolder, StateLost
from gan.runs.limits import NO_LIMITS, Limits, folder_size
from gan.runs.moves import Move
from gan.runs.record import best_status, execution_status, judging_status, never_judged, prepare_at, record, score_ended, write_status
from gan.runs.states import AT_REST, RunState
from gan.runs.stored import Status, StoredRun
from gan.runs.watch import Judges, Watch, in_a_sentence
from gan.runs.workplace import WorkerLost, Workplace
from gan.training import graphs
from gan.training.loop import Control, progress
from gan.training.ranks import RankLost
from gan.training.state import Diverged, TrainState
from gan.untrusted import is_whole

log = logging.getLogger(__name__)

WEIGH_EVERY_S = 10.0  # between two checks of the folder's size, if it is limited
SCORING_POLL_S = 0.2  # between two checks whether an ended run can be scored
ROOM_EVERY_S = 3.0  # between two checks whether a full disk has room again
ROOM_BYTES = 64 * 2**20  # beyond two saved states, before a run continues; on a small disk, a tenth of the disk
MOST_LOST = 3  # workers that may end one after the other before the run has saved a newer state: then the run itself ends them
# Temporary system errors: a run waits for their end with its networks in memory. errno -> what is wrong.
PASSING = {
    errno.ENOSPC: "The disk is full.",
    errno.EDQUOT: "The disk quota is used up.",
    errno.EMFILE: "The server has too many files open.",
    errno.ENFILE: "The machine has too many files open.",
}


def _state_size(stored: Any) -> int:
    """Bytes of the tensors in a state."""
    if isinstance(stored, torch.Tensor):
        return stored.numel() * stored.element_size()
    parts = stored.values() if isinstance(stored, dict) else stored if isinstance(stored, list | tuple) else ()
    return sum(map(_state_size, parts))


def has_room(folder: RunFolder, state: TrainState) -> bool:
    """Whether a run that found the disk full can save everything again: the new state next to the old one, and some more."""
    try:
        disk = shutil.disk_usage(folder.path)
    except OSError as error:
        log.warning("cannot tell whether there is room for %s: %s", folder.path.name, error)
        return False
    return disk.free > 2 * _state_size(state.state_dict()) + min(ROOM_BYTES, disk.total // 10)


def wait_for_room(folder: RunFolder, state: TrainState, ended: Callable[[], bool]) -> bool:
    """Waits ROOM_EVERY_S, or until `ended` returns True -> whether to call record() again."""
    until = time.monotonic() + ROOM_EVERY_S
    while not ended() and time.monotonic() < until:
        time.sleep(min(0.1, ROOM_EVERY_S))
    return ended() or has_room(folder, state)


class History:
    """A run's metrics as columns of numbers, shared by all viewers. One thread appends, many read."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in METRICS}

    def __len__(self) -> int:
        return len(self.columns[METRICS[-1]])  # appended last: once it is there, the row is complete

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
        """Columns from a row on, thinned evenly to `most` rows; the last row stays."""
        end = len(self)
        every = max(1, -(-(end - index) // most))
        first = index + (end - index - 1) % every if end > index else index
        return {name: column[first:end:every] for name, column in self.columns.items()}


class WorkersLost(ValueError):
    """A run has lost several workers at the same place, so it is not continued on another one."""


class Wish(StrEnum):
    """What an active run was asked to do after its step."""

    PAUSE = "pause"
    STOP = "stop"


class Run:
    """One run as the server knows it: its folder and, while it is active here, its thread.

    All methods are safe from any thread.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.id = folder.path.name
        self.error = ""
        self.preparing: Progress | None = None
        self.began_step = 0  # where it was started or resumed
        self._history = History()
        self._history_offset = 0
        self._history_lock = threading.Lock()
        self._sample_steps: list[int] = []
        self._started: float | None = None
        self._read_name: tuple[int, str] | None = None
        self._read_config: tuple[int, TrainConfig, StoredRun] | None = None
        self._live: RunState | None = None  # the state, while this process runs it
        self._control = Control()
        self.limits = NO_LIMITS
        self.judges: Judges | None = None  # None: its images are not scored while it trains
        self._watch: Watch | None = None
        self._unscored: tuple[TrainState, ImageDataset, Watch] | None = None  # while it waits for its judge after its end
        self._scoring = threading.Lock()  # held while it is scored after its end
        self._leave = threading.Event()  # no scoring after its end, because it continues or is deleted
        self._late = Control()  # halts a scoring after its end
        self.scored_late = False
        self.before: StoredRun | None = None  # config.json before a resume that may be refused
        self.needs = 0  # bytes of memory, as estimated; 0 where nobody asks
        self._weighed = -math.inf  # time of the last check of the folder
        self._wish: Wish | None = None
        self._reason = ""  # why it should stop, if not its owner's wish
        self._once = ""  # the network to train in a paused run's single step
        self._interventions: list[dict[str, Any]] = []
        self._wishes = threading.Condition()  # guards the wish, and its effect on the run's thread
        self._state: TrainState | None = None
        self._moves: list[Move] = []
        self._began_s = 0.0  # of training, when it was started or resumed
        self._lost_at, self._times_lost = -1, 0  # the step of the state from which it continued, and how often it did there

    @property
    def config(self) -> TrainConfig:
        """The run's settings.

        Raises:
            CheckpointError: they cannot be read.
        """
        return self._stored()[0]

    @property
    def stored(self) -> StoredRun:
        """config.json: recipe, owner, data, fingerprint, versions; empty if it cannot be read."""
        try:
            return self._stored()[1]
        except CheckpointError:
            return StoredRun({})

    @property
    def fault(self) -> str:
        """What is wrong with its files, in a sentence; empty if nothing is, or while this process writes them."""
        return "" if self._live else without_folders(self.folder.fault())

    @property
    def gone(self) -> bool:
        """Whether it has been deleted."""
        return not self._live and not os.path.lexists(self.folder.config_file)

    @property
    def owner_id(self) -> str:
        """The id of the visitor who owns the run; empty if there is no owner.

        Raises:
            CheckpointError: config.json cannot be read, so nobody knows.
        """
        return self._stored()[1].owner_id

    @property
    def given_name(self) -> str:
        """What its owner calls it, on one line; empty while nobody has named it."""
        stamp = _changed_ns(self.folder.name_file)
        if self._read_name is None or self._read_name[0] != stamp:
            self._read_name = (stamp, self.folder.read_name() if stamp else "")
        return self._read_name[1]

    def _stored(self) -> tuple[TrainConfig, StoredRun]:
        """config.json, read again only if it has changed: every viewer asks for it many times a second."""
        stamp = _changed_ns(self.folder.config_file)
        if self._read_config is None or self._read_config[0] != stamp:
            self._read_config = (stamp, *self.folder.read_config())
        return self._read_config[1:]

    @property
    def at_work(self) -> bool:
        """Whether this process has it queued or in a thread."""
        return bool(self._live)

    @property
    def in_memory(self) -> bool:
        """Whether its history and status are available without reading files."""
        return self._state is not None

    @property
    def has_its_memory(self) -> bool:
        """Whether it has trained a step since its start, so it holds all the memory that it needs."""
        state = self._state
        return state is not None and state.step > self.began_step

    @property
    def to_be_judged(self) -> bool:
        """Whether this process will score its images, as far as that is known."""
        return self._unscored is not None or (self.at_work and self.judges is not None and not (self._watch and self._watch.refused))

    @property
    def state_is_lost(self) -> bool:
        """Whether a run that has trained has no saved state to continue from: state.pt is missing, or cannot be opened."""
        return not self.at_work and self.folder.state_step() is None and self.folder.begun() > 0

    @property
    def state(self) -> RunState:
        return self._live or self.disk_status().state

    @property
    def stopping(self) -> bool:
        """Asked to pause or stop, and still finishing its step."""
        return self._wish is not None and self._live in (RunState.PREPARING, RunState.RUNNING)

    @property
    def history(self) -> History:
        """The metrics so far. If another process trains the run, they are read from its folder as they come."""
        with self._history_lock:
            if self._live in (None, RunState.QUEUED):
                rows, offset = self.folder.read_metrics(self._history_offset)
                if self._history_offset and _file_size(self.folder.metrics_file) < self._history_offset:
                    self._history, (rows, offset) = History(), self.folder.read_metrics()
                for row in rows:
                    self._history.append(row)
                self._history_offset = offset
            return self._history

    @property
    def sample_steps(self) -> list[int]:
        """The steps of the saved sample grids."""
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
    def moves(self) -> list[Move]:
        """Where the run has moved in a cluster, in order; empty for most runs."""
        if self._state is None:
            self._moves = self.folder.read_moves()
        return self._moves

    @property
    def is_moving(self) -> bool:
        """Whether its worker in a cluster was lost, and it is about to continue on another one."""
        return self._state is not None and self._live is RunState.PREPARING

    @property
    def live_config(self) -> TrainConfig:
        """The current settings, including the latest and the pending changes of live settings.

        Raises:
            CheckpointError: they cannot be read.
        """
        return self.config_in_force.change(**self._control.wishes)

    @property
    def config_in_force(self) -> TrainConfig:
        """The settings of the newest step: without pending changes.

        Raises:
            CheckpointError: they cannot be read.
        """
        state = self._state
        if state is not None:
            return state.config
        config = self.config
        inherited = (self.stored.parent or {}).get("changes")  # a fork's settings include these
        changed = {change["field"]: change["new"] for change in self.interventions[inherited if is_whole(inherited) else 0 :]}
        try:
            return config.change(**changed)
        except ValueError as error:
            raise CheckpointError(f"{self.folder.interventions_file} is damaged: {error}") from None

    @property
    def pace_s(self) -> float:
        """Minimum seconds per step; 0 for full speed."""
        return self._control.pace_s

    def status(self) -> Status:
        """State, step, images_seen, elapsed_s, progress (0 to 1), eta_s, error, how it computes, started, ended."""
        state = self._state
        if state is not None:  # active here: nothing needs to be read
            status: dict[str, Any] = {
                "state": self._live,
                "step": state.step,
                "images_seen": state.images_seen,
                "elapsed_s": state.elapsed_s,
            }
            status |= execution_status(state) | {"error": self.error or None, "started": self._started, "ended": None}
            status |= best_status(self.folder) | judging_status(self._watch)
        else:
            on_disk = self.disk_status()
            status = (
                dict(on_disk)
                | self._waiting_for_scores()
                | {"state": self._live or on_disk.state, "error": self.error or on_disk.get("error")}
            )
        status["progress"], status["eta_s"] = self._progress(Status(status).done)
        if self.preparing and self._live is RunState.PREPARING:
            status["preparing"] = {"task": self.preparing.task, "done": self.preparing.done, "total": self.preparing.total}
        status["stopping"] = self.stopping
        status["pace_s"] = self.pace_s
        return Status(status)

    def _waiting_for_scores(self) -> dict[str, str]:
        unscored = self._unscored
        return {"judge": f"Scoring the finished run: {in_a_sentence(unscored[2].preparing) or 'almost done'}…"} if unscored else {}

    def _progress(self, done: Done) -> tuple[float, float | None]:
        try:
            config, stored = self._stored()
        except CheckpointError:
            return 0.0, None
        per_epoch = config.images_per_epoch(stored.data_images)
        if per_epoch is None:
            return 0.0, None
        share = progress(config, done, per_epoch)
        return share, done.elapsed_s * (1 - share) / share if share > 0 else None

    def disk_status(self) -> Status:
        """status.json; if it cannot be read, a failed run's status with the reason."""
        try:
            return self.folder.read_status()
        except CheckpointError as error:
            return Status({"state": RunState.FAILED, "error": explain(error)})

    def pause(self) -> None:
        """Asks the run to pause after its step; its networks stay in memory."""
        with self._wishes:
            if self._live in (RunState.PREPARING, RunState.RUNNING) and not self._wish:
                self._wish = Wish.PAUSE
                self._control.halt()

    def change(self, name: str, value: Any) -> None:
        """Asks for a live setting to be changed before the run's next step.

        Raises:
            ValueError: the run is not active, the setting cannot change while it trains, or the value is out of bounds.
        """
        with self._wishes:
            if not self._live:
                raise ValueError(f"{name} cannot change: the run {self.id} is not training; fork it to continue with other settings")
            self.live_config.change(**{name: value})  # refused here, because here someone reads the reason
            self._control.change(name, value)

    def set_pace(self, pace_s: float) -> None:
        """Slow motion: minimum seconds per step, 0 to 10; 0 for full speed.

        Raises:
            ValueError: out of bounds.
        """
        if not 0 <= pace_s <= 10:
            raise ValueError(f"the pace must be 0 to 10 seconds per step; got {pace_s}")
        self._control.pace_s = pace_s

    def step_once(self, network: Literal["generator", "discriminator", "both"]) -> None:
        """One step of a paused run, in which only this network trains."""
        with self._wishes:
            if self._live is RunState.PAUSED and self._wish is Wish.PAUSE and not self._once:
                self._once = network
                self._wishes.notify_all()

    def go_on(self) -> None:
        """Ends a pause."""
        with self._wishes:
            if self._live is RunState.PAUSED and self._wish is Wish.PAUSE:
                self._wish = None
                self._control.clear()
                self._wishes.notify_all()

    def stop(self, reason: str = "") -> None:
        """Asks the run to stop after its step; it can be resumed.

        reason: why, in a sentence, if its owner did not ask for it; status() then has it as `reason`.
        """
        with self._wishes:
            if self._live:
                if self._wish is not Wish.STOP:
                    self._reason = reason
                self._wish = Wish.STOP
                self._control.halt()
                self._wishes.notify_all()

    # For the manager.

    def enqueue(self, limits: Limits, judges: Judges | None, before: StoredRun | None = None) -> None:
        """From now on the run waits for its turn.

        before: config.json of a run that continues, to go back to where it cannot.
        """
        self.limits, self.judges, self.before = limits, judges, before
        self._live = RunState.QUEUED

    def withdraw(self) -> None:
        """Takes a run that has not started out of the queue."""
        self._note(RunState.STOPPED)
        self._live = None

    @property
    def is_to_stop(self) -> bool:
        """Whether it was asked to stop, and has not ended yet."""
        return self._wish is Wish.STOP

    def end_scoring(self) -> None:
        """Stops scoring after the run's end, because the run continues or is deleted. A scoring that has begun ends soon."""
        self._leave.set()
        self._late.halt()
        with self._scoring:
            self._unscored = None

    # Everything below runs only in the run's own thread.

    def work(self, place: Workplace) -> None:
        """Trains until the end, a stop or a failure. Never raises: errors are stored with the run."""
        place.enter()
        try:
            self.folder.lock()
        except CheckpointError as error:
            self.error, self._live = str(error), None
            return
        try:
            self._live = RunState.PREPARING
            self.error = ""
            was = self.disk_status()
            self._note(RunState.RUNNING, error=None, reason=None, judge=None, stuck=None)
            self._started = self.disk_status().started
            ended = self._work(place, was)
            self._live = ended  # until the status file has it
        except Exception as error:
            log.exception("the run %s failed", self.id)
            self._fail(error)
        finally:
            self.folder.unlock()
            with self._history_lock:  # from here on the history follows the file
                self._history, self._history_offset = History(), 0
                self._state = self.preparing = self._watch = None
                self._live = None
            place.close()

    def score_late(self) -> None:
        """Waits for the judge of a run that ended before it was ready, and scores the run. Never raises."""
        if (unscored := self._unscored) is None:
            return
        on_gpu = unscored[0].device.type == "cuda"
        self._score_late(*unscored)
        del unscored
        if on_gpu:
            graphs.release_memory()

    def _score_late(self, state: TrainState, dataset: ImageDataset, watch: Watch) -> None:
        while watch.preparing and not self._leave.wait(SCORING_POLL_S):
            if self.judges:
                self.judges.hurry()
        with self._scoring:
            try:
                if not self._leave.is_set() and not watch.preparing:
                    with self.folder.locked():
                        self.scored_late = score_ended(self.folder, state, dataset, watch, self._late)
            except Exception:  # the run itself is fine; its status says that it has no scores
                log.exception("the run %s could not be scored after its end", self.id)
            finally:
                self._unscored = None

    def _prepare(self, place: Workplace) -> tuple[TrainState, ImageDataset] | None:
        """Loads what it needs to train; None if it was stopped meanwhile."""
        config = self.config
        loading = datasets.load_for(config)
        while True:
            try:
                self.preparing = next(loading)
            except StopIteration as stop:
                dataset = stop.value
                break
            if self._wish is Wish.STOP:
                return None
        dataset = place.shared(dataset)
        for self.preparing in place.get_ready(config, dataset):
            if self._wish is Wish.STOP:
                return None
        state = prepare_at(place, self.folder, config, dataset, self._control)
        self.began_step = state.step
        self._sample_steps = self.folder.sample_steps()
        self._interventions = [asdict(change) for change in self.folder.read_interventions()]
        self._moves = self.folder.read_moves()
        with self._history_lock:
            self._history, self._history_offset = History(), 0
            rows, self._history_offset = self.folder.read_metrics()
            for row in rows:
                self._history.append(row)
        self._watch = Watch(self.judges.prepare(config)) if self.judges else None
        return state, dataset

    def _work(self, place: Workplace, was: Status) -> RunState:
        """Runs until the run's end, writes the status, and returns the final state. was: the status before."""
        try:
            prepared = self._prepare_somewhere(place)
        except Exception as error:
            if was.state not in AT_REST or not was.step:
                raise
            return self._stay(was, error)
        ended = RunState.STOPPED
        if prepared:
            self._began_s = prepared[0].elapsed_s
        while prepared:
            self._state, dataset = prepared
            try:
                ended = self._train(place, self._state, dataset)
                break
            except WorkerLost as lost:
                at = self._state.step
                self._count_loss(lost)
                prepared = self._prepare_somewhere(place)
                self._note_move(lost, at, place)
        why = never_judged(self.folder, self._watch)
        self._note(ended, error=self.error or None, reason=self._reason or None, judge=why)
        if prepared and prepared[0].step and why and self._watch and self._watch.preparing:
            self._unscored = *prepared, self._watch
        return ended

    def _prepare_somewhere(self, place: Workplace) -> tuple[TrainState, ImageDataset] | None:
        """_prepare(), on another worker if one is lost meanwhile."""
        while True:
            try:
                return self._prepare(place)
            except WorkerLost as lost:
                self._count_loss(lost)

    def _count_loss(self, lost: WorkerLost) -> None:
        """A worker has ended: saves what it had sent, so that the run can continue from there.

        Raises:
            WorkersLost: this was the MOST_LOST-th time at the same state.
        """
        log.warning("the run %s: %s", self.id, lost)
        state, saved = self._state, self.folder.state_step() or 0
        if state is not None:
            self._live = RunState.PREPARING
            with self._wishes:
                if self._wish:  # a single step of a paused run: it stays paused
                    self._control.halt()
            try:
                self.folder.flush()
                if state.state_dict()["step"] > saved:  # of the newest weights that arrived
                    self.folder.save_state(state)
            except OSError as error:  # the run continues from the state before
                log.warning("what arrived of %s could not be saved: %s", self.id, error)
            saved = self.folder.state_step() or 0
        self._times_lost = self._times_lost + 1 if saved <= self._lost_at else 1
        self._lost_at = max(saved, self._lost_at)
        if self._times_lost >= MOST_LOST:
            raise WorkersLost(
                f"the run lost {MOST_LOST} workers in a row at about step {saved:,}, the last one on {lost.place}: {lost.reason}. It may need "
                "more memory than they have. Resume it to try again, or start it with smaller settings"
            )

    def _note_move(self, lost: WorkerLost, at: int, place: Workplace) -> None:
        """Logs that the run continues elsewhere, after step `at`."""
        if self._state is None or not place.name:  # it was stopped meanwhile
            return
        move = Move(self.folder.state_step() or 0, at, lost.place, place.name, lost.reason, round(time.time(), 3))
        self._moves = [*self._moves, move]
        try:
            self.folder.append_move(move)
        except OSError as error:
            log.warning("the move of %s could not be written: %s", self.id, error)

    def _stay(self, was: Status, error: Exception) -> RunState:
        """Restores a run that has trained and cannot continue to its previous state, with the reason. Returns the state.

        The status then has a `reason`, and in `stuck` what is missing: "state" or "data".
        """
        log.warning("the run %s cannot continue: %s", self.id, error, exc_info=not isinstance(error, ValueError | OSError))
        if self.before is not None:
            self.folder.write_json(self.folder.config_file, self.before)
        reason = f"This run could not continue: {explain(error).rstrip('.')}."
        self.folder.write_status(**was.change(reason=reason, stuck="state" if isinstance(error, StateLost) else "data"))
        return was.state

    def _train(self, place: Workplace, state: TrainState, dataset: ImageDataset) -> RunState:
        """Trains until the run's end; returns the final state."""
        while True:
            once, self._once = self._once, ""
            full = False
            if not once:
                self._live = RunState.RUNNING
            try:
                self._drain(place, state, dataset, once)
            except OSError as error:
                if error.errno not in PASSING:
                    raise
                # Nothing is lost: the networks wait in memory until there is room.
                full = True
                self.error = f"{PASSING[error.errno]} The run waits, and continues by itself when there is room."
                with self._wishes:
                    self._wish = self._wish or Wish.PAUSE
            with self._wishes:
                if once and not self._wish:  # Resume was pressed during the single step
                    continue
                if not self._wish:
                    return RunState.FINISHED
                if self._wish is Wish.PAUSE:
                    self._live = RunState.PAUSED
            if self._live is RunState.PAUSED:
                self._note(RunState.PAUSED)
            if not self._rest(state, full):
                self.error = self._save_at_last(state) if full else ""
                return RunState.STOPPED
            self.error = ""

    def _drain(self, place: Workplace, state: TrainState, dataset: ImageDataset, once: str) -> None:
        """Trains until the run's end, a pause or a stop.

        Raises:
            OSError: see record().
        """
        for event in record(self.folder, state, dataset, self._control, not once, None if once else self._watch, place):
            if isinstance(event, Metrics):
                self._history.append(asdict(event))
            elif isinstance(event, Intervention):
                self._interventions = [*self._interventions, asdict(event)]
            elif isinstance(event, Samples) and event.step not in self._sample_steps:
                self._sample_steps = [*self._sample_steps, event.step]
            if not self._wish and (reason := self._beyond_limits(state)):
                self.stop(reason)
        if not once and not self._wish:  # here, so that a last status without room on the disk is waited for like everything else
            write_status(self.folder, RunState.FINISHED, state, error=None)

    def _rest(self, state: TrainState, full: bool) -> bool:
        """Waits for the end of a pause; False if the run should stop. full: also waits until there is room on the disk."""
        with self._wishes:
            while not self._wishes.wait_for(lambda: self._wish is not Wish.PAUSE or self._once, ROOM_EVERY_S if full else None):
                if has_room(self.folder, state):
                    self._wish = None
            if self._wish is Wish.STOP:
                return False
            self._control.clear()
            if self._once:
                self._control.step_once(self._once)  # type: ignore[arg-type]
        return True

    def _save_at_last(self, state: TrainState) -> str:
        """For a stopped run that found no room: tries to save once more, and says what is lost if that fails."""
        try:
            self.folder.save_state(state)
            return ""
        except OSError as error:
            log.warning("the last state of %s could not be saved: %s", self.id, error)
            saved = max(self.folder.usable_states(), default=0)
            return f"The state of step {state.step:,} could not be saved: {explain(error)} The run will continue from step {saved:,}."

    def _beyond_limits(self, state: TrainState) -> str:
        """Why the run must end now, in a sentence; empty if it need not, or ends by itself."""
        disk = 0
        if self.limits.disk_mb is not None and time.monotonic() - self._weighed > WEIGH_EVERY_S:
            disk, self._weighed = folder_size(self.folder.path), time.monotonic()
        reason = self.limits.reached(state.step, state.elapsed_s - self._began_s, disk)
        return reason if reason and self._progress(state.done)[0] < 1 else ""

    def _note(self, name: RunState, **more: Any) -> None:
        """Writes status.json; a full disk must not end the run."""
        try:
            write_status(self.folder, name, self._state, **more)
        except OSError as error:
            log.warning("the status of %s could not be written: %s", self.id, error)

    def _fail(self, error: Exception) -> None:
        self.error = explain(error)
        try:
            self.folder.error_file.write_text(traceback.format_exc(), encoding="utf-8", errors="backslashreplace")
        except OSError as cannot:
            log.warning("the trace of %s could not be written: %s", self.id, cannot)
        self._note(RunState.FAILED, error=self.error)


def _changed_ns(path: Path) -> int:
    """A file's modification time; 0 if it does not exist."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _file_size(path: Path) -> int:
    """Bytes of a file; 0 if it does not exist."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def explain(error: BaseException, folders: bool = False) -> str:
    """An exception as one sentence for participants.

    folders: whether to keep the paths of files. By default, only their names stay, because visitors see the sentence; the log has the paths.
    """
    sentence = _explain(error)
    if folders or (short := without_folders(sentence)) == sentence:
        return sentence
    log.warning("shown to visitors without the path: %s", sentence)
    return short


def _explain(error: BaseException) -> str:
    if isinstance(error, Diverged):
        return f"Training diverged: {error}. Earlier snapshots and checkpoints are unharmed: explore them, or fork from one with lower learning rates."
    if isinstance(error, WorkersLost):
        return f"T{str(error)[1:]}."
    if isinstance(error, RankLost):
        return f"The run ended because {error}. The last saved state is intact: resume the run from it."
    no_memory = isinstance(error, OSError) and error.errno == errno.ENOMEM
    if no_memory or isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
        return "There is not enough memory for these settings: lower the batch size, the filters or the image size."
    if isinstance(error, OSError) and error.errno in PASSING:
        files = error.errno in (errno.EMFILE, errno.ENFILE)
        what = "wait until fewer visitors are here, or raise the limit (ulimit -n)" if files else "free some space"
        return f"{PASSING[error.errno]} What was saved before is unharmed: {what}, and resume."
    if isinstance(error, OSError):
        return in_words(error)
    if isinstance(error, ValueError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def checkpoints_root() -> Path:
    """The folder for runs: WORKSHOP_CHECKPOINTS, or checkpoints/ in the working directory."""
    return Path(os.environ.get("WORKSHOP_CHECKPOINTS") or "checkpoints")
