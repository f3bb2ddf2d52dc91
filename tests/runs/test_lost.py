"""Nothing of a run is lost or mixed up if its state is removed or damaged, its data move or change, or its disk fills."""

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gan import files
from gan.config import TrainConfig
from gan.data import datasets
from gan.data.imageset import ImageDataset
from gan.events import Metrics, Samples
from gan.networks.generator_file import CheckpointError
from gan.runs import jsonlines
from gan.runs import record as recording
from gan.runs import run as runs
from gan.runs.folder import RunFolder, StateLost
from gan.runs.fork import fork
from gan.runs.manager import RunManager
from gan.runs.record import prepare, record, write_status
from gan.runs.run import Run
from gan.runs.states import RunState
from gan.training.loop import Control
from gan.training.state import new_state
from tests.conftest import Recorded
from tests.waiting import ended, wait_for

CPU = torch.device("cpu")


def train(folder: RunFolder, config: TrainConfig | None, blobs: ImageDataset, keep_at: tuple[Any, ...] | tuple[int, int] = ()) -> RunFolder:
    """A run that has trained to its end, with whole states kept at some steps."""
    if not folder.path.exists():
        folder.path.mkdir(parents=True)
        folder.write_config(config, "quick-digits", blobs)
    state = prepare(folder, folder.read_config()[0], blobs, CPU)
    for event in record(folder, state, blobs, Control()):
        if isinstance(event, Samples) and event.step in keep_at:
            folder.keep_state(state)
    write_status(folder, RunState.FINISHED, state)
    return folder


def contents(folder: Path) -> dict[Path, bytes]:
    """The content of every file of a folder, except times."""
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


@pytest.fixture
def run(tmp_path: Path, config: TrainConfig, blobs: ImageDataset, recorded: Recorded) -> RunFolder:
    """Ten steps, with states kept at 4 and 8: each test has a copy of its own."""
    ten = config.change(duration=10, log_every=1, grid_every=2)
    return recorded.copy(tmp_path / "run", lambda folder: train(folder, ten, blobs, keep_at=(4, 8)))


def remove(file: Path) -> None:
    file.unlink()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-2000])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def no_zip(file: Path) -> None:
    file.write_bytes(b"not a state" * 100)


def another_shape(file: Path) -> None:
    stored = torch.load(file, weights_only=True)
    stored["generator"] = {name: torch.zeros(3, 7) for name in stored["generator"]}
    torch.save(stored, file)


def an_older_version(file: Path) -> None:
    stored = torch.load(file, weights_only=True)
    del stored["summed"]
    torch.save(stored, file)


DAMAGES = {
    remove: "state.pt is missing",
    cut: "is cut short",
    empty: "cut short",
    no_zip: "cut short",
    another_shape: "has shape",
    an_older_version: "summed is missing, so another version of this project wrote it",
}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda f: f.__name__)
def test_a_run_with_steps_never_starts_again_and_says_what_is_left(
    run: RunFolder, config: TrainConfig, blobs: ImageDataset, damage: Callable[..., Any]
) -> None:
    damage(run.state_file)
    before = contents(run.path)
    with pytest.raises(StateLost) as caught:
        prepare(run, run.read_config()[0].change(duration=15), blobs, CPU)
    said = str(caught.value)
    assert DAMAGES[damage] in said and "state.pt" in said and "newest checkpoint is from step 8" in said and "--kept" in said
    assert "\n" not in said and "[Errno" not in said
    assert contents(run.path) == before, "nothing is changed"
    shutil.rmtree(run.path / "states")
    with pytest.raises(StateLost, match=r"it cannot continue: start a new run with its settings\. Its 5 generators can still be explored"):
        prepare(run, run.read_config()[0], blobs, CPU)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("damage", [remove, cut, an_older_version], ids=lambda f: f.__name__)
