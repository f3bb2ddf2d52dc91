"""Generator and Discriminator of the DCGAN family, at 28 pixels or a power of two, and their first weights. Know nothing of training."""

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from gan.config import TrainConfig
from gan.networks import winograd


def _sizes(image_size: int) -> list[int]:
    """Side lengths of the feature maps from 4 up to the image: 4, 7, 14, 28, or 4, 8, ..., image_size."""
    sizes = [image_size]
    while sizes[0] > 4:
        sizes.insert(0, (sizes[0] + 1) // 2)
    return sizes


def _kernel(small: int, large: int) -> int:
    """Kernel of a (transposed) convolution with stride 2, padding 1 between two sizes: 3 for 4 <-> 7, else 4.

    From o = (n - 1) s - 2 p + k (Dumoulin and Visin 2016): k = large - 2 small + 4.
    """
    return large - 2 * small + 4


class FromLatent(nn.ConvTranspose2d):
    """Transposed convolution of a 1 x 1 map (k4 s1 p0), computed as the matrix product that it is.

    (N, in, 1, 1) -> (N, out, 4, 4). Same parameters and result as its parent; several times faster on a CPU.
    """

    def forward(self, z: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)  # (in, 4 * 4 * out): the output comes out channels last
        return (z.flatten(1) @ weight).view(-1, 4, 4, self.out_channels).permute(0, 3, 1, 2)


class ToLogit(nn.Conv2d):
    """Convolution of a 4 x 4 map to one number (k4 s1 p0), computed as the matrix product that it is.

    (N, in, 4, 4) -> (N,). Same parameters and result as its parent.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)
        return F.linear(x.permute(0, 2, 3, 1).flatten(1), weight).flatten()


class FromPixels(nn.Conv2d):
    """Convolution of gray images (k4 s2 p1), computed as one with k2 s1 over blocks of 2 x 2 pixels.

    (N, 1, H, W) -> (N, out, H / 2, W / 2). Same parameters and result as its parent. One channel leaves a CPU's vector units
    empty, four fill more of them: the gradient for the image takes a third of the time.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.is_cuda or x.shape[1] > 1:
            return super().forward(x)
        blocks = F.pixel_unshuffle(F.pad(x, (1, 1, 1, 1)), 2).contiguous(memory_format=torch.channels_last)
        weight = _blocks(self.weight).contiguous(memory_format=torch.channels_last)
        return F.conv2d(blocks, weight, self.bias)


class ToPixels(nn.ConvTranspose2d):
    """Transposed convolution to images (k4 s2 p1), computed as one with k2 s1 to blocks of 2 x 2 pixels.

    (N, in, H, W) -> (N, C, 2 H, 2 W). Same parameters and result as its parent; two to three times faster on a CPU, where one
    to three channels leave the vector units empty.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        if x.is_cuda:
            return super().forward(x)
        bias = self.bias.repeat_interleave(4) if self.bias is not None else None
        blocks = F.conv_transpose2d(x, _blocks(self.weight), bias)
        return F.pixel_shuffle(blocks, 2)[:, :, 1:-1, 1:-1]


class _SmallConvolution(torch.autograd.Function):
    """A (transposed) convolution with stride 2, padding 1 whose gradient for the kernel is one matrix product."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, transposed: bool) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.transposed, ctx.has_bias = transposed, bias is not None
        return torch.convolution(x, weight, bias, [2, 2], [1, 1], [1, 1], transposed, [0, 0], 1)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        wants_x, wants_weight, wants_bias, _ = ctx.needs_input_grad
        # Where the gradient will be differentiated again, all of it is torch's own, which can be. With 32-bit numbers torch's is faster.
        plain = torch.is_grad_enabled() or weight.dtype != torch.bfloat16
        masks = [wants_x, wants_weight and plain, wants_bias]
        sizes = [weight.shape[1 if ctx.transposed else 0]] if ctx.has_bias else None
        settings = ([2, 2], [1, 1], [1, 1], ctx.transposed, [0, 0], 1)
        for_x, for_weight, for_bias = torch.ops.aten.convolution_backward(gradient, x, weight, sizes, *settings, masks)
        if wants_weight and not plain:
            large, small = (gradient, x) if ctx.transposed else (x, gradient)
            for_weight = _kernel_gradient(large, small, weight.shape[-1])
        return for_x, for_weight, for_bias, None


def _kernel_gradient(large: torch.Tensor, small: torch.Tensor, k: int) -> torch.Tensor:
    """The gradient for a k x k kernel between a large map (N, b, H, W) and a small one (N, a, h, w), stride 2, padding 1: (a, b, k, k)."""
    (n, a, h, w), b = small.shape, large.shape[1]
    padded = F.pad(large.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)).contiguous()
    image, row, column, _ = padded.stride()
    windows = padded.as_strided((n, h, w, k, k, b), (image, 2 * row, 2 * column, row, column, 1)).reshape(n * h * w, k * k * b)
    # This way round the result is channels last, as the kernel is: it need not be turned.
    return (small.permute(0, 2, 3, 1).reshape(n * h * w, a).t() @ windows).view(a, k, k, b).permute(0, 3, 1, 2)


