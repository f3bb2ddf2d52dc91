"""A run's folder: config, status, metrics, grids, generators, resume state. Knows nothing about threads or pages.

Weights are safetensors with the config in the file's metadata. The resume state is loaded with weights_only=True.
Nothing that is read here can run code.
"""

import functools
import json
import math
import os
import pickle
import platform
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch
from filelock import FileLock, Timeout

from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.events import THREADS, Done, Intervention, Metrics, ThreadChange
from gan.files import in_words, remove_parts, sweep, write_atomically, write_through
from gan.images import check_png, enlarge, png, tile
from gan.judging.judgements import Best, Judgement, follow
from gan.networks.generator_file import CheckpointError, first_line, write_generator
from gan.owners import clean_name
from gan.runs.jsonlines import JsonLines
from gan.runs.moves import Move
from gan.runs.states import RunState
from gan.runs.stored import Status, StoredRun
from gan.training import saved_state as states
from gan.training.execution import restored
from gan.training.state import TrainState
from gan.untrusted import is_number, read_bytes, read_json

METRICS = tuple(name for name in Metrics.__dataclass_fields__ if name != "scores")  # the columns with numbers
SKIPPED_LISTED = 20  # number of left-out files that config.json names
STATES_KEPT = 16  # number of checkpoints of a run, for forks
STATES_BYTES = 400 * 2**20  # bytes of all of them; at least two are kept
LONGEST_RECIPE = 60  # characters of a recipe's name in a run's
LARGEST_GRID = 64 * 2**20  # bytes of a grid's PNG: 256 color images of 256 pixels that are still noise have 48 MiB, usual ones below 1
LARGEST_NAME = 4096  # bytes of name.json
S = TypeVar("S", bound=TrainState)
_RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class StateLost(CheckpointError):
    """A run has trained, and the state to continue from is missing or cannot be used."""


def save_generator(path: Path, state: TrainState) -> None:
    """Writes the EMA generator of a training state, for Explore. Equal states give equal files."""
    write_generator(path, state.averaged, state.config, state.step, state.images_seen, state.class_names)


def is_run_name(name: str) -> bool:
    """Whether a text is a valid name for a run's folder: no separators, no leading dot, at most 100 characters."""
    return _RUN_NAME.fullmatch(name) is not None


def interventions(script: Iterable[Intervention]) -> list[Intervention]:
    """The changes of settings in a script, without changes of the number of threads."""
    return [change for change in script if change.field != THREADS]


def run_folders(root: Path) -> list[str]:
    """The names of the folders with a config.json, valid or not; none if the root does not exist."""
    try:
        with os.scandir(root) as entries:
            names = [entry.name for entry in entries]
    except FileNotFoundError:
        return []
    return [name for name in names if os.path.lexists(root / name / "config.json")]


