"""The networks whose features compare images: small CNNs, trained once per data set.

Features of ImageNet say little about small gray images. A network that knows the data says more, and is named after it
("digits-CNN"). It learns two things at once: the labels or attributes, and to reconstruct the image from its features, so that
they also hold what no label says (a digit's slant, a face's colors). Without labels it only reconstructs ("pets-autoencoder").

    python -m gan.judging.features mnist       # retrains a network in gan/judging/feature_networks, in a few minutes
"""

import argparse
import functools
import hashlib
import itertools
import json
import warnings
from collections.abc import Generator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import nn

from gan import progress as terminal
from gan.data.datasets import NAMED, ImageDataset, data_root, native
from gan.data.form import Form
from gan.devices import one_thread, one_thread_a_step
from gan.events import Progress
from gan.files import in_words, write_atomically
from gan.images import resized, to_float, with_channels
from gan.judging import reals as real_images
from gan.judging.reals import Part, Reals
from gan.networks.dcgan import initialize
from gan.networks.weights import fill, without_memory
from gan.optimizers import Adam
from gan.untrusted import parse_json

FEATURES = 64
LARGEST_SIDE = 64  # pixels that a network sees; larger images are reduced
SMALLEST_MAP = 7  # pixels: maps are halved until they are at most this large
WIDTHS, DECODER_WIDTHS = (16, 32, 64, 64), (8, 16, 32, 32)
BATCH = 100
LR = 4e-3
# Pixels seen in training: about half a minute on one core, at any image size. The networks that come with the app have seen more.
TRAINED_PIXELS, SHIPPED_TIMES = 110_000_000, 4
FEWEST_A_CLASS = 20  # images: a class with fewer would be memorized
MOST_OUTPUTS = 1000
VERSION = 1  # increased when the training of these networks changes, so saved ones are retrained
FORMAT = "dcgan-workshop-features-1"
LARGEST_FILE = 8 * 2**20  # bytes
SHIPPED = Path(__file__).parent / "feature_networks"
CALLED = {"mnist": "digits"}  # what a set holds, if its name does not say it

Kind = Literal["classes", "attributes", "nothing"]


@dataclass(frozen=True)
class About:
    """What is known about a feature network.

    Attributes:
        data: the name of what it was trained on.
        image_size: side length of its input, in pixels.
        channels: 1 or 3.
        kind: what it learned about each image besides its pixels.
        outputs: the names of these classes or attributes.
        accuracy: share of held-out images whose class it knows, or the mean over attributes; None without labels.
        explained: share of the held-out images' variance that it reconstructs.
    """

    data: str
    image_size: int
    channels: int
    kind: Kind
    outputs: tuple[str, ...] = ()
    accuracy: float | None = None
    explained: float = 0.0

    @property
    def name(self) -> str:
        """Its name in scores: "digits-CNN"."""
        return f"{self.data}-{'autoencoder' if self.kind == 'nothing' else 'CNN'}"


