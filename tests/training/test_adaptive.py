"""Adaptive augmentation: which images change, how often, and how the probability moves (Karras et al. 2020)."""

import copy
from typing import Any

import pytest
import torch

from gan.config import TrainConfig
from gan.events import Metrics
from gan.training import augment
from gan.training import step as step_module
from gan.training.loop import train
from gan.training.state import new_state

CPU = torch.device("cpu")
ADAPTIVE = {"diffaugment": "color, translation, cutout", "augmentation_target": 0.6, "log_every": 1}


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_probability_moves_every_fourth_batch_toward_the_target() -> None:
    """By hand: 4 batches of 32 images move it by 128 / 100,000."""
    strength = torch.zeros(3)
    for sureness in (1.0, 0.5, 0.5):
        augment.steer(strength, torch.tensor(sureness), 0.6, 32)
    assert strength.tolist() == [0.0, 2.0, 3.0]
    augment.steer(strength, torch.tensor(1.0), 0.6, 32)  # a mean of 0.75
    assert strength.tolist() == pytest.approx([0.00128, 0, 0])
    for sureness in (1.0, 1.0, 1.0, 0.0) * 2:  # twice 0.75
        augment.steer(strength, torch.tensor(sureness), 0.6, 32)
    assert strength[0].item() == pytest.approx(0.00384)
    for _ in range(4):
        augment.steer(strength, torch.tensor(0.5), 0.6, 32)
    assert strength[0].item() == pytest.approx(0.00256)
    for _ in range(4):
        augment.steer(strength, torch.tensor(0.6), torch.tensor(0.6).item(), 32)  # exactly at the target it stays
    assert strength[0].item() == pytest.approx(0.00256)


def test_the_probability_stays_between_0_and_the_most_that_does_not_leak() -> None:
    strength = torch.zeros(3)
    for _ in range(8):
        augment.steer(strength, torch.tensor(-1.0), 0.6, 64)
    assert strength[0] == 0
    for _ in range(4 * 400):  # 400 steps of 0.00256
        augment.steer(strength, torch.tensor(1.0), 0.6, 64)
    assert strength[0].item() == pytest.approx(0.8)


@pytest.mark.parametrize("policy", ["color", "translation", "cutout", "color, translation, cutout"])
def test_each_image_changes_with_the_probability(policy: str, rng: torch.Generator) -> None:
    images = torch.rand(400, 3, 16, 16, generator=rng)
    unchanged = augment.diffaugment(images, policy, rng, torch.tensor(0.0))
    torch.testing.assert_close(unchanged, images, rtol=0, atol=1e-6)
    whole = augment.diffaugment(images, policy, rng, torch.tensor(1.0))
    half = augment.diffaugment(images, policy, rng, torch.tensor(0.2))
    shares = [((changed - images).abs().amax((1, 2, 3)) > 1e-5).float().mean().item() for changed in (whole, half)]
    changes = {"color": 3, "translation": 1, "cutout": 1}
    drawn = 1 - 0.8 ** sum(times for name, times in changes.items() if name in policy)
    assert shares[0] > 0.9  # a shift by nothing changes nothing
    assert shares[1] == pytest.approx(drawn, abs=0.09)  # 3.6 standard errors


