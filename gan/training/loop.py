"""train(...): the loop, as a generator of events, and Control, its only input while it runs. Knows nothing about files or pages.

A live setting goes from Control.change() to TrainState.change() in state.py, between two steps.
"""

import copy
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch

from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.devices import cores, idle_s
from gan.events import THREADS, Done, Event, Intervention, Metrics, Samples, Snapshot, ThreadChange
from gan.networks.dcgan import Generator
from gan.networks.sampling import sample
from gan.training import graphs
from gan.training.begin import begin_with_images
from gan.training.feed import Feed, epoch_images
from gan.training.schedule import penalty_is_due
from gan.training.state import MEASURED, Diverged, TrainState
from gan.training.step import count_step, fade_start, set_noise, update_networks
from gan.training.threads import ThreadChooser
from gan.training.translation_grid import translation_grid

log = logging.getLogger(__name__)


class Control:
    """Outside input for a running loop: whether to halt, how fast to run, which settings to change.

    Safe to use from any thread.

    Attributes:
        pace_s: minimum seconds per step. Above 0, each step is logged and drawn, so you can watch it.
    """

    def __init__(self) -> None:
        self.pace_s = 0.0
        self._halt = threading.Event()
        self._script: deque[Intervention] = deque()
        self._script_until = 0
        self._wishes: dict[str, Any] = {}  # by setting: the last request between two steps counts
        self._once = ""
        self._lock = threading.Lock()

    def halt(self) -> None:
        """Asks the loop to return after its current step."""
        self._halt.set()

    def clear(self) -> None:
        """Cancels halt(), before the loop starts again."""
        self._halt.clear()

    @property
    def halted(self) -> bool:
        return self._halt.is_set()

    def goes_on(self, share: float, step: int) -> bool:
        """Whether to train the step after `step`. share: how much of the run's duration is behind it, 0 to 1."""
        return not self.halted and share < 1

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
        """Changes that were requested and not made yet."""
        with self._lock:
            return dict(self._wishes)

    def step_once(self, network: Literal["generator", "discriminator", "both"]) -> None:
        """Asks the loop to return after its next step, in which only this network trains."""
        self._once = network

    def take_once(self) -> str:
        """The network that step_once() asked for, or "". Resets it."""
        once, self._once = self._once, ""
        return once

    def repeat(self, script: Iterable[Intervention], until: int = 0) -> None:
        """Asks to repeat changes at the steps at which they were made, including changes of the number of threads (THREADS).

        until: the script is complete up to this step.
        """
        self._script = deque(sorted(script, key=lambda change: change.step))
        self._script_until = until

    def repeating(self, step: int) -> bool:
        """Whether the steps after `step` follow a script: then the run does not choose its number of threads."""
        return bool(self._script) or step < self._script_until

    def take_script(self) -> tuple[list[Intervention], int]:
        """The changes still to be repeated, and `until`, for a loop elsewhere; see repeat(). Forgets them."""
        script, until = list(self._script), self._script_until
        self.repeat(())
        return script, until

    def settle(self, name: str, value: Any) -> None:
        """A loop elsewhere has dealt with this wish: it is no longer pending, unless someone asked for another value meanwhile."""
        with self._lock:
            if name in self._wishes and self._wishes[name] == value:
                del self._wishes[name]

    def take(self, step: int) -> Iterator[tuple[str, Any]]:
        """The changes to make before the step after `step`, each once."""
        while self._script and self._script[0].step <= step:
            change = self._script.popleft()
            yield change.field, change.new
        with self._lock:
            wishes, self._wishes = self._wishes, {}
        yield from wishes.items()


def draw_grid(state: TrainState, dataset: ImageDataset) -> np.ndarray:
    """The EMA generator's images of the run's fixed latent vectors: uint8, (grid_images, C, H, W).

    For a run that translates images: held-out images of the data set and what becomes of them; see translation_grid().
    """
    if not isinstance(state.averaged, Generator):
        return translation_grid(state.averaged, state.config, dataset)
    return sample(state.averaged, state.fixed_z, state.fixed_labels)