def _maps(image_size: int) -> list[int]:
    """Side lengths of the feature maps, from the image down: 28, 14, 7 or 64, 32, 16, 8, 4."""
    sides = [image_size]
    while sides[-1] > SMALLEST_MAP:
        sides.append((sides[-1] + 1) // 2)
    return sides


class FeatureNetwork(nn.Module):
    """Images -> features -> classes or attributes. In eval mode once it is loaded or trained."""

    scale: torch.Tensor

    def __init__(self, about: About) -> None:
        super().__init__()
        self.about = about
        sides = _maps(about.image_size)
        widths = [about.channels, *WIDTHS[: len(sides) - 1]]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        # No ReLU after the last layer: it would make a quarter of the features zero for every image.
        self.encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * sides[-1] ** 2, FEATURES))
        self.head: nn.Module = nn.Linear(FEATURES, len(about.outputs)) if about.outputs else nn.Identity()
        self.register_buffer("scale", torch.ones(()))

    @property
    def name(self) -> str:
        return self.about.name

    @functools.cached_property
    def digest(self) -> str:
        """16 hex digits that differ if any weight differs."""
        return hashlib.blake2b(safetensors.torch.save(self.state_dict()), digest_size=8).hexdigest()

    def fit(self, images: torch.Tensor) -> torch.Tensor:
        """Float images of any size, with 1 or 3 channels -> the network's input. Gradients pass."""
        side = self.about.image_size
        return resized(with_channels(images, self.about.channels), side, side)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Float images in [-1, 1] (N, C, H, W), of any size, with 1 or 3 channels -> features (N, FEATURES). Gradients pass.

        The variances of the features over real images add up to FEATURES, so distances mean about the same in every network.
        """
        features: torch.Tensor = self.encoder(self.fit(images)) / self.scale
        return features

    @one_thread()
    def features(self, images: np.ndarray, batch: int = 250) -> np.ndarray:
        """uint8 images (N, C, H, W) -> features float32 (N, FEATURES), independent of the other images in the batch.

        On one thread, so a run keeps its cores.
        """
        features = np.empty((len(images), FEATURES), np.float32)
        with torch.inference_mode():
            for start in range(0, len(images), batch):
                part = torch.tensor(images[start : start + batch])  # a copy: what came from a file may be read-only
                features[start : start + len(part)] = self.embed(to_float(part)).numpy()
        return features

    @one_thread()
    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Features (N, FEATURES) -> float32 (N, outputs): probabilities of the classes, which add up to 1, or of each attribute."""
        with torch.inference_mode():
            logits = self.head(torch.from_numpy(features) * self.scale)
            return (logits.sigmoid() if self.about.kind == "attributes" else logits.softmax(1)).numpy()


class _Decoder(nn.Module):
    """Features -> the reconstructed image; needed only in training."""

    def __init__(self, about: About) -> None:
        super().__init__()
        sides = _maps(about.image_size)
        widths = [about.channels, *DECODER_WIDTHS[: len(sides) - 1]]
        layers: list[nn.Module] = [nn.Linear(FEATURES, widths[-1] * sides[-1] ** 2), nn.ReLU()]
        layers.append(nn.Unflatten(1, (widths[-1], sides[-1], sides[-1])))
        for i in range(len(widths) - 1, 0, -1):
            layers.append(nn.ConvTranspose2d(widths[i], widths[i - 1], 4, 2, 1))
            if i > 1:
                layers += [nn.BatchNorm2d(widths[i - 1]), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        images: torch.Tensor = self.layers(features)
        return images


def _targets(reals: Reals) -> tuple[Kind, tuple[str, ...]]:
    """The kind of labels of a set's images, and their names."""
    dataset, names = reals.learned.dataset, reals.learned.dataset.class_names
    if dataset.attributes is not None and len(dataset.attribute_names) <= MOST_OUTPUTS:
        return "attributes", dataset.attribute_names
    enough = dataset.labels is not None and len(names) * FEWEST_A_CLASS <= len(reals.learned)
    return ("classes", names) if enough and 2 <= len(names) <= MOST_OUTPUTS else ("nothing", ())


def _labels(part: Part, kind: Kind) -> torch.Tensor:
    """Targets of a part's images: (N,) classes, (N, A) attributes as floats, or (N, 0)."""
    if kind == "nothing":
        return torch.empty(len(part), 0)
    labels = part.dataset.attributes if kind == "attributes" else part.dataset.labels
    assert labels is not None
    return labels[part.rows].float() if kind == "attributes" else labels[part.rows]


@one_thread_a_step
def train(reals: Reals, pixels: float = TRAINED_PIXELS) -> Generator[Progress, None, FeatureNetwork]:
    """Trains a network on one thread. Equal data give an equal network on the same kind of processor.

    pixels: how many it sees; about half a minute of training by default.
    """
    kind, outputs = _targets(reals)
    dataset = reals.learned.dataset
    channels, side = dataset.images.shape[1], dataset.images.shape[-1]
    about = About(_called(reals.name), min(side, LARGEST_SIDE), channels, kind, outputs)
    rng = torch.Generator().manual_seed(0)
    network, decoder = FeatureNetwork(about), _Decoder(about)
    for part in (network, decoder):
        initialize(part, "pytorch", rng)
    parameters = [*network.parameters(), *decoder.parameters()]
    steps = max(20, round(pixels / about.image_size**2 / BATCH))
    optimizer = Adam(parameters, LR)
    # The learning rate rises briefly, then falls for long (Smith and Topin 2019), which suits a short training.
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=steps, pct_start=0.1)
    labels, order = _labels(reals.learned, kind), np.empty(0, np.int64)
    variance = to_float(torch.from_numpy(reals.learned.some(1000).images())).var(0).mean().clamp_min(1e-4)
    for step in range(steps):
        if step % 20 == 0:
            yield Progress(f"Learning the features of {about.data} (once)", step, steps)
        if len(order) < BATCH:
            order = torch.randperm(len(reals.learned), generator=rng).numpy()
        batch, order = np.sort(order[:BATCH]), order[BATCH:]
        images = network.fit(to_float(torch.from_numpy(reals.learned.images(batch))))
        features = network.encoder(images)
        loss = F.mse_loss(decoder(features), images) / variance
        if kind == "classes":
            loss = loss + F.cross_entropy(network.head(features), labels[batch])
        elif kind == "attributes":
            loss = loss + F.binary_cross_entropy_with_logits(network.head(features), labels[batch], reduction="none").sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    # Rounded to 16 bits, so the network that is measured is the one that will be loaded.
    network.load_state_dict({name: t.half().to(t.dtype) if t.is_floating_point() else t for name, t in network.state_dict().items()})
    _freeze(network)
    decoder.eval()
    spread = network.features(reals.learned.some(2000).images()).var(0, ddof=1).sum()
    network.scale.fill_(float(np.sqrt(spread / FEATURES).clip(1e-4)))
    network.about = _examined(network, decoder, reals.held_out)
    return network


