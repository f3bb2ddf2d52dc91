"""The networks of BigGAN (Brock et al. 2019, appendix B): residual blocks whose normalization knows the class and a part of z, and self-attention.

Know nothing about training.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from gan.config import TrainConfig
from gan.networks.dcgan import Discriminator, Generator
from gan.networks.layers import Block, Dropout, Layers, map_sizes, strided

BASE = 4  # side of the smallest maps
EMBEDDING = 128  # numbers that stand for a class in every normalization (appendix C)
DOUBLINGS = 2  # from the pixels inward, widths double with each halving, but the two smallest maps have the same (table 4 and later)
ATTENTION = (14, 16)  # sides of the maps with self-attention
QUERIES, VALUES = 8, 2  # channels of attention's queries and keys, and of its values, as divisors of the maps' (Zhang et al. 2019)


class ConditionalNorm(Block):
    """Batch normalization with a gain and a shift for each image (Dumoulin et al. 2017; Brock et al. 2019, section 3).

    x (N, width, H, W), y (N, inputs) -> (N, width, H, W). y is the class's embedding and a part of z; linear functions of it give the
    gains, around 1, and the shifts, around 0.
    """

    def __init__(self, width: int, inputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width, affine=False)
        self.gain = nn.Linear(inputs, width, bias=False)
        self.shift = nn.Linear(inputs, width, bias=False)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        gain, shift = 1 + self.gain(y), self.shift(y)
        return torch.addcmul(shift[:, :, None, None], self.norm(x), gain[:, :, None, None])


class EnlargedConv(nn.Conv2d):
    """Nearest-neighbor upsampling to `size`, then a 3 x 3 convolution: (N, in, n, n) -> (N, out, size, size).

    From n to 2 n, it is computed as one transposed convolution (k4 s2 p1) of the small maps: 16 products instead of 36.
    """

    def __init__(self, before: int, after: int, size: int) -> None:
        super().__init__(before, after, 3, 1, 1, bias=False)
        self.size = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight
        if self.size != 2 * x.shape[-1]:
            return F.conv2d(F.interpolate(x, self.size), weight, self.bias, 1, 1)
        kernel = 4 * _two_by_two(weight).flip(2, 3).transpose(0, 1)
        if x.is_cpu:
            return strided(x, kernel, self.bias, True, self.training)
        return F.conv_transpose2d(x, kernel, self.bias, 2, 1)


class ShrunkConv(nn.Conv2d):
    """A 3 x 3 convolution, then means of 2 x 2 places: (N, in, n, n) -> (N, out, ceil(n / 2), ceil(n / 2)).

    From an even n, it is computed as one convolution with stride 2 (k4 p1): 16 products instead of 36.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, 3, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight
        if x.shape[-1] % 2:
            return halved(F.conv2d(x, weight, self.bias, 1, 1))
        kernel = _two_by_two(weight)
        return strided(x, kernel, self.bias, False, self.training) if x.is_cpu else F.conv2d(x, kernel, self.bias, 2, 1)


def _two_by_two(kernel: torch.Tensor) -> torch.Tensor:
    """The mean of a 3 x 3 kernel at the four places of a 2 x 2 square: (a, b, 3, 3) -> (a, b, 4, 4), channels last."""
    padded = F.pad(kernel, (1, 1, 1, 1)).contiguous(memory_format=torch.channels_last)
    return F.avg_pool2d(padded, 2, 1)


def halved(x: torch.Tensor) -> torch.Tensor:
    """Means of 2 x 2 places; of an odd size, the last row and column have fewer: (N, C, n, n) -> (N, C, ceil(n / 2), ceil(n / 2))."""
    return F.avg_pool2d(x, 2, ceil_mode=True)


class BlockUp(Block):
    """The generator's residual block (Brock et al. 2019, figure 15b): (N, before, n, n), y (N, inputs) -> (N, after, size, size).

    The 1 x 1 convolution of the shortcut comes before the upsampling, which gives the same for a quarter of the work. Convolutions have no
    biases, because the normalizations after them would remove them again.
    """

    def __init__(self, before: int, after: int, size: int, inputs: int) -> None:
        super().__init__()
        self.size = size
        self.norm1 = ConditionalNorm(before, inputs)
        self.conv1 = EnlargedConv(before, after, size)
        self.norm2 = ConditionalNorm(after, inputs)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(before, after, 1, bias=False)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        inside = self.conv1(F.relu_(self.norm1(x, y)))
        inside = self.conv2(F.relu_(self.norm2(inside, y)))
        return inside + F.interpolate(self.shortcut(x), self.size)