class RunFolder:
    """The files of one run. Only one RunFolder writes at a time: the one that holds the lock."""

    _probing = threading.Lock()

    def __init__(self, path: Path, patience_s: float = 2.0) -> None:
        """patience_s: how long lock() waits, because another process's is_being_written() may hold the lock for an instant."""
        self.path = Path(path)
        self._lock = FileLock(self.path / ".lock", timeout=patience_s, thread_local=False)
        self.metrics, self.norms = JsonLines(self.metrics_file), JsonLines(self.norms_file)
        self.script, self.judgements = JsonLines(self.interventions_file), JsonLines(self.judge_file)
        self._logs = (self.script, self.metrics, self.norms, self.judgements)  # in the order in which they are written
        self.moves = JsonLines(self.moves_file)  # of the run's time, not of its steps: never truncated
        self._judged = _Read(self.judgements)
        self.troubles: frozenset[int] = frozenset()  # steps at which something began to go wrong, found by the watcher of the run
        self._state_at: dict[Path, tuple[tuple[int, int], int | None]] = {}  # for each saved state: time and size, and its step

    # Names of the files, as documented in docs/run-folder.md.
    @property
    def config_file(self) -> Path:
        return self.path / "config.json"

    @property
    def status_file(self) -> Path:
        return self.path / "status.json"

    @property
    def name_file(self) -> Path:
        """What the run's owner calls it. Not in config.json, which a run that starts writes again."""
        return self.path / "name.json"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def interventions_file(self) -> Path:
        return self.path / "interventions.jsonl"

    @property
    def norms_file(self) -> Path:
        return self.path / "norms.jsonl"

    @property
    def judge_file(self) -> Path:
        return self.path / "judge.jsonl"

    @property
    def moves_file(self) -> Path:
        """How often the run's worker in a cluster was lost, and where the run continued."""
        return self.path / "moves.jsonl"

    @property
    def state_file(self) -> Path:
        return self.path / "state.pt"

    @property
    def fork_file(self) -> Path:
        """The state that a fork started from, so it can be replayed."""
        return self.path / "fork.pt"

    @property
    def start_file(self) -> Path:
        """The trained networks that a run started from, if any."""
        return self.path / "start.pt"

    def kept_state_file(self, step: int) -> Path:
        return self.path / "states" / f"{step:06d}.pt"

    @property
    def error_file(self) -> Path:
        return self.path / "error.txt"

    def samples_file(self, step: int) -> Path:
        return self.path / "samples" / f"{step:06d}.png"

    def generator_file(self, step: int) -> Path:
        return self.path / f"generator-{step:06d}.safetensors"

    def lock(self) -> None:
        """Locks the folder for writing, and deletes half-written files of killed processes.

        Raises:
            CheckpointError: another process or RunFolder is writing to it, or it is not writable.
        """
        try:
            self._lock.acquire()
            remove_parts(
                self.path, shared=(self.config_file.name, self.status_file.name, self.name_file.name)
            )  # written without the lock too
        except Timeout:
            raise CheckpointError(f"the run {self.path.name} is already training: wait for it, or stop it") from None
        except OSError as error:
            self._lock.release()
            raise CheckpointError(f"the folder of the run {self.path.name} cannot be written: {error.strerror}") from None

    def unlock(self) -> None:
        self._lock.release()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """lock() until the block ends.

        Raises:
            CheckpointError: see lock().
        """
        self.lock()
        try:
            yield
        finally:
            self.unlock()

    def is_being_written(self) -> bool:
        """Whether any process holds the lock. A killed process holds no lock."""
        if self._lock.is_locked:
            return True
        if not (self.path / ".lock").exists():
            return False
        with self._probing:  # two simultaneous probes would mistake each other for a writer
            probe = FileLock(self.path / ".lock", timeout=0)
            try:
                probe.acquire()
            except Timeout:
                return True
            except OSError:  # this process may not write the folder, so no run of ours is active there
                return False
            probe.release()
            return False

    def write_config(
        self, config: TrainConfig, recipe: str, dataset: ImageDataset | None = None, owner: str = "", owner_id: str = ""
    ) -> None:
        """Writes config.json. The data set's fingerprint is known once it has been loaded.

        owner, owner_id: name and id of the visitor who owns the run; empty for no owner.

        Other entries of config.json (the run that it was forked from) stay.
        """
        try:
            before = self._read_json(self.config_file)
        except CheckpointError:
            before = {}
        content = {
            **before,
            "recipe": recipe,
            "owner": owner,
            "owner_id": owner_id,
            "seed": config.seed,
            "data": config.data,
            "data_fingerprint": dataset.fingerprint() if dataset else None,
            "data_images": len(dataset) if dataset else None,
            "data_labels": dataset.labels_fingerprint() if dataset and config.conditional else None,
            "data_skipped": list(dataset.skipped[:SKIPPED_LISTED]) if dataset else [],
            "data_skipped_count": dataset.skipped_count if dataset else 0,
            "versions": {"python": platform.python_version(), "torch": torch.__version__, "torchvision": version("torchvision")},
            "config": config.model_dump(),
        }
        self.write_json(self.config_file, content)

    def read_config(self) -> tuple[TrainConfig, StoredRun]:
        """The run's settings, and all of config.json.

        Raises:
            CheckpointError: there is no run here, or its config cannot be read.
        """
        content = self._read_json(self.config_file)
        try:
            config = TrainConfig(**content["config"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{self.config_file} does not hold a run's settings: {error}") from None
        stored = StoredRun(content)
        if fault := stored.fault():
            raise CheckpointError(f"{self.config_file} is damaged: {fault}")
        return config, stored

    def write_name(self, name: str) -> None:
        """What the run's owner calls it from now on; empty for the name that its settings make.

        Raises:
            OSError: it cannot be written.
        """
        if name:
            self.write_json(self.name_file, {"name": name})
        else:
            self.name_file.unlink(missing_ok=True)

    def read_name(self) -> str:
        """What the run's owner calls it, on one line; empty if it has no name or cannot be read: a run is not damaged by it."""
        try:
            content = read_json(self.name_file, LARGEST_NAME)
        except (OSError, ValueError):
            return ""
        return clean_name(content.get("name")) if isinstance(content, dict) else ""

    def write_status(self, **fields: Any) -> None:
        self.write_json(self.status_file, fields)

    def read_status(self) -> Status:
        """status.json; a run that claims to be active while nobody holds its lock was interrupted."""
        if os.path.lexists(self.status_file):
            status = Status(self._read_json(self.status_file))
        else:  # just created, or its process was killed between the two files
            self.read_config()
            try:
                status = Status({"state": RunState.QUEUED, "started": self.config_file.stat().st_mtime})
            except OSError:
                raise CheckpointError(f"{self.path} no longer holds a run") from None
        if "state" not in status:
            raise CheckpointError(f"{self.status_file} is damaged: state is missing")
        if fault := status.fault():
            raise CheckpointError(f"{self.status_file} is damaged: {fault}")
        state = RunState(status.state)
        at_work = state in (RunState.QUEUED, RunState.RUNNING, RunState.PAUSED)
        return status.change(state=RunState.INTERRUPTED if at_work and not self.is_being_written() else state)

    def fault(self) -> str:
        """What is visibly wrong with the run's files, in a sentence; empty if nothing is."""
        try:
            self.read_config()
            self.read_status()
        except CheckpointError as error:
            return str(error)
        for path in (log.path for log in self._logs):
            if os.path.lexists(path) and not path.is_file():
                return f"{path} is damaged: it is not a file"
        for folder in (self.path / "samples", self.path / "states"):
            if os.path.lexists(folder) and not folder.is_dir():
                return f"{folder} is damaged: it is not a folder"
        return ""

    def append_metrics(self, metrics: Metrics) -> None:
        """Adds a line; flush() writes it. NaN becomes null, because JSON has no NaN."""
        row = asdict(metrics)
        if not metrics.scores:
            del row["scores"]
        for name in ("augmentation", "distance"):  # only some runs have them
            if row[name] is None:
                del row[name]
        self.metrics.note(row)

    def append_intervention(self, change: Intervention | ThreadChange) -> None:
        """Adds a change of a live setting, or of the number of threads; flush() writes it."""
        if isinstance(change, ThreadChange):
            change = Intervention(change.step, THREADS, change.old, change.new)
        self.script.note(asdict(change))

    def append_norms(self, step: int, norms: dict[str, Any]) -> None:
        """Adds a line of layer_norms(); flush() writes it."""
        self.norms.note({"step": step, **norms})

    def append_judged(self, row: Mapping[str, Any]) -> None:
        """Adds a scoring; flush() writes it. NaN becomes null."""
        self.judgements.note(row)

    def flush(self) -> None:
        """Writes the added lines.

        Raises:
            OSError: the disk is full, say. No partial line is left, and the lines are kept for the next flush.
        """
        for log in self._logs:
            log.flush()

    def read_metrics(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Complete lines of metrics.jsonl from a byte offset on, and the offset after them. Damaged lines are left out."""
        rows, end = self.metrics.since(offset)
        return [{name: row[name] if is_number(row.get(name)) else None for name in METRICS} for row in rows], end

    def read_interventions(self) -> list[Intervention]:
        """The changes of live settings that people made, in order. Damaged lines are left out."""
        return interventions(self.read_script())

    def read_script(self) -> list[Intervention]:
        """Everything needed to repeat the run: the changes of live settings and (as changes of THREADS) of the number of threads.

        In order. Damaged lines are left out.
        """
        rows, _ = self.script.since()
        return [Intervention(row["step"], row["field"], row["old"], row["new"]) for row in rows if _is_change(row)]

    def read_moves(self) -> list[Move]:
        """Where the run has moved in a cluster, in order. Damaged lines are left out."""
        rows, _ = self.moves.since()
        return [move for row in rows if (move := Move.of(row))]

    def append_move(self, move: Move) -> None:
        """Writes that the run continues on another worker.

        Raises:
            OSError: the disk is full, say.
        """
        self.moves.note(asdict(move))
        self.moves.flush()

    def norms_since(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Complete lines of norms.jsonl from a byte offset on, in order, and the offset after them. Damaged lines are left out."""
        rows, end = self.norms.since(offset)
        return [row for row in rows if all(_are_norms(row.get(what)) for what in ("weights", "gradients"))], end

    def read_norms(self) -> list[dict[str, Any]]:
        """The lines of norms.jsonl, in order. Damaged lines are left out."""
        return self.norms_since()[0]

    def read_judged(self) -> list[Judgement]:
        """The scorings, in order; only new lines are read. Do not change the result. Damaged lines are left out.

        Each has step, images, the keys of judgements.NUMBERS, shares and missing; lines of other versions may lack some.
        """
        return self._judged.rows()

    def best(self) -> Best | None:
        """The best scoring so far; None if there is none."""
        return self._judged.best()

    def truncate(self, step: int, changes: int) -> None:
        """Removes what was logged after a state at `step`, which includes this many changes, and partial last lines."""
        logged_until = self.logged_until(step, changes)
        for log in self._logs:
            log.forget()
            if log.path.exists():
                log.rewrite(logged_until[log.path])

    def logged_until(self, step: int, changes: int) -> dict[Path, list[dict[str, Any]]]:
        """The log of a run at `step`, which includes this many changes: file -> rows."""
        return {
            **{log.path: log.until(step) for log in (self.metrics, self.norms, self.judgements)},
            self.script.path: [asdict(change) for change in self.read_script()[:changes]],
        }

    def save_samples(self, step: int, images: Any) -> None:
        """Writes the sample grid; 28-pixel images are doubled in size."""
        with write_atomically(self.samples_file(step), durable=False) as file:
            file.write(png(tile(enlarge(images, max(1, 64 // images.shape[-1])), gap=2)))

    def sample_steps(self) -> list[int]:
        return _steps(self.path / "samples", "", ".png")

    def read_samples(self, step: int) -> bytes:
        """The grid at a step, as PNG.

        Raises:
            CheckpointError: there is none, or it is damaged.
        """
        path = self.samples_file(step)
        try:
            content = read_bytes(path, LARGEST_GRID)
            check_png(content)
        except FileNotFoundError:
            raise CheckpointError(f"the run {self.path.name} has no grid at step {step}") from None
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged: {first_line(error)}") from None
        return content

    def generator_steps(self) -> list[int]:
        return _steps(self.path, "generator-", ".safetensors")

    def save_generator(self, state: TrainState) -> None:
        """Writes the EMA generator of this step, for Explore."""
        save_generator(self.generator_file(state.step), state)

    def save_state(self, state: TrainState, durable: bool = True) -> None:
        """Writes everything needed to resume, whole or not at all. Added lines are written first: nobody would add them again.

        durable: see write_atomically().

        Raises:
            OSError: the disk is full, say. The previous state is untouched.
        """
        self.flush()
        save_whole(state.state_dict(), self.state_file, durable)

    def keep_state(self, state: TrainState, important: Sequence[int] = (), was: tuple[TrainConfig, int] | None = None) -> None:
        """Saves this state for forks. If there are too many, the least useful one is deleted.

        Args:
            state: the state to save.
            important: steps from which someone may want to continue, least important first; see least_useful().
            was: the settings and the number of changes to save, if those of `state` have changed since.
        """
        self.flush()
        content = state.state_dict()
        if was:
            content |= {"config": was[0].model_dump(), "changes": was[1]}
        save_whole(content, self.kept_state_file(state.step), durable=False)
        steps = self.state_steps()
        size = self.kept_state_file(state.step).stat().st_size
        while len(steps) > 2 and (len(steps) > STATES_KEPT or len(steps) * size > STATES_BYTES):
            steps.remove(least := least_useful(steps, important))
            self.kept_state_file(least).unlink(missing_ok=True)

    def state_steps(self) -> list[int]:
        """The steps with a checkpoint for forks, without state.pt."""
        return _steps(self.path / "states", "", ".pt")

    def usable_states(self) -> dict[int, Path]:
        """step -> file, in order: the saved states that can be opened. A checkpoint takes precedence over state.pt of the same step.

        Only the files' tables of contents are read, so a state whose tensors do not fit the settings is included.
        """
        states = {step: file for step in self.state_steps() if self._step_in(file := self.kept_state_file(step)) == step}
        for file in (self.fork_file, self.state_file):
            step = self._step_in(file)
            if step is not None:
                states.setdefault(step, file)
        return dict(sorted(states.items()))

    def fork_steps(self) -> list[int]:
        """The steps from which a fork can start: those of the saved states that can be opened."""
        return list(self.usable_states())

    def _step_in(self, file: Path) -> int | None:
        """The step of a saved state; None if it is missing or cannot be opened. Each version of a file is read once."""
        try:
            status = file.stat()
        except OSError:
            return None
        stamp = (status.st_mtime_ns, status.st_size)
        known = self._state_at.get(file)
        if known is None or known[0] != stamp:
            try:
                step = int(self.read_state(file, mapped=True)["step"])
            except (CheckpointError, KeyError, TypeError, ValueError, OverflowError):
                step = None
            known = self._state_at[file] = (stamp, step)
        return known[1]

    def state_step(self) -> int | None:
        """The step of state.pt; None if it is missing or cannot be opened."""
        return self._step_in(self.state_file)

    def begun(self) -> int:
        """How many steps the run has trained, according to its files; 0 if it has not started."""
        try:
            steps = [self.read_status().step]
        except CheckpointError:
            steps = []
        rows, _ = self.metrics.since()
        logged = max((row["step"] for row in rows), default=0)
        return max([*steps, logged, *self.generator_steps(), *self.sample_steps(), *self.state_steps()], default=0)

    def reached(self) -> Done:
        """How far state.pt is, where the run would continue; zeros if nothing is saved.

        Read from the state itself, because a killed process may have written a status of a later step. If the state cannot be used, read
        from the status.
        """
        if not self.state_file.exists():
            return Done()
        try:
            return Done.of(self.read_state(self.state_file, mapped=True))
        except CheckpointError:  # load_state() says what is wrong and what is left
            return self.read_status().done

    def begin_as(self, original: "RunFolder") -> None:
        """Makes this new run's folder a fork from the same state as another run's, so both are the same run and can be replayed.

        Raises:
            OSError: a file cannot be written.
        """
        link_or_copy(original.fork_file, self.fork_file)
        link_or_copy(original.fork_file, self.state_file)
        if original.interventions_file.exists():  # the state counts the changes made before it
            shutil.copyfile(original.interventions_file, self.interventions_file)  # no hard link: lines are appended to it
        parent = self._read_json(original.config_file)["parent"]
        self.write_json(self.config_file, {**self._read_json(self.config_file), "parent": parent})

    def note_origin(self, origin: Mapping[str, Any]) -> None:
        """Notes in config.json from which run's networks, at which step, this run starts.

        Raises:
            OSError: it cannot be written.
        """
        self.write_json(self.config_file, {**self._read_json(self.config_file), "origin": origin})

    def take_start(self, state: TrainState) -> None:
        """Loads the networks of start.pt into a new state, if there are any.

        Raises:
            CheckpointError: the file is missing or cannot be used, or its networks have other shapes.
        """
        about = f"{self.start_file.name} of the run {self.path.name}"
        if not self.start_file.exists():
            if self.read_config()[1].origin is None:
                return
            raise CheckpointError(f"{about}, which holds the networks that it begins with, is missing: put it back, or train a new run")
        try:
            state.adopt(states.read_networks(self.start_file))
        except (OSError, pickle.UnpicklingError, ValueError) as error:
            raise CheckpointError(f"{about} cannot be used: {first_line(error)[:200]}") from None

    def newest_kept(self) -> int | None:
        """The step of the newest checkpoint for forks that can be opened; None if there is none."""
        return max((step for step, file in self.usable_states().items() if file != self.state_file), default=None)

    def what_is_left(self) -> str:
        """What to do if state.pt cannot be used, in one or two sentences."""
        kept = self.newest_kept()
        if kept is not None:
            return f"Its newest checkpoint is from step {kept:,}: continue from there (on the command line: resume with --kept), or fork the run."
        explorable = f" Its {len(steps)} generators can still be explored." if (steps := self.generator_steps()) else ""
        return f"No checkpoint is left, so it cannot continue: start a new run with its settings.{explorable}"

    def go_back(self) -> int:
        """Replaces a missing or unusable state.pt by the newest checkpoint (for a fork, possibly the one it started from); returns its step.

        Everything after that step, and the unusable state.pt, moves to set-aside/1/ (2, 3, ...), which also gets the unchanged logs.
        Call it with the lock held.

        Raises:
            CheckpointError: there is no usable checkpoint.
            OSError: a file cannot be written. Nothing is lost, and you can call it again.
        """
        step = self.newest_kept()
        if step is None:
            raise CheckpointError(f"the run {self.path.name} has no checkpoint to continue from. {self.what_is_left()}")
        source, number = self.usable_states()[step], 1
        while (aside := self.path / "set-aside" / str(number)).exists():
            number += 1
        aside.mkdir(parents=True)
        for file in (*(log.path for log in self._logs), self.status_file):
            if file.exists():
                shutil.copyfile(file, aside / file.name)
        later = [self.samples_file(at) for at in self.sample_steps() if at > step]
        later += [self.generator_file(at) for at in self.generator_steps() if at > step]
        later += [self.kept_state_file(at) for at in self.state_steps() if at > step]
        for file in [*later, self.state_file]:
            if file.exists():
                target = aside / file.relative_to(self.path)
                target.parent.mkdir(exist_ok=True)
                file.rename(target)
        link_or_copy(source, self.state_file)
        done = asdict(Done.of(self.read_state(self.state_file, mapped=True)))
        try:
            status = self.read_status()
        except CheckpointError:  # damaged; it is set aside, too
            status = Status({"started": time.time()})
        self.write_status(**status.change(**done, state=RunState.STOPPED, error=None, reason=None, stuck=None))
        return step

    def read_state(self, file: Path, mapped: bool = False) -> dict[str, Any]:
        """Reads a file of save_state() or keep_state(). Executes nothing from the file.

        mapped: tensors stay in the file until they are used.

        Raises:
            CheckpointError: the file is missing, cut short, or holds more than numbers.
        """
        about = f"{file.relative_to(self.path)} of the run {self.path.name}"
        try:
            stored = states.read(file, mapped)
        except FileNotFoundError:
            raise CheckpointError(f"the run {self.path.name} has no saved state to continue from") from None
        except pickle.UnpicklingError:
            raise CheckpointError(f"{about} holds more than tensors, or is damaged; it was not loaded") from None
        except OSError as error:
            raise CheckpointError(f"{about} cannot be read: {in_words(error)}") from None
        except ValueError as error:
            raise CheckpointError(f"{about} cannot be used: {first_line(error)[:160]}") from None
        return stored

    def load_state(
        self, config: TrainConfig, device: torch.device, class_names: tuple[str, ...] = (), threads: int | None = None
    ) -> TrainState:
        """A state that continues from save_state(). On another kind of device, it computes in the best way for that device.

        Args:
            config: the run's settings.
            device: where to train.
            class_names: of the data set, for a conditional run.
            threads: the most processor threads that it may use; all cores by default. It starts with as many as it had.

        Raises:
            StateLost: see read_state(), or its shapes differ. The message says what can still be used of the run.
        """
        return self.load_with(lambda stored: restored(stored, config, device, class_names, threads))

    def load_with(self, make: Callable[[dict[str, Any]], S]) -> S:
        """What `make` makes of state.pt.

        Raises:
            StateLost: see load_state().
        """
        try:
            return self._filled(self.read_state(self.state_file), make)
        except CheckpointError as error:
            raise StateLost(f"{str(error).rstrip('.')}. {self.what_is_left()}") from None

    def _filled(self, stored: dict[str, Any], make: Callable[[dict[str, Any]], S]) -> S:
        """A training state with the contents of a file.

        Raises:
            CheckpointError: it does not fit the settings.
        """
        about = f"state.pt of the run {self.path.name} cannot be resumed from"
        try:
            state = make(stored)
        except KeyError as error:
            raise CheckpointError(f"{about}: it holds no {str(error)[:60]}, so another version of this project wrote it") from None
        except RuntimeError as error:
            raise CheckpointError(
                f"{about}: its tensors have other shapes than the run's settings ask for, so the settings were edited, or another version "
                f"of this project wrote it ({first_line(error)[:120]})"
            ) from None
        except (ValueError, TypeError, AttributeError, IndexError, OverflowError) as error:
            raise CheckpointError(f"{about}: {first_line(error)}") from None
        return state

    def write_json(self, path: Path, content: Mapping[str, Any]) -> None:
        with write_atomically(path, durable=False) as file:
            # A message may contain a file name that is not valid text; half a character would make the whole document unreadable.
            file.write(json.dumps(dict(content), indent=1, ensure_ascii=False).encode(errors="replace"))

    def _read_json(self, path: Path) -> dict[str, Any]:
        try:
            content = read_json(path)
        except FileNotFoundError:
            raise CheckpointError(f"{self.path} holds no run: {path.name} is missing") from None
        except NotADirectoryError:
            raise CheckpointError(f"{self.path} is a file, and not the folder of a run") from None
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} cannot be read as JSON: {first_line(error)[:200]}") from None
        if not isinstance(content, dict):
            raise CheckpointError(f"{path} does not hold a JSON object")
        return content


class _Read:
    """A run's scorings that were already read: pages ask for them many times a second. Safe to use from any thread."""

    def __init__(self, log: JsonLines) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._inode, self._offset = 0, 0
        self._rows: list[Judgement] = []
        self._best: Best | None = None

    def rows(self) -> list[Judgement]:
        with self._lock:
            self._read_on()
            return list(self._rows)

    def best(self) -> Best | None:
        with self._lock:
            self._read_on()
            return self._best

    def _read_on(self) -> None:
        try:
            status = self._log.path.stat()
            inode, size = status.st_ino, status.st_size
        except OSError:
            inode, size = 0, 0
        if inode != self._inode or size < self._offset:  # shorter, because it was rewritten
            self._inode, self._offset, self._rows, self._best = inode, 0, [], None
        if size > self._offset:
            rows, self._offset = self._log.since(self._offset)
            for row in map(Judgement.of, rows):
                self._rows.append(row)
                self._best = follow(self._best, row)


def least_useful(steps: Sequence[int], important: Sequence[int] = ()) -> int:
    """The saved state to remove; never the newest.

    The newest state up to each important step stays as long as there are others. Among the others, the one whose neighbors are closest
    to each other goes, by the square root of their steps: early in a run, much happens in few steps.

    Args:
        steps: of the states, rising, at least two.
        important: least important first.
    """
    older = steps[:-1]
    needed = [max(before) for at in important if (before := [step for step in older if step <= at])]
    free = [i for i, step in enumerate(older) if step not in needed]
    if not free:
        return next(step for i, step in enumerate(needed) if step not in needed[i + 1 :])
    return steps[min(free, key=lambda i: math.sqrt(steps[i + 1]) - math.sqrt(steps[i - 1] if i else 0))]


def remove_abandoned(root: Path) -> None:
    """Removes half-made forks that killed processes left in a folder of runs."""
    sweep(root.glob(".*.part"))


def save_whole(content: dict[str, Any], path: Path, durable: bool = True) -> None:
    """torch.save(), whole or not at all.

    Raises:
        OSError: the disk is full, say.
    """
    with write_atomically(path, durable) as file:
        write_through(functools.partial(torch.save, content), file)


def link_or_copy(source: Path, target: Path) -> None:
    """A hard link to a file that is only ever replaced, never changed; a copy if the file system has no hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _is_change(row: dict[str, Any]) -> bool:
    """Whether a line of interventions.jsonl is valid: a live setting, and two plain values."""
    plain = all(name in row and isinstance(row[name], str | int | float) for name in ("old", "new"))
    return plain and isinstance(row.get("field"), str) and row["field"] in (THREADS, *TrainConfig.live_fields())


def _are_norms(kind: Any) -> bool:
    """Whether it has the form of layer_norms() for weights or gradients: {network: {name: norm}}."""
    return isinstance(kind, dict) and all(
        isinstance(norms, dict) and all(norm is None or is_number(norm) for norm in norms.values()) for norms in kind.values()
    )


def _steps(folder: Path, before: str, after: str) -> list[int]:
    """The steps of the files in a folder with names like ours: "000400.png". None if it is not a folder."""
    steps = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                digits = entry.name.removeprefix(before).removesuffix(after)
                if digits.isascii() and digits.isdigit() and entry.name == f"{before}{int(digits[:12]):06d}{after}" and entry.is_file():
                    steps.append(int(digits))
    except OSError:  # nothing was saved yet, or it is not a folder: RunFolder.fault() says so
        return []
    return sorted(steps)


def find_generator(path: Path, step: int | None = None) -> Path:
    """The generator file for RUN|CHECKPOINT: the .safetensors file itself, or a run's generator, the newest unless a step is given.

    "RUN@400" means the one of step 400, "RUN@best" the one with the best score.

    Raises:
        CheckpointError: there is none.
    """
    if path.is_file():
        return path
    name, at, which = path.name.rpartition("@")
    if at and not path.exists():
        path = path.with_name(name)
        if step is not None:
            raise CheckpointError(f"give one step, after @ or with --step; got {which} and {step}")
        if which == "best":
            best = RunFolder(path).best()
            if best is None:
                raise CheckpointError(f"the run {name} has no scores, so its best generator is unknown: give a step")
            step = best.step
        elif which.isascii() and which.isdigit() and len(which) < 12:
            step = int(which)
        else:
            raise CheckpointError(f'after @ give a step number or "best"; got {which[:40]!r}')
    if not path.is_dir():
        raise CheckpointError(f"there is no run or checkpoint {path}")
    steps = RunFolder(path).generator_steps()
    if not steps:
        raise CheckpointError(f"the run {path.name} has no saved generator yet")
    if step is not None and step not in steps:
        raise CheckpointError(f"the run {path.name} has no generator at step {step}; it has {', '.join(map(str, steps))}")
    return RunFolder(path).generator_file(steps[-1] if step is None else step)


def run_name(recipe: str) -> str:
    """A new run's name: recipe, date and time, and four hex digits to keep simultaneous runs apart.

    A recipe name that cannot be part of a folder's name (from someone else's config.json, say) is left out.
    """
    if not is_run_name(recipe) or len(recipe) > LONGEST_RECIPE:
        recipe = "run"
    return f"{recipe}-{time.strftime('%m%d-%H%M%S')}-{os.urandom(2).hex()}"
