"""TrainState, train_step and train(...): the loop, as a generator of events. Knows nothing of files, threads or pages."""

import contextlib
import copy
import functools
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gan import latent
from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.devices import cores, free_memory, idle_s, keep_fp32_exact, keep_freed_memory, with_index
from gan.events import THREADS, Event, Intervention, Metrics, Samples, Snapshot, ThreadChange
from gan.images import to_float
from gan.networks.dcgan import Discriminator, Dropout, Generator, count_parameters, initialize
from gan.networks.sampling import sample
from gan.training import augment, graphs, losses
from gan.training import saved_state as states
from gan.training.threads import ThreadChooser

log = logging.getLogger(__name__)

# Another way of computing must be this much faster in a short timing to be chosen: far enough from 1 that noise does not decide.
MARGIN = 1.15


class Diverged(ArithmeticError):
    """A loss or a weight is no longer a number."""


class Control:
    """What a running loop reads from outside: whether to halt, how fast to go, which settings to change.

    Safe to use from any thread.

    Attributes:
        pace_s: seconds that a step takes at least. Above 0 each step is measured and drawn, so that it can be watched.
    """

    def __init__(self) -> None:
        self.pace_s = 0.0
        self._halt = threading.Event()
        self._script: deque[Intervention] = deque()
        self._script_until = 0
        self._wishes: dict[str, Any] = {}  # by setting: of two wishes between two steps the later one counts
        self._once = ""
        self._lock = threading.Lock()

    def halt(self) -> None:
        """Asks the loop to return after the step that it is in."""
        self._halt.set()

    def clear(self) -> None:
        """Takes halt() back, before the loop is entered again."""
        self._halt.clear()

    @property
    def halted(self) -> bool:
        return self._halt.is_set()

    def change(self, name: str, value: Any) -> None:
        """Asks for a live setting to be changed before the next step.

        Raises:
            ValueError: the setting is unknown, or cannot change while a run trains.
        """
        if name not in TrainConfig.live_fields():
            raise ValueError(f"{name} cannot change while a run trains; {', '.join(TrainConfig.live_fields())} can")
        with self._lock:
            self._wishes[name] = value

    @property
    def wishes(self) -> dict[str, Any]:
        """Changes that were asked for and not made yet."""
        with self._lock:
            return dict(self._wishes)

    def step_once(self, network: Literal["generator", "discriminator", "both"]) -> None:
        """Asks the loop to return after its next step, in which only this network learns."""
        self._once = network

    def take_once(self) -> str:
        """What step_once() asked for, or "". Once."""
        once, self._once = self._once, ""
        return once

    def repeat(self, script: Iterable[Intervention], until: int = 0) -> None:
        """Asks for changes to be made again at the steps where they were made before, those of the number of threads (THREADS) among them.

        until: the script is known to be whole up to this step.
        """
        self._script = deque(sorted(script, key=lambda change: change.step))
        self._script_until = until

    def repeating(self, step: int) -> bool:
        """Whether the steps after `step` follow a script: then the number of threads is not chosen anew."""
        return bool(self._script) or step < self._script_until

    def take(self, step: int) -> Iterator[tuple[str, Any]]:
        """The changes to make before the step behind `step`, each once."""
        while self._script and self._script[0].step <= step:
            change = self._script.popleft()
            yield change.field, change.new
        with self._lock:
            wishes, self._wishes = self._wishes, {}
        yield from wishes.items()


@dataclass(frozen=True)
class Execution:
    """How the same mathematics is computed. Other choices change the last bits of the results, so it is kept with the state.

    Attributes:
        precision: "fp32" or "bf16".
        channels_last: whether feature maps lie in memory with their channels together.
        threads: processor threads, on a CPU; train() chooses them again when that pays.
    """

    precision: str
    channels_last: bool
    threads: int