def _freeze(network: FeatureNetwork) -> FeatureNetwork:
    network.zero_grad()
    network.eval().requires_grad_(False)
    return network


@torch.inference_mode()
def _examined(network: FeatureNetwork, decoder: _Decoder, held_out: Part) -> About:
    """How well the network does on images that it has not seen."""
    images = held_out.images()
    features = network.features(images)
    wanted = network.fit(to_float(torch.from_numpy(images)))
    error = sum(
        F.mse_loss(decoder(part * network.scale), originals, reduction="sum").item()
        for part, originals in zip(torch.from_numpy(features).split(500), wanted.split(500), strict=True)
    )
    explained = 1 - error / (wanted - wanted.mean(0)).square().sum().item()
    accuracy = None
    if network.about.kind != "nothing":
        answers, labels = torch.from_numpy(network.probabilities(features)), _labels(held_out, network.about.kind)
        right = (answers > 0.5) == (labels > 0.5) if network.about.kind == "attributes" else answers.argmax(1) == labels
        accuracy = round(right.double().mean().item(), 4)
    return replace(network.about, accuracy=accuracy, explained=round(explained, 4))


def save(path: Path, network: FeatureNetwork) -> None:
    """Writes a network as safetensors, with 16-bit weights and its facts in the file's metadata."""
    tensors = {name: t.half() if t.is_floating_point() and name != "scale" else t for name, t in network.state_dict().items()}
    with write_atomically(path) as file:
        file.write(safetensors.torch.save(tensors, {FORMAT: json.dumps(asdict(network.about))}))


def load(path: Path) -> FeatureNetwork:
    """Reads what save() wrote. Executes nothing that the file holds.

    Raises:
        ValueError: it is not such a file, or it is damaged.
        OSError: it cannot be read.
    """
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"{path.name} is larger than {LARGEST_FILE >> 20} MiB")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            about = parse_json((file.metadata() or {})[FORMAT])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        about = About(**about | {"outputs": tuple(about["outputs"])})
        known = about.channels in (1, 3) and about.kind in get_args(Kind) and (about.kind == "nothing") == (not about.outputs)
        if not known or not 8 <= about.image_size <= LARGEST_SIDE or len(about.outputs) > MOST_OUTPUTS:
            raise ValueError("its metadata are out of bounds")
        with without_memory():
            network = FeatureNetwork(about)
        fill(network, tensors)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path.name} is not a feature network, or it is damaged: {str(error).splitlines()[0][:200]}") from None
    return _freeze(network)


SAME_IMAGES = {"sketches": "faces"}  # sets whose images are those of another set


