import errno
import itertools
import json
import math
import os
import pickle
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from gan import files
from gan.config import TrainConfig
from gan.data.imageset import ImageDataset
from gan.events import Metrics, Samples
from gan.files import write_atomically
from gan.judging.judgements import Best
from gan.latent import from_seeds
from gan.networks.generator_file import CheckpointError, load_generator
from gan.networks.sampling import sample
from gan.runs import folder as checkpoint
from gan.runs.folder import RunFolder, find_generator, is_run_name, save_generator
from gan.runs.fork import fork
from gan.runs.record import prepare, record, write_status
from gan.runs.states import RunState
from gan.training.loop import Control, train
from gan.training.state import TrainState, new_state
from tests.forked import Forked

CPU = torch.device("cpu")


@pytest.fixture
def state(config: TrainConfig, blobs: ImageDataset) -> TrainState:
    state = new_state(config.change(duration=5), CPU)
    list(train(state, blobs))
    return state


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return (open, (self.path, "w"))


def test_a_generator_draws_the_same_after_saving_and_loading(state: TrainState, tmp_path: Path) -> None:
    save_generator(tmp_path / "g.safetensors", state)
    loaded = load_generator(tmp_path / "g.safetensors")
    z = from_seeds(range(5), 4)
    assert (sample(loaded.network, z) == sample(state.averaged, z)).all()
    assert (loaded.config, loaded.step) == (state.config, 5)
    save_generator(tmp_path / "again.safetensors", state)
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "g.safetensors").read_bytes()