def test_going_back_to_a_kept_state_ends_as_if_nothing_had_happened_and_sets_the_rest_aside(
    run: RunFolder, blobs: ImageDataset, damage: Callable[..., Any]
) -> None:
    damage(run.state_file)
    before = contents(run.path)
    assert run.go_back() == 8
    aside = run.path / "set-aside" / "1"
    later = ["samples/000010.png", *(["state.pt"] if damage is not remove else [])]
    for name in (*later, "metrics.jsonl", "status.json"):
        assert (aside / name).read_bytes() == before[(aside / name).relative_to(aside)], name
    assert not run.samples_file(10).exists() and run.read_status()["step"] == 8 and run.read_status()["state"] == "stopped"
    again = contents(train(run, None, blobs).path)
    for name in ("generator-000004.safetensors", "generator-000010.safetensors", "samples/000010.png"):
        (path,) = [p for p in before if str(p) == name]
        assert again[path] == before[path], name
    logged = [
        [
            {k: v for k, v in json.loads(line).items() if not k.endswith("_s")}
            for line in f[next(p for p in f if p.name == "metrics.jsonl" and len(p.parts) == 1)].splitlines()
        ]
        for f in (before, again)
    ]
    assert logged[0] == logged[1] and len(logged[0]) == 10
    remove(run.state_file)
    assert run.go_back() == 8 and (run.path / "set-aside" / "2").is_dir(), "what was set aside before stays"


def test_a_damaged_kept_state_is_not_offered_and_an_older_one_is(run: RunFolder, config: TrainConfig) -> None:
    cut(run.kept_state_file(8))
    remove(run.state_file)
    assert run.newest_kept() == 4 and run.fork_steps() == [4]
    child = fork(run, run.path.with_name("child"), 10, {})
    assert child.read_config()[1]["parent"]["step"] == 4 and child.fork_steps() == [4]
    remove(child.state_file)
    assert child.newest_kept() == 4, "the state that a fork began with is one to go back to"
    empty(run.kept_state_file(4))
    assert run.fork_steps() == []
    with pytest.raises(CheckpointError, match=r"states/000004\.pt of the run run cannot be used"):
        fork(run, run.path.with_name("other"), 10, {})
    with pytest.raises(CheckpointError, match="no checkpoint to continue from"):
        run.go_back()


def test_the_state_is_saved_before_anything_of_the_first_step_is_logged(tmp_path: Path, config: TrainConfig, blobs: ImageDataset) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.write_config(config, "", blobs)
    state = new_state(config.change(log_every=1), CPU)
    for event in record(folder, state, blobs, Control()):
        if isinstance(event, Metrics):
            break  # as a kill would end it
    assert folder.fork_steps() == [1]
    assert folder.generator_steps() == []


def test_the_app_refuses_and_offers_the_kept_state(manager: RunManager, config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "KEPT_EVERY_S", -1)
    run = manager.submit(config)
    wait_for(ended(run))
    kept = run.folder.newest_kept()
    assert kept
    run.folder.state_file.unlink()
    before = contents(run.folder.path)
    run = manager.resume(run.id, "steps", 5)
    wait_for(ended(run))
    status = run.status()
    assert (run.state, status["step"], status["stuck"], status["error"]) == ("finished", 12, "state", None)
    assert "state.pt is missing" in status["reason"]
    after = contents(run.folder.path)
    assert {n for n in before if before[n] != after.get(n)} == {n for n in before if n.name == "status.json"}, (
        "its settings too are as before"
    )
    run = manager.resume(run.id, kept=True)
    wait_for(ended(run))
    assert (run.state, run.status()["step"], run.status()["reason"], run.status().get("stuck")) == ("finished", 12, None, None)
    assert run.folder.generator_file(12).read_bytes() == before[run.folder.generator_file(12).relative_to(run.folder.path)]


# Data that moved, changed or went.


