"""A run on few images, with new networks and from those of the faces run that comes with the app: how soon is it as good?

    python -m benchmarks.start_from avatars/                          # 300 of its images, three seeds, four minutes each: half an hour
    python -m benchmarks.start_from avatars/ --seeds 0 --threads 1

FD is measured as in benchmarks.few_images, every few seconds; measuring does not count. Both runs have adaptive augmentation, as `suggest`
proposes for so few images. --threads 1 counts processor time instead of time, so other programs disturb less.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.few_images import EPOCHS, NEVER, VARIANTS, scores
from gan.config import TrainConfig
from gan.course.shipped_runs import SHIPPED_RUNS
from gan.data import datasets
from gan.data.form import Form
from gan.data.imageset import ImageDataset
from gan.devices import choose_device, describe_device
from gan.images import png, tile
from gan.judging.judge import Judge, JudgeCache
from gan.networks.sampling import sample
from gan.progress import drain
from gan.recipes import recipe
from gan.runs.start import Origin
from gan.training.execution import choose_execution
from gan.training.loop import train
from gan.training.state import new_state

JUDGED = 2000  # images for an FD
SHOWN = 64  # images in a file of --out


def curve(
    config: TrainConfig,
    dataset: ImageDataset,
    judge: Judge,
    given: np.ndarray,
    unseen: np.ndarray,
    origin: Origin | None,
    seconds: float,
    every: float,
    threads: int,
    out: Path | None,
) -> list[tuple[float, float, float]]:
    """(seconds, FD, copying) every so many seconds. given, unseen: features, as in few_images. out: a file for images of the end."""
    device = choose_device("cpu")
    clock = time.process_time if threads == 1 else time.perf_counter
    state = new_state(config, device, execution=choose_execution(config, device), threads=threads or None)
    if origin:
        state.adopt(origin.networks)
    found: list[tuple[float, float, float]] = []
    began, measuring = clock(), 0.0
    for _ in train(state, dataset):
        spent = clock() - began - measuring
        if spent >= every * (len(found) + 1):
            since = clock()
            found.append((spent, *scores(judge, state, given, unseen)))
            measuring += clock() - since
        if spent > seconds:
            break
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(png(tile(sample(state.averaged, state.fixed_z[:SHOWN]), 8, 2), 1))
    return found


def reached(found: list[tuple[float, float, float]], fd: float) -> float:
    """Seconds until a curve is at this FD for the first time; infinite if never."""
    return next((seconds for seconds, value, _ in found if value <= fd), float("inf"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a folder of at least 4,300 images, or a data set")
    parser.add_argument("--run", default="faces-run", choices=list(SHIPPED_RUNS), help="whose networks to start from")
    parser.add_argument("--images", type=int, default=300, help="how many images a run gets")
    parser.add_argument("--seeds", default="0,1,2", help="seeds of the runs, joined by commas")
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--every", type=float, default=10, help="seconds between two measurements")
    parser.add_argument("--threads", type=int, default=0, help="of a run; 0: as the app chooses")
    parser.add_argument("--out", type=Path, help="a folder for a grid of images of each run")
    given = parser.parse_args()
    origin = SHIPPED_RUNS[given.run].origin(None)
    base = recipe("quick-images").config.change(
        **origin.settings, **VARIANTS["adaptive"], data=given.data, duration=EPOCHS, duration_unit="epochs"
    )
    base = base.change(log_every=10, grid_every=NEVER, grid_images=SHOWN, snapshot_every=NEVER)
    whole, judge = drain(datasets.load_for(base)), drain(JudgeCache().get(base.data, *Form.of(base)))
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))
    n = given.images
    some = replace(whole, images=whole.images[order[:n]], labels=None, class_names=(), attributes=None, attribute_names=())
    known = judge.network.features(some.images.numpy())
    unseen = judge.network.features(whole.images[order[n : n + 2 * JUDGED]].numpy())
    print(f"{describe_device(choose_device('cpu'))}; {n} images, {given.seconds:g} s each")
    for seed in map(int, given.seeds.split(",")):
        curves = {}
        for name, start in (("new", None), (given.run, origin)):
            file = given.out / f"{Path(given.data).name}-{name}-{seed}.png" if given.out else None
            config = base.change(seed=seed)
            curves[name] = curve(config, some, judge, known, unseen, start, given.seconds, given.every, given.threads, file)
            said = ", ".join(f"{seconds:.0f} s {fd:.2f}" for seconds, fd, _ in curves[name])
            print(f"seed {seed}, {name}: FD {said}; copying {curves[name][-1][2]:.2f}", flush=True)
        best = min(fd for _, fd, _ in curves["new"])
        took, there = reached(curves["new"], best), reached(curves[given.run], best)
        print(
            f"seed {seed}: FD {best:.2f} after {took:.0f} s with new networks, {there:.0f} s from {given.run}: {there / took:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
