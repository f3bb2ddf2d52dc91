"""What there is to compute on: devices, cores, memory. Knows nothing of networks."""

import ctypes
import functools
import os
import sys
from pathlib import Path

import torch

from gan import cgroups

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


def cores(root: Path = cgroups.ROOT) -> int:
    """Processor cores that this process may use: those that it may run on, and no more than a container's share of processor time.

    root: where the system's files are; tests have their own.
    """
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = cgroups.processors(root)
    return there if share is None else max(1, min(there, int(share)))


def describe_device(device: torch.device) -> str:
    """A device in words, for people."""
    if device.type == "cuda":
        return f"GPU, {torch.cuda.get_device_name(device)}"
    return f"CPU, {cores()} cores"


def free_memory(device: torch.device, root: Path = cgroups.ROOT) -> int:
    """Bytes that can still be taken on a device, in a container too; without a bound where the system does not say.

    root: where the system's files are; tests have their own.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with (root / "proc/meminfo").open() as file:
            machine = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        machine = sys.maxsize
    contained = cgroups.memory_left(root)
    return machine if contained is None else min(machine, contained)


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
