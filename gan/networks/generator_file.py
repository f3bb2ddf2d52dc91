"""A network as one safetensors file, with its settings in the metadata: a generator, or its discriminator. Executes nothing from a file."""

import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
import torch

from gan.config import TrainConfig
from gan.files import write_atomically
from gan.networks.build import new_discriminator, new_generator, new_translator
from gan.networks.dcgan import Discriminator, Generator
from gan.networks.translation import Translator
from gan.networks.weights import fill, without_memory
from gan.untrusted import is_whole, open_regular, parse_json

FORMAT = "dcgan-workshop-1"
DISCRIMINATOR_FORMAT = "dcgan-workshop-discriminator-1"  # of its own, so that Explore never takes a discriminator for a generator
TRANSLATOR_FORMAT = "dcgan-workshop-translator-1"  # of its own, so that nothing gives it latent vectors
LARGEST_GENERATOR = 512 * 2**20  # bytes
LARGEST_HEADER = 1 << 20  # bytes
MOST_CLASSES = 1000
LARGEST_STEP = 10**12


class CheckpointError(ValueError):
    """A file or folder does not hold the expected run or generator."""


class Translates(CheckpointError):
    """A generator was expected that draws from latent vectors, but this one translates images."""


def write_generator(
    path: Path,
    network: Generator | Translator,
    config: TrainConfig,
    step: int,
    images_seen: int,
    class_names: tuple[str, ...] = (),
    half: bool = False,
) -> None:
    """Writes a generator, with everything needed for sampling, as one safetensors file. Equal generators give equal files.

    Args:
        path: the file.
        network: on any device.
        config: its settings.
        step, images_seen: how long it has trained.
        class_names: for a conditional generator, or one that translates between two classes.
        half: weights as 16-bit floats: half the size, and images that differ by less than a gray level.
    """
    format = TRANSLATOR_FORMAT if isinstance(network, Translator) else FORMAT
    _write(path, network, format, config, step, images_seen, class_names, half)


def write_discriminator(
    path: Path,
    network: Discriminator,
    config: TrainConfig,
    step: int,
    images_seen: int,
    class_names: tuple[str, ...] = (),
    half: bool = False,
) -> None:
    """The same for a discriminator."""
    _write(path, network, DISCRIMINATOR_FORMAT, config, step, images_seen, class_names, half)


def _write(
    path: Path,
    network: Generator | Translator | Discriminator,
    format: str,
    config: TrainConfig,
    step: int,
    images_seen: int,
    class_names: tuple[str, ...],
    half: bool,
) -> None:
    # One entry, because safetensors writes several in random order.
    about: dict[str, Any] = {"config": config.model_dump(), "step": step, "images_seen": images_seen}
    if class_names:
        about["class_names"] = list(class_names)
    metadata = {format: json.dumps(about)}
    tensors = {name: t.detach().cpu().contiguous() for name, t in network.state_dict().items()}
    if half:
        tensors = {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}
    with write_atomically(path) as file:
        file.write(safetensors.torch.save(tensors, metadata))


@dataclass(frozen=True)
class LoadedGenerator:
    """A generator in eval mode, and what is known about it."""

    network: Generator
    config: TrainConfig
    step: int
    class_names: tuple[str, ...] = ()  # for a conditional generator


@dataclass(frozen=True)
class LoadedDiscriminator:
    """A discriminator in eval mode, and what is known about it."""

    network: Discriminator
    config: TrainConfig
    step: int
    class_names: tuple[str, ...] = ()  # for a conditional discriminator


@dataclass(frozen=True)
class LoadedTranslator:
    """A generator that translates images, in eval mode, and what is known about it."""

    network: Translator
    config: TrainConfig
    step: int
    kinds: tuple[str, str] = ("A", "B")  # the names of the two kinds of images


def read_metadata(path: Path, format: str = FORMAT) -> dict[str, Any]:
    """A network file's metadata: config, step, images_seen; class_names if it is conditional.

    format: FORMAT for a generator, DISCRIMINATOR_FORMAT or TRANSLATOR_FORMAT; empty for a generator of either kind.

    Raises:
        Translates: it translates images, but should draw from latent vectors.
        CheckpointError: it is not such a network from this project.
    """
    kind = "discriminator" if format == DISCRIMINATOR_FORMAT else "generator"
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(LARGEST_HEADER, size):
                raise CheckpointError(f"{path.name} is not a {kind} file, or is cut short")
            metadata = parse_json(file.read(length)).get("__metadata__", {})
        if not format:
            format = TRANSLATOR_FORMAT if TRANSLATOR_FORMAT in metadata else FORMAT
        if format == FORMAT and TRANSLATOR_FORMAT in metadata:
            raise Translates(f"{path.name} translates images and has no latent vectors: open it on the page Translate")
        if format == TRANSLATOR_FORMAT and FORMAT in metadata:
            raise CheckpointError(f"{path.name} draws from latent vectors and translates no images: open it on the page Explore")
        if format not in metadata:
            raise CheckpointError(f"{path.name} holds no {kind} of this project")
        try:
            about: dict[str, Any] = parse_json(metadata[format])
        except ValueError as error:
            raise CheckpointError(f"the metadata of {path.name} cannot be read: {error}") from None
    except FileNotFoundError:
        raise CheckpointError(f"there is no file {path}") from None
    except (OSError, struct.error, ValueError, TypeError, AttributeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path.name} is not a {kind} file, or is cut short") from None
    if not isinstance(about, dict):
        raise CheckpointError(f"{path.name} has no settings in its metadata")
    return about


