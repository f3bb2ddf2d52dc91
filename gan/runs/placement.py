"""Which device a run goes to. Pure: it knows nothing about runs or memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

# Free memory that differs by less than this share counts as equal. A small run takes far less than a GPU has, so without it a few MiB,
# such as another process's context, would put two runs on one GPU and none on the next.
SAME = 0.05


@dataclass(frozen=True)
class Place:
    """A device as a new run finds it.

    Attributes:
        device: where.
        free: bytes of memory that are left for the run.
        runs: how many runs are at work there.
    """

    device: torch.device
    free: float
    runs: int


def best(places: Sequence[Place]) -> Place:
    """The place with the most free memory, and where that is about equal, the one with the fewest runs.

    Memory comes first because a run without enough of it fails, and because other programs' share counts, too. Runs come second because
    those on one GPU slow each other.

    Args:
        places: at least one; of equal ones, the first is taken.
    """
    most = max(place.free for place in places)
    return min((place for place in places if place.free >= (1 - SAME) * most), key=lambda place: (place.runs, -place.free))
