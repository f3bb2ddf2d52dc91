"""Arithmetic with latent vectors: attributes that a feature network sees in samples, and the mean vectors of samples that share one.

Radford et al. 2016, section 6.3.2: "with glasses - without glasses + another face". If the data has labels, the feature network
that learned them (features.py) finds the samples that share one. Generators are passed in as functions.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from gan import latent
from gan.config import TrainConfig
from gan.data.form import Form
from gan.events import Progress
from gan.explore.directions import Directions
from gan.judging import features, reals

SAMPLES = 4096  # samples to look at
BATCH = 128
FEWEST = 40  # at least this many samples must show a thing, and as many must not
MOST_NAMES = 40  # the most things to offer, most frequent first
TRIED = 100  # samples on which a strength is tried
STRENGTHS = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0)
ENOUGH = 0.95  # of the tried samples
WANTED_AT = 2.0  # where a slider shows what is wanted; it goes to 3 either way
JITTER = 0.25  # of each number of z, up and down, as in the paper's figure 7

Draw = Callable[[torch.Tensor], np.ndarray]  # z (N, latent_dim) -> uint8 (N, C, H, W)
Judge = Callable[[np.ndarray], np.ndarray]  # these -> probabilities (N, names)


@dataclass(frozen=True)
class Mean:
    """The mean latent vector of some samples.

    Attributes:
        name: "with glasses", "without glasses", "class 7", "not class 7".
        vector: float32 (latent_dim,). For attributes it is adjusted: all other attributes are at their overall mean.
        seeds: of the samples, in rising order.
    """

    name: str
    vector: torch.Tensor
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Contrast:
    """The effect of one thing: the mean of samples with it minus the mean of samples without it.

    Attributes:
        name: "glasses", "7".
        present, absent: the two means.
        strength: how many times to apply the difference of the means.
        share: share of samples without it that show it afterward, 0 to 1.
    """

    name: str
    present: Mean
    absent: Mean
    strength: float
    share: float

    @property
    def difference(self) -> torch.Tensor:
        """(latent_dim,)."""
        return self.present.vector - self.absent.vector


def find(draw: Draw, config: TrainConfig) -> Generator[Progress, None, list[Contrast]]:
    """The effects of the classes or attributes of a generator's data; empty if the data has none.

    Args:
        draw: the generator; within one class if it is conditional.
        config: its settings; `config.data` must be a set that can be loaded.

    Raises:
        ValueError: see reals.load().
    """
    known = yield from reals.load(config.data, Form.of(config))
    network = yield from features.network_for(known)
    about = network.about
    if about.kind == "nothing":
        return []

    def judge(images: np.ndarray) -> np.ndarray:
        return network.probabilities(network.features(images))

    return (yield from contrasts(draw, judge, about.outputs, about.kind == "classes", config.latent_dim, config.latent_distribution))


def contrasts(
    draw: Draw,
    judge: Judge,
    names: tuple[str, ...],
    exclusive: bool,
    latent_dim: int,
    distribution: str = "normal",
    samples: int = SAMPLES,
) -> Generator[Progress, None, list[Contrast]]:
    """Looks at a generator's samples of the seeds 0, 1, ... and finds the effect of each thing that the judge knows.

    Args:
        draw: the generator.
        judge: probabilities of each thing in each image.
        names: names of these things.
        exclusive: whether an image shows exactly one of them (classes), or any number (attributes).
        latent_dim, distribution: of the generator's latent vectors.
        samples: how many to look at.

    Returns:
        One for each thing that enough samples show and enough do not, in the order of `names`.
    """
    z = latent.from_seeds(range(samples), latent_dim, distribution)
    parts = []
    for start in range(0, samples, BATCH):
        yield Progress("Looking at samples", start, samples)
        parts.append(judge(draw(z[start : start + BATCH])))
    answers_to_all = np.concatenate(parts)
    shown = np.eye(len(names), dtype=bool)[answers_to_all.argmax(1)] if exclusive else answers_to_all > 0.5
    counts = shown.sum(0)
    usable = [i for i in np.argsort(-counts, kind="stable")[:MOST_NAMES] if FEWEST <= counts[i] <= samples - FEWEST]
    usable.sort()
    results = []
    pairs = means(z, torch.from_numpy(shown[:, usable]), [names[i] for i in usable], exclusive)
    for place, (i, (present, absent)) in enumerate(zip(usable, pairs, strict=True)):
        yield Progress("Finding how far to go", place, len(usable))
        tried = z[list(absent.seeds[:TRIED])]
        strength, share = 0.0, -1.0
        for times in STRENGTHS:
            moved = move(tried, present.vector - absent.vector, times, distribution)
            answers = judge(draw(moved))
            now = float(((answers.argmax(1) == i) if exclusive else (answers[:, i] > 0.5)).mean())
            if now > share:
                strength, share = times, now
            if share >= ENOUGH:
                break
        results.append(Contrast(names[i], present, absent, strength, share))
    return results


def means(z: torch.Tensor, shown: torch.Tensor, names: list[str], exclusive: bool) -> list[tuple[Mean, Mean]]:
    """The mean latent vectors of samples with and without each of some things.

    Attributes come together (beards with short hair), and the plain difference of two means would change both. So z is fitted by
    least squares as a sum of one part per attribute. The two means of an attribute differ only by its own part; the other
    attributes are at their means. Classes have plain means, because each sample has exactly one.

    Args:
        z: (n, d); row i is the latent vector of seed i.
        shown: bool (n, len(names)).
        names: names of the things.
        exclusive: classes rather than attributes.
    """
    middle = z.mean(0)
    weights = shown.double()
    centered = weights - weights.mean(0)
    # If two attributes always come together, each gets half: the shortest of all solutions.
    added = torch.linalg.lstsq(centered, (z - middle).double(), driver="gelsd").solution.float()
    pairs = []
    for i, name in enumerate(names):
        rows = shown[:, i]
        have, lack = (tuple(side.nonzero().flatten().tolist()) for side in (rows, ~rows))
        if exclusive:
            pairs.append((Mean(f"class {name}", z[rows].mean(0), have), Mean(f"not class {name}", z[~rows].mean(0), lack)))
        else:
            share = float(rows.float().mean())
            with_it, without = middle + added[i] * (1 - share), middle - added[i] * share
            pairs.append((Mean(f"with {name}", with_it, have), Mean(f"without {name}", without, lack)))
    return pairs


def move(z: torch.Tensor, difference: torch.Tensor, strength: float, distribution: str = "normal") -> torch.Tensor:
    """z (..., d) + strength * difference (d,); a uniform z is clamped to its bounds, because the generator never saw values beyond them."""
    moved = z + strength * difference
    return moved.clamp(-1, 1) if distribution == "uniform" else moved


def as_directions(found: Sequence[Contrast], most: int) -> Directions:
    """Contrasts as directions for sliders, those that work best first: two standard deviations are the strength that is wanted."""
    best = sorted(range(len(found)), key=lambda i: -found[i].share)[:most]
    vectors = torch.stack([found[i].difference * found[i].strength / WANTED_AT for i in best])
    return Directions(tuple(i + 1 for i in best), vectors, tuple(found[i].share for i in best))


def jitter(latent_dim: int, count: int = 8) -> torch.Tensor:
    """Uniform noise in [-1, 1] (count, latent_dim), always the same. Times JITTER, it is added to the results of arithmetic."""
    return torch.rand(count, latent_dim, generator=torch.Generator().manual_seed(0)) * 2 - 1
