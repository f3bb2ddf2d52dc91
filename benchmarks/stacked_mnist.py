"""How many modes of Stacked MNIST a DCGAN finds, with and without packing, next to published results.

    python -m benchmarks.stacked_mnist                          # a few minutes on one core: small networks, few steps
    python -m benchmarks.stacked_mnist --full --device cuda     # the published sizes and number of steps
    python -m benchmarks.stacked_mnist --packing 2 --seeds 0    # one run
    python -m benchmarks.stacked_mnist --recipe r3gan-small --seeds 1,2,3    # another recipe, with the same numbers of steps and images

Three random digits are the three color channels of an image: 1,000 modes (Metz et al. 2017; Srivastava et al. 2017; Lin et al.
2018, section 4.2). The project's digits-CNN reads each channel of a generated image. Among 26,000 images, the modes with at least one
image are counted, and the Kullback-Leibler divergence of their shares from equal shares is computed. The engine trains
its own recipe `dcgan` at 28 pixels; only `packing` differs between its rows. `r3gan-small` keeps its own settings, but gets the same numbers of
images, filters and steps.
"""

import argparse
import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.textbook import load_mnist
from gan import latent
from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.devices import choose_device, describe_device
from gan.judging import features
from gan.judging.features import FeatureNetwork
from gan.judging.metrics import kl_divergence
from gan.networks.sampling import sample
from gan.recipes import recipe
from gan.training.execution import choose_execution
from gan.training.loop import train
from gan.training.state import TrainState, new_state

MODES = 1000
JUDGED = 26_000  # generated images
AT_ONCE = 2000  # of them in memory
NEVER = 1_000_000  # steps
# Modes and KL as printed by the sources (Lin et al. 2018, table 2; the first row is VEEGAN's, Srivastava et al. 2017).
PUBLISHED = {
    "DCGAN": "99.0 / 3.40",
    "DCGAN, Lin et al.'s own": "78.9 ± 6.5 / 4.50",
    "ALI": "16 / 5.40",
    "unrolled GAN": "48.7 / 4.32",
    "VEEGAN": "150 / 2.95",
    "DCGAN with packing 2": "1,000 / 0.06",
}


@dataclass(frozen=True)
class Setting:
    """The size of a run.

    Attributes:
        name: as printed.
        images: stacked digits to train on.
        generator, discriminator: filters.
        lr: of both networks; this and the next three are for `dcgan` only.
        g_steps: generator steps per discriminator step.
        norm: of the discriminator.
        initialization: initial weights.
        steps: of the run.
    """

    name: str
    images: int
    generator: int
    discriminator: int
    lr: float
    g_steps: int
    norm: str
    initialization: str
    steps: int

    def config(self, packing: int, seed: int, name: str = "dcgan") -> TrainConfig:
        """A recipe at this size. A step shows D 64 packs, real and generated, for any number of images per pack."""
        config = recipe(name).config.change(
            data="stacked-mnist",
            image_size=28,
            channels=3,
            generator_filters=self.generator,
            discriminator_filters=self.discriminator,
            packing=packing,
            batch_size=64 * packing,
            duration=self.steps,
            duration_unit="steps",
            precision="fp32",
            seed=seed,
            log_every=100,
            grid_every=NEVER,
            grid_images=16,
            snapshot_every=NEVER,
        )
        if name != "dcgan":
            return config.change(schedule_images=self.steps * config.batch_size if config.schedule_images else 0)
        return config.change(
            latent_distribution="uniform",
            lr_g=self.lr,
            lr_d=self.lr,
            g_steps=self.g_steps,
            discriminator_norm=self.norm,
            initialization=self.initialization,
            average_half_life=0,  # as published: the generator itself
        )


# Lin et al. train 50 epochs of 128,000 images, two steps of G to one of D ("to make sure that D's loss does not go to zero").
FULL = Setting("full setting, as published", 128_000, 64, 64, 2e-4, 2, "batch", "dcgan", 100_000)
# A weak D makes the collapse of a long run visible in a short one (Metz et al. 2017, whose D has a half or a quarter of
# G's filters). Here it has half of them, and no batch normalization, which shows it the whole batch: a kind of packing.
CPU = Setting("scaled down for a CPU", 20_000, 16, 8, 1e-3, 1, "none", "pytorch", 1200)


def stack(digits: torch.Tensor, n: int, seed: int) -> ImageDataset:
    """n images whose three channels are random digits from (N, 1, H, W)."""
    picks = torch.randint(len(digits), (n, 3), generator=torch.Generator().manual_seed(seed))
    return ImageDataset("stacked-mnist", digits[picks, 0])


def modes_shown(images: np.ndarray, reader: FeatureNetwork) -> np.ndarray:
    """The modes of images uint8 (N, 3, H, W): int64 (N,), the three channels' digits as one number, 0 to 999."""
    n, channels, height, width = images.shape
    read = reader.probabilities(reader.features(images.reshape(n * channels, 1, height, width))).argmax(1)
    return np.asarray(read.reshape(n, channels) @ np.array([100, 10, 1]))


