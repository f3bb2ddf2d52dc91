"""What there is to compute on: devices, cores, memory. Knows nothing of networks."""

import ctypes
import functools
import os
import re
import sys

import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


def choose_device(name: str = "auto") -> torch.device:
    """ "auto" -> the first GPU where there is one, else the CPU; "cuda:1" -> the second GPU. A GPU always has its index.

    Raises:
        ValueError: the device asked for is not there.
    """
    if name not in ("auto", "cpu", "cuda") and not re.fullmatch(r"cuda:[0-9]{1,3}", name):
        raise ValueError(f"device must be auto, cpu, cuda or cuda:N; got {name!r}")
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ValueError(f"device {name} was asked for, and this machine has no usable NVIDIA GPU; choose auto or cpu")
    index, there = int(name.partition(":")[2] or 0), torch.cuda.device_count()
    if index >= there:
        raise ValueError(f"device {name} was asked for, and the last GPU of this machine is cuda:{there - 1}")
    return torch.device("cuda", index)


def with_index(device: torch.device) -> torch.device:
    """The same device as its tensors name it: torch.device("cuda") is equal to no tensor's device, torch.device("cuda:0") is."""
    return torch.device("cuda", torch.cuda.current_device()) if device.type == "cuda" and device.index is None else device


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


def keep_fp32_exact() -> None:
    """Keeps "fp32" on a GPU at 32 bits, in the whole process: cuDNN would round a convolution's inputs to the 19 bits of TF32.

    https://docs.pytorch.org/docs/stable/notes/cuda.html#tensorfloat-32-tf32-on-ampere-and-later-devices
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


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
