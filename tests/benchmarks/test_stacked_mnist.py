"""The scores of Stacked MNIST by hand, and a few steps of the engine on it."""

import math
from dataclasses import astuple

import numpy as np
import pytest
import torch

from benchmarks import stacked_mnist
from benchmarks.stacked_mnist import Setting
from benchmarks.textbook import load_mnist
from gan.data.imageset import ImageDataset
from gan.judging import features
from gan.recipes import recipe

TINY = Setting("scaled down for a CPU", 300, 4, 4, 2e-4, 2, "none", "pytorch", 2)


@pytest.fixture(scope="module")
def reader() -> features.FeatureNetwork:
    return features.load(features.SHIPPED / "mnist.safetensors")


@pytest.fixture
def digits() -> ImageDataset:
    return load_mnist("test")


def test_modes_and_divergence_by_hand() -> None:
    assert astuple(stacked_mnist.judge(np.arange(1000).repeat(26))) == (1000, pytest.approx(0, abs=1e-9))
    assert astuple(stacked_mnist.judge(np.full(26000, 7))) == (1, pytest.approx(math.log(1000)))
    # Three quarters on one mode, a quarter on another.
    found = stacked_mnist.judge(np.array([999, 999, 999, 0]))
    assert astuple(found) == (2, pytest.approx(0.75 * math.log(750) + 0.25 * math.log(250)))


def test_a_stack_shows_the_digits_of_its_channels(digits: ImageDataset, reader: features.FeatureNetwork) -> None:
    stacked = stacked_mnist.stack(digits.images, 200, seed=3)
    assert stacked.images.shape == (200, 3, 28, 28) and stacked.images.dtype == torch.uint8
    picks = torch.randint(len(digits), (200, 3), generator=torch.Generator().manual_seed(3))
    assert torch.equal(stacked.images[5, 2], digits.images[picks[5, 2], 0])
    labels = digits.labels[picks].numpy()
    wanted = labels[:, 0] * 100 + labels[:, 1] * 10 + labels[:, 2]
    assert (stacked_mnist.modes_shown(stacked.images.numpy(), reader) == wanted).mean() > 0.9
    assert torch.equal(stacked.images, stacked_mnist.stack(digits.images, 200, seed=3).images)
    assert not torch.equal(stacked.images, stacked_mnist.stack(digits.images, 200, seed=4).images)


@pytest.mark.parametrize("packing", [1, 2])
def test_a_run_is_the_engine_s(
    packing: int, digits: ImageDataset, reader: features.FeatureNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacked_mnist, "JUDGED", 50)
    config = TINY.config(packing, 1)
    assert (config.image_size, config.channels, config.packing, config.batch_size) == (28, 3, packing, 64 * packing)
    found = stacked_mnist.run(TINY, packing, 1, digits.images, reader, 1, torch.device("cpu"))
    assert 1 <= found.modes <= 50 and found.kl >= math.log(1000 / 50) - 1e-9
    assert stacked_mnist.run(TINY, packing, 1, digits.images, reader, 1, torch.device("cpu")) == found


def test_rows_of_a_setting_differ_in_packing_alone() -> None:
    for setting in (stacked_mnist.CPU, stacked_mnist.FULL):
        plain, packed = (setting.config(packing, 0).model_dump() for packing in (1, 2))
        assert {name for name in plain if plain[name] != packed[name]} == {"packing", "batch_size"}


def test_another_recipe_keeps_its_settings_and_its_schedule_ends_with_the_run(
    digits: ImageDataset, reader: features.FeatureNetwork
) -> None:
    ours, config = recipe("r3gan-small").config, stacked_mnist.CPU.config(1, 4, "r3gan-small")
    kept = (
        "lr_g",
        "lr_d",
        "r1",
        "r2",
        "beta2",
        "lr_end",
        "penalty_end",
        "beta2_end",
        "average_half_life_end",
        "latent_distribution",
        "loss",
    )
    assert all(getattr(config, name) == getattr(ours, name) for name in kept)
    assert (config.schedule_images, config.seed, config.generator_filters) == (1200 * 64, 4, 16)


def test_the_command_line_prints_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(stacked_mnist, "CPU", TINY)
    monkeypatch.setattr(stacked_mnist, "JUDGED", 100)
    monkeypatch.setattr("sys.argv", ["stacked_mnist", "--seeds", "0,1"])
    stacked_mnist.main()
    told = capsys.readouterr().out
    for part in ("scaled down for a CPU", "real stacked digits", "dcgan, packing 2", "times the modes", "1,000 / 0.06", "held-out digits"):
        assert part in told
