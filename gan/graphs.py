"""CUDA graphs: a sequence of GPU kernels recorded once and launched as one. Knows nothing of what they compute."""

from collections.abc import Callable

import torch

WARM_UP = 3  # calls before the recording: libraries choose their algorithms, and memory is laid out

Function = Callable[..., None]


def capture(function: Function, inputs: tuple[torch.Tensor | None, ...], rng: torch.Generator) -> Function:
    """Records function(*inputs), which must not wait for the device, and returns what replays it on other inputs.

    A DCGAN's kernels are so short that launching them one by one takes longer than running them.

    Args:
        function: changes tensors in place; called WARM_UP + 1 times, so the caller restores what it changed.
        inputs: CUDA tensors of the shapes that it will always be called with, or None.
        rng: the generator that it draws from, on the same device.

    Raises:
        RuntimeError: something in the function cannot be recorded.
    """
    held = tuple(x.clone() if x is not None else None for x in inputs)  # the recording reads from these places
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            function(*held)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(rng)
    # thread_local: in the default mode the CUDA work of any other thread, another run's say, spoils the recording.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        function(*held)

    def replay(*given: torch.Tensor | None) -> None:
        for place, value in zip(held, given, strict=True):
            if place is not None and value is not None:
                place.copy_(value, non_blocking=True)
        graph.replay()

    return replay
