"""The manager of all runs of one checkpoints folder: who may train, who waits, what earlier processes left. Knows nothing of pages."""

import os
import threading
import time
from pathlib import Path
from typing import Any

from gan import datasets
from gan.checkpoint import RunFolder, fork, is_run_name, run_name
from gan.config import TrainConfig
from gan.devices import choose_device, cores
from gan.runs import AT_WORK, Run, checkpoints_root, refuse_too_large, write_status
from gan.training import extend

MOST_WAITING = 50


class RunManager:
    """All runs of one checkpoints folder: those at work here, those waiting, and those that earlier processes left."""

    def __init__(self, root: Path | None = None, max_runs: int | None = None, device: str | None = None) -> None:
        """
        Args:
            root: where runs land; WORKSHOP_CHECKPOINTS, or checkpoints/.
            max_runs: how many train at once; WORKSHOP_MAX_RUNS, or 1 (two at once on the same cores slow each other
                down more than twofold).
            device: "auto", "cpu" or "cuda"; WORKSHOP_DEVICE, or "auto".

        Raises:
            ValueError: an environment variable does not read as it should.
        """
        self.root = root or checkpoints_root()
        text = str(max_runs or os.environ.get("WORKSHOP_MAX_RUNS") or 1)
        if not text.isdigit() or int(text) < 1:
            raise ValueError(f"WORKSHOP_MAX_RUNS must be a whole number of at least 1; got {text!r}")
        self.max_runs = int(text)
        self.device = choose_device(device or os.environ.get("WORKSHOP_DEVICE") or "auto")
        self._runs: dict[str, Run] = {}
        self._queue: list[Run] = []
        self._threads: dict[str, threading.Thread] = {}
        self._lock = threading.RLock()
        self.closing = threading.Event()  # the server is on its way down: streams end, nothing new starts

    @property
    def threads(self) -> int:
        """Processor threads of each run: the cores, shared out."""
        return max(1, cores() // self.max_runs)

    def submit(self, config: TrainConfig, recipe: str = "", owner: str = "") -> Run:
        """Makes a run's folder and queues it; it starts at once when there is room.

        Raises:
            ValueError: the data set is not known, too many runs wait, or the networks do not fit in memory.
            OSError: the folder cannot be written.
        """
        self._refuse_if_full()
        refuse_too_large(config, self.device)
        self._refuse_unknown_data(config.data)
        folder = RunFolder(self.root / run_name(recipe or "run"))
        folder.path.mkdir(parents=True)
        folder.write_config(config, recipe, owner=owner)
        write_status(folder, "queued")
        return self._enqueue(folder)

    def _refuse_if_full(self) -> None:
        if len(self._queue) >= MOST_WAITING:
            raise ValueError(f"{MOST_WAITING} runs are waiting already; try again when some have ended")

    def _refuse_unknown_data(self, data: str) -> None:
        if data not in datasets.available():  # no paths: whoever submits may be a visitor
            raise ValueError(f"there is no data set {data!r}; choose one of {', '.join(datasets.available())}")

    def resume(self, run_id: str, unit: str | None = None, amount: float | None = None) -> Run:
        """Queues a stopped, finished, failed or interrupted run to go on, for `amount` more of `unit` if given.

        Raises:
            KeyError: there is no such run.
            ValueError: it is at work, or it has reached its duration and nothing says how much longer.
        """
        with self._lock:  # two at once must not both find it at rest
            return self._resume(self.get(run_id), unit, amount)

    def _resume(self, run: Run, unit: str | None, amount: float | None) -> Run:
        if run.state in AT_WORK:
            raise ValueError(f"the run {run.id} is {run.state} already")
        config, stored = run.folder.read_config()
        status = run.status()
        an_epoch = max(1, (stored.get("data_images") or 0) // config.batch_size) * config.batch_size
        done = (int(status.get("step", 0)), int(status.get("images_seen", 0)), float(status.get("elapsed_s", 0)))
        longer = extend(config, unit, amount, *done, an_epoch)
        if longer is config and status["progress"] >= 1:
            raise ValueError(
                f"the run {run.id} has reached its {config.duration:g} {config.duration_unit}; say how much longer it should train"
            )
        if longer != config:
            run.folder.write_json(run.folder.config_file, {**stored, "config": longer.model_dump()})
        return self._enqueue(RunFolder(run.folder.path))

    def fork(
        self, run_id: str, step: int, changes: dict[str, Any], unit: str | None = None, amount: float | None = None, owner: str = ""
    ) -> Run:
        """Queues a new run that goes on from another one's saved state nearest to a step, with some settings changed.

        It trains for `amount` more of `unit` from there; if none is given, to the duration that its settings say.

        Raises:
            KeyError: there is no such run.
            ValueError: nothing is saved of it yet, the settings do not go together, or too many runs wait.
            OSError: the folder cannot be written.
        """
        parent = self.get(run_id)
        self._refuse_if_full()
        if (data := changes.get("data")) is not None:
            self._refuse_unknown_data(data)
        recipe = str(parent.stored.get("recipe") or "run")
        return self._enqueue(fork(parent.folder, self.root / run_name(recipe), step, changes, unit, amount, owner))

    def _enqueue(self, folder: RunFolder) -> Run:
        with self._lock:
            run = self._runs[folder.path.name] = Run(folder)
            run._live = "queued"
            self._queue.append(run)
        self._fill()
        return run

    def _fill(self) -> None:
        """Starts waiting runs while there is room."""
        with self._lock:
            while self._queue and len(self._threads) < self.max_runs and not self.closing.is_set():
                run = self._queue.pop(0)
                thread = threading.Thread(target=self._work, args=(run,), name=f"run-{run.id}", daemon=True)
                self._threads[run.id] = thread
                thread.start()

    def _work(self, run: Run) -> None:
        try:
            if run._wish == "stop":
                run._note("stopped")
                run._live = ""
            else:
                run.work(self.device, self.threads)
        finally:
            with self._lock:
                if self._threads.get(run.id) is threading.current_thread():
                    del self._threads[run.id]
            self._fill()

    def stop(self, run_id: str) -> None:
        """Stops a run, or takes it out of the queue.

        Raises:
            KeyError: there is no such run.
        """
        run = self.get(run_id)
        with self._lock:
            waiting = run in self._queue
            if waiting:
                self._queue.remove(run)
        if waiting:
            run._note("stopped")
            run._live = ""
        else:
            run.stop()

    def get(self, run_id: str) -> Run:
        """A run by its id.

        Raises:
            KeyError: there is none, or the id could not be a folder's name.
        """
        with self._lock:
            if run_id in self._runs:
                return self._runs[run_id]
            if is_run_name(run_id) and (self.root / run_id / "config.json").is_file():
                run = self._runs[run_id] = Run(RunFolder(self.root / run_id))
                return run
        raise KeyError(run_id)

    def runs(self) -> list[Run]:
        """All runs, the newest first."""
        found = {p.parent.name: p.stat().st_mtime for p in self.root.glob("*/config.json")} if self.root.is_dir() else {}
        with self._lock:
            for gone in set(self._runs) - set(found):
                if not self._runs[gone].at_work:
                    del self._runs[gone]
        runs = [self.get(name) for name in found if is_run_name(name)]
        return sorted(runs, key=lambda run: float(run._disk_status().get("started") or 0), reverse=True)

    def position(self, run: Run) -> int:
        """1 for the next run to start, 2 for the one behind it; 0 for a run that does not wait."""
        with self._lock:
            return self._queue.index(run) + 1 if run in self._queue else 0

    def shutdown(self, timeout_s: float = 20.0) -> None:
        """Stops every run and waits until their states are saved."""
        with self._lock:
            self.closing.set()
            waiting, self._queue = self._queue, []
            threads = list(self._threads.values())
            at_work = [run for run in self._runs.values() if run.at_work]
        for run in waiting:
            run._note("stopped")
            run._live = ""
        for run in at_work:
            run.stop()
        deadline = time.monotonic() + timeout_s
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
