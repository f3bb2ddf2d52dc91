"""What there is to compute on: devices, cores, memory. Knows nothing of networks."""

import ctypes
import functools
import os
import sys

import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


def choose_device(name: str = "auto") -> torch.device:
    """ "auto" -> a GPU where there is one, else the CPU.

    Raises:
        ValueError: the device asked for is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise ValueError(f"device must be auto, cpu or cuda; got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device cuda was asked for, and this machine has no usable NVIDIA GPU; choose auto or cpu")
    return torch.device(name)


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def idle_s() -> float | None:
    """Core-seconds since the machine started in which the cores that this process may use were idle; None where the system does not tell.

    A container may see all of its host's cores here.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    ours = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    try:
        with open("/proc/stat") as file:
            lines = [line.split() for line in file if line.startswith("cpu")]
        # proc_stat(5): name, user, nice, system, idle, iowait, ...
        ticks = [int(idle) + int(iowait) for name, _, _, _, idle, iowait, *_ in lines if name in ours]
    except (OSError, ValueError):
        return None
    # Some sandboxes show a machine that never did anything.
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if any(ticks) else None


def describe_device(device: torch.device) -> str:
    """A device in words, for people."""
    if device.type == "cuda":
        return f"GPU, {torch.cuda.get_device_name(device)}"
    return f"CPU, {cores()} cores"


def free_memory(device: torch.device) -> int:
    """Bytes that can still be taken on a device; without a bound where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return sys.maxsize


@functools.cache
def keep_freed_memory() -> None:
    """Keeps glibc from returning freed memory to the system at every step: 1.15 times the images/s at 28 pixels."""
    if sys.platform == "linux":
        try:
            mallopt = ctypes.CDLL(None).mallopt
        except (OSError, AttributeError):  # another C library, such as musl
            return
        mallopt(M_MMAP_THRESHOLD, 1 << 30)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
