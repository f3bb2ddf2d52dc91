"""Where a run's steps are computed: a part that can be exchanged. `Here` is this process; gan/cluster has workers in a cluster.

Knows nothing about queues, threads or pages. The run's folder is always written here, by record().
"""

from collections.abc import Iterator
from typing import Any, Protocol

import torch

from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.events import Event, Progress
from gan.runs.folder import RunFolder
from gan.training import graphs
from gan.training.execution import choose_execution
from gan.training.loop import Control, layer_norms, train
from gan.training.state import TrainState, new_state


class WorkerLost(Exception):
    """The worker that trained a run has ended. Everything it had sent is recorded; the run can continue on another one.

    Attributes:
        place: where it was, in words.
        reason: why it ended, as a sentence without a period.
    """

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"the worker on {place} ended: {reason}")
        self.place, self.reason = place, reason


class Workplace(Protocol):
    """Where one run is prepared and trained. Used by the run's own thread only."""

    @property
    def name(self) -> str:
        """Where it is, in words; empty for this process."""

    def enter(self) -> None:
        """Prepares the run's thread; called once, before anything else."""

    def shared(self, dataset: ImageDataset) -> ImageDataset:
        """The same set as other runs may hold it already, so that many runs do not take the memory of many copies."""

    def get_ready(self, config: TrainConfig, dataset: ImageDataset) -> Iterator[Progress]:
        """Gets everything ready that the run needs there. Yields Progress, so that a stop can end it.

        Raises:
            WorkerLost, OSError, ValueError: it cannot be had.
        """

    def new(self, config: TrainConfig, class_names: tuple[str, ...]) -> TrainState:
        """A state before its first step, computed in the best way for the place."""

    def load(self, folder: RunFolder, config: TrainConfig, class_names: tuple[str, ...]) -> TrainState:
        """The state in a run's folder.

        Raises:
            StateLost: see RunFolder.load_state().
        """

    def train(self, state: TrainState, dataset: ImageDataset, control: Control) -> Iterator[Event]:
        """gan.training.loop.train(), at this place.

        Raises:
            WorkerLost: the worker has ended.
        """

    def norms(self, state: TrainState) -> dict[str, Any] | None:
        """layer_norms() at the last event; None if nobody has measured them."""

    def close(self) -> None:
        """Returns everything; the run has ended there."""


class Here:
    """This process: the run's own thread computes."""

    name = ""

    def __init__(self, device: torch.device, threads: int | None = None) -> None:
        """threads: the most processor threads that the run may use; all cores by default."""
        self.device, self.threads = device, threads

    def enter(self) -> None:
        if self.threads:
            torch.set_num_threads(self.threads)  # a new thread inherits what another thread set for itself
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)  # for whatever asks for "the" GPU: a new thread is on the first one

    def shared(self, dataset: ImageDataset) -> ImageDataset:
        return dataset

    def get_ready(self, config: TrainConfig, dataset: ImageDataset) -> Iterator[Progress]:
        yield Progress("Measuring the fastest way to compute, for a few seconds", 0, 0)

    def new(self, config: TrainConfig, class_names: tuple[str, ...]) -> TrainState:
        execution = choose_execution(config, self.device, self.threads)
        return new_state(config, self.device, class_names=class_names, execution=execution, threads=self.threads)

    def load(self, folder: RunFolder, config: TrainConfig, class_names: tuple[str, ...]) -> TrainState:
        return folder.load_state(config, self.device, class_names, self.threads)

    def train(self, state: TrainState, dataset: ImageDataset, control: Control) -> Iterator[Event]:
        return train(state, dataset, control)

    def norms(self, state: TrainState) -> dict[str, Any] | None:
        return layer_norms(state)

    def close(self) -> None:
        if self.device.type == "cuda":
            graphs.release_memory()
