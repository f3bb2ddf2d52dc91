"""How fast training is here: images/s, memory, and the share of the machine's matrix-product speed. Knows nothing about real data."""

import functools
import multiprocessing
import resource
import signal
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.data.form import WHITE
from gan.devices import cores, describe_device, one_thread
from gan.training.execution import blank_batch, choose_execution
from gan.training.loop import train
from gan.training.state import TrainState, new_state
from gan.training.step import train_step

Result = TypeVar("Result")
FEWEST_STEPS, MOST_STEPS, QUICK_S = 4, 50, 0.7  # of a quick measurement: steps, and seconds after which it ends
FURTHER_CORE = 0.7  # what each further core adds to the speed on one: convolutions scale, the small kernels between them do not
CLASSES = tuple("0123456789")  # classes of random images, for conditional recipes


@dataclass(frozen=True)
class Speed:
    """The speed of one stretch of training.

    Attributes:
        images_per_s: real images shown to the discriminator, per second.
        gflop_per_s: 10^9 floating-point operations of the convolutions and matrix products, both passes.
        matmul_gflop_per_s: the rate of a large matrix product in the same process, number format and threads.
        cores_used: processor seconds per second; if it is below the threads, other work took the processor and speeds mean little.
        peak_memory_gb: 10^9 bytes: on a GPU, training's memory there; else the whole process with its libraries.
    """

    images_per_s: float
    gflop_per_s: float
    matmul_gflop_per_s: float
    cores_used: float
    peak_memory_gb: float
    precision: str
    threads: int
    device: str

    @property
    def share(self) -> float:
        """The share of the matrix product's speed."""
        return self.gflop_per_s / self.matmul_gflop_per_s


