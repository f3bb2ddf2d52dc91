"""Inside the networks: what every layer makes of an input, what the layers at the pixels look for, what D answers.

Reads files only, never a live run. One look at a time, on one thread: a run that trains beside keeps its cores.
Knows nothing of pages.
"""

import copy
import itertools
import math
import os
import pickle
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from gan import latent
from gan.config import TrainConfig
from gan.explore.models import pretrained
from gan.images import to_float
from gan.networks.dcgan import Discriminator, Dropout, FromLatent, Generator, MinibatchStd
from gan.networks.generator_file import MOST_CLASSES, CheckpointError, load_generator, read_config, read_metadata
from gan.networks.sampling import sample
from gan.runs.folder import RunFolder, is_run_name
from gan.training import saved_state as states
from gan.untrusted import is_number, is_whole, open_regular, parse_json

NEWEST = "newest"
LARGEST_NETWORKS = 1 << 30  # bytes of both networks' weights
COMPANY = 16  # images of a batch in which one is judged
AFFORDABLE = 2e10  # multiplications that one look may take: about two seconds of a core
NETWORKS = ("generator", "discriminator")

_looking = threading.Lock()


@contextmanager
def _quietly() -> Iterator[None]:
    """One look at a time, on one thread, without gradients."""
    with _looking, torch.inference_mode():
        torch.set_num_threads(1)
        yield


# Files


@dataclass(frozen=True)
class Networks:
    """What a file holds, on the CPU and in eval mode.

    Attributes:
        generator: the averaged one, from which samples come.
        discriminator: None where the file holds a generator alone.
        config: the settings that both were made by.
        step: how long they had been trained.
        class_names: of a conditional run, else empty.
    """

    generator: Generator
    discriminator: Discriminator | None
    config: TrainConfig
    step: int
    class_names: tuple[str, ...] = ()

    def noise(self, seed: int) -> torch.Tensor:
        """A seed's noise vector: (1, latent_dim)."""
        return latent.noise([seed], self.config.latent_dim, self.config.latent_distribution)

    def labels(self, label: int) -> torch.Tensor | None:
        """A class as the networks take it: (1,), or None where they are not conditional."""
        return torch.tensor([label]) if self.class_names else None

    @property
    def depends_on_company(self) -> bool:
        """Whether D's answer to an image depends on the images beside it while it trains."""
        return self.config.normalises_discriminator or self.config.minibatch_std


def network_files(root: Path, name: str) -> dict[str, Path]:
    """The files that hold networks, by step, the oldest first; and the newest once more, as "newest".

    Saved states (.pt) hold both networks, generator files (.safetensors) one. Where a step has both kinds, the state is
    taken. Empty where a run has kept nothing yet.

    Args:
        root: the folder of all runs.
        name: a run's id, or the name of a generator that ships with the project.

    Raises:
        KeyError: there is neither.
    """
    if is_run_name(name) and os.path.lexists(root / name / "config.json"):
        folder = RunFolder(root / name)
        steps = {step: folder.generator_file(step) for step in folder.generator_steps()}
        steps |= {step: folder.kept_state_file(step) for step in folder.state_steps()}
        files = {str(step): path for step, path in sorted(steps.items())}
        if folder.state_file.is_file():
            files[NEWEST] = folder.state_file
        elif files:
            files[NEWEST] = list(files.values())[-1]
        return files
    shipped = pretrained(root)
    if name not in shipped:
        raise KeyError(name)
    return {NEWEST: shipped[name]}


