"""The server's view of a run that trains on a worker: how far it is, and the newest weights that have arrived."""

from dataclasses import fields
from typing import Any, Self

import torch

from gan.cluster.letters import Letter, unpacked
from gan.events import Done
from gan.training import saved_state as states
from gan.training.state import Execution, TrainState

CPU = torch.device("cpu")


class Mirror(TrainState):
    """A TrainState on the CPU that follows one elsewhere. Numbers are of the newest event, weights of the newest whole state.

    Attributes:
        stored: the newest whole state (TrainState.state_dict) that has arrived; None before the first.
        elsewhere: the device that computes, in words, and its kind ("cpu" or "cuda").
        memory: bytes that the worker's process takes.
    """

    stored: dict[str, Any] | None = None
    elsewhere: tuple[str, str] = ("", "cpu")
    memory: int = 0
    _whole = True

    @classmethod
    def of(cls, state: TrainState, elsewhere: tuple[str, str]) -> Self:
        """A mirror that begins as `state`."""
        mirror = cls(**{field.name: getattr(state, field.name) for field in fields(TrainState) if field.init})
        mirror.elsewhere = elsewhere
        return mirror

    @property
    def kind(self) -> str:
        return self.elsewhere[1]

    @property
    def where(self) -> str:
        return self.elsewhere[0]

    @property
    def whole(self) -> bool:
        return self._whole

    def state_dict(self) -> dict[str, Any]:
        """The newest whole state; it may be of an earlier step than `step`."""
        return self.stored if self.stored is not None else super().state_dict()

    def check(self, stored: Any) -> None:
        states.check_values(stored)
        states.check_tensors(stored, super().state_dict(), self._parameters())

    def _parameters(self) -> dict[str, list[torch.Tensor]]:
        trained = {"optimizer_g": self.optimizer_g, "optimizer_d": self.optimizer_d}
        return {name: [p for group in optimizer.param_groups for p in group["params"]] for name, optimizer in trained.items()}

    def follow(self, letter: Letter) -> None:
        """Moves to where the worker was when it wrote a letter.

        Raises:
            ValueError: the letter's weights are not those of this run; see TrainState.check().
        """
        at = letter.at
        self.step, self.images_seen, self.elapsed_s = int(at["step"]), int(at["images_seen"]), float(at["elapsed_s"])
        self.changes, self.launch = int(at["changes"]), str(at["launch"])
        self.execution, self.memory = Execution(**at["execution"]), int(at["memory"])
        self._live(at["settings"])
        self.noise.fill_(float(at["noise"]))
        self._whole = bool(letter.weights)
        if letter.weights:
            self.take(unpacked(letter.weights))
        elif letter.generator:
            self.averaged.load_state_dict(unpacked(letter.generator))

    def _live(self, settings: dict[str, Any]) -> None:
        live = states.live_settings(settings)
        if any(getattr(self.config, name) != value for name, value in live.items()):
            self.config = self.config.change(**live)

    def resume(self, stored: dict[str, Any]) -> None:
        """Moves to a saved state.

        Raises:
            ValueError: it is not a state of this run.
        """
        self.take(stored)
        done = Done.of(stored)
        self.step, self.images_seen, self.elapsed_s, self.changes = done.step, done.images_seen, done.elapsed_s, int(stored["changes"])
        self._live(stored["config"])

    def take(self, stored: dict[str, Any]) -> None:
        """The weights of a whole state.

        Raises:
            ValueError: it is not a state of this run.
        """
        self.check(stored)
        for name in states.NETWORKS:
            getattr(self, name).load_state_dict(stored[name])
        if "augmentation" in stored:
            self.augmentation.copy_(stored["augmentation"])
        self.stored = stored
