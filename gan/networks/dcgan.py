"""Generator and Discriminator of the DCGAN family, at 28 pixels or a power of two, and their initial weights. Know nothing about training."""

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from gan.config import TrainConfig
from gan.networks.blurred_picture import BlurredPicture
from gan.networks.layers import (
    KERNELS,
    POWER_ITERATIONS,
    Doubling,
    Dropout,
    FromLatent,
    FromPixels,
    Halving,
    Layers,
    MinibatchDiscrimination,
    MinibatchStd,
    OwnWeights,
    RepeatedConv,
    SpectralNorm,
    ToLogit,
    ToPixels,
    activation,
    map_sizes,
)
from gan.networks.residual import Basis, Residual, fixup_deviations, residual_discriminator, residual_generator

RESIZED = 2  # sizes, from the image's down, to which mixed upsampling resizes
EMBEDDING = 32  # numbers that stand for a class in the generator's input, next to z


def _kernel(small: int, large: int) -> int:
    """Kernel of a (transposed) convolution with stride 2, padding 1 between two sizes: 3 for 4 <-> 7, else 4.

    From o = (n - 1) s - 2 p + k (Dumoulin and Visin 2016): k = large - 2 small + 4.
    """
    return large - 2 * small + 4


class Generator(nn.Module):
    """z (N, latent_dim) -> images (N, channels, size, size) in [-1, 1] (Radford et al. 2016, figure 1).

    A kind of networks with a forward() of its own is a subclass; gan/networks/build.py chooses it. `layers` then still has all layers in
    their order, and what depends on the kind is a method here.

    Args:
        config: the run's settings.
        classes: number of classes in the data; used only if the config is conditional. forward() then takes their
            numbers, int64 (N,), whose embeddings are appended to z (Mirza and Osindero 2014).
    """

    embedding_dim = EMBEDDING

    def __init__(self, config: TrainConfig, classes: int = 0) -> None:
        super().__init__()
        self.latent_dim, self.image_size, self.channels = config.latent_dim, config.image_size, config.channels
        self.classes = classes if config.conditional else 0
        if self.classes:
            self.embedding = nn.Embedding(self.classes, self.embedding_dim)
        if config.translates:
            raise ValueError(f"networks {config.networks} translate images and have no latent vectors")
        self.layers = nn.Sequential(self.build(config))
        blurred = config.networks in ("dcgan", "residual") and config.principal_components > 0
        self.blurred = BlurredPicture(config.latent_dim, config.channels, config.image_size) if blurred else None
        if config.generator_spectral_norm:
            normalize_spectrally(self.layers)

    def build(self, config: TrainConfig) -> Layers:
        """The layers from z, or z and the class's embedding, to an image."""
        build = {"dcgan": _conv_generator, "mlp": _dense_generator, "residual": residual_generator}[config.networks]
        return build(config, config.latent_dim + (self.embedding_dim if self.classes else 0))

    @property
    def map_numbers(self) -> int | None:
        """How many numbers of feature maps a step keeps for each image; None to add up the layers' outputs (gan/training/memory.py)."""
        return None

    @property
    def at_pixels(self) -> nn.Module:
        """The last layer with weights."""
        return [layer for layer in self.layers if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)][-1]

    def parts(self) -> dict[str, nn.Module]:
        """What Look inside shows, in order: modules whose output says something about the one image that they work on."""
        embedding = {"class": self.embedding} if self.classes else {}
        *layers, last = self.layers.named_children()
        blurred = {"blurred": self.blurred} if self.blurred and self.blurred.share > 0 else {}
        return embedding | dict(layers) | blurred | dict([last])

    def embedded(self, labels: torch.Tensor | None) -> torch.Tensor:
        """The numbers that stand for classes, int64 (N,), in a conditional generator: (N, embedding_dim)."""
        if labels is None:
            raise ValueError(f"this generator is conditional: give labels from 0 to {self.classes - 1}")
        embedded: torch.Tensor = self.embedding(labels)
        return embedded

    def forward(self, z: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        x = torch.cat([z, self.embedded(labels)], 1) if self.classes else z
        if self.blurred is None or self.blurred.over:
            return self.layers(x)
        *layers, last = self.layers
        for layer in layers:
            x = layer(x)
        picture: torch.Tensor = self.blurred(z)
        drawn: torch.Tensor = last(x + picture) if isinstance(last, nn.Tanh) else last(x) + picture.tanh()
        return drawn

    def first_features(self, z: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """The features after the first layer with weights, its normalization and its activation: (N, features)."""
        x = torch.cat([z, self.embedded(labels)], 1) if self.classes else z
        weighty = (nn.ConvTranspose2d, nn.Conv2d, nn.Linear, Residual, nn.Upsample, nn.Unflatten)
        first, *rest = self.layers
        for layer in (first, *itertools.takewhile(lambda layer: not isinstance(layer, weighty), rest)):
            x = layer(x)
        return x.flatten(1)

    def first_weights(self) -> torch.Tensor:
        """What the layers that get z multiply it with: (latent_dim, features)."""
        first: Any = next(layer for layer in self.layers if isinstance(layer, nn.ConvTranspose2d | nn.Linear))
        weight = first.weight.T if isinstance(first, nn.Linear) else first.weight.flatten(1)  # (inputs, features)
        return weight[: self.latent_dim]


def _conv_generator(config: TrainConfig, inputs: int) -> Layers:
    sizes = map_sizes(config.image_size)
    widths = [config.generator_filters * 2**i for i in reversed(range(len(sizes) - 1))] + [config.channels]
    layers: Layers = OrderedDict()

    def norm_and_activation(name: str, width: int) -> None:
        act = (f"act{name}", activation(config.generator_activation))
        norm = [(f"norm{name}", nn.BatchNorm2d(width))] if config.generator_norm == "batch" else []
        layers.update([*norm, act] if config.generator_order == "norm_first" else [act, *norm])

    bias = config.generator_norm == "none"  # a normalization would remove it again
    for i, (size, width) in enumerate(zip(sizes, widths, strict=True)):
        if size == config.image_size:
            for extra in range(1, config.generator_extra_layers + 1):
                layers[f"extra{extra}"] = nn.Conv2d(widths[i - 1], widths[i - 1], 3, 1, 1, bias=bias)
                norm_and_activation(f"_extra{extra}", widths[i - 1])
        if i == 0:
            layers[f"conv{size}"] = FromLatent(inputs, width, 4, 1, 0, bias=False)
        elif config.generator_upsampling == "resize" or (config.generator_upsampling == "mixed" and i >= len(sizes) - RESIZED):
            layers[f"resize{size}"] = nn.Upsample(size)
            convolution = RepeatedConv if size == 2 * sizes[i - 1] else nn.Conv2d  # from 4 to 7 pixels, not all are repeated
            layers[f"conv{size}"] = convolution(widths[i - 1], width, 3, 1, 1, bias=bias)
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
        layers[f"act{i}"] = activation(config.generator_activation)
    layers["dense4"] = nn.Linear(widths[-1], config.channels * config.image_size**2)
    layers["unflatten"] = nn.Unflatten(1, (config.channels, config.image_size, config.image_size))
    layers["tanh"] = nn.Tanh()
    return layers


class Discriminator(nn.Module):
    """images (N, channels, size, size) in [-1, 1] -> answers (N / packing,): logits of "real", or scores, depending on the loss.

    Args:
        config: the run's settings.
        classes: number of classes in the data; used only if the config is conditional. forward() then takes their
            numbers, int64 (N,), and adds the projection of the features on the class's embedding (Miyato and Koyama 2018).
    """

    def __init__(self, config: TrainConfig, classes: int = 0) -> None:
        super().__init__()
        self.packing = config.packing
        layers, width = self.build(config)
        self.layers = nn.Sequential(layers)
        self.minibatch_std = MinibatchStd() if config.minibatch_std else None
        compared = (width + (1 if config.minibatch_std else 0)) * self.feature_places(config)
        self.minibatch_discrimination = MinibatchDiscrimination(compared) if config.minibatch_discrimination else None
        self.logit = self.new_logit(config, width)
        self.classes = classes if config.conditional else 0
        if self.classes:
            self.embedding = nn.Embedding(self.classes, width)
        if config.spectral_norm:
            normalize_spectrally(self)

    @property
    def first_layer(self) -> nn.Conv2d | nn.Linear:
        """The layer whose weights look at pixels."""
        return next(layer for layer in self.layers if isinstance(layer, nn.Conv2d | nn.Linear))

    def build(self, config: TrainConfig) -> tuple[Layers, int]:
        """The layers up to the last features, and the number of these features (per position if they are maps)."""
        build = {"dcgan": _conv_discriminator, "mlp": _dense_discriminator, "residual": residual_discriminator}[config.networks]
        return build(config)

    def feature_places(self, config: TrainConfig) -> int:
        """At how many places there are features: 16 of maps of 4 x 4, else 1."""
        return 16 if config.networks == "dcgan" and config.discriminator_head == "conv" else 1

    def new_logit(self, config: TrainConfig, width: int) -> nn.Module:
        """The last layer, which gives the answer. width: the number of features before it, without what comparing images adds."""
        inputs = width + numbers_of_company(config)
        if self.feature_places(config) > 1:
            return ToLogit(inputs, 1, 4, 1, 0, bias=False)
        return nn.Linear(inputs, 1, bias=config.networks != "residual")

    @property
    def map_numbers(self) -> int | None:
        """As a generator's."""
        return None

    def parts(self) -> dict[str, nn.Module]:
        """As a generator's; the last one is "logit"."""
        return dict(self.layers.named_children()) | self.parts_in_company() | {"logit": self.logit}

    def parts_in_company(self) -> dict[str, nn.Module]:
        """The layers that compare the images of a batch."""
        compared = {"minibatch_std": self.minibatch_std, "minibatch_discrimination": self.minibatch_discrimination}
        return {name: module for name, module in compared.items() if module}

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """The features behind the answer: (N / packing, width, 4, 4), or (N / packing, width) with a dense head."""
        return self.layers(self._packed(images))

    def _packed(self, images: torch.Tensor) -> torch.Tensor:
        """m images as one with m times the channels (Lin et al. 2018, section 3)."""
        m = self.packing
        return images if m == 1 else images.reshape(-1, m * images.shape[1], *images.shape[2:])

    def judge(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """features() -> answers (N / packing,)."""
        answers: torch.Tensor = self.logit(self.in_company(features)).flatten()
        return self._with_class(answers, features, labels)

    def in_company(self, features: torch.Tensor) -> torch.Tensor:
        """Adds what comparing the batch's images says about each: (N, width, ...) -> (N, width + numbers_of_company(), ...)."""
        for compared in (self.minibatch_std, self.minibatch_discrimination):
            features = compared(features) if compared else features
        return features

    def _with_class(self, answers: torch.Tensor, features: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        """Adds what features (N, width, ...) say about their classes, if the discriminator is conditional."""
        if not self.classes:
            return answers
        if labels is None:
            raise ValueError(f"this discriminator is conditional: give labels from 0 to {self.classes - 1}")
        pooled = features.flatten(2).sum(2) if features.dim() > 2 else features
        return answers + (self.embedding(labels) * pooled).sum(1)

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return self.judge(self.features(images), labels)

    def forward_each(self, batches: Sequence[torch.Tensor], labels: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        """forward() of independent batches of the same size, with one convolution for all: up to 1.1 times as fast on a CPU."""
        maps = torch.cat([self._packed(images) for images in batches])
        n = len(maps) // len(batches)
        for layer in self.layers:
            maps = torch.cat([layer(part) for part in maps.split(n)]) if isinstance(layer, nn.BatchNorm2d) else layer(maps)
        return tuple(self.judge(features, labels) for features in maps.split(n))


def _conv_discriminator(config: TrainConfig) -> tuple[Layers, int]:
    """The layers up to the last features, and the number of these features (per position if the head is a convolution)."""
    sizes = map_sizes(config.image_size)[::-1]
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


def numbers_of_company(config: TrainConfig) -> int:
    """How many features comparing the images of a batch adds."""
    return (1 if config.minibatch_std else 0) + (KERNELS if config.minibatch_discrimination else 0)


def normalize_spectrally(network: nn.Module) -> None:
    """Divides the weights of a network's convolutions, dense layers and embeddings by their largest singular values from now on."""
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
            norm = SpectralNorm(module.weight, 1 if isinstance(module, nn.ConvTranspose2d) else 0)
            parametrize.register_parametrization(module, "weight", norm, unsafe=True)  # unsafe: without a first use


@torch.no_grad()
def initialize(network: nn.Module, how: str, rng: torch.Generator) -> None:
    """Initializes a network's weights in place, using only `rng`.

    how: "dcgan" for convolutions N(0, 0.02), normalization scales N(1, 0.02) (Radford et al. 2016, section 3; the
    reference code, which does not change biases and dense layers); "pytorch" for the library's own default, uniform in
    +-1 / sqrt(fan_in) (He et al. 2015 with a = sqrt 5); "orthogonal" for random orthogonal matrices (Saxe et al. 2014) without biases;
    "fixup" for residual networks: see fixup_deviations().
    """
    deviations = fixup_deviations(network) if how == "fixup" else {}
    for module in network.modules():
        if isinstance(module, OwnWeights):
            module.start(rng)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
            normalized = parametrize.is_parametrized(module)
            weight: Any = module.parametrizations.weight.original if normalized else module.weight  # type: ignore[union-attr, index]
            if how == "orthogonal":
                weight.copy_(_orthogonal(weight.shape, rng))
            elif isinstance(module, nn.Embedding):
                # Small: with N(0, 1) next to z, the generator ignored z and drew one image per class (700 steps, digits).
                nn.init.normal_(weight, 0.0, 0.1 if isinstance(network, Generator) else 0.02, generator=rng)
            elif module in deviations:
                nn.init.normal_(weight, 0.0, deviations[module], generator=rng)
            elif how == "dcgan" and not isinstance(module, nn.Linear):
                nn.init.normal_(weight, 0.0, 0.02, generator=rng)
            else:
                nn.init.kaiming_uniform_(weight, a=5**0.5, generator=rng)
            if getattr(module, "bias", None) is not None:
                bound = weight[0].numel() ** -0.5 if module not in deviations and how != "orthogonal" else 0.0
                nn.init.uniform_(module.bias, -bound, bound, generator=rng)  # type: ignore[arg-type]
            if normalized:
                _measure_again(module, rng)
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d) and module.affine:
            if how == "dcgan":
                nn.init.normal_(module.weight, 1.0, 0.02, generator=rng)
            else:
                nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, Basis):
            nn.init.normal_(module.weight, 0.0, 1.0, generator=rng)


def _orthogonal(shape: torch.Size, rng: torch.Generator) -> torch.Tensor:
    """A matrix (first axis, all others) with orthogonal rows or columns of length 1, uniformly drawn (Mezzadri 2007).

    In 64 bits, so its 32 bits do not depend on the number of threads.
    """
    rows, columns = shape[0], shape[1:].numel()
    drawn = torch.randn(max(rows, columns), min(rows, columns), generator=rng, dtype=torch.float64)
    q, r = torch.linalg.qr(drawn)
    q *= r.diagonal().sign()
    return (q if rows >= columns else q.T).reshape(shape)


def _measure_again(module: nn.Module, rng: torch.Generator) -> None:
    """Initializes a layer's estimate of its largest singular value from `rng`; torch uses the global generator."""
    for vector in module.buffers():
        vector.copy_(F.normalize(torch.randn(vector.shape, generator=rng), dim=0))
    for _ in range(POWER_ITERATIONS):
        _ = module.weight  # each access in training mode is one iteration


def count_parameters(network: nn.Module) -> int:
    """The number of parameters of a network."""
    return sum(p.numel() for p in network.parameters())
