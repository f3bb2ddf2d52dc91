"""What there is to compute on: devices, cores, memory. Knows nothing about networks."""

import ctypes
import functools
import logging
import os
import re
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import torch

from gan import cgroups
from gan.accelerators import accelerator

P = ParamSpec("P")
Event = TypeVar("Event")
Result = TypeVar("Result")

log = logging.getLogger(__name__)

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


def choose_device(name: str = "auto") -> torch.device:
    """ "auto" -> the first GPU if this torch can use it, else the CPU, and passed_over() says why; "cuda:1" -> the second GPU.

    A GPU always has its index. "cuda" is the first one; of several, as in "cuda:0,cuda:1", it is the one with the most free memory.

    Raises:
        ValueError: the device asked for cannot be used; the message says what is wrong and what to do.
    """
    if "," in name:
        return max(choose_devices(name), key=free_memory)
    if name not in ("auto", "cpu", "cuda") and not re.fullmatch(r"cuda:[0-9]{1,3}", name):
        raise ValueError(f"device must be auto, cpu, cuda or cuda:N, or several GPUs as in cuda:0,cuda:1; got {name!r}")
    if name == "cpu" or (name == "auto" and not accelerator().usable):
        return torch.device("cpu")
    index = int(name.partition(":")[2] or 0)
    gpu = accelerator(index)
    if 0 < gpu.facts.count <= index:
        raise ValueError(f"there is no device {name}: this machine's last GPU is cuda:{gpu.facts.count - 1}")
    if not gpu.usable:
        raise ValueError(f"device {name} {gpu.refusal}")
    return torch.device("cuda", index)


def choose_devices(name: str = "auto") -> tuple[torch.device, ...]:
    """All devices for a server that trains several runs: "cuda:0,cuda:1" -> these two, "cuda" -> every GPU that this torch can use.

    Any other name is one device: see choose_device().

    Raises:
        ValueError: one of the devices is not there or cannot be used, is named twice, or is not a GPU.
    """
    if name == "cuda":
        return tuple(torch.device("cuda", index) for index in _usable_gpus()) or (choose_device(name),)
    names = [part.strip() for part in name.split(",")]
    if len(names) > 1 and (wrong := [part for part in names if not re.fullmatch(r"cuda:[0-9]{1,3}", part)]):
        raise ValueError(f"several devices must be GPUs, as in cuda:0,cuda:1; got {wrong[0]!r} in {name!r}")
    devices = tuple(map(choose_device, names))
    if len(set(devices)) < len(devices):
        raise ValueError(f"each device must be named once; got {name!r}")
    return devices


def passed_over(name: str = "auto") -> str:
    """Which GPUs choose_devices(name) did not take because they cannot be used, why, and what to install. "" if there is nothing to say."""
    if name == "cuda" and (usable := _usable_gpus()):
        left_out = ((index, accelerator(index)) for index in range(accelerator(0).facts.count) if index not in usable)
        return " ".join(
            f"Training leaves out cuda:{index}: {gpu.problem}.{f' {gpu.remedy}.' if gpu.remedy else ''}" for index, gpu in left_out
        )
    return accelerator().passed_over if name == "auto" else ""


def _usable_gpus() -> list[int]:
    return [index for index in range(accelerator(0).facts.count) if accelerator(index).usable]


def with_index(device: torch.device) -> torch.device:
    """The device as tensors name it: torch.device("cuda") never equals a tensor's device, torch.device("cuda:0") does."""
    return torch.device("cuda", torch.cuda.current_device()) if device.type == "cuda" and device.index is None else device


def cores(root: Path = cgroups.ROOT) -> int:
    """Processor cores that this process may use: those it may run on, limited by a container's share of processor time.

    root: where the system's files are; tests pass their own.
    """
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = cgroups.processors(root)
    return there if share is None else max(1, min(there, int(share)))


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, torch computes on one thread, then on as many as before, so a run that trains in the same process keeps its cores.

    Also a decorator, for a plain function; use one_thread_a_step for a generator. It affects only the calling thread.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def one_thread_a_step(work: Callable[P, Generator[Event, None, Result]]) -> Callable[P, Generator[Event, None, Result]]:
    """Decorates a generator function: torch computes on one thread while the generator works, but not between its events.

    A `with one_thread()` around a `yield` would also leave the caller on one thread.
    """

    @functools.wraps(work)
    def steps(*args: P.args, **kwargs: P.kwargs) -> Generator[Event, None, Result]:
        with closing(work(*args, **kwargs)) as events:
            while True:
                try:
                    with one_thread():
                        event = next(events)
                except StopIteration as stop:
                    result: Result = stop.value
                    return result
                yield event

    return steps


def idle_s() -> float | None:
    """Idle time, in core-seconds since the machine started, of the cores that this process may use; None if the system does not say.

    A container may see all of its host's cores here.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    ours = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    try:
        with open("/proc/stat", encoding="utf-8") as file:
            lines = [line.split() for line in file if line.startswith("cpu")]
        # proc_stat(5): name, user, nice, system, idle, iowait, ...
        ticks = [int(idle) + int(iowait) for name, _, _, _, idle, iowait, *_ in lines if name in ours]
    except (OSError, ValueError):
        return None
    # Some sandboxes report a machine that has never been idle or busy.
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if any(ticks) else None


def describe_device(device: torch.device) -> str:
    """A device in words. A GPU has its number if the machine has several."""
    if device.type == "cuda":
        return f"GPU{f' {device}' if torch.cuda.device_count() > 1 else ''}, {torch.cuda.get_device_name(device)}"
    return f"CPU, {cores()} cores"


def free_memory(device: torch.device, root: Path = cgroups.ROOT) -> int:
    """Free memory of a device in bytes, also in a container; infinite if the system does not say, 0 for a GPU that no longer answers.

    root: where the system's files are; tests pass their own.
    """
    if device.type == "cuda":
        try:
            return torch.cuda.mem_get_info(device)[0]
        except RuntimeError as error:  # a broken GPU must not keep runs from the others
            log.warning("%s does not tell its free memory: %s", device, error)
            return 0
    try:
        with (root / "proc/meminfo").open(encoding="utf-8") as file:
            machine = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        machine = sys.maxsize
    contained = cgroups.memory_left(root)
    return machine if contained is None else min(machine, contained)


def keep_fp32_exact() -> None:
    """Keeps "fp32" on a GPU at 32 bits, in the whole process. By default, cuDNN rounds a convolution's inputs to the 19 bits of TF32.

    https://docs.pytorch.org/docs/stable/notes/cuda.html#tensorfloat-32-tf32-on-ampere-and-later-devices
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


@functools.cache
def keep_freed_memory() -> None:
    """Keeps glibc from returning freed memory to the system at every step: 1.15 times the images/s at 28 pixels."""
    if mallopt := _of_glibc("mallopt"):
        mallopt(M_MMAP_THRESHOLD, 1 << 30)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def return_freed_memory() -> None:
    """Returns freed memory to the system, once: for use after something large, which glibc would otherwise keep for its thread."""
    if malloc_trim := _of_glibc("malloc_trim"):
        malloc_trim(0)


@functools.cache
def _of_glibc(name: str) -> Callable[..., int] | None:
    """A function of the C library; None if it has another, such as musl's or macOS's."""
    if sys.platform != "linux":
        return None
    try:
        return cast(Callable[..., int], getattr(ctypes.CDLL(None), name))
    except (OSError, AttributeError):
        return None
