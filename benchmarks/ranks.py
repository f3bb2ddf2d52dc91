"""One run on several ranks of one thread each, compared with one process of one thread: images/s at 64 pixels.

python -m benchmarks.ranks: alternates one process and two ranks that torchrun starts, on random images. All connections are loopback.
"""

import argparse
import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from gan.cli.ranks import several
from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.events import Metrics
from gan.recipes import recipe
from gan.training.loop import train
from gan.training.state import Execution, TrainState, new_state

CPU = torch.device("cpu")
WARM_UP = 2  # steps


def _images(config: TrainConfig) -> ImageDataset:
    size = (max(512, config.batch_size), config.channels, config.image_size, config.image_size)
    return ImageDataset("random", torch.randint(0, 256, size, dtype=torch.uint8, generator=torch.Generator().manual_seed(1)))


def _measure(config: TrainConfig, steps: int) -> tuple[float, float]:
    """Images/s of this process, or of the ranks that it is one of, and the milliseconds of processor time that it takes for an image of these."""
    # The fastest steps count: on a machine with other work, they are those with the least of it.
    config = config.change(duration=WARM_UP + steps, duration_unit="steps", log_every=1, precision="fp32", seed=0)
    dataset, execution = _images(config), Execution("fp32", True, 1)
    state: TrainState
    if several():
        from gan.distributed.group import join
        from gan.distributed.start import follow, lead

        group = join("cpu")
        if group.leads:
            lead(state := new_state(config, CPU, execution=execution, threads=1), dataset, group)
        else:
            state, _ = follow(group, lambda _: dataset)
    else:
        state = new_state(config, CPU, execution=execution, threads=1)
    rates, began_cpu = [], 0.0
    for event in train(state, dataset):
        if isinstance(event, Metrics):
            rates.append(event.images_per_s)
            if event.step == WARM_UP:
                began_cpu = time.process_time()
    cpu_ms = 1000 * (time.process_time() - began_cpu) / (steps * config.batch_size * config.d_steps)
    if several():
        group.leave()
    ordered = sorted(rates[WARM_UP:], reverse=True)
    return ordered[len(ordered) // 4], cpu_ms  # the rate that a quarter of the steps reach


def _leg(ranks: int, options: list[str]) -> dict[str, float]:
    command = [sys.executable]
    if ranks > 1:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        command += ["-m", "torch.distributed.run", f"--nproc-per-node={ranks}", "--master-addr=127.0.0.1", f"--master-port={port}"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        variables = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo"}
        command += ["-m", "benchmarks.ranks", "--out", str(out), *options]
        subprocess.run(command, env=os.environ | variables, check=True, stderr=subprocess.DEVNULL if ranks > 1 else None, timeout=600)
        found: dict[str, float] = json.loads(out.read_text(encoding="utf-8"))
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="quick-images")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=24, help="in each turn, after two that do not count")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--out", help=argparse.SUPPRESS)
    given = parser.parse_args()
    from gan.config import parse_setting

    config = recipe(given.recipe).config.change(**dict(parse_setting(text) for text in given.set))
    if given.out:
        rate, cpu_ms = _measure(config, given.steps)
        if int(os.environ.get("RANK", "0")) == 0:
            Path(given.out).write_text(json.dumps({"images_per_s": rate, "cpu_ms": cpu_ms}), encoding="utf-8")
        return
    options = ["--recipe", given.recipe, "--steps", str(given.steps), *(word for text in given.set for word in ("--set", text))]
    best: dict[int, float] = {}
    least_ms: dict[int, float] = {}
    for turn in range(given.turns):
        for ranks in (1, given.ranks):
            found = _leg(ranks, options)
            best[ranks] = max(best.get(ranks, 0.0), found["images_per_s"])
            least_ms[ranks] = min(least_ms.get(ranks, math.inf), found["cpu_ms"])
            load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
            print(
                f"turn {turn + 1}, {ranks} rank{'s' if ranks > 1 else ''}: {found['images_per_s']:.1f} images/s, "
                f"{found['cpu_ms']:.2f} ms of processor time per image in each, load {load}",
                flush=True,
            )
    ratio = best[given.ranks] / best[1]
    print(
        f"{given.recipe}, {config.image_size} px, batch {config.batch_size}: best of each {best[1]:.1f} and {best[given.ranks]:.1f}, x {ratio:.2f}"
    )


if __name__ == "__main__":
    main()