class BlockDown(Block):
    """The discriminator's residual block (Brock et al. 2019, figure 15c): (N, before, n, n) -> (N, after, m, m).

    Args:
        before, after: channels.
        first: whether it is the first, which gets the pixels: without a ReLU before its first convolution.
        last: whether it is the last, which does not shrink its maps: m = n, before = after. Else m = ceil(n / 2).
    """

    def __init__(self, before: int, after: int, first: bool = False, last: bool = False) -> None:
        super().__init__()
        self.first, self.last = first, last
        self.conv1 = nn.Conv2d(before, after, 3, 1, 1)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1) if last else ShrunkConv(after, after)
        self.shortcut = nn.Identity() if last else nn.Conv2d(before, after, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inside = self.conv2(F.relu_(self.conv1(x if self.first else F.relu(x))))
        return inside + self.shortcut(x if self.last else halved(x))


class Attention(Block):
    """Each place adds what it finds at the places that it attends to (Zhang et al. 2019, section 3): (N, C, H, W) -> the same shape.

    Its weight in the sum is learned and begins at 0. Keys and values are maxima of 2 x 2 places (as in the authors' code).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        # Two queries at least: for one, torch compiles a kernel on GPUs, which needs a C compiler there.
        few, some = max(2, width // QUERIES), max(1, width // VALUES)
        self.query = nn.Conv2d(width, few, 1, bias=False)
        self.key = nn.Conv2d(width, few, 1, bias=False)
        self.value = nn.Conv2d(width, some, 1, bias=False)
        self.found = nn.Conv2d(some, width, 1, bias=False)
        self.strength = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query = self.query(x).flatten(2)  # (N, few, H W)
        key, value = (F.max_pool2d(layer(x), 2).flatten(2) for layer in (self.key, self.value))  # (N, ., H W / 4)
        shares = torch.bmm(query.transpose(1, 2), key).softmax(2)
        found = torch.bmm(value, shares.transpose(1, 2).to(value.dtype)).view(len(x), -1, *x.shape[2:])
        return x + self.strength * self.found(found)


class SumOverPlaces(nn.Module):
    """(N, C, H, W) -> (N, C)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum((2, 3))


def widths(config: TrainConfig, filters: int) -> list[tuple[int, int]]:
    """(size of the maps, channels), from 4 pixels up to the image."""
    sizes = map_sizes(config.image_size)
    return [(size, filters * 2 ** min(i, len(sizes) - 2)) for i, size in zip(reversed(range(len(sizes))), sizes, strict=True)]


class BigGenerator(Generator):
    """z (N, latent_dim) -> images (N, channels, size, size) in [-1, 1].

    z is split into a part for the first layer and one for each block. A block's part, next to the class's embedding, sets the gains and
    shifts of its normalization (section 3, "skip-z" and "shared"). Without classes, z alone does.
    """

    embedding_dim = EMBEDDING

    def build(self, config: TrainConfig) -> Layers:
        stages = widths(config, config.generator_filters)
        z = torch.arange(config.latent_dim, device="cpu").tensor_split(len(stages))
        self.z_parts = [len(part) for part in z]
        self.middle = next(size for size, _ in stages if size in ATTENTION)
        embedded = self.embedding_dim if self.classes else 0
        (_, width), *rest = stages
        layers: Layers = OrderedDict(dense=nn.Linear(self.z_parts[0], width * BASE**2), unflatten=nn.Unflatten(1, (width, BASE, BASE)))
        for (size, after), part in zip(rest, self.z_parts[1:], strict=True):
            layers[f"block{size}"] = BlockUp(width, after, size, embedded + part)
            if config.self_attention and size in ATTENTION:
                layers[f"attention{size}"] = Attention(after)
            width = after
        layers["norm"] = nn.BatchNorm2d(width)
        layers["act"] = nn.ReLU(inplace=True)
        layers["to_pixels"] = nn.Conv2d(width, config.channels, 3, 1, 1)
        layers["tanh"] = nn.Tanh()
        return layers

    def forward(self, z: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return self._passed(z, labels, self.layers)

    def _passed(self, z: torch.Tensor, labels: torch.Tensor | None, layers: Iterable[nn.Module]) -> torch.Tensor:
        """z through the first layers."""
        x, *rest = z.split(self.z_parts, 1)
        embedded = [self.embedded(labels)] if self.classes else []
        parts = iter(rest)
        for layer in layers:
            x = layer(x, torch.cat([*embedded, next(parts)], 1)) if isinstance(layer, BlockUp) else layer(x)
        return x

    def first_features(self, z: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """The features at 14 or 16 pixels: later parts of z change details only."""
        names = list(dict(self.layers.named_children()))
        return self._passed(z, labels, self.layers[: names.index(f"block{self.middle}") + 1]).flatten(1)

    def first_weights(self) -> torch.Tensor:
        dense, *blocks = (layer for layer in self.layers if isinstance(layer, nn.Linear | BlockUp))
        weights = [cast(nn.Linear, dense).weight.T]
        for block, part in zip(cast(list[BlockUp], blocks), self.z_parts[1:], strict=True):
            linear = (layer for norm in (block.norm1, block.norm2) for layer in (norm.gain, norm.shift))
            weights.append(torch.cat([layer.weight[:, -part:].T for layer in linear], 1))
        return torch.block_diag(*weights)


class BigDiscriminator(Discriminator):
    """images (N, channels, size, size) in [-1, 1] -> answers (N / packing,): a mirror image of the generator, whose features are sums over places."""

    def build(self, config: TrainConfig) -> tuple[Layers, int]:
        stages = widths(config, config.discriminator_filters)[::-1]
        width = config.channels * config.packing
        layers: Layers = OrderedDict()
        for i, (size, _) in enumerate(stages):
            last = size == BASE
            before, width = width, width if last else stages[i][1]
            layers[f"block{size}"] = BlockDown(before, width, first=i == 0, last=last)
            if config.self_attention and not last and stages[i + 1][0] in ATTENTION:
                layers[f"attention{stages[i + 1][0]}"] = Attention(width)
            layers[f"drop{size}"] = Dropout(config.dropout)
        layers["act"] = nn.ReLU()
        layers["sum"] = SumOverPlaces()
        return layers, width

    @property
    def first_layer(self) -> nn.Conv2d:
        first = self.layers[0]
        assert isinstance(first, BlockDown)
        return first.conv1
