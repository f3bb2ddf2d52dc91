"""Directions of the latent space that change the images most: found in a generator's first layer, without labels.

Each is as long as one standard deviation of z: 1 for a normal z, in any direction, and 1 / sqrt(3) for a uniform z. So a slider
from -3 to 3 covers what the generator was trained on, and little more.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch

from gan import latent
from gan.networks.stylegan import StyleGenerator

MOST = 16  # the most directions at once: browsers get them as numbers
SAMPLES = 4096  # latent vectors whose features are analyzed
LARGEST_LOOK = 1 << 25  # numbers: the more features, the fewer latent vectors
SPARE = 32  # extra components, because some have no direction
LOOKED_AT = 8  # styles; each of their numbers is moved by itself
STRAIGHT = 0.2  # share of a component's variance that must be linear in z

METHODS = ("pca", "sefa", "raw")

_drawing = threading.Lock()


class LayeredGenerator(latent.LatentToImage, Protocol):
    """What this module needs from a generator."""

    classes: int

    def first_features(self, z: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor: ...

    def first_weights(self) -> torch.Tensor: ...


@dataclass(frozen=True)
class Directions:
    """Directions of the latent space, strongest first.

    Attributes:
        numbers: rank of each, from 1 on; for single dimensions, the dimension's index, from 0 on.
        vectors: float32 (k, latent_dim), each as long as one standard deviation of z along it.
        shares: strength of each: its share of the features' variance (pca), of the squared weights (sefa), or the mean
            absolute change of a pixel, in units of [-1, 1], for a step of 1 (raw).
    """

    numbers: tuple[int, ...]
    vectors: torch.Tensor
    shares: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.numbers)

    def only(self, places: list[int]) -> "Directions":
        """The directions at these indices."""
        return Directions(tuple(self.numbers[i] for i in places), self.vectors[places], tuple(self.shares[i] for i in places))


def find(generator: LayeredGenerator, method: str, count: int, distribution: str = "normal", label: int | None = None) -> Directions:
    """The strongest directions of a generator; fewer than `count` if it has no more.

    Args:
        generator: in eval mode, on the CPU.
        method: one of METHODS.
        count: how many; latent_dim at most.
        distribution: of its latent vectors, "normal" or "uniform".
        label: for a conditional generator, the class whose features to analyze. Weights do not depend on it.

    Raises:
        ValueError: the method is unknown.
    """
    if method == "pca":
        return principal(generator, count, distribution, label)
    if method == "sefa":
        return closed_form(generator, count, distribution)
    if method == "raw":
        strongest = latent.strongest_dimensions(generator, distribution=distribution, label=label)[:count]
        numbers = [number for number, _ in strongest]
        vectors = torch.eye(generator.latent_dim)[numbers] * latent.deviation(distribution)
        return Directions(tuple(numbers), vectors, tuple(effect for _, effect in strongest))
    raise ValueError(f"the method must be one of {', '.join(METHODS)}; got {method!r}")


@torch.inference_mode()
def principal(
    generator: LayeredGenerator, count: int, distribution: str = "normal", label: int | None = None, samples: int = SAMPLES
) -> Directions:
    """Principal components of the features after the first layer, mapped back to z (GANSpace, Härkönen et al. 2020).

    The features come after the first layer's normalization and activation. A component's direction is the direction of z that
    explains it best, by least squares. Activations are not linear: some components grow on both sides (with the distance of
    z from 0, say). These have no direction and are left out.

    Args:
        generator, count, distribution, label: see find().
        samples: number of latent vectors; fewer if the first layer is so wide that their features would not fit.
    """
    d = generator.latent_dim
    z = latent.from_seeds(range(min(samples, 256)), d, distribution)  # the number of features per vector is known after the first few
    features = _features(generator, z, label)
    most = max(4 * d, min(samples, LARGEST_LOOK // features.shape[1]))
    if most > len(z):
        more = latent.from_seeds(range(len(z), most), d, distribution)
        features = torch.cat([features, *(_features(generator, part, label) for part in more.split(512))])
        z = torch.cat([z, more])
    features -= features.mean(0)
    z = z - z.mean(0)
    total = features.square().sum()
    rank = min(count + SPARE, *features.shape)
    with _seeded():  # pca_lowrank starts with a random sketch
        _, _, axes = torch.pca_lowrank(features, q=rank, center=False, niter=4)
    along = features @ axes
    variances = along.square().sum(0)
    # The columns of `along` are orthogonal, so least squares over all of them is least squares over each.
    weights = (along.T @ z) / variances.clamp_min(1e-12)[:, None]
    explained = weights.square().sum(1) * variances / (len(z) * latent.deviation(distribution) ** 2)
    kept = [i for i in range(rank) if variances[i] > 1e-6 * total and explained[i] >= STRAIGHT][: min(count, d)]
    shares = tuple(float(variances[i] / total) for i in kept)
    return Directions(tuple(range(1, len(kept) + 1)), _lengthen(weights[kept], distribution), shares)


@torch.inference_mode()
def closed_form(generator: LayeredGenerator, count: int, distribution: str = "normal") -> Directions:
    """The directions that the weights A of the layers that get z stretch most: eigenvectors of A'A (SeFa, Shen and Zhou 2021, equation 5).

    Usually that is the first layer. For a conditional generator, only the part of A that acts on z. For the arguments, see find().
    """
    stretch = generator.first_weights().double()
    values, vectors = torch.linalg.eigh(stretch @ stretch.T)  # rising
    values, vectors = values.flip(0)[:count].clamp_min(0), vectors.flip(1).T[:count]
    total = stretch.square().sum()
    shares = tuple(float(value / total) for value in values)
    return Directions(tuple(range(1, len(vectors) + 1)), _lengthen(vectors.float(), distribution), shares)


def find_styles(generator: StyleGenerator, method: str, count: int, distribution: str = "normal", label: int | None = None) -> Directions:
    """The strongest directions in w, each as long as one standard deviation of w along it. Arguments and errors as in find().

    "pca" are the principal components of w (GANSpace). "sefa" are the directions that the styles of all layers stretch most. "raw" are
    single numbers of w.
    """
    if method not in METHODS:
        raise ValueError(f"the method must be one of {', '.join(METHODS)}; got {method!r}")
    labels = torch.full((SAMPLES,), label or 0) if generator.classes else None
    with torch.inference_mode():
        w = generator.styles(latent.from_seeds(range(SAMPLES), generator.latent_dim, distribution), labels)
        if method == "raw":
            effects = _effects(generator, w[:LOOKED_AT], w.std(0))
            order = effects.argsort(descending=True)[:count]
            return Directions(tuple(order.tolist()), torch.diag(w.std(0))[order], tuple(effects[order].tolist()))
        w = w - w.mean(0)
        stretch = w if method == "pca" else torch.cat([layer.affine.scaled_weight for layer in generator.modulated()])
        stretch = stretch.double()
        values, vectors = torch.linalg.eigh(stretch.T @ stretch)  # rising
        values, vectors = values.flip(0)[:count].clamp_min(0), vectors.flip(1).T[:count].float()
        largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
        vectors = vectors * largest.sign() * (w @ vectors.T).std(0)[:, None]
        shares = tuple(float(value / stretch.square().sum()) for value in values)
    return Directions(tuple(range(1, len(vectors) + 1)), vectors, shares)


def _effects(generator: StyleGenerator, w: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """The mean absolute change of a pixel, in units of [-1, 1], for a step along each number of w (N, d): (d,)."""
    before, found = generator.draw(w), []
    for part in torch.diag(steps).split(32):
        moved = generator.draw((w[None] + part[:, None]).flatten(0, 1))
        found.append((moved.unflatten(0, (-1, len(w))) - before).abs().mean(dim=(1, 2, 3, 4)))
    return torch.cat(found)


def _features(generator: LayeredGenerator, z: torch.Tensor, label: int | None) -> torch.Tensor:
    """z (N, latent_dim) -> (N, features)."""
    return generator.first_features(z, torch.full((len(z),), label or 0) if generator.classes else None)


def _lengthen(vectors: torch.Tensor, distribution: str) -> torch.Tensor:
    """Vectors (k, d), each as long as one standard deviation of z. Its largest number is positive, because the sign is arbitrary."""
    if not len(vectors):
        return vectors
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    return vectors / vectors.norm(dim=1, keepdim=True).clamp_min(1e-12) * largest.sign() * latent.deviation(distribution)


@contextmanager
def _seeded() -> Iterator[None]:
    """Sets the global random generator to seed 0, for one caller at a time, and restores it at the end."""
    with _drawing, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
