"""Whose turn it is: the order in which waiting runs start, how long they take, and when each starts. Pure: it knows nothing about runs."""

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Sequence

from gan.config import TrainConfig
from gan.events import Done

# The settings that decide how long a step takes, to a good approximation. For those of the second list, only on or off matters.
_DECISIVE = (
    *("image_size", "channels", "networks", "generator_filters", "discriminator_filters", "generator_extra_layers"),
    *("generator_upsampling", "discriminator_head", "loss", "penalty_every", "batch_size", "packing", "d_steps", "g_steps", "reuse_fakes"),
    "precision",
)
_SWITCHES = (
    *("gradient_penalty", "r1", "r2", "self_attention", "minibatch_discrimination", "minibatch_std", "instance_noise", "dropout"),
    *("spectral_norm", "generator_spectral_norm"),
)


def kind(config: TrainConfig) -> tuple[object, ...]:
    """The kind of a run: runs of one kind take about the same time per step."""
    return (*(getattr(config, name) for name in _DECISIVE), *(bool(getattr(config, name)) for name in _SWITCHES))


def order(waiting: Sequence[tuple[str, float]], at_work: Iterable[str]) -> list[int]:
    """The indices of waiting runs in the order in which they start: nobody's second run before everyone's first.

    Args:
        waiting: for each waiting run its owner, and the time since when it could have been its turn: its submission, or the
            end of the same owner's last run if that is later. In the order of submission.
        at_work: the owners of the active runs.
    """
    before = Counter(at_work)
    turns = []
    for index, (owner, since) in enumerate(waiting):
        turns.append((before[owner], since, index))
        before[owner] += 1
    return [index for _, _, index in sorted(turns)]


def left_s(config: TrainConfig, done: Done, like: Done | None, images: int | None) -> float | None:
    """Seconds of training left for a run; None if unknown.

    Args:
        config: its settings.
        done: how far it is.
        like: how far another run of its kind is; it gives the speed.
        images: number of images in its data set.
    """
    if config.duration_unit == "seconds":
        return max(0.0, config.duration - done.elapsed_s)
    if like is None or not like.step or not like.elapsed_s:
        return None
    if config.duration_unit == "steps":
        return max(0.0, config.duration - done.step) * like.elapsed_s / like.step
    per_epoch = config.images_per_epoch(images)
    if per_epoch is None or not like.images_seen:
        return None
    return max(0.0, config.duration * per_epoch - done.images_seen) * like.elapsed_s / like.images_seen


def starts(slots: Sequence[float | None], durations: Sequence[float | None]) -> list[float | None]:
    """Seconds until each waiting run starts; None if unknown.

    Args:
        slots: for each run that may be at work, the seconds until it is free: 0 if it is free now, None if
            unknown. At least one.
        durations: seconds that each waiting run takes, in the order in which they start; None if unknown.
    """
    free = [math.inf if left is None else max(0.0, left) for left in slots]
    heapq.heapify(free)
    begins: list[float | None] = []
    for duration in durations:
        at = free[0]
        begins.append(at if math.isfinite(at) else None)
        heapq.heapreplace(free, math.inf if duration is None else at + max(0.0, duration))
    return begins
