"""The networks of pix2pix (Isola et al. 2017) and CycleGAN (Zhu et al. 2017): they turn an image into another one. Know nothing about training.

All images are (N, channels, size, size) in [-1, 1]. A is the kind of the inputs, B that of the outputs.
"""

from collections import OrderedDict
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from gan.config import TrainConfig
from gan.networks.layers import Doubling, Dropout, FromPixels, Halving, ToPixels

NOISE = 0.5  # dropout in the decoder's first layers, pix2pix's only noise (Isola et al. 2017, section 3.2 and appendix 6.1.1)
NOISY = 3  # of these layers
WIDEST = 8  # times the filters: widths stop growing there, as in both papers
PATCH_HALVINGS = {16: 1, 34: 2, 70: 3}  # convolutions with stride 2 that give a patch of this many pixels


class Translator(nn.Module):
    """The base of generators that translate images. forward() goes from A to B.

    Attributes:
        image_size, channels: of the images.
        both_ways: whether translate() can also go from B to A.
    """

    both_ways = False

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.image_size, self.channels = config.image_size, config.channels

    def translate(self, images: torch.Tensor, back: bool = False) -> torch.Tensor:
        """Images of A -> B; with `back`, of B -> A.

        Raises:
            ValueError: it only translates from A to B.
        """
        if back and not self.both_ways:
            raise ValueError("this generator only translates from A to B")
        result: torch.Tensor = self(images)
        return result


