"""Manages all runs of one checkpoints folder: who may train, who waits, what earlier processes left. Knows nothing about pages.

Every method that changes a run takes the visitor who asks, and refuses everyone but the run's owner and the workshop's host.
"""

import logging
import math
import os
import shutil
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import torch

from gan.config import TrainConfig
from gan.data import cache, datasets, uploads
from gan.devices import choose_devices, cores, free_memory, passed_over
from gan.events import Done
from gan.judging.judge import JudgeCache
from gan.networks.generator_file import CheckpointError
from gan.owners import LOCAL, WHO_ARE_YOU, NotAllowed, Visitor, clean_name, may_change, refusal
from gan.runs import folder as checkpoint
from gan.runs import turns
from gan.runs.cluster import Cluster
from gan.runs.folder import RunFolder, is_run_name, run_folders, run_name
from gan.runs.fork import fork
from gan.runs.limits import NO_LIMITS, Limits, folder_size, span
from gan.runs.placement import Place, best
from gan.runs.record import refuse_missing_data, refuse_more_than, refuse_too_large, write_status
from gan.runs.run import Run, checkpoints_root
from gan.runs.sizes import refuse_too_few
from gan.runs.start import Origin, begin_with
from gan.runs.states import AT_WORK, RunState
from gan.runs.stored import StoredRun
from gan.runs.watch import Judges, switched_on
from gan.runs.workplace import Here, Workplace
from gan.training.loop import extend
from gan.training.memory import memory_estimate

log = logging.getLogger(__name__)

MOST_WAITING = 100  # runs of all participants together
HOUSEKEEPING_S = 2.0  # between two checks for runs whose owners have left
PLAN_S = 1.0  # how long an estimate of waiting runs' start times is reused
DELETED = ".deleted-"  # prefix of folders that are being deleted


