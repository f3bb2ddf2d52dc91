"""The scores of mixtures by hand; trials that are trained together equal trials trained alone."""

import copy
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks import mixtures
from benchmarks.mixtures import MIXTURES, Maxout, Norms, Setting

TINY = Setting("tiny", 8, 4, 1e-3, 3, 0.3, True)
CPU = torch.device("cpu")


@pytest.mark.parametrize("kind, modes, apart", [("ring", 8, 2 * math.sin(math.pi / 8)), ("grid", 25, 2.0)])
def test_samples_on_their_modes_are_all_good(kind: str, modes: int, apart: float) -> None:
    mixture = MIXTURES[kind]
    assert mixture.means.shape == (modes, 2)
    distances = torch.cdist(mixture.means, mixture.means) + 99 * torch.eye(modes)
    assert distances.min().item() == pytest.approx(apart, abs=1e-6)
    found = mixtures.judge(mixture.means.repeat(3, 1), mixture)
    assert (found.modes, found.quality) == (modes, 1) and found.kl == pytest.approx(0, abs=1e-12)


def test_a_sample_is_good_within_three_deviations() -> None:
    ring = MIXTURES["ring"]  # the first mode is (1, 0), the third (0, 1)
    samples = torch.tensor([[1.0299, 0.0], [1.0301, 0.0], [0.98, 0.02], [0.0, 1.0], [0.979, 0.0221], [0.5, 0.5]])
    found = mixtures.judge(samples, ring)  # good: the first, the third (0.0283 away), the fourth; not the fifth (0.0305 away)
    assert (found.modes, found.quality) == (2, 0.5)
    assert found.kl == pytest.approx(2 / 3 * math.log(2 / 3 * 8) + 1 / 3 * math.log(1 / 3 * 8))


def test_no_good_sample_has_no_divergence() -> None:
    found = mixtures.judge(torch.zeros(5, 2), MIXTURES["ring"])
    assert (found.modes, found.quality) == (0, 0) and math.isnan(found.kl)


def test_the_data_are_good_themselves() -> None:
    for mixture in MIXTURES.values():
        found = mixtures.judge(mixture.draw((5000,), torch.Generator().manual_seed(0)), mixture)
        # A Gaussian in two dimensions lies within three deviations with probability 1 - exp(-9 / 2).
        assert found.modes == len(mixture.means) and found.quality == pytest.approx(1 - math.exp(-4.5), abs=0.006) and found.kl < 0.01


def test_layers_of_several_networks_are_those_of_each() -> None:
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(3, 20, 5, generator=rng)
    norms = Norms(3, 5)
    together = norms(x)
    for i in range(3):
        assert torch.allclose(together[i], F.batch_norm(x[i], None, None, training=True), atol=1e-5)
    means = norms.running_mean.view(3, 5)
    assert torch.allclose(means, 0.05 * x.mean(1), atol=1e-6)
    maxout = Maxout(3, 5, 2, 1.0, rng)
    pieces = torch.bmm(x, maxout.pieces.weight)  # biases begin at 0
    for j in range(2):
        assert torch.allclose(maxout(x)[:, :, j], pieces[:, :, j::2].max(2).values, atol=1e-5)


@pytest.mark.parametrize("packing", [1, 2])
def test_trials_together_learn_what_each_learns_alone(packing: int) -> None:
    together = mixtures.new_trials(MIXTURES["ring"], packing, 3, TINY, 0, CPU)
    alone = copy.deepcopy(together)
    for network in (alone.generators, alone.discriminators):
        for module in network.modules():
            for name, parameter in list(module.named_parameters(recurse=False)):
                setattr(module, name, nn.Parameter(_one(module, name, parameter)))
            if isinstance(module, Norms):
                module.running_mean, module.running_var = (v.view(3, -1)[1].clone() for v in (module.running_mean, module.running_var))
                module.num_features //= 3
    alone.data = alone.data[1:2]
    draws, picks = torch.randn, torch.randint
    with pytest.MonkeyPatch.context() as patch:  # the second trial's numbers of those that three draw
        patch.setattr(mixtures.torch, "randn", lambda *shape, **named: draws(shape[0], 3, *shape[2:], **named)[:, 1:2])
        patch.setattr(mixtures.torch, "randint", lambda n, shape, **named: picks(n, (shape[0], 3, *shape[2:]), **named)[:, 1:2])
        assert list(mixtures.train(alone, TINY)) == [1, 2, 3]
    before = copy.deepcopy(together.generators)
    assert list(mixtures.train(together, TINY)) == [1, 2, 3]
    moved = False
    for ours, theirs in ((alone.generators, together.generators), (alone.discriminators, together.discriminators)):
        for (name, module), other in zip(ours.named_modules(), theirs.modules(), strict=True):
            for key, parameter in module.named_parameters(recurse=False):
                expected = _one(other, key, getattr(other, key))
                assert torch.allclose(parameter, expected, rtol=1e-3, atol=1e-5), (name, key)
    for old, new in zip(before.parameters(), together.generators.parameters(), strict=True):
        moved |= not torch.equal(old, new)
    assert moved
    assert mixtures.generate(together, 7).shape == (3, 7, 2) and together.generators.training


def _one(module: nn.Module, name: str, parameter: nn.Parameter) -> torch.Tensor:
    """The second of three networks' numbers."""
    values = parameter.detach()
    return values.view(3, -1)[1].clone() if isinstance(module, Norms) else values[1:2].clone()


def test_a_pack_is_one_input_of_the_discriminator() -> None:
    rng = torch.Generator().manual_seed(0)
    d = mixtures.Discriminators(2, 2, TINY, rng)
    x = torch.randn(2, 8, 2, generator=rng)
    answers = d(x)
    assert answers.shape == (2, 4)
    x[0, 3] += 1  # of the first network's second pack
    assert (d(x) != answers).nonzero().tolist() == [[0, 1]]


def test_a_row_stands_beside_the_published_one() -> None:
    found = [mixtures.Found(6, 0.5, 0.1), mixtures.Found(8, 0.7, 0.3)]
    assert mixtures.mean_and_error([6, 8]) == (7, 1)
    text = mixtures.row("ring", 1, found)
    for part in ("ring of 8, GAN", "7.0 ± 1.0", "6.3 ± 0.5", "+0.6", "60.0 ± 10.0 %", "0.20 ± 0.10"):
        assert part in text, text
    assert "packing 2" in mixtures.row("grid", 2, found)


def test_the_command_line_prints_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(mixtures, "CPU", replace(TINY, name="scaled down for a CPU"))
    monkeypatch.setattr("sys.argv", ["mixtures", "--trials", "2", "--only", "ring"])
    mixtures.main()
    told = capsys.readouterr().out
    assert "scaled down for a CPU" in told and "published" in told
    assert told.count("ring of 8") == 2 and "packing 2" in told
