"""The style-based networks of StyleGAN (Karras et al. 2019, 2020), smaller than the papers'. Know nothing about training.

Sections and appendices in this file are those of StyleGAN2 (Karras et al. 2020, arXiv:1912.04958), unless another paper is named.
"""

import itertools
import math
from collections import OrderedDict
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from gan.config import TrainConfig
from gan.draws import own, whole
from gan.networks.dcgan import Discriminator, Generator, numbers_of_company
from gan.networks.layers import Block, Chance, Dropout, Layers, OverRanks, OwnWeights, map_sizes
from gan.networks.residual import BASE

MAPPING = 4  # layers of the mapping network; the papers have 8
MAPPING_RATE = 0.01  # learning rate of the mapping network, as a share of the others' (Karras et al. 2019, appendix C)
WIDEST = 512  # most channels of a layer, as in the papers
MEMORY = 0.995  # of the mean of w, for each batch (Karras et al. 2019, appendix C)
SLOPE = 0.2  # of the leaky ReLU
GAIN = math.sqrt(2)  # keeps the variance of values after a leaky ReLU (He et al. 2015; as in StyleGAN2, its slope does not count)
EPSILON = 1e-8
COARSE = 2  # sizes of maps whose styles are coarse: 4 and 8 pixels (Karras et al. 2019, figure 3)


class Equalized(OwnWeights):
    """Equalized learning rate: weights start as N(0, 1) and are scaled whenever they are used (Karras et al. 2018, section 4.1).

    So Adam moves all weights at the same speed, relative to their size.

    Attributes:
        gain: factor on the result, for the activation that follows.
        rate: learning rate as a share of the optimizer's: weights start 1 / rate times as large, and are scaled by it.
        first_bias: of the bias.
    """

    gain = 1.0
    rate = 1.0
    first_bias = 0.0
    weight: torch.Tensor
    bias: torch.Tensor | None

    def start(self, rng: torch.Generator) -> None:
        nn.init.normal_(self.weight, 0.0, 1 / self.rate, generator=rng)
        if self.bias is not None:
            nn.init.constant_(self.bias, self.first_bias / self.rate)

    @property
    def scaled_weight(self) -> torch.Tensor:
        return self.weight * (self.gain * self.rate * self.weight[0].numel() ** -0.5)

    @property
    def scaled_bias(self) -> torch.Tensor | None:
        return None if self.bias is None else self.bias * (self.gain * self.rate)


class EqualizedLinear(Equalized, nn.Linear):  # type: ignore[misc]
    """(N, inputs) -> (N, outputs); see Equalized."""

    def __init__(self, inputs: int, outputs: int, gain: float = 1.0, rate: float = 1.0, first_bias: float = 0.0) -> None:
        nn.Linear.__init__(self, inputs, outputs)
        self.gain, self.rate, self.first_bias = gain, rate, first_bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.scaled_weight, self.scaled_bias)


class EqualizedConv2d(Equalized, nn.Conv2d):
    """Convolution that keeps the size of the maps; see Equalized."""

    def __init__(self, inputs: int, outputs: int, kernel: int, gain: float = 1.0, bias: bool = True) -> None:
        nn.Conv2d.__init__(self, inputs, outputs, kernel, 1, kernel // 2, bias=bias)
        self.gain = gain

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.scaled_weight, self.scaled_bias, padding=self.padding)


class _Filter(torch.autograd.Function):
    """Filters each map with 1 3 3 1 (taps 4) or 1 2 1 (taps 3) in both directions, as part of halving or doubling it.

    Its gradient is again such a filter, so it can be differentiated twice; torch's own second derivative is slow on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, taps: int, stride: int, padding: int, size: int, up: bool, gain: float) -> torch.Tensor:
        """stride, padding: of a convolution, or of a transposed convolution if `up`. size: of the result. gain: the sum of the filter's rows."""
        before, channels = x.shape[-1], x.shape[1]
        ctx.settings = taps, stride, padding, before, not up, gain
        row = x.new_full((taps,), gain * (0.375 if taps == 4 else 0.5))  # filled on the device: a copy could not be recorded in a graph
        row[:: taps - 1].fill_(gain * (0.125 if taps == 4 else 0.25))
        kernel = (row[:, None] * row).expand(channels, 1, taps, taps)
        if not up:
            return F.conv2d(x, kernel, None, stride, padding, 1, channels)
        if stride > 1:  # zeros between the values, then a convolution: torch's own transposed convolution of single maps is slow on a CPU
            border = taps - 1 - padding
            spread = x.new_zeros(len(x), size + taps - 1, size + taps - 1, channels).permute(0, 3, 1, 2)
            spread[:, :, border : border + stride * before : stride, border : border + stride * before : stride] = x
            return F.conv2d(spread, kernel, None, 1, 0, 1, channels)
        return F.conv2d(x, kernel, None, 1, taps - 1 - padding, 1, channels)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        return _filtered(gradient, *ctx.settings), None, None, None, None, None, None


