"""A worker: trains one run for a server elsewhere. Knows nothing about folders, queues or Ray; gan/cluster/ray_cluster.py makes an actor of it.

Its methods take and return bytes and plain values. What the server asks while it trains comes through `steer`, from another thread.
"""

import json
import os
import platform
import queue
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from gan.cluster.letters import Letter, pack_letters, packed, unpacked
from gan.cluster.version import version
from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.devices import describe_device
from gan.events import Event, Intervention, Metrics, Snapshot
from gan.runs.record import BURST_S, FIRST_KEPT, NORMS_EVERY_S
from gan.training.execution import choose_execution, restored
from gan.training.loop import Control, layer_norms, train
from gan.training.state import TrainState

GATHER_S = 0.05  # letters that come within this time go out together
MOST_LETTERS = 64  # that wait to be sent; then training waits
# Whole states, the bound of what a lost worker can cost. Large ones go out less often, so a run sends at most about RATE bytes a second.
STATE_LEAST_S, STATE_MOST_S = 3.0, 30.0
RATE = 4 * 2**20


class Worker:
    """One run on this node. `train` works in one thread at a time; `steer` may come from another.

    Args:
        kind: "cpu", or "cuda" for the first GPU that this process sees.
        threads: the most processor threads.
    """

    def __init__(self, kind: str, threads: int) -> None:
        self._device, self._threads = torch.device(kind, 0) if kind == "cuda" else torch.device(kind), threads
        self._state: TrainState | None = None
        self._dataset: ImageDataset | None = None
        self._control = Control()
        self._heard = 0
        self._order = self._halted_order = 0
        self._lock = threading.Lock()  # guards the two: a halt may arrive before the order that it is for
        self._shipped = -1e9  # when a whole state last went out, by this process's clock
        self._pause_s = STATE_LEAST_S  # until the next one

    def hello(self) -> dict[str, Any]:
        """Who this is: versions, process id, machine, device."""
        return {"version": version(), "pid": os.getpid(), "machine": platform.node(), "device": describe_device(self._device)}

    def measure(self, config: dict[str, Any]) -> bytes:
        """The best way to compute here, as JSON: precision, channels_last, threads; see answer()."""
        return answer(lambda: asdict(choose_execution(TrainConfig(**config), self._device, self._threads)))

    def begin(self, order: bytes, weights: bytes, images: np.ndarray, labels: np.ndarray | None) -> bytes:
        """Takes a run over; see answer().

        Args:
            order: JSON with config, class_names, script (changes to repeat), until, and data (name of the set).
            weights: the state to continue from (packed()).
            images: uint8 (N, C, H, W), may be read-only.
            labels: int64 (N,), or None.
        """
        return answer(lambda: self._begin(json.loads(order), weights, images, labels))

    def _begin(self, order: dict[str, Any], weights: bytes, images: np.ndarray, labels: np.ndarray | None) -> None:
        torch.set_num_threads(self._threads)
        if self._device.type == "cuda":
            torch.cuda.set_device(self._device)
        config, class_names = TrainConfig(**order["config"]), tuple(order["class_names"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of read-only memory; nothing writes to a data set
            tensors = torch.from_numpy(images), torch.from_numpy(labels) if labels is not None else None
        self._dataset = ImageDataset(order["data"], *tensors, class_names)
        self._state = restored(unpacked(weights), config, self._device, class_names, self._threads)
        self._control.repeat([Intervention(**change) for change in order["script"]], order["until"])

    def steer(self, number: int, halted_order: int, pace_s: float, changes: dict[str, Any]) -> None:
        """What the server's control says.

        Args:
            number: of this message, which rises; the letters say which one was heard last.
            halted_order: the order that is to end; 0 for none.
            pace_s: minimum seconds per step.
            changes: live settings to change before the next step.
        """
        self._control.pace_s = pace_s
        for name, value in changes.items():
            self._control.change(name, value)
        self._heard = number
        with self._lock:
            self._halted_order = max(self._halted_order, halted_order)
            if self._halted_order >= self._order:
                self._control.halt()

    def train(self, order: int, once: str = "") -> Iterator[bytes]:
        """Trains until the duration is reached or the server halts it -> parcels of letters (pack_letters()). Call begin() first.

        Args:
            order: the number of this order, from 1 on.
            once: train a single step of this network; empty for as long as the run lasts.
        """
        with self._lock:
            self._order = order
            self._control.clear()
            if self._halted_order >= order:
                self._control.halt()
        if once:
            self._control.step_once(once)  # type: ignore[arg-type]
        letters: queue.Queue[Letter] = queue.Queue(MOST_LETTERS)
        # In a thread of its own, so that a step never waits for the network unless MOST_LETTERS wait.
        thread = threading.Thread(target=self._train, args=(letters.put,), name="training", daemon=True)
        thread.start()
        sent = -1e9
        while True:
            parcel = [letters.get()]
            time.sleep(max(0.0, sent + GATHER_S - time.monotonic()))
            while not letters.empty():
                parcel.append(letters.get_nowait())
            sent = time.monotonic()
            yield pack_letters(parcel)
            if parcel[-1].end:
                break
        thread.join()

    def _train(self, post: Callable[[Letter], None]) -> None:
        """Never raises: the last letter says what was wrong."""
        state, dataset = self._state, self._dataset
        assert state is not None and dataset is not None
        try:
            torch.set_num_threads(state.execution.threads)
            if self._device.type == "cuda":
                torch.cuda.set_device(self._device)
            measured = changed = -1e9
            for event in train(state, dataset, self._control):
                now, norms = time.monotonic(), None
                if isinstance(event, Metrics) and now - measured > NORMS_EVERY_S:
                    norms, measured = layer_norms(state), now
                burst = now - changed < BURST_S
                if isinstance(event, Intervention):
                    changed = now
                weights = self._whole(state) if self._is_due(event, state, burst) else b""
                generator = packed(state.averaged.state_dict()) if isinstance(event, Snapshot) and not weights else b""
                post(self._letter(state, event, weights=weights, generator=generator, norms=norms))
            state.check_finite()
            post(self._letter(state, None, weights=self._whole(state) if state.step else b"", end=True))
        except Exception as error:
            post(self._letter(state, None, end=True, error=(type(error).__name__, str(error), traceback.format_exc())))

    def _is_due(self, event: Event, state: TrainState, burst: bool) -> bool:
        """Whether the whole state goes along with an event: as often as RATE allows, and when the server keeps it for forks."""
        if not state.step:
            return False
        milestone = isinstance(event, Snapshot) and state.step.bit_count() == 1 and state.step >= FIRST_KEPT
        first_change = isinstance(event, Intervention) and not burst
        return milestone or first_change or time.monotonic() - self._shipped > self._pause_s

    def _whole(self, state: TrainState) -> bytes:
        state.check_finite()
        content = packed(state.state_dict())
        self._shipped = time.monotonic()
        self._pause_s = min(STATE_MOST_S, max(STATE_LEAST_S, len(content) / RATE))
        return content

    def _letter(self, state: TrainState, event: Event | None, **more: Any) -> Letter:
        at = {
            "step": state.step,
            "images_seen": state.images_seen,
            "elapsed_s": state.elapsed_s,
            "changes": state.changes,
            "execution": asdict(state.execution),
            "launch": state.launch,
            "noise": float(state.noise),
            "memory": own_memory(),
            "settings": {name: getattr(state.config, name) for name in TrainConfig.live_fields()},
        }
        heard, waiting = self._heard, tuple(self._control.wishes)
        return Letter(at, event, heard=heard, waiting=waiting, sent=time.time(), **more)


def own_memory() -> int:
    """Bytes of memory that this process has for itself; 0 if the system does not say.

    Without what it shares with others: libraries, and the object store with its data sets.
    """
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            resident, shared = map(int, file.read().split()[1:3])
            return (resident - shared) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def answer(work: Callable[[], Any]) -> bytes:
    """The result of some work as JSON, {"result": ...}; of an error its kind, message and trace, {"error": [...]}."""
    try:
        told: dict[str, Any] = {"result": work()}
    except Exception as error:
        told = {"error": [type(error).__name__, str(error), traceback.format_exc()]}
    return json.dumps(told).encode()