def unet_sides(image_size: int) -> list[int]:
    """Side lengths of the encoder's maps, from the image down to 1: 64, 32, ..., 1, or 28, 14, 7, 4, 2, 1."""
    sides = [image_size]
    while sides[-1] > 1:
        sides.append((sides[-1] + 1) // 2)
    return sides


def _kernel(small: int, large: int) -> int:
    """Kernel of a (transposed) convolution with stride 2 and padding 1 between two sides: 3 for 4 <-> 7, else 4."""
    return large - 2 * small + 4


class UNet(Translator):
    """pix2pix's generator: an encoder down to one pixel, and a decoder that also gets the encoder's maps of its size (skip connections).

    Isola et al. 2017, sections 3.2 and 6.1.1. Batch normalization in all layers except the encoder's first and the one-pixel layer: at
    one pixel, the normalization of a batch of one would remove everything.
    """

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        sides, filters = unet_sides(config.image_size), config.generator_filters
        widths = [config.channels, *(filters * min(2**i, WIDEST) for i in range(len(sides) - 1))]
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        for i in range(1, len(sides)):
            normalized = 1 < i < len(sides) - 1
            kind = FromPixels if i == 1 else Halving
            down: OrderedDict[str, nn.Module] = OrderedDict(
                conv=kind(widths[i - 1], widths[i], _kernel(sides[i], sides[i - 1]), 2, 1, bias=not normalized)
            )
            if normalized:
                down["norm"] = nn.BatchNorm2d(widths[i])
            down["act"] = nn.LeakyReLU(0.2)
            self.encoder.append(nn.Sequential(down))
        for number, i in enumerate(reversed(range(1, len(sides)))):
            inputs = widths[i] if number == 0 else 2 * widths[i]
            kernel = _kernel(sides[i], sides[i - 1])
            if i == 1:
                self.decoder.append(nn.Sequential(OrderedDict(conv=ToPixels(inputs, config.channels, kernel, 2, 1), tanh=nn.Tanh())))
                break
            up: OrderedDict[str, nn.Module] = OrderedDict(
                conv=Doubling(inputs, widths[i - 1], kernel, 2, 1, bias=False), norm=nn.BatchNorm2d(widths[i - 1])
            )
            if number < NOISY:
                up["noise"] = Dropout(NOISE)
            up["act"] = nn.ReLU()
            self.decoder.append(nn.Sequential(up))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps, skipped = images, []
        for down in self.encoder:
            maps = down(maps)
            skipped.append(maps)
        skipped.pop()
        for up in self.decoder:
            maps = up(maps)
            if skipped:
                maps = torch.cat([maps, skipped.pop()], 1)
        return maps


class InstanceNorm(nn.Module):
    """Normalizes each map of each image by itself, without learned numbers (Ulyanov et al. 2016). (N, C, H, W) -> the same shape.

    The same numbers as F.instance_norm(), computed in the way that is fastest on a CPU: with channels last, batch normalization of one
    image after the other takes a seventh of the time of group normalization; with channels first it is the other way round.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.is_cpu and not x.is_contiguous() and x[0, 0].numel() > 1:
            return torch.cat([F.batch_norm(image, None, None, training=True) for image in x.split(1)])
        return F.group_norm(x, x.shape[1])


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with reflected borders, added to their input (Zhu et al. 2017, appendix 7.2). Keeps the shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(width, width, 3, bias=False), nn.Conv2d(width, width, 3, bias=False)
        self.norm = InstanceNorm()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inside = F.relu(self.norm(self.conv1(_reflected(x, 1))))
        return x + self.norm(self.conv2(_reflected(inside, 1)))


def _reflected(x: torch.Tensor, by: int) -> torch.Tensor:
    return F.pad(x, (by, by, by, by), mode="reflect")


def blocks_for(image_size: int) -> int:
    """Residual blocks in a generator: 6 up to 128 pixels, else 9 (Zhu et al. 2017, section 4)."""
    return 6 if image_size <= 128 else 9


class ResidualGenerator(nn.Module):
    """One of CycleGAN's generators: c7s1-f, d2f, d4f, residual blocks, u2f, uf, c7s1-channels (Zhu et al. 2017, appendix 7.2)."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        f = config.generator_filters
        self.first = nn.Conv2d(config.channels, f, 7, bias=False)
        self.down1, self.down2 = nn.Conv2d(f, 2 * f, 3, 2, 1, bias=False), nn.Conv2d(2 * f, 4 * f, 3, 2, 1, bias=False)
        self.blocks = nn.Sequential(*(ResidualBlock(4 * f) for _ in range(blocks_for(config.image_size))))
        self.up1 = nn.ConvTranspose2d(4 * f, 2 * f, 3, 2, 1, 1, bias=False)
        self.up2 = nn.ConvTranspose2d(2 * f, f, 3, 2, 1, 1, bias=False)
        self.last = nn.Conv2d(f, config.channels, 7)
        self.norm = InstanceNorm()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = F.relu(self.norm(self.first(_reflected(images, 3))))
        for layer in (self.down1, self.down2):
            maps = F.relu(self.norm(layer(maps)))
        maps = self.blocks(maps)
        for grow in (self.up1, self.up2):
            maps = F.relu(self.norm(grow(maps)))
        return torch.tanh(self.last(_reflected(maps, 3)))


class TwoGenerators(Translator):
    """CycleGAN's generators: `to_b` (G in the paper) and `to_a` (F)."""

    both_ways = True

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self.to_b, self.to_a = ResidualGenerator(config), ResidualGenerator(config)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.translate(images)

    def translate(self, images: torch.Tensor, back: bool = False) -> torch.Tensor:
        result: torch.Tensor = self.to_a(images) if back else self.to_b(images)
        return result


class PatchLayers(nn.Sequential):
    """A discriminator that answers for each patch: (N, inputs, size, size) -> (N, 1, h, w), logits or scores.

    Isola et al. 2017, section 6.1.2: convolutions with kernel 4, LeakyReLU 0.2, no normalization in the first layer.

    Args:
        inputs: channels of what it sees.
        filters: of its first layer.
        patch: its receptive field in pixels.
        norm: makes a normalization for so many channels.
    """

    def __init__(self, inputs: int, filters: int, patch: int, norm: Any) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict(patch_conv1=nn.Conv2d(inputs, filters, 4, 2, 1), act1=nn.LeakyReLU(0.2))
        halvings, before = PATCH_HALVINGS[patch], filters
        for i in range(2, halvings + 2):
            width, stride = filters * min(2 ** (i - 1), WIDEST), 2 if i <= halvings else 1
            layers[f"patch_conv{i}"] = nn.Conv2d(before, width, 4, stride, 1, bias=False)
            layers[f"patch_norm{i}"], layers[f"act{i}"], before = norm(width), nn.LeakyReLU(0.2), width
        layers["answer"] = nn.Conv2d(before, 1, 4, 1, 1)
        super().__init__(layers)


class PairDiscriminator(nn.Module):
    """pix2pix's discriminator sees an input and an output together (Isola et al. 2017, section 3.1)."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.layers = PatchLayers(2 * config.channels, config.discriminator_filters, config.patch, nn.BatchNorm2d)

    def forward(self, inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
        answers: torch.Tensor = self.layers(torch.cat([inputs, outputs], 1))
        return answers


class TwoDiscriminators(nn.Module):
    """CycleGAN's discriminators: `of_a` and `of_b` each see one image."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()

        def layers() -> PatchLayers:
            return PatchLayers(config.channels, config.discriminator_filters, config.patch, lambda width: InstanceNorm())

        self.of_a, self.of_b = layers(), layers()


def feature_maps(config: TrainConfig) -> int:
    """Numbers in the feature maps of one image on its way through a generator and a discriminator."""
    size, f, d = config.image_size, config.generator_filters, config.discriminator_filters
    halvings = PATCH_HALVINGS[config.patch]
    judged = sum(3 * d * min(2**i, WIDEST) * (size // 2 ** min(i + 1, halvings)) ** 2 for i in range(halvings + 1))
    if config.networks == "pix2pix":
        maps = [3 * f * min(2 ** (i - 1), WIDEST) * side**2 for i, side in enumerate(unet_sides(size)) if i]
        return 2 * sum(maps) + maps[0] + judged
    at_pixels, small = 3 * f * size**2, 3 * 4 * f * (size // 4) ** 2
    return int(2 * at_pixels * 1.5 + small * (1 + 2 * blocks_for(size))) + judged
