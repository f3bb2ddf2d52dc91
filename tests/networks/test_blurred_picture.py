"""The blurred picture of a generator: what it computes, and that it begins as images' mean and principal components."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan import latent
from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.events import Samples
from gan.networks.blurred_picture import MOST_IMAGES, BlurredPicture, principal_components
from gan.networks.dcgan import Generator
from gan.networks.generator_file import load_generator
from gan.runs.folder import save_generator
from gan.training.begin import begin_with_images
from gan.training.loop import train
from gan.training.saved_state import NETWORKS
from gan.training.state import TrainState, new_state
from gan.training.step import train_step

CPU = torch.device("cpu")


def striped(n: int, channels: int = 3, size: int = 32) -> torch.Tensor:
    """Images that differ in two ways: how bright their left half is, most of all, and the color of their lower half."""
    rng = torch.Generator().manual_seed(3)
    images = torch.full((n, channels, size, size), 120.0)
    images[:, :, :, : size // 2] += 40 * torch.randn(n, 1, 1, 1, generator=rng)
    images[:, :1, size // 2 :] += 15 * torch.randn(n, 1, 1, 1, generator=rng)
    return images.clamp(0, 255).round().byte()


@pytest.mark.parametrize("size", [28, 32, 64])
def test_the_picture_is_linear_in_z_and_enlarged_bilinearly(size: int) -> None:
    blurred = BlurredPicture(5, 3, size)
    with torch.no_grad():
        blurred.weight.normal_()
        blurred.bias.normal_()
        z = torch.randn(4, 5)
        blurred.share.fill_(0.25)
        small = (0.25 * (z @ blurred.weight.T + blurred.bias)).reshape(4, 3, blurred.side, blurred.side)
        assert blurred.side == min(16, size // 2)
        torch.testing.assert_close(blurred(z), F.interpolate(small, size=size, mode="bilinear", align_corners=False), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_components_are_those_of_another_library(mirrored: bool) -> None:
    images = striped(40, 1)
    blurred = F.adaptive_avg_pool2d(images.double() / 127.5 - 1, 4)
    rows = (torch.cat([blurred, blurred.flip(3)]) if mirrored else blurred).flatten(1).clamp(-0.96, 0.96).atanh().numpy()
    expected_values, expected = np.linalg.svd(rows - rows.mean(0))[1:]
    directions, mean = principal_components(images, 4, 6, mirrored)
    np.testing.assert_allclose(mean, rows.mean(0), atol=1e-12)
    lengths = directions.norm(dim=0)
    np.testing.assert_allclose(lengths, expected_values[:6] / len(rows) ** 0.5, atol=1e-7)
    for i in range(2):  # the images differ in two ways
        assert abs(float((directions[:, i] / lengths[i]).numpy() @ expected[i])) == pytest.approx(1, abs=1e-9)
        assert directions[directions[:, i].abs().argmax(), i] > 0


def test_there_are_never_more_components_than_numbers_and_one_image_has_none() -> None:
    directions, mean = principal_components(striped(1, 1), 2, 9)
    assert directions.shape == (4, 9) and not directions.any() and mean.isfinite().all()
    directions, _ = principal_components(torch.full((3, 1, 8, 8), 255, dtype=torch.uint8), 2, 9)
    assert directions.isfinite().all() and directions.abs().max() < 1e-6


def test_of_many_images_some_at_equal_distances_count() -> None:
    many = striped(2 * MOST_IMAGES, 1, 4)
    some = many[torch.linspace(0, len(many) - 1, MOST_IMAGES).round().long()]
    assert all(
        torch.equal(one, other) for one, other in zip(principal_components(many, 2, 3), principal_components(some, 2, 3), strict=True)
    )


def with_components(config: TrainConfig, **changes: Any) -> TrainConfig:
    return config.change(principal_components=80, image_size=32, channels=3, latent_dim=8, **changes)


def its(generator: nn.Module) -> BlurredPicture:
    """The blurred picture of a generator."""
    assert isinstance(generator, Generator) and generator.blurred is not None
    return generator.blurred


def begun(config: TrainConfig, images: torch.Tensor) -> TrainState:
    state = new_state(config, CPU)
    begin_with_images(state, ImageDataset("blobs", images))
    return state


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_first_pictures_have_the_images_mean_and_variety(config: TrainConfig, distribution: str) -> None:
    images = striped(500)
    state = begun(with_components(config, latent_distribution=distribution), images)
    blurred = its(state.averaged)
    with torch.no_grad():
        drawn = blurred(latent.from_seeds(range(4000), 8, distribution))
    small = F.adaptive_avg_pool2d(images.float() / 127.5 - 1, 16).clamp(-0.96, 0.96).atanh()
    real = F.interpolate(small, size=32, mode="bilinear", align_corners=False)
    assert (drawn.mean(0) - real.mean(0)).abs().max() < 0.03
    torch.testing.assert_close(drawn.std(0), real.std(0), rtol=0.05, atol=0.005)


def test_a_run_begins_with_them_once_and_they_fade(config: TrainConfig) -> None:
    config, images = with_components(config, duration=14), striped(50)
    state = new_state(config, CPU)
    assert its(state.generator).share == -1 and not its(state.generator).weight.any()
    events = train(state, ImageDataset("blobs", images))
    assert isinstance(next(events), Samples)
    same = begun(config, images)
    for one, other in ((state.generator, same.generator), (state.averaged, same.averaged), (state.generator, same.averaged)):
        assert all(torch.equal(one.state_dict()[name], tensor) for name, tensor in other.state_dict().items())
    left = [float(its(state.averaged).share)]
    for _ in range(3):
        train_step(state, images[:8].float() / 127.5 - 1)
        left.append(float(its(state.averaged).share))
    assert left == pytest.approx([1, 1, 0.9, 0.8]) and not its(state.generator).over
    list(train(state, ImageDataset("blobs", images)))
    for network in (state.generator, state.averaged):
        assert its(network).share == 0 and its(network).over
        assert not torch.equal(its(network).weight, its(same.generator).weight), "it learned meanwhile"
    z, generator = torch.randn(3, 8), state.averaged
    assert isinstance(generator, Generator)
    with torch.no_grad():
        assert torch.equal(generator(z), generator.layers(z))


def test_a_resumed_run_continues_where_the_picture_was(config: TrainConfig) -> None:
    config, data = with_components(config, duration=4), ImageDataset("blobs", striped(50))
    state = new_state(config, CPU)
    list(train(state, data))
    other = new_state(config, CPU)
    other.load_state_dict(copy.deepcopy(state.state_dict()))
    state.config = other.config = config.change(duration=8)
    list(train(state, data))
    list(train(other, ImageDataset("blobs", striped(50))))
    for name, tensor in state.averaged.state_dict().items():
        assert torch.equal(other.averaged.state_dict()[name], tensor), name
    assert its(other.averaged).share == pytest.approx(0.3)


@pytest.mark.parametrize(("there", "here"), [(80, 0), (0, 80), (80, 40), (80, 80)])
def test_networks_of_another_run_come_without_a_blurred_picture(config: TrainConfig, there: int, here: int) -> None:
    data = ImageDataset("blobs", striped(50))
    source, state = (new_state(with_components(config).change(principal_components=n), CPU) for n in (there, here))
    list(train(source, data))
    state.adopt({name: source.state_dict()[name] for name in NETWORKS})
    list(train(state, data))
    generator = state.averaged
    assert isinstance(generator, Generator) and (generator.blurred is None) == (here == 0)
    if generator.blurred:
        assert generator.blurred.share == 0 and "blurred" not in generator.parts()
    new_state(state.config, CPU).load_state_dict(state.state_dict())
    fresh = new_state(state.config, CPU)
    fresh.adopt({name: source.state_dict()[name] for name in NETWORKS})
    assert torch.equal(fresh.generator.state_dict()["layers.conv4.weight"], source.generator.state_dict()["layers.conv4.weight"])


@pytest.mark.parametrize("images", [4, 80])
def test_a_file_knows_whether_the_picture_is_over(config: TrainConfig, images: int, tmp_path: Path) -> None:
    state = new_state(with_components(config, duration=4).change(principal_components=images), CPU)
    list(train(state, ImageDataset("blobs", striped(50))))
    save_generator(tmp_path / "g.safetensors", state)
    network, z = load_generator(tmp_path / "g.safetensors").network, torch.randn(3, 8)
    assert its(network).over == (images == 4)
    with torch.no_grad():
        assert torch.equal(network(z), state.averaged(z))


def test_a_damaged_picture_is_refused(config: TrainConfig) -> None:
    state = new_state(with_components(config), CPU)
    stored = state.state_dict()
    stored["averaged"] = dict(stored["averaged"]) | {"blurred.weight": torch.zeros(3)}
    with pytest.raises(ValueError, match=r"averaged\.blurred\.weight"):
        state.load_state_dict(stored)


@pytest.mark.parametrize("changes", [{}, {"networks": "mlp", "principal_components": 80}])
def test_other_generators_have_none(config: TrainConfig, blobs: ImageDataset, changes: dict[str, Any]) -> None:
    state = new_state(config.change(**changes), CPU)
    begin_with_images(state, blobs)
    assert (
        isinstance(state.generator, Generator)
        and state.generator.blurred is None
        and not any("blurred" in name for name in state.generator.state_dict())
    )


def test_a_residual_generator_draws_pixels_without_tanh_so_it_gets_the_picture_s(config: TrainConfig) -> None:
    images = striped(50)
    generator = begun(with_components(config, networks="residual"), images).averaged
    assert isinstance(generator, Generator) and list(generator.parts())[-2:] == ["blurred", "image"]
    z = latent.from_seeds(range(500), 8, "normal")
    with torch.no_grad():
        torch.testing.assert_close(generator(z), generator.layers(z) + its(generator)(z).tanh())
        generator.at_pixels.weight.zero_()  # type: ignore[operator]
        assert (generator(z).mean(0) - (images.float() / 127.5 - 1).mean(0)).abs().max() < 0.1
        its(generator).fade(0.0)
        assert not generator(z).any()


def test_a_class_changes_the_convolutions_picture_alone(config: TrainConfig) -> None:
    state = new_state(with_components(config, conditional=True), CPU, class_names=("a", "b"))
    begin_with_images(state, ImageDataset("blobs", striped(50), labels=torch.arange(50) % 2, class_names=("a", "b")))
    generator = state.averaged
    assert isinstance(generator, Generator)
    with torch.no_grad():
        z = torch.randn(3, 8)
        first, second = (generator(z, torch.full((3,), label)) for label in (0, 1))
        for layer in generator.layers:
            if isinstance(layer, torch.nn.ConvTranspose2d):
                layer.weight.zero_()
        assert not torch.equal(first, second)
        torch.testing.assert_close(generator(z, torch.tensor([0, 1, 0])), torch.tanh(its(generator)(z)))
