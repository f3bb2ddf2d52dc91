import pytest
import torch
from torch import nn

from gan.networks.weights import fill


def _network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def test_a_network_without_numbers_takes_stored_ones_in_32_bits() -> None:
    stored = {name: t.half() if t.is_floating_point() else t for name, t in _network().state_dict().items()}
    with torch.device("meta"):
        network = _network()
    fill(network, stored)
    found = network.state_dict()
    assert all(torch.equal(found[name].float(), t.float()) for name, t in stored.items())
    assert {t.dtype for t in found.values()} == {torch.float32, torch.int64}  # the counter of batches keeps its format


@pytest.mark.parametrize("copy", [True, False])
def test_a_copy_has_its_own_memory(copy: bool) -> None:
    original, network = _network(), _network()
    fill(network, original.state_dict(), copy)
    shared = [a.data_ptr() == b.data_ptr() for a, b in zip(original.state_dict().values(), network.state_dict().values(), strict=True)]
    assert not any(shared) if copy else all(shared)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"):
        fill(_network(), {**_network().state_dict(), "0.bias": torch.zeros(3)})