def _filtered(x: torch.Tensor, taps: int, stride: int, padding: int, size: int, up: bool, gain: float = 1.0) -> torch.Tensor:
    return _Filter.apply(x, taps, stride, padding, size, up, gain)  # type: ignore[no-untyped-call, no-any-return]


def _taps(small: int, large: int) -> int:
    """How many numbers the filter between two sizes has: 1 3 3 1 between n and 2 n, 1 2 1 between n and 2 n - 1."""
    return 4 if large == 2 * small else 3


def enlarged(x: torch.Tensor, size: int) -> torch.Tensor:
    """Bilinear upsampling: (N, C, n, n) -> (N, C, size, size), size 2 n or 2 n - 1. Beyond the border are zeros."""
    return _filtered(x, _taps(x.shape[-1], size), 2, 1, size, True, 2.0)  # the zeros between values take away three quarters


def shrunk(x: torch.Tensor) -> torch.Tensor:
    """Bilinear downsampling: (N, C, n, n) -> (N, C, ceil(n / 2), ceil(n / 2))."""
    small = (x.shape[-1] + 1) // 2
    return _filtered(x, _taps(small, x.shape[-1]), 2, 1, small, False)


class ModulatedConv(Equalized, nn.Conv2d):
    """A convolution whose weights depend on the style: (N, inputs, n, n) and w (N, styles) -> (N, outputs, size, size) (section 2.2).

    Modulation scales the weights of each input map by the style, demodulation scales those of each output map to length 1. Here the
    input and output maps are scaled instead, which gives the same numbers with one convolution for all images.

    Args:
        inputs, outputs: channels.
        kernel: 3 or 1.
        styles: numbers in w.
        size: of the result.
        demodulate: also scale each output map.
        enlarges: whether the input has half the size, rounded up.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, styles: int, size: int, demodulate: bool = True, enlarges: bool = False
    ) -> None:
        nn.Conv2d.__init__(self, inputs, outputs, kernel, 1, kernel // 2)
        self.size, self.demodulate, self.enlarges = size, demodulate, enlarges
        self.gain = GAIN if demodulate else 1.0
        self.affine = EqualizedLinear(styles, inputs, first_bias=1.0)

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        with torch.autocast(x.device.type, enabled=False):  # the styles are few and small: 32 bits cost nothing
            style = self.affine(w)
            weight = self.weight * self.weight[0].numel() ** -0.5
            lengths = (style.square() @ weight.square().sum((2, 3)).t() + EPSILON).rsqrt() if self.demodulate else None
        x = x * style[:, :, None, None].to(x.dtype)
        if not self.enlarges:
            x = F.conv2d(x, weight, padding=self.padding)
        else:  # a transposed convolution to 2 n + 1, whose values the filter spreads (section 4.1, "bilinear filtering")
            taps = _taps(x.shape[-1], self.size)
            x = _filtered(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), taps, 1, taps - 3, self.size, False, 2.0)
        assert self.scaled_bias is not None
        bias = self.scaled_bias[:, None, None].to(x.dtype)
        return x + bias if lengths is None else torch.addcmul(bias, x, (lengths * self.gain)[:, :, None, None].to(x.dtype))


class StyledConv(OwnWeights, nn.Module):
    """A modulated convolution, noise with a learned strength, leaky ReLU (section 2.1, figure 2d).

    (N, inputs, n, n), w (N, styles), noise (N, 1, size, size) -> (N, outputs, size, size). Without noise, it uses its own,
    the same for all images; see `noise`.

    Attributes:
        noise: buffer (1, 1, size, size).
        strength: 0 at the start.
    """

    noise: torch.Tensor

    def __init__(self, inputs: int, outputs: int, styles: int, size: int, enlarges: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, styles, size, enlarges=enlarges)
        self.strength = nn.Parameter(torch.zeros(1))
        self.register_buffer("noise", torch.zeros(1, 1, size, size))
        self.size = size

    def start(self, rng: torch.Generator) -> None:
        nn.init.zeros_(self.strength)
        nn.init.normal_(self.noise, generator=rng)

    def forward(self, x: torch.Tensor, w: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        x = self.conv(x, w)
        x += ((self.noise if noise is None else noise) * (self.strength * GAIN)).to(x.dtype)
        return F.leaky_relu(x, SLOPE, inplace=True)


class ToImage(nn.Module):
    """Adds what maps say about the colors of each pixel to the image so far, enlarged (section 4.1, figure 7b).

    maps (N, inputs, n, n), w (N, styles), image (N, channels, m, m) or None -> (N, channels, n, n).
    """

    def __init__(self, inputs: int, channels: int, styles: int, size: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, channels, 1, styles, size, demodulate=False)
        self.size = size

    def forward(self, x: torch.Tensor, w: torch.Tensor, image: torch.Tensor | None) -> torch.Tensor:
        colors: torch.Tensor = self.conv(x, w).float()
        return colors if image is None else enlarged(image, self.size) + colors


class Constant(OwnWeights, nn.Module):
    """The learned first maps, the same for every image: n -> (n, width, 4, 4) (Karras et al. 2019, section 2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, width, BASE, BASE))

    def start(self, rng: torch.Generator) -> None:
        nn.init.normal_(self.weight, generator=rng)

    def forward(self, n: int) -> torch.Tensor:
        return self.weight.expand(n, -1, -1, -1)