def _halving(module: nn.Conv2d | nn.ConvTranspose2d, x: torch.Tensor) -> torch.Tensor:
    """The module's own result, on a CPU; where it is autocast, in the numbers that its parent would compute in."""
    weight, bias, transposed = module.weight, module.bias, isinstance(module, nn.ConvTranspose2d)
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(dtype), weight.to(dtype), bias if bias is None else bias.to(dtype)
    small = x.shape[-1] if transposed else x.shape[-1] // 2
    if module.training and bias is None and winograd.pays(weight, len(x), small):
        return winograd.convolution(x, weight, transposed)
    if small > SMALL:
        return torch.convolution(x, weight, bias, [2, 2], [1, 1], [1, 1], transposed, [0, 0], 1)
    result: torch.Tensor = _SmallConvolution.apply(x, weight, bias, transposed)  # type: ignore[no-untyped-call]
    return result


class Halving(nn.Conv2d):
    """Convolution (s2 p1) to a map of half the size. Same parameters and result as its parent, faster on a CPU.

    Many channels: nine sixteenths of the multiplications (winograd.py). Few channels, and at most SMALL x SMALL places, in bf16:
    the gradient for its kernel, as one matrix product, takes 0.6 to 0.9 of the time.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _halving(self, x) if x.is_cpu else super().forward(x)


class Doubling(nn.ConvTranspose2d):
    """Transposed convolution (s2 p1) to a map of twice the size. Same parameters and result as its parent; see Halving."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return _halving(self, x) if x.is_cpu else super().forward(x)


