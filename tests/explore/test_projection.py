"""Projection: an image that the generator can draw is found again, at a usual length of z."""

import numpy as np
import pytest
import torch

from gan import latent
from gan.config import TrainConfig
from gan.devices import one_thread
from gan.explore import projection
from gan.explore.projection import Guess, project
from gan.judging.features import About, FeatureNetwork, _freeze
from gan.networks.dcgan import Generator, initialize
from gan.networks.generator_file import LoadedGenerator
from gan.networks.sampling import sample
from gan.training.state import new_state
from tests.conftest import finish


def generator(classes: tuple[str, ...] = (), **changes: str) -> LoadedGenerator:
    config = TrainConfig(
        latent_dim=6, generator_filters=8, precision="fp32", initialization="pytorch", conditional=bool(classes), **changes
    )
    state = new_state(config, torch.device("cpu"), class_names=classes) if classes else new_state(config, torch.device("cpu"))
    with torch.no_grad():
        for name, parameter in state.averaged.named_parameters():
            if "norm" in name and name.endswith("weight"):
                parameter.mul_(3)  # an untrained generator draws nothing but gray
    assert isinstance(state.averaged, Generator)
    return LoadedGenerator(state.averaged.eval().requires_grad_(False), config, 0, tuple(classes))


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    made = FeatureNetwork(About("noise", 28, 1, "nothing"))
    initialize(made, "pytorch", torch.Generator().manual_seed(0))
    return _freeze(made)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "STARTS", 256)
    monkeypatch.setattr(projection, "STEPS", 80)


def drawn(loaded: LoadedGenerator, seed: int, label: int | None = None) -> np.ndarray:
    z = latent.from_seeds([seed], loaded.config.latent_dim, loaded.config.latent_distribution)
    return sample(loaded.network, z, None if label is None else torch.tensor([label]))[0]


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_what_the_generator_can_draw_is_found_again(network: FeatureNetwork, distribution: str) -> None:
    loaded = generator(latent_distribution=distribution)
    image = drawn(loaded, 987_654)
    result = finish(project(loaded, image, network))
    assert result.found.features < 0.5 * result.start.features and result.found.pixels < result.start.pixels
    assert np.array_equal(sample(loaded.network, result.found.z[None])[0], result.found.image)
    low, high = result.usual
    assert low - 1e-3 <= float(result.found.z.norm()) <= high + 1e-3
    if distribution == "uniform":
        assert result.found.z.abs().max() <= 1


def test_its_distances_are_those_of_the_pictures(network: FeatureNetwork) -> None:
    loaded = generator()
    image = drawn(loaded, 987_654)
    for each in vars(finish(project(loaded, image, network))).values():
        if isinstance(each, projection.Drawn):
            own, wanted = network.features(each.image[None]), network.features(image[None])
            assert each.features == pytest.approx(float(np.linalg.norm(own - wanted)), abs=1e-3)
            assert each.pixels == pytest.approx(np.sqrt(np.square(each.image.astype(float) - image).mean()), abs=1e-2)


def test_the_start_is_the_nearest_of_the_random_pictures(network: FeatureNetwork) -> None:
    loaded = generator()
    image = drawn(loaded, 987_654)
    every = sample(loaded.network, latent.from_seeds(range(256), 6))
    nearest = np.linalg.norm(network.features(every) - network.features(image[None]), axis=1).argmin()
    assert torch.equal(finish(project(loaded, image, network)).start.z, latent.from_seeds([int(nearest)], 6)[0])


def test_equal_calls_find_equal_points(network: FeatureNetwork) -> None:
    loaded = generator()
    image = drawn(loaded, 5_000)
    first, second = (finish(project(loaded, image, network)).found.z for _ in range(2))
    assert torch.equal(first, second)


def test_it_computes_on_one_thread_and_the_caller_keeps_its_own(network: FeatureNetwork) -> None:
    loaded, used = generator(), set()
    image = drawn(loaded, 5_000)
    loaded.network.register_forward_hook(lambda *_: used.add(torch.get_num_threads()))
    with one_thread():  # puts back what the test sets
        torch.set_num_threads(2)
        finish(project(loaded, image, network))
        assert torch.get_num_threads() == 2
    assert used == {1}


def test_the_way_is_shown_and_can_be_left(network: FeatureNetwork) -> None:
    loaded = generator()
    working = project(loaded, drawn(loaded, 5_000), network)
    events = [next(working) for _ in range(6)]
    working.close()
    assert [e.task for e in events[:2]] == ["Looking at random images"] * 2 and events[0].total == 256
    assert all(isinstance(e, Guess) and e.image.shape == (1, 28, 28) and e.image.dtype == np.uint8 for e in events[2:])
    assert torch.is_grad_enabled() and not any(p.requires_grad for p in loaded.network.parameters())


def test_the_class_is_found_or_given(network: FeatureNetwork) -> None:
    loaded = generator(("a", "b", "c"))
    with torch.no_grad():
        next(p for name, p in loaded.network.named_parameters() if "embed" in name or "label" in name).mul_(20)  # so that classes differ
    image = drawn(loaded, 987_654, label=2)
    found = finish(project(loaded, image, network)).found
    assert found.label == 2
    assert finish(project(loaded, image, network, label=1)).found.label == 1
    assert np.array_equal(sample(loaded.network, found.z[None], torch.tensor([2]))[0], found.image)


def test_without_features_pixels_alone() -> None:
    loaded = generator()
    result = finish(project(loaded, drawn(loaded, 987_654), None))
    assert np.isnan(result.found.features) and result.found.pixels < 0.7 * result.start.pixels


def test_another_shape_is_refused(network: FeatureNetwork) -> None:
    with pytest.raises(ValueError, match="must have the generator's shape, 1 x 28 x 28; got 3 x 28 x 28"):
        finish(project(generator(), np.zeros((3, 28, 28), np.uint8), network))
