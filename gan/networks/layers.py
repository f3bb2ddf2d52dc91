"""The layers that the networks are made of: faster ways to compute torch's convolutions on a CPU, dropout, layers that compare images."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from gan.draws import own, whole
from gan.networks import winograd

KERNELS, KERNEL_NUMBERS = 32, 5  # of minibatch discrimination: features that it adds, and numbers compared for each
POWER_ITERATIONS = 15  # before the first step, as in torch
MOST_COLORS = 3  # of an image
SMALL = 8  # largest side of feature maps for which a kernel's gradient is a matrix product

Layers = OrderedDict[str, nn.Module]


class Block(nn.Module):
    """A layer that is made of several layers."""

    def parts(self) -> Iterator[nn.Module]:
        """The layers in it that make maps, and blocks of them."""
        return self.children()


def map_sizes(image_size: int) -> list[int]:
    """Side lengths of the feature maps from 4 up to the image: 4, 7, 14, 28, or 4, 8, ..., image_size."""
    sizes = [image_size]
    while sizes[0] > 4:
        sizes.insert(0, (sizes[0] + 1) // 2)
    return sizes


def activation(name: str) -> nn.Module:
    """ "relu", or "leaky_relu" with slope 0.2."""
    return nn.ReLU(inplace=True) if name == "relu" else nn.LeakyReLU(0.2, inplace=True)


class FromLatent(nn.ConvTranspose2d):
    """Transposed convolution of a 1 x 1 map (k4 s1 p0), computed as a matrix product.

    (N, in, 1, 1) -> (N, out, 4, 4). Same parameters and result as its parent; several times faster on a CPU.
    """

    def forward(self, z: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)  # (in, 4 * 4 * out): the output comes out channels last
        return (z.flatten(1) @ weight).view(-1, 4, 4, self.out_channels).permute(0, 3, 1, 2)


class ToLogit(nn.Conv2d):
    """Convolution of a 4 x 4 map to one number (k4 s1 p0), computed as a matrix product.

    (N, in, 4, 4) -> (N,). Same parameters and result as its parent.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)
        return F.linear(x.permute(0, 2, 3, 1).flatten(1), weight).flatten()


class FromPixels(nn.Conv2d):
    """Convolution of gray images (k4 s2 p1), computed as a convolution with k2 s1 over blocks of 2 x 2 pixels.

    (N, 1, H, W) -> (N, out, H / 2, W / 2). Same parameters and result as its parent. One channel leaves most of a CPU's
    vector unit idle, four use more of it: the gradient for the image takes a third of the time.
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
    to three channels leave most of the vector unit idle.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return super().forward(x) if x.is_cuda else _to_pixels(x, self.weight, self.bias)


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
        # If the gradient will be differentiated again, torch computes all of it, because ours cannot be. In fp32, torch is faster anyway.
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
    # In this order the result is channels last, like the kernel: no transpose is needed.
    return (small.permute(0, 2, 3, 1).reshape(n * h * w, a).t() @ windows).view(a, k, k, b).permute(0, 3, 1, 2)


def strided(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, transposed: bool, training: bool) -> torch.Tensor:
    """A (transposed) convolution with stride 2, padding 1 in the way that suits a CPU; under autocast, in the number format that torch uses.

    training: whether a gradient for the weight is likely to be needed.
    """
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(dtype), weight.to(dtype), bias if bias is None else bias.to(dtype)
    small = x.shape[-1] if transposed else x.shape[-1] // 2
    if training and bias is None and winograd.pays(weight, len(x), small):
        return winograd.convolution(x, weight, transposed)
    if small > SMALL:
        return torch.convolution(x, weight, bias, [2, 2], [1, 1], [1, 1], transposed, [0, 0], 1)
    result: torch.Tensor = _SmallConvolution.apply(x, weight, bias, transposed)  # type: ignore[no-untyped-call]
    return result


def _halving(module: nn.Conv2d | nn.ConvTranspose2d, x: torch.Tensor) -> torch.Tensor:
    return strided(x, module.weight, module.bias, isinstance(module, nn.ConvTranspose2d), module.training)


class Halving(nn.Conv2d):
    """Convolution (s2 p1) to a map of half the size. Same parameters and result as its parent, faster on a CPU.

    With many channels it needs 9/16 of the multiplications (winograd.py). With few channels and at most SMALL x SMALL positions in
    bf16, the kernel's gradient is one matrix product, which takes 0.6 to 0.9 of the time.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _halving(self, x) if x.is_cpu else super().forward(x)


