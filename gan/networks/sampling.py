"""A generator's images for given latent vectors or images: in eval mode, or as in training mode. Knows nothing about training."""

import copy

import numpy as np
import torch
from torch import nn

from gan.images import to_float, to_uint8
from gan.networks.build import AnyGenerator
from gan.networks.layers import Chance
from gan.networks.stylegan import StyleGenerator
from gan.networks.translation import Translator


def sample(generator: AnyGenerator, z: torch.Tensor, labels: torch.Tensor | None = None, batch: int = 256) -> np.ndarray:
    """Images of a generator for z (N, latent_dim), and classes (N,) if it is conditional: uint8, (N, C, H, W).

    In eval mode, an image depends only on its own z, not on its neighbors in the batch. Afterward, the generator has its
    previous mode.

    Raises:
        ValueError: the generator translates images and has no latent vectors.
    """
    _refuse_translator(generator)
    was_training = generator.training
    if was_training:  # visits all modules, so skip it if possible
        generator.eval()
    try:
        device = next(generator.parameters()).device
        parts = zip(z.split(batch), labels.split(batch), strict=True) if labels is not None else ((part, None) for part in z.split(batch))
        with torch.inference_mode():
            return np.concatenate([to_uint8(generator(part.to(device), its if its is None else its.to(device))) for part, its in parts])
    finally:
        if was_training:
            generator.train()


def sample_styles(generator: StyleGenerator, w: torch.Tensor, noise: bool = True, batch: int = 64) -> np.ndarray:
    """Images of styles: uint8, (N, C, H, W).

    Args:
        generator: in eval mode, on the CPU.
        w: (N, latent_dim), or (N, styles_count, latent_dim) with a style for each layer.
        noise: False for images without it.
    """
    with torch.inference_mode():
        return np.concatenate([to_uint8(generator.draw(part, noise)) for part in w.split(batch)])


def _refuse_translator(generator: AnyGenerator) -> None:
    if isinstance(generator, Translator):
        raise ValueError("this generator translates images and has no latent vectors")


@torch.inference_mode()
def translate(network: Translator, images: torch.Tensor, back: bool = False, batch: int = 64) -> torch.Tensor:
    """Translates images in eval mode: uint8 (N, C, H, W) -> the same shape, on the CPU. Afterward, the network has its previous mode.

    back: from B to A.
    """
    was_training = network.training
    if was_training:
        network.eval()
    try:
        device = next(network.parameters()).device
        parts = [to_uint8(network.translate(to_float(part.to(device)), back)) for part in images.split(batch)]
        return torch.from_numpy(np.concatenate(parts))
    finally:
        if was_training:
            network.train()


def acts_in_training(generator: AnyGenerator) -> bool:
    """Whether training mode changes what a generator draws: it has batch normalization, or something that depends on chance."""
    return any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d | Chance) and getattr(m, "p", 1) for m in generator.modules())


@torch.no_grad()
def sample_as_in_training(generator: AnyGenerator, z: torch.Tensor, labels: torch.Tensor | None = None) -> np.ndarray:
    """A generator's images in training mode: batch normalization uses the batch's own mean and variance, dropout and noise are active.

    So each image depends on the others. A copy draws them: the generator, its averages and its mode do not change.

    Arguments and result as in sample(); z is one batch of at least 2.

    Raises:
        ValueError: there is only one image, or the generator translates images.
    """
    _refuse_translator(generator)
    if len(z) < 2:
        raise ValueError("training mode needs a batch of at least 2 images: give more seeds")
    copied = copy.deepcopy(generator).train()
    device = next(copied.parameters()).device
    for module in copied.modules():
        if isinstance(module, Chance):
            module.rng = torch.Generator(device).manual_seed(0)  # the same image at every call
    return to_uint8(copied(z.to(device), labels if labels is None else labels.to(device)))
