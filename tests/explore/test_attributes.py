"""Means of samples that share an attribute, on known numbers."""

from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
import torch

from gan import latent
from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.data.form import Form
from gan.explore import attributes
from gan.explore.attributes import Contrast
from gan.judging import features, reals
from tests.conftest import finish


def test_classes_have_plain_means() -> None:
    z = torch.tensor([[0.0, 2.0], [4.0, 2.0], [1.0, 8.0], [3.0, 0.0]])
    shown = torch.tensor([[True, False], [True, False], [False, True], [False, True]])
    (one, not_one), (two, not_two) = attributes.means(z, shown, ["1", "2"], exclusive=True)
    assert (one.name, not_one.name, one.seeds, not_one.seeds) == ("class 1", "not class 1", (0, 1), (2, 3))
    assert one.vector.tolist() == [2.0, 2.0] and not_one.vector.tolist() == [2.0, 4.0]
    assert torch.equal(two.vector, not_one.vector) and torch.equal(not_two.vector, one.vector)


def test_what_attributes_add_is_told_apart() -> None:
    # Each sample is a base, plus (3, 0) where it has a beard, plus (0, 5) where its hair is short; three of four with a beard have short hair.
    beard = torch.tensor([1, 1, 1, 1, 0, 0, 0, 0, 0, 0]).bool()
    short = torch.tensor([1, 1, 1, 0, 1, 0, 0, 0, 0, 0]).bool()
    z = torch.tensor([1.0, -1.0]) + beard[:, None] * torch.tensor([3.0, 0.0]) + short[:, None] * torch.tensor([0.0, 5.0])
    (with_beard, without), (with_short, not_short) = attributes.means(
        z, torch.stack([beard, short], 1), ["beard", "short hair"], exclusive=False
    )
    torch.testing.assert_close(with_beard.vector - without.vector, torch.tensor([3.0, 0.0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(with_short.vector - not_short.vector, torch.tensor([0.0, 5.0]), atol=1e-5, rtol=0)
    # Each of the two is a mean over all samples, except for this attribute.
    torch.testing.assert_close(with_beard.vector * 0.4 + without.vector * 0.6, z.mean(0))
    assert (with_beard.name, without.name) == ("with beard", "without beard")
    assert with_beard.seeds == (0, 1, 2, 3) and len(without.seeds) == 6
    alone = attributes.means(z, beard[:, None], ["beard"], exclusive=False)[0]
    torch.testing.assert_close(alone[0].vector - alone[1].vector, z[beard].mean(0) - z[~beard].mean(0))


def test_attributes_that_always_come_together_share_what_they_add() -> None:
    both = torch.tensor([1, 1, 0, 0]).bool()
    z = both[:, None] * torch.tensor([4.0])
    for present, absent in attributes.means(z, torch.stack([both, both], 1), ["a", "b"], exclusive=False):
        torch.testing.assert_close(present.vector - absent.vector, torch.tensor([2.0]))


def draw(z: torch.Tensor) -> np.ndarray:
    """The latent vectors themselves, as images."""
    return ((z.clamp(-4, 4) + 4) * 30).round().to(torch.uint8).numpy()[:, None, None]


def judge(images: np.ndarray) -> np.ndarray:
    """Glasses: the first number is above 1. A hat: never. Brows: the second number is above 0."""
    first, second = images[:, 0, 0, 0] / 30.0 - 4, images[:, 0, 0, 1] / 30.0 - 4
    return np.stack([first > 1, np.zeros(len(images)), second > 0], 1).astype(np.float32)


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_contrasts_find_the_dimension_that_decides(distribution: str) -> None:
    work = attributes.contrasts(draw, judge, ("glasses", "hat", "brows"), False, 6, distribution, samples=1500)
    assert [event.task for event in work][:1] == ["Looking at samples"]
    found = finish(attributes.contrasts(draw, judge, ("glasses", "hat", "brows"), False, 6, distribution, samples=1500))
    if distribution == "uniform":  # nothing is above 1
        assert [contrast.name for contrast in found] == ["brows"]
        return
    glasses, brows = found
    for contrast, axis in ((glasses, 0), (brows, 1)):
        direction = contrast.difference / contrast.difference.norm()
        assert direction[axis] > 0.98 and contrast.share >= attributes.ENOUGH
    far, near = (float(contrast.strength * contrast.difference.norm()) for contrast in found)
    assert far > near  # glasses begin at 1, brows at 0
    assert len(glasses.present.seeds) + len(glasses.absent.seeds) == 1500
    z = latent.from_seeds(glasses.absent.seeds, 6)
    moved = attributes.move(z, glasses.difference, glasses.strength)
    assert not judge(draw(z))[:, 0].any() and judge(draw(moved))[:, 0].mean() > 0.9


def test_what_cannot_be_reached_has_its_best_strength() -> None:
    def never(images: np.ndarray) -> np.ndarray:
        answers = judge(images)
        answers[:, 0] *= images[:, 0, 0, 2] % 2  # half of the samples have no glasses, at any strength
        return answers

    (glasses, *_) = finish(attributes.contrasts(draw, never, ("glasses", "hat", "brows"), False, 6, samples=1500))
    assert 0.4 < glasses.share < attributes.ENOUGH and glasses.strength in attributes.STRENGTHS


def test_classes_are_told_by_the_likeliest() -> None:
    def classes(images: np.ndarray) -> np.ndarray:
        first = images[:, 0, 0, 0] / 30.0 - 4
        return np.stack([-first, first, np.full(len(images), -9.0)], 1)

    low, high = finish(attributes.contrasts(draw, classes, ("low", "high", "none"), True, 3, samples=1000))
    assert (low.name, high.present.name, high.absent.name) == ("low", "class high", "not class high")
    assert torch.allclose(low.difference, -high.difference, atol=1e-5)


def test_moving_and_jitter() -> None:
    z, difference = torch.tensor([0.5, -0.9]), torch.tensor([0.5, -0.5])
    assert attributes.move(z, difference, 2).tolist() == pytest.approx([1.5, -1.9])
    assert attributes.move(z, difference, 2, "uniform").tolist() == [1, -1]
    noise = attributes.jitter(50)
    assert noise.shape == (8, 50) and noise.abs().max() <= 1 and torch.equal(noise, attributes.jitter(50))


def test_the_data_s_own_labels_are_asked_for(config: TrainConfig, blobs: ImageDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    class Network:
        class about:
            kind, outputs = "classes", ("cats", "dogs")

        def features(self, images: np.ndarray) -> np.ndarray:
            return images.reshape(len(images), -1).astype(np.float32)

        def probabilities(self, found: np.ndarray) -> np.ndarray:
            return np.stack([255 - found[:, 0], found[:, 0]], 1)

    def load(*given: str | Form) -> Generator[None, None, Any]:
        yield from ()
        assert given == ("blobs", Form(28, 1))
        return "reals"

    def network_for(known: str) -> Generator[None, None, Any]:
        yield from ()
        assert known == "reals"
        return Network()

    monkeypatch.setattr(reals, "load", load)
    monkeypatch.setattr(features, "network_for", network_for)

    def gray(z: torch.Tensor) -> np.ndarray:
        return np.broadcast_to(np.where(z[:, :1] > 0, 250, 3).astype(np.uint8)[:, :, None, None], (len(z), 1, 28, 28))

    found = finish(attributes.find(gray, config))
    assert [contrast.name for contrast in found] == ["cats", "dogs"] and isinstance(found[0], Contrast)
    Network.about.kind = "nothing"
    assert finish(attributes.find(gray, config)) == []