def random_images(config: TrainConfig) -> ImageDataset:
    """Noise in the config's shape, with classes or inputs: a step takes as long on it as on real images."""
    shape = (max(4096, config.batch_size), config.channels, config.image_size, config.image_size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    classes = CLASSES[:2] if config.networks == "cyclegan" else CLASSES
    inputs = images if config.networks == "pix2pix" else None
    return ImageDataset("noise", images, torch.arange(len(images)) % len(classes), classes, inputs=inputs)


def measure(
    advance: Callable[[float], int],
    step: Callable[[], object],
    seconds: float,
    *,
    batch_size: int,
    device: torch.device,
    precision: str,
    threads: int,
) -> Speed:
    """Measures any training loop: a tenth of the time to warm up, then for the given seconds of wall time.

    Args:
        advance: trains for this many seconds and returns the number of real images shown.
        step: makes one more step, whose operations are counted.
        batch_size: real images in a step.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    advance(seconds / 10)
    wait(device)
    start, start_cpu = time.perf_counter(), time.process_time()
    images = advance(seconds)
    wait(device)
    elapsed_s, cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
    memory = peak_memory(device)
    return Speed(
        images_per_s=images / elapsed_s,
        gflop_per_s=count_flops(step) / batch_size * images / elapsed_s / 1e9,
        matmul_gflop_per_s=matmul_speed(device, precision, seconds / 10) / 1e9,
        cores_used=cpu_s / elapsed_s,
        peak_memory_gb=memory / 1e9,
        precision=precision,
        threads=threads,
        device=describe_device(device),
    )


def measure_engine(state: TrainState, dataset: ImageDataset, seconds: float) -> Speed:
    """The engine's speed, with the grids and metrics that a run makes. The state is trained in place."""
    config = state.config

    def advance(amount: float) -> int:
        seen = state.images_seen
        state.config = config.change(duration_unit="seconds", duration=state.elapsed_s + amount)
        for _ in train(state, dataset):
            pass
        return state.images_seen - seen

    n = config.batch_size * config.d_steps
    real, labels = blank_batch(config, n, state.device)
    return measure(
        advance,
        lambda: train_step(state, real, labels),
        seconds,
        batch_size=n,
        device=state.device,
        precision=state.execution.precision,
        threads=state.execution.threads,
    )


def quick_speed(config: TrainConfig, device: torch.device) -> float:
    """Estimates from a few steps how many real images per second training sees with these settings if nothing else runs on the machine.

    Takes a second of processor time, once per process for each shape of a step. On a CPU, steps are timed on one thread, in that
    thread's own processor time: other work on the machine changes wall times severalfold.
    """
    usual: dict[str, Any] = {"data": "mnist", "data_split": "train", "fit": "crop", "background": WHITE, "seed": 0, "duration": 1.0}
    usual |= {"duration_unit": "steps", "lr_g": 1e-4, "lr_d": 1e-4, "grid_images": 16, "average_half_life": 10_000}
    return _quick_speed(config.change(**usual), device)


@functools.lru_cache(64)
def _quick_speed(config: TrainConfig, device: torch.device) -> float:
    n = config.batch_size * config.d_steps
    clock = time.perf_counter if device.type == "cuda" else time.thread_time
    taken: list[float] = []
    with one_thread():
        state = new_state(config, device, class_names=CLASSES, threads=1)
        layout = torch.channels_last if state.execution.channels_last else torch.contiguous_format
        real, labels = blank_batch(config, n, state.device)
        real = real.contiguous(memory_format=layout)
        if config.translates:
            labels = real
        while len(taken) < FEWEST_STEPS or (sum(taken) < QUICK_S and len(taken) < MOST_STEPS):
            start = clock()
            train_step(state, real, labels)
            wait(state.device)
            taken.append(clock() - start)
    speed = n / statistics.median(taken[1:])  # the first one warms up
    return speed if device.type == "cuda" else speed * (1 + FURTHER_CORE * (cores() - 1))


def measure_on_noise(config: TrainConfig, device: str, seconds: float) -> Speed:
    """A new state's speed on random images. The arguments are plain, so another process can run it."""
    where = torch.device(device)
    state = new_state(config, where, class_names=CLASSES, execution=choose_execution(config, where))
    return measure_engine(state, random_images(config), seconds)


def count_flops(step: Callable[[], object]) -> int:
    """Floating-point operations of the convolutions and matrix products in step(), forward and backward.

    A multiplication and an addition are two operations. Convolutions include their padding. Normalization, activations and the
    optimizer count as nothing, because memory limits them.
    """
    from torch.utils.flop_counter import FlopCounterMode  # loads Triton: 0.1 s that only a benchmark should pay

    counter = FlopCounterMode(display=False)
    counter.mod_tracker = _NoModules()  # type: ignore[assignment]
    with counter:
        step()
    return counter.get_total_flops()


class _NoModules(nullcontext[None]):
    """Instead of torch's tracker, which counts by module and cannot follow a gradient of a gradient."""

    parents = frozenset({"Global"})


def matmul_speed(device: torch.device, precision: str, seconds: float) -> float:
    """Operations per second of the fastest of several large square matrix products: as many as fit in the time, at least two."""
    n = 8192 if device.type == "cuda" else 2048
    a = torch.ones(n, n, dtype=torch.bfloat16 if precision == "bf16" else torch.float32, device=device)
    out, best, made, begun = torch.empty_like(a), float("inf"), 0, time.perf_counter()
    while made < 2 or time.perf_counter() - begun < seconds:
        wait(device)
        start = time.perf_counter()
        torch.mm(a, a, out=out)
        wait(device)
        best, made = min(best, time.perf_counter() - start), made + 1
    return 2 * n**3 / best


def peak_memory(device: torch.device) -> int:
    """Peak memory so far, in bytes: tensors on a GPU, else this process's resident set."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "linux":  # on systems where a child inherits ru_maxrss, even into a new program
        with open("/proc/self/status", encoding="utf-8") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS


def fresh_process() -> ProcessPoolExecutor:
    """A new interpreter for some work, with its own peak memory and allocator settings."""
    # Ctrl-C reaches both: the child ends silently, and this process reports it.
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_DFL))


def in_fresh_process(work: Callable[..., Result], *arguments: Any) -> Result:
    """work(*arguments) in a fresh_process()."""
    with fresh_process() as pool:
        return pool.submit(work, *arguments).result()


def wait(device: torch.device) -> None:
    """Waits until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