def load_networks(path: Path) -> Networks:
    """The networks of a saved state, or of a generator file. Executes nothing that the file holds.

    Raises:
        CheckpointError: the file, or the settings of its run, are missing or damaged, or do not fit each other.
    """
    if path.suffix == ".safetensors":
        loaded = load_generator(path)
        return Networks(loaded.network, None, loaded.config, loaded.step, loaded.class_names)
    folder = RunFolder(path.parent.parent if path.parent.name == "states" else path.parent)
    config, _ = folder.read_config()
    try:
        # Mapped: the optimisers' moments, more than half of the file, are never read.
        stored = states.read(path, mmap=True)
        averaged, discriminator, step = stored["averaged"], stored["discriminator"], int(stored["step"])
        classes = len(averaged["embedding.weight"]) if config.conditional else 0
        if not 0 <= classes <= MOST_CLASSES:
            raise ValueError(f"it holds {classes} classes; at most {MOST_CLASSES} are read")
        networks = Networks(
            _filled(Generator, config, classes, averaged),
            _filled(Discriminator, config, classes, discriminator),
            config,
            step,
            _class_names(folder, classes),
        )
    except FileNotFoundError:
        raise CheckpointError(f"the run {folder.path.name} has no such saved state") from None
    except pickle.UnpicklingError:
        raise CheckpointError(f"{path.name} of the run {folder.path.name} holds more than numbers, or is damaged") from None
    except (RuntimeError, KeyError, ValueError, TypeError, IndexError, EOFError, AttributeError, OverflowError, OSError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise CheckpointError(f"{path.name} of the run {folder.path.name} cannot be looked into: {reason}") from None
    return networks


N = TypeVar("N", Generator, Discriminator)


def _filled(kind: type[N], config: TrainConfig, classes: int, tensors: dict[str, torch.Tensor]) -> N:
    """A network with stored weights, after a look at their shapes.

    Raises:
        ValueError: they are of other shapes than the settings say, no numbers, or too many.
    """
    with torch.device("meta"):  # shapes without numbers
        network = kind(config, classes)
    expected = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    found = {name: tuple(t.shape) for name, t in tensors.items()}
    if found != expected:
        odd = min(set(found.items()) ^ set(expected.items()), key=str)[0]
        raise ValueError(f"{str(odd)[:80]} has shape {found.get(odd)}, not {expected.get(odd)}")
    size = 4 * sum(math.prod(shape) for shape in expected.values())
    if size > LARGEST_NETWORKS // 2:
        raise ValueError(f"its {kind.__name__.lower()} takes {size / 2**30:.1f} GiB; at most {LARGEST_NETWORKS / 2**31:g} are read")
    network.load_state_dict({name: (t.float() if t.is_floating_point() else t).clone() for name, t in tensors.items()}, assign=True)
    if not all(t.isfinite().all() for t in network.state_dict().values()):
        raise ValueError(f"its {kind.__name__.lower()} has a weight that is no number")
    return network.eval().requires_grad_(False)


def _class_names(folder: RunFolder, classes: int) -> tuple[str, ...]:
    """The names of a conditional run's classes, which stand in its generators' files; numbers where there is none."""
    for step in folder.generator_steps()[-1:] if classes else []:
        try:
            names = read_config(read_metadata(folder.generator_file(step)))[1]
        except (CheckpointError, KeyError, TypeError, ValueError):
            break
        if len(names) == classes:
            return names
    return tuple(f"class {number}" for number in range(classes))


class NetworkCache:
    """The networks looked into last. Safe to use from any thread."""

    def __init__(self, most: int = 4) -> None:
        self._most = most
        self._loaded: OrderedDict[tuple[Path, int], Networks] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path) -> Networks:
        """A file's networks; loaded anew when the file has changed.

        Raises:
            CheckpointError: see load_networks().
        """
        try:
            key = (path, path.stat().st_mtime_ns)
        except OSError:
            raise CheckpointError(f"there is no file {path.name} any more") from None
        with self._lock:  # while it loads, too: forty visitors of one run must not load it forty times
            if key not in self._loaded:
                for old in [k for k in self._loaded if k[0] == path]:
                    del self._loaded[old]
                while len(self._loaded) >= self._most:
                    self._loaded.popitem(last=False)
                self._loaded[key] = load_networks(path)
            self._loaded.move_to_end(key)
            return self._loaded[key]


# Layers

