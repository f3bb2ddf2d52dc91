"""Inside the networks: every layer's output for an input, the filters of the layers at the pixels, and D's answers.

Reads only files, never a live run. It serves one caller at a time, on one thread, so a run that trains meanwhile keeps its cores.
Knows nothing about pages.
"""

import copy
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from gan import latent
from gan.devices import one_thread
from gan.images import to_float
from gan.inside.files import Networks
from gan.networks.biggan import Attention, BlockDown, BlockUp, SumOverPlaces
from gan.networks.blurred_picture import BlurredPicture
from gan.networks.dcgan import Discriminator, Generator, count_parameters
from gan.networks.layers import Block, Dropout, FromLatent, MinibatchDiscrimination, MinibatchStd
from gan.networks.residual import Basis, Enlarge, Residual, Shrink
from gan.networks.sampling import sample
from gan.networks.stylegan import Constant, StyleBlock, StyledConv, ToImage

COMPANY = 16  # images in the batch around an image
AFFORDABLE = 2e10  # the most multiplications per call: about two seconds of a core

_looking = threading.Lock()


@contextmanager
def _quietly() -> Iterator[None]:
    """One caller at a time, on one thread, without gradients."""
    with _looking, torch.inference_mode(), one_thread():
        yield


# Files


# Layers

_NUMBERS = "Every number of the output is a weighted sum of all numbers before it."
_KINDS: list[tuple[type[nn.Module] | tuple[type[nn.Module], ...], str, str]] = [
    (
        FromLatent,
        "transposed convolution",
        "Multiplies each number of z by a learned 4 x 4 pattern for every map and adds up the results: z becomes a first, tiny image.",
    ),
    (
        nn.ConvTranspose2d,
        "transposed convolution",
        "Every pixel of the previous maps stamps a learned pattern onto a finer grid, scaled by its value. Overlapping stamps add up, so the "
        "maps grow and gain detail. Uneven overlap leaves a checkerboard.",
    ),
    (
        nn.Conv2d,
        "convolution",
        "A small window slides over all previous maps and measures how much each place looks like its learned pattern.",
    ),
    (
        BlurredPicture,
        "blurred picture",
        "A picture of few pixels, linear in z, that is added to what the convolutions draw. It began as the mean of the training images plus "
        "their principal components, and fades while the convolutions learn.",
    ),
    (
        Residual,
        "residual block",
        "Adds a correction to the maps, computed from each place and its neighbors. Before training, the correction is 0.",
    ),
    (
        BlockUp,
        "residual block",
        "Doubles height and width, and adds a correction of two convolutions. Before each of them, every map is normalized, then scaled and "
        "shifted by what this block's part of z, and the class if there is one, ask for.",
    ),
    (BlockDown, "residual block", "Halves height and width if this is not the last block, and adds a correction of two convolutions."),
    (
        Attention,
        "self-attention",
        "Each place adds what it finds at all other places, most from those that it attends to. It begins without any effect.",
    ),
    (SumOverPlaces, "sum", "Adds up each map over all places: how much of each pattern there is, wherever it is."),
    (Constant, "constant", "The same learned maps for every image. Everything that differs comes from the styles."),
    (
        StyledConv,
        "styled convolution",
        "A convolution in which the style w sets the weight of each map before it. It adds noise of a learned strength, and shrinks negative "
        "values to a fifth.",
    ),
    (
        ToImage,
        "colors",
        "Each pixel's color is a weighted sum of the maps at its place. It is added to the smaller image before it, enlarged.",
    ),
    (
        StyleBlock,
        "residual block",
        "Two convolutions; the second one halves height and width. A shortcut, a convolution of one pixel, is added to their result.",
    ),
    (Basis, "patterns", "Multiplies each number by a learned 4 x 4 pattern: z becomes a first, tiny image."),
    (Enlarge, "resizing", "Doubles height and width: new pixels are means of their neighbors. It has nothing to learn."),
    (Shrink, "resizing", "Halves height and width: each new pixel is a mean of neighbors. It has nothing to learn."),
    (nn.Upsample, "resizing", "Repeats every pixel, so the maps grow. It has nothing to learn."),
    (
        (nn.BatchNorm1d, nn.BatchNorm2d),
        "batch normalization",
        "Shifts and scales each map to mean 0 and deviation 1, then by two learned numbers. Training uses the mean and deviation of the "
        "batch; here they are averages from training.",
    ),
    (nn.ReLU, "ReLU", "Negative values become 0. The rest shows where a pattern was found, and how strongly."),
    (nn.LeakyReLU, "leaky ReLU", "Negative values shrink to a fifth, so they can still learn. The rest stays."),
    (nn.Tanh, "tanh", "Squeezes every value between -1 (black) and 1 (white): this is the image."),
    (nn.Linear, "dense layer", _NUMBERS),
    (MinibatchStd, "minibatch deviation", "Adds one map: how much the images of the batch differ. For a single image this is 0."),
    (
        MinibatchDiscrimination,
        "minibatch discrimination",
        "Adds maps that say how close this image is to the others of the batch. For a single image they are 1.",
    ),
    (nn.Embedding, "class", "The learned numbers of the class, next to z."),
]
_SILENT = (nn.Flatten, Dropout)  # these change nothing here
_POINTWISE = ("batch normalization", "ReLU", "leaky ReLU", "tanh")  # map by map the same as the layer before