class Synthesis(nn.Sequential):
    """Styles -> images: for each size of maps two styled convolutions (one at 4 pixels) and what they add to the image.

    Attributes:
        convolutions: how many of them. Convolution i takes style i; what is added to the image takes the next convolution's style.
    """

    def __init__(self, layers: Layers) -> None:
        super().__init__(layers)
        self.convolutions = sum(isinstance(layer, StyledConv) for layer in self)

    def forward(self, w: torch.Tensor, noise: list[torch.Tensor | None]) -> torch.Tensor:  # type: ignore[override]
        """w: (N, convolutions + 1, styles). noise: for each convolution, None for its own."""
        image: torch.Tensor | None = None
        number = 0
        for name, layer in self.named_children():
            if name == "constant":
                x = layer(len(w))
            elif isinstance(layer, StyledConv):
                x = layer(x, w[:, number], noise[number])
                number += 1
            else:
                image = layer(x, w[:, number], image)
        assert image is not None
        return image


def stages(config: TrainConfig, filters: int) -> list[tuple[int, int]]:
    """(size of the maps, channels) of each stage, from 4 pixels up to the image."""
    sizes = map_sizes(config.image_size)
    return [(size, min(WIDEST, filters * 2**i)) for i, size in zip(reversed(range(len(sizes))), sizes, strict=True)]


def split_of_styles(image_size: int) -> dict[str, tuple[int, int]]:
    """Which styles are coarse, middle and fine: first style and the one after the last (Karras et al. 2019, figure 3).

    Coarse are those of maps of 4 and 8 pixels (7 for images of 28); the rest is halved: in images of 32 pixels middle is 16, fine is 32.
    """
    sizes = len(map_sizes(image_size))
    middle = COARSE + (sizes - COARSE) // 2
    first = [
        0,
        2 * COARSE - 1,
        2 * middle - 1,
        2 * sizes,
    ]  # one convolution at 4 pixels, then two for each size; a last style for the image
    return {name: (first[i], first[i + 1]) for i, name in enumerate(("coarse", "middle", "fine"))}


