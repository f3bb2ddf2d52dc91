import errno
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from gan.config import TrainConfig
from gan.data.imageset import ImageDataset
from gan.networks.generator_file import CheckpointError
from gan.runs import record as recording
from gan.runs import run as runs
from gan.runs import workplace
from gan.runs.folder import RunFolder
from gan.runs.manager import RunManager
from gan.runs.run import History
from tests.conftest import ADA, BOB, diverging
from tests.waiting import ended, wait_for


def test_a_run_trains_to_its_end_and_leaves_the_folder_of_the_contract(manager: RunManager, config: TrainConfig) -> None:
    run = manager.submit(config, "quick-digits", visitor=ADA)
    wait_for(ended(run))
    folder = run.folder.path
    assert run.state == "finished" and run.error == ""
    stored = json.loads((folder / "config.json").read_text())
    assert stored["config"] == config.model_dump() and stored["recipe"] == "quick-digits" and stored["owner"] == "Ada"
    assert stored["seed"] == 0 and stored["data"] == "blobs" and len(stored["data_fingerprint"]) == 16 and stored["versions"]["torch"]
    status = json.loads((folder / "status.json").read_text())
    assert (status["state"], status["step"], status["images_seen"], status["error"]) == ("finished", 12, 96, None)
    assert status["ended"] >= status["started"]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [5, 10]
    keys = {"step", "images_seen", "elapsed_s", "images_per_s", "loss_d", "loss_g", "d_real", "d_fake", "d_fake_after"}
    assert set(lines[0]) == keys
    assert (folder / "samples" / "000012.png").exists() and (folder / "generator-000012.safetensors").exists()
    assert torch.load(folder / "state.pt", weights_only=True)["step"] == 12
    assert not list(folder.rglob("*.part"))
    assert run.history.columns["step"] == [5, 10]


def test_pause_go_on_and_stop(manager: RunManager, endless: TrainConfig) -> None:
    run = manager.submit(endless)
    wait_for(lambda: len(run.history) > 0)
    run.pause()
    wait_for(lambda: run.state == "paused")
    step = run.status()["step"]
    assert RunFolder(run.folder.path).load_state(endless, torch.device("cpu")).step == step
    time.sleep(0.05)
    assert run.status()["step"] == step
    run.go_on()
    wait_for(lambda: run.status()["step"] > step)
    manager.stop(run.id)
    wait_for(ended(run))
    assert run.state == "stopped" and run.folder.state_file.exists()


def test_a_paused_run_can_be_stopped(manager: RunManager, endless: TrainConfig) -> None:
    run = manager.submit(endless)
    wait_for(lambda: run.state == "running")
    run.pause()
    wait_for(lambda: run.state == "paused")
    manager.stop(run.id)
    wait_for(ended(run))
    assert run.state == "stopped"


def test_a_stopped_run_resumes_and_ends_as_if_it_had_never_stopped(manager: RunManager, config: TrainConfig) -> None:
    whole = manager.submit(config.change(duration=40))
    wait_for(ended(whole))
    part = manager.submit(config.change(duration=40))
    wait_for(lambda: part.status()["step"] >= 3 or not part.at_work)
    manager.stop(part.id)
    wait_for(ended(part))
    if part.state == "stopped":
        part = manager.resume(part.id)
        wait_for(ended(part))
    assert part.state == "finished"
    files = [run.folder.generator_file(40).read_bytes() for run in (whole, part)]
    assert files[0] == files[1]
    assert part.history.columns["step"] == whole.history.columns["step"]
    assert part.history.columns["loss_g"] == whole.history.columns["loss_g"]


def test_a_run_that_was_killed_right_at_its_end_resumes_and_finishes(manager: RunManager, config: TrainConfig) -> None:
    """Its status may be of a later step than its state, or its state whole and only the last status missing."""
    run = manager.submit(config)
    wait_for(ended(run))
    last = run.folder.generator_file(12).read_bytes()
    run.folder.write_status(**{**json.loads(run.folder.status_file.read_text()), "state": "running"})
    again = RunManager()
    (killed,) = again.runs()
    assert killed.state == "interrupted" and killed.status()["progress"] >= 1
    resumed = again.resume(killed.id)
    wait_for(ended(resumed))
    assert resumed.state == "finished" and resumed.folder.generator_file(12).read_bytes() == last


def test_a_finished_run_trains_on_for_longer_when_told_how_long(manager: RunManager, config: TrainConfig) -> None:
    run = manager.submit(config)
    wait_for(ended(run))
    with pytest.raises(ValueError, match="reached its 12 steps"):
        manager.resume(run.id)
    run = manager.resume(run.id, "steps", 8)
    wait_for(ended(run))
    assert run.state == "finished" and run.status()["step"] == 20
    with pytest.raises(ValueError, match="more than 0"):
        manager.resume(run.id, "steps", -3)


