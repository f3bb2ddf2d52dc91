"""A Ray cluster: connecting to it, its nodes, and the workers on them. The only module that imports Ray, and only when it is used.

Ray places the workers. This module knows what a run asks for, how many runs have room, and what is wrong, in words. All nodes of a cluster trust
each other: anyone who can reach one of them as a node can run code on all.
"""

import json
import logging
import os
import secrets
import signal
import socket
import statistics
import threading
import time
import weakref
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import gan
from gan.cluster.place import OnWorker
from gan.cluster.version import difference, version
from gan.cluster.worker import Worker
from gan.data.datasets import ImageDataset
from gan.devices import cores
from gan.events import Progress
from gan.lru import Lru
from gan.runs.cluster import AtWork, Node
from gan.runs.workplace import WorkerLost

log = logging.getLogger(__name__)

LOOK_S = 1.0  # between two looks at the nodes
WAIT_S = 0.2
START_S = 20.0  # a worker that takes longer waits for someone else's work on the cluster
BACKLOG = 4  # parcels of a worker that may wait for the server
DELAYS = 2000  # of the newest letters
SETS_SHARE = 0.5  # of this node's object store, for data sets
REACH_S = 5.0  # for a cluster's head to accept a connection
LOCAL, AUTO = "local", "auto"


def from_environment(max_runs: int = 1) -> "RayCluster | None":
    """The cluster that WORKSHOP_RAY names, connected; None if it names none.

    max_runs: runs at once on each GPU.

    Raises:
        ValueError: a variable is invalid, Ray is not installed, or the cluster cannot be reached.
    """
    address = os.environ.get("WORKSHOP_RAY")
    if not address:
        return None
    text = os.environ.get("WORKSHOP_RAY_CPUS") or "1"
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise ValueError(f"WORKSHOP_RAY_CPUS must be a whole number of at least 1; got {text!r}")
    return RayCluster(address, cpus=int(text), max_runs=max_runs, on_cpu=os.environ.get("WORKSHOP_DEVICE") == "cpu")


