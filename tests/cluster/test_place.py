"""Runs on workers: the same results as here, steered, and continued when a worker is lost."""

import functools
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gan.cluster import worker as workers
from gan.cluster.place import OnWorker
from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.events import Event, Metrics
from gan.runs import manager as managing
from gan.runs.folder import RunFolder
from gan.runs.manager import RunManager
from gan.runs.record import prepare, prepare_at, record
from gan.runs.run import Run
from gan.runs.states import RunState
from gan.runs.watch import Watch
from gan.training.loop import Control
from tests.cluster.threads import ThreadCluster
from tests.conftest import ADA, BOB, diverging
from tests.waiting import ended, wait_for

CPU = torch.device("cpu")


def rows(run: Run) -> list[dict[str, Any]]:
    """The run's metrics without times."""
    return [{k: v for k, v in row.items() if k not in ("elapsed_s", "images_per_s")} for row in run.folder.read_metrics()[0]]


def timeless(events: list[Event]) -> list[Any]:
    """Events without times and images."""
    return [
        replace(event, elapsed_s=0.0, images_per_s=0.0) if isinstance(event, Metrics) else (type(event), vars(event)["step"])
        for event in events
    ]


def weights(folder: RunFolder) -> dict[str, torch.Tensor]:
    stored = folder.read_state(folder.state_file)
    return {f"{name}.{key}": tensor for name in ("generator", "discriminator", "averaged") for key, tensor in stored[name].items()}


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert not [name for name in one if not torch.equal(one[name], other[name])]


def trained(
    folder: RunFolder, config: TrainConfig, dataset: ImageDataset, place: OnWorker | None, watch: Watch | None = None
) -> list[Event]:
    folder.path.mkdir(parents=True)
    folder.write_config(config, "")
    control = Control()
    if place is None:
        state = prepare(folder, config, dataset, CPU, control, threads=1)
        return list(record(folder, state, dataset, control, watch=watch))
    for _ in place.get_ready(config, dataset):
        pass
    state = prepare_at(place, folder, config, dataset, control)
    return list(record(folder, state, dataset, control, watch=watch, place=place))


@pytest.mark.parametrize(
    "changes",
    [{}, {"augmentation_target": 0.5, "diffaugment": "translation, cutout", "dropout": 0.2, "instance_noise": 0.1, "log_every": 1}],
    ids=["plain", "noisy"],
)
def test_a_run_on_a_worker_equals_one_here(
    changes: dict[str, Any], config: TrainConfig, blobs: ImageDataset, cluster: ThreadCluster, folders: Any
) -> None:
    config = config.change(duration=20, snapshot_every=10, **changes)
    here, there = RunFolder(folders / "here"), RunFolder(folders / "there")
    events = trained(here, config, blobs, None)
    place = cluster.workplace("there")
    assert timeless(trained(there, config, blobs, place)) == timeless(events)
    place.close()
    assert_equal(weights(here), weights(there))
    assert here.generator_steps() == there.generator_steps()
    for step in here.generator_steps():
        assert here.generator_file(step).read_bytes() == there.generator_file(step).read_bytes()
    assert here.sample_steps() == there.sample_steps() and here.read_samples(16) == there.read_samples(16)
    assert 16 in there.state_steps()  # a milestone, kept for forks
    assert there.read_norms()


def test_a_run_on_a_worker_gets_the_scores_of_one_here(
    config: TrainConfig,
    dataset: ImageDataset,
    watching: Callable[..., Watch],
    cluster: ThreadCluster,
    folders: Path,
    often: None,
) -> None:
    config = config.change(duration=6, instance_noise=0.1)
    here, there = RunFolder(folders / "here"), RunFolder(folders / "there")
    trained(here, config, dataset, None, watching())
    place = cluster.workplace("there")
    trained(there, config, dataset, place, watching())
    place.close()
    ours = {row.step: {**row, "elapsed_s": 0} for row in here.read_judged()}
    theirs = {row.step: {**row, "elapsed_s": 0} for row in there.read_judged()}
    assert 6 in theirs and theirs == {step: ours[step] for step in theirs}