def test_runs_wait_for_their_turn_and_can_leave_the_queue(manager: RunManager, endless: TrainConfig, config: TrainConfig) -> None:
    first, second, third = (manager.submit(c) for c in (endless, endless, config))
    wait_for(lambda: first.state == "running")
    assert (second.state, third.state) == ("queued", "queued")
    assert [manager.position(r) for r in (first, second, third)] == [0, 1, 2]
    manager.stop(second.id)
    assert second.state == "stopped" and manager.position(third) == 1
    manager.stop(first.id)
    wait_for(lambda: third.state == "finished")


def test_an_unknown_data_set_is_refused_before_a_folder_is_made(manager: RunManager, config: TrainConfig) -> None:
    with pytest.raises(ValueError, match="no data set 'nowhere'"):
        manager.submit(config.change(data="nowhere"))
    assert manager.runs() == []


def test_a_failure_ends_that_run_alone_and_is_told(
    manager: RunManager, config: TrainConfig, endless: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> Iterator[None]:
        raise RuntimeError("the widget is loose")
        yield

    with monkeypatch.context() as patch:
        patch.setattr(workplace, "train", broken)
        run = manager.submit(config)
        wait_for(ended(run))
    assert run.state == "failed" and "the widget is loose" in run.status()["error"]
    assert "Traceback" in run.folder.error_file.read_text()
    healthy = manager.submit(config)
    wait_for(ended(healthy))
    assert healthy.state == "finished"


def test_a_run_that_diverges_says_so_and_keeps_its_last_good_generator(
    manager: RunManager, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workplace, "train", diverging(workplace.train))
    run = manager.submit(config)
    wait_for(ended(run))
    assert run.state == "failed" and "generator's loss became nan between steps 5 and 10" in run.status()["error"]
    assert max(run.folder.generator_steps()) <= 6


def test_too_few_images_for_a_batch(manager: RunManager, config: TrainConfig) -> None:
    run = manager.submit(config.change(batch_size=64))
    wait_for(ended(run))
    assert run.state == "failed" and "set batch_size to 50 or less" in run.status()["error"]


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_full_disk_pauses_the_run_and_loses_nothing(
    manager: RunManager, config: TrainConfig, monkeypatch: pytest.MonkeyPatch, by_hand: bool
) -> None:
    monkeypatch.setattr(runs, "ROOM_EVERY_S", 60 if by_hand else 0.01)
    original = RunFolder.save_samples
    full = threading.Event()
    full.set()

    def save(self: Any, step: int, images: np.ndarray) -> None:
        if full.is_set() and step == 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(self, step, images)

    monkeypatch.setattr(RunFolder, "save_samples", save)
    run = manager.submit(config)
    wait_for(lambda: run.state == "paused")
    assert "disk is full" in run.status()["error"] and "by itself" in run.status()["error"]
    full.clear()
    if by_hand:
        run.go_on()
    wait_for(ended(run))
    assert run.state == "finished" and run.status()["error"] is None
    assert [r["step"] for r in run.folder.read_metrics()[0]] == [5, 10]


@pytest.mark.parametrize(("missing", "said"), [(errno.EMFILE, "server has too many files"), (errno.ENFILE, "machine has too many files")])
def test_a_state_that_finds_no_file_free_is_saved_later(
    manager: RunManager, config: TrainConfig, monkeypatch: pytest.MonkeyPatch, missing: int, said: str
) -> None:
    """torch.save() itself fails, as on a machine that has no file descriptor left."""
    monkeypatch.setattr(runs, "ROOM_EVERY_S", 0.01)
    original, free, tries = torch.save, threading.Event(), []

    def save(content: dict[str, Any], file: Any, **rest: Any) -> None:
        tries.append(1)
        if not free.is_set():
            raise OSError(missing, "no file free")
        original(content, file, **rest)

    monkeypatch.setattr(torch, "save", save)
    run = manager.submit(config)
    wait_for(lambda: run.state == "paused" and len(tries) > 2)  # it tries again, and rests again
    assert run.error and said in run.error and "by itself" in run.error
    free.set()
    wait_for(ended(run))
    assert run.state == "finished" and run.status()["error"] is None and run.folder.state_file.exists()
    assert [r["step"] for r in run.folder.read_metrics()[0]] == [5, 10]


def test_resuming_needs_the_same_images(
    manager: RunManager, endless: TrainConfig, blobs: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = manager.submit(endless)
    wait_for(lambda: run.status()["step"] > 2)
    manager.stop(run.id)
    wait_for(ended(run))
    blobs.images[0] += 1
    run = manager.resume(run.id)
    wait_for(ended(run))
    status = run.status()
    assert run.state == "stopped" and "has changed since" in status["reason"] and "fork the run" in status["reason"]
    assert status["stuck"] == "data" and status["error"] is None and run.folder.state_file.exists()


def test_a_manager_finds_what_an_earlier_process_left(manager: RunManager, endless: TrainConfig) -> None:
    run = manager.submit(endless)
    wait_for(lambda: len(run.history) > 2)
    run.pause()
    wait_for(lambda: run.state == "paused")
    other = RunManager()  # as after a restart: it sees that someone holds the lock
    wait_for(lambda: other.get(run.id).state == "paused")  # its file follows a moment later
    assert not other.get(run.id).at_work
    manager.shutdown()
    after = RunManager()
    found = after.get(run.id)
    assert found.state == "stopped" and len(found.history) == len(run.history)
    assert [r.id for r in after.runs()] == [run.id]


def test_a_killed_process_leaves_an_interrupted_run_that_resumes(manager: RunManager, config: TrainConfig) -> None:
    run = manager.submit(config.change(duration=5))
    wait_for(ended(run))
    status = json.loads(run.folder.status_file.read_text())
    run.folder.write_status(**{**status, "state": "running"})
    with run.folder.metrics_file.open("a") as file:
        file.write('{"step": 7, "half')
    after = RunManager()
    assert after.get(run.id).state == "interrupted"
    resumed = after.resume(run.id, "steps", 5)
    wait_for(ended(resumed))
    assert resumed.state == "finished" and [r["step"] for r in resumed.folder.read_metrics()[0]] == [5, 10]


def test_shutdown_stops_and_saves_everything(data: None, endless: TrainConfig) -> None:
    manager = RunManager(max_runs=1)
    running, waiting = manager.submit(endless), manager.submit(endless)
    wait_for(lambda: running.status()["step"] > 0)
    manager.shutdown()
    assert (running.state, waiting.state) == ("stopped", "stopped")
    assert running.folder.state_file.exists()


def test_unknown_and_dangerous_ids_are_no_runs(manager: RunManager) -> None:
    for name in ("none", "..", "../..", "a/b", ""):
        with pytest.raises(KeyError):
            manager.get(name)


def test_folders_that_hold_no_run_are_left_out_and_damaged_ones_say_so(manager: RunManager, folders: Path) -> None:
    (folders / "checkpoints" / "pretrained").mkdir(parents=True)
    damaged = folders / "checkpoints" / "damaged"
    damaged.mkdir()
    (damaged / "config.json").write_text("{")
    (run,) = manager.runs()
    assert run.state == "failed" and run.stored == {}
    with pytest.raises(CheckpointError):
        _ = run.config


def test_history_is_columns_and_is_thinned_keeping_the_last() -> None:
    history = History()
    for step in range(1, 101):
        history.append(dict.fromkeys(history.columns, 0) | {"step": step})
    assert history.after(0) == 0 and history.after(97) == 97 and history.after(1000) == 100
    assert history.since(0, most=10)["step"] == list(range(10, 101, 10))
    assert history.since(98)["step"] == [99, 100]
    assert history.since(100)["step"] == []


@pytest.mark.parametrize("value", ["0", "many", "-1"])
def test_a_bad_environment_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_MAX_RUNS", value)
    with pytest.raises(ValueError, match="WORKSHOP_MAX_RUNS"):
        RunManager()


def test_two_resumes_at_once_give_one_trainer(manager: RunManager, endless: TrainConfig) -> None:
    run = manager.submit(endless)
    wait_for(lambda: run.status()["step"] > 0)
    manager.stop(run.id)
    wait_for(ended(run))
    outcomes = []

    def press() -> None:
        try:
            outcomes.append(manager.resume(run.id).id)
        except ValueError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(run.id) == 1 and len(outcomes) == 8
    resumed = manager.get(run.id)
    wait_for(lambda: resumed.state == "running")
    manager.stop(run.id)
    wait_for(ended(resumed))


def test_a_stop_is_not_undone_by_anothers_pause(manager: RunManager, endless: TrainConfig) -> None:
    run = manager.submit(endless)
    wait_for(lambda: run.state == "running")
    manager.stop(run.id)
    run.pause()
    wait_for(ended(run))
    assert run.state == "stopped"


def test_a_run_stopped_before_its_first_step_can_be_resumed(manager: RunManager, endless: TrainConfig, config: TrainConfig) -> None:
    first, second = manager.submit(endless), manager.submit(config)
    manager.stop(second.id)
    manager.stop(first.id)
    wait_for(ended(first))
    again = manager.resume(second.id)
    wait_for(ended(again))
    assert again.state == "finished"


def test_a_resumed_run_that_ends_early_keeps_its_curves(manager: RunManager, endless: TrainConfig, blobs: ImageDataset) -> None:
    run = manager.submit(endless)
    wait_for(lambda: len(run.history) > 0)
    manager.stop(run.id)
    wait_for(ended(run))
    points = len(run.history)
    blobs.images[0] += 1
    run = manager.resume(run.id)
    wait_for(ended(run))
    assert run.state == "stopped" and len(run.history) == points


def test_settings_that_need_more_memory_than_there_is_are_refused_with_the_estimate(
    manager: RunManager, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "free_memory", lambda device: 2**30)
    huge = config.change(image_size=128, channels=3, generator_filters=256, discriminator_filters=256, batch_size=1024)
    with pytest.raises(ValueError, match=r"need about \d+\.\d GiB of memory, but only 1\.0 GiB are free"):
        manager.submit(huge)
    assert manager.runs() == []


def test_the_queue_has_an_end(manager: RunManager, endless: TrainConfig, config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan.runs.manager.MOST_WAITING", 2)
    for _ in range(3):
        manager.submit(endless)
    with pytest.raises(ValueError, match="2 runs are already waiting"):
        manager.submit(config)


def test_a_folder_that_cannot_be_written_is_a_sentence_not_a_zombie(
    manager: RunManager, endless: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("filelock.BaseFileLock.acquire", refuse)
    run = manager.submit(endless)
    wait_for(ended(run))
    assert "cannot be written: Permission denied" in run.status()["error"]


@pytest.mark.parametrize("fields", [{"step": "x"}, {"started": []}, {"elapsed_s": -1}, {"step": 1e300}])
def test_a_damaged_status_is_that_runs_problem_alone(manager: RunManager, config: TrainConfig, fields: dict[str, Any]) -> None:
    run = manager.submit(config)
    wait_for(ended(run))
    run.folder.write_status(**{**json.loads(run.folder.status_file.read_text()), **fields})
    (listed,) = RunManager().runs()
    assert listed.state == "failed" and "damaged" in listed.status()["error"]


def test_knobs_turn_while_a_run_trains_and_it_replays(manager: RunManager, endless: TrainConfig, blobs: ImageDataset) -> None:
    run = manager.submit(endless)
    wait_for(lambda: len(run.history) > 2)
    run.change("lr_g", 0.002)
    run.change("lr_g", 0.001)
    assert run.live_config.lr_g == 0.001 and run.config.lr_g == endless.lr_g
    wait_for(lambda: run.interventions)
    assert run.config_in_force.lr_g == run.interventions[-1]["new"]
    with pytest.raises(ValueError, match="lr_d must be"):
        run.change("lr_d", 7)
    with pytest.raises(ValueError, match="batch_size cannot change while a run trains"):
        run.change("batch_size", 4)
    run.stop()
    wait_for(ended(run))
    assert run.interventions[-1]["new"] == 0.001 and run.live_config.lr_g == 0.001
    with pytest.raises(ValueError, match="is not training; fork it"):
        run.change("lr_g", 0.1)


def test_single_steps_of_a_paused_run(manager: RunManager, endless: TrainConfig) -> None:
    run = manager.submit(endless)
    run.step_once("both")  # not paused: nothing happens
    wait_for(lambda: len(run.history) > 1)
    run.pause()
    wait_for(lambda: run.state == "paused")
    step = run.status()["step"]
    networks: tuple[Literal["generator", "discriminator", "both"], ...] = ("generator", "discriminator", "both")
    for i, network in enumerate(networks, 1):
        run.step_once(network)
        wait_for(lambda i=i: run.status()["step"] == step + i and run.history.columns["step"][-1] == step + i)
    wait_for(lambda: len(run.interventions) == 4)
    assert run.state == "paused" and [c["new"] for c in run.interventions] == ["discriminator", "none", "generator", "none"]
    run.go_on()
    wait_for(lambda: run.status()["step"] > step + 10)
    run.set_pace(10)
    wait_for(lambda: run.status()["pace_s"] == 10)
    with pytest.raises(ValueError, match="the pace must be 0 to 10 seconds per step; got 11"):
        run.set_pace(11)
    run.stop()  # does not wait for the slow step
    wait_for(ended(run), 5)


def test_a_fork_is_queued_and_trains_on(manager: RunManager, config: TrainConfig) -> None:
    parent = manager.submit(config, "quick-digits", visitor=ADA)
    wait_for(ended(parent))
    child = manager.fork(parent.id, 12, {"lr_g": 0.001}, "steps", 3, visitor=BOB)
    wait_for(ended(child))
    assert child.state == "finished" and child.status()["step"] == 15
    assert child.history.columns["step"] == [5, 10, 15] and child.stored["parent"]["run"] == parent.id
    with pytest.raises(ValueError, match="there is no data set"):
        manager.fork(parent.id, 12, {"data": "/etc"})
