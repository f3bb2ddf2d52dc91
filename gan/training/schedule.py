"""The values of scheduled settings after a number of images. Pure functions of the config; they know no state or device.

A schedule goes from a setting to its end value along a line or half a cosine wave, as in R3GAN (Huang et al. 2024, appendix). It depends on
the config and on the images seen, and on nothing else. So a run that resumes, a fork and a replay need no memory of it. Learning rates and
penalties end at a share of the setting: a learning rate changed by hand scales the rest of its schedule.
"""

import math
from dataclasses import dataclass

from gan.config import TrainConfig

BETA2_LEVELS = 64  # a recorded CUDA graph holds beta 2 as a constant, so each change costs a new recording


@dataclass(frozen=True)
class Scheduled:
    """The scheduled settings at one moment.

    Attributes:
        rate: factor on both learning rates.
        penalty: factor on the penalties (R1, R2, gradient penalty).
        beta2: Adam's.
        half_life: of the EMA generator, in images.
    """

    rate: float
    penalty: float
    beta2: float
    half_life: float


def scheduled(config: TrainConfig, images_seen: int) -> Scheduled:
    """The settings after this many real images; without a schedule, those of the config."""
    start = config.schedule_start
    place = min(1.0, max(0, images_seen - start) / (config.schedule_images - start)) if config.schedule_images else 0.0
    way = _way(config, place)
    return Scheduled(
        rate=_between(1.0, config.lr_end, way),
        penalty=_between(1.0, config.penalty_end, way),
        beta2=_between(config.beta2, config.beta2_end, _way(config, math.floor(place * BETA2_LEVELS) / BETA2_LEVELS)),
        half_life=_between(config.average_half_life, config.average_half_life_end, way),
    )


def _way(config: TrainConfig, place: float) -> float:
    """How far the settings have moved to their end values, 0 to 1. place: the share of the schedule's images seen so far."""
    return place if config.schedule == "linear" else (1 - math.cos(math.pi * place)) / 2


def _between(start: float, end: float | None, way: float) -> float:
    return start if end is None or way == 0 else end if way == 1 else start + way * (end - start)


def moves_rates(config: TrainConfig) -> bool:
    """Whether the schedule changes the learning rates."""
    return config.schedule_images > 0 and config.lr_end != 1


def moves_penalties(config: TrainConfig) -> bool:
    """Whether the schedule changes the weights of the penalties."""
    return config.schedule_images > 0 and config.penalty_end != 1


def lazy_share(config: TrainConfig) -> float:
    """What lazy penalties leave of the discriminator's learning rate, and the power of its betas: 1 without them.

    With an extra update every k steps there are k + 1 updates instead of k. The rate is multiplied by c = k / (k + 1), and the betas are
    raised to the power of c, so that k steps move and forget as much as before (Karras et al. 2020, StyleGAN2, appendix B).
    """
    return config.penalty_every / (config.penalty_every + 1) if config.penalizes_lazily else 1.0


def penalty_is_due(config: TrainConfig, step: int) -> bool:
    """Whether the step after `step` steps includes the penalties."""
    return step % config.penalty_every == 0
