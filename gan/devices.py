"""What there is to compute on: devices, cores, memory. Knows nothing of networks."""

import ctypes
import functools
import os
import sys

import torch

from gan.accelerators import accelerator

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


def choose_device(name: str = "auto") -> torch.device:
    """ "auto" -> a GPU that this torch can use, else the CPU; passed_over() then says why.

    Raises:
        ValueError: the device asked for cannot be used; the message says what is wrong and what to do.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device must be auto, cpu or cuda; got {name!r}")
    if name == "cpu":
        return torch.device("cpu")
    if name == "cuda" and accelerator().refusal:
        raise ValueError(accelerator().refusal)
    return torch.device("cuda" if accelerator().usable else "cpu")


def passed_over(name: str = "auto") -> str:
    """What to tell people whose GPU choose_device(name) passed over: what is wrong and what to install. "" if there is nothing to tell."""
    return accelerator().passed_over if name == "auto" else ""


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
