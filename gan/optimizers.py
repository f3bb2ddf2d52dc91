"""PyTorch's optimizers, without loading its compiler.

Their methods are decorated to keep torch.compile out, and the decorators load the compiler for that: about two seconds at the first step of
a process. Nothing here is compiled, so the methods are used without the decorators.
"""

import inspect
from typing import TypeVar

import torch

OptimizerKind = TypeVar("OptimizerKind", bound=type[torch.optim.Optimizer])

_DECORATED = ("add_param_group", "state_dict", "load_state_dict", "zero_grad")


def eager(kind: OptimizerKind) -> OptimizerKind:
    """A subclass that computes the same and loads no compiler. It is not differentiable, and cannot be compiled."""
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in _DECORATED}
    methods["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), methods)  # type: ignore[return-value]


Adam = eager(torch.optim.Adam)
RMSprop = eager(torch.optim.RMSprop)
