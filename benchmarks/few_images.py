"""Few images: adaptive augmentation, the same on every image, and none, in equal time, for a run that gets only the first N images of a set.

    python -m benchmarks.few_images                           # 100, 300 and 1,000 faces, three seeds, two minutes each: an hour
    python -m benchmarks.few_images letters/ --images 300 --seeds 0 --threads 1

FD is the Fréchet distance of images of the EMA generator to images that the run never gets, in the features of a CNN for the whole set; the
floor is that of as many real images. `copying` says how often a generated image is closer to the run's images than a new real one: 0.5
without copying. --threads 1 counts processor time instead of time, so other programs disturb less.
"""

import argparse
import statistics
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from gan import latent
from gan.config import TrainConfig
from gan.data import datasets
from gan.data.form import Form
from gan.data.imageset import ImageDataset
from gan.devices import choose_device, describe_device
from gan.judging import metrics
from gan.judging.judge import Judge, JudgeCache
from gan.networks.sampling import sample
from gan.progress import drain
from gan.recipes import recipe
from gan.training.execution import choose_execution
from gan.training.loop import train
from gan.training.state import TrainState, new_state

NEVER = 1_000_000  # steps
EPOCHS = 1_000_000  # the time ends a run
JUDGED = 2000  # images for an FD
POLICY = "color, translation, cutout"
VARIANTS: dict[str, dict[str, Any]] = {
    "none": {"diffaugment": "off"},
    "fixed": {"diffaugment": POLICY},
    "adaptive": {"diffaugment": POLICY, "augmentation_target": 0.6},  # as `suggest` proposes
}


def trained(config: TrainConfig, dataset: ImageDataset, seconds: float, threads: int) -> TrainState:
    """A run's state after this many seconds, of processor time if it has one thread."""
    device = choose_device("cpu")
    clock = time.process_time if threads == 1 else time.perf_counter
    state = new_state(config, device, execution=choose_execution(config, device), threads=threads or None)
    began = clock()
    for _ in train(state, dataset):
        if clock() - began > seconds:
            break
    return state


def scores(judge: Judge, state: TrainState, given: np.ndarray, unseen: np.ndarray) -> tuple[float, float]:
    """FD to unseen images, and copying. given, unseen: features of the run's images and of images that it never gets."""
    z = latent.from_seeds(range(JUDGED), state.config.latent_dim, state.config.latent_distribution)
    features = judge.network.features(sample(state.averaged, z))
    half = len(unseen) // 2
    distances, new = (metrics.nearest(some, given)[0][:, 0] for some in (features, unseen[:half]))
    return metrics.frechet_distance(features, unseen[half:]), metrics.copying(distances, np.sort(new))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="faces", help="a data set or a folder of images, of at least 5,000")
    parser.add_argument("--images", default="100,300,1000", help="how many images a run gets, joined by commas")
    parser.add_argument("--seeds", default="0,1,2", help="seeds of the runs, joined by commas")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=0, help="of a run; 0: as the app chooses")
    given = parser.parse_args()
    base = recipe("quick-images").config.change(
        data=given.data,
        image_size=given.image_size,
        duration=EPOCHS,
        horizontal_flip=True,
        duration_unit="epochs",
        log_every=20,
        grid_every=NEVER,
        grid_images=16,
        snapshot_every=NEVER,
    )
    whole = drain(datasets.load_for(base))
    judge = drain(JudgeCache().get(base.data, *Form.of(base)))
    print(f"{describe_device(choose_device('cpu'))}; {given.seconds:g} s each")
    for n in map(int, given.images.split(",")):
        order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))
        some = replace(whole, images=whole.images[order[:n]], labels=None, class_names=(), attributes=None, attribute_names=())
        features = judge.network.features(some.images.numpy())
        unseen = judge.network.features(whole.images[order[n : n + 2 * JUDGED]].numpy())
        half = len(unseen) // 2
        floor = metrics.frechet_distance(unseen[:half], unseen[half:])
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in VARIANTS}
        for seed in map(int, given.seeds.split(",")):
            for name, changes in VARIANTS.items():
                config = base.change(seed=seed, batch_size=min(base.batch_size, max(2, n // 4)), **changes)
                state = trained(config, some, given.seconds, given.threads)
                found[name].append(scores(judge, state, features, unseen))
                fd, copying = found[name][-1]
                print(
                    f"{n} images, seed {seed}, {name}: FD {fd:.2f}, floor {floor:.2f}, copying {copying:.2f}, "
                    f"{state.images_seen:,} images seen, strength {float(state.augmentation[0]):.2f}",
                    flush=True,
                )
        for name, results in found.items():
            distances, copied = zip(*results, strict=True)
            spread = statistics.stdev(distances) / len(distances) ** 0.5 if len(distances) > 1 else float("nan")
            print(
                f"{n} images, {name}: FD {statistics.mean(distances):.2f} +- {spread:.2f}, copying {statistics.mean(copied):.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