@pytest.mark.parametrize("policy", ["translation", "cutout"])
@pytest.mark.parametrize("chance", [0.0, 0.02, 0.5])
def test_an_image_is_as_it_was_or_as_if_all_were_changed(policy: str, chance: float) -> None:
    """A CPU changes only the images that are drawn; a GPU changes all and takes some."""
    images = torch.rand(60, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    some, every = (augment.diffaugment(images, policy, torch.Generator().manual_seed(0), torch.tensor(p)) for p in (chance, 1.0))
    as_before, changed = ((some == other).flatten(1).all(1) for other in (images, every))
    assert (as_before | changed).all()
    assert (~as_before).float().mean() == pytest.approx(chance, abs=0.2) and (chance > 0 or as_before.all())


@pytest.mark.parametrize("mirrored", [False, True])
def test_turned_images_are_quarter_turns_and_only_mirrored_if_allowed(mirrored: bool, rng: torch.Generator) -> None:
    image = torch.arange(9.0).view(1, 1, 3, 3)
    turned = augment.turn(image.expand(4000, -1, -1, -1), rng, torch.tensor(1.0), mirrored)
    kinds = [torch.rot90(start, k, (2, 3)) for start in (image, image.flip(-1))[: 2 if mirrored else 1] for k in range(4)]
    shares = [(turned == kind).flatten(1).all(1).float().mean().item() for kind in kinds]
    assert sum(shares) == pytest.approx(1)
    assert shares == pytest.approx([1 / len(kinds)] * len(kinds), abs=0.03)
    few = augment.turn(image.expand(4000, -1, -1, -1), rng, torch.tensor(0.2), False)
    assert (few != image).flatten(1).any(1).float().mean().item() == pytest.approx(0.2 * 3 / 4, abs=0.025)


def test_a_change_of_images_keeps_gradients(rng: torch.Generator) -> None:
    images = torch.ones(50, 1, 8, 8, requires_grad=True)
    augment.turn(augment.diffaugment(images, "cutout", rng, torch.tensor(0.5)), rng, torch.tensor(0.5), True).sum().backward()
    assert images.grad is not None and 0 < images.grad.mean() < 1 and set(images.grad.unique().tolist()) == {0.0, 1.0}


def test_the_step_counts_signs_of_the_answers_to_real_images(config: TrainConfig, blobs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    steer = augment.steer

    def noted(strength: torch.Tensor, sureness: torch.Tensor, *rest: Any) -> None:
        seen.append(sureness.item())
        steer(strength, sureness, *rest)

    monkeypatch.setattr(augment, "steer", noted)
    state = new_state(config.change(**ADAPTIVE, batch_size=8), CPU)
    step_module._steer(state, torch.tensor([1.0, 2.0, -3.0, 4.0]), torch.tensor([9.0, 9, 9, 9]))
    relativistic = new_state(config.change(**ADAPTIVE, loss="relativistic", discriminator_norm="none"), CPU)
    step_module._steer(relativistic, torch.tensor([1.0, 2.0, -3.0, 4.0]), torch.tensor([0.0, 3.0, -4.0, 9.0]))
    assert seen == [0.5, 0.0]
    metrics = [event for event in train(state, blobs) if isinstance(event, Metrics)]
    assert len(seen) == 2 + state.step
    assert all(m.augmentation is not None and 0 <= m.augmentation <= 0.8 for m in metrics)
    plain = new_state(config.change(log_every=1), CPU)
    assert {event.augmentation for event in train(plain, blobs) if isinstance(event, Metrics)} == {None}
    assert plain.augmentation.tolist() == [0, 0, 0]


def test_a_state_from_before_it_existed_still_loads_and_a_damaged_one_is_refused(config: TrainConfig) -> None:
    state = new_state(config.change(**ADAPTIVE), CPU)
    state.augmentation.copy_(torch.tensor([0.25, -1.0, 3.0]))
    stored = copy.deepcopy(state.state_dict())
    fresh = new_state(config.change(**ADAPTIVE), CPU)
    fresh.load_state_dict(stored)
    assert fresh.augmentation.tolist() == [0.25, -1.0, 3.0]
    older = {name: value for name, value in stored.items() if name != "augmentation"}
    fresh.load_state_dict(older)
    assert fresh.augmentation.tolist() == [0, 0, 0]
    for damaged in ([1.5, 0, 0], [0.5, 5, 3], [0.5, 0, 9], [float("nan"), 0, 0]):
        with pytest.raises(ValueError, match="augmentation must be a probability, a sum and a number of batches; got"):
            fresh.load_state_dict(stored | {"augmentation": torch.tensor(damaged)})
    with pytest.raises(ValueError, match=r"augmentation has shape \(2,\)"):
        fresh.load_state_dict(stored | {"augmentation": torch.zeros(2)})
    with pytest.raises(ValueError, match="augmentation must be a tensor of numbers; got 3"):
        fresh.load_state_dict(stored | {"augmentation": 3})


def test_without_augmentation_there_is_nothing_to_adapt() -> None:
    with pytest.raises(ValueError, match=r"augmentation_target must be 0 with diffaugment off, which leaves nothing to adapt; got 0.6"):
        TrainConfig(augmentation_target=0.6)