_NUMBERS = "Every number of the output is a weighted sum of all numbers before it."
_KINDS: list[tuple[type[nn.Module] | tuple[type[nn.Module], ...], str, str]] = [
    (
        FromLatent,
        "transposed convolution",
        "Each random number of z is multiplied with a learnt 4 x 4 pattern for every map, and all of these are added up: noise becomes "
        "a first, tiny picture.",
    ),
    (
        nn.ConvTranspose2d,
        "transposed convolution",
        "Every pixel of the maps before stamps a learnt pattern, as strong as its value, onto a finer grid; where stamps overlap, they "
        "add up. So the maps grow and gain detail. Stamps that overlap unevenly leave a checkerboard.",
    ),
    (
        nn.Conv2d,
        "convolution",
        "A small window slides over all the maps before, and answers how much each place looks like its learnt pattern.",
    ),
    (nn.Upsample, "resizing", "Every pixel is repeated, so that the maps grow. Nothing is learnt here."),
    (
        (nn.BatchNorm1d, nn.BatchNorm2d),
        "batch normalisation",
        "Every map is shifted and scaled to mean 0 and deviation 1, and then by two learnt numbers. While training, mean and deviation are "
        "those of the batch; here they are the averages that training kept.",
    ),
    (nn.ReLU, "ReLU", "What is below 0 becomes 0. The rest says where, and how strongly, a pattern was found."),
    (nn.LeakyReLU, "leaky ReLU", "What is below 0 shrinks to a fifth, so that it can still learn; the rest stays."),
    (nn.Tanh, "tanh", "Squeezes every value between -1, black, and 1, white: this is the image."),
    (nn.Linear, "dense layer", _NUMBERS),
    (MinibatchStd, "minibatch deviation", "Adds one map: how much the images of the batch differ. Of one image alone that is nothing."),
    (nn.Embedding, "class", "The learnt numbers of the class, which stand beside z."),
]
_SILENT = (nn.Flatten, Dropout)  # these change no number here
_POINTWISE = ("batch normalisation", "ReLU", "leaky ReLU", "tanh")  # map by map the same as the layer before


@dataclass(frozen=True)
class Layer:
    """What a layer made of one input.

    Attributes:
        name: as in the network, "conv7".
        kind: in plain words, "transposed convolution".
        about: what such a layer does, in a sentence or three.
        maps: float32 (C, H, W); (C, 1, 1) for C numbers without a place.
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
    """What every layer makes of one input, in the order of the way through the network, by the layers' names.

    Layers that change nothing in eval mode (dropout, another shape for the same numbers) are left out.

    Args:
        network: in eval mode, on the CPU.
        x: one input: z (1, latent_dim) of a generator, an image (1, C, H, W) in [-1, 1] of a discriminator, which is
            repeated where it judges several together.
        labels: its class (1,), where the network is conditional.
        company: of a discriminator, as answers() takes it.
    """
    if isinstance(network, Discriminator):
        network = network if company is None else _as_in_training(network)
        x, labels = _seated(network.packing, x, labels, company)
    modules = dict(network.layers.named_children())
    if isinstance(network, Discriminator):
        modules |= {"minibatch_std": network.minibatch_std} if network.minibatch_std else {}
        modules["logit"] = network.logit
    elif network.classes:
        modules = {"class": network.embedding, **modules}
    found: dict[str, Layer] = {}

    def keep(name: str, module: nn.Module, output: torch.Tensor) -> None:
        # A copy: activations work in place, on what the layer before them gave.
        values = output.detach()[0].float().clone(memory_format=torch.contiguous_format)
        maps = (values if values.dim() == 3 else values.reshape(-1, 1, 1)).numpy()
        if isinstance(module, nn.Unflatten):  # the dense layer's numbers have a place after all
            before = next(reversed(found))
            found[before] = replace(found[before], maps=maps)
        else:
            found[name] = Layer(name, *describe(module, name), maps)

    handles = []
    with _quietly():
        try:
            for name, module in modules.items():
                if not isinstance(module, _SILENT):
                    handles.append(module.register_forward_hook(lambda m, i, o, name=name: keep(name, m, o)))
            network(x, labels)
        finally:
            for handle in handles:
                handle.remove()
    return found


def describe(module: nn.Module, name: str = "") -> tuple[str, str]:
    """A layer's kind in plain words, and what such a layer does."""
    kind, about = next(((kind, about) for types, kind, about in _KINDS if isinstance(module, types)), (type(module).__name__, ""))
    if isinstance(module, nn.Conv2d) and name == "logit":
        about = "One window over all that is left: a single number, D's answer, from everything it has found."
    elif isinstance(module, nn.Conv2d) and module.stride == (2, 2):
        about += " It moves two pixels at a time: the maps halve in height and width."
    elif isinstance(module, nn.Linear) and name == "logit":
        about = "A single number, D's answer: the weighted sum of everything it has found."
    return kind, about


