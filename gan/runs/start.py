"""New runs that start from the trained networks of another run, for example on other images. Unlike a fork, such a run counts from step 0.

Only weights go along. The optimizers start fresh, because their moments belong to the other run's gradients.
"""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from gan.config import TrainConfig
from gan.data.imageset import ImageDataset
from gan.networks.generator_file import CheckpointError, first_line
from gan.runs.folder import RunFolder, link_or_copy, save_whole
from gan.runs.fork import nearest_state
from gan.training.saved_state import NETWORKS, read_networks

# Fixed settings that do not shape the networks: optimizers and initial weights are new, or replaced.
_FREE = frozenset({"optimizer", "initialization", "principal_components"})
SHAPING = tuple(name for name in TrainConfig.fixed_fields() if name not in _FREE)  # settings that the networks must share


@dataclass(frozen=True)
class Origin:
    """Trained networks to start from.

    Attributes:
        run: the name of the run that trained them.
        step: of that run.
        config: its settings.
        networks: tensors by network ("generator", "discriminator", "averaged") and name; unchecked until a run begins with them.
    """

    run: str
    step: int
    config: TrainConfig
    networks: Mapping[str, Mapping[str, torch.Tensor]]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that a run needs to start from these networks."""
        return {name: getattr(self.config, name) for name in SHAPING}

    def refuse(self, config: TrainConfig) -> None:
        """Refuses settings that need other networks.

        Raises:
            ValueError: the message names each such setting with both values.
        """
        if other := [name for name in SHAPING if getattr(self.config, name) != getattr(config, name)]:
            both = "; ".join(f"{name} is {getattr(self.config, name)} there and {getattr(config, name)} here" for name in other)
            raise ValueError(
                f"the networks of {self.run} at step {self.step:,} do not fit these settings: {both}: use the same values, or start with new "
                "networks"
            )

    def refuse_classes(self, dataset: ImageDataset) -> None:
        """Refuses a set with another number of classes, if the networks are conditional.

        Raises:
            ValueError: the message names both numbers.
        """
        known = self.networks["generator"].get("embedding.weight")
        if self.config.conditional and isinstance(known, torch.Tensor) and len(known) != len(dataset.class_names):
            raise ValueError(
                f"the networks of {self.run} at step {self.step:,} know {len(known)} classes, but the data set {dataset.name} has "
                f"{len(dataset.class_names)}: choose a set with as many classes, or start with new networks"
            )


def origin_of(run: RunFolder, step: int | str | None = None) -> Origin:
    """The networks of a run's saved state nearest to a step; of the newest one by default, or of the "best" one.

    Raises:
        CheckpointError: there is no run, no saved state that can be read, or no best step.
    """
    config, _ = run.read_config()
    if step == "best":
        if (best := run.best()) is None:
            raise CheckpointError(f"the run {run.path.name} has no scores, so it has no best step: give a step number")
        step = best.step
    found, file = nearest_state(run, 2**63 if step is None else int(step))
    stored = run.read_state(file)
    if missing := [name for name in NETWORKS if not isinstance(stored.get(name), dict)]:
        raise CheckpointError(f"{file} holds no {missing[0]}, so no run can start from it")
    return Origin(run.path.name, found, config, {name: stored[name] for name in NETWORKS})


def begin_with(folder: RunFolder, origin: Origin) -> None:
    """Makes a new run start from these networks; call it once its config.json is written.

    Raises:
        OSError: a file cannot be written.
    """
    save_whole({name: dict(tensors) for name, tensors in origin.networks.items()}, folder.start_file)
    folder.note_origin({"run": origin.run, "step": origin.step})


def refuse_lost_start(original: RunFolder) -> None:
    """Call it before a folder is made for the replay of a run that began with the networks of another one.

    Raises:
        CheckpointError: the file that holds them is missing or damaged.
    """
    began = f"the run {original.path.name} began with the networks of another run, and {original.start_file.name}, which holds them,"
    try:
        read_networks(original.start_file)
    except FileNotFoundError:
        raise CheckpointError(f"{began} is missing: put it back, or train a new run") from None
    except (OSError, pickle.UnpicklingError, ValueError) as error:
        raise CheckpointError(f"{began} cannot be used: {first_line(error)[:200]}") from None


def begin_like(folder: RunFolder, original: RunFolder) -> None:
    """Makes a replay start from the same networks as its original.

    Raises:
        CheckpointError: they are missing or damaged.
        OSError: a file cannot be written.
    """
    _, stored = original.read_config()
    refuse_lost_start(original)
    link_or_copy(original.start_file, folder.start_file)
    folder.note_origin(dict(stored.origin or {}))