def _blocks(weight: torch.Tensor) -> torch.Tensor:
    """A kernel of 4 x 4 as one of 2 x 2 over blocks of 2 x 2 pixels, whose four places become channels as in pixel_shuffle.

    (a, b, 4, 4) -> (a, 4 b, 2, 2).
    """
    a, b = weight.shape[:2]
    return weight.view(a, b, 2, 2, 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(a, 4 * b, 2, 2)


class Dropout(nn.Module):
    """Switches features off with probability p while training, drawing from its own random generator.

    torch's dropout draws from the global generator, which threads share: two runs at once would disturb each other.
    p is rounded to a multiple of 1 / 65,536, so that one 64-bit draw decides over four features: the draws are what
    dropout costs.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.rng: torch.Generator | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return x
        kept = 65536 - round(self.p * 65536)  # of 65,536
        draws = torch.empty((x.numel() + 3) // 4, dtype=torch.int64, device=x.device)
        draws.random_(-(2**63), None, generator=self.rng)
        mask = (draws.view(torch.int16)[: x.numel()] < kept - 32768).to(x.dtype) * (65536 / kept)
        channels_last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
        dense = x.permute(0, 2, 3, 1) if channels_last else x  # in memory order, where the mask costs no copy
        dropped = dense * mask.view(dense.shape)
        return dropped.permute(0, 3, 1, 2) if channels_last else dropped


class MinibatchStd(nn.Module):
    """Adds one feature: the standard deviation over the batch, averaged over all features (Karras et al. 2018, section 3).

    (N, C, ...) -> (N, C + 1, ...).
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        deviation = (x.float().var(0, unbiased=False) + 1e-8).sqrt().mean().to(x.dtype)
        return torch.cat([x, deviation.expand(len(x), 1, *x.shape[2:])], 1)


SMALL = 8  # side of the feature maps up to which a kernel's gradient is computed as a matrix product
EMBEDDING = 32  # numbers that tell the generator a class, next to z
POWER_ITERATIONS = 15  # before the first step; as torch does

Layers = OrderedDict[str, nn.Module]


def _activation(name: str) -> nn.Module:
    return nn.ReLU(inplace=True) if name == "relu" else nn.LeakyReLU(0.2, inplace=True)


class Generator(nn.Module):
    """z (N, latent_dim) -> images (N, channels, size, size) in [-1, 1] (Radford et al. 2016, figure 1).

    Args:
        config: the run's settings.
        classes: how many classes the data has; read only where the config is conditional. forward() then takes their
            numbers, int64 (N,), whose embeddings are appended to z (Mirza and Osindero 2014).
    """

    def __init__(self, config: TrainConfig, classes: int = 0) -> None:
        super().__init__()
        self.latent_dim, self.image_size, self.channels = config.latent_dim, config.image_size, config.channels
        self.classes = classes if config.conditional else 0
        if self.classes:
            self.embedding = nn.Embedding(self.classes, EMBEDDING)
        inputs = config.latent_dim + (EMBEDDING if self.classes else 0)
        layers = _dense_generator(config, inputs) if config.networks == "mlp" else _conv_generator(config, inputs)
        self.layers = nn.Sequential(layers)

    def forward(self, z: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        if self.classes:
            if labels is None:
                raise ValueError(f"this generator is conditional: give labels from 0 to {self.classes - 1}")
            z = torch.cat([z, self.embedding(labels)], 1)
        return self.layers(z)


def _conv_generator(config: TrainConfig, inputs: int) -> Layers:
    sizes = _sizes(config.image_size)
    widths = [config.generator_filters * 2**i for i in reversed(range(len(sizes) - 1))] + [config.channels]
    layers: Layers = OrderedDict()

    def norm_and_activation(name: str, width: int) -> None:
        act = (f"act{name}", _activation(config.generator_activation))
        norm = [(f"norm{name}", nn.BatchNorm2d(width))] if config.generator_norm == "batch" else []
        layers.update([*norm, act] if config.generator_order == "norm_first" else [act, *norm])

    bias = config.generator_norm == "none"  # a normalization would take it away again
    for i, (size, width) in enumerate(zip(sizes, widths, strict=True)):
        if size == config.image_size:
            for extra in range(1, config.generator_extra_layers + 1):
                layers[f"extra{extra}"] = nn.Conv2d(widths[i - 1], widths[i - 1], 3, 1, 1, bias=bias)
                norm_and_activation(f"_extra{extra}", widths[i - 1])
        if i == 0:
            layers[f"conv{size}"] = FromLatent(inputs, width, 4, 1, 0, bias=False)
        elif config.generator_upsampling == "resize":
            layers[f"resize{size}"] = nn.Upsample(size)
            layers[f"conv{size}"] = nn.Conv2d(widths[i - 1], width, 3, 1, 1, bias=bias)
        else:
            kernel = _kernel(sizes[i - 1], size)
            kind = ToPixels if size == config.image_size else Doubling
            layers[f"conv{size}"] = kind(widths[i - 1], width, kernel, 2, 1, bias=bias)
        if size < config.image_size:
            norm_and_activation(str(size), width)
    layers["tanh"] = nn.Tanh()
    return layers


def _dense_generator(config: TrainConfig, inputs: int) -> Layers:
    widths = [inputs, *(config.generator_filters * 2**i for i in range(3))]
    layers: Layers = OrderedDict()
    for i, (before, width) in enumerate(itertools.pairwise(widths), 1):
        layers[f"dense{i}"] = nn.Linear(before, width)
        if config.generator_norm == "batch":
            layers[f"norm{i}"] = nn.BatchNorm1d(width)
        layers[f"act{i}"] = _activation(config.generator_activation)
    layers["dense4"] = nn.Linear(widths[-1], config.channels * config.image_size**2)
    layers["unflatten"] = nn.Unflatten(1, (config.channels, config.image_size, config.image_size))
    layers["tanh"] = nn.Tanh()
    return layers


class Discriminator(nn.Module):
    """images (N, channels, size, size) in [-1, 1] -> answers (N / packing,): logits of "real", or scores, as the loss takes them.

    Args:
        config: the run's settings.
        classes: how many classes the data has; read only where the config is conditional. forward() then takes their
            numbers, int64 (N,), and adds the projection of the features on the class's embedding (Miyato and Koyama 2018).
    """

    def __init__(self, config: TrainConfig, classes: int = 0) -> None:
        super().__init__()
        self.packing = config.packing
        layers, width = _dense_discriminator(config) if config.networks == "mlp" else _conv_discriminator(config)
        conv_head = config.networks == "dcgan" and config.discriminator_head == "conv"
        self.layers = nn.Sequential(layers)
        self.minibatch_std = MinibatchStd() if config.minibatch_std else None
        inputs = width + (1 if config.minibatch_std else 0)
        self.logit = ToLogit(inputs, 1, 4, 1, 0, bias=False) if conv_head else nn.Linear(inputs, 1)
        self.classes = classes if config.conditional else 0
        if self.classes:
            self.embedding = nn.Embedding(self.classes, width)
        if config.spectral_norm:
            for module in list(self.modules()):
                if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
                    spectral_norm(module, eps=1e-12)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """What the answer is read from: (N / packing, width, 4, 4), or (N / packing, width) with a dense head."""
        return self.layers(self._packed(images))

    def _packed(self, images: torch.Tensor) -> torch.Tensor:
        """m images as one of m times the channels (Lin et al. 2018, section 3)."""
        m = self.packing
        return images if m == 1 else images.reshape(-1, m * images.shape[1], *images.shape[2:])

    def judge(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """features() -> answers (N / packing,)."""
        answers = self.logit(self.minibatch_std(features) if self.minibatch_std else features).flatten()
        if self.classes:
            if labels is None:
                raise ValueError(f"this discriminator is conditional: give labels from 0 to {self.classes - 1}")
            pooled = features.flatten(2).sum(2) if features.dim() > 2 else features
            answers = answers + (self.embedding(labels) * pooled).sum(1)
        return answers

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return self.judge(self.features(images), labels)

    def forward_each(self, batches: Sequence[torch.Tensor], labels: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        """forward() of batches of one size, which do not see each other, with one convolution for all: on a CPU up to 1.1 times as fast."""
        maps = torch.cat([self._packed(images) for images in batches])
        n = len(maps) // len(batches)
        for layer in self.layers:
            maps = torch.cat([layer(part) for part in maps.split(n)]) if isinstance(layer, nn.BatchNorm2d) else layer(maps)
        return tuple(self.judge(features, labels) for features in maps.split(n))


def _conv_discriminator(config: TrainConfig) -> tuple[Layers, int]:
    """The layers up to the last features, and how many features these are (at each place, with a convolution as the head)."""
    sizes = _sizes(config.image_size)[::-1]
    if config.discriminator_head == "dense":
        sizes = [size for size in sizes if size >= 7]
    widths = [config.channels * config.packing] + [config.discriminator_filters * 2**i for i in range(len(sizes) - 1)]
    layers: Layers = OrderedDict()
    for i in range(1, len(sizes)):
        kernel = _kernel(sizes[i], sizes[i - 1])
        kind = FromPixels if i == 1 else Halving
        layers[f"conv{sizes[i]}"] = kind(widths[i - 1], widths[i], kernel, 2, 1, bias=not config.normalizes_discriminator)
        if i > 1 and config.normalizes_discriminator:
            layers[f"norm{sizes[i]}"] = nn.BatchNorm2d(widths[i])
        layers[f"act{sizes[i]}"] = nn.LeakyReLU(0.2, inplace=True)
        layers[f"drop{sizes[i]}"] = Dropout(config.dropout)
    if config.discriminator_head == "conv":
        return layers, widths[-1]
    layers["flatten"] = nn.Flatten()
    layers["dense"] = nn.Linear(widths[-1] * sizes[-1] ** 2, 512)
    layers["act_dense"] = nn.LeakyReLU(0.2, inplace=True)
    return layers, 512


def _dense_discriminator(config: TrainConfig) -> tuple[Layers, int]:
    pixels = config.channels * config.packing * config.image_size**2
    widths = [pixels, *(config.discriminator_filters * 2**i for i in (2, 1, 0))]
    layers: Layers = OrderedDict(flatten=nn.Flatten())
    for i, (before, width) in enumerate(itertools.pairwise(widths), 1):
        layers[f"dense{i}"] = nn.Linear(before, width)
        layers[f"act{i}"] = nn.LeakyReLU(0.2, inplace=True)
        layers[f"drop{i}"] = Dropout(config.dropout)
    return layers, widths[-1]


@torch.no_grad()
def initialize(network: nn.Module, how: str, rng: torch.Generator) -> None:
    """Draws a network's first weights, in place, from `rng` alone.

    how: "dcgan" for convolutions N(0, 0.02), normalization scales N(1, 0.02) (Radford et al. 2016, section 3; the
    reference code, which leaves biases and dense layers as they are); "pytorch" for the library's own default, uniform in
    +-1 / sqrt(fan_in) (He et al. 2015 with a = sqrt 5).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
            normalized = parametrize.is_parametrized(module)
            weight: Any = module.parametrizations.weight.original if normalized else module.weight  # type: ignore[union-attr, index]
            if isinstance(module, nn.Embedding):
                # Small: with N(0, 1) next to z the generator drew one picture a class, whatever z was (700 steps, digits).
                nn.init.normal_(weight, 0.0, 0.1 if isinstance(network, Generator) else 0.02, generator=rng)
            elif how == "dcgan" and not isinstance(module, nn.Linear):
                nn.init.normal_(weight, 0.0, 0.02, generator=rng)
            else:
                nn.init.kaiming_uniform_(weight, a=5**0.5, generator=rng)
            if getattr(module, "bias", None) is not None:
                bound = weight[0].numel() ** -0.5
                nn.init.uniform_(module.bias, -bound, bound, generator=rng)  # type: ignore[arg-type]
            if normalized:
                _measure_again(module, rng)
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            if how == "dcgan":
                nn.init.normal_(module.weight, 1.0, 0.02, generator=rng)
            else:
                nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def _measure_again(module: nn.Module, rng: torch.Generator) -> None:
    """Starts a layer's estimate of its largest singular value from `rng`; torch starts it from the global generator."""
    for vector in module.buffers():
        vector.copy_(F.normalize(torch.randn(vector.shape, generator=rng), dim=0))
    for _ in range(POWER_ITERATIONS):
        _ = module.weight  # each look in training mode is one iteration


def count_parameters(network: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(p.numel() for p in network.parameters())