def blocks(layers: dict[str, Layer]) -> list[list[Layer]]:
    """The layers in groups: each with the normalisation and the activation behind it, whose maps are the same, changed."""
    found: list[list[Layer]] = []
    for layer in layers.values():
        if layer.kind in _POINTWISE and found and found[-1][-1].maps.shape == layer.maps.shape:
            found[-1].append(layer)
        else:
            found.append([layer])
    return found


def choose_maps(layers: dict[str, Layer], most: int) -> dict[str, list[int]]:
    """Which of each layer's maps to show, at most `most`: the strongest first.

    Strong is what varies most from place to place at the end of a block. All layers of a block show the same maps, so that
    each can be followed through it.
    """
    chosen: dict[str, list[int]] = {}
    for block in blocks(layers):
        order = (-block[-1].maps.var(axis=(1, 2))).argsort(kind="stable")[:most].tolist()
        chosen |= {layer.name: order for layer in block}
    return chosen


# Pictures

_BELOW, _ZERO, _ABOVE = (np.array(colour, dtype=np.float32) for colour in ((33, 102, 172), (247, 247, 247), (178, 24, 43)))
_NOTHING = 128  # the grey of places without a value


def paint(maps: np.ndarray, signed: bool) -> np.ndarray:
    """Numbers as pictures, each map on a scale of its own: (N, H, W) -> uint8 (N, 3, H, W). NaN is grey.

    signed: blue below 0, white at 0, red above, up to the map's largest absolute value; else from its smallest value,
    black, to its largest, white.
    """
    known = np.nan_to_num(maps.astype(np.float32))
    if signed:
        largest = np.abs(known).max(axis=(1, 2), keepdims=True)
        share = known / np.where(largest > 0, largest, 1)
        ends = np.where(share[:, None] < 0, _BELOW[:, None, None], _ABOVE[:, None, None])
        colours = _ZERO[:, None, None] + (ends - _ZERO[:, None, None]) * np.abs(share[:, None])
    else:
        low, high = (f(maps, axis=(1, 2), keepdims=True) for f in (np.nanmin, np.nanmax))
        share = (known - low) / np.where(high > low, high - low, 1)
        colours = np.repeat(share[:, None] * 255, 3, axis=1)
    colours = np.where(np.isnan(maps)[:, None], _NOTHING, colours)
    return colours.clip(0, 255).round().astype(np.uint8)


