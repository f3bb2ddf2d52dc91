"""Scoring a run while it trains: what it writes, what it costs, and that it changes nothing."""

import dataclasses
import json
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gan.config import TrainConfig
from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.devices import one_thread
from gan.events import Judged, Progress
from gan.judging import features, reals
from gan.judging.judge import Judge, JudgeCache
from gan.judging.judgements import NUMBERS, OF_TRANSLATIONS, Judgement
from gan.runs import record as records
from gan.runs import watch
from gan.runs.folder import RunFolder
from gan.runs.manager import RunManager
from gan.runs.record import prepare, record
from gan.runs.watch import Preparation, Watch
from gan.training.loop import Control
from gan.training.state import TrainState, new_state
from tests.waiting import ended, wait_for

CPU = torch.device("cpu")


def images(name: str, n: int, seed: int) -> Any:
    rng = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (n, 1, 28, 28), dtype=torch.uint8, generator=rng)
    return ImageDataset(name, pixels, torch.arange(n) % 2, ("even", "odd"))


@pytest.fixture
def dataset() -> Any:
    return images("blobs", 120, 0)


@pytest.fixture
def judge(dataset: Any) -> Judge:
    """A judge with an untrained feature network."""
    torch.manual_seed(0)
    network = features.FeatureNetwork(features.About("blobs", 28, 1, "classes", ("even", "odd"))).eval().requires_grad_(False)
    test = images("blobs", 40, 1)
    return Judge(reals.part(dataset, test), network, network.features(dataset.images.numpy()), network.features(test.images.numpy()))


