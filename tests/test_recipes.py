"""Every recipe of the table trains, resumes, samples and walks. Narrow networks and small batches: only the shapes matter."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gan import latent
from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.events import Metrics, Samples
from gan.networks.generator_file import LoadedTranslator, Translates, load_generator, load_translator
from gan.networks.sampling import sample, translate
from gan.recipes import RECIPES
from gan.runs.folder import RunFolder
from gan.runs.record import prepare, record
from gan.training.loop import Control
from gan.training.translation_grid import grid_side


def translates(loaded: LoadedTranslator, images: torch.Tensor, config: TrainConfig) -> None:
    assert loaded.config.networks == config.networks and loaded.step == 12
    assert loaded.kinds == (("a", "b") if config.networks == "cyclegan" else ("A", "B"))
    there = translate(loaded.network, images[:3])
    assert there.shape == images[:3].shape and there.dtype == torch.uint8 and not torch.equal(there, images[:3])
    if config.networks == "cyclegan":
        assert translate(loaded.network, there, back=True).shape == there.shape


@pytest.mark.parametrize("name", RECIPES)
def test_ten_steps_resumed_sampled_and_walked(name: str, tmp_path: Path) -> None:
    config = RECIPES[name].config.change(
        generator_filters=4, discriminator_filters=4, batch_size=4, precision="fp32", duration=10, duration_unit="steps", log_every=5
    )
    shape = (config.channels, config.image_size, config.image_size)
    images = torch.randint(0, 256, (40, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(40) % 3
    names: tuple[str, ...] = ("a", "b", "c")
    if config.networks == "cyclegan":
        labels, names = labels % 2, ("a", "b")
    inputs = images.flip(0) if config.networks == "pix2pix" else None
    dataset, folder, cpu = ImageDataset(config.data, images, labels, names, inputs=inputs), RunFolder(tmp_path), torch.device("cpu")
    folder.write_config(config, name)

    events = list(record(folder, prepare(folder, config, dataset, cpu), dataset, Control()))
    assert [e.step for e in events if isinstance(e, Metrics)] == [5, 10]
    grids = [e for e in events if isinstance(e, Samples)]
    shown = grid_side(config) ** 2 if config.translates else config.grid_images
    assert grids[-1].step == 10 and grids[-1].images.shape == (shown, *shape)
    if config.grid_every == 10:
        assert [g.step for g in grids] == [0, 10]

    longer = config.change(duration=12)
    state = prepare(folder, longer, dataset, cpu)
    assert state.step == 10
    list(record(folder, state, dataset, Control()))
    if config.translates:
        translates(load_translator(folder.generator_file(12)), images, config)
        with pytest.raises(Translates, match="translates images and has no latent vectors: open it on the page Translate"):
            load_generator(folder.generator_file(12))
        return
    loaded = load_generator(folder.generator_file(12))
    z = latent.from_seeds([1, 2], config.latent_dim, config.latent_distribution)
    assert loaded.class_names == (("a", "b", "c") if config.conditional else ())
    of_class = torch.full((5,), 2) if config.conditional else None
    pictures = sample(loaded.network, z, of_class[:2] if config.conditional else None)
    assert pictures.shape == (2, *shape) and np.isfinite(pictures).all()
    assert sample(loaded.network, latent.walk(z, 5), of_class).shape == (5, *shape)
