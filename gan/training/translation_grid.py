"""The grid of a run that translates images: held-out images, and what the EMA generator makes of them. Knows nothing about files."""

import numpy as np
import torch

from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.networks.sampling import translate
from gan.networks.translation import Translator

# The rows, from above, as pages name them. A grid repeats them until it is square.
PAIR_ROWS = ("Input", "Output", "Target")
CYCLE_ROWS = ("A", "A to B", "Back to A", "B", "B to A", "Back to B")
_PAIR_SIDES, _CYCLE_SIDES = {16: 6, 64: 9, 256: 15}, {16: 6, 64: 6, 256: 12}  # images in a row, by TrainConfig.grid_images


def grid_side(config: TrainConfig) -> int:
    """Images in a row of the grid, and rows."""
    return (_CYCLE_SIDES if config.networks == "cyclegan" else _PAIR_SIDES)[config.grid_images]


def rows_of(config: TrainConfig) -> tuple[str, ...]:
    """What the rows of the grid show, from above; the names repeat."""
    return CYCLE_ROWS if config.networks == "cyclegan" else PAIR_ROWS


def translation_grid(network: Translator, config: TrainConfig, dataset: ImageDataset) -> np.ndarray:
    """uint8 (side * side, C, H, W): rows as in rows_of(). The same held-out images at every step."""
    side = grid_side(config)
    shown = dataset.held_out if dataset.held_out is not None else dataset
    columns = side * (side // len(rows_of(config)))
    if config.networks == "cyclegan":
        assert shown.labels is not None
        blocks = []
        for kind in range(2):
            images = shown.images[_some((shown.labels == kind).nonzero().flatten(), columns)]
            there = translate(network, images, back=kind == 1)
            blocks += [images, there, translate(network, there, back=kind == 0)]
    else:
        assert shown.inputs is not None
        rows = _some(torch.arange(len(shown)), columns)
        blocks = [shown.inputs[rows], translate(network, shown.inputs[rows]), shown.images[rows]]
    stacked = torch.stack(blocks)  # (rows, columns, C, H, W)
    parts = [part.flatten(0, 1) for part in stacked.split(side, 1)]
    return torch.cat(parts).numpy()


def _some(rows: torch.Tensor, count: int) -> torch.Tensor:
    """So many of the rows, from the first on; if there are fewer, they repeat."""
    return rows[torch.arange(count) % len(rows)]