@dataclass
class TrainState:
    """Everything that changes while training; save it, load it, and training goes on as if it had never stopped."""

    config: TrainConfig  # as it is now: live settings may have changed since the start
    device: torch.device
    execution: Execution
    class_names: tuple[str, ...]  # of a conditional run's data, else empty
    generator: Generator
    discriminator: Discriminator
    averaged: Generator
    optimizer_g: torch.optim.Optimizer
    optimizer_d: torch.optim.Optimizer
    rng: torch.Generator
    fixed_z: torch.Tensor
    fixed_labels: torch.Tensor | None
    noise: torch.Tensor  # standard deviation of the instance noise; a tensor, so that a recorded graph reads its present value
    # Of the metrics since the last Metrics event: five sums (loss_d, loss_g, d_real, d_fake, d_fake_after), and for how many
    # steps each of them was a finite number, so that the step at which one was not can be told without asking at each.
    sums: torch.Tensor
    summed: int = 0  # steps in these sums
    most_threads: int = 1  # how many processor threads train() may choose
    changes: int = 0  # live settings changed so far, and numbers of threads
    step: int = 0
    images_seen: int = 0  # real images that the discriminator has been shown
    elapsed_s: float = 0.0
    launch: str = ""  # how the steps are launched on a GPU, in words
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
            "sums": self.sums,
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
        """Takes over what state_dict() gave; live settings as they were then.

        Raises:
            ValueError: something is missing, of another kind or of another shape; then nothing has been taken over.
        """
        self.check(stored)
        for name in ("generator", "discriminator", "averaged"):
            getattr(self, name).load_state_dict(stored[name])
        for name in ("optimizer_g", "optimizer_d"):
            # "capturable" makes torch move the step counters to the device of the weights; _obey() sets what this device needs.
            groups = [group | {"capturable": True} for group in stored[name]["param_groups"]]
            getattr(self, name).load_state_dict(stored[name] | {"param_groups": groups})
            _lay_out_moments(getattr(self, name))
        self.sums.copy_(stored["sums"])
        self.summed, self.changes = int(stored["summed"]), int(stored["changes"])
        if stored["device"] == self.device.type:  # another kind of device has its own best way
            self.execution = Execution(str(stored["precision"]), bool(stored["channels_last"]), min(int(stored["threads"]), cores()))
        self.step, self.images_seen, self.elapsed_s = int(stored["step"]), int(stored["images_seen"]), float(stored["elapsed_s"])
        self.config = self.config.change(**{name: stored["config"][name] for name in TrainConfig.live_fields()})
        self._obey()
        if stored["device"] == self.device.type:
            self.rng.set_state(stored["rng"].cpu())
        else:  # each kind of device has its own random generator
            log.warning("going on on another kind of device (%s, not %s): with other random numbers", self.device.type, stored["device"])
            self.rng.manual_seed(self.config.seed + 1 + self.step)

    def check(self, stored: Any) -> None:
        """Compares what state_dict() gave elsewhere with this state, before anything of it is used.

        Raises:
            ValueError: something is missing, of another kind or of another shape.
        """
        states.check_values(stored)
        trained = {"optimizer_g": self.optimizer_g, "optimizer_d": self.optimizer_d}
        parameters = {name: [p for group in optimizer.param_groups for p in group["params"]] for name, optimizer in trained.items()}
        states.check_tensors(stored, self.state_dict(), parameters)
        self.config.change(**{name: stored["config"][name] for name in TrainConfig.live_fields()})

    def change(self, name: str, value: Any) -> None:
        """Changes a live setting from the next step on; the optimisers keep their moments.

        Raises:
            ValueError: the value is out of bounds, or does not go with the other settings.
        """
        self.config = self.config.change(**{name: value})
        self._obey()

    def _obey(self) -> None:
        """Tells optimizers and layers what the config says: they keep settings of their own."""
        config = self.config
        for optimizer, rate, beta1 in ((self.optimizer_g, config.lr_g, config.beta1_g), (self.optimizer_d, config.lr_d, config.beta1_d)):
            for group in optimizer.param_groups:
                group["lr"], group["weight_decay"] = rate, config.weight_decay
                group["capturable"] = self.device.type == "cuda"  # the state may come from another kind of device
                if "betas" in group:
                    group["betas"] = (beta1, config.beta2)
        for module in self.discriminator.modules():
            if isinstance(module, Dropout):
                module.p = self.config.dropout

    def check_finite(self) -> None:
        """Call it before the state is kept.

        Raises:
            Diverged: a weight is no longer a number.
        """
        for name, network in (("discriminator", self.discriminator), ("generator", self.generator)):
            if not torch.stack([t.isfinite().all() for t in _floats(network)]).all():
                raise Diverged(f"the {name} has a weight that is no longer a number, at step {self.step}")


def _lay_out_moments(optimizer: torch.optim.Optimizer) -> None:
    """Gives each moment the memory layout of its parameter, as a new optimizer has it: they may come from another kind of device."""
    for parameter, held in optimizer.state.items():
        for key, moment in held.items():
            if isinstance(moment, torch.Tensor) and moment.shape == parameter.shape and moment.stride() != parameter.stride():
                held[key] = torch.empty_like(parameter, dtype=moment.dtype).copy_(moment)


def _floats(network: nn.Module) -> list[torch.Tensor]:
    """Parameters and running statistics, without the counters."""
    return [t.data for t in (*network.parameters(), *network.buffers()) if t.is_floating_point()]


