"""Feature maps and filters as pictures."""

import math
from typing import cast

import numpy as np
import torch
from torch import nn

from gan.inside.files import Networks

_BELOW, _ZERO, _ABOVE = (np.array(color, dtype=np.float32) for color in ((33, 102, 172), (247, 247, 247), (178, 24, 43)))
_NOTHING = 128  # gray for missing values


def paint(maps: np.ndarray, signed: bool) -> np.ndarray:
    """Numbers as pictures, each map on its own scale: (N, H, W) -> uint8 (N, 3, H, W). NaN is gray.

    signed: blue below 0, white at 0, red above, up to the map's largest absolute value; else from its smallest value,
    black, to its largest, white. A number alone counts as a logit: the more certain, the fuller its color.
    """
    known = np.nan_to_num(maps.astype(np.float32))
    if signed:
        if maps.shape[1:] == (1, 1) and len(maps) == 1:  # D's answer: no other number to compare it with
            share = np.tanh(known / 2)  # as far from undecided as 2 / (1 + exp(-logit)) - 1 is
        else:
            largest = np.abs(known).max(axis=(1, 2), keepdims=True)
            share = known / np.where(largest > 0, largest, 1)
        ends = np.where(share[:, None] < 0, _BELOW[:, None, None], _ABOVE[:, None, None])
        colors = _ZERO[:, None, None] + (ends - _ZERO[:, None, None]) * np.abs(share[:, None])
    else:
        low, high = (f(maps, axis=(1, 2), keepdims=True) for f in (np.nanmin, np.nanmax))
        share = (known - low) / np.where(high > low, high - low, 1)
        colors = np.repeat(share[:, None] * 255, 3, axis=1)
    colors = np.where(np.isnan(maps)[:, None], _NOTHING, colors)
    return colors.clip(0, 255).round().astype(np.uint8)


def as_map(numbers: np.ndarray) -> np.ndarray:
    """Numbers without a position, arranged as squarely as possible: any shape -> (1, rows, columns), NaN in the empty places."""
    flat = numbers.reshape(-1).astype(np.float32)
    columns = math.ceil(math.sqrt(flat.size))
    if divisors := [d for d in range(columns, min(2 * columns, flat.size) + 1) if flat.size % d == 0]:
        columns = divisors[0]
    rows = -(-flat.size // columns)
    return np.pad(flat, (0, rows * columns - flat.size), constant_values=np.nan).reshape(1, rows, columns)


def first_filters(networks: Networks) -> np.ndarray:
    """The filters of D's first layer, one picture per filter: float32 (N, C, height, width).

    For a convolution its kernels; for a dense layer its rows, in the image's shape. If the discriminator sees several images at
    once, the parts for each image are side by side.
    """
    assert networks.discriminator is not None
    weight = networks.discriminator.first_layer.weight.detach()
    config = networks.config
    size = config.image_size if weight.dim() == 2 else weight.shape[-1]
    parts = weight.reshape(len(weight), config.packing, config.channels, size, size)
    return torch.cat(list(parts.unbind(1)), -1).numpy()


def last_filters(networks: Networks) -> np.ndarray:
    """What each map (or number) before G's last layer adds to the image: float32 (N, C, height, width)."""
    module = cast(nn.Conv2d | nn.ConvTranspose2d | nn.Linear, networks.generator.at_pixels)
    weight, config = module.weight.detach(), networks.config
    if isinstance(module, nn.Linear):
        return weight.t().reshape(-1, config.channels, config.image_size, config.image_size).numpy()
    return (weight if isinstance(module, nn.ConvTranspose2d) else weight.transpose(0, 1)).contiguous().numpy()


def paint_filters(filters: np.ndarray) -> np.ndarray:
    """(N, C, h, w) -> uint8 (N, 3, h, w), each on its own scale: blue below 0 and red above, or in color with gray at 0."""
    if filters.shape[1] == 1:
        return paint(filters[:, 0], signed=True)
    largest = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
    return (127.5 + 127.5 * filters / np.where(largest > 0, largest, 1)).round().astype(np.uint8)