@pytest.fixture
def watching(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes watches with a ready judge, which score whenever they can."""
    monkeypatch.setattr(watch, "LEAST_S", -math.inf)
    monkeypatch.setattr(watch, "REST", -math.inf)

    def make(**given: Any) -> Watch:
        preparation = Preparation()
        preparation.judge = judge
        return Watch(preparation, **given)

    return make


def run(path: Path, config: TrainConfig, dataset: Any, watching: Watch | None = None, control: Control | None = None) -> tuple[Any, ...]:
    """Trains, and returns the folder, the state and the events."""
    folder = RunFolder(path)
    folder.path.mkdir(exist_ok=True)
    folder.write_config(config, "")
    state = prepare(folder, config, dataset, CPU)
    events = list(record(folder, state, dataset, control or Control(), watch=watching))
    return folder, state, events


def weights(state: TrainState) -> dict[str, torch.Tensor]:
    return {
        f"{name}.{key}": t for name in ("generator", "discriminator", "averaged") for key, t in getattr(state, name).state_dict().items()
    }


SETTINGS = {
    "plain": {},
    "all that draws": {"dropout": 0.3, "instance_noise": 0.1, "diffaugment": "color, translation, cutout", "conditional": True},
    "packing": {"packing": 2, "minibatch_std": True},
    "critic": {"loss": "hinge", "spectral_norm": True, "discriminator_norm": "none", "reuse_fakes": False},
    "mlp": {"networks": "mlp"},
    "bf16": {"precision": "bf16"},
}


@pytest.mark.parametrize("changes", SETTINGS.values(), ids=list(SETTINGS))
def test_a_run_that_is_watched_is_the_same_bit_for_bit(
    tmp_path: Path, config: TrainConfig, dataset: Any, watching: Callable[..., Any], changes: dict[str, Any]
) -> None:
    config = config.change(log_every=2, **changes)
    torch.manual_seed(7)
    _, alone, _ = run(tmp_path / "alone", config, dataset)
    global_rng = torch.get_rng_state()
    torch.manual_seed(7)
    folder, watched, events = run(tmp_path / "watched", config, dataset, watching())
    assert torch.equal(torch.get_rng_state(), global_rng)
    assert len(folder.read_judged()) == sum(isinstance(event, Judged) for event in events) > 5
    assert torch.equal(alone.rng.get_state(), watched.rng.get_state())
    before = weights(alone)
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(watched).items())


def test_a_line_has_what_the_contract_says(tmp_path: Path, config: TrainConfig, dataset: Any, watching: Callable[..., Any]) -> None:
    folder, _, events = run(tmp_path / "run", config, dataset, watching())
    rows = [json.loads(line) for line in folder.judge_file.read_text().splitlines()]
    assert [row["step"] for row in rows] == [event.row["step"] for event in events if isinstance(event, Judged)] and rows[-1]["step"] == 12
    numbers = set(NUMBERS) - set(OF_TRANSLATIONS)
    for row in rows:
        assert set(row) == {"step", "images", "shares", "missing", "features", *numbers}
        assert row["images"] == 24 and row["features"] == "blobs-CNN" and sum(row["shares"]) == pytest.approx(1, abs=1e-3)
        assert all(np.isfinite(row[name]) for name in numbers)
        assert 0 <= row["d_accuracy"] <= 1 and abs(row["sign_train"]) <= 1 and row["fd_error"] > 0 and row["coverage_floor"] > 0.3


def test_the_same_networks_are_judged_the_same(config: TrainConfig, dataset: Any, watching: Callable[..., Any]) -> None:
    state, looking = new_state(config, CPU), watching()
    first, second = (looking.look(state, dataset) for _ in range(2))
    assert {**first, "elapsed_s": 0} == {**second, "elapsed_s": 0}


def test_what_every_network_has_seen_is_not_held_out(config: TrainConfig, dataset: Any, judge: Judge, watching: Callable[..., Any]) -> None:
    state = new_state(config.change(data_split="all"), CPU)
    row = watching().look(state, dataset)
    assert row["d_held_out"] is None and row["sign_held_out"] is None and row["d_train"] is not None
    judge.reals = dataclasses.replace(judge.reals, new=False)
    assert watching().look(new_state(config, CPU), dataset)["d_held_out"] is None


def test_it_takes_at_most_a_26th_of_the_time(config: TrainConfig, dataset: Any, judge: Judge) -> None:
    """Sets a clock by which each scoring takes the given time, and each step a tenth of a second."""
    costs = iter([0.4, 0.1, 3.0, 0.01, 0.2] * 100)
    now, state, spent, began = 0.0, new_state(config, CPU), [], []
    preparation = Preparation()
    preparation.judge = judge
    looking = Watch(preparation, clock=lambda: now)
    assert not looking.due(state)
    while state.elapsed_s < 1000:
        state.step += 1
        state.elapsed_s += 0.1
        if looking.due(state):
            with looking.paying(state):
                spent.append(next(costs))
                now += spent[-1]
            began.append(state.elapsed_s)
            state.elapsed_s += spent[-1]
    assert sum(spent[:-1]) <= 0.0401 * (began[-1] - began[0]) and began[0] >= watch.LEAST_S
    assert min(np.diff(began)) >= watch.LEAST_S and len(spent) > 30


def test_the_run_keeps_its_threads(config: TrainConfig, dataset: Any, watching: Callable[..., Any]) -> None:
    state = new_state(config, CPU)
    state.execution = dataclasses.replace(state.execution, threads=2)
    looking = watching()
    with one_thread():  # puts back what the test sets
        torch.set_num_threads(2)
        with looking.paying(state):
            looking.look(state, dataset)
        assert torch.get_num_threads() == 2


def test_a_halted_run_is_not_judged(tmp_path: Path, config: TrainConfig, dataset: Any, watching: Callable[..., Any]) -> None:
    assert watching().look(new_state(config, CPU), dataset, lambda: True) is None
    control = Control()
    control.halt()
    folder, _, _ = run(tmp_path / "run", config, dataset, watching(), control)
    assert folder.read_judged() == []


def test_a_judgement_that_fails_leaves_the_run_alone(
    tmp_path: Path, config: TrainConfig, dataset: Any, judge: Judge, watching: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    judge.glance = lambda images: {"fd": 1 / 0}  # type: ignore[method-assign]
    looking = watching()
    folder, state, _ = run(tmp_path / "run", config, dataset, looking)
    assert state.step == 12 and folder.read_judged() == []
    assert looking.reason == "The images get no scores: ZeroDivisionError: division by zero."


def test_the_best_generator_is_kept_and_those_before_it_go(
    tmp_path: Path, config: TrainConfig, dataset: Any, watching: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fd = dict(zip((5, 10, 15, 20, 25, 30, 35, 40, 42), (9.0, 8.95, 7.0, 6.0, 5.0, 5.5, 6.0, 7.0, 8.0), strict=True))
    asked = []

    def due(self: Any, state: TrainState, at_the_end: bool = False) -> bool:
        new = state.step in fd and state.step not in asked
        asked.append(state.step)
        return new

    monkeypatch.setattr(Watch, "due", due)
    scores = {"fd_error": 0.1, "fd_floor": 1.0, "features": "blobs-CNN"}
    looking = watching()
    monkeypatch.setattr(looking, "look", lambda state, *rest: Judgement({"step": state.step, "fd": fd[state.step], **scores}))
    folder, _, _ = run(tmp_path / "run", config.change(duration=42, snapshot_every=1000), dataset, looking)
    steps = [row["step"] for row in folder.read_judged()]
    assert steps == list(fd)
    best = folder.best()
    assert (best.step, best.fd, best.error, best.since) == (25, 5.0, 0.1, 17)
    kept = [step for step in folder.generator_steps() if step.bit_count() > 1]
    assert kept == [20, 25, 42], "the best, the one before, the last"


def test_runs_of_the_server_are_judged_and_say_which_was_best(
    config: TrainConfig, dataset: Any, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*given: Any) -> Iterator[Progress]:
        yield Progress("Loading", 0, 1)
        return dataset

    def ready(self: Any, *key: Any) -> Generator[Progress, None, Any]:
        yield Progress("Learning", 0, 1)
        return judge

    monkeypatch.setattr(datasets, "load", load)
    monkeypatch.setattr(datasets, "available", lambda: ["blobs"])
    monkeypatch.setattr(JudgeCache, "get", ready)
    monkeypatch.setattr(watch, "LEAST_S", 0.01)
    monkeypatch.setenv("WORKSHOP_JUDGE", "1")
    manager = RunManager()
    run = manager.submit(config.change(duration=1_000_000))
    wait_for(lambda: len(run.folder.read_judged()) > 1)
    assert run.to_be_judged
    live = run.status()
    assert live["judge"] is None and live["best_step"] == run.folder.best().step and live["best_fd"] > 0
    manager.stop(run.id)
    wait_for(ended(run))
    assert not run.to_be_judged
    stored, best = json.loads(run.folder.status_file.read_text()), run.folder.best()
    assert (stored["best_step"], stored["best_fd"], stored["judge"]) == (best.step, best.fd, None)
    assert run.folder.generator_file(best.step).exists()
    before = len(run.folder.read_judged())
    again = manager.resume(run.id)
    wait_for(lambda: len(again.folder.read_judged()) > before)
    steps = [row["step"] for row in again.folder.read_judged()]
    assert steps == sorted(set(steps))


def test_a_set_with_too_few_images_is_said_and_trained_on(config: TrainConfig, blobs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*given: Any) -> Iterator[Progress]:
        yield Progress("Loading", 0, 1)
        return blobs

    monkeypatch.setattr(datasets, "load", load)
    monkeypatch.setattr(datasets, "available", lambda: ["blobs"])
    monkeypatch.setenv("WORKSHOP_JUDGE", "1")
    run = RunManager().submit(config.change(duration=1_000_000))
    wait_for(lambda: "has 50 images; scores need at least 100." in (run.status().get("judge") or ""))
    assert run.at_work and not run.to_be_judged
    run.stop()
    wait_for(ended(run))
    assert run.state == "stopped" and "at least 100" in run.status()["judge"] and not run.folder.judge_file.exists()


def test_a_judge_that_comes_too_late_is_said(config: TrainConfig, dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    def never(self: Any, *key: Any) -> Iterator[Progress]:
        try:
            while True:
                yield Progress("Learning the features of blobs (once)", 12, 25)
        finally:
            closed.append(key)

    monkeypatch.setattr(JudgeCache, "get", never)
    before = threading.enumerate()
    with watch.Judges(JudgeCache()) as judges:
        preparation = judges.prepare(config)
        assert judges.prepare(config) is preparation
        wait_for(lambda: preparation.stage)
        looking = Watch(preparation)
        assert looking.reason == "Getting ready to score the images: learning the features of blobs (once), 48%…"
        assert not looking.due(new_state(config, CPU), at_the_end=True)
        assert records.never_judged(RunFolder(Path("nowhere")), looking) == "The run ended before its images could be scored."
    assert closed == [("blobs", 28, 1, "crop", "#ffffff", "")]
    assert not [thread for thread in threading.enumerate() if thread not in before]


@pytest.fixture
def held_judge(judge: Judge, dataset: Any, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Runs of `blobs` get a judge once this is set."""
    release = threading.Event()

    def load(*given: Any) -> Iterator[Progress]:
        yield Progress("Loading", 0, 1)
        return dataset

    def get(self: Any, *key: Any) -> Generator[Progress, None, Judge]:
        while not release.wait(0.01):
            yield Progress("Learning the features of blobs (once)", 12, 25)
        return judge

    monkeypatch.setattr(datasets, "load", load)
    monkeypatch.setattr(datasets, "available", lambda: ["blobs"])
    monkeypatch.setattr(JudgeCache, "get", get)
    monkeypatch.setattr(watch, "LEAST_S", math.inf)
    monkeypatch.setenv("WORKSHOP_JUDGE", "1")
    return release


def test_a_run_that_ends_before_its_judge_is_ready_is_scored_late(config: TrainConfig, held_judge: threading.Event) -> None:
    manager = RunManager()
    run = manager.submit(config.change(duration=3))
    wait_for(lambda: "48%" in (run.status().get("judge") or "") and not run.at_work)
    assert run.state == "finished" and run.to_be_judged and not run.folder.judge_file.exists()
    assert run.status()["judge"] == "Scoring the finished run: learning the features of blobs (once), 48%…"
    assert json.loads(run.folder.status_file.read_text())["judge"] == "The run ended before its images could be scored.", (
        "if the server ends"
    )
    before = run.status().ended
    held_judge.set()
    wait_for(lambda: not run.to_be_judged)
    assert run.scored_late and [row.step for row in run.folder.read_judged()] == [3]
    status = run.status()
    assert (status.state, status["judge"], status["best_step"], status.ended) == ("finished", None, 3, before)
    manager.shutdown()


def test_a_run_that_continues_or_is_deleted_is_not_scored_late(config: TrainConfig, held_judge: threading.Event) -> None:
    manager = RunManager()
    resumed, deleted = (manager.submit(config.change(duration=3)) for _ in range(2))
    wait_for(lambda: all(run.to_be_judged and not run.at_work for run in (resumed, deleted)))
    manager.delete(deleted.id)
    again = manager.resume(resumed.id, "steps", 2)
    assert not resumed.to_be_judged and not deleted.to_be_judged
    wait_for(lambda: again.to_be_judged and not again.at_work)
    held_judge.set()
    wait_for(lambda: not again.to_be_judged)
    assert [row.step for row in again.folder.read_judged()] == [5] and not resumed.scored_late and not deleted.folder.path.exists()
    manager.shutdown()


def test_a_run_without_a_judge_after_its_end_says_why(
    config: TrainConfig, held_judge: threading.Event, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def get(self: Any, *key: Any) -> Generator[Progress, None, Judge]:
        while not held_judge.wait(0.01):
            yield Progress("Loading", 0, 1)
        raise ValueError("blobs has too few images to score")

    monkeypatch.setattr(JudgeCache, "get", get)
    manager = RunManager()
    run = manager.submit(config.change(duration=3))
    wait_for(lambda: run.to_be_judged and not run.at_work)
    held_judge.set()
    wait_for(lambda: not run.to_be_judged)
    assert run.status()["judge"] == "The images get no scores: blobs has too few images to score."
    assert run.state == "finished" and not run.scored_late and "could not be scored after its end" not in caplog.text
    manager.shutdown()


def test_a_resume_that_is_refused_does_not_end_the_scoring(config: TrainConfig, held_judge: threading.Event) -> None:
    manager = RunManager()
    run = manager.submit(config.change(duration=3))
    wait_for(lambda: run.to_be_judged and not run.at_work)
    with pytest.raises(ValueError, match="give a further duration"):
        manager.resume(run.id)
    held_judge.set()
    wait_for(lambda: not run.to_be_judged)
    assert run.scored_late
    manager.shutdown()


def test_a_server_that_ends_waits_for_no_scoring(
    config: TrainConfig, held_judge: threading.Event, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    began = threading.Event()

    def look(self: Watch, state: TrainState, images: Any, halted: Callable[[], bool] = lambda: False) -> None:
        began.set()
        wait_for(halted)

    manager = RunManager()
    run, waiting = manager.submit(config.change(duration=3)), manager.submit(config.change(duration=4))
    wait_for(lambda: all(each.to_be_judged and not each.at_work for each in (run, waiting)))
    monkeypatch.setattr(Watch, "look", look)
    held_judge.set()
    assert began.wait(10)
    manager.shutdown()
    for each in (run, waiting):
        assert not each.to_be_judged and not each.scored_late
        assert json.loads(each.folder.status_file.read_text())["judge"] == "The run ended before its images could be scored."
    assert "could not be scored after its end" not in caplog.text


def test_a_judge_that_someone_waits_for_is_prepared_by_another_thread(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    at_work: list[tuple[int, int]] = []

    def never(self: Any, *key: Any) -> Iterator[Progress]:
        while True:
            at_work.append((threading.get_ident(), os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) if LINUX else 0))
            yield Progress("Learning", 1, 2)
            time.sleep(0.001)

    monkeypatch.setattr(JudgeCache, "get", never)
    with watch.Judges(JudgeCache()) as judges:
        preparation = judges.prepare(config)
        wait_for(lambda: at_work)
        judges.hurry()
        judges.hurry()
        wait_for(lambda: len({thread for thread, _ in at_work}) == 2)
        assert judges.prepare(config) is preparation and not preparation.ended
        wait_for(lambda: len(judges._threads) - sum(thread.is_alive() for thread in judges._threads) == 1)
        assert not LINUX or at_work[-1][1] < at_work[0][1] == 19
    assert preparation.ended and not preparation.refused and preparation.judge is None


LINUX = sys.platform == "linux"


def test_the_process_waits_for_a_preparation_that_cannot_end_at_once(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread in the middle of a computation, while the interpreter shuts down, would abort the process."""
    at_exit: dict[Any, tuple[Any, ...]] = {}
    monkeypatch.setattr(watch.atexit, "register", lambda ends, *arguments: at_exit.update({ends: arguments}))
    monkeypatch.setattr(watch.atexit, "unregister", lambda ends: at_exit.pop(ends, None))
    computing, done = threading.Event(), threading.Event()

    def slow(self: Any, *key: Any) -> Iterator[Progress]:
        computing.set()
        done.wait()
        yield Progress("Comparing", 0, 1)

    monkeypatch.setattr(JudgeCache, "get", slow)
    judges = watch.Judges(JudgeCache())
    judges.prepare(config)
    assert computing.wait(30)
    judges.close(0.0)
    (thread,) = judges._threads
    assert thread.is_alive() and at_exit == {judges.close: (math.inf,)}
    done.set()
    judges.close(*at_exit[judges.close])
    assert not thread.is_alive() and not at_exit


def test_watching_is_switched_off_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not watch.switched_on()
    monkeypatch.delenv("WORKSHOP_JUDGE")
    assert watch.switched_on()
    monkeypatch.setenv("WORKSHOP_JUDGE", "perhaps")
    with pytest.raises(ValueError, match="WORKSHOP_JUDGE must be 0 or 1; got 'perhaps'"):
        RunManager()