@dataclass(frozen=True)
class Layer:
    """A layer's output for one input.

    Attributes:
        name: as in the network, "conv7".
        kind: in words, such as "transposed convolution".
        about: what such a layer does, in one to three sentences.
        maps: float32 (C, H, W); (C, 1, 1) for C numbers without a position.
    """

    name: str
    kind: str
    about: str
    maps: np.ndarray

    @property
    def size(self) -> str:
        """As in "128 maps of 7 x 7"."""
        count, height, width = self.maps.shape
        what = "number" if height == width == 1 else "map"
        return f"{count} {what}{'' if count == 1 else 's'}" + (f" of {height} x {width}" if what == "map" else "")


def activations(
    network: Generator | Discriminator, x: torch.Tensor, labels: torch.Tensor | None = None, company: np.ndarray | None = None
) -> dict[str, Layer]:
    """Every layer's output for one input, by layer name, in the order of the network.

    Layers that change nothing in eval mode (dropout, reshaping) are left out.

    Args:
        network: in eval mode, on the CPU.
        x: one input: z (1, latent_dim) for a generator, or an image (1, C, H, W) in [-1, 1] for a discriminator; the image is
            repeated if the discriminator sees several images at once.
        labels: its class (1,), if the network is conditional.
        company: for a discriminator; see answers().
    """
    if isinstance(network, Discriminator):
        network = network if company is None else _as_in_training(network)
        x, labels = _seated(network.packing, x, labels, company)
    layers: dict[str, Layer] = {}

    def keep(name: str, module: nn.Module, output: torch.Tensor) -> None:
        # A copy, because activations overwrite the output of the layer before them.
        values = output.detach()[0].float().clone(memory_format=torch.contiguous_format)
        maps = (values if values.dim() == 3 else values.reshape(-1, 1, 1)).numpy()
        if isinstance(module, nn.Unflatten):  # the dense layer's numbers have positions after all
            before = next(reversed(layers))
            layers[before] = replace(layers[before], maps=maps)
        else:
            layers[name] = Layer(name, *describe(module, name), maps)

    handles = []
    with _quietly():
        try:
            for name, module in network.parts().items():
                if not isinstance(module, _SILENT):
                    handles.append(module.register_forward_hook(lambda m, i, o, name=name: keep(name, m, o)))
            network(x, labels)
        finally:
            for handle in handles:
                handle.remove()
    return layers


def describe(module: nn.Module, name: str = "") -> tuple[str, str]:
    """A layer's kind in words, and what such a layer does."""
    kind, about = next(((kind, about) for types, kind, about in _KINDS if isinstance(module, types)), (type(module).__name__, ""))
    if name == "image":
        kind, about = (
            "image",
            "Each pixel is a weighted sum of the maps at its place. Values below -1 show as black, values above 1 as white.",
        )
    elif name == "w":
        about = "The style w: each layer below scales its maps by numbers that it computes from w."
    elif isinstance(module, nn.Conv2d) and name == "basis":
        about = "Compares each map with a learned pattern of the same size, and keeps one number for each map."
    elif isinstance(module, nn.Conv2d) and name == "pixels":
        about = "Mixes the colors of each pixel into many maps, each with its own weights."
    elif isinstance(module, nn.Conv2d) and name == "logit":
        about = "One window over everything left. It gives a single number: D's answer."
    elif isinstance(module, nn.Conv2d) and module.stride == (2, 2):
        about += " It moves two pixels at a time, so the maps halve in height and width."
    elif isinstance(module, nn.Linear) and name == "logit":
        about = "A single number, D's answer: a weighted sum of everything it found."
    return kind, about


