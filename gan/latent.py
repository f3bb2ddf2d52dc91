"""The latent space: seeds -> z, interpolation, walks, the dimensions that matter. Pure functions of tensors."""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch

LARGEST_SEED = 2**63 - 1
SMALLEST_THRESHOLD = 0.04  # of truncation, as in the paper's figures; numbers are drawn again about 30 times to get below it


class LatentToImage(Protocol):
    """What this module needs from a generator."""

    latent_dim: int

    def __call__(self, z: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor: ...


def from_seeds(seeds: Sequence[int], latent_dim: int, distribution: str = "normal", threshold: float | None = None) -> torch.Tensor:
    """One latent vector per seed: float32 (len(seeds), latent_dim) on the CPU.

    Each vector depends only on its own seed, so a seed names the same point everywhere.

    Args:
        seeds: 0 to 2^63 - 1.
        latent_dim: numbers per vector.
        distribution: "normal" for N(0, 1), "uniform" for [-1, 1].
        threshold: truncation: numbers beyond plus or minus this are drawn again until they are not (Brock et al. 2019, section 3.1).
            Lower values make images more typical and less varied. None: no truncation.

    Raises:
        ValueError: a seed or the threshold is out of bounds.
    """
    if threshold is not None and not threshold >= SMALLEST_THRESHOLD:
        raise ValueError(f"truncation must be at least {SMALLEST_THRESHOLD:g}; got {threshold:g}")
    rows = []
    for seed in seeds:
        if not 0 <= seed <= LARGEST_SEED:
            raise ValueError(f"a seed must be between 0 and 2^63 - 1; got {seed}")
        rng = torch.Generator().manual_seed(seed)
        row = _drawn(latent_dim, distribution, rng)
        while threshold is not None and len(beyond := (row.abs() > threshold).nonzero()[:, 0]):
            row[beyond] = _drawn(len(beyond), distribution, rng)
        rows.append(row)
    return torch.stack(rows) if rows else torch.empty(0, latent_dim)


def _drawn(n: int, distribution: str, rng: torch.Generator) -> torch.Tensor:
    return torch.randn(n, generator=rng) if distribution == "normal" else torch.rand(n, generator=rng) * 2 - 1


def deviation(distribution: str) -> float:
    """The standard deviation of each number of z, and of z along any direction: 1, or 1 / sqrt(3) for "uniform"."""
    return 1.0 if distribution == "normal" else 3**-0.5


def usual_lengths(latent_dim: int, distribution: str = "normal") -> tuple[float, float]:
    """The range of lengths of 98% of the latent vectors in training."""
    rng = torch.Generator().manual_seed(0)
    shape = (10_000, latent_dim)
    drawn = torch.randn(shape, generator=rng) if distribution == "normal" else torch.rand(shape, generator=rng) * 2 - 1
    low, high = drawn.norm(dim=1).quantile(torch.tensor([0.01, 0.99])).tolist()
    return low, high


def lattice_seed(seeds: Sequence[int], i: int, j: int) -> int:
    """The seed at column i, row j of the pad's endless grid, as in ui/components/pad.js.

    seeds: those at (0, 0), (1, 0), (0, 1), (1, 1). Every other place has a hash of its column and row, below 2^31.
    """
    if i in (0, 1) and j in (0, 1):
        return seeds[2 * j + i]
    mask = 0xFFFFFFFF
    h = (i * 0x9E3779B1 ^ j * 0x85EBCA77) & mask
    h = (h ^ h >> 16) * 0x7FEB352D & mask
    h = (h ^ h >> 15) * 0x846CA68B & mask
    return (h ^ h >> 16) >> 1


def parse_seeds(text: str, most: int = 4096) -> list[int]:
    """ "1,2,10-13" -> [1, 2, 10, 11, 12, 13].

    Raises:
        ValueError: the text has another form, a seed is out of bounds, or there are no seeds or more than `most`.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = (p.strip() for p in part.partition("-"))
        if not (first.isascii() and first.isdigit()) or (dash and not (last.isascii() and last.isdigit())) or len(first + last) > 40:
            raise ValueError(f"seeds must look like 1,2,10-13; got {text[:80]!r}")
        start, end = int(first), int(last or first)
        if end < start or end > LARGEST_SEED:
            raise ValueError(f"seeds must rise within 0 to 2^63 - 1; got {part.strip()[:80]!r}")
        if len(seeds) + end - start >= most:
            raise ValueError(f"give at most {most} seeds; got more in {text[:80]!r}")
        seeds.extend(range(start, end + 1))
    return seeds


def seed_text(seeds: Sequence[int]) -> str:
    """[1, 2, 10, 11, 12] -> "1,2,10-12", which parse_seeds() reads."""
    spans: list[list[int]] = []
    for seed in seeds:
        if spans and seed == spans[-1][1] + 1:
            spans[-1][1] = seed
        else:
            spans.append([seed, seed])
    texts = [str(first) if first == last else f"{first},{last}" if last == first + 1 else f"{first}-{last}" for first, last in spans]
    return ",".join(texts)


def lerp(a: torch.Tensor, b: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """The straight line: (1 - t) a + t b. a, b: (..., d); t: broadcastable to (..., 1), 0 to 1."""
    return a + (b - a) * t


def slerp(a: torch.Tensor, b: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """The great circle from a to b (Shoemake 1985; White 2016 for GANs); the norm changes evenly from |a| to |b|.

    High-dimensional normal vectors lie close to a sphere of radius sqrt(d). Straight lines cut through its inside, where the
    generator was never trained. Zero vectors and (nearly) parallel or opposite vectors have no unique arc; they use lerp.

    a, b: (..., d); t: broadcastable to (..., 1), 0 to 1.
    """
    norm_a, norm_b = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    unit_a, unit_b = a / norm_a.clamp_min(1e-12), b / norm_b.clamp_min(1e-12)
    cosine = (unit_a * unit_b).sum(-1, keepdim=True).clamp(-1, 1)
    angle = torch.acos(cosine)
    sine = torch.sin(angle)
    arc = (torch.sin((1 - t) * angle) * unit_a + torch.sin(t * angle) * unit_b) / sine.clamp_min(1e-12)
    return torch.where((sine > 1e-4) & (norm_a * norm_b > 0), arc * (norm_a + (norm_b - norm_a) * t), lerp(a, b, t))


INTERPOLATIONS = {"slerp": slerp, "lerp": lerp}

# Time along a leg of a walk -> distance along it, both 0 to 1: even, or slow at both ends (Hermite's 3 t^2 - 2 t^3).
EASINGS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"linear": lambda t: t, "smooth": lambda t: t * t * (3 - 2 * t)}


def walk(anchors: torch.Tensor, frames: int, mode: str = "slerp", closed: bool = False, easing: str = "linear") -> torch.Tensor:
    """A path of `frames` points through the anchors, in order.

    Args:
        anchors: (n, d), n at least 2.
        frames: how many points, at least 2. The first point is the first anchor. The last point is the last anchor, or if
            closed, one step before the first anchor, so a loop does not pause.
        mode: "slerp" or "lerp".
        closed: return to the first anchor.
        easing: "linear" for an even pace, "smooth" to slow down at each anchor.

    Returns:
        (frames, d).

    Raises:
        ValueError: too few anchors or frames, or another mode or easing.
    """
    if len(anchors) < 2:
        raise ValueError(f"a walk needs at least 2 latent vectors; got {len(anchors)}")
    if frames < 2:
        raise ValueError(f"a walk needs at least 2 frames; got {frames}")
    if mode not in INTERPOLATIONS:
        raise ValueError(f"the mode of a walk must be slerp or lerp; got {mode!r}")
    if easing not in EASINGS:
        raise ValueError(f"the pace of a walk must be linear or smooth; got {easing!r}")
    stops = torch.cat([anchors, anchors[:1]]) if closed else anchors
    legs = len(stops) - 1
    position = torch.linspace(0, legs, frames + 1)[:-1] if closed else torch.linspace(0, legs, frames)
    leg = position.floor().clamp(max=legs - 1).long()
    return INTERPOLATIONS[mode](stops[leg], stops[leg + 1], EASINGS[easing](position - leg).unsqueeze(1))


@torch.inference_mode()
def strongest_dimensions(
    generator: LatentToImage, samples: int = 8, step: float = 1.0, distribution: str = "normal", label: int | None = None
) -> list[tuple[int, float]]:
    """Latent dimensions by how much they change the image, the strongest first.

    Args:
        generator: (N, d) -> (N, C, H, W), in eval mode.
        samples: number of latent vectors (seeds 0, 1, ...) to average over.
        step: how much is added to each dimension.
        label: the class to draw, for a conditional generator.

    Returns:
        (dimension, mean absolute change of a pixel for that step, in units of [-1, 1]) for all d dimensions.
    """
    d = generator.latent_dim
    z = from_seeds(range(samples), d, distribution)

    def draw(z: torch.Tensor) -> torch.Tensor:
        return generator(z) if label is None else generator(z, torch.full((len(z),), label))

    before = draw(z)
    effects = []
    for start in range(0, d, 32):
        shifts = torch.eye(d)[start : start + 32] * step
        moved = draw((z[None] + shifts[:, None]).flatten(0, 1))
        effects.append((moved.unflatten(0, (-1, samples)) - before).abs().mean(dim=(1, 2, 3, 4)))
    effect = torch.cat(effects)
    return [(int(i), float(effect[i])) for i in effect.argsort(descending=True)]
