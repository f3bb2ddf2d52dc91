"""How fast a recipe trains here, and how much of what the machine can do that is. Knows nothing of data sets."""

import resource
import sys
import time
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from gan.config import TrainConfig
from gan.datasets import ImageDataset
from gan.devices import describe_device
from gan.training import Control, new_state, train, train_step

PEAK_SIDE = 2048  # of the square matrices that the machine's peak is measured with
PEAK_S = 1.0


@dataclass(frozen=True)
class Speed:
    """What measure() found.

    Attributes:
        images_per_s: real images that the discriminator was shown.
        gflops: of the step's matrix products and convolutions, each multiplication and addition counted once.
        peak_gflops: of a large matrix product at the same precision, on as many threads.
        peak_memory_gb: of the process so far, its libraries included; on a GPU of what training took there.
    """

    images_per_s: float
    step_ms: float
    precision: str
    channels_last: bool
    threads: int
    device: str
    gflops: float
    peak_gflops: float
    peak_memory_gb: float


def measure(config: TrainConfig, seconds: float, device: torch.device) -> Speed:
    """Trains on random images of the config's shape for a time, after a short warm-up."""
    config = config.change(duration=seconds, duration_unit="seconds", grid_every=1_000_000, snapshot_every=1_000_000)
    shape = (config.batch_size * 8, config.channels, config.image_size, config.image_size)
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=rng)
    names = ("a", "b")
    dataset = ImageDataset("random", images, torch.arange(shape[0]) % len(names), names)
    state = new_state(config, device, class_names=names)
    control = Control()
    warm_up = new_state(config.change(duration=3, duration_unit="steps"), device, class_names=names, execution=state.execution)
    list(train(warm_up, dataset, control))
    list(train(state, dataset, control))
    rate = state.images_seen / state.elapsed_s
    return Speed(
        images_per_s=rate,
        step_ms=1000 * state.elapsed_s / state.step,
        precision=state.execution.precision,
        channels_last=state.execution.channels_last,
        threads=state.execution.threads,
        device=describe_device(device),
        gflops=step_flops(config) / (config.batch_size * config.d_steps) * rate / 1e9,
        peak_gflops=matmul_peak(state.execution.precision, device),
        peak_memory_gb=peak_memory(device) / 2**30,
    )


def step_flops(config: TrainConfig) -> int:
    """Floating-point operations of one training step: matrix products and convolutions, forward and backward."""
    cpu = torch.device("cpu")
    small = config.change(batch_size=2 * config.packing, precision="fp32", grid_images=16)
    state = new_state(small, cpu, class_names=("a", "b"))
    n = small.batch_size * small.d_steps
    real = torch.zeros(n, small.channels, small.image_size, small.image_size)
    with FlopCounterMode(display=False) as counter:
        train_step(state, real, torch.zeros(n, dtype=torch.int64) if small.conditional else None)
    return counter.get_total_flops() * config.batch_size // small.batch_size


def matmul_peak(precision: str, device: torch.device) -> float:
    """GFLOP/s of a large matrix product at a precision, the best of a second, on the threads that torch uses now."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.randn(PEAK_SIDE, PEAK_SIDE, device=device).to(dtype) for _ in range(2))
    best, end = float("inf"), time.perf_counter() + PEAK_S
    while time.perf_counter() < end:
        start = time.perf_counter()
        (a @ b)[0, 0].item()  # waits for the device
        best = min(best, time.perf_counter() - start)
    return 2 * PEAK_SIDE**3 / best / 1e9


def peak_memory(device: torch.device) -> int:
    """Bytes: the most that this process has held so far, or, on a GPU, what its tensors have taken there."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # macOS counts bytes, Linux KiB
