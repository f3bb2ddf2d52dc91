"""A workplace on a worker elsewhere: what a run's thread on the server does while the worker trains. Knows nothing about Ray.

The worker trains ahead, up to a bounded number of letters (its news of the run; see letters.py). The server writes the run's folder from
them, one letter after another.
"""

import json
import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import asdict
from typing import Any, Protocol

import torch

from gan.cluster.letters import Letter, packed, unpack_letters
from gan.cluster.mirror import CPU, Mirror
from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.events import Event, Progress
from gan.runs.folder import RunFolder
from gan.training.loop import Control
from gan.training.state import Diverged, Execution, TrainState, new_state

POLL_S = 0.2  # between two looks at what the run was asked to do; a message to the worker takes a few milliseconds more


class WorkerFailed(ValueError):
    """An error on a worker that is not the run's own: a fault in the program, say."""


class Stream(Protocol):
    """Parcels from a worker that trains."""

    def next(self, timeout_s: float) -> bytes | None:
        """The next parcel; None if none comes within the time.

        Raises:
            WorkerLost: the worker has ended.
        """


class Remote(Protocol):
    """One worker, as seen from the server.

    Attributes:
        place: where it is, in words.
        kind: "cpu" or "cuda".
        device: the device that computes, in words.
    """

    place: str
    kind: str
    device: str

    def ask(self, method: str, *arguments: Any) -> bytes:
        """What a method of Worker answers.

        Raises:
            WorkerLost: the worker has ended.
        """

    def tell(self, method: str, *arguments: Any) -> None:
        """Calls a method of Worker, without waiting for it."""

    def stream(self, order: int, once: str) -> Stream:
        """Worker.train()."""

    def end(self) -> None:
        """Ends the worker."""


class Workers(Protocol):
    """Where workers come from."""

    def hire(self, run_id: str) -> Generator[Progress, None, Remote]:
        """A worker for a run; yields Progress until there is a free slot.

        Raises:
            WorkerLost, ValueError: there is none.
        """

    def known(self, dataset: ImageDataset) -> ImageDataset:
        """The first of all equal sets that runs still hold."""

    def share(self, dataset: ImageDataset) -> tuple[Any, Any]:
        """The images and labels of a set as arguments for Worker.begin(); each set is sent once."""

    def note(self, run_id: str, step: int, memory: int, delay_s: float) -> None:
        """News of a run: its step, its worker's memory in bytes, and how long the news took."""


