"""What a training loop yields: Python numbers and uint8 arrays, never live tensors."""

from dataclasses import dataclass
from typing import Any

import numpy as np

THREADS = "threads"  # what stands for `field` where a ThreadChange is kept among interventions


@dataclass(frozen=True)
class Progress:
    """Work before the first step: `done` of `total` (0 where unknown) of `task`."""

    task: str
    done: int
    total: int


@dataclass(frozen=True)
class Metrics:
    """Means over the steps since the last Metrics.

    Losses as in the papers, in nats. `d_real` is D(x) on real images, `d_fake` D(G(z)) before the discriminator's step,
    `d_fake_after` after it: probabilities in [0, 1], or, where `scores` is true, scores without bounds.
    """

    step: int
    images_seen: int
    elapsed_s: float
    images_per_s: float
    loss_d: float
    loss_g: float
    d_real: float
    d_fake: float
    d_fake_after: float
    scores: bool = False


@dataclass(frozen=True)
class Intervention:
    """A live setting was changed: the steps behind `step` are computed with the new value."""

    step: int
    field: str
    old: Any
    new: Any


@dataclass(frozen=True)
class ThreadChange:
    """The run itself chose another number of processor threads: the steps after `step` are computed on `new`.

    This is no setting, and nobody's intervention; but sums run in another order on another number of threads, so it must be kept.
    """

    step: int
    old: int
    new: int


@dataclass(frozen=True)
class Samples:
    """The averaged generator's images for the run's fixed noise: uint8, (N, C, H, W)."""

    step: int
    images: np.ndarray


@dataclass(frozen=True)
class Snapshot:
    """The averaged generator is worth keeping as it is now: the caller may save it."""

    step: int


@dataclass(frozen=True)
class Judged:
    """The run's images were judged: a line of judge.jsonl, with its step."""

    row: dict[str, Any]


Event = Progress | Metrics | Intervention | ThreadChange | Samples | Snapshot | Judged