def blocks(layers: dict[str, Layer]) -> list[list[Layer]]:
    """The layers in groups: each with the normalization and activation after it, which change the same maps."""
    groups: list[list[Layer]] = []
    for layer in layers.values():
        if layer.kind in _POINTWISE and groups and groups[-1][-1].maps.shape == layer.maps.shape:
            groups[-1].append(layer)
        else:
            groups.append([layer])
    return groups


def choose_maps(layers: dict[str, Layer], most: int) -> dict[str, list[int]]:
    """Which maps of each layer to show, at most `most`: the strongest first.

    The strongest maps are those that vary most from place to place at the end of a block. All layers of a block show the same maps,
    so you can follow each map through the block.
    """
    chosen: dict[str, list[int]] = {}
    for block in blocks(layers):
        order = (-block[-1].maps.var(axis=(1, 2))).argsort(kind="stable")[:most].tolist()
        chosen |= {layer.name: order for layer in block}
    return chosen


# Pictures


# Answers


def draw(networks: Networks, seeds: Sequence[int], label: int = 0) -> np.ndarray:
    """The generator's images of seeds: uint8 (len(seeds), C, H, W); of one class if it is conditional."""
    z = latent.from_seeds(seeds, networks.config.latent_dim, networks.config.latent_distribution)
    with _quietly():
        return sample(networks.generator, z, torch.tensor(label).expand(len(z)) if networks.class_names else None, batch=16)


def as_input(image: np.ndarray) -> torch.Tensor:
    """uint8 (C, H, W) -> a discriminator's input: float32 (1, C, H, W) in [-1, 1]. A copy."""
    return to_float(torch.tensor(image))[None]


def answers(networks: Networks, images: np.ndarray, labels: Sequence[int] = (), company: np.ndarray | None = None) -> list[float]:
    """D's answer to each image: the probability that it is real, or its score if config.has_scores.

    If D sees several images at once, copies of each image are used.

    Args:
        networks: with a discriminator.
        images: uint8 (N, C, H, W) of the networks' size.
        labels: one class per image, for a conditional discriminator; class 0 if not given.
        company: uint8 (at least COMPANY, C, H, W): each image is put into a batch with these, as in training, and batch
            normalization uses that batch's mean and deviation. None: each image alone, with the averages from training.
    """
    discriminator = networks.discriminator
    assert discriminator is not None
    if company is not None:
        discriminator = _as_in_training(discriminator)
    numbers = []
    for i, image in enumerate(images):
        with _quietly():  # image by image, so others get their turn
            label = networks.labels(labels[i] if labels else 0)
            batch, classes = _seated(discriminator.packing, as_input(image), label, company)
            answer = discriminator(batch, classes)[0]
            numbers.append(float(answer if networks.config.has_scores else torch.sigmoid(answer)))
    return numbers


def _as_in_training(discriminator: Discriminator) -> Discriminator:
    """A copy whose batch normalization uses the batch. It is a copy because the averages from training must not change."""
    with _quietly():  # while no one else has hooks in it
        discriminator = copy.deepcopy(discriminator)
    for module in discriminator.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
    return discriminator


def _seated(
    packing: int, x: torch.Tensor, labels: torch.Tensor | None, company: np.ndarray | None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The batch for a discriminator whose first answer is the answer to an image x (1, C, H, W), and the batch's classes."""
    x = x.repeat(packing, 1, 1, 1)
    if company is None:
        return x, labels
    x = torch.cat([x, to_float(torch.from_numpy(company[packing : COMPANY // packing * packing]))])
    if labels is not None:  # the classes of the other images do not affect this image
        labels = torch.cat([labels, labels.new_zeros(len(x) // packing - 1)])
    return x, labels


def affordable(networks: Networks, most: int, in_company: bool = False) -> int:
    """How many images to pass at once, 1 to `most`, so that large networks do not keep a core busy for long."""
    assert networks.discriminator is not None
    cost = 0
    for name, module in networks.discriminator.layers.named_children():
        if isinstance(module, nn.Conv2d | nn.Linear | Block):
            side = re.fullmatch(r"(?:conv|block)(\d+)", name)
            cost += count_parameters(module) * (int(side[1]) ** 2 if side else 1)
    return max(1, min(most, int(AFFORDABLE / cost / (COMPANY if in_company else networks.config.packing))))


# Norms