def as_map(numbers: np.ndarray) -> np.ndarray:
    """Numbers without a place, laid out in rows as square as may be: any shape -> (1, rows, columns), NaN where none is left."""
    flat = numbers.reshape(-1).astype(np.float32)
    columns = math.ceil(math.sqrt(flat.size))
    if divisors := [d for d in range(columns, min(2 * columns, flat.size) + 1) if flat.size % d == 0]:
        columns = divisors[0]
    rows = -(-flat.size // columns)
    return np.pad(flat, (0, rows * columns - flat.size), constant_values=np.nan).reshape(1, rows, columns)


def first_filters(networks: Networks) -> np.ndarray:
    """What D's first layer looks for, one picture a filter: float32 (N, C, height, width).

    Of a convolution its kernels, of a dense layer its rows, in the image's shape; of a discriminator that judges several
    images together those for each of them, side by side.
    """
    assert networks.discriminator is not None
    weight = next(m for m in networks.discriminator.layers if isinstance(m, nn.Conv2d | nn.Linear)).weight.detach()
    config = networks.config
    size = config.image_size if weight.dim() == 2 else weight.shape[-1]
    parts = weight.reshape(len(weight), config.packing, config.channels, size, size)
    return torch.cat(list(parts.unbind(1)), -1).numpy()


def last_filters(networks: Networks) -> np.ndarray:
    """What each map, or number, before G's last layer paints into the image: float32 (N, C, height, width)."""
    module = [m for m in networks.generator.layers if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)][-1]
    weight, config = module.weight.detach(), networks.config
    if isinstance(module, nn.Linear):
        return weight.t().reshape(-1, config.channels, config.image_size, config.image_size).numpy()
    return (weight if isinstance(module, nn.ConvTranspose2d) else weight.transpose(0, 1)).contiguous().numpy()


def paint_filters(filters: np.ndarray) -> np.ndarray:
    """(N, C, h, w) -> uint8 (N, 3, h, w), each on a scale of its own: blue below 0 and red above, or in colour, grey at 0."""
    if filters.shape[1] == 1:
        return paint(filters[:, 0], signed=True)
    largest = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
    return (127.5 + 127.5 * filters / np.where(largest > 0, largest, 1)).round().astype(np.uint8)


# Answers


def draw(networks: Networks, seeds: Sequence[int], label: int = 0) -> np.ndarray:
    """The generator's images of seeds: uint8 (len(seeds), C, H, W); of one class where it is conditional."""
    z = latent.noise(seeds, networks.config.latent_dim, networks.config.latent_distribution)
    with _quietly():
        return sample(networks.generator, z, torch.tensor(label).expand(len(z)) if networks.class_names else None, batch=16)


def as_input(image: np.ndarray) -> torch.Tensor:
    """uint8 (C, H, W) -> what a discriminator takes: float32 (1, C, H, W) in [-1, 1]. A copy."""
    return to_float(torch.tensor(image))[None]


def answers(networks: Networks, images: np.ndarray, labels: Sequence[int] = (), company: np.ndarray | None = None) -> list[float]:
    """D's answer to each image: the probability that it is real, or its score where config.has_scores.

    Where D judges several images together, each stands for all of them.

    Args:
        networks: with a discriminator.
        images: uint8 (N, C, H, W) of the networks' size.
        labels: a class each, for a conditional discriminator; of class 0 where there are none.
        company: uint8 (at least COMPANY, C, H, W): each image is judged as in training, in a batch with these, by whose mean and
            deviation batch normalisation works; None for each alone, by the averages that training kept.
    """
    discriminator = networks.discriminator
    assert discriminator is not None
    if company is not None:
        discriminator = _as_in_training(discriminator)
    numbers = []
    for i, image in enumerate(images):
        with _quietly():  # image by image, so that others get their turn
            label = networks.labels(labels[i] if labels else 0)
            batch, classes = _seated(discriminator.packing, as_input(image), label, company)
            answer = discriminator(batch, classes)[0]
            numbers.append(float(answer if networks.config.has_scores else torch.sigmoid(answer)))
    return numbers


def _as_in_training(discriminator: Discriminator) -> Discriminator:
    """A copy whose batch normalisation goes by the batch. A copy: the averages that training kept must stay as they are."""
    with _quietly():  # while nobody has hooks in it
        discriminator = copy.deepcopy(discriminator)
    for module in discriminator.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
    return discriminator


