"""The generators of runs that translate images: found by id, loaded once, and asked for translations. Knows nothing about pages."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gan.config import TrainConfig
from gan.devices import one_thread
from gan.explore.models import file_of, version_of
from gan.lru import Lru
from gan.networks.generator_file import (
    TRANSLATOR_FORMAT,
    CheckpointError,
    LoadedTranslator,
    load_translator,
    read_config,
    read_metadata,
    read_step,
)
from gan.networks.sampling import translate


@dataclass(frozen=True)
class TranslatorModel:
    """A generator's file, without its weights.

    Attributes:
        kinds: the names of the two kinds of images that it translates between.
    """

    id: str
    run: str
    step: int
    path: Path
    config: TrainConfig
    kinds: tuple[str, str]


def find_translator(root: Path, model_id: str) -> TranslatorModel:
    """The generator of an id: "RUN@400" for step 400 of a run, "RUN@best" for its best generator.

    Raises:
        KeyError: there is no such generator.
        CheckpointError: its file cannot be used, or it does not translate images.
    """
    model_id, name, path = file_of(root, model_id)
    about = read_metadata(path, TRANSLATOR_FORMAT)
    try:
        config, names = read_config(about)
        kinds = (names[0], names[1]) if len(names) == 2 else ("A", "B")
        return TranslatorModel(model_id, name, read_step(about), path, config, kinds)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{path.name} lacks valid settings: {error}") from None


class TranslatorCache:
    """The most recently used generators, loaded. Safe to use from any thread."""

    def __init__(self, root: Path, most: int = 8) -> None:
        self.root = root
        self._loaded: Lru[tuple[str, int], LoadedTranslator] = Lru(most)

    def get(self, model: TranslatorModel) -> LoadedTranslator:
        """A generator on the CPU, in eval mode.

        Raises:
            CheckpointError: its file cannot be used.
        """
        return self._loaded.load(version_of(model.id, model.path), lambda: load_translator(model.path))

    @one_thread()
    def translate(self, model: TranslatorModel, images: np.ndarray, back: bool = False) -> np.ndarray:
        """uint8 images (N, C, H, W) -> their translations. back: from B to A.

        On one thread: a few images gain little from more, and a run that trains keeps its cores.

        Raises:
            CheckpointError: see get().
            ValueError: the generator only translates from A to B.
        """
        return translate(self.get(model).network, torch.tensor(images), back).numpy()
