"""Discriminators as files; tests/runs/test_checkpoint.py has the generators."""

from pathlib import Path

import pytest
import torch

from gan.config import TrainConfig
from gan.networks.dcgan import Discriminator, Generator
from gan.networks.generator_file import CheckpointError, load_discriminator, load_generator, write_discriminator, write_generator

CONFIG = TrainConfig(generator_filters=4, discriminator_filters=4, latent_dim=4)


@pytest.mark.parametrize("changes", [{}, {"discriminator_norm": "none"}, {"spectral_norm": True}, {"conditional": True}])
def test_a_discriminator_answers_the_same_after_saving_and_loading(changes: dict[str, object], tmp_path: Path) -> None:
    config = CONFIG.change(**changes)
    names = ("a", "b") if config.conditional else ()
    network = Discriminator(config, len(names)).eval()
    path = tmp_path / "d.safetensors"
    write_discriminator(path, network, config, 7, 448, names)
    loaded = load_discriminator(path)
    assert (loaded.config, loaded.step, loaded.class_names) == (config, 7, names) and not loaded.network.training
    images, labels = torch.rand(3, 1, 28, 28) * 2 - 1, torch.tensor([0, 1, 1]) if names else None
    stored, wanted = loaded.network.state_dict(), network.state_dict()
    assert stored.keys() == wanted.keys() and all(torch.equal(stored[name], value) for name, value in wanted.items())
    with torch.no_grad():  # the last bit of a sum depends on where the weights are in memory
        torch.testing.assert_close(loaded.network(images, labels), network(images, labels), rtol=1e-6, atol=1e-6)


def test_files_of_16_bits_are_half_as_large_and_draw_nearly_the_same(tmp_path: Path) -> None:
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    config = CONFIG.change(generator_filters=16)
    network = Generator(config).eval()
    for path, is_half in ((whole, False), (half, True)):
        write_generator(path, network, config, 1, 64, half=is_half)
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    z = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert (load_generator(half).network(z) - network(z)).abs().max() < 1 / 255


def test_one_network_is_not_taken_for_the_other(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    write_discriminator(path, Discriminator(CONFIG), CONFIG, 1, 64)
    with pytest.raises(CheckpointError, match="holds no generator of this project"):
        load_generator(path)
    write_generator(path, Generator(CONFIG), CONFIG, 1, 64)
    with pytest.raises(CheckpointError, match="holds no discriminator of this project"):
        load_discriminator(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="is not a discriminator file, or is cut short"):
        load_discriminator(path)