def _seated(
    packing: int, x: torch.Tensor, labels: torch.Tensor | None, company: np.ndarray | None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The batch to ask a discriminator about, so that its first answer is the one to an image x (1, C, H, W), and the classes."""
    x = x.repeat(packing, 1, 1, 1)
    if company is None:
        return x, labels
    x = torch.cat([x, to_float(torch.from_numpy(company[packing : COMPANY // packing * packing]))])
    if labels is not None:  # the others' classes change nothing for this image
        labels = torch.cat([labels, labels.new_zeros(len(x) // packing - 1)])
    return x, labels


def affordable(networks: Networks, most: int, in_company: bool = False) -> int:
    """How many images may be judged at a time, 1 to `most`, so that large networks do not hold a core for long."""
    assert networks.discriminator is not None
    cost = 0
    for name, module in networks.discriminator.layers.named_children():
        if isinstance(module, nn.Conv2d | nn.Linear):
            side = re.fullmatch(r"conv(\d+)", name)
            cost += module.weight.numel() * (int(side[1]) ** 2 if side else 1)
    return max(1, min(most, int(AFFORDABLE / cost / (COMPANY if in_company else networks.config.packing))))


# Norms


@dataclass(frozen=True)
class Norms:
    """How long the vectors of weights and of gradients were, while a run trained.

    Attributes:
        steps: where they were measured.
        weights, gradients: network -> parameter -> a value a step, None where there was none.
    """

    steps: list[int]
    weights: dict[str, dict[str, list[float | None]]]
    gradients: dict[str, dict[str, list[float | None]]]


def read_norms(folder: RunFolder, most: int = 1000) -> Norms | None:
    """A run's norms.jsonl, thinned to about `most` steps; None where it has none. Damaged lines are left out."""
    rows = []
    try:
        with open_regular(folder.norms_file) as file:
            count = sum(1 for _ in file)
            every = max(1, -(-count // most))
            file.seek(0)
            for line in itertools.islice(file, (count - 1) % every if count else 0, None, every):  # the last one is kept
                try:
                    row = parse_json(line)
                except ValueError:
                    continue
                if isinstance(row, dict) and is_whole(row.get("step")):
                    rows.append(row)
    except OSError:
        return None
    if not rows:
        return None
    rows.sort(key=lambda row: row["step"])

    def columns(kind: str, network: str) -> dict[str, list[float | None]]:
        parts = [_dict(_dict(row.get(kind)).get(network)) for row in rows]
        names = dict.fromkeys(name for part in parts for name in part)
        return {name: [_number(part.get(name)) for part in parts] for name in names}

    kinds = ({network: columns(kind, network) for network in NETWORKS} for kind in ("weights", "gradients"))
    return Norms([row["step"] for row in rows], *kinds)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    """A positive finite number, which a logarithmic axis can show, or None."""
    return float(value) if is_number(value) and 0 < value < 1e30 else None


def parameter_title(name: str) -> str:
    """A parameter's name in plain words: "layers.conv7.weight" -> "convolution at 7 x 7"."""
    short = name.removeprefix("layers.").replace("parametrizations.weight.original", "weight")
    module, _, part = short.rpartition(".")
    for pattern, words in (
        (r"conv(\d+)", "convolution at {0} x {0}"),
        (r"extra(\d+)", "extra convolution {0}"),
        (r"norm([123])", "normalisation {0}"),  # of dense networks
        (r"norm(\d+)", "normalisation at {0} x {0}"),
        (r"norm_extra(\d+)", "normalisation of extra convolution {0}"),
        (r"dense(\d*)", "dense layer {0}"),
        (r"logit", "last layer"),
        (r"embedding", "class embedding"),
    ):
        if match := re.fullmatch(pattern, module):
            title = words.format(*match.groups()).strip()
            normalisation = module.startswith("norm")
            return title + {"weight": ", scale" if normalisation else "", "bias": ", shift" if normalisation else ", bias"}.get(part, "")
    return name


def is_main_parameter(name: str) -> bool:
    """Whether it is the weight of a convolution, a dense layer or an embedding: neither a bias nor of a normalisation."""
    return not name.endswith("bias") and "norm" not in name.removeprefix("layers.").partition(".")[0]
