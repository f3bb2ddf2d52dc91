"""Builds networks without weights, and puts stored weights into them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode


class _WithoutWeights(TorchFunctionMode):
    """Modules that are made meanwhile get no initial weights."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", "") == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


@contextmanager
def without_memory() -> Iterator[None]:
    """Networks that are built meanwhile have shapes and no numbers: they are on PyTorch's "meta" device.

    Even there, normally distributed weights, as those of an embedding, would make PyTorch load its compiler: a second of processor time.
    """
    with torch.device("meta"), _WithoutWeights():
        yield


def fill(network: nn.Module, tensors: Mapping[str, torch.Tensor], copy: bool = False) -> None:
    """Gives a network the weights and counters in `tensors`, weights in 32 bits. The network may be on the meta device.

    copy: of their own memory, where the tensors belong to another network or to a file that is about to close.

    Raises:
        RuntimeError: names or shapes are not the network's.
    """
    single = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    network.load_state_dict({name: t.clone() if copy else t for name, t in single.items()}, assign=True)
