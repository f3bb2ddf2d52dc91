"""Both networks of a run from a saved state, kept in memory for everyone who looks."""

import math
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from gan import latent
from gan.config import TrainConfig
from gan.explore.models import pretrained
from gan.lru import Lru
from gan.networks.build import new_discriminator, new_generator
from gan.networks.dcgan import Discriminator, Generator
from gan.networks.generator_file import MOST_CLASSES, CheckpointError, Translates, load_generator, read_config, read_metadata
from gan.networks.weights import fill, without_memory
from gan.runs.folder import RunFolder, is_run_name
from gan.training import saved_state as states

NEWEST = "newest"
LARGEST_NETWORKS = 1 << 30  # bytes of both networks' weights
NETWORKS = ("generator", "discriminator")


@dataclass(frozen=True)
class Networks:
    """The networks of a file, on the CPU and in eval mode.

    Attributes:
        generator: the EMA generator, which draws the samples.
        discriminator: None if the file holds only a generator.
        config: the settings of both networks.
        step: their training step.
        class_names: for a conditional run; else empty.
    """

    generator: Generator
    discriminator: Discriminator | None
    config: TrainConfig
    step: int
    class_names: tuple[str, ...] = ()

    def z(self, seed: int) -> torch.Tensor:
        """A seed's latent vector: (1, latent_dim)."""
        return latent.from_seeds([seed], self.config.latent_dim, self.config.latent_distribution)

    def labels(self, label: int) -> torch.Tensor | None:
        """A class for the networks: (1,), or None if they are not conditional."""
        return torch.tensor([label]) if self.class_names else None

    @property
    def depends_on_company(self) -> bool:
        """Whether D's answer to an image depends on the other images of its batch while it trains."""
        return self.config.normalizes_discriminator or self.config.compares_images


def network_files(root: Path, name: str) -> dict[str, Path]:
    """The files with networks, by step, oldest first; the newest also as "newest".

    Saved states (.pt) hold both networks, generator files (.safetensors) only one. If a step has both, the state is
    taken. While a run trains, its newest file is often a generator's. Empty if a run has saved nothing yet.

    Args:
        root: the folder of all runs.
        name: a run's id, or the name of a generator that comes with the app.

    Raises:
        KeyError: there is no such run or generator.
    """
    if is_run_name(name) and os.path.lexists(root / name / "config.json"):
        folder = RunFolder(root / name)
        steps = {step: folder.generator_file(step) for step in folder.generator_steps()}
        steps |= {step: folder.kept_state_file(step) for step in folder.state_steps()}
        newest, at = max(steps, default=-1), folder.state_step()
        if at is not None and at < newest and at not in folder.state_steps():
            steps[at] = folder.state_file
        files = {str(step): path for step, path in sorted(steps.items())}
        if folder.state_file.is_file() and (not files or (at is not None and at >= newest)):
            files[NEWEST] = folder.state_file
        elif files:
            files[NEWEST] = steps[newest]
        return files
    shipped = pretrained(root)
    if name not in shipped:
        raise KeyError(name)
    return {NEWEST: shipped[name]}


def saved_at(root: Path, name: str) -> tuple[object, ...]:
    """A value that changes whenever a run saves networks, without opening a file. Takes the same arguments as network_files()."""
    folder = RunFolder(root / name)
    try:
        changed_ns = folder.state_file.stat().st_mtime_ns
    except OSError:  # not saved yet, or just deleted
        changed_ns = 0
    return changed_ns, *folder.generator_steps(), *folder.state_steps()