@dataclass(frozen=True)
class Found:
    """What a generator's images show: modes with at least one image, and the KL of all modes' shares from equal shares, in nats."""

    modes: int
    kl: float


def judge(shown: np.ndarray) -> Found:
    """Coverage of images that show these modes (N,)."""
    shares = np.bincount(shown, minlength=MODES) / len(shown)
    return Found(int((shares > 0).sum()), kl_divergence(shares, np.full(MODES, 1 / MODES)))


def draw(state: TrainState, n: int) -> Iterator[np.ndarray]:
    """n images of the generator, a few at a time."""
    for start in range(0, n, AT_ONCE):
        seeds = range(start, min(n, start + AT_ONCE))
        yield sample(state.averaged, latent.from_seeds(seeds, state.config.latent_dim, state.config.latent_distribution))


def run(
    setting: Setting,
    packing: int,
    seed: int,
    digits: torch.Tensor,
    reader: FeatureNetwork,
    threads: int,
    device: torch.device,
    name: str = "dcgan",
) -> Found:
    """Trains one run and counts its generator's modes. name: of the recipe."""
    config = setting.config(packing, seed, name)
    state = new_state(config, device, execution=choose_execution(config, device, threads), threads=threads)
    for _ in train(state, stack(digits, setting.images, seed)):
        pass
    return judge(np.concatenate([modes_shown(images, reader) for images in draw(state, JUDGED)]))


def row(name: str, found: list[Found]) -> str:
    """One line of the table: mean and standard error of the runs."""
    parts = []
    for values, form in (([f.modes for f in found], ".1f"), ([f.kl for f in found], ".2f")):
        error = f" ± {statistics.stdev(values) / math.sqrt(len(values)):{form}}" if len(values) > 1 else ""
        parts.append(f"{statistics.mean(values):{form}}{error}")
    return f"{name:26}{parts[0]:20}{parts[1]}"


def _told(setting: Setting, name: str = "dcgan") -> str:
    if name != "dcgan":
        sizes = f"{setting.images:,} images, filters G {setting.generator}, D {setting.discriminator}"
        return f"{sizes}, {setting.steps:,} steps of 64 packs; the rest as in {name}"
    norm = "batch normalization" if setting.norm == "batch" else "no normalization"
    return (
        f"{setting.images:,} images, filters G {setting.generator}, D {setting.discriminator} with {norm}, initial weights as {setting.initialization}, "
        f"Adam {setting.lr:g}, G steps a D step {setting.g_steps}, {setting.steps:,} steps of 64 packs"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="the published setting, for a GPU")
    parser.add_argument("--recipe", choices=("dcgan", "r3gan-small"), default="dcgan")
    parser.add_argument(
        "--packing",
        type=int,
        choices=(1, 2, 3, 4),
        action="append",
        help="may be repeated; default: 1 and 2 for dcgan, 1 for other recipes",
    )
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", type=choose_device, default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    setting, seeds = FULL if given.full else CPU, [int(seed) for seed in given.seeds.split(",")]
    reader = features.load(features.SHIPPED / "mnist.safetensors")
    digits = load_mnist("train").images
    print(f"{setting.name}: {_told(setting, given.recipe)}")
    if setting is not FULL:
        print(f"published: {_told(FULL)}")
    print(f"{describe_device(given.device)}, {given.threads} threads; seeds {given.seeds}, mean and standard error")
    print(f"the {reader.name} gets {reader.about.accuracy:.1%} of the held-out digits right")
    print(f"\n{'':26}{'modes of 1,000':20}KL")
    print(row("real stacked digits", [judge(modes_shown(stack(digits, JUDGED, 12345).images.numpy(), reader))]), flush=True)
    means = {}
    for packing in given.packing or ((1, 2) if given.recipe == "dcgan" else (1,)):
        found = []
        began = time.perf_counter()
        for seed in seeds:
            found.append(run(setting, packing, seed, digits, reader, given.threads, given.device, given.recipe))
            print(f"  packing {packing}, seed {seed}: {found[-1].modes} modes, KL {found[-1].kl:.2f}", flush=True)
        means[packing] = statistics.mean(f.modes for f in found)
        name = given.recipe if packing == 1 else f"{given.recipe}, packing {packing}"
        print(f"{row(name, found)}    ({time.perf_counter() - began:.0f} s)", flush=True)
    if 1 in means:
        for packing in means.keys() - {1}:
            print(f"packing {packing} finds {means[packing] / means[1]:.1f} times the modes")
    print("\npublished, modes / KL")
    for name, figures in PUBLISHED.items():
        print(f"{name:26}{figures}")


if __name__ == "__main__":
    main()
