"""From an image back to a point of the latent space: the z whose image is closest to it. Knows nothing about pages.

Gradient descent on z through the generator (Creswell and Bharath 2016, Lipton and Tripathi 2017), from the best of many random points at
once, because a single descent often ends in a local minimum. z keeps a length that is usual in training: elsewhere a generator
can draw nearly anything, but no walk leads on from there.
"""

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from gan import latent
from gan.devices import one_thread_a_step
from gan.events import Progress
from gan.images import to_float, to_uint8
from gan.judging.features import FeatureNetwork
from gan.networks.generator_file import LoadedGenerator
from gan.networks.stylegan import StyleGenerator
from gan.optimizers import Adam

STARTS = 1024  # random points to start from
DESCENTS, FINALISTS = 24, 4  # how many of them are optimized, and how many of these to the end
STEPS = 240  # half of them for all descents
LR = 0.1  # of Adam; it falls to 0 over the second half
PIXELS = 5.0  # weight of the mean squared pixel difference, in [-1, 1], relative to the mean squared feature difference
BEYOND = 0.1  # share that counts of what a value exceeds -1 or 1 by
SHOWN_EVERY = 8  # steps between two guesses on screen


@dataclass(frozen=True)
class Guess(Progress):
    """The progress of a projection, and its best image so far: uint8 (C, H, W)."""

    image: np.ndarray


@dataclass(frozen=True)
class Drawn:
    """A generated image, and its distance from the target image.

    Attributes:
        z: float32 (latent_dim,); a style, w, if the generator has styles.
        label: its class; 0 if the generator is not conditional.
        image: uint8 (C, H, W).
        pixels: root mean square difference of the pixels, in gray levels of 255.
        features: Euclidean distance of the features; NaN if there is no feature network.
    """

    z: torch.Tensor
    label: int
    image: np.ndarray
    pixels: float
    features: float


@dataclass(frozen=True)
class Projection:
    """The result of a projection.

    Attributes:
        found: the image of the z that was found.
        start: the closest of STARTS random images (by features, if there are any).
        length: of the z that was found; for a style, its distance from the mean.
        usual: the usual lengths of z in training, shortest and longest; for styles, of the distance from their mean.
    """

    found: Drawn
    start: Drawn
    length: float
    usual: tuple[float, float]