def progress(config: TrainConfig, done: Done, per_epoch: int) -> float:
    """How much of the run's duration is behind it, 0 to 1. per_epoch: images in an epoch."""
    amount = {"steps": done.step, "epochs": done.images_seen / per_epoch, "seconds": done.elapsed_s}[config.duration_unit]
    return min(1.0, amount / config.duration)


def extend(config: TrainConfig, unit: str | None, amount: float | None, done: Done, per_epoch: int | None) -> TrainConfig:
    """A config whose duration ends `amount` of `unit` from now; without a unit, the same config.

    per_epoch: images per epoch; None if unknown.

    Raises:
        ValueError: the amount is out of bounds, or it is in epochs and the epochs so far cannot be counted.
    """
    if unit is None or amount is None:
        return config
    if amount <= 0:
        raise ValueError(f"{unit} must be more than 0; got {amount}")
    if unit == "epochs" and done.images_seen and not per_epoch:
        raise ValueError("give the duration in steps or seconds: how many images an epoch has is not known")
    before = {"steps": done.step, "epochs": done.images_seen / (per_epoch or 1), "seconds": done.elapsed_s}[unit]
    return config.change(duration=before + amount, duration_unit=unit)


def is_grid_step(step: int, every: int = 0) -> bool:
    """Every `every` steps; 0 for log spacing: each step up to 8, then four per octave (8, 10, 12, 14, 16, 20, ...), at least every 256."""
    return step % every == 0 if every else step < 8 or step % min(256, 2 ** (step.bit_length() - 3)) == 0


def is_snapshot_step(step: int, every: int) -> bool:
    """At powers of two, and at every multiple of `every`."""
    return step.bit_count() == 1 or step % every == 0


def train(state: TrainState, dataset: ImageDataset, control: Control | None = None) -> Iterator[Event]:
    """Trains until the config's duration is reached or the control halts it. Between two events, the networks are idle.

    Args:
        state: changed in place; training continues where the state was.
        dataset: images of the config's size and channels.
        control: can halt the loop, which then returns within one step, and change its live settings.

    Yields:
        Metrics every `log_every` steps, Samples at log-spaced steps and at the end, Snapshot when the generator is worth
        saving, Intervention when a setting has changed, ThreadChange when the number of threads has. Metrics and Samples
        at every step if the control slows the loop down or asks for a single step. Of several ranks, only rank 0 yields Samples.

    Raises:
        ValueError: the set does not fit the config.
        Diverged: a loss became NaN or infinite. The state is then useless; the last saved state is not.
        RankLost: another rank has ended. The same holds for the state: it may be between two networks' steps.
    """
    control = control or Control()
    draws = state.ranks is None or state.ranks.leads
    if state.ranks:
        control = state.ranks.share_control(control)
    per_epoch = epoch_images(state.config, dataset)
    begin_with_images(state, dataset)
    torch.set_num_threads(state.execution.threads)
    feed = Feed(state, dataset)
    update = launcher(state, feed)
    threads = _Threads(state, control)

    if state.step == 0 and draws:
        yield Samples(0, draw_grid(state, dataset))
    entered, before_s = time.perf_counter(), state.elapsed_s
    logged_images, logged_s, drawn = state.images_seen, state.elapsed_s, -1

    while control.goes_on(progress(state.config, state.done, per_epoch), state.step):
        began = time.perf_counter()
        once, frozen = control.take_once(), None
        changes = [change for name, value in control.take(state.step) if (change := _change(state, name, value))]
        if once:
            frozen = state.config.frozen
            rest = {"generator": "discriminator", "discriminator": "generator"}.get(once, "none")
            changes += [change for change in [_change(state, "frozen", rest)] if change]
        if state.follow_schedule() or changes:
            del update  # a recorded graph has its own memory, which the next graph can use
            update = launcher(state, feed)
        if changes:
            threads.forget()
        yield from changes
        yield from threads.change()
        config = state.config
        watched = bool(once or control.pace_s)
        with threads.watching(rested=watched):
            set_noise(state)
            fade_start(state)
            update(*feed.next(state.images_seen, config.d_steps))
            count_step(state)
        state.elapsed_s = before_s + time.perf_counter() - entered

        step = state.step
        if step % config.log_every == 0 or watched:
            values, finite = state.sums.view(2, -1).tolist()  # waits for the device
            if min(finite) < state.summed:
                raise Diverged(_first_fault(finite, step - state.summed))
            state.elapsed_s = before_s + time.perf_counter() - entered
            images_per_s = (state.images_seen - logged_images) / max(1e-9, state.elapsed_s - logged_s)
            logged_images, logged_s = state.images_seen, state.elapsed_s
            means = dict(zip(MEASURED, (v / state.summed for v in values), strict=False))
            state.sums.zero_()
            state.summed = 0
            chance = state.augmentation[0].item() if config.augmentation_target else None
            yield Metrics(step, state.images_seen, state.elapsed_s, images_per_s, **means, scores=config.has_scores, augmentation=chance)
        if draws and (is_grid_step(step, config.grid_every) or watched):
            drawn = step
            yield Samples(step, draw_grid(state, dataset))
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
    if draws and not is_grid_step(state.step, state.config.grid_every) and drawn != state.step:
        yield Samples(state.step, draw_grid(state, dataset))
    yield from threads.end()


