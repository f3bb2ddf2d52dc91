"""The best way to compute a training step on this machine, found by a short measurement."""

import functools
import logging
import math
import time
from collections.abc import Callable
from typing import Any

import torch

from gan.config import TrainConfig
from gan.devices import cores
from gan.training.state import Execution, TrainState, named_execution, new_state
from gan.training.step import train_step

log = logging.getLogger(__name__)


# Another way of computing is chosen only if it is this much faster in a short timing: far enough from 1 that noise does not decide.
MARGIN = 1.15
PATIENCE_S = 10.0  # a comparison ends early after this time: a busy machine may take minutes for a few steps


def choose_execution(config: TrainConfig, device: torch.device, threads: int | None = None) -> Execution:
    """The best way to compute on this device. With precision "auto" on a CPU, a short measurement decides; any other precision is used.

    threads: the largest number; all cores by default.
    """
    threads = threads or cores()
    if config.precision != "auto" or device.type == "cuda":
        return named_execution(config, device, threads)
    # Only what the timing depends on, so runs that differ in other settings share one measurement.
    batch = 32 if config.image_size <= 32 else 8
    batch = max(2, math.ceil(batch / config.packing)) * config.packing
    timing_only = {"data": "mnist", "seed": 0, "duration": 1.0, "batch_size": batch, "lr_g": 1e-4, "lr_d": 1e-4, "d_steps": 1, "g_steps": 1}
    return _fastest(config.change(**timing_only, log_every=1, snapshot_every=10, grid_every=1, grid_images=16), threads)


def restored(
    stored: dict[str, Any], config: TrainConfig, device: torch.device, class_names: tuple[str, ...] = (), threads: int | None = None
) -> TrainState:
    """A state that continues from a saved one. On another kind of device, it computes in the best way for that device.

    Args:
        stored: TrainState.state_dict(), from anywhere.
        config: the run's settings.
        device: where to train.
        class_names: of the data set, for a conditional run.
        threads: the most processor threads that it may use; all cores by default. It starts with as many as it had.

    Raises:
        KeyError, ValueError: the stored state cannot be used.
    """
    execution = Execution(stored["precision"], stored["channels_last"], stored["threads"])
    if stored["device"] != device.type:
        execution = choose_execution(config, device, threads)
    state = new_state(config, device, class_names=class_names, execution=execution, threads=threads)
    state.load_state_dict(stored)
    return state


@functools.cache
def _fastest(config: TrainConfig, threads: int) -> Execution:
    """The fastest way to compute a small training step on this CPU, measured once per process for each network shape.

    Number format and memory layout are timed on one thread, in that thread's own processor time: other work on the
    machine changes wall times severalfold, but these ratios by only a few percent. bf16 is far slower than fp32 on
    processors without 16-bit instructions. Threads are timed by wall time, because other work is what makes fewer threads better.
    """
    one = Execution("fp32", True, 1)
    ratio = _speedup(config, one, Execution("bf16", True, 1), time.thread_time)
    best = Execution("bf16", True, 1) if ratio > MARGIN else one
    measured = f"bf16 is {ratio:.2f} times as fast as fp32"
    ratio = _speedup(config, best, Execution(best.precision, False, 1), time.thread_time)
    best = Execution(best.precision, ratio <= MARGIN, threads)
    measured += f", channels last {1 / ratio:.2f} times as fast as channels first"
    fewer = threads // 2
    while fewer:
        ratio = _speedup(config, best, Execution(best.precision, best.channels_last, fewer), time.perf_counter)
        measured += f", {best.threads} threads {1 / ratio:.2f} times as fast as {fewer}"
        if ratio <= MARGIN:
            break
        best, fewer = Execution(best.precision, best.channels_last, fewer), fewer // 2
    log.info("on this processor %s: %s", measured, best)
    return best


def blank_batch(config: TrainConfig, n: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor | None]:
    """n black images, and their classes or inputs if the settings need any, as train_step() takes them: to time a step."""
    real = torch.zeros(n, config.channels, config.image_size, config.image_size, device=device)
    if config.translates:
        return real, real
    return real, torch.zeros(n, dtype=torch.int64, device=device) if config.conditional else None


def _speedup(config: TrainConfig, old: Execution, new: Execution, clock: Callable[[], float]) -> float:
    """old's time divided by new's for a training step, the best of a few each, alternating: above 1 if new is faster."""
    cpu, names = torch.device("cpu"), ("a", "b")
    real, labels = blank_batch(config, config.batch_size, cpu)
    states = {e: new_state(config, cpu, class_names=names, execution=e) for e in (old, new)}
    best = dict.fromkeys(states, math.inf)
    threads = torch.get_num_threads()
    try:
        begun = time.monotonic()
        for number in range(6 if config.image_size <= 32 else 3):  # the first warms up
            if number > 1 and time.monotonic() - begun > PATIENCE_S:
                break
            for execution, state in states.items():
                torch.set_num_threads(execution.threads)
                layout = torch.channels_last if execution.channels_last else torch.contiguous_format
                images = real.contiguous(memory_format=layout)
                start = clock()
                train_step(state, images, images if config.translates else labels)
                best[execution] = min(best[execution], clock() - start)
    finally:
        torch.set_num_threads(threads)
    return best[old] / best[new]