def test_two_runs_train_at_once_and_the_others_wait(
    manager: RunManager, cluster: ThreadCluster, endless: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(managing, "HOUSEKEEPING_S", 0.1)
    cluster.places = 2
    runs = [manager.submit(endless, "", who) for who in (ADA, ADA, BOB, BOB)]
    for run in runs:
        manager.set_pace(run.id, 0.05)  # leaves the cores to the other tests
    wait_for(lambda: sum(len(run.history) > 0 for run in runs) == 2)
    assert [run.state for run in runs].count(RunState.QUEUED) == 2
    assert {run.owner_id for run in runs if run.state is RunState.RUNNING} == {ADA.id} and manager.most_at_work == 2
    assert manager.trains_here()
    cluster.here = False  # then pictures need not make room for runs
    assert not manager.trains_here()
    status = runs[0].status()
    assert status.device == "CPU on node-1" and status.threads == 1
    cluster.places = 3  # a machine has come
    wait_for(lambda: sum(len(run.history) > 0 for run in runs) == 3)


def test_a_run_that_waits_for_a_place_says_so_and_can_be_stopped(manager: RunManager, cluster: ThreadCluster, config: TrainConfig) -> None:
    cluster.waiting.set()
    run = manager.submit(config)
    wait_for(lambda: run.status().get("preparing", {}).get("task") == "Waiting for a free slot in the cluster")
    manager.stop(run.id)
    wait_for(ended(run))
    assert run.state is RunState.STOPPED and not cluster.hired


def test_knobs_pause_single_steps_and_stop_reach_the_worker(manager: RunManager, endless: TrainConfig) -> None:
    run = manager.submit(endless)
    wait_for(lambda: len(run.history) > 1)
    manager.change(run.id, "lr_g", 0.0001)
    assert run.live_config.lr_g == 0.0001  # at once, while it is on its way
    wait_for(lambda: run.interventions)
    assert run.config_in_force.lr_g == 0.0001 and not run._control.wishes
    manager.pause(run.id)
    wait_for(lambda: run.state is RunState.PAUSED)
    paused = run.status().step
    assert run.folder.state_step() == paused
    manager.step_once(run.id, "generator")
    wait_for(lambda: len(run.interventions) == 3 and run.folder.state_step() == paused + 1)
    assert [(change["field"], change["new"]) for change in run.interventions][1:] == [("frozen", "discriminator"), ("frozen", "none")]
    assert run.state is RunState.PAUSED
    manager.go_on(run.id)
    wait_for(lambda: run.status().step > paused + 5)
    manager.set_pace(run.id, 10)
    wait_for(lambda: run._control.pace_s == 10)
    manager.stop(run.id)
    wait_for(ended(run))
    assert run.state is RunState.STOPPED and run.folder.state_step() == run.status().step


def test_a_stopped_run_resumes_on_a_worker_and_a_fork_starts_there(
    manager: RunManager, config: TrainConfig, cluster: ThreadCluster
) -> None:
    run = manager.submit(config)
    wait_for(ended(run))
    assert run.state is RunState.FINISHED, run.status().error
    manager.resume(run.id, "steps", 6)
    wait_for(ended(run))
    fork = manager.fork(run.id, 12, {"lr_g": 0.0001}, "steps", 4)
    wait_for(ended(fork))
    assert [run.status().step, fork.status().step] == [18, 16] and len(cluster.hired) == 3
    straight = manager.submit(config.change(duration=18))
    wait_for(ended(straight))
    assert_equal(weights(run.folder), weights(straight.folder))


def is_beyond(run: Run, cluster: ThreadCluster, workers: int, step: int) -> bool:
    return len(cluster.hired) == workers and run.state is RunState.RUNNING and run.status().step > step


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole states are sent ten times a second."""
    monkeypatch.setattr(workers, "STATE_LEAST_S", 0.1)


def test_a_run_whose_worker_dies_continues_on_another_one(
    manager: RunManager, config: TrainConfig, cluster: ThreadCluster, often: None
) -> None:
    config, draws = config.change(duration=90, log_every=1, grid_every=50), random.Random(0)
    run = manager.submit(config)
    for number in range(2):
        wait_for(functools.partial(is_beyond, run, cluster, number + 1, 10 + 30 * number))
        time.sleep(draws.random() / 10)
        cluster.hired[-1][1].die()
    wait_for(ended(run))
    assert run.state is RunState.FINISHED, run.status().error
    assert [row["step"] for row in rows(run)] == list(range(1, 91))
    assert [(move.lost, move.to) for move in run.moves] == [("node-1", "node-2"), ("node-2", "node-3")]
    assert all(0 <= move.step <= move.reached for move in run.moves)
    assert "The worker on node-1 was lost at step" in run.moves[0].in_words and "continued on node-2" in run.moves[0].in_words
    straight = manager.submit(config)
    wait_for(ended(straight))
    assert rows(run) == rows(straight)
    assert_equal(weights(run.folder), weights(straight.folder))


def test_a_run_that_ends_every_worker_fails_with_a_sentence(
    manager: RunManager, config: TrainConfig, cluster: ThreadCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = cluster.hire

    def doomed(run_id: str) -> Any:
        remote = yield from original(run_id)
        remote.lost.set()
        return remote

    monkeypatch.setattr(cluster, "hire", doomed)
    run = manager.submit(config)
    wait_for(ended(run))
    assert run.state is RunState.FAILED
    assert str(run.status().error).startswith("The run lost 3 workers in a row at about step 0, the last one on node-3: its process ended.")


def test_a_paused_run_whose_worker_dies_continues_from_its_pause(manager: RunManager, endless: TrainConfig, cluster: ThreadCluster) -> None:
    run = manager.submit(endless)
    wait_for(lambda: len(run.history) > 0)
    manager.pause(run.id)
    wait_for(lambda: run.state is RunState.PAUSED)
    paused = run.status().step
    cluster.hired[-1][1].die()
    manager.go_on(run.id)
    wait_for(lambda: run.state is RunState.RUNNING and run.status().step > paused)
    assert run.moves[0].step == run.moves[0].reached == paused


def test_a_run_that_diverges_on_a_worker_says_so(manager: RunManager, config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "train", diverging(workers.train))
    run = manager.submit(config)
    wait_for(ended(run))
    assert run.state is RunState.FAILED and "the generator's loss became nan" in str(run.status().error)


@pytest.mark.parametrize("error, sentence", [(MemoryError(), "not enough memory"), (KeyError("odd"), "KeyError: 'odd'")])
def test_errors_on_a_worker_reach_the_page(
    manager: RunManager, config: TrainConfig, monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    def broken(*arguments: Any) -> Iterator[Event]:
        raise error
        yield

    monkeypatch.setattr(workers, "train", broken)
    run = manager.submit(config)
    wait_for(ended(run))
    assert run.state is RunState.FAILED and sentence in str(run.status().error)
    assert "On the worker" in run.folder.error_file.read_text() or isinstance(error, MemoryError)


def test_letters_that_a_full_disk_left_unread_are_not_lost(
    config: TrainConfig, blobs: ImageDataset, cluster: ThreadCluster, folders: Any
) -> None:
    folder, place, control = RunFolder(folders / "run"), cluster.workplace("run"), Control()
    config = config.change(duration=60, log_every=1)
    folder.path.mkdir()
    folder.write_config(config, "")
    for _ in place.get_ready(config, blobs):
        pass
    state = prepare_at(place, folder, config, blobs, control)
    steps = []
    for attempt in range(4):
        for event in place.train(state, blobs, control):
            if isinstance(event, Metrics):
                steps.append(event.step)
                if attempt < 3 and event.step % 20 == 5 * attempt:
                    break  # as if writing had failed
    place.close()
    assert steps == list(range(1, 61))


def test_a_halt_that_overtakes_its_order_still_counts(config: TrainConfig, blobs: ImageDataset) -> None:
    worker = workers.Worker("cpu", 1)
    order = {"config": config.model_dump(), "class_names": [], "script": [], "until": 0, "data": "blobs"}
    from gan.cluster.letters import packed, unpack_letters
    from gan.training.state import new_state

    begun = worker.begin(json.dumps(order).encode(), packed(new_state(config, CPU, threads=1).state_dict()), blobs.images.numpy(), None)
    assert json.loads(begun) == {"result": None}
    worker.steer(1, 1, 0.0, {})
    ends = [letter for parcel in worker.train(1) for letter in unpack_letters(parcel)]
    assert ends[-1].end and ends[-1].at["step"] == 0
    ends = [letter for parcel in worker.train(2) for letter in unpack_letters(parcel)]
    assert ends[-1].at["step"] == 12 and not ends[-1].error
