"""Explore's views of generators with styles: mixing, directions in w, a search in w."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gan import latent
from gan.config import TrainConfig
from gan.explore import directions, mixing, projection
from gan.explore.models import ModelCache, find_model
from gan.explore.projection import project
from gan.networks.build import new_generator
from gan.networks.dcgan import initialize
from gan.networks.generator_file import LoadedGenerator, load_generator, write_generator
from gan.networks.sampling import sample, sample_styles
from gan.networks.stylegan import StyledConv, StyleGenerator, split_of_styles
from gan.recipes import recipe
from tests.conftest import finish

CONFIG = recipe("stylegan-small").config.change(generator_filters=4, latent_dim=6)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a generator whose mean of w and noise are not zero."""
    folder = tmp_path_factory.mktemp("runs")
    generator = StyleGenerator(CONFIG)
    initialize(generator, "pytorch", torch.Generator().manual_seed(0))
    with torch.no_grad():
        for layer in generator.layers:
            if isinstance(layer, StyledConv):
                layer.strength.fill_(0.3)
        generator.mean_w.copy_(generator.styles(latent.from_seeds(range(500), 6)).mean(0))
    (folder / "pretrained").mkdir()
    write_generator(folder / "pretrained" / "styles.safetensors", generator, CONFIG, 5, 100)
    plain = TrainConfig(generator_filters=4)
    write_generator(folder / "pretrained" / "plain.safetensors", new_generator(plain), plain, 5, 100)
    return folder


@pytest.fixture
def loaded(root: Path) -> LoadedGenerator:
    return load_generator(root / "pretrained" / "styles.safetensors")


def network(loaded: LoadedGenerator) -> StyleGenerator:
    assert isinstance(loaded.network, StyleGenerator)
    return loaded.network


def test_mixed_images_take_some_styles_from_the_row() -> None:
    columns, rows = torch.zeros(3, 2), torch.arange(1.0, 3.0)[:, None].repeat(1, 2)
    w = mixing.mixed(columns, rows, 1, 3, 5)
    assert w.shape == (2, 3, 5, 2) and w[1, 2, :, 0].tolist() == [0, 2, 2, 0, 0] and w[0, 0, :, 1].tolist() == [0, 1, 1, 0, 0]


def test_mixing_all_styles_is_the_row_and_none_the_column(loaded: LoadedGenerator) -> None:
    of = network(loaded)
    z = latent.from_seeds(range(2), 6)
    with torch.inference_mode():
        w = of.styles(z)
    count = of.styles_count
    images = sample(of, z)
    assert (sample_styles(of, mixing.mixed(w[:1], w[1:], 0, count, count)[0]) == images[1]).all()
    assert (sample_styles(of, mixing.mixed(w[:1], w[1:], 0, 0, count)[0]) == images[0]).all()
    assert (sample_styles(of, mixing.mixed(w[:1], w[1:], *split_of_styles(32)["fine"], count)[0]) != images[0]).any()


@pytest.mark.parametrize("method", directions.METHODS)
def test_directions_in_w_are_as_long_as_its_deviation(loaded: LoadedGenerator, method: str) -> None:
    of = network(loaded)
    found = directions.find_styles(of, method, 4)
    with torch.inference_mode():
        w = of.styles(latent.from_seeds(range(directions.SAMPLES), 6))
    units = found.vectors / found.vectors.norm(dim=1, keepdim=True)
    torch.testing.assert_close(units @ units.T, torch.eye(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.vectors.norm(dim=1), (w @ units.T).std(0), rtol=1e-3, atol=1e-6)
    assert list(found.shares) == sorted(found.shares, reverse=True) and found.shares[0] > 0
    if method == "pca":
        assert found.shares[0] == pytest.approx(float((w @ units[0]).var() / w.var(0).sum()), rel=1e-3)
    with pytest.raises(ValueError, match="the method must be one of"):
        directions.find_styles(of, "no such", 4)


def test_a_search_in_w_finds_the_generators_own_image(loaded: LoadedGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "STARTS", 128)
    monkeypatch.setattr(projection, "STEPS", 160)
    image = sample(network(loaded), latent.from_seeds([987_654], 6))[0]
    result = finish(project(loaded, image, None))
    assert result.found.pixels < 0.7 * result.start.pixels
    assert np.array_equal(sample_styles(network(loaded), result.found.z[None])[0], result.found.image)
    low, high = result.usual
    assert low - 1e-3 <= result.length <= high + 1e-3
    assert result.length == pytest.approx(float((result.found.z - network(loaded).mean_w).norm()), rel=1e-4)


def test_the_cache_draws_styles_and_refuses_generators_without(root: Path) -> None:
    cache, model = ModelCache(root), find_model(root, "styles")
    z = model.z([1, 2])
    assert (cache.images_of_styles(model, cache.styles(model, z)) == cache.images(model, z)).all()
    assert (cache.images_of_styles(model, cache.styles(model, z), noise=False) != cache.images(model, z)).any()
    with pytest.raises(ValueError, match="the generator plain has no styles"):
        cache.styled(find_model(root, "plain"))