class OnWorker:
    """A Workplace (gan/runs/workplace.py): one run on one worker at a time."""

    def __init__(self, workers: Workers, run_id: str) -> None:
        self._workers, self._run_id = workers, run_id
        self._remote: Remote | None = None
        self._images: tuple[Any, Any] = (None, None)
        self._begun: TrainState | None = None  # the state that the worker has taken over
        self._stream: Stream | None = None  # while an order is being carried out
        self._inbox: deque[Letter] = deque()
        self._order = self._messages = 0
        self._sent: dict[str, tuple[int, Any]] = {}  # changes on their way: by setting, the message's number and the value
        self._told: tuple[int, float] = (0, 0.0)  # the halted order and the pace that the worker knows
        self._norms: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        return self._remote.place if self._remote else ""

    def enter(self) -> None:
        torch.set_num_threads(1)  # this thread only writes files and scores images

    def shared(self, dataset: ImageDataset) -> ImageDataset:
        return self._workers.known(dataset)

    def get_ready(self, config: TrainConfig, dataset: ImageDataset) -> Iterator[Progress]:
        self.close()
        if config.translates:
            raise ValueError(
                f"runs with networks {config.networks} cannot train in a cluster: its workers get single images, not pairs or classes"
            )
        yield Progress("Sending the images to the cluster", 0, 0)
        self._images = self._workers.share(dataset)
        self._remote = yield from self._workers.hire(self._run_id)
        yield Progress("Measuring the fastest way to compute, for a few seconds", 0, 0)

    def new(self, config: TrainConfig, class_names: tuple[str, ...]) -> TrainState:
        execution = Execution(**self._ask("measure", config.model_dump()))
        return self._mirror(config, class_names, execution)

    def load(self, folder: RunFolder, config: TrainConfig, class_names: tuple[str, ...]) -> TrainState:
        def make(stored: dict[str, Any]) -> Mirror:
            execution = Execution(stored["precision"], stored["channels_last"], stored["threads"])
            mirror = self._mirror(config, class_names, execution)
            mirror.resume(stored)
            return mirror

        return folder.load_with(make)

    def _mirror(self, config: TrainConfig, class_names: tuple[str, ...], execution: Execution) -> Mirror:
        assert self._remote is not None
        state = new_state(config, CPU, class_names=class_names, execution=execution, threads=execution.threads)
        return Mirror.of(state, (f"{self._remote.device} on {self._remote.place}", self._remote.kind))

    def train(self, state: TrainState, dataset: ImageDataset, control: Control) -> Iterator[Event]:
        """See Workplace. If its consumer leaves early, the order stays, and the next call continues with the letters that are left."""
        assert isinstance(state, Mirror) and self._remote is not None
        if self._begun is not state:
            self._begin(state, dataset, control)
        if self._stream is None:
            self._order += 1
            self._stream = self._remote.stream(self._order, control.take_once())
        for letter in self._letters(control):
            state.follow(letter)
            self._norms = letter.norms
            self._settle(letter, control)
            self._workers.note(self._run_id, state.step, state.memory, time.time() - letter.sent)
            if letter.end:
                self._stream = None
                if letter.error:
                    raise error_of(letter.error)
                return
            if letter.event is not None:
                yield letter.event

    def norms(self, state: TrainState) -> dict[str, Any] | None:
        return self._norms

    def close(self) -> None:
        if self._remote is not None:
            self._remote.end()
        self._remote = self._begun = self._stream = None
        self._images = (None, None)
        self._inbox.clear()
        self._sent.clear()
        self._told, self._norms = (0, 0.0), None

    def _begin(self, state: TrainState, dataset: ImageDataset, control: Control) -> None:
        script, until = control.take_script()
        order = {
            "config": state.config.model_dump(),
            "class_names": state.class_names,
            "script": [asdict(change) for change in script],
            "until": until,
            "data": dataset.name,
        }
        self._ask("begin", json.dumps(order).encode(), packed(state.state_dict()), *self._images)
        self._begun = state

    def _ask(self, method: str, *arguments: Any) -> Any:
        """
        Raises:
            WorkerLost: the worker has ended.
            Diverged, ValueError, MemoryError: what went wrong there.
        """
        assert self._remote is not None
        answered = json.loads(self._remote.ask(method, *arguments))
        if "error" in answered:
            raise error_of(answered["error"])
        return answered["result"]

    def _letters(self, control: Control) -> Iterator[Letter]:
        """Letters as they come; meanwhile the worker hears what the control was asked."""
        while True:
            self._steer(control)
            if not self._inbox:
                assert self._stream is not None
                if (parcel := self._stream.next(POLL_S)) is None:
                    continue
                self._inbox.extend(unpack_letters(parcel))
            yield self._inbox.popleft()

    def _steer(self, control: Control) -> None:
        """Sends what is new in the control."""
        assert self._remote is not None
        now = (self._order if control.halted else self._told[0], control.pace_s)
        wishes = control.wishes
        changes = {name: value for name, value in wishes.items() if name not in self._sent or self._sent[name][1] != value}
        if now == self._told and not changes:
            return
        self._messages += 1
        self._remote.tell("steer", self._messages, *now, changes)
        self._told = now
        self._sent |= {name: (self._messages, value) for name, value in changes.items()}

    def _settle(self, letter: Letter, control: Control) -> None:
        """Changes that the worker has made are no longer pending."""
        for name, (message, value) in list(self._sent.items()):
            if letter.heard >= message and name not in letter.waiting:
                del self._sent[name]
                control.settle(name, value)


def error_of(told: tuple[str, ...] | list[str]) -> Exception:
    """The error that a worker reported: kind, message, trace."""
    kind, message, trace = told
    if kind == "Diverged":
        return Diverged(message)
    if kind in ("OutOfMemoryError", "MemoryError") or "can't allocate memory" in message:
        return MemoryError(message)
    error = ValueError(message) if kind == "ValueError" else WorkerFailed(f"{kind}: {message}")
    error.add_note(f"On the worker:\n{trace}")
    return error
