"""What a training loop yields: Python numbers and uint8 arrays, never live tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

THREADS = "threads"  # the `field` of a ThreadChange in the log of interventions


@dataclass(frozen=True)
class Progress:
    """Work before the first step: `done` of `total` (0 if unknown) units of `task`."""

    task: str
    done: int
    total: int


@dataclass(frozen=True)
class Done:
    """How far a run is: steps, real images seen, seconds of training."""

    step: int = 0
    images_seen: int = 0
    elapsed_s: float = 0.0

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self:
        """How far a saved state is."""
        return cls(int(state["step"]), int(state["images_seen"]), float(state["elapsed_s"]))


@dataclass(frozen=True)
class Metrics:
    """Means over the steps since the last Metrics.

    Losses as in the papers, in nats. `d_real` is the mean of D(x) on real images, `d_fake` the mean of D(G(z)) before the discriminator's
    step, `d_fake_after` the same after it. They are probabilities in [0, 1], or unbounded scores if `scores` is true.
    `augmentation` is the probability of each change of an image with adaptive augmentation at that step, else None. `distance` is, for a
    run that translates images, the mean difference between outputs and targets (pix2pix) or between images and what comes back from a
    translation there and back (CycleGAN), as a share of the range of pixels, 0 to 1; else None.
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
    augmentation: float | None = None
    distance: float | None = None


@dataclass(frozen=True)
class Intervention:
    """A live setting was changed: the steps after `step` use the new value."""

    step: int
    field: str
    old: Any
    new: Any


@dataclass(frozen=True)
class ThreadChange:
    """The run itself changed its number of processor threads: the steps after `step` use `new` threads.

    This is neither a setting nor a user's change. It is logged because another number of threads adds in another order.
    """

    step: int
    old: int
    new: int


@dataclass(frozen=True)
class Samples:
    """The EMA generator's images from the run's fixed latent vectors or held-out images: uint8, (N, C, H, W); see draw_grid()."""

    step: int
    images: np.ndarray


@dataclass(frozen=True)
class Snapshot:
    """The EMA generator is worth saving at this step."""

    step: int


@dataclass(frozen=True)
class Judged:
    """The run's images were scored: a line of judge.jsonl, with its step."""

    row: Mapping[str, Any]


Event = Progress | Metrics | Intervention | ThreadChange | Samples | Snapshot | Judged