def memory_estimate(config: TrainConfig) -> int:
    """Bytes that training takes, roughly: weights with gradients and Adam's moments, and the feature maps of a step."""
    maps = 0

    def count(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        nonlocal maps
        maps += output.numel()

    with torch.device("meta"):  # shapes without numbers
        generator, discriminator = Generator(config, 1), Discriminator(config, 1)
        for module in (*generator.layers, *discriminator.layers):
            module.register_forward_hook(count)
        labels = torch.zeros(config.batch_size, dtype=torch.int64) if config.conditional else None
        discriminator(generator(torch.zeros(config.batch_size, config.latent_dim), labels), labels)
    weights = 5 * count_parameters(generator) + 4 * count_parameters(discriminator)
    penalties = sum(penalty > 0 for penalty in (config.gradient_penalty, config.r1, config.r2))
    return 4 * (weights + (3 + penalties) * maps)  # of real images, of fakes, and the gradients of one


def new_state(
    config: TrainConfig,
    device: torch.device,
    *,
    class_names: tuple[str, ...] = (),
    execution: Execution | None = None,
    threads: int | None = None,
) -> TrainState:
    """A state before its first step. The first weights are the same on every device.

    Args:
        config: the run's settings.
        device: where to train.
        class_names: of the data set; a conditional run needs them.
        execution: how to compute; as the settings say, without measuring, unless given. See choose_execution().
        threads: how many processor threads it may choose, now and while it trains; all cores unless said.

    Raises:
        ValueError: a conditional run without classes.
    """
    if config.conditional and not class_names:
        raise ValueError("conditional needs a data set with labels, and this one has none")
    device = with_index(device)
    rng = torch.Generator().manual_seed(config.seed)
    generator, discriminator = Generator(config, len(class_names)), Discriminator(config, len(class_names))
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
    for module in discriminator.modules():
        if isinstance(module, Dropout):
            module.rng = draws
    fixed_labels = torch.arange(config.grid_images) % len(class_names) if config.conditional else None
    return TrainState(
        config=config,
        device=device,
        execution=execution,
        class_names=class_names if config.conditional else (),
        generator=generator,
        discriminator=discriminator,
        averaged=copy.deepcopy(generator).eval().requires_grad_(False),
        optimizer_g=_optimizer(config, generator, config.lr_g, config.beta1_g, device),
        optimizer_d=_optimizer(config, discriminator, config.lr_d, config.beta1_d, device),
        rng=draws,
        fixed_z=latent.noise(range(config.grid_images), config.latent_dim, config.latent_distribution).to(device),
        fixed_labels=fixed_labels.to(device) if fixed_labels is not None else None,
        noise=torch.zeros((), device=device),
        sums=torch.zeros(10, device=device),
        most_threads=most_threads,
    )


def _optimizer(config: TrainConfig, network: nn.Module, lr: float, beta1: float, device: torch.device) -> torch.optim.Optimizer:
    capturable = device.type == "cuda"  # counts its steps on the device, so that a graph can hold it
    if config.optimizer == "rmsprop":
        return torch.optim.RMSprop(network.parameters(), lr, weight_decay=config.weight_decay, capturable=capturable, foreach=True)
    betas = (beta1, config.beta2)
    return torch.optim.Adam(network.parameters(), lr, betas, weight_decay=config.weight_decay, fused=True, capturable=capturable)


def draw_z(state: TrainState, n: int) -> torch.Tensor:
    """n noise vectors from the run's own random generator: (n, latent_dim)."""
    z = torch.empty(n, state.config.latent_dim, device=state.device)
    return z.normal_(generator=state.rng) if state.config.latent_distribution == "normal" else z.uniform_(-1, 1, generator=state.rng)


def train_step(state: TrainState, real: torch.Tensor, labels: torch.Tensor | None = None) -> None:
    """`d_steps` steps of the discriminator, then `g_steps` of the generator (Goodfellow et al. 2014, algorithm 1).

    Args:
        state: changed in place.
        real: float images (d_steps * batch_size, channels, image_size, image_size) in [-1, 1] on the state's device.
        labels: their classes, int64 (d_steps * batch_size,), where the config is conditional.
    """
    _set_noise(state)
    _update(state, real, labels)
    _count(state)


def _set_noise(state: TrainState) -> None:
    """Before a step: the instance noise that it lays on images, falling evenly to 0 where the config says so."""
    config = state.config
    if config.instance_noise:
        left = max(0.0, 1 - state.images_seen / config.instance_noise_fade) if config.instance_noise_fade else 1.0
        state.noise.fill_(config.instance_noise * left)


def _count(state: TrainState) -> None:
    """After a step: counters and averaged weights."""
    state.step += 1
    state.summed += 1
    state.images_seen += state.config.batch_size * state.config.d_steps
    _average(state)


def _update(state: TrainState, real: torch.Tensor, labels: torch.Tensor | None) -> None:
    """What a step does to the networks and to the sums: all of it on the device, so that a graph can hold it."""
    config = state.config
    told: list[torch.Tensor] = []
    parts = real.split(config.batch_size)
    classes: tuple[torch.Tensor | None, ...] = labels.split(config.batch_size) if labels is not None else (None,) * len(parts)
    for i, (images, its) in enumerate(zip(parts, classes, strict=True)):
        kept = config.reuse_fakes and i == len(parts) - 1 and config.frozen != "generator"
        fake, *told_d = _discriminator_step(state, images, its, keep_graph=kept)
        told += told_d
    for i in range(config.g_steps):
        told += _generator_step(state, images, its, fake if config.reuse_fakes and i == 0 else None)
    with torch.no_grad():
        numbers = torch.stack([part.detach() for part in told])
        of_d, of_g = numbers[: 3 * len(parts)].view(-1, 3).mean(0), numbers[3 * len(parts) :].view(-1, 2).mean(0)
        sums, finite = state.sums[:5], state.sums[5:]
        sums += torch.stack([of_d[0], of_g[0], of_d[1], of_d[2], of_g[1]])
        finite += sums.isfinite()


def autocast(state: TrainState) -> torch.autocast:
    """In the number format that the state is trained in."""
    # Without autocast's cache of cast weights: all threads share it, and each clears it for all. Whether a weight that is used
    # twice was cast once or twice decides in which numbers its gradients are added, so another run would change the last bits.
    return torch.autocast(state.device.type, torch.bfloat16, enabled=state.execution.precision == "bf16", cache_enabled=False)


def _discriminator_step(state: TrainState, real: torch.Tensor, labels: torch.Tensor | None, keep_graph: bool) -> tuple[torch.Tensor, ...]:
    """One step of the discriminator -> the fakes, its loss, its mean answer to real images, and to fakes.

    keep_graph: the generator will learn from these fakes.
    """
    config, discriminator = state.config, state.discriminator
    with autocast(state):
        with torch.set_grad_enabled(keep_graph):
            fake = state.generator(draw_z(state, len(real)), labels)
        seen_real, seen_fake = _seen(state, real), _seen(state, fake.detach())
        seen_real.requires_grad_(config.r1 > 0)
        seen_fake.requires_grad_(config.r2 > 0)
        if config.r1 or config.r2 or config.spectral_norm:  # gradients of one batch alone; weights that change with each call
            on_real, on_fake = discriminator(seen_real, labels), discriminator(seen_fake, labels)
        else:
            on_real, on_fake = discriminator.forward_each([seen_real, seen_fake], labels)
        on_real, on_fake = on_real.float(), on_fake.float()
    loss = losses.discriminator_loss(on_real, on_fake, config.loss, *_targets(state, on_real))
    if config.mean_loss_d:
        loss = loss / 2
    if config.frozen == "discriminator":
        return fake, loss, _mean_answer(config, on_real), _mean_answer(config, on_fake)
    total = loss
    if config.r1:
        total = total + config.r1 * losses.zero_centred_penalty(_gradient(on_real, seen_real))
    if config.r2:
        total = total + config.r2 * losses.zero_centred_penalty(_gradient(on_fake, seen_fake))
    if config.gradient_penalty:
        mix = torch.rand(len(real), 1, 1, 1, device=real.device, generator=state.rng)
        between = (mix * seen_real + (1 - mix) * seen_fake).detach().requires_grad_()
        with autocast(state):
            on_between = discriminator(between, labels).float()
        total = total + config.gradient_penalty * losses.one_centred_penalty(_gradient(on_between, between))
    state.optimizer_d.zero_grad(set_to_none=True)
    total.backward()
    state.optimizer_d.step()
    if config.weight_clip:
        with torch.no_grad():
            for weight in discriminator.parameters():
                weight.clamp_(-config.weight_clip, config.weight_clip)
    return fake, loss, _mean_answer(config, on_real), _mean_answer(config, on_fake)


def _generator_step(
    state: TrainState, real: torch.Tensor, labels: torch.Tensor | None, fake: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """One step of the generator, on the fakes given or on new ones -> its loss, and the discriminator's mean answer to them."""
    config, discriminator = state.config, state.discriminator
    discriminator.requires_grad_(False)  # its weights need no gradients now
    try:
        with autocast(state):
            if fake is None:
                fake = state.generator(draw_z(state, len(real)), labels)
            features = discriminator.features(_seen(state, fake))
            answers = discriminator.judge(features, labels).float()
            if config.feature_matching:
                loss = losses.feature_matching(discriminator.features(_seen(state, real.detach())).float(), features.float())
            else:
                on_real = discriminator(_seen(state, real.detach()), labels).float() if config.loss == "relativistic" else None
                loss = losses.generator_loss(answers, config.loss, on_real)
        if config.frozen == "generator":
            return loss, _mean_answer(config, answers)
        state.optimizer_g.zero_grad(set_to_none=True)
        loss.backward()
    finally:
        discriminator.requires_grad_(True)
    state.optimizer_g.step()
    return loss, _mean_answer(config, answers)


def _seen(state: TrainState, images: torch.Tensor) -> torch.Tensor:
    return as_shown(state, images, state.rng)


def as_shown(state: TrainState, images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Images as the discriminator is shown them, real ones and fakes alike; differentiable. rng: on the state's device."""
    if state.config.diffaugment != "off":
        images = augment.diffaugment(images, state.config.diffaugment, rng)
    if state.config.instance_noise:
        images = images + state.noise * torch.empty_like(images, dtype=torch.float32).normal_(generator=rng)
    return images


def _targets(state: TrainState, answers: torch.Tensor) -> tuple[float | torch.Tensor, float | torch.Tensor]:
    """The labels of real images and of fakes, some of them swapped where the config says so."""
    config = state.config
    labels = (config.real_label, config.fake_label)
    if not config.label_flips:
        return labels
    flips = torch.rand(2, len(answers), device=answers.device, generator=state.rng) < config.label_flips
    return tuple(own + (other - own) * flip for own, other, flip in zip(labels, labels[::-1], flips.float(), strict=True))  # type: ignore[return-value]


def _gradient(answers: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """The gradient of each answer at its own images, which can be differentiated again: (len(answers), ...)."""
    (gradient,) = torch.autograd.grad(answers.sum(), images, create_graph=True)
    return gradient.float().reshape(len(answers), -1)


def _mean_answer(config: TrainConfig, answers: torch.Tensor) -> torch.Tensor:
    """The mean probability of "real", or the mean score where the loss has no probabilities."""
    return (answers if config.has_scores else torch.sigmoid(answers)).mean()


@torch.no_grad()
def _average(state: TrainState) -> None:
    """Moves the averaged generator towards the trained one (Karras et al. 2020, StyleGAN2-ADA, with its ramp)."""
    half_life = min(state.config.average_half_life, 0.05 * state.images_seen)
    decay = 0.5 ** (state.config.batch_size * state.config.d_steps / half_life) if half_life > 0 else 0.0
    get_ema_multi_avg_fn(decay)(*state._averaged_tensors, 0)


def draw_grid(state: TrainState) -> np.ndarray:
    """The averaged generator's images for the run's fixed noise: uint8, (grid_images, C, H, W)."""
    return sample(state.averaged, state.fixed_z, state.fixed_labels)


def largest_batch(config: TrainConfig, images: int) -> int | None:
    """The largest batch_size that a set of so many images and the other settings allow, up to the config's; None where there is none."""
    for size in range(min(images, config.batch_size), 0, -1):
        with contextlib.suppress(ValueError):
            return config.change(batch_size=size).batch_size
    return None


def too_few(config: TrainConfig, images: int) -> str:
    """What is wrong with a set of so many images, fewer than a batch, and what to do about it."""
    size = largest_batch(config, images)
    smaller = f", or set batch_size to {size} or less" if size else ""
    return f"{images} image{'' if images == 1 else 's'}, fewer than one batch of {config.batch_size}: add images{smaller}"


def epoch_images(config: TrainConfig, dataset: ImageDataset) -> int:
    """Images in one pass over the set: whole batches; what is left over is dropped.

    Raises:
        ValueError: the set does not fit the config: another shape, fewer images than a batch, no labels where they are needed.
    """
    shape = (config.channels, config.image_size, config.image_size)
    if tuple(dataset.images.shape[1:]) != shape:
        raise ValueError(f"the data set {dataset.name} has images of shape {tuple(dataset.images.shape[1:])}; the settings say {shape}")
    if len(dataset) < config.batch_size:
        raise ValueError(f"the data set {dataset.name} holds {too_few(config, len(dataset))}")
    if config.conditional and dataset.labels is None:
        raise ValueError(f"the data set {dataset.name} has no labels, and conditional needs them: choose another set, or turn it off")
    return len(dataset) // config.batch_size * config.batch_size


def progress(config: TrainConfig, step: int, images_seen: int, elapsed_s: float, an_epoch: int) -> float:
    """How much of the run's duration is behind it, 0 to 1. an_epoch: images in an epoch."""
    done = {"steps": step, "epochs": images_seen / an_epoch, "seconds": elapsed_s}[config.duration_unit]
    return min(1.0, done / config.duration)


def extend(
    config: TrainConfig, unit: str | None, amount: float | None, step: int, images_seen: int, elapsed_s: float, an_epoch: int
) -> TrainConfig:
    """A config whose duration is `amount` of `unit` beyond what is done; without a unit, the same config.

    Raises:
        ValueError: the amount is out of bounds.
    """
    if unit is None or amount is None:
        return config
    if amount <= 0:
        raise ValueError(f"{unit} must be more than 0; got {amount}")
    done = {"steps": step, "epochs": images_seen / an_epoch, "seconds": elapsed_s}[unit]
    return config.change(duration=done + amount, duration_unit=unit)


def is_grid_step(step: int, every: int = 0) -> bool:
    """Every `every` steps; 0 for log-spaced: each step to 8, then four to an octave (8, 10, 12, 14, 16, 20, ...), at least every 256."""
    return step % every == 0 if every else step < 8 or step % min(256, 2 ** (step.bit_length() - 3)) == 0


def is_snapshot_step(step: int, every: int) -> bool:
    """At powers of two, and at every multiple of `every`."""
    return step.bit_count() == 1 or step % every == 0


def train(state: TrainState, dataset: ImageDataset, control: Control | None = None) -> Iterator[Event]:
    """Trains until the config's duration is reached or the control halts it. Between two events the networks are idle.

    Args:
        state: changed in place; a state that has been trained before goes on where it was.
        dataset: images of the config's size and channels.
        control: what may halt the loop, which then returns within one step, and change its live settings.

    Yields:
        Metrics every `log_every` steps, Samples at log-spaced steps and at the end, Snapshot where the generator is worth
        keeping, Intervention where a setting has changed, ThreadChange where the number of threads has. Metrics and Samples
        at every step where the control slows the loop down or asks for one step.

    Raises:
        ValueError: the set does not fit the config.
        Diverged: a loss became NaN or infinite; the state is then useless, the last one saved is not.
    """
    control = control or Control()
    an_epoch = epoch_images(state.config, dataset)
    torch.set_num_threads(state.execution.threads)
    feed = _Feed(state, dataset)
    update = _launcher(state, feed)
    threads = _Threads(state, control)

    if state.step == 0:
        yield Samples(0, draw_grid(state))
    entered, before_s = time.perf_counter(), state.elapsed_s
    logged_images, logged_s, drawn = state.images_seen, state.elapsed_s, -1

    while not control.halted and progress(state.config, state.step, state.images_seen, state.elapsed_s, an_epoch) < 1:
        began = time.perf_counter()
        once, frozen = control.take_once(), None
        changes = [change for name, value in control.take(state.step) if (change := _change(state, name, value))]
        if once:
            frozen = state.config.frozen
            rest = {"generator": "discriminator", "discriminator": "generator"}.get(once, "none")
            changes += [change for change in [_change(state, "frozen", rest)] if change]
        if changes:
            del update  # a recorded graph has memory of its own, which the next one can have
            update = _launcher(state, feed)
            threads.forget()
        yield from changes
        yield from threads.change()
        config = state.config
        watched = bool(once or control.pace_s)
        with threads.watching(rested=watched):
            _set_noise(state)
            update(*feed.next(state.images_seen, config.d_steps))
            _count(state)
        state.elapsed_s = before_s + time.perf_counter() - entered

        step = state.step
        if step % config.log_every == 0 or watched:
            values, finite = state.sums.view(2, 5).tolist()  # waits for the device
            if min(finite) < state.summed:
                raise Diverged(_first_fault(finite, step - state.summed))
            state.elapsed_s = before_s + time.perf_counter() - entered
            images_per_s = (state.images_seen - logged_images) / max(1e-9, state.elapsed_s - logged_s)
            logged_images, logged_s = state.images_seen, state.elapsed_s
            told = dict(zip(("loss_d", "loss_g", "d_real", "d_fake", "d_fake_after"), (v / state.summed for v in values), strict=True))
            state.sums.zero_()
            state.summed = 0
            yield Metrics(step, state.images_seen, state.elapsed_s, images_per_s, **told, scores=config.has_scores)
        if is_grid_step(step, config.grid_every) or watched:
            drawn = step
            yield Samples(step, draw_grid(state))
        if is_snapshot_step(step, config.snapshot_every):
            state.check_finite()
            yield Snapshot(step)
        state.elapsed_s = before_s + time.perf_counter() - entered
        if once:
            if change := _change(state, "frozen", frozen):
                yield change
            break
        if control.pace_s:
            entered += _wait(control, began)
    if not is_grid_step(state.step, state.config.grid_every) and drawn != state.step:
        yield Samples(state.step, draw_grid(state))
    yield from threads.end()


class _Threads:
    """Chooses a run's processor threads between its steps, on a CPU, unless a script says them. Does nothing where there is no choice."""

    def __init__(self, state: TrainState, control: Control) -> None:
        self._state, self._control = state, control
        self._chooser: ThreadChooser | None = None  # made when there is something to choose
        self._wanted = 0  # for the next step; 0 for as many as now

    @contextmanager
    def watching(self, rested: bool) -> Iterator[None]:
        """A step is made in here. rested: it does not count, since the run slept before it, or nobody is in a hurry."""
        state = self._state
        most = max(state.most_threads, state.execution.threads)
        if state.device.type != "cpu" or most == 1 or self._control.repeating(state.step):
            yield
            return
        if self._chooser is None:
            self._chooser = ThreadChooser(state.execution.threads, most, idle_s)
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        yield
        now_s = time.perf_counter()
        if rested:
            self._wanted = self._chooser.rest()
        else:
            self._wanted = self._chooser.after_step(now_s, now_s - began_s, time.process_time() - began_cpu_s)

    def forget(self) -> None:
        """A setting was changed: steps may take another time from here on."""
        if self._chooser:
            self._chooser.forget()
            self._wanted = self._chooser.threads

    def change(self) -> Iterator[ThreadChange]:
        """Puts into effect what was chosen."""
        wanted, self._wanted = self._wanted, 0
        if wanted and (change := _set_threads(self._state, wanted)):
            yield change

    def end(self) -> Iterator[ThreadChange]:
        """Ends a trial, so that the state that is kept has the number of threads that was settled."""
        if self._chooser:
            self._wanted = self._chooser.rest()
            yield from self.change()


def _set_threads(state: TrainState, threads: Any) -> ThreadChange | None:
    """Steps from now on use so many threads -> what is to be told of it; None where it is so already, or cannot be.

    threads: it may come from a file, and be anything.
    """
    old = state.execution.threads
    if state.device.type != "cpu" or threads == old:
        return None
    if not isinstance(threads, int) or not 1 <= threads <= max(cores(), state.most_threads):
        log.warning("training stays on %s threads, and may differ in the last bits: %.40r threads cannot be had here", old, threads)
        return None
    torch.set_num_threads(threads)
    state.execution = replace(state.execution, threads=threads)
    state.changes += 1
    log.info("step %d: %d processor threads, not %d", state.step, threads, old)
    return ThreadChange(state.step, old, threads)


def _change(state: TrainState, name: str, value: Any) -> Intervention | ThreadChange | None:
    """Changes a live setting, or the threads -> what is to be told of it; None where it is so already, or must not be."""
    if name == THREADS:
        return _set_threads(state, value)
    old = getattr(state.config, name)
    if value == old:
        return None
    try:
        state.change(name, value)
    except ValueError as error:  # whoever asked was told the bounds; the run goes on as it is
        log.warning("%s stays at %s: %s", name, old, error)
        return None
    state.changes += 1
    return Intervention(state.step, name, old, getattr(state.config, name))


def _wait(control: Control, began: float) -> float:
    """Sleeps until a step that began then has taken the control's pace, or the pace is no longer wanted; returns the seconds slept."""
    start = time.perf_counter()
    while not control.halted and (left := began + control.pace_s - time.perf_counter()) > 0:
        time.sleep(min(left, 0.05))
    return time.perf_counter() - start


def _first_fault(finite: list[float], before: int) -> str:
    """At which step behind `before`, and in which network, a number first was none. finite: as TrainState.sums has it."""
    first = min(finite)
    bad = [name for name, n in zip(("loss_d", "loss_g", "d_real", "d_fake", "d_fake_after"), finite, strict=True) if n == first]
    # D answers to real images without G. Its answer to fakes is the first to show G's faults.
    network = "generator" if "d_fake" in bad and "d_real" not in bad else "discriminator"
    return f"the {network} gave something that is no longer a number at step {before + round(first) + 1}"


@torch.no_grad()
def layer_norms(state: TrainState) -> dict[str, dict[str, dict[str, float | None]]]:
    """How long each weight tensor is, and its last gradient (L2): {"weights" | "gradients": {network: {name: norm}}}.

    None where there is no gradient, or it is no longer a number.
    """
    told: dict[str, dict[str, dict[str, float | None]]] = {"weights": {}, "gradients": {}}
    for network in ("generator", "discriminator"):
        named = dict(getattr(state, network).named_parameters())
        learnt = {name: parameter.grad for name, parameter in named.items() if parameter.grad is not None}
        for what, tensors in (("weights", named), ("gradients", learnt)):
            norms = torch.stack(torch._foreach_norm(list(tensors.values()))).tolist() if tensors else []
            found = {name: norm if math.isfinite(norm) else None for name, norm in zip(tensors, norms, strict=True)}
            told[what][network] = {name: found.get(name) for name in named}
    return told


class _Feed:
    """The data set's images in the order that seed and epoch say, as the discriminator takes them."""

    def __init__(self, state: TrainState, dataset: ImageDataset) -> None:
        self._state = state
        config, device = state.config, state.device
        self._n, self._batch, self._seed = len(dataset), config.batch_size, config.seed
        self._an_epoch = epoch_images(config, dataset)
        # Half of what is free is left to the networks; a larger set stays where it is, and its batches travel.
        fits = device.type == "cpu" or dataset.images.numel() < free_memory(device) // 2
        self._place = device if fits else dataset.images.device  # of images, classes and order: batches are picked there
        self._images = dataset.images.to(self._place)
        self._labels = dataset.labels.to(self._place) if dataset.labels is not None and config.conditional else None
        self._order, self._epoch = torch.empty(0), -1
        self._layout = torch.channels_last if state.execution.channels_last else torch.contiguous_format

    def next(self, images_seen: int, batches: int = 1) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The images behind `images_seen`, (batches * batch_size, C, H, W) in [-1, 1], and their classes."""
        picks = torch.cat([self._picks(images_seen + i * self._batch) for i in range(batches)]) if batches > 1 else self._picks(images_seen)
        labels = _sent(self._labels[picks], self._state.device) if self._labels is not None else None
        real = to_float(_sent(self._images[picks], self._state.device))
        if self._state.config.horizontal_flip:
            real = augment.mirror(real, self._state.rng)
        if self._state.config.color_jitter:
            real = augment.jitter(real, self._state.config.color_jitter, self._state.rng)
        return real.contiguous(memory_format=self._layout), labels

    def _picks(self, images_seen: int) -> torch.Tensor:
        """Indices of the batch behind `images_seen`. An epoch's order is a function of seed and epoch, so it need not be saved."""
        epoch, position = divmod(images_seen, self._an_epoch)
        position -= position % self._batch  # a fork may have another batch size than what was seen before it
        if epoch != self._epoch:
            rng = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
            self._order, self._epoch = _sent(torch.randperm(self._n, generator=rng), self._place), epoch
        return self._order[position : position + self._batch]


def _sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor on a device, without waiting for it. torch keeps the pinned memory until the copy, queued like a kernel, is made."""
    if tensor.device == device:
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def _launcher(state: TrainState, feed: _Feed) -> Callable[[torch.Tensor, torch.Tensor | None], None]:
    """What does a step's work on the device: on a GPU one recorded graph where it can be had, else kernel by kernel."""

    def update(real: torch.Tensor, labels: torch.Tensor | None) -> None:
        _update(state, real, labels)

    if state.device.type != "cuda":
        return update
    before = copy.deepcopy(state.state_dict())
    try:
        replay = graphs.capture(update, feed.next(state.images_seen, state.config.d_steps), state.rng)
        state.launch = "one CUDA graph a step"
    except graphs.NotRecorded as error:
        state.launch = f"kernel by kernel (a CUDA graph could not be recorded: {error})"
        log.warning("training goes on %s", state.launch)
        replay = update
    finally:
        _restore(state, before)  # recording has trained a few steps, and drawn images
    return replay


@torch.no_grad()
def _restore(state: TrainState, before: dict[str, Any]) -> None:
    """Writes a state_dict() back into the very tensors that a recorded graph works on."""
    for name in ("generator", "discriminator", "averaged"):
        for place, value in zip(getattr(state, name).state_dict().values(), before[name].values(), strict=True):
            place.copy_(value)
    for name in ("optimizer_g", "optimizer_d"):
        optimizer, stored = getattr(state, name), before[name]["state"]
        for number, parameter in enumerate(p for group in optimizer.param_groups for p in group["params"]):
            for key, place in optimizer.state[parameter].items():
                if isinstance(place, torch.Tensor):
                    place.copy_(stored[number][key]) if number in stored else place.zero_()
    state.sums.copy_(before["sums"])
    state.rng.set_state(before["rng"])


def named_execution(config: TrainConfig, device: torch.device, threads: int) -> Execution:
    """How to compute as the settings say, without measuring: "auto" is fp32 on a CPU, and on a GPU bf16 where the GPU has it.

    threads: how many may be used.
    """
    if config.precision != "auto":
        return Execution(config.precision, True, threads)
    if device.type != "cuda":
        return Execution("fp32", True, threads)
    with torch.cuda.device(device):
        return Execution("bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32", True, threads)


def choose_execution(config: TrainConfig, device: torch.device, threads: int | None = None) -> Execution:
    """The best way to compute on this device. With precision "auto", on a CPU, by a short measurement; a precision that is named is taken.

    threads: how many may be used; all cores unless said.
    """
    threads = threads or cores()
    if config.precision != "auto" or device.type == "cuda":
        return named_execution(config, device, threads)
    # Only what the timing depends on, so that runs that differ in other things share one measurement.
    batch = 32 if config.image_size <= 32 else 8
    batch = max(2, math.ceil(batch / config.packing)) * config.packing
    told = {"data": "mnist", "seed": 0, "duration": 1.0, "batch_size": batch, "lr_g": 1e-4, "lr_d": 1e-4, "d_steps": 1, "g_steps": 1}
    return _fastest(config.change(**told, log_every=1, snapshot_every=10, grid_every=1, grid_images=16), threads)


@functools.cache
def _fastest(config: TrainConfig, threads: int) -> Execution:
    """The fastest way to compute a small training step on this CPU, measured once a process for each shape of network.

    Number format and memory layout are timed on one thread, in that thread's own processor time: other work on the
    machine changes the wall time several-fold, and these ratios by a few per cent. bf16 is far slower than fp32 on
    processors without 16-bit instructions. Threads are timed by the clock, since other work is what makes fewer better.
    """
    one = Execution("fp32", True, 1)
    ratio = _speedup(config, one, Execution("bf16", True, 1), time.thread_time)
    best = Execution("bf16", True, 1) if ratio > MARGIN else one
    said = f"bf16 is {ratio:.2f} times as fast as fp32"
    ratio = _speedup(config, best, Execution(best.precision, False, 1), time.thread_time)
    best = Execution(best.precision, ratio <= MARGIN, threads)
    said += f", channels last {1 / ratio:.2f} times as fast as channels first"
    fewer = threads // 2
    while fewer:
        ratio = _speedup(config, best, Execution(best.precision, best.channels_last, fewer), time.perf_counter)
        said += f", {best.threads} threads {1 / ratio:.2f} times as fast as {fewer}"
        if ratio <= MARGIN:
            break
        best, fewer = Execution(best.precision, best.channels_last, fewer), fewer // 2
    log.info("on this processor %s: %s", said, best)
    return best


def _speedup(config: TrainConfig, old: Execution, new: Execution, clock: Callable[[], float]) -> float:
    """old's time over new's for a training step, the best of a few each, alternating: over 1 where new is faster."""
    cpu, names = torch.device("cpu"), ("a", "b")
    real = torch.zeros(config.batch_size, config.channels, config.image_size, config.image_size)
    labels = torch.zeros(config.batch_size, dtype=torch.int64) if config.conditional else None
    states = {e: new_state(config, cpu, class_names=names, execution=e) for e in (old, new)}
    best = dict.fromkeys(states, math.inf)
    threads = torch.get_num_threads()
    try:
        for _ in range(6 if config.image_size <= 32 else 3):  # the first warms up
            for execution, state in states.items():
                torch.set_num_threads(execution.threads)
                images = real.contiguous(memory_format=torch.channels_last if execution.channels_last else torch.contiguous_format)
                start = clock()
                train_step(state, images, labels)
                best[execution] = min(best[execution], clock() - start)
    finally:
        torch.set_num_threads(threads)
    return best[old] / best[new]