class StyleGenerator(Chance, OverRanks, Generator):
    """z -> w -> images (Karras et al. 2019, figure 1b; Karras et al. 2020, figures 2d and 7b).

    In training, each image gets new noise, and some images get the styles of two latent vectors: style mixing regularization (Karras
    et al. 2019, section 3.1). In eval mode an image depends on its z alone.

    Attributes:
        mean_w: buffer (latent_dim,): the running mean of w in training.
        styles_count: how many styles an image has.
    """

    layers: Synthesis  # type: ignore[assignment]
    mean_w: torch.Tensor

    def __init__(self, config: TrainConfig, classes: int = 0) -> None:
        super().__init__(config, classes)
        self.layers = Synthesis(OrderedDict(self.layers.named_children()))
        width = config.latent_dim
        inputs = width + (self.embedding.embedding_dim if self.classes else 0)
        self.mapping = nn.Sequential(OrderedDict())
        for i in range(1, MAPPING + 1):
            self.mapping.add_module(f"dense{i}", EqualizedLinear(inputs if i == 1 else width, width, GAIN, MAPPING_RATE))
            self.mapping.add_module(f"act{i}", nn.LeakyReLU(SLOPE, inplace=True))
        self.register_buffer("mean_w", torch.zeros(width))
        self.styles_count = self.layers.convolutions + 1
        self.distribution, self.mixing = config.latent_distribution, config.style_mixing

    def build(self, config: TrainConfig) -> Layers:
        layers: Layers = OrderedDict()
        before, styles = 0, config.latent_dim
        for size, width in stages(config, config.generator_filters):
            if size == BASE:
                layers["constant"] = Constant(width)
            else:
                layers[f"up{size}"] = StyledConv(before, width, styles, size, enlarges=True)
            layers[f"conv{size}"] = StyledConv(width, width, styles, size)
            layers[f"image{size}"] = ToImage(width, config.channels, styles, size)
            before = width
        return layers

    def first_features(self, z: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return self.styles(z, labels)

    def first_weights(self) -> torch.Tensor:
        """The weights of the mapping network's first layer."""
        first = self.mapping[0]
        assert isinstance(first, EqualizedLinear)
        return first.weight.t()[: self.latent_dim]

    def forward(self, z: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        w = self.styles(z, labels)
        if not self.training:
            return self.draw(w)
        with torch.no_grad():
            mean = w.detach().mean(0)
            self.mean_w.lerp_(self.whole_mean(mean) if self.whole_mean else mean, 1 - MEMORY)
        return self.draw(self._mixed(w, labels) if self.mixing else w)

    @property
    def map_numbers(self) -> int:
        count = 0
        for layer in self.layers.modules():
            if isinstance(layer, ModulatedConv):
                before = (layer.size + 1) // 2 if layer.enlarges else layer.size
                count += layer.in_channels * before**2  # after modulation
                count += (2 if layer.demodulate else 1) * layer.out_channels * layer.size**2  # convolved; with noise and activated
        return count

    @property
    def at_pixels(self) -> nn.Module:
        last = self.layers[-1]
        assert isinstance(last, ToImage)
        return last.conv

    def parts(self) -> dict[str, nn.Module]:
        embedding: dict[str, nn.Module] = {"class": self.embedding} if self.classes else {}
        dense = {name: layer for name, layer in self.mapping.named_children() if name != f"act{MAPPING}"}
        return embedding | dense | {"w": self.mapping[-1]} | dict(self.layers.named_children())

    def styles(self, z: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """The mapping network: z (N, latent_dim) -> w (N, latent_dim). z is scaled to mean square 1 first."""
        with torch.autocast(z.device.type, enabled=False):
            x = _normalized(z)
            if self.classes:
                if labels is None:
                    raise ValueError(f"this generator is conditional: give labels from 0 to {self.classes - 1}")
                x = torch.cat([x, _normalized(self.embedding(labels))], 1)
            w: torch.Tensor = self.mapping(x)
        return w

    def modulated(self) -> list[ModulatedConv]:
        """All layers that have a style."""
        return [module for module in self.layers.modules() if isinstance(module, ModulatedConv)]

    def truncated(self, w: torch.Tensor, psi: float) -> torch.Tensor:
        """w (..., latent_dim) moved toward the mean of w: psi 1 leaves it, 0 is the mean (Karras et al. 2019, appendix B)."""
        return self.mean_w + psi * (w - self.mean_w)

    def draw(self, w: torch.Tensor, noise: bool = True) -> torch.Tensor:
        """The synthesis network: styles -> images (N, channels, size, size).

        Args:
            w: (N, latent_dim), the same for all layers, or (N, styles_count, latent_dim).
            noise: False for images without it.
        """
        if w.dim() == 2:
            w = w[:, None].expand(-1, self.styles_count, -1)
        sizes = [layer.size for layer in self.layers if isinstance(layer, StyledConv)]
        if not noise:
            return self.layers(w, [w.new_zeros(1, 1, 1, 1) for _ in sizes])
        return self.layers(w, [self._new_noise(len(w), size, w) if self.training else None for size in sizes])

    def _new_noise(self, n: int, size: int, like: torch.Tensor) -> torch.Tensor:
        drawn = torch.empty(whole(n, self.rng), 1, size, size, device=like.device).normal_(generator=self.rng)
        return own(drawn, self.rng)

    def _mixed(self, w: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        """w (N, latent_dim) -> (N, styles_count, latent_dim): from a random style on, those of another latent vector."""
        n, rng, device = whole(len(w), self.rng), self.rng, w.device
        z = torch.empty(n, self.latent_dim, device=device)
        z = z.normal_(generator=rng) if self.distribution == "normal" else z.uniform_(-1, 1, generator=rng)
        happens, place = own(torch.rand(n, 2, device=device, generator=rng), rng).unbind(1)
        other = self.styles(own(z, rng), labels)
        crossover = 1 + (place * (self.styles_count - 1)).floor()  # 1 to styles_count - 1
        crossover = torch.where(happens < self.mixing, crossover, self.styles_count)
        first = torch.arange(self.styles_count, device=device) < crossover[:, None]
        return torch.where(first[:, :, None], w[:, None], other[:, None])


def _normalized(x: torch.Tensor) -> torch.Tensor:
    """Rows (N, d) with mean square 1 (Karras et al. 2018, section 4.2)."""
    return x * (x.square().mean(1, keepdim=True) + EPSILON).rsqrt()


class StyleBlock(Block):
    """A block of the discriminator: (N, inputs, n, n) -> (N, outputs, ceil(n / 2), ceil(n / 2)) (section 4.1, figure 7c).

    Two convolutions, where the second one halves the maps, and next to them one of 1 x 1. Their sum is divided by sqrt 2, to keep the variance.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = EqualizedConv2d(inputs, inputs, 3, GAIN)
        # The division by sqrt 2 is part of the gains: a leaky ReLU passes a factor on.
        self.conv2 = EqualizedConv2d(inputs, outputs, 3, 1.0)
        self.skip = EqualizedConv2d(inputs, outputs, 1, 0.5**0.5, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = x.shape[-1]
        taps = _taps((size + 1) // 2, size)
        y = F.leaky_relu(self.conv1(x), SLOPE, inplace=True)
        y = _filtered(y, taps, 1, 2, size + 5 - taps, False)  # to 2 n + 1; the convolution then makes n
        y = F.conv2d(y, self.conv2.scaled_weight, self.conv2.scaled_bias, stride=2)
        skipped: torch.Tensor = self.skip(shrunk(x))
        return skipped.add_(F.leaky_relu(y, SLOPE, inplace=True))


class StyleDiscriminator(Discriminator):
    """images (N, channels, size, size) -> answers (N / packing,), by residual blocks (section 4.1, figure 7c).

    The last layers see the features and the minibatch deviation: a convolution, a dense layer, the answer.
    """

    def __init__(self, config: TrainConfig, classes: int = 0) -> None:
        super().__init__(config, classes)
        width = stages(config, config.discriminator_filters)[0][1]
        self.head = nn.Sequential(
            OrderedDict(
                conv4=EqualizedConv2d(width + numbers_of_company(config), width, 3, GAIN),
                act4=nn.LeakyReLU(SLOPE, inplace=True),
                flatten=nn.Flatten(),
                dense=EqualizedLinear(width * BASE**2, width, GAIN),
                act_dense=nn.LeakyReLU(SLOPE, inplace=True),
            )
        )

    def build(self, config: TrainConfig) -> tuple[Layers, int]:
        levels = stages(config, config.discriminator_filters)[::-1]
        layers: Layers = OrderedDict(pixels=EqualizedConv2d(config.channels * config.packing, levels[0][1], 1, GAIN))
        layers["act"] = nn.LeakyReLU(SLOPE, inplace=True)
        for (size, width), (_, after) in itertools.pairwise(levels):
            layers[f"block{size}"] = StyleBlock(width, after)
            layers[f"drop{size}"] = Dropout(config.dropout)
        return layers, levels[-1][1]

    def feature_places(self, config: TrainConfig) -> int:
        return BASE**2

    def new_logit(self, config: TrainConfig, width: int) -> nn.Module:
        return EqualizedLinear(width, 1)

    @property
    def map_numbers(self) -> int:
        count = 0
        for name, layer in self.layers.named_children():
            if isinstance(layer, StyleBlock):
                size, inputs, outputs = int(name.removeprefix("block")), layer.conv1.in_channels, layer.conv2.out_channels
                # input, activated, filtered; activated, sum
                count += 3 * inputs * size**2 + 2 * outputs * ((size + 1) // 2) ** 2
        return count

    def parts(self) -> dict[str, nn.Module]:
        return dict(self.layers.named_children()) | self.parts_in_company() | dict(self.head.named_children()) | {"logit": self.logit}

    def judge(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        seen = self.head(self.in_company(features))
        return self._with_class(self.logit(seen).flatten(), seen, labels)