def load_networks(path: Path) -> Networks:
    """The networks of a saved state, or of a generator file. Executes nothing that the file holds.

    Raises:
        CheckpointError: the file, or the settings of its run, are missing or damaged, or do not match.
    """
    if path.suffix == ".safetensors":
        loaded = load_generator(path)
        return Networks(loaded.network, None, loaded.config, loaded.step, loaded.class_names)
    folder = RunFolder(path.parent.parent if path.parent.name == "states" else path.parent)
    config, _ = folder.read_config()
    if config.translates:
        raise Translates(
            f"the run {folder.path.name} translates images, so its networks have no latent vectors: open it on the page Translate"
        )
    try:
        # Memory-mapped: the optimizers' moments, more than half of the file, are never read.
        stored = states.read(path, mmap=True)
        averaged, discriminator, step = stored["averaged"], stored["discriminator"], int(stored["step"])
        classes = len(averaged["embedding.weight"]) if config.conditional else 0
        if not 0 <= classes <= MOST_CLASSES:
            raise ValueError(f"it holds {classes} classes; the limit is {MOST_CLASSES}")
        networks = Networks(
            _filled(new_generator, config, classes, averaged),
            _filled(new_discriminator, config, classes, discriminator),
            config,
            step,
            _class_names(folder, classes),
        )
    except FileNotFoundError:
        raise CheckpointError(f"the run {folder.path.name} has no such saved state") from None
    except pickle.UnpicklingError:
        raise CheckpointError(f"{path.name} of the run {folder.path.name} holds more than tensors, or is damaged") from None
    except (RuntimeError, KeyError, ValueError, TypeError, IndexError, EOFError, AttributeError, OverflowError, OSError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise CheckpointError(f"{path.name} of the run {folder.path.name} cannot be opened: {reason}") from None
    return networks


N = TypeVar("N", Generator, Discriminator)


def _filled(build: Callable[[TrainConfig, int], N], config: TrainConfig, classes: int, tensors: dict[str, torch.Tensor]) -> N:
    """A network with stored weights, after a check of their shapes.

    Raises:
        ValueError: their shapes do not match the settings, they are not numbers, or they are too large.
    """
    with without_memory():
        network = build(config, classes)
    kind = "discriminator" if isinstance(network, Discriminator) else "generator"
    expected = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    found = {name: tuple(t.shape) for name, t in tensors.items()}
    if found != expected:
        odd = min(set(found.items()) ^ set(expected.items()), key=str)[0]
        raise ValueError(f"{str(odd)[:80]} has shape {found.get(odd)}, not {expected.get(odd)}")
    size = 4 * sum(math.prod(shape) for shape in expected.values())
    if size > LARGEST_NETWORKS // 2:
        raise ValueError(f"its {kind} takes {size / 2**30:.1f} GiB; the limit is {LARGEST_NETWORKS / 2**31:g} GiB")
    fill(network, tensors, copy=True)
    if not all(t.isfinite().all() for t in network.state_dict().values()):
        raise ValueError(f"its {kind} has a weight that is not a number")
    return network.eval().requires_grad_(False)


def _class_names(folder: RunFolder, classes: int) -> tuple[str, ...]:
    """The names of a conditional run's classes, from its generators' files; numbers if there are no names."""
    for step in folder.generator_steps()[-1:] if classes else []:
        try:
            names = read_config(read_metadata(folder.generator_file(step)))[1]
        except (CheckpointError, KeyError, TypeError, ValueError):
            break
        if len(names) == classes:
            return names
    return tuple(f"class {number}" for number in range(classes))


class NetworkCache:
    """The most recently used networks. Safe to use from any thread."""

    def __init__(self, most: int = 4) -> None:
        self._loaded: Lru[tuple[Path, int], Networks] = Lru(most)

    def get(self, path: Path) -> Networks:
        """A file's networks, loaded again if the file has changed.

        Raises:
            CheckpointError: see load_networks().
        """
        try:
            key = (path, path.stat().st_mtime_ns)
        except OSError:
            raise CheckpointError(f"the file {path.name} no longer exists") from None
        self._loaded.drop(lambda other: other[0] == path and other != key)
        return self._loaded.load(key, lambda: load_networks(path))

    def __len__(self) -> int:
        return len(self._loaded)
