"""From an image back to a point of the latent space: the z whose image is closest to it. Knows nothing about pages.

Gradient descent on z through the generator (Creswell and Bharath 2016, Lipton and Tripathi 2017), from the best of many random points at
once, because a single descent often ends in a local minimum. z keeps a length that is usual in training: elsewhere a generator
can draw nearly anything, but no walk leads on from there.
"""

import math
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch

from gan import latent
from gan.devices import one_thread_a_step
from gan.events import Progress
from gan.images import to_float, to_uint8
from gan.judging.features import FeatureNetwork
from gan.networks.generator_file import LoadedGenerator
from gan.networks.sampling import sample
from gan.optimizers import Adam

STARTS = 1024  # random points to start from
DESCENTS, FINALISTS = 24, 4  # how many of them are optimized, and how many of these to the end
STEPS = 240  # half of them for all descents
LR = 0.1  # of Adam; it falls to 0 over the second half
PIXELS = 5.0  # weight of the mean squared pixel difference, in [-1, 1], relative to the mean squared feature difference
SHOWN_EVERY = 8  # steps between two guesses on screen


@dataclass(frozen=True)
class Guess(Progress):
    """The progress of a projection, and its best image so far: uint8 (C, H, W)."""

    image: np.ndarray


@dataclass(frozen=True)
class Drawn:
    """A generated image, and its distance from the target image.

    Attributes:
        z: float32 (latent_dim,).
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
        usual: the usual lengths of z in training, shortest and longest.
    """

    found: Drawn
    start: Drawn
    usual: tuple[float, float]


@one_thread_a_step
def project(
    loaded: LoadedGenerator, image: np.ndarray, network: FeatureNetwork | None, label: int | None = None
) -> Generator[Progress, None, Projection]:
    """Finds an image in a generator's latent space. Every call gives the same result. It uses one thread, so a run keeps its cores.

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
    usual = latent.usual_lengths(config.latent_dim, config.latent_distribution)
    z = latent.from_seeds(range(STARTS), config.latent_dim, config.latent_distribution)
    classes = len(loaded.class_names)
    labels = torch.arange(STARTS) % classes if classes and label is None else torch.full((STARTS,), label or 0)

    def distances(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean squared differences of pixels and features: (N,) each."""
        pixels = (pictures - wanted_pixels).square().mean((1, 2, 3))
        if network is None or wanted_features is None:
            return pixels, torch.full_like(pixels, math.nan)
        return pixels, (network.embed(pictures) - wanted_features).square().mean(1)

    def loss(pixels: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        return PIXELS * pixels + (features if network else 0)

    def drawn(z: torch.Tensor, label: int) -> Drawn:
        picture = sample(loaded.network, z[None], torch.tensor([label]) if classes else None)
        with torch.no_grad():
            pixels, features = distances(to_float(torch.from_numpy(picture)))
        width = 0 if wanted_features is None else wanted_features.shape[1]
        return Drawn(z, label, picture[0], 127.5 * float(pixels.sqrt()), float((features * width).sqrt()))

    losses, nearness = [], []
    for start in range(0, STARTS, 128):
        yield Progress("Looking at random images", start, STARTS)
        part = slice(start, start + 128)
        pictures = to_float(torch.from_numpy(sample(loaded.network, z[part], labels[part] if classes else None)))
        with torch.no_grad():
            pixels, features = distances(pictures)
        losses.append(loss(pixels, features))
        nearness.append(features if network else pixels)
    first = int(torch.cat(nearness).argmin())
    best_start = drawn(z[first], int(labels[first]))

    chosen = torch.cat(losses).argsort()[:DESCENTS]
    z, labels = z[chosen].clone().requires_grad_(), labels[chosen]
    optimizer = Adam([z], LR)
    for step in range(STEPS):
        pictures = loaded.network(z, labels) if classes else loaded.network(z)
        now = loss(*distances(pictures))
        if step % SHOWN_EVERY == 0:
            yield Guess("Searching", step, STEPS, to_uint8(pictures[int(now.argmin())][None])[0])
        optimizer.zero_grad()
        now.sum().backward()
        optimizer.step()
        with torch.no_grad():
            _keep_usual(z, usual, config.latent_distribution)
        later = 2 * step / STEPS - 1
        optimizer.param_groups[0]["lr"] = LR * (1 + math.cos(math.pi * max(0.0, later))) / 2
        if step == STEPS // 2:
            kept = now.detach().argsort()[:FINALISTS]
            z, labels = z.detach()[kept].clone().requires_grad_(), labels[kept]
            optimizer = Adam([z], LR)
    with torch.no_grad():
        last = loss(*distances(loaded.network(z, labels) if classes else loaded.network(z)))
    best = int(last.argmin())
    return Projection(drawn(z.detach()[best].clone(), int(labels[best])), best_start, usual)


def _keep_usual(z: torch.Tensor, usual: tuple[float, float], distribution: str) -> None:
    """Brings points (N, d) back to the usual lengths of z, in place."""
    lengths = z.norm(dim=1, keepdim=True).clamp_min(1e-12)
    z.mul_(lengths.clamp(*usual) / lengths)
    if distribution == "uniform":
        z.clamp_(-1, 1)
