"""Feature networks: what they learn; each is trained once, and their files never execute code."""

import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from gan.data import cache, datasets
from gan.data.datasets import ImageDataset
from gan.devices import one_thread
from gan.judging import features, reals
from gan.judging.reals import part
from tests.conftest import finish

FEW = 28 * 28 * 100 * 40  # pixels: 40 steps


def bars(n: int = 300, channels: int = 1, size: int = 28, **what: Any) -> ImageDataset:
    """Bright bars, lying or upright, at any place: uint8 (n, channels, size, size), and which they are."""
    rng = np.random.default_rng(0)
    upright = rng.random(n) < 0.5
    images = rng.integers(0, 60, (n, channels, size, size), dtype=np.uint8)
    for image, up, at in zip(images, upright, rng.integers(2, size - 6, n), strict=True):
        image[:, :, at : at + 4] += np.uint8(180 * up)
        image[:, at : at + 4] += np.uint8(180 * (not up))
    made = ImageDataset("bars", torch.from_numpy(images), **{name: value(upright) for name, value in what.items()})
    return made


def told(**more: int) -> ImageDataset:
    return bars(labels=lambda up: torch.from_numpy(up.astype(np.int64)), class_names=lambda _: ("lying", "upright"), **more)


def with_attributes() -> ImageDataset:
    facts: dict[str, Any] = {
        "attributes": lambda up: torch.from_numpy(np.stack([up, ~up, up], 1)),
        "attribute_names": lambda _: ("up", "down", "tall"),
    }
    return bars(**facts)


@pytest.fixture(scope="module")
def of() -> reals.Reals:
    return part(told())


@pytest.fixture(scope="module")
def network(of: reals.Reals) -> features.FeatureNetwork:
    return finish(features.train(of, FEW))


@pytest.mark.parametrize(
    ("data", "name", "size", "channels", "least"), [("mnist", "digits-CNN", 28, 1, 0.98), ("faces", "faces-CNN", 64, 3, 0.95)]
)
def test_networks_that_ship(data: str, name: str, size: int, channels: int, least: float) -> None:
    file = features.SHIPPED / f"{data}.safetensors"
    assert file.stat().st_size < 1_000_000
    about = features.load(file).about
    assert (about.name, about.image_size, about.channels) == (name, size, channels) == (name, *datasets.native(data))
    assert about.accuracy >= least and about.explained > 0.7


def test_the_digits_network_knows_digits() -> None:
    test = finish(datasets.load("mnist", 28, 1, "test"))
    of = part(test)
    network = finish(features.network_for(reals.Reals("mnist", of.learned, of.spare, of.held_out, True)))
    assert network.name == "digits-CNN"
    found = network.features(test.images[:2000].numpy())
    right = (network.probabilities(found).argmax(1) == test.labels[:2000].numpy()).mean()
    assert right > 0.975
    assert found.dtype == np.float32 and found.shape == (2000, features.FEATURES)
    assert found.var(0).sum() == pytest.approx(features.FEATURES, rel=0.1)


def test_features_are_the_same_alone_in_a_batch_and_again(network: features.FeatureNetwork) -> None:
    images = told().images.numpy()
    together = network.features(images)
    assert np.array_equal(together, network.features(images))
    assert np.allclose(together, network.features(images, batch=7), atol=1e-4)
    assert np.allclose(together[:1], network.features(images[:1]), atol=1e-4)


def test_features_are_computed_on_one_thread_and_the_caller_keeps_its_own(network: features.FeatureNetwork) -> None:
    used: list[int] = []
    hook = network.encoder.register_forward_hook(lambda *_: used.append(torch.get_num_threads()))
    with one_thread():  # puts back what the test sets
        torch.set_num_threads(2)
        network.features(told().images.numpy())
        assert torch.get_num_threads() == 2
    hook.remove()
    assert used and set(used) == {1}, "a run that trains keeps its cores"