class Doubling(nn.ConvTranspose2d):
    """Transposed convolution (s2 p1) to a map of twice the size. Same parameters and result as its parent; see Halving."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return _halving(self, x) if x.is_cpu else super().forward(x)


class RepeatedConv(nn.Conv2d):
    """Convolution (k3 s1 p1) of a map in which every pixel was repeated, computed as a transposed convolution (s2 p1) of the map before.

    (N, in, 2 H, 2 W) -> (N, out, 2 H, 2 W). Same parameters and, for such maps, the same result as its parent. A row of the output sees only
    two rows of the map before, so three rows of the kernel become two: 4/9 of the multiplications. An image is drawn by the parent's own
    code: another map may be put in its place then.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not (x.is_cpu and self.training):
            return super().forward(x)
        before, kernel = x[:, :, ::2, ::2], _spread(_spread(self.weight.transpose(0, 1), 2), 3)
        if self.out_channels > MOST_COLORS:
            return strided(before, kernel.contiguous(memory_format=torch.channels_last), self.bias, True, True)
        return _to_pixels(before, kernel, self.bias)


def _spread(weight: torch.Tensor, axis: int) -> torch.Tensor:
    """The kernel of length 4 that does in one step what repeating twice and this kernel of length 3 do, along an axis.

    Output o = sum over k of w[k] x[(o + k - 1) // 2]; pixel i of x adds t[o + 1 - 2 i] to it, with t = (w2, w1 + w2, w0 + w1, w0).
    """
    first, second, third = weight.unbind(axis)
    return torch.stack([third, second + third, first + second, first], axis)