def read_config(about: dict[str, Any]) -> tuple[TrainConfig, tuple[str, ...]]:
    """The settings in a generator's metadata, and the names of its classes; empty if it is not conditional.

    Raises:
        KeyError, TypeError, ValueError: they cannot be used.
    """
    config = TrainConfig(**about["config"])
    class_names = about.get("class_names", []) if config.conditional or config.networks == "cyclegan" else []
    if not isinstance(class_names, list) or len(class_names) > MOST_CLASSES or not all(isinstance(name, str) for name in class_names):
        raise ValueError(f"class_names must be a list of at most {MOST_CLASSES} names")
    if config.conditional and not class_names:
        raise ValueError("it is conditional, but its metadata name no classes")
    return config, tuple(class_names)


def read_step(about: dict[str, Any]) -> int:
    """The step in a generator's metadata.

    Raises:
        KeyError, ValueError: there is none.
    """
    if not is_whole(about["step"], LARGEST_STEP):
        raise ValueError(f"step must be a whole number from 0 on; got {str(about['step'])[:40]!r}")
    return int(about["step"])


def load_generator(path: Path) -> LoadedGenerator:
    """Reads what write_generator() wrote. Executes nothing from the file.

    Raises:
        CheckpointError: the file is missing, cut short, a pickle, too large, or its weights do not fit its config.
    """
    return LoadedGenerator(*_load(path, new_generator, FORMAT))


def load_discriminator(path: Path) -> LoadedDiscriminator:
    """The same for a discriminator."""
    return LoadedDiscriminator(*_load(path, new_discriminator, DISCRIMINATOR_FORMAT))


def load_translator(path: Path) -> LoadedTranslator:
    """The same for a generator that translates images."""
    network, config, step, names = _load(path, lambda config, _: new_translator(config), TRANSLATOR_FORMAT)
    return LoadedTranslator(network, config, step, (names[0], names[1]) if len(names) == 2 else ("A", "B"))


N = TypeVar("N", Generator, Translator, Discriminator)


def _load(path: Path, build: Callable[[TrainConfig, int], N], format: str) -> tuple[N, TrainConfig, int, tuple[str, ...]]:
    about = read_metadata(path, format)
    try:
        if path.stat().st_size > LARGEST_GENERATOR:
            raise CheckpointError(f"{path.name} is larger than {LARGEST_GENERATOR >> 20} MiB")
        config, class_names = read_config(about)
        with without_memory():
            network = build(config, len(class_names))
        expected = {name: tuple(t.shape) for name, t in network.state_dict().items()}
        tensors = safetensors.torch.load_file(path)
        found = {name: tuple(t.shape) for name, t in tensors.items()}
        if found != expected:
            odd = sorted(set(found.items()) ^ set(expected.items()))[0]
            raise CheckpointError(
                f"{path.name} does not fit its own settings: {odd[0]} has shape {found.get(odd[0])}, not {expected.get(odd[0])}"
            )
        _refuse_odd_numbers(path, tensors, network.state_dict())
        fill(network, tensors)
        step = read_step(about)
    except CheckpointError:
        raise
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, OverflowError, RuntimeError, OSError) as error:
        kind = "discriminator" if format == DISCRIMINATOR_FORMAT else "generator"
        raise CheckpointError(f"{path.name} cannot be read as a {kind}: {str(error).splitlines()[0]}") from None
    network.eval().requires_grad_(False)
    if isinstance(network, Generator) and network.blurred:
        network.blurred.over = bool(network.blurred.share == 0)  # a picture that has faded costs a tenth of each image drawn
    return network, config, step, class_names


def _refuse_odd_numbers(path: Path, tensors: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    """Weights may have any real number format; counters must have their own.

    Raises:
        CheckpointError: a tensor has another number format, or a number that is not finite.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() != expected[name].is_floating_point():
            raise CheckpointError(f"{path.name} does not fit its own settings: {name} has the number format {tensor.dtype}")
        if tensor.is_floating_point() and not tensor.float().isfinite().all():
            raise CheckpointError(f"{path.name} cannot be used: {name} has a number that is not finite")


def first_line(error: Exception) -> str:
    """The first line of an error's message: torch's messages have several."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
