"""A Ray cluster on this machine: one for the whole file, because it takes seconds to start. Two nodes, and nodes that die: benchmarks/cluster.py."""

import importlib.util
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gan.cluster import ray_cluster
from gan.cluster.ray_cluster import RayCluster, from_environment, reason_of
from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.runs.folder import RunFolder
from gan.runs.manager import RunManager
from gan.runs.record import prepare, record
from gan.runs.states import RunState
from gan.training.loop import Control
from tests.cluster.test_place import assert_equal, rows, weights
from tests.conftest import ADA, BOB
from tests.waiting import ended, wait_for

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install -r requirements-cluster.txt"
)


def descendants() -> set[int]:
    """The processes below this one. Linux only."""
    parent = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended meanwhile
    found = {os.getpid()}
    while more := {pid for pid, above in parent.items() if above in found} - found:
        found |= more
    return found - {os.getpid()}


@pytest.fixture(scope="module")
def ray() -> Iterator[RayCluster]:
    environment = dict(os.environ)
    folder, before = tempfile.mkdtemp(prefix="ray-", dir="/tmp"), descendants() if sys.platform == "linux" else set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)  # Ray's sockets are in there, and the path of a socket is short
        patch.setattr(ray_cluster, "cores", lambda: 1)
        cluster = RayCluster("local")
        begun = descendants() if sys.platform == "linux" else set()
        yield cluster
        cluster.close()
    for name in os.environ.keys() - environment.keys():  # Ray's settings, which the connection made
        del os.environ[name]
    shutil.rmtree(folder, ignore_errors=True)
    if sys.platform == "linux":
        wait_for(lambda: not (begun - before) & descendants())


@pytest.fixture
def manager(data: None, ray: RayCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunManager]:
    monkeypatch.setattr(ray, "close", lambda: None)  # the next test needs it
    manager = RunManager(cluster=ray)
    yield manager
    manager.shutdown()
    wait_for(lambda: not ray.at_work())


@needs_ray
def test_runs_take_turns_in_the_cluster_and_a_killed_worker_is_replaced(
    manager: RunManager, ray: RayCluster, config: TrainConfig, blobs: ImageDataset, folders: Path
) -> None:
    config = config.change(duration=40, log_every=1)
    first, second = manager.submit(config.change(duration=1_000_000), "", ADA), manager.submit(config, "", BOB)
    manager.set_pace(first.id, 0.05)  # leaves the cores to the other tests
    wait_for(lambda: len(first.history) > 3)
    (node,), (worker,) = ray.nodes(), ray.at_work()
    assert (manager.most_at_work, second.state, node.address, worker.run_id) == (1, RunState.QUEUED, "127.0.0.1", first.id)
    assert first.status().device.endswith(f" on {node.name}") and worker.node == node.id and ray.most_memory() > 2**28 and ray.is_here()

    manager.change(first.id, "lr_g", 0.0001)
    wait_for(lambda: first.interventions)
    os.kill(worker.pid, signal.SIGKILL)
    wait_for(lambda: first.moves)
    wait_for(lambda: first.status().step > first.moves[0].reached + 5)
    assert first.moves[0].reason == "its process ended" and ray.at_work()[0].pid != worker.pid
    manager.pause(first.id)
    wait_for(lambda: first.state is RunState.PAUSED)
    manager.stop(first.id)
    wait_for(ended(first))
    steps = [row["step"] for row in rows(first)]
    assert steps == list(range(1, first.status().step + 1)) and first.interventions[0]["new"] == 0.0001

    wait_for(ended(second))
    assert second.state is RunState.FINISHED, second.status().error
    here = RunFolder(folders / "here")
    here.path.mkdir()
    here.write_config(config, "")
    list(record(here, prepare(here, config, blobs, torch.device("cpu"), threads=1), blobs, Control()))
    assert_equal(weights(here), weights(second.folder))
    delays = ray.delays()
    assert delays and 0 < delays[0] <= delays[1]


@needs_ray
def test_equal_sets_are_held_and_sent_once(ray: RayCluster, blobs: ImageDataset) -> None:
    blobs = replace(blobs, name="held")  # an equal set of an earlier test may still be there
    again, other = replace(blobs, images=blobs.images.clone()), replace(blobs, images=255 - blobs.images)
    assert ray.known(blobs) is blobs and ray.known(again) is blobs and ray.known(other) is other
    assert ray.share(blobs)[0] == ray.share(again)[0] != ray.share(other)[0]


@needs_ray
def test_a_node_with_another_version_gets_no_runs(ray: RayCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "_faults", {})
    (node,) = ray.nodes()
    assert "scheduling_strategy" not in ray._asked("cpu")
    with pytest.raises(ValueError, match=f"no machine in the cluster can train this run. {node.name}: it has Python 3.9"):
        ray._refuse(node.id, "it has Python 3.9")
    assert ray.nodes()[0].fault == "it has Python 3.9" and ray.room() == 0
    (rule,) = ray._asked("cpu")["scheduling_strategy"].hard
    assert rule.key == "ray.io/node-id" and rule.operator.values == [node.id]


def test_without_ray_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_RAY", "auto")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match="WORKSHOP_RAY=auto needs Ray, which is not installed"):
        from_environment()
    monkeypatch.setenv("WORKSHOP_RAY_CPUS", "half")
    with pytest.raises(ValueError, match="WORKSHOP_RAY_CPUS must be a whole number of at least 1; got 'half'"):
        from_environment()
    monkeypatch.delenv("WORKSHOP_RAY")
    assert from_environment() is None


@pytest.mark.parametrize(
    "address, error, sentence",
    [
        ("auto", ConnectionError("Could not find any running Ray instance."), "there is no cluster: start one with `ray start --head`"),
        ("a:1", RuntimeError("Failed to connect to GCS at address=a:1"), "check the port, and that RAY_AUTH_MODE and the token are those"),
        (
            "a:1",
            RuntimeError("This node has an IP address of 10.0.0.9, but we cannot find a local Raylet with it"),
            "run `ray start --address=a:1 --num-cpus=0` here first",
        ),
        (
            "a:1",
            RuntimeError("Version mismatch: The cluster was started with:\n  Ray: 2.60\n  Python: 3.9\n"),
            "another version of Ray or Python",
        ),
        ("a:1", ValueError("odd\nlast line"), "ValueError: last line"),
    ],
)
def test_why_a_cluster_cannot_be_reached_is_said_in_words(address: str, error: Exception, sentence: str) -> None:
    assert sentence in ray_cluster._why(address, error)


@pytest.mark.parametrize("address", ["nonsense", "a:b", ":1", "127.0.0.1:99999", "127.0.0.1:1"])
def test_an_address_where_nothing_listens_is_refused_at_once(address: str) -> None:
    with pytest.raises(ValueError, match=r"no cluster answers there|must be local, auto or HOST:PORT"):
        ray_cluster._refuse_unreachable(address)


def test_why_a_worker_ended_is_said_in_words() -> None:
    assert reason_of(Exception("Worker exit type: SYSTEM_ERROR, maybe the OOM killer")) == "its process ended"
    assert reason_of(Exception("The actor died because its node has died.")) == "its machine left the cluster"
    assert reason_of(Exception("Worker exit type: NODE_OUT_OF_MEMORY")) == "its machine ran out of memory"