def _to_pixels(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """See ToPixels."""
    blocks = F.conv_transpose2d(x, _blocks(weight), bias.repeat_interleave(4) if bias is not None else None)
    return F.pixel_shuffle(blocks, 2)[:, :, 1:-1, 1:-1]


def _blocks(weight: torch.Tensor) -> torch.Tensor:
    """A 4 x 4 kernel as a 2 x 2 kernel over blocks of 2 x 2 pixels, whose four pixels become channels as in pixel_shuffle.

    (a, b, 4, 4) -> (a, 4 b, 2, 2).
    """
    a, b = weight.shape[:2]
    return weight.view(a, b, 2, 2, 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(a, 4 * b, 2, 2)


class Chance:
    """A module that uses random numbers while it trains.

    Attributes:
        rng: where they come from: the run's own generator, because threads share torch's global one, and two runs would disturb each other.
    """

    rng: torch.Generator | None = None


class OverRanks:
    """A module that computes means over a batch.

    Attributes:
        whole_mean: for a run on several ranks: a rank's means (...) -> those over the whole batch.
    """

    whole_mean: Callable[[torch.Tensor], torch.Tensor] | None = None


class OwnWeights:
    """A module whose initial weights follow a rule of its own, whatever the run's settings say."""

    def start(self, rng: torch.Generator) -> None:
        """Sets them in place, using only `rng`. For the module itself, not for modules in it."""
        raise NotImplementedError


class Dropout(Chance, nn.Module):
    """Switches features off with probability p while training, using its own random generator.

    p is rounded to a multiple of 1 / 65,536, so each 64-bit draw decides for four features: the draws are the
    main cost of dropout.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return x
        kept = 65536 - round(self.p * 65536)  # of 65,536
        rows = whole(len(x), self.rng, packed=True)
        numbers = rows * x[0].numel()
        draws = torch.empty((numbers + 3) // 4, dtype=torch.int64, device=x.device)
        draws.random_(-(2**63), None, generator=self.rng)
        drawn = own(draws.view(torch.int16)[:numbers].view(rows, -1), self.rng, packed=True)
        mask = (drawn < kept - 32768).to(x.dtype) * (65536 / kept)
        channels_last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
        dense = x.permute(0, 2, 3, 1) if channels_last else x  # in memory order, so the mask needs no copy
        dropped = dense * mask.view(dense.shape)
        return dropped.permute(0, 3, 1, 2) if channels_last else dropped


class MinibatchStd(OverRanks, nn.Module):
    """Adds one feature: the standard deviation over the batch, averaged over all features (Karras et al. 2018, section 3).

    (N, C, ...) -> (N, C + 1, ...).
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.whole_mean:
            mean = self.whole_mean(x.float().mean(0))
            variance = self.whole_mean((x.float() - mean).square().mean(0))
        else:
            variance = x.float().var(0, unbiased=False)
        deviation = (variance + 1e-8).sqrt().mean().to(x.dtype)
        return torch.cat([x, deviation.expand(len(x), 1, *x.shape[2:])], 1)


class MinibatchDiscrimination(nn.Module):
    """Adds features that say how close each image is to the others of its batch (Salimans et al. 2016, section 3.2).

    (N, C, ...) -> (N, C + KERNELS, ...). A learned matrix makes KERNELS groups of KERNEL_NUMBERS numbers of each image's features. For
    each group, the new feature is the sum over the batch of exp(-distance), with the L1 distance of the groups of two images.

    Attributes:
        whole_rows: for a run on several ranks: a rank's rows (N, n) -> those of the whole batch.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.compared = nn.Linear(features, KERNELS * KERNEL_NUMBERS, bias=False)
        self.whole_rows: Callable[[torch.Tensor], torch.Tensor] | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = self.compared(x.flatten(1)).float()
        others = self.whole_rows(rows) if self.whole_rows else rows
        groups, of_others = (r.view(len(r), 1, KERNELS, KERNEL_NUMBERS) for r in (rows, others))
        closeness = (-(groups - of_others.transpose(0, 1)).abs().sum(3)).exp().sum(1).to(x.dtype)
        return torch.cat([x, closeness.view(*closeness.shape, *[1] * (x.dim() - 2)).expand(-1, -1, *x.shape[2:])], 1)


class SpectralNorm(nn.Module):
    """A weight divided by its largest singular value, which one power iteration for each use in training follows (Miyato et al. 2018).

    Unlike torch's own, it can be set up for a network without memory, which measures nothing. With averaged weights, the singular vectors
    are averages too, so outside of training they are brought to length 1.

    Args:
        weight: with rows along `dim`; all other axes are the columns.
    """

    def __init__(self, weight: torch.Tensor, dim: int) -> None:
        super().__init__()
        self.dim = dim
        rows = weight.shape[dim]
        for name, length in (("_u", rows), ("_v", weight.numel() // rows)):
            self.register_buffer(name, torch.full((length,), length**-0.5))
        if not weight.is_meta:
            for _ in range(POWER_ITERATIONS):
                self._iterate(weight.transpose(0, dim).flatten(1))

    @torch.no_grad()
    def _iterate(self, matrix: torch.Tensor) -> None:
        u, v = self.get_buffer("_u"), self.get_buffer("_v")
        u.copy_(_unit(torch.mv(matrix, v)))
        v.copy_(_unit(torch.mv(matrix.H, u)))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        matrix = weight.transpose(0, self.dim).flatten(1)
        u, v = self.get_buffer("_u"), self.get_buffer("_v")
        if self.training:
            self._iterate(matrix)
            u, v = u.clone(), v.clone()  # for the backward pass of this use: the next use changes them
        else:
            u, v = _unit(u), _unit(v)
        return weight / torch.vdot(u, torch.mv(matrix, v))


def _unit(vector: torch.Tensor) -> torch.Tensor:
    return F.normalize(vector, dim=0, eps=1e-12)