def test_damaged_generators_are_refused_in_one_sentence(state: TrainState, tmp_path: Path) -> None:
    good = tmp_path / "g.safetensors"
    save_generator(good, state)
    content = good.read_bytes()
    bad = tmp_path / "bad.safetensors"
    (length,) = struct.unpack("<Q", content[:8])
    ((name, about),) = json.loads(content[8 : 8 + length])["__metadata__"].items()
    tensors = safetensors.torch.load(content)
    other = {**tensors, "layers.conv4.weight": torch.zeros(1, 2, 3, 4)}
    cases = {
        b"": "cut short",
        content[:5]: "cut short",
        content[: 8 + length // 2]: "cut short",
        content[:-10]: "cannot be read",
        struct.pack("<Q", 2**60) + content[8:]: "cut short",
        pickle.dumps(Bomb(tmp_path / "ran")): "not a generator",
        safetensors.torch.save(tensors): "no generator of this project",
        safetensors.torch.save(other, {name: about}): "does not fit its own settings: layers.conv4.weight has shape (1, 2, 3, 4)",
        safetensors.torch.save(tensors, {name: '{"config": {"latent_dim": 1e9}}'}): "latent_dim must be",
        safetensors.torch.save(tensors, {name: '{"config": []}'}): "cannot be read",
        safetensors.torch.save(tensors, {name: about.replace('"step": 5', '"step": 1e999')}): "cannot be read",
        struct.pack("<Q", 200_000) + b"[" * 200_000: "not a generator",
    }
    for wrong, words in cases.items():
        bad.write_bytes(wrong)
        with pytest.raises(CheckpointError) as caught:
            load_generator(bad)
        assert words in str(caught.value), (words, caught.value)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(CheckpointError, match="there is no file"):
        load_generator(tmp_path / "none.safetensors")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_state_file_with_code_in_it_is_never_executed(config: TrainConfig, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    torch.save({"generator": Bomb(tmp_path / "ran")}, folder.state_file)
    with pytest.raises(CheckpointError, match="not loaded"):
        folder.load_state(config, CPU)
    folder.state_file.write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(CheckpointError):
        folder.load_state(config, CPU)
    assert not (tmp_path / "ran").exists()


def test_a_state_that_is_cut_short_missing_or_of_another_shape_is_refused(state: TrainState, config: TrainConfig, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with pytest.raises(CheckpointError, match="no saved state"):
        folder.load_state(config, CPU)
    folder.save_state(state)
    with pytest.raises(CheckpointError, match="cannot be resumed"):
        folder.load_state(config.change(generator_filters=8), CPU)
    folder.state_file.write_bytes(folder.state_file.read_bytes()[:-2000])
    with pytest.raises(CheckpointError):
        folder.load_state(config, CPU)


def test_files_appear_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "sub" / "file"
    with write_atomically(target) as file:
        file.write(b"one")
    with pytest.raises(OSError), write_atomically(target) as file:
        file.write(b"tw")
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(files.os, "replace", lambda a, b: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
    with pytest.raises(OSError), write_atomically(target) as file:
        file.write(b"three")
    assert target.read_bytes() == b"one"
    assert os.listdir(target.parent) == ["file"]


def row(step: int) -> Metrics:
    return Metrics(step, step * 8, 0.1, 100.0, 1.0, 0.7, 0.5, 0.5, float("nan") if step == 2 else 0.4)


def test_metrics_are_lines_and_a_half_line_is_not_read(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for step in (1, 2, 3):
        folder.append_metrics(row(step))
    assert folder.read_metrics() == ([], 0)
    folder.flush()
    rows, offset = folder.read_metrics()
    assert [r["step"] for r in rows] == [1, 2, 3] and rows[1]["d_fake_after"] is None
    with folder.metrics_file.open("a") as file:
        file.write('{"step": 4, "imag')
    assert folder.read_metrics(offset) == ([], offset)
    folder.truncate(2, 0)
    assert [r["step"] for r in folder.read_metrics()[0]] == [1, 2]


def test_lines_that_could_not_be_written_are_kept_for_the_next_time(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the full disk: the write stops in the middle of a line."""
    script = f"""
import resource, signal
from gan.events import Metrics
from gan.runs.folder import RunFolder
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = RunFolder({str(tmp_path)!r})
def note(steps):
    for step in steps:
        folder.append_metrics(Metrics(step, step, 0.1, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5))
note(range(1, 4))
folder.flush()
size = folder.metrics_file.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 250, resource.RLIM_INFINITY))
note(range(4, 40))
try:
    folder.flush()
    raise SystemExit("nothing was refused")
except OSError:
    pass
assert folder.metrics_file.stat().st_size == size
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
note([40])
folder.flush()
"""
    with Forked(["-c", script]) as process:
        assert process.wait(60) == 0
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 41))


def test_one_writer_at_a_time_and_a_run_without_a_writer_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = RunFolder(tmp_path), RunFolder(tmp_path, patience_s=0)
    one.lock()
    one.write_status(state="running", step=3)
    assert other.read_status()["state"] == "running"
    with pytest.raises(CheckpointError, match="already training"):
        other.lock()
    one.unlock()
    assert other.read_status()["state"] == "interrupted"
    other.lock()
    other.unlock()


def test_what_a_killed_process_left_half_written_goes_when_the_folder_is_locked(state: TrainState, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    left = [".state.pt.7-140.part", "samples/.000004.png.7-140.part", "states/.000010.pt.7-140.part", ".config.json.7-140.part"]
    kept = [".status.json.7-140.part", ".state.pt.part", "state.pt.7-140.part", ".mine.part", "samples/000004.png"]
    for name in left + kept:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"half")
    os.utime(tmp_path / ".config.json.7-140.part", (0, time.time() - 120))  # a newer one may still be written
    folder.lock()
    folder.unlock()
    assert not [name for name in left if (tmp_path / name).exists()]
    assert all((tmp_path / name).exists() for name in kept)


def test_a_run_killed_before_its_first_status_was_interrupted(state: TrainState, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(CheckpointError, match="holds no run"):
        folder.read_status()
    folder.write_config(state.config, "quick-digits")
    assert folder.read_status()["state"] == "interrupted" and folder.read_status()["started"] == pytest.approx(time.time(), abs=60)
    folder.lock()
    assert RunFolder(folder.path).read_status()["state"] == "queued"
    folder.unlock()


@pytest.mark.parametrize("save", [RunFolder.save_state, RunFolder.keep_state])
def test_metrics_are_written_before_the_state_that_goes_on_behind_them(state: TrainState, tmp_path: Path, save: Callable[..., Any]) -> None:
    folder = RunFolder(tmp_path)
    folder.append_metrics(Metrics(5, 40, 0.1, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5))
    save(folder, state)
    assert [row["step"] for row in RunFolder(tmp_path).read_metrics()[0]] == [5]


def test_finding_a_generator(state: TrainState, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.save_generator(state)
    assert find_generator(folder.path) == folder.generator_file(5)
    assert find_generator(folder.generator_file(5)) == folder.generator_file(5)
    with pytest.raises(CheckpointError, match="no generator at step 4; it has 5"):
        find_generator(folder.path, 4)
    with pytest.raises(CheckpointError, match="no run or checkpoint"):
        find_generator(tmp_path / "nothing")
    named = folder.path.with_name
    assert find_generator(named(f"{folder.path.name}@5")) == folder.generator_file(5)
    with pytest.raises(CheckpointError, match="its best generator is unknown"):
        find_generator(named(f"{folder.path.name}@best"))
    folder.append_judged(judgement(5, 3.0))
    folder.flush()
    assert find_generator(named(f"{folder.path.name}@best")) == folder.generator_file(5)
    for name, words in (("@worst", "give a step number or \"best\"; got 'worst'"), ("@4", "no generator at step 4")):
        with pytest.raises(CheckpointError, match=words):
            find_generator(named(folder.path.name + name))


def test_names_that_could_leave_the_folder_are_no_runs() -> None:
    assert is_run_name("quick-digits-1122-101500-ab12")
    assert not any(is_run_name(n) for n in ("", "..", "a/b", "a\\b", ".hidden", "a" * 101, "a\n", "ü"))


def test_damaged_json_is_named(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for content in ("{", "[]", "null"):
        folder.config_file.write_text(content)
        with pytest.raises(CheckpointError, match=r"config\.json"):
            folder.read_config()
    folder.config_file.write_text(json.dumps({"config": {"batch_size": 0}}))
    with pytest.raises(CheckpointError, match="batch_size must be"):
        folder.read_config()


def trained(folder: RunFolder, config: TrainConfig, blobs: ImageDataset, steps: int = 12) -> TrainState:
    """A run that has trained, with a change at step 6."""
    folder.path.mkdir(parents=True)
    folder.write_config(config, "quick-digits", blobs, owner="Ada")
    control, state = Control(), new_state(config.change(duration=steps), CPU)
    for event in record(folder, state, blobs, control):
        if isinstance(event, Samples) and event.step == 6:
            folder.keep_state(state)
            control.change("lr_g", 0.001)
    write_status(folder, RunState.FINISHED, state)
    return state


def test_a_fork_goes_on_from_the_nearest_saved_state_with_other_settings(tmp_path: Path, config: TrainConfig, blobs: ImageDataset) -> None:
    parent = RunFolder(tmp_path / "parent")
    trained(parent, config, blobs)
    assert parent.state_steps() == [6]
    child = fork(parent, tmp_path / "child", 7, {"lr_d": 0.004, "batch_size": 10, "seed": 5, "duration": 20}, owner="Bob")
    after, about = child.read_config()
    assert (after.lr_d, after.batch_size, after.lr_g) == (0.004, 10, config.lr_g)
    settings = {"batch_size": [8, 10], "lr_d": [config.lr_d, 0.004], "duration": [12, 20], "seed": [0, 5]}
    assert about["parent"] == {"run": "parent", "step": 6, "changes": 0, "settings": settings}
    assert about["owner"] == "Bob" and about["recipe"] == "quick-digits"
    assert [row["step"] for row in child.read_metrics()[0]] == [5] and child.read_interventions() == []
    assert child.sample_steps() == [0, 1, 2, 3, 4, 5, 6]
    assert child.read_status()["step"] == 6
    state = prepare(child, after, blobs, CPU)
    assert state.step == 6 and state.optimizer_d.param_groups[0]["lr"] == 0.004
    list(record(child, state, blobs, Control()))
    assert state.step == 20 and child.read_config()[1]["parent"]["step"] == 6

    last = fork(parent, tmp_path / "last", 1000, {"dropout": 0.3})
    assert last.read_config()[1]["parent"]["step"] == 12
    assert last.read_config()[0].lr_g == 0.001 and [c.field for c in last.read_interventions()] == ["lr_g"]


def test_an_unchanged_fork_goes_on_as_its_parent_would(tmp_path: Path, config: TrainConfig, blobs: ImageDataset) -> None:
    whole = RunFolder(tmp_path / "whole")
    trained(whole, config, blobs)
    again = fork(whole, tmp_path / "again", 6, {})
    state = prepare(again, again.read_config()[0].change(duration=12, lr_g=0.001), blobs, CPU)
    state.change("lr_g", 0.001)
    list(record(again, state, blobs, Control()))
    for name, tensor in whole.read_state(whole.state_file)["generator"].items():
        assert torch.equal(tensor, state.generator.state_dict()[name]), name


def test_forks_that_cannot_be_are_refused(tmp_path: Path, config: TrainConfig, blobs: ImageDataset) -> None:
    parent = RunFolder(tmp_path / "parent")
    parent.path.mkdir()
    parent.write_config(config, "")
    with pytest.raises(CheckpointError, match="has no saved state yet"):
        fork(parent, tmp_path / "child", 0, {})
    trained(RunFolder(tmp_path / "other"), config, blobs)
    with pytest.raises(ValueError, match="latent_dim cannot change in a fork"):
        fork(RunFolder(tmp_path / "other"), tmp_path / "child", 0, {"latent_dim": 5})
    with pytest.raises(ValueError, match="lr_g must be"):
        fork(RunFolder(tmp_path / "other"), tmp_path / "child", 0, {"lr_g": -1})
    assert (
        sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["checkpoints", "other", "parent"] or not (tmp_path / "child").exists()
    )


def test_states_for_forks_are_thinned_without_a_large_gap(tmp_path: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "STATES_KEPT", 4)
    folder, state = RunFolder(tmp_path / "run"), new_state(config, CPU)
    for step in range(500, 8001, 500):
        state.step = step
        folder.keep_state(state)
    steps = folder.state_steps()
    assert len(steps) == 4 and steps[-1] == 8000
    assert max(b - a for a, b in itertools.pairwise([0, *steps])) <= 4500


def judgement(step: int, fd: float, error: float = 1.0) -> dict[str, Any]:
    return {"step": step, "images": 50, "fd": fd, "fd_error": error, "fd_floor": 1.0, "kl": math.nan, "shares": [0.5, 0.5], "missing": []}


def test_judgements_are_logged_cut_and_inherited_as_metrics_are(tmp_path: Path, config: TrainConfig, blobs: ImageDataset) -> None:
    folder = RunFolder(tmp_path / "run")
    trained(folder, config, blobs)
    assert folder.read_judged() == [] and folder.best() is None
    for step, fd in ((2, 9.0), (4, 5.0), (6, 4.5), (12, 3.0)):
        folder.append_judged(judgement(step, fd))
    assert folder.read_judged() == [], "noted, and not written yet"
    folder.flush()
    rows = folder.read_judged()
    assert [(row["step"], row["fd"], row["kl"], row["shares"]) for row in rows][-1] == (12, 3.0, None, [0.5, 0.5])
    assert folder.best() == Best(12, 3.0, 1.0, 1.0, 0)
    child = fork(folder, tmp_path / "child", 6, {})
    assert [row["step"] for row in child.read_judged()] == [2, 4, 6]
    assert child.best() == Best(4, 5.0, 1.0, 1.0, 2), "a gain smaller than its error is none"
    assert child.generator_file(4).exists(), "the best goes along"
    other = fork(folder, tmp_path / "other", 6, {"data": "faces", "duration_unit": "steps"})
    assert other.best() is None, "distances from another data set mean nothing here"
    with folder.judge_file.open("a") as file:
        file.write('{"step": 13, "fd": "low", "fd_error": []}\nnonsense\n{"step": 14')
    assert folder.read_judged()[-1]["fd"] is None and folder.best().since == 1
    folder.truncate(6, 0)
    assert [row["step"] for row in folder.read_judged()] == [2, 4, 6] and folder.best().step == 4
