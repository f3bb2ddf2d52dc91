"""The eager optimizers compute what PyTorch's compute, bit for bit. test_imports.py checks that they load no compiler."""

from typing import Any

import pytest
import torch
from torch import nn

from gan.optimizers import Adam, RMSprop


def trained(kind: Any, options: dict[str, Any], resumed: bool) -> tuple[nn.Linear, Any]:
    torch.manual_seed(0)
    layer, x = nn.Linear(5, 4), torch.randn(8, 5)
    optimizer = kind(layer.parameters(), 0.01, **options)
    for step in range(6):
        if resumed and step == 3:
            stored, optimizer = optimizer.state_dict(), kind(layer.parameters(), 0.5, **options)
            optimizer.load_state_dict(stored)
        optimizer.zero_grad(set_to_none=True)
        layer(x).square().mean().backward()
        optimizer.step()
    return layer, optimizer


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize(
    "ours, theirs, options",
    [
        (Adam, torch.optim.Adam, {"betas": (0.5, 0.999), "weight_decay": 0.01, "fused": True}),
        (Adam, torch.optim.Adam, {}),
        (RMSprop, torch.optim.RMSprop, {"weight_decay": 0.01, "foreach": True}),
    ],
)
def test_they_compute_the_same(ours: Any, theirs: Any, options: dict[str, Any], resumed: bool) -> None:
    (layer, optimizer), (expected, reference) = trained(ours, options, resumed), trained(theirs, options, resumed)
    assert torch.equal(layer.weight, expected.weight) and torch.equal(layer.bias, expected.bias)
    stored, wanted = optimizer.state_dict(), reference.state_dict()
    assert stored["param_groups"] == wanted["param_groups"] and stored["state"].keys() == wanted["state"].keys()
    for number, moments in wanted["state"].items():
        assert all(torch.equal(stored["state"][number][name], value) for name, value in moments.items())
    assert isinstance(optimizer, theirs) and torch.is_grad_enabled()


def test_a_schedule_moves_their_rate() -> None:
    optimizer = Adam(nn.Linear(2, 2).parameters(), 0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=10)
    before = optimizer.param_groups[0]["lr"]
    optimizer.step()
    schedule.step()
    assert optimizer.param_groups[0]["lr"] > before
