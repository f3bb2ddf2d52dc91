"""How much memory training takes, from the settings alone: nothing is made and nothing is computed.

The networks are built on PyTorch's "meta" device, where tensors have shapes and no numbers. Even there, a convolution, a matrix product or
normally distributed weights make PyTorch load SymPy, or its compiler: 2 to 4 s of processor time. So weights get no values, and a
layer's output is made by the formula for its shape.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from gan.config import TrainConfig
from gan.networks.biggan import Attention, BlockDown, BlockUp, EnlargedConv, ShrunkConv, SumOverPlaces
from gan.networks.build import new_discriminator, new_generator, new_networks
from gan.networks.dcgan import count_parameters
from gan.networks.layers import Block, Dropout, FromLatent
from gan.networks.residual import Basis, Enlarge, Residual, Shrink
from gan.networks.translation import feature_maps
from gan.networks.weights import without_memory

SAME = (nn.BatchNorm1d, nn.BatchNorm2d, nn.Tanh, nn.ReLU, nn.LeakyReLU, Dropout)  # layers whose output has the input's shape


def memory_estimate(config: TrainConfig) -> int:
    """Approximate memory of training in bytes: weights, gradients, Adam's moments, and the feature maps of a step."""
    if config.translates:
        return _of_translation(config)
    maps, n = 0, config.batch_size

    def count(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        nonlocal maps
        maps += output.numel()

    with without_memory():
        bare = config.change(spectral_norm=False, generator_spectral_norm=False)  # it keeps two vectors a layer, which do not count
        generator, discriminator = new_generator(bare, 1), new_discriminator(bare, 1)
        if generator.map_numbers is not None and discriminator.map_numbers is not None:
            maps = n * (generator.map_numbers + discriminator.map_numbers)
        else:
            maps += n * config.channels * config.image_size**2 if generator.blurred else 0
            for module in (*generator.layers, *discriminator.layers):
                for layer in module.parts() if isinstance(module, Block) else (module,):
                    layer.register_forward_hook(count)
            for module in (*generator.modules(), *discriminator.modules()):
                if forward := _shaped(module):
                    module.forward = forward  # type: ignore[method-assign]
            discriminator.features(generator.layers(torch.zeros(n, config.latent_dim)))  # a class's numbers add no map
    weights = 5 * count_parameters(generator) + 4 * count_parameters(discriminator)
    penalties = sum(penalty > 0 for penalty in (config.gradient_penalty, config.r1, config.r2))
    return 4 * (weights + (3 + penalties) * maps)  # of real images, of fakes, and the gradients of one of them


def _of_translation(config: TrainConfig) -> int:
    """memory_estimate() for networks that translate images."""
    with without_memory():
        generator, discriminator = new_networks(config)
    weights, calls = 5 * count_parameters(generator) + 4 * count_parameters(discriminator), 2
    if config.networks == "cyclegan":  # there and back again, and images that should not change
        calls = 8 if config.identity_weight else 5
        weights += 2 * config.image_buffer * config.channels * config.image_size**2
    return 4 * (weights + (calls + 1) * config.batch_size * feature_maps(config))


def _shaped(module: nn.Module) -> Callable[..., torch.Tensor] | None:
    """A forward that makes an output of the right shape; None if the module's own computes nothing."""
    if isinstance(module, SAME):
        return nn.Identity().forward
    if isinstance(module, Block):
        return _shaped_block(module)
    if isinstance(module, SumOverPlaces):
        return lambda x: x.new_empty(x.shape[:2])
    if isinstance(module, FromLatent):
        return functools.partial(_empty, (module.out_channels, 4, 4))
    if isinstance(module, nn.Linear):
        return functools.partial(_empty, (module.out_features,))
    if isinstance(module, Basis):
        return functools.partial(_empty, tuple(module.weight.shape))
    if isinstance(module, EnlargedConv):
        return functools.partial(_empty, (module.out_channels, module.size, module.size))
    if isinstance(module, ShrunkConv):
        return lambda x: x.new_empty(len(x), module.out_channels, _half(x.shape[2]), _half(x.shape[3]))
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        return functools.partial(_convolved, module)
    if isinstance(module, Enlarge):
        return functools.partial(_resized, lambda side: module.size)
    if isinstance(module, nn.Upsample) and isinstance(size := module.size, int):
        return functools.partial(_resized, lambda side: size)
    if isinstance(module, Shrink):
        return functools.partial(_resized, _half)
    return None


def _shaped_block(module: Block) -> Callable[..., torch.Tensor]:
    """The same for a block, which gets no class and no part of z."""
    if isinstance(module, Residual):
        return functools.partial(nn.Sequential.forward, module)  # without the sum
    if isinstance(module, BlockUp):
        return functools.partial(_through, (module.norm1, module.conv1, module.norm2, module.conv2), (module.shortcut,))
    if isinstance(module, BlockDown):
        shortcut = (module.shortcut,) if module.last else (functools.partial(_resized, _half), module.shortcut)
        return functools.partial(_through, (module.conv1, module.conv2), shortcut)
    if isinstance(module, Attention):
        return functools.partial(_attended, module)
    return nn.Identity().forward  # ConditionalNorm


def _half(side: int) -> int:
    return (side + 1) // 2


def _through(main: Sequence[Callable[..., Any]], shortcut: Sequence[Callable[..., Any]], x: torch.Tensor) -> torch.Tensor:
    """What a block of two ways makes of x, without their sum."""
    aside = x
    for layer in shortcut:
        aside = layer(aside)
    for layer in main:
        x = layer(x)
    return x


def _attended(module: Attention, x: torch.Tensor) -> torch.Tensor:
    for layer in (module.query, module.key):
        layer(x)
    module.found(module.value(x))
    return x


def _empty(shape: tuple[int, ...], x: torch.Tensor) -> torch.Tensor:
    """Numbers of a shape, for each of a batch: (N, ...) -> (N, *shape)."""
    return x.new_empty(len(x), *shape)


def _resized(side: Callable[[int], int], x: torch.Tensor) -> torch.Tensor:
    """(N, C, n, n) -> (N, C, side(n), side(n))."""
    return x.new_empty(*x.shape[:2], side(x.shape[2]), side(x.shape[3]))


def _convolved(layer: nn.Conv2d | nn.ConvTranspose2d, x: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) -> what a (transposed) convolution without dilation and output padding makes of it."""

    def side(axis: int) -> int:
        before, kernel, stride, padding = x.shape[2 + axis], layer.kernel_size[axis], layer.stride[axis], int(layer.padding[axis])
        if isinstance(layer, nn.ConvTranspose2d):
            return (before - 1) * stride - 2 * padding + kernel
        return (before + 2 * padding - kernel) // stride + 1

    return x.new_empty(len(x), layer.out_channels, side(0), side(1))
