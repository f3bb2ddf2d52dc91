"""The generators to explore: those that come with the app, and the snapshots of runs."""

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from gan import latent
from gan.config import TrainConfig
from gan.devices import one_thread
from gan.lru import Lru
from gan.networks.generator_file import CheckpointError, LoadedGenerator, load_generator, read_config, read_metadata, read_step
from gan.networks.sampling import sample, sample_styles
from gan.networks.stylegan import StyleGenerator
from gan.runs.folder import RunFolder, is_run_name, run_folders

PRETRAINED = "pretrained"
BEST = "best"  # in an id, stands for the step of a run's best generator
SHIPPED = Path(__file__).parent / PRETRAINED  # part of the package, so they are there wherever it is installed and wherever runs are stored


@dataclass(frozen=True)
class Model:
    """A generator's file, without its weights. `run` is empty for generators that come with the app."""

    id: str
    run: str
    step: int
    path: Path
    config: TrainConfig
    class_names: tuple[str, ...] = ()  # for a conditional generator

    def z(self, seeds: list[int]) -> torch.Tensor:
        """The latent vectors of these seeds, for this generator: (len(seeds), latent_dim)."""
        return latent.from_seeds(seeds, self.config.latent_dim, self.config.latent_distribution)


def pretrained(root: Path) -> dict[str, Path]:
    """The generators without a run, by name: those that come with the app, and those in root/pretrained, which take precedence."""
    return {p.stem: p for folder in (SHIPPED, root / PRETRAINED) for p in folder.glob("*.safetensors") if is_run_name(p.stem)}


def find_model(root: Path, model_id: str) -> Model:
    """The model of an id: "digits" for pretrained/digits.safetensors, "RUN@400" for step 400 of a run, "RUN@best" for its best
    generator (the model's own id then names the step).

    Raises:
        KeyError: there is no such model.
        CheckpointError: its file cannot be used.
    """
    model_id, name, path = file_of(root, model_id)
    about = read_metadata(path)
    try:
        return Model(model_id, name if "@" in model_id else "", read_step(about), path, *read_config(about))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{path.name} lacks valid settings: {error}") from None


def file_of(root: Path, model_id: str) -> tuple[str, str, Path]:
    """The id of a generator with its step as a number, the name before it, and its file; see find_model().

    Raises:
        KeyError: there is no such generator.
    """
    name, at, step_text = model_id.partition("@")
    if step_text == BEST and is_run_name(name):
        step = best_step(root, name)
        if step is None:
            raise KeyError(model_id)
        model_id, step_text = f"{name}@{step}", str(step)
    if not is_run_name(name) or (at and not (step_text.isascii() and step_text.isdigit() and len(step_text) < 12)):
        raise KeyError(model_id)
    path = RunFolder(root / name).generator_file(int(step_text)) if at else pretrained(root).get(name)
    if path is None or not path.is_file():
        raise KeyError(model_id)
    return model_id, name, path


def best_step(root: Path, run: str) -> int | None:
    """The step of a run's best generator; None if the run has no scores, or the file is gone."""
    folder = RunFolder(root / run)
    best = folder.best()
    return best.step if best and folder.generator_file(best.step).is_file() else None


def model_sources(root: Path) -> dict[str, list[str]]:
    """Where generators come from -> their ids, oldest first. Pretrained ones first, then runs, newest first.

    Runs that translate images are not among them; see translator_sources().
    """
    return {name: [name] for name in sorted(pretrained(root))} | _run_sources(root, translators=False)


def translator_sources(root: Path) -> dict[str, list[str]]:
    """The same for runs that translate images."""
    return _run_sources(root, translators=True)


def _run_sources(root: Path, translators: bool) -> dict[str, list[str]]:
    sources, made = {}, {}
    for name in filter(is_run_name, run_folders(root)):
        with suppress(OSError):  # just deleted
            made[name] = (root / name / "config.json").lstat().st_mtime
    for name in sorted(made, key=lambda name: (made[name], name), reverse=True):
        steps = RunFolder(root / name).generator_steps()
        if steps and _translates(root / name, made[name]) == translators:
            sources[name] = [f"{name}@{step}" for step in steps]
    return sources


@lru_cache(10_000)
def _translates(run: Path, stamp: float) -> bool:
    """Whether a run translates images. stamp: when its settings were written. Settings that cannot be read are reported elsewhere."""
    try:
        return RunFolder(run).read_config()[0].translates
    except CheckpointError:
        return False


def list_models(root: Path) -> list[Model]:
    """The newest generator of each source; files that cannot be used are left out."""
    models = []
    for ids in model_sources(root).values():
        try:
            models.append(find_model(root, ids[-1]))
        except (KeyError, CheckpointError):
            continue
    return models


def version_of(model_id: str, path: Path) -> tuple[str, int]:
    """A key for what is loaded from a generator's file: its id, and when the file was written, in ns.

    Raises:
        CheckpointError: the file is gone.
    """
    try:
        return model_id, path.stat().st_mtime_ns
    except OSError:
        raise CheckpointError(f"there is no file {path}") from None


def _load(path: Path) -> LoadedGenerator:
    loaded = load_generator(path)
    loaded.network.to(memory_format=torch.channels_last)
    return loaded


class ModelCache:
    """The most recently used generators, loaded. Safe to use from any thread."""

    def __init__(self, root: Path, most: int = 8) -> None:
        self.root = root
        self._loaded: Lru[tuple[str, int], LoadedGenerator] = Lru(most)

    def get(self, model: Model) -> LoadedGenerator:
        """A model's generator on the CPU, in eval mode.

        Raises:
            CheckpointError: its file cannot be used.
        """
        return self._loaded.load(version_of(model.id, model.path), lambda: _load(model.path))

    @one_thread()
    def images(self, model: Model, z: torch.Tensor, label: int | list[int] = 0) -> np.ndarray:
        """uint8 images (N, C, H, W) for z (N, latent_dim). A conditional generator takes one class, or one class per image.

        On one thread: a few images gain little from more, and a run that trains keeps its cores.
        """
        labels = torch.tensor(label).expand(len(z)) if model.class_names else None
        return sample(self.get(model).network, z, labels)

    def styled(self, model: Model) -> StyleGenerator:
        """A generator that has styles.

        Raises:
            ValueError: it has none.
            CheckpointError: its file cannot be used.
        """
        network = self.get(model).network
        if not isinstance(network, StyleGenerator):
            raise ValueError(f"the generator {model.id} has no styles")
        return network

    @one_thread()
    def styles(self, model: Model, z: torch.Tensor, label: int = 0) -> torch.Tensor:
        """The styles w of z (N, latent_dim): (N, latent_dim). Errors as in styled()."""
        labels = torch.full((len(z),), label) if model.class_names else None
        with torch.inference_mode():
            return self.styled(model).styles(z, labels).clone()

    @one_thread()
    def images_of_styles(self, model: Model, w: torch.Tensor, noise: bool = True) -> np.ndarray:
        """uint8 images (N, C, H, W) of styles; see sample_styles(). Errors as in styled()."""
        return sample_styles(self.styled(model), w, noise)