def network_for(reals: Reals) -> Generator[Progress, None, FeatureNetwork]:
    """The feature network of a data set: one that comes with the app, one saved earlier, or a new one that is trained and saved."""
    shipped = SHIPPED / f"{SAME_IMAGES.get(reals.name, reals.name)}.safetensors"
    if reals.name in NAMED and shipped.exists():
        return load(shipped)
    dataset = reals.learned.dataset
    key = hashlib.blake2b(f"{VERSION} {dataset.fingerprint()} {_targets(reals)}".encode(), digest_size=8)
    for labels in (dataset.labels, dataset.attributes):
        key.update(b"" if labels is None else labels.numpy().tobytes())
    side, channels = dataset.images.shape[-1], dataset.images.shape[1]
    file = data_root() / "cache" / f"network-{key.hexdigest()}-{side}-{channels}" / "network.safetensors"
    try:
        network = load(file)
        network.about = replace(network.about, data=_called(reals.name))  # the same images may have another name
        _note(file.parent, network.about)
        return network
    except (OSError, ValueError):  # missing, or cut: train it
        pass
    network = yield from train(reals)
    try:
        _note(file.parent, network.about)
        save(file, network)
    except OSError as error:
        warnings.warn(f"the feature network cannot be saved in {file.parent} ({in_words(error)}); it will be trained again", stacklevel=2)
    return network


def feature_matrix(network: FeatureNetwork, dataset: ImageDataset) -> Generator[Progress, None, np.ndarray]:
    """The features of all images of a set, float32 (N, FEATURES): computed once, then memory-mapped from the cache."""
    folder = data_root() / "cache" / f"features-{network.digest}-{dataset.fingerprint()}"
    file, images, n = folder / "features.npy", dataset.images.numpy(), len(dataset)
    task = f"Looking at the images of {_called(dataset.name)} (once)"
    if (kept := _kept(file, n)) is not None:
        return kept
    try:
        _note(folder, network.about)
        with write_atomically(file) as out:
            np.lib.format.write_array_header_1_0(out, {"descr": "<f4", "fortran_order": False, "shape": (n, FEATURES)})
            for start in range(0, n, 500):
                yield Progress(task, start, n)
                out.write(network.features(images[start : start + 500]).astype("<f4").data)
        if (kept := _kept(file, n)) is not None:
            return kept
        raise OSError("it cannot be read back")
    except OSError as error:
        warnings.warn(f"features cannot be saved in {folder} ({in_words(error)}); they will be computed again", stacklevel=2)
    parts = []
    for start in range(0, n, 500):
        yield Progress(task, start, n)
        parts.append(network.features(images[start : start + 500]))
    return np.concatenate(parts)


def _kept(file: Path, n: int) -> np.ndarray | None:
    """A feature matrix from the cache, memory-mapped; None if it is missing or cut."""
    try:
        matrix: np.ndarray = np.load(file, mmap_mode="r", allow_pickle=False)
        if (matrix.dtype, matrix.shape) != (np.float32, (n, FEATURES)):
            raise ValueError("another shape")
        (file.parent / "about.json").touch()  # time of last use
    except (OSError, ValueError, EOFError):  # the caller recreates it
        return None
    return matrix


def _note(folder: Path, about: About) -> None:
    """Creates an entry in the cache, or marks it as used: cache.py deletes the least recently used entries."""
    folder.mkdir(parents=True, exist_ok=True)
    with write_atomically(folder / "about.json", durable=False) as file:
        file.write(json.dumps({"network": asdict(about)}).encode())


def _called(name: str) -> str:
    """A set's name in scores: its own, or the name of its folder or file."""
    return CALLED.get(name) or Path(name).stem or "images"


def main() -> None:
    """Trains a network that comes with the app."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=("mnist", "faces"))
    parser.add_argument("--out", type=Path, help="default: its place in this package")
    given = parser.parse_args()
    side, channels = native(given.data)

    def work() -> Generator[Progress, None, FeatureNetwork]:
        return (yield from train((yield from real_images.load(given.data, Form(side, channels))), SHIPPED_TIMES * TRAINED_PIXELS))

    network = terminal.drain(work())
    path = given.out or SHIPPED / f"{given.data}.safetensors"
    save(path, network)
    about = network.about
    print(
        f"{path}: {about.name}, {path.stat().st_size / 1000:.0f} kB, held-out accuracy {about.accuracy:.2%}, {about.explained:.1%} reconstructed"
    )


if __name__ == "__main__":
    main()
