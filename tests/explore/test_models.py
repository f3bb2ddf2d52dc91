"""A seed names one image: alone or among others, at any time, whatever else is requested."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.explore.models import ModelCache, find_model
from gan.images import to_float
from gan.networks.sampling import acts_in_training, sample, sample_as_in_training
from gan.runs.folder import RunFolder, save_generator
from gan.training.loop import train
from gan.training.state import new_state

CPU = torch.device("cpu")


@pytest.fixture
def root(tmp_path: Path, config: TrainConfig, blobs: ImageDataset) -> Path:
    """A folder with a generator that was trained for a few steps, so its averages differ from the initial ones."""
    state = new_state(config, CPU)
    list(train(state, blobs))
    save_generator(tmp_path / "pretrained" / "digits.safetensors", state)
    return tmp_path


def test_a_seed_gives_the_same_picture_alone_among_others_and_tomorrow(root: Path) -> None:
    model, cache = find_model(root, "digits"), ModelCache(root)
    together = cache.images(model, model.z([*range(20)]))
    alone = np.concatenate([cache.images(model, model.z([seed])) for seed in range(20)])
    # Sums run in another order in another batch: a pixel may be rounded to the next level.
    assert np.abs(together.astype(int) - alone).max() <= 1 and np.mean(together != alone) < 0.001
    sample_as_in_training(cache.get(model).network, model.z([1, 2, 3]))  # changes nothing for anyone
    tomorrow = ModelCache(root).images(find_model(root, "digits"), model.z([*range(20)]))
    assert np.array_equal(together, tomorrow) and np.array_equal(together, cache.images(model, model.z([*range(20)])))


def test_training_mode_uses_the_batch_and_touches_nothing(root: Path) -> None:
    model = find_model(root, "digits")
    network = ModelCache(root).get(model).network
    before = copy.deepcopy(network.state_dict())
    z = model.z([*range(6)])
    first = sample_as_in_training(network, z)
    # The picture of a seed depends on the others in its batch; equal batches give equal pictures.
    assert np.array_equal(first, sample_as_in_training(network, z))
    assert np.abs(first[:3].astype(int) - sample_as_in_training(network, z[:3])).max() > 1
    assert np.abs(first.astype(int) - sample(network, z)).mean() > 0.1
    assert not network.training and not any(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())

    # By hand: the whole network with each normalization replaced by its formula, over this very batch.
    x = z[:, :, None, None] if z.dim() == 2 and isinstance(network.layers[0], torch.nn.ConvTranspose2d) else z
    for layer in network.layers:
        if isinstance(layer, torch.nn.BatchNorm2d):
            mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, correction=0)
            x = (x - mean) / (variance + layer.eps).sqrt() * layer.weight[:, None, None] + layer.bias[:, None, None]
        else:
            x = layer(x)
    assert (to_float(torch.from_numpy(first)) - x).abs().max() < 0.02


def test_training_mode_of_dense_networks_of_classes_and_without_normalization(config: TrainConfig) -> None:
    dense = new_state(config.change(networks="mlp", image_size=28), CPU).averaged
    with pytest.raises(ValueError, match="at least 2 images"):
        sample_as_in_training(dense, torch.randn(1, 4))
    assert sample_as_in_training(dense, torch.randn(2, 4)).shape == (2, 1, 28, 28)
    plain = new_state(config.change(generator_norm="none"), CPU).averaged
    z = torch.randn(5, 4)
    assert not acts_in_training(plain) and np.array_equal(sample_as_in_training(plain, z), sample(plain, z))
    by_class = new_state(config.change(conditional=True), CPU, class_names=("a", "b")).averaged
    assert acts_in_training(by_class)
    labels = torch.tensor([0, 1, 0, 1, 0])
    assert sample_as_in_training(by_class, z, labels).shape == (5, 1, 28, 28)


def test_the_best_of_a_run_is_a_model(tmp_path: Path, config: TrainConfig) -> None:
    folder, state = RunFolder(tmp_path / "run"), new_state(config, CPU)
    folder.path.mkdir()
    for state.step, fd in ((4, 2.0), (8, 3.0)):
        folder.save_generator(state)
        folder.append_judged({"step": state.step, "fd": fd, "fd_error": 0.1})
    with pytest.raises(KeyError):
        find_model(tmp_path, "run@best")
    folder.flush()
    assert find_model(tmp_path, "run@best").id == "run@4"
    folder.generator_file(4).unlink()
    for name in ("run@best", "../run@best", "none@best", "best@best"):
        with pytest.raises(KeyError):
            find_model(tmp_path, name)