def test_images_of_other_sizes_and_colors_are_brought_to_the_networks(network: features.FeatureNetwork) -> None:
    images = told().images.numpy()
    larger = images.repeat(2, 2).repeat(2, 3).repeat(3, 1)
    assert larger.shape[1:] == (3, 56, 56)
    near, far = (
        np.linalg.norm(network.features(larger) - network.features(other), axis=1).mean() for other in (images, images[::-1].copy())
    )
    assert near < 0.1 * far
    leaf = torch.zeros(2, 3, 64, 64, requires_grad=True)
    network.embed(leaf).sum().backward()
    assert leaf.grad.abs().sum() > 0 and all(p.grad is None for p in network.parameters())


def test_labels_are_learned_and_the_figures_are_those_of_the_kept_file(
    network: features.FeatureNetwork, of: reals.Reals, tmp_path: Path
) -> None:
    assert network.about.kind == "classes" and network.about.outputs == ("lying", "upright")
    assert network.about.accuracy > 0.95 and network.name == "bars-CNN"
    features.save(tmp_path / "n.safetensors", network)
    again = features.load(tmp_path / "n.safetensors")
    images = of.held_out.images()
    assert again.about == network.about and np.array_equal(again.features(images), network.features(images))
    answers = again.probabilities(again.features(images))
    assert np.allclose(answers.sum(1), 1, atol=1e-5)
    labels = of.held_out.dataset.labels.numpy()[of.held_out.rows]
    assert (answers.argmax(1) == labels).mean() == pytest.approx(network.about.accuracy, abs=1e-3)


def test_equal_data_give_an_equal_network(network: features.FeatureNetwork, of: reals.Reals) -> None:
    torch.manual_seed(7)  # the global generator changes nothing
    assert finish(features.train(of, FEW)).digest == network.digest


def test_attributes_are_learned_each_by_itself() -> None:
    network = finish(features.train(part(with_attributes()), FEW))
    assert network.about.kind == "attributes" and network.about.outputs == ("up", "down", "tall") and network.about.accuracy > 0.9
    up, down, tall = network.probabilities(network.features(with_attributes().images.numpy())).T
    assert np.corrcoef(up, tall)[0, 1] > 0.8 > -0.8 > np.corrcoef(up, down)[0, 1]


@pytest.mark.parametrize("unlabelled", [bars(), told(n=100)], ids=["no labels", "few of each class"])
def test_without_labels_an_autoencoder(unlabelled: ImageDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "FEWEST_A_CLASS", 40)
    network = finish(features.train(part(unlabelled), FEW))
    assert (network.name, network.about.kind, network.about.accuracy) == ("bars-autoencoder", "nothing", None)


def test_a_network_of_large_images_sees_them_smaller() -> None:
    network = finish(features.train(part(told(n=100, channels=3, size=128)), pixels=1))
    assert (network.about.image_size, network.about.channels) == (64, 3)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features.train.__wrapped__, "__defaults__", (FEW / 10,))  # type: ignore[attr-defined]  # the function under its decorator


def test_a_network_is_trained_once_and_kept(of: reals.Reals, quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    first = finish(features.network_for(of))
    monkeypatch.setattr(features, "train", None)
    again = finish(features.network_for(of))
    assert again.digest == first.digest
    renamed = reals.Reals("somewhere/else.zip", of.learned, of.spare, of.held_out, of.new)
    assert finish(features.network_for(renamed)).name == "else-CNN"


def test_other_labels_ask_for_another_network_and_a_cut_file_is_made_again(of: reals.Reals, quick: None) -> None:
    finish(features.network_for(of))
    finish(features.network_for(part(bars())))
    kept = sorted((datasets.data_root() / "cache").glob("network-*/network.safetensors"))
    assert len(kept) == 2
    kept[0].write_bytes(kept[0].read_bytes()[:1000])
    kept[1].write_bytes(b"")
    for each in (of, part(bars())):
        finish(features.network_for(each))
    assert all(features.load(file) for file in kept)


def test_a_canceled_training_leaves_nothing(of: reals.Reals) -> None:
    working = features.network_for(of)
    next(working)
    working.close()
    assert not list(datasets.data_root().rglob("*.safetensors"))


def test_what_cannot_be_kept_is_said_and_works(of: reals.Reals, quick: None, network: features.FeatureNetwork, folders: Path) -> None:
    (folders / "data").write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="the feature network cannot be saved"):
        assert finish(features.network_for(of)).name == "bars-CNN"
    with pytest.warns(UserWarning, match="features cannot be saved"):
        matrix = finish(features.feature_matrix(network, of.learned.dataset))
    assert matrix.shape == (300, features.FEATURES)


