"""Runs in a Ray cluster of two nodes with one core each, on this machine: turns, equal bits, knobs, and nodes that are killed.

python -m benchmarks.cluster: about eight minutes. Everything listens on 127.0.0.1.
"""

import argparse
import os
import random
import secrets
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from gan.cluster.letters import unpack_letters
from gan.cluster.ray_cluster import RayCluster, RayStream
from gan.cluster.worker import own_memory
from gan.config import TrainConfig
from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.events import Samples
from gan.owners import Visitor
from gan.recipes import recipe
from gan.runs.folder import RunFolder
from gan.runs.manager import RunManager
from gan.runs.record import prepare, record
from gan.runs.run import Run
from gan.runs.states import AT_WORK, RunState
from gan.training.loop import Control

ADA, BOB = Visitor("Ada", "a" * 16), Visitor("Bob", "b" * 16)
NOT_COMPARED = ("elapsed_s", "images_per_s")
PATIENCE_S = 120.0


class Nodes:
    """A head without cores for runs, and nodes of one core each that can be killed."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "node_ip_address": "127.0.0.1", "include_dashboard": False}
        )
        self.nodes = [self.add(), self.add()]

    def add(self) -> Any:
        return self.cluster.add_node(num_cpus=1, node_ip_address="127.0.0.1")

    def kill(self, node_id: str) -> int:
        """Kills a node by the id of its process; another one takes its place in replace()."""
        (node,) = [node for node in self.nodes if node.node_id == node_id]
        pid = int(node.all_processes["raylet"][0].process.pid)
        os.kill(pid, signal.SIGKILL)
        return pid

    def replace(self, node_id: str) -> None:
        (gone,) = [node for node in self.nodes if node.node_id == node_id]
        self.cluster.remove_node(gone, allow_graceful=False)
        self.nodes = [node for node in self.nodes if node is not gone] + [self.add()]


def wait_for(condition: Callable[[], Any], runs: Sequence[Run] = ()) -> None:
    """
    Raises:
        RuntimeError: a run failed, or it takes too long.
    """
    until = time.monotonic() + PATIENCE_S
    while not condition():
        if failed := [run for run in runs if run.state is RunState.FAILED]:
            raise RuntimeError(f"{failed[0].id}: {failed[0].status().error}")
        if time.monotonic() > until:
            raise RuntimeError("waited in vain")
        time.sleep(0.02)


def weights(folder: RunFolder) -> dict[str, torch.Tensor]:
    stored = folder.read_state(folder.state_file)
    return {f"{name}.{key}": tensor for name in ("generator", "discriminator", "averaged") for key, tensor in stored[name].items()}


def rows(folder: RunFolder) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in NOT_COMPARED} for row in folder.read_metrics()[0]]


def is_equal(one: RunFolder, other: RunFolder) -> bool:
    """Whether two runs have the same weights and, apart from times, the same metrics."""
    ours, theirs = weights(one), weights(other)
    return rows(one) == rows(other) and all(torch.equal(ours[name], theirs[name]) for name in ours)


def here(config: TrainConfig, dataset: ImageDataset, path: Path) -> RunFolder:
    """The same run in this process, on one thread."""
    folder = RunFolder(path)
    path.mkdir(parents=True)
    folder.write_config(config, "")
    list(record(folder, prepare(folder, config, dataset, torch.device("cpu"), threads=1), dataset, Control()))
    return folder


def turns(manager: RunManager, cluster: RayCluster, config: TrainConfig, straight: RunFolder) -> None:
    """Four runs of two participants."""
    began, most, before_s = time.monotonic(), 0, time.process_time()
    runs = [manager.submit(config, "", who) for who in (ADA, ADA, BOB, BOB)]
    memory = own_memory()
    while any(run.state in AT_WORK for run in runs):
        training = [run for run in runs if run.state is RunState.RUNNING]
        most, memory = max(most, len(training)), max(memory, own_memory())
        time.sleep(0.05)
    fine = sum(run.state is RunState.FINISHED and is_equal(run.folder, straight) for run in runs)
    print(
        f"four runs of two participants: {most} at a time, {time.monotonic() - began:.0f} s; {fine} of 4 equal one in this process bit for bit"
    )
    used, trained = time.process_time() - before_s, sum(run.status().elapsed_s for run in runs)
    print(
        f"processor time of this process: {used:.1f} s for {trained:.0f} s of training, {100 * used / trained:.1f}% of a core for each run"
    )
    print(f"memory of this process: at most {memory / 2**20:,.0f} MiB with two runs at work")
    if delays := cluster.delays():
        print(f"delay of {len(cluster._delays):,} letters: median {1000 * delays[0]:.0f} ms, 95% below {1000 * delays[1]:.0f} ms")


def knobs(manager: RunManager, config: TrainConfig) -> None:
    """How long a change of a setting takes to the worker and back, and a pause."""
    run = manager.submit(config.change(duration=10**6), "", ADA)
    wait_for(lambda: len(run.history) > 2, [run])
    taken = []
    for number in range(10):
        time.sleep(0.3)
        began = time.monotonic()
        manager.change(run.id, "lr_g", 0.001 + 0.0001 * number)
        wait_for(lambda: len(run.interventions) > number, [run])  # noqa: B023  (called before number changes)
        taken.append(time.monotonic() - began)
    began = time.monotonic()
    manager.pause(run.id)
    wait_for(lambda: run.state is RunState.PAUSED, [run])
    paused = time.monotonic() - began
    manager.stop(run.id)
    wait_for(lambda: not run.at_work)
    print(
        f"a knob is turned: median {statistics.median(taken):.2f} s until the change is back, at most {max(taken):.2f}; a pause took {paused:.2f} s"
    )


def kills(manager: RunManager, cluster: RayCluster, nodes: Nodes, config: TrainConfig, straight: RunFolder, count: int, seed: int) -> None:
    """Kills the node of a run at a random moment, again and again."""
    draws, finished, complete, equal, away = random.Random(seed), 0, 0, 0, []
    for number in range(1, count + 1):
        run = manager.submit(config, "", ADA)
        wait_for(lambda: run.state is RunState.RUNNING and len(run.history), [run])  # noqa: B023
        at = draws.uniform(0, 0.8 * config.duration)
        wait_for(lambda: run.status().step >= at, [run])  # noqa: B023
        time.sleep(draws.uniform(0, 0.2))
        (worker,) = [worker for worker in cluster.at_work() if worker.run_id == run.id]
        step, killed = run.status().step, time.monotonic()
        pid = nodes.kill(worker.node)
        wait_for(lambda: run.moves or not run.at_work, [run])  # noqa: B023
        wait_for(lambda: run.state is RunState.RUNNING or not run.at_work, [run])  # noqa: B023
        away.append(time.monotonic() - killed)
        nodes.replace(worker.node)
        wait_for(lambda: not run.at_work, [run])  # noqa: B023
        finished += run.state is RunState.FINISHED
        complete += [row["step"] for row in rows(run.folder)] == [row["step"] for row in rows(straight)]
        equal += is_equal(run.folder, straight)
        (move,) = run.moves
        again = f"steps {move.step + 1} to {move.reached} again" if move.reached > move.step else "nothing again"
        print(f"  {number}: node process {pid} killed at step {step}: {move.reason}; {away[-1]:.1f} s until it trains; {again}", flush=True)
    print(f"{finished} of {count} runs finished, {complete} with every row of metrics once, {equal} equal an undisturbed run bit for bit")
    print(f"from the kill until training continues: median {statistics.median(away):.1f} s, at most {max(away):.1f} s")


def counting() -> dict[str, int]:
    """From now on: the bytes that arrive from workers, by kind."""
    counts = dict.fromkeys(("parcels", "letters", "bytes", "states", "states' bytes", "images' bytes"), 0)
    original = RayStream.next

    def next_parcel(self: RayStream, timeout_s: float) -> bytes | None:
        parcel = original(self, timeout_s)
        if parcel:
            letters = unpack_letters(parcel)
            counts["parcels"] += 1
            counts["letters"] += len(letters)
            counts["bytes"] += len(parcel)
            counts["states"] += sum(bool(letter.weights) for letter in letters)
            counts["states' bytes"] += sum(len(letter.weights) for letter in letters)
            counts["images' bytes"] += sum(letter.event.images.nbytes for letter in letters if isinstance(letter.event, Samples))
        return parcel

    RayStream.next = next_parcel  # type: ignore[method-assign]
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # Ray's sockets are in there, and the path of a socket is short
    os.environ |= {
        "RAY_TMPDIR": str(folder),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # on Linux, Ray would take the machine's own address instead of 127.0.0.1
    os.environ |= {"WORKSHOP_JUDGE": "0", "WORKSHOP_CHECKPOINTS": str(folder / "runs")}
    small = recipe("quick-digits").config.change(
        generator_filters=16, discriminator_filters=16, batch_size=32, precision="fp32", log_every=5
    )
    config = small.change(duration=options.steps, duration_unit="steps", snapshot_every=200)
    loading = datasets.load_for(config)
    try:
        while True:
            next(loading)
    except StopIteration as stop:
        dataset = stop.value
    straight = here(config, dataset, folder / "here")
    alone = own_memory()
    nodes = Nodes()
    cluster = RayCluster(nodes.cluster.address)
    counts = counting()
    manager = RunManager(cluster=cluster)
    try:
        print(f"memory of this process: {alone / 2**20:,.0f} MiB after a run of its own, {own_memory() / 2**20:,.0f} MiB when connected")
        turns(manager, cluster, config, straight)
        print("from the workers of these four runs: " + ", ".join(f"{count:,} {name}" for name, count in counts.items()))
        knobs(manager, config)
        kills(manager, cluster, nodes, config, straight, options.kills, options.seed)
    finally:
        manager.shutdown()
        nodes.cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
