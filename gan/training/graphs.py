"""CUDA graphs: a sequence of GPU kernels recorded once and launched as one. Knows nothing about what they compute.

Runs that share a GPU stay out of each other's recordings by three rules:

- Only one recording at a time per process. torch.cuda.graph() waits for the whole device before it records, and a wait breaks
  every recording in progress.
- All work runs on the device's default stream, including warm-up and replays. The side stream only records. So no other
  thread's work gets into a recording, and no two kernels use a stream's cuBLAS workspace at once.
- One side stream per device, which is reused. cuBLAS keeps a workspace for each stream that it has seen (32 MiB on Hopper).

What may happen while a stream is recorded:
https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#prohibited-and-unhandled-operations
"""

import functools
import threading
from collections.abc import Callable

import torch

WARM_UP = 3  # calls before the recording: libraries choose algorithms, and memory is allocated

Function = Callable[..., None]

_recording = threading.Lock()


class NotRecorded(RuntimeError):
    """A function that works could not be recorded. The message is one line."""


def capture(function: Function, inputs: tuple[torch.Tensor | None, ...], rng: torch.Generator) -> Function:
    """Records function(*inputs), which must not wait for the device, and returns a function that replays it on other inputs.

    A DCGAN's kernels are so short that launching them one by one takes longer than running them. The recording and its
    memory are freed when nothing refers to the result anymore.

    Args:
        function: changes tensors in place; called WARM_UP + 1 times, so the caller restores what it changed.
        inputs: CUDA tensors of the shapes that every call will have, or None.
        rng: the random generator that it uses, on the same device.

    Raises:
        NotRecorded: something in the function cannot be recorded. The function's own errors are raised unchanged.
    """
    static_inputs = tuple(x.clone() if x is not None else None for x in inputs)  # the recording reads from these tensors
    for _ in range(WARM_UP):
        function(*static_inputs)
    graph = _record(function, static_inputs, rng)

    def replay(*given: torch.Tensor | None) -> None:
        for place, value in zip(static_inputs, given, strict=True):
            if place is not None and value is not None:
                place.copy_(value, non_blocking=True)
        graph.replay()

    return replay


def release_memory() -> None:
    """Returns GPU memory that no tensor uses anymore, so other processes can use it."""
    with _recording:
        torch.cuda.empty_cache()


def _record(function: Function, static_inputs: tuple[torch.Tensor | None, ...], rng: torch.Generator) -> torch.cuda.CUDAGraph:
    with _recording, torch.cuda.device(rng.device):
        graph, pool = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle()
        if torch.__version__ < "2.14":  # compares versions; later releases detect by themselves which generators are used
            graph.register_generator_state(rng)
        here, side = torch.cuda.current_stream(), _side_stream(rng.device)
        try:
            # thread_local: in the default mode, another thread's call (for memory, say) breaks the recording.
            with torch.cuda.graph(graph, pool, side, "thread_local"):
                function(*static_inputs)
        except RuntimeError as error:
            # Before torch 2.14, the generator would continue as if it were still being recorded, so it gets a new inner state.
            rng.graphsafe_set_state(torch.Generator(rng.device).graphsafe_get_state())
            raise NotRecorded(_reason(error)) from error
        finally:
            torch.cuda.set_stream(here)  # torch.cuda.graph() stays on the side stream if a recording fails
        here.wait_stream(side)
    return graph


@functools.cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


def _reason(error: BaseException) -> str:
    """What broke a recording, in a sentence. Ending the recording raises another error, which only says that there was one."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error).partition("\n")[0].partition(". ")[0]
