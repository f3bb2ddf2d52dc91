"""CUDA graphs: a sequence of GPU kernels recorded once and launched as one. Knows nothing about what they compute.

Runs that share a GPU stay out of each other's recordings by three rules:

- One recording at a time in a process. torch.cuda.graph() waits for the whole device before it records, and a wait spoils
  every recording that is under way.
- All work is done on the device's default stream, the warm-up and the replays too. The side stream records and does
  nothing else. So nothing of another thread gets into a recording, and no two kernels use a stream's cuBLAS workspace at once.
- One side stream for a device, used again. cuBLAS keeps a workspace for each stream that it has seen (32 MiB on Hopper).

What may happen while a stream is recorded:
https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#prohibited-and-unhandled-operations
"""

import functools
import threading
from collections.abc import Callable

import torch

WARM_UP = 3  # calls before the recording: libraries choose their algorithms, and memory is laid out

Function = Callable[..., None]

_recording = threading.Lock()


class NotRecorded(RuntimeError):
    """A function that works could not be recorded. The message is one line."""


def capture(function: Function, inputs: tuple[torch.Tensor | None, ...], rng: torch.Generator) -> Function:
    """Records function(*inputs), which must not wait for the device, and returns what replays it on other inputs.

    A DCGAN's kernels are so short that launching them one by one takes longer than running them. The recording and its
    memory go when nothing refers to the result any more.

    Args:
        function: changes tensors in place; called WARM_UP + 1 times, so the caller restores what it changed.
        inputs: CUDA tensors of the shapes that it will always be called with, or None.
        rng: the generator that it draws from, on the same device.

    Raises:
        NotRecorded: something in the function cannot be recorded. What the function itself raises comes as it is.
    """
    held = tuple(x.clone() if x is not None else None for x in inputs)  # the recording reads from these places
    for _ in range(WARM_UP):
        function(*held)
    graph = _record(function, held, rng)

    def replay(*given: torch.Tensor | None) -> None:
        for place, value in zip(held, given, strict=True):
            if place is not None and value is not None:
                place.copy_(value, non_blocking=True)
        graph.replay()

    return replay


def release_memory() -> None:
    """Gives the GPU memory that no tensor uses any more back, so that other processes can have it."""
    with _recording:
        torch.cuda.empty_cache()


def _record(function: Function, held: tuple[torch.Tensor | None, ...], rng: torch.Generator) -> torch.cuda.CUDAGraph:
    with _recording, torch.cuda.device(rng.device):
        graph, pool = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle()
        if torch.__version__ < "2.14":  # compares versions; later releases see by themselves what is drawn from
            graph.register_generator_state(rng)
        here, side = torch.cuda.current_stream(), _side_stream(rng.device)
        try:
            # thread_local: in the default mode a call of another thread, for memory say, spoils the recording.
            with torch.cuda.graph(graph, pool, side, "thread_local"):
                function(*held)
        except RuntimeError as error:
            # Before torch 2.14 the generator would go on as if it were recorded: it gets a new inner state.
            rng.graphsafe_set_state(torch.Generator(rng.device).graphsafe_get_state())
            raise NotRecorded(_reason(error)) from error
        finally:
            torch.cuda.set_stream(here)  # torch.cuda.graph() stays on the side stream where a recording fails
        here.wait_stream(side)
    return graph


@functools.cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


def _reason(error: BaseException) -> str:
    """What spoiled a recording, in a sentence: ending it raises an error of its own, which only says that there was one."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error).partition("\n")[0].partition(". ")[0]