class RunManager:
    """All runs of one checkpoints folder: active ones, waiting ones, and those that earlier processes left."""

    def __init__(
        self,
        root: Path | None = None,
        max_runs: int | None = None,
        device: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        cluster: Cluster | None = None,
    ) -> None:
        """
        Args:
            root: the folder for runs; WORKSHOP_CHECKPOINTS, or checkpoints/.
            max_runs: how many train at once on each device; WORKSHOP_MAX_RUNS, or 1 (two at once on the same cores slow
                each other down more than twofold).
            device: "auto", "cpu", "cuda" (all GPUs), "cuda:N" or several, as in "cuda:0,cuda:1"; WORKSHOP_DEVICE, or "auto".
            clock: returns seconds; turns and absences are measured with it.
            cluster: where runs train; None for this machine's devices.

        Raises:
            ValueError: an environment variable is invalid.
        """
        self.root = root or checkpoints_root()
        text = str(max_runs or os.environ.get("WORKSHOP_MAX_RUNS") or 1)
        if not text.isdigit() or int(text) < 1:
            raise ValueError(f"WORKSHOP_MAX_RUNS must be a whole number of at least 1; got {text!r}")
        self.max_runs = int(text)  # on each device
        self.limits = Limits.from_environment()
        self.judges = JudgeCache()
        self._judges = Judges(self.judges) if switched_on() else None  # in the background, for runs
        asked = device or os.environ.get("WORKSHOP_DEVICE") or "auto"
        try:
            self.devices = choose_devices(asked)
        except ValueError as error:
            raise ValueError(str(error) if device else f"WORKSHOP_DEVICE={asked}: {error}") from None
        self.passed_over = passed_over(asked)  # why GPUs cannot be used, in words; ""
        if self.passed_over:
            log.warning("%s", self.passed_over)
        self.cluster = cluster
        self._runs: dict[str, Run] = {}
        self._queue: list[Run] = []  # in the order of their submission
        self._threads: dict[str, threading.Thread] = {}
        self._devices: dict[str, torch.device] = {}  # where the runs in threads are, if they train on this machine
        # Since when a run is active, or could have been; and how far it was then.
        self._began: dict[str, tuple[float, Done]] = {}
        self._like: dict[tuple[object, ...], Done] = {}  # how far runs of a kind got, and in which time
        self._images: dict[str, int] = {}  # number of images in each data set
        self._seen: dict[str, float] = {}  # when the owners of active or waiting runs were last here
        self._plan: tuple[float, dict[str, tuple[int, float | None]]] | None = None
        self._housekeeper: threading.Thread | None = None
        self._clock = clock
        self._lock = threading.RLock()
        self.closing = threading.Event()  # the server is shutting down: streams end, nothing new starts

    @property
    def most_at_work(self) -> int:
        """How many runs train at once on all devices together, or in the cluster."""
        return self.cluster.room() if self.cluster else self.max_runs * len(self.devices)

    @property
    def threads(self) -> int:
        """Processor threads per run on this machine: the cores divided by the number of runs that may train at once."""
        return max(1, cores() // (self.max_runs * len(self.devices)))

    # Devices.

    def places(self) -> list[Place]:
        """The devices as a new run finds them. What a run that has just started will take counts as taken."""
        with self._lock:
            runs = Counter(self._devices.values())
            promised: Counter[torch.device] = Counter()
            for name, device in self._devices.items():
                run = self._runs.get(name)
                if run and not run.has_its_memory:
                    promised[device] += run.needs
        return [Place(device, max(0, free_memory(device) - promised[device]), runs[device]) for device in self.devices]

    def next_place(self) -> Place | None:
        """Where a run that is submitted now starts at once; None if it waits."""
        room = [place for place in self.places() if place.runs < self.max_runs]
        return best(room) if room else None

    def next_device(self) -> torch.device:
        """The device for a run that is submitted now; if it will wait, the one with the most room."""
        if len(self.devices) == 1:  # without asking for its memory
            return self.devices[0]
        return (self.next_place() or best(self.places())).device

    def _has_room(self) -> bool:
        """Whether a run can start now."""
        if self.cluster or len(self.devices) == 1:
            return len(self._threads) < self.most_at_work
        return self.next_place() is not None

    def _workplace(self, run: Run) -> Workplace:
        """Where a run starts now. Call it if _has_room(), with the lock held."""
        if self.cluster:
            return self.cluster.workplace(run.id)
        device = self._devices[run.id] = self.next_device()
        return Here(device, self.threads)

    def _refuse_too_large(self, config: TrainConfig) -> None:
        if self.cluster:
            refuse_more_than(config, self.cluster.most_memory(), "in the cluster, on the machine with the most")
        else:
            refuse_too_large(config, *self.devices)

    # Ownership.

    def may_steer(self, run: Run, visitor: Visitor) -> bool:
        """Whether a visitor may change a run: its owner and the host may. Without an owner, anyone on a server without a host may.

        If a run's owner is unknown, only the host may change it.
        """
        try:
            return may_change(run.owner_id, visitor)
        except CheckpointError:
            return visitor.admin

    def steered(self, run_id: str, visitor: Visitor) -> Run:
        """The run, for a visitor who may change it. Every method that changes a run starts with this.

        Raises:
            KeyError: there is no such run.
            NotAllowed: it belongs to someone else.
        """
        run = self.get(run_id)
        if not self.may_steer(run, visitor):
            raise NotAllowed(self.who_may_steer(run))
        return run

    def who_may_steer(self, run: Run) -> str:
        """The refusal, in one sentence."""
        return refusal(run.stored.owner, run.stored.owner_id, "started it", "steer this run")

    def seen(self, visitor_id: str) -> None:
        """Records that a visitor is here. Only owners of active or waiting runs matter."""
        with self._lock:
            present = {_owner(run) for run in self._unfinished()}
            if visitor_id in present:
                self._seen[visitor_id] = self._clock()
            for gone in self._seen.keys() - present:
                del self._seen[gone]

    def last_seen(self) -> dict[str, float]:
        """When the owners of active and waiting runs were last here, by visitor id; nobody else is remembered."""
        with self._lock:
            return dict(self._seen)

    def unfinished_run(self, visitor: Visitor) -> Run | None:
        """One of the visitor's active or waiting runs, if there is one."""
        with self._lock:
            return next((run for run in self._unfinished() if visitor.id and _owner(run) == visitor.id), None)

    def unfinished(self) -> list[Run]:
        """The active runs, then the waiting ones in the order in which they start."""
        with self._lock:
            return self._unfinished()

    def hurry_judges(self) -> None:
        """Prepares judges at the caller's priority from now on, because someone waits for scores."""
        if self._judges:
            self._judges.hurry()

    def trains_here(self) -> bool:
        """Whether a run of this process is training on this machine right now."""
        if self.cluster and not self.cluster.is_here():
            return False
        with self._lock:
            return any(run.state is RunState.RUNNING for run in self._working())

    def _unfinished(self) -> list[Run]:
        return [*self._working(), *self._waiting()]

    def _working(self) -> list[Run]:
        return [run for name in self._threads if (run := self._runs.get(name)) and run not in self._queue]

    def _waiting(self) -> list[Run]:
        """Waiting runs in the order in which they start."""
        at_work = [_owner(run) for run in self._working()]
        return [self._queue[i] for i in turns.order([(_owner(run), self._began[run.id][0]) for run in self._queue], at_work)]

    # Starting runs.

    def submit(self, config: TrainConfig, recipe: str = "", visitor: Visitor = LOCAL, origin: Origin | None = None) -> Run:
        """Creates a run's folder and queues the run; it starts at once if there is room.

        origin: the trained networks that it starts from; by default, it starts with new ones.

        Raises:
            NotAllowed: the visitor is unknown.
            ValueError: the data set is unknown or smaller than a batch, too many runs wait, the networks do not fit in memory, or
                the settings exceed this server's limits.
            OSError: the folder cannot be written.
        """
        self._refuse_if_full(visitor)
        self._refuse_too_large(config)
        self._refuse_unknown_data(config.data)
        refuse_too_few(config)
        self._limits(visitor).refuse(config, per_epoch=config.images_per_epoch(self._images.get(config.data)))
        if origin:
            origin.refuse(config)
        folder = RunFolder(self.root / run_name(recipe or "run"))
        folder.path.mkdir(parents=True)
        try:
            folder.write_config(config, recipe, owner=visitor.name, owner_id=visitor.id)
            if origin:
                begin_with(folder, origin)
            write_status(folder, RunState.QUEUED)
        except OSError:  # half of a run would begin with new networks when it is resumed
            _remove(folder.path)
            raise
        return self._enqueue(folder, visitor)

    def shorten(self, config: TrainConfig, visitor: Visitor) -> TrainConfig:
        """The settings of a new run as long as this visitor may train; see `Limits.shorten`."""
        return self._limits(visitor).shorten(config, config.images_per_epoch(self._images.get(config.data)))

    def _limits(self, visitor: Visitor) -> Limits:
        return NO_LIMITS if visitor.admin else self.limits

    def _refuse_if_full(self, visitor: Visitor) -> None:
        if not visitor.known:
            raise NotAllowed(WHO_ARE_YOU)
        if len(self._queue) >= MOST_WAITING:
            raise ValueError(f"{MOST_WAITING} runs are already waiting: try again when some have ended")
        most = self._limits(visitor).waiting
        with self._lock:  # a run whose thread has just been created is still called queued, but no longer waits
            waiting = sum(_owner(run) == visitor.id for run in self._queue)
        if most is not None and waiting >= most:
            raise ValueError(f"{most} run{' of yours waits' if most == 1 else 's of yours wait'} already: try again when one has started")

    def _refuse_unknown_data(self, data: str) -> None:
        if data not in datasets.available():  # no paths, because a visitor may be submitting
            raise ValueError(f"there is no data set {data!r}; choose one of {', '.join(datasets.available())}")

    def resume(
        self,
        run_id: str,
        unit: str | None = None,
        amount: float | None = None,
        visitor: Visitor = LOCAL,
        data: str | None = None,
        kept: bool = False,
    ) -> Run:
        """Queues a stopped, finished, failed or interrupted run to continue, for `amount` more of `unit` if given.

        Args:
            data: the new name of its data set, if it was moved or renamed; the images must be the same.
            kept: if its state is lost, continue from the newest checkpoint; later files are set aside in its folder.

        Raises:
            KeyError: there is no such run.
            NotAllowed: it belongs to someone else.
            ValueError: it is active, it has reached its duration and no further one is given, its data set is missing, its
                state is lost, or it would exceed this server's limits.
            OSError: its folder cannot be written.
        """
        with self._lock:  # two calls at once must not both find it at rest
            return self._resume(self.steered(run_id, visitor), unit, amount, visitor, data, kept)

    def _resume(self, run: Run, unit: str | None, amount: float | None, visitor: Visitor, data: str | None, kept: bool) -> Run:
        if run.state in AT_WORK:
            raise ValueError(f"the run {run.id} is already {run.state.shown}")
        folder = RunFolder(run.folder.path)
        config, stored = folder.read_config()
        if data is not None:
            self._refuse_unknown_data(data)
            config = config.change(data=data)
        refuse_missing_data(config)
        status = run.status()
        done = _kept(folder) if kept else status.done
        per_epoch = config.images_per_epoch(stored.data_images)
        longer = extend(config, unit, amount, done, per_epoch)
        # One that was killed right at its end may lack its last state and generator: it continues without a further duration.
        if amount is None and not kept and status.progress >= 1 and run.state is not RunState.INTERRUPTED:
            raise ValueError(f"the run {run.id} has reached its {config.duration:g} {config.duration_unit}; give a further duration")
        self._refuse_if_full(visitor)
        self._limits(visitor).refuse(longer, done.step, done.elapsed_s, per_epoch, folder_size(folder.path))
        run.end_scoring()
        if kept:
            folder.lock()  # another process may be about to resume it
            try:
                folder.go_back()
            finally:
                folder.unlock()
        if longer.model_dump() != stored["config"]:
            folder.write_json(folder.config_file, stored.change(data=longer.data, config=longer.model_dump()))
        return self._enqueue(folder, visitor, before=stored)

    def fork(
        self,
        run_id: str,
        step: int,
        changes: dict[str, Any],
        unit: str | None = None,
        amount: float | None = None,
        visitor: Visitor = LOCAL,
    ) -> Run:
        """Queues a new run that continues from another run's saved state nearest to a step, with some settings changed.

        It trains for `amount` more of `unit` from there, or by default up to the duration in its settings. Anyone may fork
        any run: the new run belongs to the visitor.

        Raises:
            KeyError: there is no such run.
            NotAllowed: the visitor is unknown.
            ValueError: it has no saved state yet, the settings do not fit together or exceed this server's limits, or too
                many runs wait.
            OSError: the folder cannot be written.
        """
        parent = self.get(run_id)
        self._refuse_if_full(visitor)
        if (data := changes.get("data")) is not None:
            self._refuse_unknown_data(data)
        recipe = parent.stored.recipe or "run"
        folder = fork(parent.folder, self.root / run_name(recipe), step, changes, unit, amount, visitor.name, visitor.id)
        try:
            config, stored = folder.read_config()
            done = folder.read_status().done
            self._refuse_too_large(config)
            refuse_too_few(config)
            self._limits(visitor).refuse(config, done.step, done.elapsed_s, config.images_per_epoch(stored.data_images))
        except ValueError:
            shutil.rmtree(folder.path)
            raise
        return self._enqueue(folder, visitor)

    def _enqueue(self, folder: RunFolder, visitor: Visitor, before: StoredRun | None = None) -> Run:
        """before: config.json of a run that continues, to restore it if it cannot."""
        needs = _needs(folder) if len(self.devices) > 1 else 0  # without the lock, because it can take seconds
        with self._lock:
            run = self._runs[folder.path.name] = Run(folder)
            run.needs = needs
            run.enqueue(self._limits(visitor), self._judges, before)
            self._began[run.id] = (self._clock(), run.disk_status().done)
            self._queue.append(run)
            self._plan = None
            if visitor.id:
                self._seen[visitor.id] = self._clock()
        self._fill()
        self._keep_house()
        return run

    def _fill(self) -> None:
        """Starts waiting runs while there is room."""
        with self._lock:
            while self._queue and not self.closing.is_set() and self._has_room():
                run = self._waiting()[0]
                self._queue.remove(run)
                self._plan = None
                self._began[run.id] = (self._clock(), self._began[run.id][1])
                place = self._workplace(run)
                thread = self._threads[run.id] = threading.Thread(target=self._work, args=(run, place), name=f"run-{run.id}", daemon=True)
                thread.start()

    def _work(self, run: Run, place: Workplace) -> None:
        try:
            if run.is_to_stop:
                run.withdraw()
            else:
                run.work(place)
        finally:
            with self._lock:
                if self._threads.get(run.id) is threading.current_thread():
                    del self._threads[run.id]
                    self._devices.pop(run.id, None)
                self._plan = None
                self._learn(run)
                for other in self._queue:
                    if _owner(other) == _owner(run):  # its owner has had a turn: others come first
                        self._began[other.id] = (self._clock(), self._began[other.id][1])
            self._fill()
        run.score_late()

    # Steering runs. Each method raises KeyError if there is no such run, and NotAllowed if it belongs to someone else.

    def pause(self, run_id: str, visitor: Visitor = LOCAL) -> None:
        """Asks a run to pause after its step; its networks stay in memory."""
        self.steered(run_id, visitor).pause()

    def go_on(self, run_id: str, visitor: Visitor = LOCAL) -> None:
        """Ends a pause."""
        self.steered(run_id, visitor).go_on()

    def step_once(self, run_id: str, network: Literal["generator", "discriminator", "both"], visitor: Visitor = LOCAL) -> None:
        """One step of a paused run, in which only this network trains."""
        self.steered(run_id, visitor).step_once(network)

    def change(self, run_id: str, name: str, value: Any, visitor: Visitor = LOCAL) -> None:
        """Changes a live setting before the run's next step.

        Raises:
            ValueError: see Run.change().
        """
        self.steered(run_id, visitor).change(name, value)

    def set_pace(self, run_id: str, pace_s: float, visitor: Visitor = LOCAL) -> None:
        """Slow motion: see Run.set_pace().

        Raises:
            ValueError: out of bounds.
        """
        self.steered(run_id, visitor).set_pace(pace_s)

    def rename(self, run_id: str, name: str, visitor: Visitor = LOCAL) -> None:
        """Gives a run a name of its owner's for all lists, at most 40 characters on one line; empty for what its settings make of it.

        Raises:
            OSError: its folder cannot be written.
        """
        self.steered(run_id, visitor).folder.write_name(clean_name(name))

    def stop(self, run_id: str, visitor: Visitor = LOCAL) -> None:
        """Stops a run, or takes it out of the queue."""
        run = self.steered(run_id, visitor)
        with self._lock:
            waiting = run in self._queue
            if waiting:
                self._queue.remove(run)
                self._plan = None
        if waiting:
            run.withdraw()
        else:
            run.stop()

    def delete(self, run_id: str, visitor: Visitor = LOCAL) -> None:
        """Deletes a run that is not active: its folder, including its generators.

        Raises:
            ValueError: it is active, here or in another process.
            OSError: the folder cannot be renamed.
        """
        with self._lock:
            run = self.steered(run_id, visitor)
            if run.state in AT_WORK:
                raise ValueError(f"the run {run_id} is {run.state.shown}: stop it first")
            run.end_scoring()
            gone = self.root / f"{DELETED}{uuid.uuid4().hex}"
            run.folder.lock()  # another process may be about to resume it
            try:
                run.folder.path.rename(gone)  # at once, and for everyone
            finally:
                run.folder.unlock()
            self._runs.pop(run_id, None)
            self._began.pop(run_id, None)
        _remove(gone)

    # Reading.

    def get(self, run_id: str) -> Run:
        """A run by its id.

        Raises:
            KeyError: there is none, or the id is not a valid folder name.
        """
        with self._lock:
            if run_id in self._runs:
                return self._runs[run_id]
            if is_run_name(run_id) and os.path.lexists(self.root / run_id / "config.json"):  # the run itself says what is wrong with it
                run = self._runs[run_id] = Run(RunFolder(self.root / run_id))
                return run
        raise KeyError(run_id)

    def runs(self) -> list[Run]:
        """All runs, newest first, including damaged ones, which say so. Runs deleted meanwhile are left out."""
        names = {name for name in run_folders(self.root) if is_run_name(name)}
        with self._lock:
            for gone in set(self._runs) - names:
                if not self._runs[gone].at_work:
                    del self._runs[gone]
        runs = []
        for name in names:
            with suppress(KeyError):  # just deleted
                run = self.get(name)
                runs.append((run.disk_status().started or 0.0, run))
        return [run for _, run in sorted(runs, key=lambda pair: (pair[0], pair[1].id), reverse=True)]

    def position(self, run: Run) -> int:
        """1 for the next run to start, 2 for the one after it; 0 for a run that does not wait."""
        return self.place(run)[0]

    def place(self, run: Run) -> tuple[int, float | None]:
        """A run's position(), and roughly the seconds until it starts; None if unknown, or if it does not wait."""
        with self._lock:
            if run not in self._queue:
                return 0, None
            if self._plan is None or self._clock() - self._plan[0] > PLAN_S:
                waiting, working = self._waiting(), self._working()
                slots = [self._left_s(run) for run in working] + [0.0] * (self.most_at_work - len(self._threads))
                starts = turns.starts(slots or [None], [self._left_s(run) for run in waiting])
                self._plan = (self._clock(), {r.id: (place + 1, starts[place]) for place, r in enumerate(waiting)})
            return self._plan[1][run.id]

    def _left_s(self, run: Run) -> float | None:
        """Seconds until an active run ends, or that a waiting run takes; None if unknown."""
        if run.state is RunState.PAUSED:
            return None
        try:
            config = run.config
        except CheckpointError:
            return None
        began = done = self._began[run.id][1]
        if run.in_memory:
            self._learn(run)
            done = run.status().done
        images = run.stored.data_images or self._images.get(config.data)
        left = turns.left_s(config, done, self._like.get(turns.kind(config)), images)
        if run.limits.minutes is not None and left is not None:
            left = min(left, 60 * run.limits.minutes - (done.elapsed_s - began.elapsed_s))
        return left

    def _learn(self, run: Run) -> None:
        """Records how fast a run was, to estimate how long others of its kind will take."""
        try:
            config = run.config
        except CheckpointError:
            return
        status, images = run.status(), run.stored.data_images
        if status.step:
            self._like[turns.kind(config)] = status.done
        if images is not None:
            self._images[config.data] = images

    # Background work.

    def _keep_house(self) -> None:
        """Starts the thread that looks after the runs, unless it exists; it ends when there is nothing to look after."""
        with self._lock:
            if self._housekeeper is None and not self.closing.is_set():
                self._housekeeper = threading.Thread(target=self._look_after, name="housekeeping", daemon=True)
                self._housekeeper.start()

    def _look_after(self) -> None:
        self.remove_leftovers()
        while not self.closing.wait(HOUSEKEEPING_S):
            with self._lock:
                if not self._threads and not self._queue:
                    self._housekeeper = None
                    return
            try:
                self.make_room()
                if self.cluster:  # a machine may have come
                    self._fill()
            except Exception:  # an error must not end the thread; the next check may succeed
                log.exception("looking after the runs failed")

    def remove_leftovers(self) -> None:
        """Removes what killed processes left half-made or half-deleted: runs, forks, uploads and decoded images."""
        for half_deleted in self.root.glob(f"{DELETED}*"):
            _remove(half_deleted)
        checkpoint.remove_abandoned(self.root)
        uploads.remove_abandoned()
        cache.remove_abandoned(datasets.data_root() / "cache")

    def make_room(self) -> None:
        """Stops runs whose owners have been away for the grace time, longest absence first, if others wait."""
        with self._lock:
            working = self._working()
            room = self.most_at_work - len(self._threads) + sum(run.is_to_stop for run in working)
            away = {run.id: self._clock() - max(self._seen.get(_owner(run), -math.inf), self._began[run.id][0]) for run in working}
            for run in sorted(working, key=lambda run: away[run.id], reverse=True):
                owner, grace_s = _owner(run), run.limits.grace_s
                others = sum(_owner(other) != owner for other in self._queue)
                if not owner or grace_s is None or away[run.id] <= grace_s or others <= room or run.is_to_stop:
                    continue
                name = clean_name(run.stored.owner) or "its owner"
                run.stop(f"Others were waiting, and {name} had been away for {span(grace_s)}. Resume it to continue.")
                log.info("the run %s is stopped: others wait, and its owner has left", run.id)
                room += 1

    def shutdown(self, timeout_s: float = 20.0) -> None:
        """Stops every run and waits until their states are saved."""
        with self._lock:
            self.closing.set()
            waiting, self._queue = self._queue, []
            threads = list(self._threads.values())
            known = list(self._runs.values())
            at_work = [run for run in known if run.at_work]
        for run in waiting:
            run.withdraw()
        for run in at_work:
            run.stop()
        if self._judges:
            self._judges.close()
        deadline = time.monotonic() + timeout_s
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for run in known:
            run.end_scoring()
        if self.cluster:
            self.cluster.close()


def _owner(run: Run) -> str:
    """The owner's id, to decide whose turn it is; empty if there is no owner, or it is unknown."""
    try:
        return run.owner_id
    except CheckpointError:
        return ""


def _needs(folder: RunFolder) -> int:
    """Bytes that a run will take, as estimated; 0 if its settings cannot be read."""
    try:
        return memory_estimate(folder.read_config()[0])
    except CheckpointError:
        return 0


def _kept(folder: RunFolder) -> Done:
    """The progress of a run's newest checkpoint.

    Raises:
        CheckpointError: there is no usable checkpoint.
    """
    step = folder.newest_kept()
    if step is None:
        raise CheckpointError(f"the run {folder.path.name} has no checkpoint to continue from. {folder.what_is_left()}")
    return Done.of(folder.read_state(folder.usable_states()[step], mapped=True))


def _remove(folder: Path) -> None:
    """Removes a folder that is no longer listed; if that fails, it is tried again when the next run starts."""
    try:
        shutil.rmtree(folder)
    except OSError as error:
        log.warning("%s could not be removed: %s", folder, error)
