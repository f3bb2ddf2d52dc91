"""`stylegan-small` next to DCGAN's networks in equal time, and what its styles do.

    python -m benchmarks.stylegan                                   # the claim: three seeds, ten minutes each, then the mechanisms
    python -m benchmarks.stylegan --seeds 0 --seconds 60            # a quick look
    python -m benchmarks.stylegan --set generator_filters=24        # other settings for `stylegan-small`; may be repeated
    python -m benchmarks.stylegan --mechanisms FILE.safetensors     # only the last part, of a generator that was trained before

Both train on the faces at 32 pixels, each alone, for the same seconds. DCGAN's networks are the recipe `dcgan` at this size. Images of
the EMA generators are compared with held-out faces by the Fréchet distance in the faces-CNN (FD).

The mechanisms, with the generator of the first seed:
- Path length (Karras et al. 2019, section 4.1): how far images move on the way between two latent vectors, in z and in w. Small steps
  EPSILON of the way; squared distances of features, divided by EPSILON^2. At full: anywhere on the way; at the ends: only at its start.
- Truncation (Karras et al. 2019, appendix B): FD and variety (root mean square distance of features) as w moves toward its mean.
- Style mixing regularization (Karras et al. 2019, table 2): FD of images with the styles of one latent vector, and of two, for a
  generator trained with style mixing and for one without.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gan import latent
from gan.config import TrainConfig, parse_setting
from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.devices import cores
from gan.images import to_uint8
from gan.judging import metrics
from gan.judging.judge import Judge, JudgeCache
from gan.networks.generator_file import load_generator, write_generator
from gan.networks.sampling import sample
from gan.networks.stylegan import StyleGenerator
from gan.progress import drain
from gan.recipes import recipe
from gan.training.execution import choose_execution
from gan.training.loop import train
from gan.training.state import TrainState, new_state

SIZE = 32
NEVER = 1_000_000  # steps
JUDGED = 2000  # images for an FD
PATHS = 2000  # pairs of latent vectors
EPSILON = 1e-2  # of a way; the paper's 1e-4 needs features that tell images apart which differ by less than a gray level
PSIS = (1.0, 0.9, 0.8, 0.7, 0.5, 0.3, 0.0)


def configs(changes: dict[str, Any], seconds: float, seed: int) -> dict[str, TrainConfig]:
    """The settings of both, by name. changes: for `stylegan-small`."""
    common: dict[str, Any] = {"duration": seconds, "duration_unit": "seconds", "seed": seed, "grid_images": 16}
    common |= {"grid_every": NEVER, "snapshot_every": NEVER, "image_size": SIZE}
    return {
        "dcgan": recipe("dcgan").config.change(**common),
        "stylegan-small": recipe("stylegan-small").config.change(**common | changes),
    }


def trained(config: TrainConfig, dataset: ImageDataset, threads: int) -> TrainState:
    """A run of its own, on one or more threads."""
    device = torch.device("cpu")
    state = new_state(config, device, execution=choose_execution(config, device, threads), threads=threads)
    for _ in train(state, dataset):
        pass
    return state


def draw(generator: StyleGenerator, w: torch.Tensor) -> np.ndarray:
    """uint8 images of styles, some at a time."""
    with torch.inference_mode():
        return np.concatenate([to_uint8(generator.draw(part)) for part in w.split(250)])


def path_lengths(generator: StyleGenerator, judge: Judge) -> dict[str, float]:
    """Mean squared distances of features for a step of EPSILON, divided by EPSILON^2."""
    z = latent.from_seeds(range(2 * PATHS), generator.latent_dim)
    rng = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        w = generator.styles(z)

    def features(points: torch.Tensor, of: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        with torch.inference_mode():
            return torch.cat([judge.network.embed(of(part).clamp(-1, 1)) for part in points.split(250)])

    found = {}
    for where, t in (("full", torch.rand(PATHS, 1, generator=rng)), ("at the ends", torch.zeros(PATHS, 1))):
        for space, ends, between, of in (("z", z, latent.slerp, generator), ("w", w, latent.lerp, generator.draw)):
            a, b = (features(between(ends[:PATHS], ends[PATHS:], at), of) for at in (t, t + EPSILON))
            found[f"{space}, {where}"] = float((a - b).square().sum(1).mean()) / EPSILON**2
    return found


def mixed(generator: StyleGenerator, n: int) -> torch.Tensor:
    """Styles of two latent vectors each, with random crossovers: (n, styles_count, latent_dim)."""
    with torch.inference_mode():
        w = generator.styles(latent.from_seeds(range(2 * n), generator.latent_dim))
    places = torch.randint(1, generator.styles_count, (n, 1), generator=torch.Generator().manual_seed(0))
    first = torch.arange(generator.styles_count) < places
    return torch.where(first[:, :, None], w[:n, None], w[n:, None])


def show_mechanisms(generator: StyleGenerator, without: StyleGenerator | None, judge: Judge) -> None:
    """Prints what the styles do. without: a generator that was trained without style mixing."""
    n = judge.judged(JUDGED)
    print("\npath length, full and at the ends of the way")
    lengths = path_lengths(generator, judge)
    for space in "zw":
        print(f"  {space:26}{lengths[f'{space}, full']:10.1f}{lengths[f'{space}, at the ends']:10.1f}")
    print(f"\n{'truncation':28}{'FD':>10}{'variety':>10}")
    with torch.inference_mode():
        w = generator.styles(latent.from_seeds(range(n), generator.latent_dim))
    for psi in PSIS:
        images = draw(generator, generator.truncated(w, psi))
        variety = metrics.diversity(judge.network.features(images))
        print(f"  psi {psi:<22g}{judge.distance(images):10.2f}{variety:10.2f}")
    print(f"\n{'FD with the styles of':28}{'one':>10}{'two latent vectors':>20}")
    for name, network in (("trained with style mixing", generator), ("trained without", without)):
        if network is not None:
            with torch.inference_mode():
                alone = network.styles(latent.from_seeds(range(n), network.latent_dim))
            print(f"  {name:26}{judge.distance(draw(network, alone)):10.2f}{judge.distance(draw(network, mixed(network, n))):20.2f}")


def row(name: str, values: Sequence[float]) -> str:
    """One line of the table: mean and standard error."""
    error = f" ± {statistics.stdev(values) / len(values) ** 0.5:.2f}" if len(values) > 1 else ""
    return f"{name:20}{statistics.mean(values):8.2f}{error}   ({', '.join(f'{value:.2f}' for value in values)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--seconds", type=float, default=600, help="of training, for each")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--only", choices=("dcgan", "stylegan-small"), help="train only one of them, without the mechanisms")
    parser.add_argument("--set", type=parse_setting, action="append", default=[], metavar="FIELD=VALUE", help="for stylegan-small")
    parser.add_argument("--out", type=Path, help="where to write the generator of each stylegan-small: a folder")
    parser.add_argument("--mechanisms", type=Path, help="show only what the styles of this generator do")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    judge = drain(JudgeCache().get("faces", SIZE, 3))
    if given.mechanisms:
        network = load_generator(given.mechanisms).network
        if not isinstance(network, StyleGenerator):
            parser.error(f"{given.mechanisms} is no generator with styles")
        show_mechanisms(network, None, judge)
        return
    dataset = drain(datasets.load("faces", SIZE, 3, split="train"))
    seeds = [int(seed) for seed in given.seeds.split(",")]
    print(
        f"faces at {SIZE} pixels, {given.threads} threads, {given.seconds:g} s each; FD of {judge.judged(JUDGED):,} images in the {judge.network.name}"
    )
    print(f"real faces have {judge.floor(JUDGED):.2f}\n", flush=True)
    distances: dict[str, list[float]] = {}
    kept: StyleGenerator | None = None
    for seed in seeds:
        for name, config in configs(dict(given.set), given.seconds, seed).items():
            if given.only in (None, name):
                began = time.perf_counter()
                state = trained(config, dataset, given.threads)
                z = latent.from_seeds(range(judge.judged(JUDGED)), config.latent_dim, config.latent_distribution)
                distances.setdefault(name, []).append(judge.distance(sample(state.averaged, z)))
                print(
                    f"  seed {seed}, {name}: FD {distances[name][-1]:.2f} after {state.images_seen:,} images "
                    f"({state.execution.precision}, {time.perf_counter() - began:.0f} s)",
                    flush=True,
                )
                if isinstance(state.averaged, StyleGenerator):
                    kept = kept or state.averaged
                    if given.out:
                        given.out.mkdir(parents=True, exist_ok=True)
                        file = given.out / f"stylegan-small-{seed}.safetensors"
                        write_generator(file, state.averaged, config, state.step, state.images_seen)
    print()
    for name, values in distances.items():
        print(row(name, values))
    if kept is not None and not given.only:
        plain = configs(dict(given.set) | {"style_mixing": 0.0}, given.seconds, seeds[0])["stylegan-small"]
        without = trained(plain, dataset, given.threads).averaged
        assert isinstance(without, StyleGenerator)
        show_mechanisms(kept, without, judge)


if __name__ == "__main__":
    main()
