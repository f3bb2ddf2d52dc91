"""Generator and Discriminator of the DCGAN family, at 28 pixels or a power of two. Know nothing of training."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn

from gan.config import TrainConfig


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


def _activation(name: str) -> nn.Module:
    return nn.ReLU(inplace=True) if name == "relu" else nn.LeakyReLU(0.2, inplace=True)


class Generator(nn.Module):
    """z (N, latent_dim) -> images (N, channels, size, size) in [-1, 1] (Radford et al. 2016, figure 1)."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.latent_dim, self.image_size, self.channels = config.latent_dim, config.image_size, config.channels
        sizes = _sizes(config.image_size)
        widths = [config.generator_filters * 2**i for i in reversed(range(len(sizes) - 1))] + [config.channels]
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for i, (size, width) in enumerate(zip(sizes, widths, strict=True)):
            if i == 0:
                layers[f"conv{size}"] = FromLatent(config.latent_dim, width, 4, 1, 0, bias=False)
            else:
                layers[f"conv{size}"] = nn.ConvTranspose2d(widths[i - 1], width, _kernel(sizes[i - 1], size), 2, 1, bias=False)
            if size < config.image_size:
                norm, act = (f"norm{size}", nn.BatchNorm2d(width)), (f"act{size}", _activation(config.generator_activation))
                layers.update([norm, act] if config.generator_order == "norm_first" else [act, norm])
        layers["tanh"] = nn.Tanh()
        self.layers = nn.Sequential(layers)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.layers(z)


class Discriminator(nn.Module):
    """images (N, channels, size, size) in [-1, 1] -> logits (N,); sigmoid(logit) is the probability of "real"."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        sizes = _sizes(config.image_size)[::-1]
        widths = [config.channels] + [config.discriminator_filters * 2**i for i in range(len(sizes) - 1)]
        dense = config.discriminator_head == "dense"
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for i, (size, width) in enumerate(zip(sizes, widths, strict=True)):
            if i == 0:
                continue
            if dense and size < 7:
                break
            layers[f"conv{size}"] = nn.Conv2d(widths[i - 1], width, _kernel(size, sizes[i - 1]), 2, 1, bias=dense)
            if i > 1 and not dense:
                layers[f"norm{size}"] = nn.BatchNorm2d(width)
            layers[f"act{size}"] = nn.LeakyReLU(0.2, inplace=True)
            if config.dropout > 0:
                layers[f"drop{size}"] = Dropout(config.dropout)
        if dense:
            layers["flatten"] = nn.Flatten()
            layers["dense"] = nn.Linear(widths[-2] * sizes[-2] ** 2, 512)
            layers["act_dense"] = nn.LeakyReLU(0.2, inplace=True)
            layers["logit"] = nn.Linear(512, 1)
        else:
            layers["logit"] = ToLogit(widths[-1], 1, 4, 1, 0, bias=False)
        self.layers = nn.Sequential(layers)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images).flatten()


@torch.no_grad()
def initialize(network: nn.Module, how: str, rng: torch.Generator) -> None:
    """Draws a network's first weights, in place, from `rng` alone.

    how: "dcgan" for convolutions N(0, 0.02), normalisation scales N(1, 0.02) (Radford et al. 2016, section 3; the
    reference code, which leaves biases and dense layers as they are); "pytorch" for the library's own default, uniform in
    +-1 / sqrt(fan_in) (He et al. 2015 with a = sqrt 5).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if how == "dcgan" and not isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0.0, 0.02, generator=rng)
            else:
                nn.init.kaiming_uniform_(module.weight, a=5**0.5, generator=rng)
            if module.bias is not None:
                bound = module.weight[0].numel() ** -0.5
                nn.init.uniform_(module.bias, -bound, bound, generator=rng)
        elif isinstance(module, nn.BatchNorm2d):
            if how == "dcgan":
                nn.init.normal_(module.weight, 1.0, 0.02, generator=rng)
            else:
                nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def count_parameters(network: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(p.numel() for p in network.parameters())
