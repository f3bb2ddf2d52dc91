"""The whole states that a run keeps for forks: early ones close together, and those that matter."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.doctor import rounds
from gan.doctor.checkup import Checkup, Checkups
from gan.doctor.diagnosis import Finding
from gan.doctor.rounds import ENOUGH, Rounds
from gan.events import Event, Metrics
from gan.judging.judgements import Judgement
from gan.runs import folder as folders_of_runs
from gan.runs import record as recording
from gan.runs.folder import RunFolder, least_useful
from gan.runs.fork import fork
from gan.runs.record import prepare, record
from gan.runs.run import Run
from gan.runs.states import RunState
from gan.runs.watch import Preparation, Watch
from gan.training.loop import Control
from gan.training.state import new_state
from tests.doctor.test_doctor import write_sick_run
from tests.waiting import wait_for

CPU = torch.device("cpu")


def kept(steps: list[int], most: int, important: Callable[[int], list[int]] = lambda step: []) -> list[int]:
    """The steps whose states are left after one state at each of these steps. most: how many are kept."""
    left: list[int] = []
    for step in steps:
        left.append(step)
        while len(left) > most:
            left.remove(least_useful(left, important(step)))
    return left


def test_early_states_stay_closer_together_than_late_ones() -> None:
    left = kept([16, 32, 64, 128, 256, *range(512, 20_001, 256)], 16)
    gaps = [later - earlier for earlier, later in itertools.pairwise(left)]
    assert len(left) == 16 and left[-1] == 19_968
    assert left[0] <= 128 and max(gaps) < 20_000 / 5 and sum(gaps[:4]) < sum(gaps[-4:])


def test_what_matters_stays_and_the_best_longest() -> None:
    change, trouble, best = 700, 1300, 650
    steps = sorted([best, change, *range(100, 4001, 100)])
    assert {best, change, 1300} <= set(kept(steps, 6, lambda step: [at for at in (change, trouble, best) if at <= step]))
    assert kept(steps, 2, lambda step: [at for at in (change, trouble, best) if at <= step]) == [best, 4000]
    assert least_useful([10, 20], [15]) == 10, "the newest stays"


def test_a_state_between_two_is_found_for_a_step_without_one() -> None:
    assert 480 in kept(list(range(40, 4001, 40)), 5, lambda step: [500])


def trained(
    folder: RunFolder, config: TrainConfig, dataset: ImageDataset, control: Control | None = None, watch: Watch | None = None
) -> Iterator[Event]:
    folder.path.mkdir(parents=True, exist_ok=True)
    if not folder.config_file.exists():
        folder.write_config(config, "")
    control = control or Control()
    return record(folder, prepare(folder, config, dataset, CPU, control), dataset, control, watch=watch)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def test_states_are_kept_at_powers_of_two_from_the_start(folder: RunFolder, config: TrainConfig, blobs: ImageDataset) -> None:
    list(trained(folder, config.change(duration=70), blobs))
    assert folder.state_steps() == [16, 32, 64]


def test_the_state_before_a_change_has_the_settings_of_before(
    folder: RunFolder, config: TrainConfig, blobs: ImageDataset, tmp_path: Path
) -> None:
    control = Control()
    for event in trained(folder, config.change(duration=60), blobs, control):
        if isinstance(event, Metrics) and event.step == 40:
            control.change("lr_d", 0.01)
            control.change("dropout", 0.25)
        if isinstance(event, Metrics) and event.step == 50:  # within the same moment: one state is enough
            control.change("lr_d", 0.02)
    assert folder.state_steps() == [16, 32, 40]
    child = fork(folder, tmp_path / "child", 41, {})
    was = config.change(duration=60)
    assert child.read_config()[0] == was and child.read_config()[1]["parent"]["step"] == 40
    assert child.read_script() == [] and child.load_state(was, CPU).config.lr_d == was.lr_d


def test_the_state_of_the_best_images_is_kept(
    folder: RunFolder, config: TrainConfig, blobs: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders_of_runs, "STATES_KEPT", 3)
    fd, asked = {10: 5.0, 25: 2.0, 35: 4.0, 45: 6.0}, []

    def due(self: Watch, state: Any, at_the_end: bool = False) -> bool:
        new = state.step in fd and state.step not in asked
        asked.append(state.step)
        return new

    monkeypatch.setattr(Watch, "due", due)
    watch = Watch(Preparation())
    monkeypatch.setattr(watch, "look", lambda state, *rest: Judgement({"step": state.step, "fd": fd[state.step], "fd_error": 0.1}))
    list(trained(folder, config.change(duration=140, log_every=5), blobs, watch=watch))
    best = folder.best()
    assert best is not None and best.step == 25 and 25 in folder.state_steps() and folder.state_steps()[-1] == 128


def test_a_state_is_kept_when_something_begins_to_go_wrong(folder: RunFolder, config: TrainConfig, blobs: ImageDataset) -> None:
    for event in trained(folder, config.change(duration=60), blobs):
        if isinstance(event, Metrics) and event.step == 45:
            folder.troubles = frozenset({20})
    assert folder.state_steps() == [16, 32, 45]


def test_a_checkup_tells_the_run_what_it_found(tmp_path: Path) -> None:
    run = Run(write_sick_run(tmp_path / "sick"))
    checkup = Checkup(run)
    checkup.findings()
    assert run.folder.troubles == {10} and checkup.states == []


def test_a_pending_change_is_not_taken_for_settings_from_the_start(tmp_path: Path) -> None:
    """At a rate of 1e-5, the beginning takes four times as long, and the finding would be gone."""
    run = Run(write_sick_run(tmp_path / "sick"))
    before, after = Checkup(run), Checkup(run)
    before.findings()
    run._control.change("lr_d", 1e-5)
    after.findings()
    assert run.live_config.lr_d == 1e-5 and after.verdict == before.verdict


def test_runs_are_examined_while_nobody_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sick, ended = Run(write_sick_run(tmp_path / "sick")), Run(write_sick_run(tmp_path / "ended"))
    monkeypatch.setattr(Run, "state", property(lambda run: RunState.RUNNING if run is sick else RunState.FINISHED))
    monkeypatch.setattr(rounds, "EVERY_S", 0.01)
    checkups = Checkups()
    with Rounds(checkups, lambda: [ended, sick]):
        wait_for(lambda: sick.folder.troubles == {10})
    assert checkups.of(sick).version == 1 and checkups.of(ended).version == 0


def test_a_run_that_cannot_be_read_does_not_keep_others_from_being_examined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged, sick = Run(write_sick_run(tmp_path / "damaged")), Run(write_sick_run(tmp_path / "sick"))
    damaged.folder.config_file.write_text("{")
    monkeypatch.setattr(Run, "state", RunState.RUNNING)
    Rounds(Checkups(), lambda: [damaged, sick]).once()
    assert sick.folder.troubles == {10}


def test_an_unforeseen_failure_at_one_run_does_not_keep_others_from_being_examined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    strange, sick = Run(write_sick_run(tmp_path / "strange")), Run(write_sick_run(tmp_path / "sick"))
    monkeypatch.setattr(Run, "state", RunState.RUNNING)

    def fail() -> None:
        raise KeyError("step")

    monkeypatch.setattr(strange.folder, "read_judged", fail)
    active = [strange, sick]
    doctor = Rounds(Checkups(), lambda: active)
    doctor.once()
    doctor.once()
    assert sick.folder.troubles == {10} and caplog.text.count("could not examine the run strange") == 1, "once for each message"
    active.remove(strange)
    doctor.once()
    active.append(strange)
    doctor.once()
    assert caplog.text.count("could not examine the run strange") == 2, "it was resumed"


@pytest.mark.parametrize(
    "wants, key, found, began, recovering, stops",
    [
        (True, "finished", 3500, 0, False, True),
        (False, "finished", 3500, 0, False, False),
        (True, "collapse", 3500, 0, False, False),
        (True, "finished", 3500, 3500, False, False),  # resumed since
        (True, "finished", 6000, 3500, False, True),
        (True, "finished", 3500, 0, True, False),
    ],
)
def test_a_run_stops_when_it_has_stopped_improving_if_its_settings_ask_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wants: bool, key: str, found: int, began: int, recovering: bool, stops: bool
) -> None:
    run = Run(write_sick_run(tmp_path / "run"))
    run.began_step = began
    monkeypatch.setattr(Run, "state", RunState.RUNNING)
    monkeypatch.setattr(Run, "config", TrainConfig(stop_when_finished=wants))
    finding = Finding(key, "", "information", found - 300, found, (), "", "", (), recovering)
    checkups: Any = SimpleNamespace(of=lambda run: SimpleNamespace(fresh=False, findings=lambda: [finding]))
    stopped = []
    Rounds(checkups, lambda: [run], lambda run, reason: stopped.append(reason)).once()
    assert stopped == [ENOUGH] * stops


def test_single_steps_keep_nothing(folder: RunFolder, config: TrainConfig, blobs: ImageDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "KEPT_EVERY_S", -1)
    config = config.change(duration=60)
    folder.path.mkdir()
    folder.write_config(config, "")
    state, control = new_state(config, CPU), Control()
    state.step = 39
    control.step_once("generator")
    list(record(folder, state, blobs, control, keep=False))
    assert folder.state_steps() == []


def test_all_states_together_stay_within_the_disk_bound(
    folder: RunFolder, config: TrainConfig, blobs: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(trained(folder, config.change(duration=20), blobs))
    size = folder.kept_state_file(16).stat().st_size
    monkeypatch.setattr(folders_of_runs, "STATES_BYTES", 4.5 * size)
    list(trained(folder, config.change(duration=600), blobs))
    files = [folder.kept_state_file(step) for step in folder.state_steps()]
    assert len(files) == 4 and sum(file.stat().st_size for file in files) <= 4.5 * size
