"""TrainState: everything that changes during training, and how it starts. Knows nothing about the loop."""

import copy
import logging
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from gan import latent
from gan.config import TrainConfig
from gan.devices import cores, describe_device, keep_fp32_exact, keep_freed_memory, with_index
from gan.events import Done
from gan.networks.build import AnyDiscriminator, AnyGenerator, new_networks
from gan.networks.dcgan import Generator, initialize
from gan.networks.layers import Chance, Dropout
from gan.optimizers import Adam, RMSprop
from gan.training import saved_state as states
from gan.training.image_buffer import ImageBuffer
from gan.training.ranks import Ranks
from gan.training.schedule import lazy_share, moves_penalties, moves_rates, scheduled

log = logging.getLogger(__name__)

# What Metrics are means of, in the order of TrainState.sums. Only runs that translate images have the last one.
MEASURED = ("loss_d", "loss_g", "d_real", "d_fake", "d_fake_after", "distance")


class Diverged(ArithmeticError):
    """A loss or a weight became infinite or NaN (not a number)."""


@dataclass(frozen=True)
class Execution:
    """How the same math is computed. Another choice changes the last bits of the results, so it is saved with the state.

    Attributes:
        precision: "fp32" or "bf16".
        channels_last: whether a pixel's channels are next to each other in memory.
        threads: processor threads, on a CPU; train() may change them.
    """

    precision: str
    channels_last: bool
    threads: int