def test_the_feature_matrix_is_computed_once_and_mapped(
    network: features.FeatureNetwork, of: reals.Reals, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = of.learned.dataset
    matrix = finish(features.feature_matrix(network, dataset))
    assert np.array_equal(matrix, network.features(dataset.images.numpy()))
    monkeypatch.setattr(features.FeatureNetwork, "features", None)
    again = finish(features.feature_matrix(network, dataset))
    assert isinstance(again, np.memmap) and np.array_equal(again, matrix)


def test_a_cut_matrix_is_computed_anew_and_a_canceled_one_leaves_none(network: features.FeatureNetwork, of: reals.Reals) -> None:
    working = features.feature_matrix(network, of.learned.dataset)
    next(working)
    working.close()
    assert not list(datasets.data_root().rglob("*.npy"))
    first = np.array(finish(features.feature_matrix(network, of.learned.dataset)))
    (file,) = datasets.data_root().rglob("features.npy")
    file.write_bytes(file.read_bytes()[:-4])
    assert np.array_equal(finish(features.feature_matrix(network, of.learned.dataset)), first)


def test_the_cache_lets_old_features_go(network: features.FeatureNetwork, of: reals.Reals, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(features.feature_matrix(network, of.learned.dataset))
    (file,) = datasets.data_root().rglob("features.npy")
    monkeypatch.setattr(cache, "LARGEST_CACHE", file.stat().st_size)
    with cache.writing(datasets.data_root() / "cache" / "set", (1, 8, 8), 10, "a set") as writer:
        writer.add(np.zeros((10, 1, 8, 8), np.uint8))
    assert not file.exists()


class Bomb:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(Bomb()),
        b"",
        safetensors.torch.save({"a": torch.zeros(1)}),
        safetensors.torch.save({"a": torch.zeros(1)}, {features.FORMAT: "[]"}),
        safetensors.torch.save({"a": torch.zeros(1)}, {features.FORMAT: '{"data": "x", "image_size": 28, "channels": 1, "kind": "nothing", "outputs": []}'}),
        safetensors.torch.save({}, {features.FORMAT: '{"data": "x", "image_size": 99999999, "channels": 1, "kind": "nothing", "outputs": []}'}),
        safetensors.torch.save({}, {features.FORMAT: '{"data": "x", "image_size": 28, "channels": 1, "kind": "evil", "outputs": [1]}'}),
    ],
)  # fmt: skip
def test_files_that_are_no_networks_are_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "network.safetensors"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"network\.safetensors is not a feature network"):
        features.load(file)


def test_a_huge_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(features.SHIPPED / "mnist.safetensors", tmp_path)
    monkeypatch.setattr(features, "LARGEST_FILE", 2**17)
    with pytest.raises(ValueError, match=r"mnist\.safetensors is larger than 0 MiB"):
        features.load(tmp_path / "mnist.safetensors")


def test_the_command_says_what_it_trains(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["features", "--help"])
    with pytest.raises(SystemExit, match="0"):
        features.main()
    assert "{mnist,faces}" in capsys.readouterr().out
