"""Batch normalization over the whole batch when each rank holds only a part of it.

torch's SyncBatchNorm does this on GPUs only. This one also works over gloo, on CPUs.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

from gan.distributed.group import Group


def normalize_whole_batches(network: nn.Module, group: Group) -> None:
    """Gives a network's batch normalization other classes, in place: parameters and running averages stay."""
    for module in network.modules():
        if kind := _KINDS.get(type(module)):
            module.__class__ = kind
            module.group = group  # type: ignore[assignment]


class _OverRanks:
    """Comes before one of torch's batch normalization classes: in training, it uses the statistics of the whole batch."""

    group: Group

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _normalized(self, x, self.group) if self.training else super().forward(x)  # type: ignore[attr-defined, arg-type, misc, no-any-return]


class _WholeBatchNorm1d(_OverRanks, nn.BatchNorm1d):
    pass


class _WholeBatchNorm2d(_OverRanks, nn.BatchNorm2d):
    pass


_KINDS: dict[type[nn.Module], type[nn.Module]] = {nn.BatchNorm1d: _WholeBatchNorm1d, nn.BatchNorm2d: _WholeBatchNorm2d}


def _normalized(norm: nn.BatchNorm1d | nn.BatchNorm2d, x: torch.Tensor, group: Group) -> torch.Tensor:
    """x (N, C, ...) by the whole batch's statistics, which also go into the running averages."""
    with torch.no_grad():
        mean, variance, count = _whole_statistics(x.detach(), group)
        assert norm.running_mean is not None and norm.running_var is not None and norm.momentum is not None
        norm.num_batches_tracked.add_(1)  # type: ignore[union-attr, operator]
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (count / (count - 1)), norm.momentum)
    weight, bias = (norm.weight, norm.bias) if norm.affine else (torch.ones_like(mean), torch.zeros_like(mean))
    result: torch.Tensor = _Normalize.apply(x, weight, bias, mean, variance, norm.eps, count, group)  # type: ignore[no-untyped-call]
    return result


def _whole_statistics(x: torch.Tensor, group: Group) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Mean and variance (C,) of each channel over all ranks' x (N, C, ...), and how many numbers that are.

    Each rank's means and variances travel at once and are combined exactly (Chan et al. 1979, equation 2.1): the difference of two sums
    of squares would lose digits.
    """
    channels, part = x.shape[1], group.part
    # torch computes them several times faster on a CPU than with var_mean(). It also updates running averages, which give the result their
    # number format: 32 bits even for an x of 16. These are none.
    nobody = x.new_zeros(channels, dtype=torch.float32)
    mean, variance = torch.batch_norm_update_stats(x, nobody, nobody.clone(), 0.0)
    means, variances = group.gathered(torch.cat([mean, variance])).split(channels, 1)  # (ranks, C) each
    mean = (group.shares * means).sum(0)
    variance = (group.shares * (variances + (means - mean).square())).sum(0)
    return mean, variance, x.numel() // channels * part.whole // (part.end - part.begin)


class _Normalize(torch.autograd.Function):
    """Scales x (N, C, ...) by given statistics of the whole batch. Its gradient includes their dependence on all ranks' x."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        mean: torch.Tensor,
        variance: torch.Tensor,
        eps: float,
        count: int,
        group: Group,
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.eps, ctx.count, ctx.group = eps, count, group
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    @once_differentiable  # type: ignore[misc]
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, mean, variance = ctx.saved_tensors
        none, wanted = torch.empty(0), ctx.needs_input_grad[0]
        # As if the statistics were constants: the gradient for x, and of this rank's numbers, for each channel, the sums of
        # gradient x normalized x, and of the gradient.
        for_x, for_weight, for_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, mean, variance, none, none, False, ctx.eps, [wanted, True, True]
        )
        if wanted:
            sums = ctx.group.added(torch.stack([for_weight, for_bias]).float())
            slope, offset = sums * (-weight * (variance + ctx.eps).rsqrt() / ctx.count)
            # What they add as functions of all x: slope x normalized x + offset, by torch's fastest way of computing that.
            for_x += F.batch_norm(x, mean, variance, slope, offset, False, 0.0, ctx.eps)
        return for_x, for_weight, for_bias, None, None, None, None, None
