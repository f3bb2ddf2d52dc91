"""A cluster without Ray: workers in threads of this process. Ray's own part is in test_ray.py."""

import contextlib
import queue
import threading
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np

from gan.cluster.place import OnWorker
from gan.cluster.worker import Worker
from gan.data.datasets import ImageDataset
from gan.events import Progress
from gan.runs.cluster import AtWork, Node
from gan.runs.workplace import WorkerLost


class ThreadRemote:
    """A Remote (gan/cluster/place.py) in this process."""

    kind = "cpu"
    device = "CPU"

    def __init__(self, place: str) -> None:
        self.place = place
        self.worker = Worker("cpu", 1)
        self.lost = threading.Event()
        self.ended = threading.Event()

    def ask(self, method: str, *arguments: Any) -> bytes:
        if self.lost.is_set():
            raise WorkerLost(self.place, "its process ended")
        answered: bytes = getattr(self.worker, method)(*arguments)
        return answered

    def tell(self, method: str, *arguments: Any) -> None:
        getattr(self.worker, method)(*arguments)

    def stream(self, order: int, once: str) -> "ThreadStream":
        return ThreadStream(self, self.worker.train(order, once))

    def end(self) -> None:
        self.ended.set()
        self.worker._control.halt()

    def die(self) -> None:
        """As if its process were killed: nothing that was not fetched yet arrives."""
        self.lost.set()
        self.worker._control.halt()


class ThreadStream:
    def __init__(self, remote: ThreadRemote, parcels: Iterator[bytes]) -> None:
        self._remote = remote
        self._queue: queue.Queue[bytes] = queue.Queue(4)
        self._thread = threading.Thread(target=self._pump, args=(parcels,), daemon=True)
        self._thread.start()

    def _pump(self, parcels: Iterator[bytes]) -> None:
        for parcel in parcels:
            while not self._remote.ended.is_set():
                try:
                    self._queue.put(parcel, timeout=0.05)
                    break
                except queue.Full:
                    continue

    def next(self, timeout_s: float) -> bytes | None:
        parcel: bytes | None = None
        if not self._remote.lost.is_set():
            with contextlib.suppress(queue.Empty):
                parcel = self._queue.get(timeout=min(timeout_s, 0.02))
        # Asked afterward: the thread of a worker that dies in between still says that it was halted, which a killed process does not.
        if self._remote.lost.is_set():
            raise WorkerLost(self._remote.place, "its process ended")
        return parcel


class ThreadCluster:
    """A Cluster (gan/runs/workplace.py) and its Workers (gan/cluster/place.py)."""

    def __init__(self, places: int = 1) -> None:
        self.places = places
        self.hired: list[tuple[str, ThreadRemote]] = []
        self.shared: list[str] = []
        self.here = True
        self.waiting = threading.Event()  # while it is set, nobody is hired

    def room(self) -> int:
        return self.places

    def is_here(self) -> bool:
        return self.here

    def most_memory(self) -> float:
        return float("inf")

    def workplace(self, run_id: str) -> OnWorker:
        return OnWorker(self, run_id)

    def nodes(self) -> list[Node]:
        return [Node("1", "node-1", "10.0.0.1", 4, 1, 2**34), Node("2", "node-2", "10.0.0.2", 4, 0, 2**33, "it has Python 3.9")]

    def at_work(self) -> list[AtWork]:
        return [AtWork(run_id, "1", 4711, "CPU", 12, 2**30) for run_id, remote in self.hired if not remote.ended.is_set()]

    def delays(self) -> tuple[float, float] | None:
        return (0.004, 0.064) if self.hired else None

    def close(self) -> None:
        for _, remote in self.hired:
            remote.end()

    def known(self, dataset: ImageDataset) -> ImageDataset:
        return dataset

    def share(self, dataset: ImageDataset) -> tuple[np.ndarray, np.ndarray | None]:
        self.shared.append(dataset.name)
        return dataset.images.numpy(), dataset.labels.numpy() if dataset.labels is not None else None

    def hire(self, run_id: str) -> Generator[Progress, None, ThreadRemote]:
        while self.waiting.is_set():
            yield Progress("Waiting for a free slot in the cluster", 0, 0)
        remote = ThreadRemote(f"node-{len(self.hired) + 1}")
        self.hired.append((run_id, remote))
        return remote

    def note(self, run_id: str, step: int, memory: int, delay_s: float) -> None:
        assert delay_s >= 0
