"""New runs that start from the trained networks of another run: same weights at step 0, checked shapes, replayed bit for bit."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gan.config import TrainConfig
from gan.course.digits_run import CONFIG, digits_origin
from gan.course.shipped_runs import SHIPPED_RUNS
from gan.data.imageset import ImageDataset
from gan.networks.generator_file import CheckpointError
from gan.runs.folder import RunFolder
from gan.runs.manager import RunManager
from gan.runs.record import prepare, record
from gan.runs.start import begin_like, begin_with, origin_of, refuse_lost_start
from gan.training.loop import Control
from gan.training.state import new_state

CPU = torch.device("cpu")


def trained(path: Path, config: TrainConfig, images: ImageDataset) -> RunFolder:
    folder = RunFolder(path)
    folder.path.mkdir()
    folder.write_config(config, "quick-digits")
    with folder.locked():
        list(record(folder, prepare(folder, config, images, CPU), images, Control()))
    return folder


def others(images: ImageDataset) -> ImageDataset:
    return replace(images, images=images.images.flip(0))


def test_it_begins_with_the_weights_and_counts_from_zero(config: TrainConfig, blobs: ImageDataset, tmp_path: Path) -> None:
    source = trained(tmp_path / "a", config, blobs)
    origin = origin_of(source)
    assert (origin.run, origin.step) == ("a", 12)
    run = RunFolder(tmp_path / "b")
    run.path.mkdir()
    other = config.change(seed=7, lr_g=0.001, duration=5)
    origin.refuse(other)
    run.write_config(other, "run")
    begin_with(run, origin)
    with run.locked():
        state = prepare(run, other, others(blobs), CPU)
        stored = source.read_state(source.state_file)
        for name in ("generator", "discriminator", "averaged"):
            for key, tensor in getattr(state, name).state_dict().items():
                assert torch.equal(tensor, stored[name][key]), (name, key)
        assert (state.step, state.images_seen, len(state.optimizer_g.state)) == (0, 0, 0)
        list(record(run, state, others(blobs), Control()))
    assert json.loads(run.config_file.read_text())["origin"] == {"run": "a", "step": 12}
    assert run.read_config()[1].origin == {"run": "a", "step": 12}

    again = RunFolder(tmp_path / "c")
    again.path.mkdir()
    again.write_config(other, "run")
    begin_like(again, run)
    with again.locked():
        list(record(again, prepare(again, other, others(blobs), CPU), others(blobs), Control()))
    first, second = (folder.read_state(folder.state_file)["generator"] for folder in (run, again))
    assert all(torch.equal(first[key], second[key]) for key in first)
    again.start_file.unlink()
    with pytest.raises(CheckpointError, match=r"start\.pt, which holds them, is missing"):
        begin_like(run, again)


def test_networks_that_do_not_fit_are_refused_with_both_values(config: TrainConfig, blobs: ImageDataset, tmp_path: Path) -> None:
    origin = origin_of(trained(tmp_path / "a", config, blobs), 3)
    with pytest.raises(
        ValueError, match=r"the networks of a at step 12 do not fit .*: latent_dim is 4 there and 8 here; spectral_norm is False"
    ):
        origin.refuse(config.change(latent_dim=8, spectral_norm=True))
    origin.refuse(config.change(optimizer="rmsprop", initialization="dcgan", batch_size=4))
    labeled = replace(blobs, labels=torch.arange(50) % 3, class_names=("a", "b", "c"))
    named = origin_of(trained(tmp_path / "n", config.change(conditional=True), labeled))
    named.refuse_classes(labeled)
    with pytest.raises(
        ValueError, match="the networks of n at step 12 know 3 classes, but the data set blobs has 0: choose a set with as many classes"
    ):
        named.refuse_classes(blobs)
    with pytest.raises(CheckpointError, match="the run a has no scores, so it has no best step"):
        origin_of(RunFolder(tmp_path / "a"), "best")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        origin_of(RunFolder(tmp_path))


@pytest.mark.parametrize("content", [b"no file of torch", {"generator": 3}, {"generator": {}}, [1, 2]])
def test_a_damaged_start_is_refused_and_changes_nothing(content: object, config: TrainConfig, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    if isinstance(content, bytes):
        folder.start_file.write_bytes(content)
    else:
        torch.save(content, folder.start_file)
    state = new_state(config, CPU)
    before = [p.clone() for p in state.generator.parameters()]
    with pytest.raises(CheckpointError, match=r"start\.pt of the run .* cannot be used: "):
        folder.take_start(state)
    assert all(torch.equal(a, b) for a, b in zip(before, state.generator.parameters(), strict=True))


def test_the_digits_run_that_comes_with_the_app_has_three_steps() -> None:
    assert digits_origin(100).step < 130 and digits_origin().step > 700


@pytest.mark.parametrize("name", SHIPPED_RUNS)
def test_a_run_can_start_from_each_run_that_comes_with_the_app(name: str) -> None:
    shipped = SHIPPED_RUNS[name]
    origin = shipped.origin(None)
    assert origin.run == name and origin.config == shipped.config
    state = new_state(shipped.config, CPU)
    origin.refuse(shipped.config)
    state.adopt(origin.networks)
    for network in ("generator", "averaged", "discriminator"):
        own = getattr(state, network).state_dict()
        assert all(torch.equal(own[key], tensor) for key, tensor in origin.networks[network].items()) and own


def test_a_run_whose_start_is_missing_does_not_begin_with_new_networks(config: TrainConfig, blobs: ImageDataset, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "b")
    run.path.mkdir()
    run.write_config(config, "run")
    begin_with(run, origin_of(trained(tmp_path / "a", config, blobs)))
    run.start_file.write_bytes(b"cut short")
    with pytest.raises(CheckpointError, match=r"start\.pt, which holds them, cannot be used: it is not a file of torch"):
        refuse_lost_start(run)
    run.start_file.unlink()
    with run.locked(), pytest.raises(CheckpointError, match=r"start\.pt of the run b, .* is missing: put it back, or train a new run"):
        prepare(run, config, blobs, CPU)
    with pytest.raises(CheckpointError, match="missing: put it back"):
        refuse_lost_start(run)


def test_nothing_is_left_of_a_run_whose_start_cannot_be_written(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, manager: RunManager
) -> None:
    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr("gan.runs.start.save_whole", full)
    with pytest.raises(OSError, match="no space"):
        manager.submit(CONFIG, "quick-digits", origin=digits_origin())
    assert manager.runs() == [] and list(manager.root.iterdir()) == []
