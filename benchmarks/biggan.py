"""Does biggan-small draw every digit that it is asked for? Against the recipe `conditional` in equal time.

    python -m benchmarks.biggan                                           # three seeds of each recipe, 5 minutes each, on all cores
    python -m benchmarks.biggan --recipes biggan-small --seeds 100 --steps 300 --set lr_g=5e-4    # one short run with a change

A referee, the project's digits-CNN, reads 1,000 images of each class. It sees none of them in training, and no run sees the referee. For each run:
the share of images on which it reads the class that was asked for, of the worst class and of all; and FD and coverage of 5,000 images of all
classes against held-out digits, because a generator that always draws one perfect 7 would be right, too. At the end, truncation: the same for
latent vectors whose numbers beyond a threshold are drawn again (Brock et al. 2019, section 3.1 and figure 2).
"""

import argparse
import statistics
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.textbook import load_mnist
from gan import latent
from gan.config import TrainConfig, parse_setting
from gan.data.datasets import ImageDataset
from gan.devices import choose_device, cores, describe_device
from gan.judging import features, metrics
from gan.judging.features import FeatureNetwork
from gan.networks.dcgan import Generator
from gan.networks.sampling import sample
from gan.recipes import recipe
from gan.training.execution import choose_execution
from gan.training.loop import train
from gan.training.state import new_state

CLASSES = 10
OF_EACH = 1000  # images of each class that the referee reads
JUDGED = 5000  # of these, for FD and coverage
FIRST_SEED = 1_000_000  # of the latent vectors: no grid shows them
THRESHOLDS = (2.0, 1.0, 0.5, 0.2)
GOAL = 0.97
NEVER = 1_000_000  # steps


@dataclass(frozen=True)
class Result:
    """What the referee reads in a generator's images.

    Attributes:
        right: for each class, the share of its images that are read as it.
        fd, coverage: of all classes' images against held-out ones.
        steps: of the run.
    """

    right: list[float]
    fd: float
    coverage: float
    steps: int = 0

    def row(self, name: str) -> str:
        worst = int(np.argmin(self.right))
        ok = "yes" if self.right[worst] >= GOAL else "no"
        worst_of_all = f"{self.right[worst]:.1%} ({worst})"
        return f"{name:32}{self.steps or '':>7}{worst_of_all:>14}{statistics.mean(self.right):>9.1%}{self.fd:>8.2f}{self.coverage:>8.2f}   {ok}"


class Referee:
    """The digits-CNN, and held-out digits to compare with."""

    def __init__(self) -> None:
        self.network: FeatureNetwork = features.load(features.SHIPPED / "mnist.safetensors")
        everything = load_mnist("all")
        assert everything.labels is not None
        self.images, self.labels = everything.images[60_000:].numpy(), everything.labels[60_000:].numpy()
        self.features = self.network.features(self.images[:JUDGED])

    def judge(self, images: np.ndarray, labels: np.ndarray, steps: int = 0) -> Result:
        """Scores uint8 images (N, 1, 28, 28) that should show labels (N,)."""
        found = self.network.features(images)
        read = self.network.probabilities(found).argmax(1)
        right = [float((read[labels == label] == label).mean()) for label in range(CLASSES)]
        some = found[:JUDGED]
        return Result(right, metrics.frechet_distance(self.features, some), metrics.prdc(self.features, some).coverage, steps)

    def of_generator(self, generator: Generator, config: TrainConfig, threshold: float | None = None, steps: int = 0) -> Result:
        """Scores a generator. threshold: of truncation; None for z as in training."""
        labels = torch.arange(CLASSES * OF_EACH) % CLASSES
        seeds = range(FIRST_SEED, FIRST_SEED + len(labels))
        z = latent.from_seeds(seeds, config.latent_dim, config.latent_distribution, threshold)
        return self.judge(sample(generator, z, labels), labels.numpy(), steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", default="biggan-small,conditional")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--steps", type=int, help="train for this many steps instead of --seconds")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--device", type=choose_device, default="cpu")
    parser.add_argument(
        "--set", dest="changes", action="append", default=[], metavar="FIELD=VALUE", help="change a setting; may be repeated"
    )
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    changes = dict(parse_setting(text) for text in given.changes)
    referee, digits = Referee(), load_mnist("train")
    amount = f"{given.steps:,} steps" if given.steps else f"{given.seconds:g} s"
    print(f"{describe_device(given.device)}, {given.threads} threads; {amount} each; {OF_EACH:,} images of each class")
    print(f"goal: {GOAL:.0%} of every class\n\n{'':32}{'steps':>7}{'worst class':>14}{'all':>9}{'FD':>8}{'cover.':>8}   goal met")
    print(referee.judge(referee.images, referee.labels).row("held-out digits"), flush=True)
    for name in given.recipes.split(","):
        for seed in map(int, given.seeds.split(",")):
            _run(name, seed, changes, digits, referee, given)


def _run(name: str, seed: int, changes: dict[str, object], digits: ImageDataset, referee: Referee, given: argparse.Namespace) -> None:
    duration = (
        {"duration": given.steps, "duration_unit": "steps"} if given.steps else {"duration": given.seconds, "duration_unit": "seconds"}
    )
    config = recipe(name).config.change(
        **{"data": "mnist", "seed": seed, "grid_every": NEVER, "snapshot_every": NEVER, **duration, **changes}
    )
    execution = choose_execution(config, given.device, given.threads)
    state = new_state(config, given.device, class_names=digits.class_names, execution=execution, threads=given.threads)
    for _ in train(state, digits):
        pass
    assert isinstance(state.averaged, Generator)
    result = referee.of_generator(state.averaged, config, steps=state.step)
    print(result.row(f"{name}, seed {seed}") + f"   ({execution.precision}, {state.elapsed_s:.0f} s)", flush=True)
    if name == "biggan-small":
        for threshold in THRESHOLDS:
            print(referee.of_generator(state.averaged, config, threshold).row(f"  truncated at {threshold:g}"), flush=True)


if __name__ == "__main__":
    main()