def test_a_finished_run_whose_data_are_gone_stays_finished(
    manager: RunManager, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = manager.submit(config)
    wait_for(ended(run))
    before = contents(run.folder.path)
    monkeypatch.setattr(datasets, "available", lambda: ["mnist"])
    with pytest.raises(ValueError, match=r"the data set blobs is missing: put it back, or give the new place of the same images"):
        manager.resume(run.id, "steps", 5)
    assert run.state == "finished" and contents(run.folder.path) == before
    monkeypatch.setattr(datasets, "available", lambda: ["mnist", "moved"])
    run = manager.resume(run.id, "steps", 5, data="moved")
    wait_for(ended(run))
    assert (run.state, run.status()["step"], run.config.data, run.stored["data"]) == ("finished", 17, "moved", "moved")
    with pytest.raises(ValueError, match="there is no data set"):
        manager.resume(run.id, "steps", 5, data="/etc")


def test_a_finished_run_whose_data_have_grown_stays_finished_and_can_be_forked(
    manager: RunManager, config: TrainConfig, blobs: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = manager.submit(config)
    wait_for(ended(run))
    blobs.images[0] += 1
    before = contents(run.folder.path)
    run = manager.resume(run.id, "steps", 5)
    wait_for(ended(run))
    status = run.status()
    assert (run.state, status["stuck"], run.config.duration) == ("finished", "data", 12)
    assert "has changed since" in status["reason"] and "fork the run" in status["reason"]
    assert (
        contents(run.folder.path)[run.folder.config_file.relative_to(run.folder.path)]
        == before[run.folder.config_file.relative_to(run.folder.path)]
    )
    child = manager.fork(run.id, 12, {}, "steps", 3)
    wait_for(ended(child))
    assert (child.state, child.status()["step"]) == ("finished", 15)
    assert child.stored["parent"]["other_images"] is True and child.stored["data_fingerprint"] == blobs.fingerprint()
    blobs.images[0] += 1
    child = manager.resume(child.id, "steps", 3)
    wait_for(ended(child))
    assert child.state == "finished" and child.status()["stuck"] == "data", "once it has trained, it keeps its images like any other"


# A disk that fills.

PLACES = {
    "metrics": (jsonlines, "append"),
    "samples": (RunFolder, "save_samples"),
    "generator": (RunFolder, "save_generator"),
    "kept state": (RunFolder, "keep_state"),
    "state": (RunFolder, "save_state"),
    "status": (recording, "write_status"),
    "the file under torch.save": (files.NotedFile, "write"),
}


@pytest.fixture(scope="module")
def whole_run() -> dict[str, RunFolder]:
    """The run that nothing disturbed, once it has been made."""
    return {}


@pytest.mark.parametrize("place", PLACES)
def test_a_full_disk_pauses_the_run_at_every_place_that_saves_and_nothing_is_missing(
    data: None,
    config: TrainConfig,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    whole_run: dict[str, RunFolder],
    place: str,
) -> None:
    for name, value in (("ROOM_EVERY_S", 0.01), ("KEPT_EVERY_S", -1), ("STATE_EVERY_S", -1), ("FLUSH_EVERY_S", -1), ("SELDOM_S", -1)):
        monkeypatch.setattr(recording if hasattr(recording, name) else runs, name, value)
    config = config.change(log_every=1)
    if not whole_run:
        undisturbed = RunManager(tmp_path_factory.mktemp("whole"))
        run = undisturbed.submit(config)
        wait_for(ended(run))
        undisturbed.shutdown()
        whole_run["folder"] = run.folder
    whole = whole_run["folder"]
    manager = RunManager()

    where, name = PLACES[place]
    original = getattr(where, name)
    refused: list[Any] = []
    found: list[Run] = []
    asked: list[Any] = [None]  # the file that was written last

    def full(*arguments: Any, **named: Any) -> int | None:
        if where is files.NotedFile and arguments[0] is asked[0]:  # torch.save() writes in hundreds of pieces; the first one decides
            return original(*arguments, **named)
        asked[0] = arguments[0]
        if not found:
            found.extend(manager.runs())
        if len(refused) < 2 and found and found[0].in_memory and found[0].status()["step"] > 5:  # the second try fails as well
            refused.append(found[0].state)
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(*arguments, **named)

    monkeypatch.setattr(where, name, full)
    run = manager.submit(config)
    wait_for(ended(run))
    assert refused  # twice, except for a kept state, which is not saved again
    assert (run.state, run.status()["error"], run.status()["step"]) == ("finished", None, 12)
    for log in ("metrics.jsonl", "interventions.jsonl"):
        steps = [
            [json.loads(line)["step"] for line in (path / log).read_text().splitlines()]
            for path in (whole.path, run.folder.path)
            if (path / log).exists()
        ]
        assert steps == [] or steps[0] == steps[1]
    assert run.history.columns["step"] == list(range(1, 13))
    assert run.folder.sample_steps() == whole.sample_steps() == run.sample_steps
    assert run.folder.generator_steps() == whole.generator_steps()
    assert run.folder.generator_file(12).read_bytes() == whole.generator_file(12).read_bytes()
    assert not list(run.folder.path.rglob("*.part"))
    manager.shutdown()