class RayCluster:
    """A cluster that this process is connected to. Safe to use from any thread.

    Args:
        address: "local" starts a cluster on this machine that ends with this process; "auto" is the one that this machine is a node of;
            "HOST:PORT" is the one with this head.
        cpus: processor cores and threads of each run.
        max_runs: runs at once on each GPU.
        on_cpu: trains on processors even where there are GPUs.

    Raises:
        ValueError: see from_environment().
    """

    def __init__(self, address: str, cpus: int = 1, max_runs: int = 1, on_cpu: bool = False) -> None:
        self._ray = _connected(address)
        self.address, self.cpus, self.max_runs, self._on_cpu = address, cpus, max_runs, on_cpu
        self._actor = self._ray.remote(concurrency_groups={"steering": 1})(_with_steering(self._ray))
        self._faults: dict[str, str] = {}  # by node
        self._at_work: dict[str, AtWork] = {}  # by run
        self._delays: deque[float] = deque(maxlen=DELAYS)
        self._looked: tuple[float, list[Node]] = (-1e9, [])
        self._lock = threading.Lock()
        self._own_node = self._ray.get_runtime_context().get_node_id()
        own = [node["Resources"] for node in self._ray.nodes() if node["NodeID"] == self._own_node]
        store = sum(resources.get("object_store_memory", 0) for resources in own)
        self._sets: Lru[tuple[str, str], tuple[Any, Any, int]] = Lru(most_bytes=int(SETS_SHARE * store), size=lambda held: held[2])
        # Sets that runs hold: small ones are read into memory by each run, and a copy for each of forty runs would take gigabytes.
        self._known: weakref.WeakValueDictionary[tuple[str, str, str], ImageDataset] = weakref.WeakValueDictionary()
        self._closed = False

    # For the manager and the page.

    def nodes(self) -> list[Node]:
        """The machines that are there now; at most LOOK_S old."""
        with self._lock:
            looked_s, nodes = self._looked
            if time.monotonic() - looked_s < LOOK_S:
                return nodes
        nodes = [self._node(told) for told in self._ray.nodes() if told["Alive"]] if not self._closed else []
        with self._lock:
            self._looked = time.monotonic(), nodes
        return nodes

    def _node(self, told: dict[str, Any]) -> Node:
        offers = told["Resources"]
        named = told["NodeManagerHostname"], told["NodeManagerAddress"]
        amounts = offers.get("CPU", 0.0), offers.get("GPU", 0.0), offers.get("memory", 0.0)
        return Node(told["NodeID"], *named, *amounts, self._faults.get(told["NodeID"], ""))

    @property
    def kind(self) -> str:
        """What runs train on: "cuda" if any node offers a GPU, else "cpu"."""
        return "cuda" if not self._on_cpu and any(node.gpus for node in self.nodes()) else "cpu"

    def room(self) -> int:
        """How many runs can train at once, if no one else uses the cluster."""
        usable = [node for node in self.nodes() if not node.fault]
        if self.kind == "cuda":
            return sum(int(node.gpus) * self.max_runs for node in usable)
        return sum(int(node.cpus // self.cpus) for node in usable)

    def is_here(self) -> bool:
        """Whether this machine offers cores to runs."""
        return any(node.id == self._own_node and node.cpus >= self.cpus for node in self.nodes())

    def most_memory(self) -> float:
        """Bytes of memory of the node that offers the most; infinite for GPUs, whose memory Ray does not know."""
        return float("inf") if self.kind == "cuda" else max((node.memory for node in self.nodes()), default=0.0)

    def at_work(self) -> list[AtWork]:
        """The workers."""
        with self._lock:
            return list(self._at_work.values())

    def delays(self) -> tuple[float, float] | None:
        """How long news of runs takes to this process, in seconds: median and 95th percentile. None if there is none.

        The difference between the machines' clocks is part of it.
        """
        with self._lock:
            taken = list(self._delays)
        if len(taken) < 2:
            return None
        return statistics.median(taken), statistics.quantiles(taken, n=20)[-1]

    def workplace(self, run_id: str) -> OnWorker:
        """Where a run will train."""
        return OnWorker(self, run_id)

    def close(self) -> None:
        """Ends all workers and leaves the cluster; a cluster that this process started ends too."""
        if not self._closed:
            self._closed = True
            self._sets.clear()
            with _handlers_kept():
                self._ray.shutdown()

    # For workplaces; see Workers in place.py.

    def known(self, dataset: ImageDataset) -> ImageDataset:
        key = dataset.name, *_key(dataset)
        with self._lock:
            return self._known.setdefault(key, dataset)

    def share(self, dataset: ImageDataset) -> tuple[Any, Any]:
        images, labels, _ = self._sets.load(_key(dataset), lambda: self._put(dataset))
        return images, labels

    def _put(self, dataset: ImageDataset) -> tuple[Any, Any, int]:
        labels = self._ray.put(dataset.labels.numpy()) if dataset.labels is not None else None
        return self._ray.put(dataset.images.numpy()), labels, dataset.images.numel()

    def hire(self, run_id: str) -> Generator[Progress, None, "RayRemote"]:
        while True:
            kind = self.kind
            handle = self._actor.options(**self._asked(kind)).remote(kind, self.cpus)
            remote = RayRemote(self._ray, handle, kind)
            try:
                greeting = handle.hello.remote()
                began = time.monotonic()
                while not self._ray.wait([greeting], timeout=WAIT_S)[0]:
                    starting = len(self.at_work()) < self.room() and time.monotonic() - began < START_S
                    yield Progress("Starting a worker in the cluster" if starting else "Waiting for a free slot in the cluster", 0, 0)
                fault = self._meet(remote, greeting)
            except BaseException:
                remote.end()
                raise
            if not fault:
                remote.on_end = lambda: self._forget(run_id)
                with self._lock:
                    self._at_work[run_id] = AtWork(run_id, remote.node, remote.pid, remote.device)
                return remote
            remote.end()
            self._refuse(remote.node, fault)

    def _asked(self, kind: str) -> dict[str, Any]:
        """What Ray is asked for: the resources of one run, on a node without a fault."""
        asked: dict[str, Any] = {"num_cpus": self.cpus, "num_gpus": 1 / self.max_runs if kind == "cuda" else 0}
        asked |= {"max_restarts": 0, "max_task_retries": 0}
        there = {node.id for node in self.nodes()}
        if faulty := [node for node in self._faults if node in there]:
            from ray.util.scheduling_strategies import NodeLabelSchedulingStrategy, NotIn

            asked["scheduling_strategy"] = NodeLabelSchedulingStrategy(hard={"ray.io/node-id": NotIn(*faulty)})
        return asked

    def _meet(self, remote: "RayRemote", greeting: Any) -> str:
        """Reads who a new worker is. Returns why it cannot be used, as a sentence about its node; empty if it can."""
        from ray import exceptions

        try:
            node, hello = json.loads(self._ray.get(greeting))
        except exceptions.RayTaskError as error:
            raise ValueError(f"a worker could not start: {_first_line(error)}") from None
        except exceptions.RayActorError as error:
            if "ModuleNotFoundError" in str(error) or "failed to import" in str(error):
                text = "a machine in the cluster does not have this project: run `pip install .` in its folder on every machine"
                raise ValueError(text) from None
            raise WorkerLost("a machine", reason_of(error)) from None
        except exceptions.RayError as error:
            raise WorkerLost("a machine", reason_of(error)) from None
        remote.node, remote.pid, remote.device = node, hello["pid"], hello["device"]
        remote.place = hello["machine"]
        return difference(version(), hello["version"])

    def _refuse(self, node: str, fault: str) -> None:
        """From now on, no run goes to this node.

        Raises:
            ValueError: no other node is left.
        """
        self._faults[node] = fault
        with self._lock:
            self._looked = (-1e9, [])
        there = self.nodes()
        name = next((other.name for other in there if other.id == node), "a machine")
        log.warning("no run can train on %s: %s", name, fault)
        if all(other.fault for other in there):
            raise ValueError(f"no machine in the cluster can train this run. {name}: {fault}")

    def note(self, run_id: str, step: int, memory: int, delay_s: float) -> None:
        with self._lock:
            self._delays.append(delay_s)
            if known := self._at_work.get(run_id):
                self._at_work[run_id] = replace(known, step=step, memory=memory)

    def _forget(self, run_id: str) -> None:
        with self._lock:
            self._at_work.pop(run_id, None)


def _key(dataset: ImageDataset) -> tuple[str, str]:
    """Equal for equal images and classes."""
    return dataset.fingerprint(), dataset.labels_fingerprint()


class RayRemote:
    """A Remote (place.py): an actor."""

    def __init__(self, ray: Any, handle: Any, kind: str) -> None:
        self._ray, self._handle, self.kind = ray, handle, kind
        self.place = self.device = self.node = ""
        self.pid = 0
        self.on_end = lambda: None

    def ask(self, method: str, *arguments: Any) -> bytes:
        with self._lost():
            answered: bytes = self._ray.get(getattr(self._handle, method).remote(*arguments))
        return answered

    def tell(self, method: str, *arguments: Any) -> None:
        getattr(self._handle, method).remote(*arguments)

    def stream(self, order: int, once: str) -> "RayStream":
        return RayStream(self, self._handle.train.options(_generator_backpressure_num_objects=BACKLOG).remote(order, once))

    def end(self) -> None:
        try:
            self._ray.kill(self._handle)
        except Exception as error:  # it, or the connection, has ended already; Ray raises errors of many kinds here
            log.debug("the worker on %s could not be ended: %s", self.place, error)
        self.on_end()

    @contextmanager
    def _lost(self) -> Iterator[None]:
        """Ray's errors as WorkerLost. Worker itself reports errors in its answers, so whatever Ray raises is about the process."""
        from ray import exceptions

        try:
            yield
        except exceptions.RayError as error:
            log.warning("the worker on %s is lost: %s", self.place, error)
            raise WorkerLost(self.place, reason_of(error)) from None


class RayStream:
    """A Stream (place.py)."""

    def __init__(self, remote: RayRemote, parcels: Any) -> None:
        self._remote, self._parcels = remote, parcels

    def next(self, timeout_s: float) -> bytes | None:
        ray = self._remote._ray
        with self._remote._lost():
            if not ray.wait([self._parcels], timeout=timeout_s)[0]:
                return None
            newest = next(self._parcels, None)
            if newest is None:  # training ends with a letter that says so
                raise WorkerLost(self._remote.place, "it stopped sending")
            parcel: bytes = ray.get(newest)
        return parcel


def _with_steering(ray: Any) -> type[Worker]:
    """Worker as an actor: steer() runs next to train(), and hello() tells the node."""

    class Actor(Worker):
        def hello(self) -> Any:
            return json.dumps([ray.get_runtime_context().get_node_id(), super().hello()]).encode()

        @ray.method(concurrency_group="steering")  # type: ignore[untyped-decorator]
        def steer(self, *arguments: Any) -> None:
            super().steer(*arguments)

        @ray.method(num_returns="streaming")  # type: ignore[untyped-decorator]
        def train(self, *arguments: Any) -> Iterator[bytes]:
            yield from super().train(*arguments)

    return Actor


def _connected(address: str) -> Any:
    """Ray, connected.

    Raises:
        ValueError: it is not installed, or there is no such cluster.
    """
    for name, value in {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1"}.items():
        os.environ.setdefault(name, value)
    if address == LOCAL:  # only this process and its workers know the token, and no file holds it
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # on Linux, Ray would take the machine's own address instead of 127.0.0.1
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
        from ray.job_config import JobConfig
    except ImportError:
        raise ValueError(
            f"WORKSHOP_RAY={address} needs Ray, which is not installed: pip install -r requirements-cluster.txt, or unset WORKSHOP_RAY"
        ) from None
    if address not in (LOCAL, AUTO):
        _refuse_unreachable(address)
    job = JobConfig(code_search_path=[str(Path(gan.__file__).resolve().parent.parent)])
    options: dict[str, Any] = {"job_config": job, "configure_logging": False, "log_to_driver": False}
    if address == LOCAL:
        options |= {"num_cpus": cores(), "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    try:
        with _handlers_kept():
            ray.init(address=address, **options)
    except Exception as error:  # Ray raises errors of many kinds here
        log.debug("no connection to %s", address, exc_info=True)
        raise ValueError(f"WORKSHOP_RAY={address}: {_why(address, error)}") from None
    return ray


def _refuse_unreachable(address: str) -> None:
    """Ray itself would wait for a cluster that is not there for many minutes.

    Raises:
        ValueError: nobody listens at this address, or it is none.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"WORKSHOP_RAY must be {LOCAL}, {AUTO} or HOST:PORT; got {address!r}")
    try:
        socket.create_connection((host, int(port)), timeout=REACH_S).close()
    except (OSError, OverflowError) as error:
        raise ValueError(f"WORKSHOP_RAY={address}: no cluster answers there ({error}): start one, or check host and port") from None


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Ray replaces the handler of SIGTERM, with which the server saves its runs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _why(address: str, error: Exception) -> str:
    """Why a cluster cannot be reached, and what to do, as a sentence."""
    text = str(error)
    if "Version mismatch" in text:
        lines = [line.strip() for line in text.splitlines() if "Python:" in line or "Ray:" in line]
        return f"the cluster has another version of Ray or Python ({'; '.join(lines)[:160]}): use the same ones on every node"
    if "cannot find a local Raylet" in text or "connect to socket" in text:
        return f"this machine is not a node of that cluster: run `ray start --address={address} --num-cpus=0` here first"
    if isinstance(error, ConnectionError) or "connect" in text.lower() or "uthentication" in text:
        if address == AUTO and "Could not find" in text:
            return "there is no cluster: start one with `ray start --head`"
        return "it does not answer as a Ray cluster: check the port, and that RAY_AUTH_MODE and the token are those of its head"
    return f"{type(error).__name__}: {_first_line(error)}"


def reason_of(error: BaseException) -> str:
    """Why a worker ended, without a period."""
    name, text = type(error).__name__, str(error)
    if name == "OutOfMemoryError" or "NODE_OUT_OF_MEMORY" in text:  # Ray ends a worker before its machine has none left
        return "its machine ran out of memory"
    if name == "ActorUnavailableError":
        return "it can no longer be reached"
    if name == "NodeDiedError" or "its node has died" in text:
        return "its machine left the cluster"
    return "its process ended"


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)[:200]
