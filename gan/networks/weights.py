"""Puts stored weights into a network that was made without any."""

from collections.abc import Mapping

import torch
from torch import nn


def fill(network: nn.Module, tensors: Mapping[str, torch.Tensor], copy: bool = False) -> None:
    """Gives a network the weights and counters in `tensors`, weights in 32 bits. The network may be on the meta device.

    copy: of their own memory, where the tensors belong to another network or to a file that is about to close.

    Raises:
        RuntimeError: names or shapes are not the network's.
    """
    single = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    network.load_state_dict({name: t.clone() if copy else t for name, t in single.items()}, assign=True)
