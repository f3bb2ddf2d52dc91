"""The residual networks of R3GAN (Huang et al. 2024): grouped convolutions, bilinear resampling, no normalization. Know nothing about training."""

import math
from collections import OrderedDict
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from gan.config import TrainConfig
from gan.networks.layers import Block, Dropout, Layers, activation, map_sizes

EXPANSION = 2  # channels inside a block, as a multiple of those outside
GROUP = 16  # channels in each group of a block's 3 x 3 convolution, as in the paper's networks
WIDEST = 768  # most channels of a stage, as in the paper's networks
BASE = 4  # side of the smallest maps


class Residual(nn.Sequential, Block):
    """A block that adds a correction to its input: 1 x 1 to more channels, grouped 3 x 3, 1 x 1 back (Huang et al. 2024, figure 3).

    (N, width, H, W) -> the same shape. groups: of the middle convolution.
    """

    expand: nn.Conv2d
    grouped: nn.Conv2d
    compress: nn.Conv2d

    def __init__(self, width: int, act: str) -> None:
        inside = EXPANSION * width
        super().__init__(
            OrderedDict(
                expand=nn.Conv2d(width, inside, 1),
                act1=activation(act),
                grouped=nn.Conv2d(inside, inside, 3, 1, 1, groups=groups_of(inside)),
                act2=activation(act),
                compress=nn.Conv2d(inside, width, 1, bias=False),
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + super().forward(x)


def groups_of(channels: int) -> int:
    """The most groups of equal size, at least GROUP channels each."""
    return next((channels // size for size in range(GROUP, channels + 1) if channels % size == 0), 1)


class Basis(nn.Module):
    """Multiplies each number by a learned pattern: (N, width) -> maps (N, width, 4, 4)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width, BASE, BASE))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, None, None] * self.weight


class _Resampling(torch.autograd.Function):
    """Halves or doubles maps with the filter 1 2 1 in both directions. Halving and doubling are each other's transpose, so also gradient.

    torch's own gradient of such a convolution, differentiated again for the penalties, takes ten times as long on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, size: int, scale: float) -> torch.Tensor:
        ctx.before, ctx.scale = x.shape[-1], scale
        channels, before = x.shape[1], x.shape[-1]
        row = x.new_full((3,), 0.5)  # filled on the device: a copy from elsewhere could not be recorded in a graph
        row[1].fill_(1)
        kernel = (scale * row[:, None] * row).expand(channels, 1, 3, 3)
        if size < before:
            return F.conv2d(x, kernel, None, 2, 1, 1, channels)
        return F.conv_transpose2d(x, kernel, None, 2, 1, size - (2 * before - 1), channels)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:  # type: ignore[override]
        return _Resampling.apply(gradient, ctx.before, ctx.scale), None, None  # type: ignore[no-untyped-call]


class Enlarge(nn.Module):
    """Bilinear upsampling to `size`, 2 n or 2 n - 1 from n: pixels keep their values, and their means lie between them.

    (N, C, n, n) -> (N, C, size, size). Zeros follow the last row and column, as in StyleGAN's filters.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _Resampling.apply(x, self.size, 1.0)  # type: ignore[no-untyped-call, no-any-return]


class Shrink(nn.Module):
    """Bilinear downsampling by 2: means weighted 1 2 1 in both directions. (N, C, n, n) -> (N, C, ceil(n / 2), ceil(n / 2))."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _Resampling.apply(x, (x.shape[-1] + 1) // 2, 0.25)  # type: ignore[no-untyped-call, no-any-return]


def stages(config: TrainConfig, filters: int) -> list[tuple[int, int]]:
    """(size of the maps, channels) of each stage, from 4 pixels up to the image."""
    sizes = map_sizes(config.image_size)
    return [(size, min(WIDEST, filters * 2**i)) for i, size in zip(reversed(range(len(sizes))), sizes, strict=True)]


def residual_generator(config: TrainConfig, inputs: int) -> Layers:
    """z -> a learned pattern for each number -> a block for each size, bilinear upsampling between them -> pixels, without a bound."""
    layers: Layers = OrderedDict()
    before = 0
    for size, width in stages(config, config.generator_filters):
        if size == BASE:
            layers["dense"] = nn.Linear(inputs, width, bias=False)
            layers["basis"] = Basis(width)
        else:
            if width != before:
                layers[f"conv{size}"] = nn.Conv2d(before, width, 1, bias=False)
            layers[f"enlarge{size}"] = Enlarge(size)
        layers[f"block{size}"] = Residual(width, config.generator_activation)
        before = width
    layers["image"] = nn.Conv2d(before, config.channels, 1, bias=False)
    return layers


def residual_discriminator(config: TrainConfig) -> tuple[Layers, int]:
    """The mirror image: pixels -> a block for each size, bilinear downsampling between them -> one number for each channel."""
    levels = stages(config, config.discriminator_filters)[::-1]
    width = levels[0][1]
    layers: Layers = OrderedDict(pixels=nn.Conv2d(config.channels * config.packing, width, 1, bias=False))
    for (size, width), (_, after) in zip(levels, [*levels[1:], levels[-1]], strict=True):
        layers[f"block{size}"] = Residual(width, "leaky_relu")
        layers[f"drop{size}"] = Dropout(config.dropout)
        if size == BASE:
            layers["basis"] = nn.Conv2d(width, width, BASE, groups=width, bias=False)
            layers["flatten"] = nn.Flatten()
        else:
            layers[f"shrink{(size + 1) // 2}"] = Shrink()
            if width != after:
                layers[f"conv{(size + 1) // 2}"] = nn.Conv2d(width, after, 1, bias=False)
    return layers, width


def fixup_deviations(network: nn.Module) -> dict[nn.Module, float]:
    """Standard deviations of initial weights that keep the variance of values from layer to layer (Huang et al. 2024; Zhang et al. 2019).

    1 / sqrt(fan_in) for each convolution and dense layer. Inside a block, weights make up for the activation and shrink with the
    number of blocks L, by L^(-1 / 4) for blocks of three layers. A block's last layer is 0, so each block begins as the identity.
    """
    blocks = [module for module in network.modules() if isinstance(module, Residual)]
    deviations: dict[nn.Module, float] = {m: m.weight[0].numel() ** -0.5 for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    for block in blocks:
        slope = getattr(block.act1, "negative_slope", 0.0)
        for layer in (block.expand, block.grouped):
            deviations[layer] *= math.sqrt(2 / (1 + slope**2)) * len(blocks) ** -0.25
        deviations[block.compress] = 0.0
    return deviations