@dataclass
class TrainState:
    """Everything that changes during training. Save it and load it, and training continues as if it had never stopped."""

    config: TrainConfig  # the current settings: live settings may have changed since the start
    device: torch.device
    execution: Execution
    class_names: tuple[str, ...]  # for a run that is conditional or translates between two classes, else empty
    generator: AnyGenerator
    discriminator: AnyDiscriminator
    averaged: AnyGenerator
    optimizer_g: torch.optim.Optimizer
    optimizer_d: torch.optim.Optimizer
    rng: torch.Generator
    fixed_z: torch.Tensor  # (0, latent_dim) if the run translates images
    fixed_labels: torch.Tensor | None
    noise: torch.Tensor  # standard deviation of the instance noise; a tensor, so a recorded graph reads its current value
    penalty_share: torch.Tensor  # the schedule's current factor on the penalties; a tensor for the same reason
    # Adaptive augmentation: its probability, and what decides its next step (augment.steer). A tensor, for the same reason.
    augmentation: torch.Tensor
    # Sums since the last Metrics event, of what MEASURED names, and for each the number of steps at which it was finite, which gives
    # the first bad step without asking the device at each step.
    sums: torch.Tensor
    buffer: ImageBuffer | None = None  # of earlier translations, with networks cyclegan
    summed: int = 0  # steps in these sums
    most_threads: int = 1  # the most processor threads that train() may choose
    changes: int = 0  # changes so far, of live settings and of the number of threads
    step: int = 0
    images_seen: int = 0  # real images shown to the discriminator
    elapsed_s: float = 0.0
    launch: str = ""  # how the steps are launched on a GPU, in words
    ranks: Ranks | None = None  # the processes that train this run together; None if it is this one alone
    _averaged_tensors: tuple[list[torch.Tensor], list[torch.Tensor]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._averaged_tensors = (_floats(self.averaged), _floats(self.generator))

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values only: loads with torch.load(weights_only=True)."""
        return {
            "config": self.config.model_dump(),
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer_g": self.optimizer_g.state_dict(),
            "optimizer_d": self.optimizer_d.state_dict(),
            "rng": self.rng.get_state(),
            "augmentation": self.augmentation,
            "sums": self.sums,
            **({"buffer": self.buffer.images, "buffer_filled": self.buffer.filled} if self.buffer else {}),
            "summed": self.summed,
            "changes": self.changes,
            "precision": self.execution.precision,
            "channels_last": self.execution.channels_last,
            "threads": self.execution.threads,
            "device": self.device.type,
            "step": self.step,
            "images_seen": self.images_seen,
            "elapsed_s": self.elapsed_s,
        }

    def load_state_dict(self, stored: dict[str, Any]) -> None:
        """Loads a state_dict(), including the live settings of that moment.

        Raises:
            ValueError: something is missing, of another kind or of another shape. Then nothing has been changed.
        """
        self.check(stored)
        for name in ("generator", "discriminator", "averaged"):
            getattr(self, name).load_state_dict(stored[name])
        for name in ("optimizer_g", "optimizer_d"):
            # "capturable" makes torch move the step counters to the weights' device; _obey() sets what this device needs.
            groups = [group | {"capturable": True} for group in stored[name]["param_groups"]]
            getattr(self, name).load_state_dict(stored[name] | {"param_groups": groups})
            _lay_out_moments(getattr(self, name))
        self.augmentation.copy_(stored["augmentation"] if "augmentation" in stored else torch.zeros(3))  # older states have none
        self.sums.copy_(stored["sums"])
        if self.buffer:
            self.buffer.images.copy_(stored["buffer"])
            self.buffer.filled.copy_(stored["buffer_filled"])
        self.summed, self.changes = int(stored["summed"]), int(stored["changes"])
        if stored["device"] == self.device.type:  # another kind of device has its own best way
            self.execution = Execution(str(stored["precision"]), bool(stored["channels_last"]), min(int(stored["threads"]), cores()))
        self.step, self.images_seen, self.elapsed_s = int(stored["step"]), int(stored["images_seen"]), float(stored["elapsed_s"])
        self.config = self.config.change(**states.live_settings(stored["config"]))
        self._obey()
        if stored["device"] == self.device.type:
            self.rng.set_state(stored["rng"].cpu())
        else:  # each kind of device has its own random generator
            log.warning("continuing on another kind of device (%s, not %s), with other random numbers", self.device.type, stored["device"])
            self.rng.manual_seed(self.config.seed + 1 + self.step)

    def check(self, stored: Any) -> None:
        """Compares a state_dict() from elsewhere with this state, before anything in it is used.

        Raises:
            ValueError: something is missing, of another kind or of another shape.
        """
        states.check_values(stored)
        trained = {"optimizer_g": self.optimizer_g, "optimizer_d": self.optimizer_d}
        parameters = {name: [p for group in optimizer.param_groups for p in group["params"]] for name, optimizer in trained.items()}
        states.check_tensors(stored, self.state_dict(), parameters)
        self.config.change(**states.live_settings(stored["config"]))

    def adopt(self, networks: Any) -> None:
        """Begins with trained networks instead of initial weights and a blurred picture; call it before the first step.

        networks: tensors by network ("generator", "discriminator", "averaged") and name, from anywhere.

        Raises:
            ValueError: something is missing, of another kind or of another shape. Then nothing has been changed.
        """
        networks = states.with_start_of(fresh := self.state_dict(), networks)
        states.check_networks(networks, fresh)
        for name in states.NETWORKS:
            getattr(self, name).load_state_dict(networks[name])
        for network in (self.generator, self.averaged):
            if isinstance(network, Generator) and network.blurred:
                network.blurred.omit()

    def change(self, name: str, value: Any) -> None:
        """Changes a live setting from the next step on. The optimizers keep their moments.

        Raises:
            ValueError: the value is out of bounds, or does not fit the other settings.
        """
        self.config = self.config.change(**{name: value})
        self._obey()

    def _obey(self) -> None:
        """Copies the config's settings to the optimizers and layers, which have their own copies."""
        on_device = self.device.type == "cuda" and moves_rates(self.config)  # a recorded graph reads a rate from there
        for optimizer in (self.optimizer_g, self.optimizer_d):
            for group in optimizer.param_groups:
                group["lr"] = torch.zeros((), device=self.device) if on_device else 0.0
                group["weight_decay"] = self.config.weight_decay
                group["capturable"] = self.device.type == "cuda"  # the state may come from another kind of device
        self.follow_schedule()
        if not self.config.translates:
            for module in self.discriminator.modules():
                if isinstance(module, Dropout):
                    module.p = self.config.dropout

    def follow_schedule(self) -> bool:
        """Sets learning rates, penalties and betas for the next step: those of the config, or their scheduled values.

        Returns:
            whether something changed that a recorded graph holds as a constant.
        """
        config, now, constants = self.config, scheduled(self.config, self.images_seen), False
        if moves_penalties(config):
            self.penalty_share.fill_(now.penalty)
        share = lazy_share(config)
        for optimizer, rate, betas in (
            (self.optimizer_g, config.lr_g * now.rate, (config.beta1_g, now.beta2)),
            (self.optimizer_d, config.lr_d * now.rate * share, (config.beta1_d**share, now.beta2**share)),
        ):
            for group in optimizer.param_groups:
                if isinstance(group["lr"], torch.Tensor):
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate
                if "betas" in group and group["betas"] != betas:
                    group["betas"], constants = betas, True
        return constants

    @property
    def kind(self) -> str:
        """The kind of device that computes: "cpu" or "cuda"."""
        return self.device.type

    @property
    def where(self) -> str:
        """What computes, in words."""
        return describe_device(self.device)

    @property
    def whole(self) -> bool:
        """Whether the networks and moments here are those of `step`; they always are where the run is computed."""
        return True

    @property
    def own_batch(self) -> int:
        """Images of each batch that this process takes: all of them, unless it is one of several ranks."""
        return self.ranks.part.images if self.ranks else self.config.batch_size

    @property
    def done(self) -> Done:
        """How far the run is."""
        return Done(self.step, self.images_seen, self.elapsed_s)

    def check_finite(self) -> None:
        """Call it before the state is saved.

        Raises:
            Diverged: a weight is infinite or NaN.
        """
        for name, network in (("discriminator", self.discriminator), ("generator", self.generator)):
            if not torch.stack([t.isfinite().all() for t in _floats(network)]).all():
                raise Diverged(f"the {name} has a weight that is infinite or not a number (NaN), at step {self.step}")


def _lay_out_moments(optimizer: torch.optim.Optimizer) -> None:
    """Gives each moment the memory layout of its parameter, as in a new optimizer: the moments may come from another kind of device."""
    for parameter, held in optimizer.state.items():
        for key, moment in held.items():
            if isinstance(moment, torch.Tensor) and moment.shape == parameter.shape and moment.stride() != parameter.stride():
                held[key] = torch.empty_like(parameter, dtype=moment.dtype).copy_(moment)


def _floats(network: nn.Module) -> list[torch.Tensor]:
    """Parameters and running statistics, without the counters."""
    return [t.data for t in (*network.parameters(), *network.buffers()) if t.is_floating_point()]


def new_state(
    config: TrainConfig,
    device: torch.device,
    *,
    class_names: tuple[str, ...] = (),
    execution: Execution | None = None,
    threads: int | None = None,
) -> TrainState:
    """A state before its first step. The initial weights are the same on every device.

    Args:
        config: the run's settings.
        device: where to train.
        class_names: of the data set; a conditional run needs them, and one that translates between two classes.
        execution: how to compute; by default as in the settings, without a measurement. See choose_execution().
        threads: the most processor threads that it may use, now and while it trains; all cores by default.

    Raises:
        ValueError: the run is conditional, and there are no classes.
    """
    if config.conditional and not class_names:
        raise ValueError("conditional needs a data set with labels, but this one has none")
    device = with_index(device)
    rng = torch.Generator().manual_seed(config.seed)
    generator, discriminator = new_networks(config, len(class_names))
    initialize(generator, config.initialization, rng)
    initialize(discriminator, config.initialization, rng)
    if device.type == "cpu":
        keep_freed_memory()
    else:
        keep_fp32_exact()
    most_threads = threads or cores()
    execution = execution or named_execution(config, device, most_threads)
    layout = torch.channels_last if execution.channels_last else torch.contiguous_format
    for network in (generator, discriminator):
        network.to(device).to(memory_format=layout)  # type: ignore[call-overload]
    draws = torch.Generator(device).manual_seed(config.seed + 1)
    averaged = copy.deepcopy(generator).eval().requires_grad_(False)
    for module in (*generator.modules(), *discriminator.modules()):
        if isinstance(module, Chance):
            module.rng = draws
    fixed_labels = torch.arange(config.grid_images) % len(class_names) if config.conditional else None
    fixed = range(0 if config.translates else config.grid_images)
    fixed_z = latent.from_seeds(fixed, config.latent_dim, config.latent_distribution) if fixed else torch.empty(0, config.latent_dim)
    buffered = config.networks == "cyclegan" and config.image_buffer > 0
    shape = (config.channels, config.image_size, config.image_size)
    state = TrainState(
        config=config,
        device=device,
        execution=execution,
        class_names=class_names if config.conditional or config.networks == "cyclegan" else (),
        generator=generator,
        discriminator=discriminator,
        averaged=averaged,
        optimizer_g=_optimizer(config, generator, config.lr_g, config.beta1_g, device),
        optimizer_d=_optimizer(config, discriminator, config.lr_d, config.beta1_d, device),
        rng=draws,
        fixed_z=fixed_z.to(device),
        fixed_labels=fixed_labels.to(device) if fixed_labels is not None else None,
        noise=torch.zeros((), device=device),
        penalty_share=torch.ones((), device=device),
        augmentation=torch.zeros(3, device=device),
        sums=torch.zeros(2 * (6 if config.translates else 5), device=device),
        buffer=ImageBuffer(2, config.image_buffer, shape, device) if buffered else None,
        most_threads=most_threads,
    )
    state._obey()
    return state


def _optimizer(config: TrainConfig, network: nn.Module, lr: float, beta1: float, device: torch.device) -> torch.optim.Optimizer:
    capturable = device.type == "cuda"  # counts its steps on the device, so it can be part of a graph
    if config.optimizer == "rmsprop":
        return RMSprop(network.parameters(), lr, weight_decay=config.weight_decay, capturable=capturable, foreach=True)
    betas = (beta1, config.beta2)
    return Adam(network.parameters(), lr, betas, weight_decay=config.weight_decay, fused=True, capturable=capturable)


def named_execution(config: TrainConfig, device: torch.device, threads: int) -> Execution:
    """How to compute according to the settings, without a measurement: "auto" is fp32 on a CPU, and bf16 on a GPU that supports it.

    threads: the largest number.
    """
    if config.precision != "auto":
        return Execution(config.precision, True, threads)
    if device.type != "cuda":
        return Execution("fp32", True, threads)
    with torch.cuda.device(device):
        return Execution("bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32", True, threads)
