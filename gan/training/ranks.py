"""What training asks of the other ranks of a run, and the error when one of them is gone. gan/distributed has the ranks themselves.

A rank is one of several processes on one or more machines. They train one run together. Each takes its part of every batch. The loss of
a part counts by its share of the batch, so the sum of all ranks' gradients is the gradient of the whole batch's loss.
"""

from collections.abc import Iterable
from typing import Any, Protocol

import torch

from gan.config import TrainConfig
from gan.draws import Part


class RankLost(RuntimeError):
    """Another rank has ended, so this one cannot continue. The message is a sentence."""


class Ranks(Protocol):
    """The ranks of a run, seen from one of them. Every method waits for the same call of all others."""

    part: Part

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, which alone writes files."""

    @property
    def count(self) -> int:
        """How many ranks there are."""

    def share_control(self, control: Any) -> Any:
        """A Control (gan/training/loop.py) -> one on which all ranks agree before each step."""

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replaces the gradients by their sums over all ranks, in one reduction."""

    def whole_mean(self, mean: torch.Tensor) -> torch.Tensor:
        """Means over this rank's part -> means over the whole batch. Differentiable, twice."""


def refuse_settings(config: TrainConfig, count: int) -> None:
    """
    Raises:
        ValueError: a batch cannot be divided among so many ranks.
    """
    if config.networks == "cyclegan" and config.image_buffer:
        raise ValueError(f"image_buffer must be 0 with {count} ranks: each would have a buffer of its own; got {config.image_buffer}")
    packs = config.batch_size // config.packing
    least, why = (
        (2, "batch_norm_over rank needs two images on each") if config.batch_norm_over == "rank" else (1, "each takes a part of it")
    )
    if packs < least * count:
        needed = least * count * config.packing
        raise ValueError(f"batch_size must be at least {needed} with {count} ranks: {why}; got {config.batch_size}")