class _Threads:
    """Chooses a run's processor threads between steps, on a CPU, unless a script sets them. Does nothing if there is no choice.

    Several ranks have no choice: each would decide by its own clock, and the slowest sets the pace of all.
    """

    def __init__(self, state: TrainState, control: Control) -> None:
        self._state, self._control = state, control
        self._chooser: ThreadChooser | None = None  # created when there is something to choose
        self._wanted = 0  # for the next step; 0: no change

    @contextmanager
    def watching(self, rested: bool) -> Iterator[None]:
        """Wraps one step. rested: the step does not count, because the run slept before it or runs in slow motion."""
        state = self._state
        most = max(state.most_threads, state.execution.threads)
        if state.device.type != "cpu" or most == 1 or state.ranks or self._control.repeating(state.step):
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
        """A setting was changed: steps may take a different time from now on."""
        if self._chooser:
            self._chooser.forget()
            self._wanted = self._chooser.threads

    def change(self) -> Iterator[ThreadChange]:
        """Applies the choice."""
        wanted, self._wanted = self._wanted, 0
        if wanted and (change := _set_threads(self._state, wanted)):
            yield change

    def end(self) -> Iterator[ThreadChange]:
        """Ends a trial, so the saved state has the settled number of threads."""
        if self._chooser:
            self._wanted = self._chooser.rest()
            yield from self.change()


def _set_threads(state: TrainState, threads: Any) -> ThreadChange | None:
    """Uses this many threads from now on -> the event for it; None if nothing changes, or it is impossible.

    threads: may come from a file and be anything.
    """
    old = state.execution.threads
    if state.device.type != "cpu" or threads == old or state.ranks:
        return None
    if not isinstance(threads, int) or not 1 <= threads <= max(cores(), state.most_threads):
        log.warning("training stays on %s threads and may differ in the last bits: %.40r threads are not possible here", old, threads)
        return None
    torch.set_num_threads(threads)
    state.execution = replace(state.execution, threads=threads)
    state.changes += 1
    log.info("step %d: %d processor threads, not %d", state.step, threads, old)
    return ThreadChange(state.step, old, threads)


def _change(state: TrainState, name: str, value: Any) -> Intervention | ThreadChange | None:
    """Changes a live setting, or the threads -> the event for it; None if nothing changes, or it is not allowed."""
    if name == THREADS:
        return _set_threads(state, value)
    old = getattr(state.config, name)
    if value == old:
        return None
    try:
        state.change(name, value)
    except ValueError as error:  # the caller knew the bounds; the run continues unchanged
        log.warning("%s stays at %s: %s", name, old, error)
        return None
    state.changes += 1
    return Intervention(state.step, name, old, getattr(state.config, name))


def _wait(control: Control, began: float) -> float:
    """Sleeps until a step has taken the control's pace, or the pace is turned off; returns the seconds slept."""
    start = time.perf_counter()
    while not control.halted and (left := began + control.pace_s - time.perf_counter()) > 0:
        time.sleep(min(left, 0.05))
    return time.perf_counter() - start