@one_thread_a_step
def project(
    loaded: LoadedGenerator, image: np.ndarray, network: FeatureNetwork | None, label: int | None = None
) -> Generator[Progress, None, Projection]:
    """Finds an image in a generator's latent space, or in its space of styles if it has one. Every call gives the same result. It uses one thread, so a run keeps its cores.

    Args:
        loaded: the generator.
        image: uint8 (C, H, W), with the generator's size and channels.
        network: compares images by its features, in addition to pixels; None for pixels only.
        label: the class to draw, for a conditional generator; None to try all classes.

    Yields:
        Progress, then Guess.

    Raises:
        ValueError: the image does not have the generator's shape.
    """
    config = loaded.config
    if image.shape != (config.channels, config.image_size, config.image_size):
        wanted = f"{config.channels} x {config.image_size} x {config.image_size}"
        raise ValueError(f"the image must have the generator's shape, {wanted}; got {' x '.join(map(str, image.shape))}")
    wanted_pixels = to_float(torch.tensor(image))[None]
    wanted_features = torch.from_numpy(network.features(image[None])) if network else None
    z = latent.from_seeds(range(STARTS), config.latent_dim, config.latent_distribution)
    classes = len(loaded.class_names)
    labels = torch.arange(STARTS) % classes if classes and label is None else torch.full((STARTS,), label or 0)
    space: _Space = _Latent(loaded)
    if isinstance(loaded.network, StyleGenerator):
        space = _Styles(loaded.network)
        with torch.no_grad():
            z = loaded.network.styles(z, labels if classes else None)
    usual = space.usual(z)

    def distances(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean squared differences of pixels and features: (N,) each."""
        pixels = (pictures - wanted_pixels).square().mean((1, 2, 3))
        if network is None or wanted_features is None:
            return pixels, torch.full_like(pixels, math.nan)
        return pixels, (network.embed(pictures) - wanted_features).square().mean(1)

    def loss(pixels: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        return PIXELS * pixels + (features if network else 0)

    def drawn(z: torch.Tensor, label: int) -> Drawn:
        with torch.no_grad():
            picture = to_uint8(space.draw(z[None], torch.tensor([label])))
            pixels, features = distances(to_float(torch.from_numpy(picture)))
        width = 0 if wanted_features is None else wanted_features.shape[1]
        return Drawn(z, label, picture[0], 127.5 * float(pixels.sqrt()), float((features * width).sqrt()))

    losses, nearness = [], []
    for start in range(0, STARTS, 128):
        yield Progress("Looking at random images", start, STARTS)
        part = slice(start, start + 128)
        with torch.no_grad():
            pictures = to_float(torch.from_numpy(to_uint8(space.draw(z[part], labels[part]))))
            pixels, features = distances(pictures)
        losses.append(loss(pixels, features))
        nearness.append(features if network else pixels)
    first = int(torch.cat(nearness).argmin())
    best_start = drawn(z[first], int(labels[first]))

    chosen = torch.cat(losses).argsort()[:DESCENTS]
    z, labels = z[chosen].clone().requires_grad_(), labels[chosen]
    rate = LR * space.scale
    optimizer = Adam([z], rate)
    for step in range(STEPS):
        pictures = _shown(space.draw(z, labels))
        now = loss(*distances(pictures))
        if step % SHOWN_EVERY == 0:
            yield Guess("Searching", step, STEPS, to_uint8(pictures[int(now.argmin())][None])[0])
        optimizer.zero_grad()
        now.sum().backward()
        optimizer.step()
        with torch.no_grad():
            space.keep_usual(z, usual)
        later = 2 * step / STEPS - 1
        optimizer.param_groups[0]["lr"] = rate * (1 + math.cos(math.pi * max(0.0, later))) / 2
        if step == STEPS // 2:
            kept = now.detach().argsort()[:FINALISTS]
            z, labels = z.detach()[kept].clone().requires_grad_(), labels[kept]
            optimizer = Adam([z], rate)
    with torch.no_grad():
        last = loss(*distances(_shown(space.draw(z, labels))))
    best = int(last.argmin())
    found = z.detach()[best].clone()
    return Projection(drawn(found, int(labels[best])), best_start, float(space.lengths(found[None])), usual)


def _shown(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures with their values bounded, as on screen: only a tenth of what goes beyond -1 and 1 stays, for the gradient."""
    bounded = pictures.clamp(-1, 1)
    return bounded + BEYOND * (pictures - bounded)


class _Space(Protocol):
    """Where the search takes place.

    Attributes:
        scale: the size of a usual step, relative to a normal z.
    """

    scale: float

    def draw(self, points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Images of points (N, d); labels are ignored if the generator is not conditional."""

    def lengths(self, points: torch.Tensor) -> torch.Tensor:
        """(N, 1)."""

    def usual(self, points: torch.Tensor) -> tuple[float, float]:
        """The range of lengths of 98% of the points in training. points: of random latent vectors."""

    def keep_usual(self, points: torch.Tensor, usual: tuple[float, float]) -> None:
        """Brings points (N, d) back to the usual lengths, in place."""


class _Latent:
    """The latent space of any generator."""

    scale = 1.0

    def __init__(self, loaded: LoadedGenerator) -> None:
        self._network, self._config, self._classes = loaded.network, loaded.config, bool(loaded.class_names)

    def draw(self, points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        images: torch.Tensor = self._network(points, labels) if self._classes else self._network(points)
        return images

    def lengths(self, points: torch.Tensor) -> torch.Tensor:
        return points.norm(dim=1, keepdim=True)

    def usual(self, points: torch.Tensor) -> tuple[float, float]:
        return latent.usual_lengths(self._config.latent_dim, self._config.latent_distribution)

    def keep_usual(self, points: torch.Tensor, usual: tuple[float, float]) -> None:
        lengths = self.lengths(points).clamp_min(1e-12)
        points.mul_(lengths.clamp(*usual) / lengths)
        if self._config.latent_distribution == "uniform":
            points.clamp_(-1, 1)


class _Styles:
    """The space of styles w (Karras et al. 2020, appendix D, without its noise maps). Points keep a usual distance from their mean."""

    def __init__(self, network: StyleGenerator) -> None:
        self._network, self.scale = network, 1.0

    def draw(self, points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self._network.draw(points)

    def lengths(self, points: torch.Tensor) -> torch.Tensor:
        return (points - self._network.mean_w).norm(dim=1, keepdim=True)

    def usual(self, points: torch.Tensor) -> tuple[float, float]:
        self.scale = float(points.std(0).mean())
        low, high = self.lengths(points).quantile(torch.tensor([0.01, 0.99])).tolist()
        return low, high

    def keep_usual(self, points: torch.Tensor, usual: tuple[float, float]) -> None:
        away = points - self._network.mean_w
        lengths = self.lengths(points).clamp_min(1e-12)
        points.copy_(self._network.mean_w + away * (lengths.clamp(*usual) / lengths))