def _first_fault(finite: list[float], before: int) -> str:
    """The step after `before` and the network in which a number first was not finite. finite: see TrainState.sums."""
    first = min(finite)
    bad = [name for name, n in zip(MEASURED, finite, strict=False) if n == first]
    # D's answer to real images does not depend on G. Its answer to fakes is the first to show G's faults.
    network = "generator" if {"d_fake", "distance"} & {*bad} and "d_real" not in bad else "discriminator"
    return f"the {network} computed a value that is infinite or not a number (NaN), at step {before + round(first) + 1}"


@torch.no_grad()
def layer_norms(state: TrainState) -> dict[str, dict[str, dict[str, float | None]]]:
    """The norm (L2) of each weight tensor and of its last gradient: {"weights" | "gradients": {network: {name: norm}}}.

    None if there is no gradient, or it is not finite.
    """
    norms_by_kind: dict[str, dict[str, dict[str, float | None]]] = {"weights": {}, "gradients": {}}
    for network in ("generator", "discriminator"):
        named = dict(getattr(state, network).named_parameters())
        learned = {name: parameter.grad for name, parameter in named.items() if parameter.grad is not None}
        for what, tensors in (("weights", named), ("gradients", learned)):
            norms = torch.stack(torch._foreach_norm(list(tensors.values()))).tolist() if tensors else []
            finite = {name: norm if math.isfinite(norm) else None for name, norm in zip(tensors, norms, strict=True)}
            norms_by_kind[what][network] = {name: finite.get(name) for name in named}
    return norms_by_kind


def launcher(state: TrainState, feed: Feed) -> Callable[[torch.Tensor, torch.Tensor | None], None]:
    """Runs a step on the device: on a GPU as one recorded graph if possible, else kernel by kernel.

    If penalties are due in only some steps, these have a graph of their own.
    """

    def update(real: torch.Tensor, labels: torch.Tensor | None) -> None:
        update_networks(state, real, labels, penalty_is_due(state.config, state.step))

    if state.device.type != "cuda":
        return update
    if state.ranks:
        state.launch = "kernel by kernel (several ranks add up their gradients between two kernels)"
        return update
    before = copy.deepcopy(state.state_dict())
    try:
        # Steps with penalties first: the gradients that can be looked at are those of the last recording.
        recorded = {
            penalized: graphs.capture(
                lambda real, labels, penalized=penalized: update_networks(state, real, labels, penalized),  # type: ignore[misc]
                feed.next(state.images_seen, state.config.d_steps),
                state.rng,
            )
            for penalized in ((True, False) if state.config.penalizes_lazily else (True,))
        }

        def replay(real: torch.Tensor, labels: torch.Tensor | None) -> None:
            recorded[not state.config.penalizes_lazily or penalty_is_due(state.config, state.step)](real, labels)

        state.launch = "one CUDA graph per step"
    except graphs.NotRecorded as error:
        state.launch = f"kernel by kernel (a CUDA graph could not be recorded: {error})"
        log.warning("training continues %s", state.launch)
        replay = update
    finally:
        _restore(state, before)  # recording has trained a few steps and used random numbers
    return replay


@torch.no_grad()
def _restore(state: TrainState, before: dict[str, Any]) -> None:
    """Writes a state_dict() back into the same tensors that a recorded graph uses."""
    for name in ("generator", "discriminator", "averaged"):
        for place, value in zip(getattr(state, name).state_dict().values(), before[name].values(), strict=True):
            place.copy_(value)
    for name in ("optimizer_g", "optimizer_d"):
        optimizer, stored = getattr(state, name), before[name]["state"]
        for number, parameter in enumerate(p for group in optimizer.param_groups for p in group["params"]):
            for key, place in optimizer.state[parameter].items():
                if isinstance(place, torch.Tensor):
                    place.copy_(stored[number][key]) if number in stored else place.zero_()
    state.augmentation.copy_(before["augmentation"])
    if state.buffer:
        state.buffer.images.copy_(before["buffer"])
        state.buffer.filled.copy_(before["buffer_filled"])
    state.sums.copy_(before["sums"])
    state.rng.set_state(before["rng"])
