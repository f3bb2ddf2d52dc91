"""When a run changes its number of threads, on simulated machines with a simulated clock; how changes are stored and replayed."""

import io
import itertools
import json
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from gan import devices
from gan.config import TrainConfig
from gan.data.imageset import ImageDataset
from gan.devices import one_thread
from gan.events import THREADS, Event, Intervention, Metrics, Samples, ThreadChange
from gan.runs import export, record
from gan.runs import run as runs
from gan.runs.folder import RunFolder
from gan.runs.fork import fork
from gan.training import execution
from gan.training import loop as training
from gan.training import state as training_state
from gan.training import threads as rules
from gan.training.loop import Control, train
from gan.training.state import new_state
from gan.training.threads import ThreadChooser
from ui import comparison

CPU = torch.device("cpu")


class Machine:
    """A run on a simulated machine.

    Attributes:
        cores: how many it has.
        others: how many cores other processes take.
        work_s: a step's seconds on one thread that has a core.
        history: (when, threads) of each step.
    """

    def __init__(
        self, cores: int = 2, threads: int | None = None, others: float = 0.0, work_s: float = 0.05, tells_idle: bool = True
    ) -> None:
        self.cores, self.others, self.work_s, self.tells_idle = cores, others, work_s, tells_idle
        self.now_s = self.idle_s = 0.0
        self.threads = threads or cores
        self.history: list[Any] = []
        self.chooser = ThreadChooser(self.threads, cores, lambda: self.idle_s if self.tells_idle else None)

    def step_s(self, threads: int) -> float:
        """Threads that do not all have a core wait for each other at every operation."""
        left = max(self.cores - self.others, self.cores / (self.others + 1))
        if threads > left and threads > 1:
            return 30 * self.work_s
        return self.work_s / threads**0.8 / min(1.0, left / threads)

    def step(self, step_s: float | None = None) -> None:
        step_s = step_s if step_s is not None else self.step_s(self.threads)
        used = min(self.threads, max(self.cores - self.others, 0.5)) * (1.0 if self.threads == 1 else 0.98)
        self.now_s += step_s
        self.idle_s += max(0.0, self.cores - self.others - used) * step_s
        self.history.append((self.now_s, self.threads))
        self.threads = self.chooser.after_step(self.now_s, step_s, used * step_s)

    def run(self, seconds: float) -> "Machine":
        end = self.now_s + seconds
        while self.now_s < end:
            self.step()
        return self

    def switches(self) -> int:
        numbers = [threads for _, threads in self.history]
        return sum(a != b for a, b in itertools.pairwise(numbers))

    def share(self, threads: int, seconds: int) -> float:
        """The steps of the last seconds on this many threads."""
        last = [number for when, number in self.history if when > self.now_s - seconds]
        return last.count(threads) / len(last)


def test_an_idle_machine_is_left_alone() -> None:
    assert Machine().run(600).switches() == 0


def test_one_thread_beside_a_busy_process_and_two_again_when_it_has_ended() -> None:
    machine = Machine().run(10)
    machine.others = 1.0
    machine.run(10)
    assert machine.chooser.threads == 1 and machine.share(1, 5) == 1
    machine.run(600)
    assert machine.switches() == 1, "a full machine is not tried again"
    machine.others = 0.0
    machine.run(4)
    assert machine.chooser.threads == 2 and machine.switches() == 2
    machine.run(60)
    machine.others = 3.0
    machine.run(10)
    assert machine.chooser.threads == 1


def test_a_run_that_began_on_a_busy_machine_takes_fewer_threads_and_then_all() -> None:
    machine = Machine(others=1.0).run(10)
    assert machine.chooser.threads == 1
    machine.others = 0.0
    assert machine.run(5).chooser.threads == 2


def test_many_cores_are_halved_until_it_does_not_pay() -> None:
    machine = Machine(cores=16).run(5)
    machine.others = 9.0  # 7 are left
    machine.run(60)
    assert machine.chooser.threads == 4
    machine.others = 0.0
    machine.run(20)
    assert machine.chooser.threads == 16
    odd = Machine(cores=6, threads=1).run(20)
    assert odd.chooser.threads == 6 and {number for _, number in odd.history} == {1, 2, 4, 6}


def test_noise_and_single_slow_steps_change_nothing() -> None:
    machine = Machine()
    for i in range(20_000):
        machine.step(machine.step_s(2) * (1 + 0.2 * (i * 7919 % 100) / 100) * (10 if i % 400 == 399 else 1))
    assert machine.switches() == 0


def test_a_trial_that_does_not_pay_is_repeated_more_and_more_seldom() -> None:
    """Steps are slower for good, and one thread would be slower still: a processor that has become hot."""
    machine = Machine().run(5)
    machine.work_s *= 1.8
    machine.run(600)
    assert machine.switches() == 0, "the threads get all the processor time they can use"
    machine.work_s *= 1.5
    machine.run(20)
    early = machine.switches()
    assert 2 <= early <= 8 and machine.chooser.threads == 2
    machine.run(600)
    assert machine.switches() - early <= 2 * 600 / rules.LONGEST_RETRY_S + 4
    assert machine.share(2, 500) > 0.97


def test_what_becomes_far_slower_is_tried_again_at_once() -> None:
    machine = Machine().run(5)
    machine.work_s *= 2.5
    machine.run(300)
    assert machine.chooser.threads == 2 and machine.switches() > 0
    machine.others = 1.0
    assert machine.run(10).chooser.threads == 1


def test_more_threads_that_collapse_are_given_up_after_one_step_and_seldom_tried() -> None:
    """The system reports an idle core that the run cannot use: a container's limit."""
    machine = Machine(threads=1)
    machine.step_s = lambda threads: 0.05 if threads == 1 else 1.5  # type: ignore[method-assign]
    machine.run(1000)
    tried = [number for _, number in machine.history].count(2)
    assert 3 <= tried <= 1 + 11, "each trial is one step, after the first one on two threads at all"
    assert machine.chooser.threads == 1


def test_where_the_system_does_not_tell_what_is_idle_more_threads_are_tried_now_and_then() -> None:
    machine = Machine(tells_idle=False).run(5)
    machine.others = 1.0
    machine.run(1000)
    spent = sum(b - a for (a, _), (b, number) in itertools.pairwise(machine.history) if number == 2)
    assert machine.chooser.threads == 1 and spent < 30
    machine.others = 0.0
    assert machine.run(2 * rules.LONGEST_ROOM_WAIT_S).chooser.threads == 2
    assert Machine(tells_idle=False).run(600).switches() == 0


def test_a_load_that_comes_and_goes_does_not_make_it_flutter() -> None:
    machine = Machine()
    for _ in range(200):
        machine.others = 1.0 - machine.others
        machine.run(3)
    assert machine.switches() < 40


def test_a_setting_that_makes_steps_slower_is_no_reason_to_take_fewer_threads() -> None:
    machine = Machine().run(10)
    machine.work_s *= 3
    machine.chooser.forget()
    assert machine.run(60).switches() == 0


@pytest.mark.parametrize("end", ["rest", "forget"])
def test_a_trial_that_is_interrupted_counts_as_none(end: str) -> None:
    machine = Machine().run(5)
    machine.others = 1.0
    while machine.threads == 2:
        machine.step()
    machine.others = 0.0
    getattr(machine.chooser, end)()
    assert machine.chooser.threads == 2
    machine.threads = 2
    machine.run(60)
    assert machine.share(2, 60) > 0.95


def test_steps_of_seconds_are_judged_by_two() -> None:
    machine = Machine(work_s=4.0).run(60)
    machine.others = 1.0
    machine.run(260)
    assert machine.chooser.threads == 1 and machine.switches() == 1


def test_one_slow_second_is_not_enough_to_try_fewer_threads() -> None:
    machine = Machine().run(10)
    machine.others = 1.0
    for _ in range(22):
        machine.step(0.06)  # 1.3 s; alone a step takes 0.03
    machine.others = 0.0
    assert machine.run(60).switches() == 0
    machine.others = 1.0
    for _ in range(40):
        machine.step(0.06)
    assert machine.switches() > 0


@pytest.mark.parametrize(("on_one_s", "threads"), [(0.09, 2), (0.05, 1)])
def test_fewer_threads_whose_first_window_shows_no_gain_are_undone(on_one_s: float, threads: int) -> None:
    """A lucky trial: a step on one thread takes 0.05 s in it, and later the given time. On two threads it takes 0.09 s."""
    machine = Machine().run(10)
    machine.others = 1.0
    while machine.chooser.threads == 2:
        machine.step(0.09 if machine.threads == 2 else 0.05)
    for _ in range(25):
        machine.step(on_one_s)
    assert machine.chooser.threads == threads


def test_a_trial_in_which_the_process_is_stopped_counts_as_none() -> None:
    """Such as by Ctrl-Z, or in a paused container."""
    machine = Machine(threads=1)
    while machine.threads == 1:
        machine.step()
    assert machine.chooser.threads == 1
    machine.now_s += 60.0
    machine.threads = machine.chooser.after_step(machine.now_s, 60.0, 0.03)
    assert machine.threads == 1
    assert machine.run(4).chooser.threads == 2


def test_a_computer_that_slept_has_no_room_because_of_that() -> None:
    """All cores were idle for an hour between two steps; before and afterward other work takes one."""
    machine = Machine().run(10)
    machine.others = 1.0
    machine.run(30)
    before = machine.switches()
    machine.now_s, machine.idle_s = machine.now_s + 3600.0, machine.idle_s + 7200.0
    machine.run(60)
    assert machine.switches() == before and machine.chooser.threads == 1


def test_work_during_a_long_gap_does_not_hide_that_the_machine_is_idle() -> None:
    """Runs of which one at a time trains for some seconds, while the others are stopped: each sees its own seconds alone."""
    machine = Machine(threads=1)
    machine.run(1.5)
    machine.now_s += 20.0  # nothing was idle meanwhile
    assert machine.run(4.5).chooser.threads == 2
    for _ in range(20):
        machine.now_s += 20.0
        machine.run(8)
    assert machine.chooser.threads == 2 and machine.switches() == 1


def test_short_bursts_of_other_work_do_not_keep_a_run_on_one_thread() -> None:
    """Three seconds of other work twice a minute."""
    machine, idle = Machine(), []
    for _ in range(40):
        machine.others = 1.0
        machine.run(3)
        machine.others = 0.0
        start = len(machine.history)
        machine.run(27)
        idle += [number for _, number in machine.history[start:]]
    assert idle.count(2) > 0.8 * len(idle)


def test_a_hiccup_in_a_trial_of_more_threads_does_not_end_it() -> None:
    machine = Machine(threads=1)
    while machine.threads == 1:
        machine.step()
    machine.step()  # the first on two threads does not count
    machine.step(0.2)
    machine.run(3)
    assert machine.chooser.threads == 2 and machine.switches() == 1


def test_more_threads_that_lost_little_are_tried_again_within_half_a_minute() -> None:
    machine = Machine(threads=1)
    machine.step_s = lambda threads: 0.05  # type: ignore[method-assign]
    machine.run(600)
    assert machine.chooser.threads == 1
    assert 600 / rules.CHEAP_WAIT_S / 2 < machine.switches() / 2 <= 600 / rules.CHEAP_WAIT_S + 6


# In training: the numbers are chosen by a script of the test, instead of the rules above.


class Chosen:
    """Chooses by a script, regardless of measurements.

    Attributes:
        script: {number of recorded steps: threads from then on}.
        trials: whether each of these is only a trial.
        made: all instances.
    """

    script: ClassVar[dict[int, int]] = {}
    trials: ClassVar[bool] = False
    made: ClassVar[list["Chosen"]] = []

    def __init__(self, threads: int, most: int, idle_s: Callable[..., Any]) -> None:
        self.threads, self.most, self.told, self.forgot, self.rested = threads, most, 0, 0, 0
        self.made.append(self)

    def after_step(self, now_s: float, step_s: float, cpu_s: float) -> int:
        assert step_s > 0 and cpu_s >= 0
        self.told += 1
        wanted = self.script.get(self.told, torch.get_num_threads())
        self.threads = self.threads if self.trials else wanted
        return wanted

    def forget(self) -> None:
        self.forgot += 1

    def rest(self) -> int:
        self.rested += 1
        return self.threads


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Two cores, and the numbers of threads that a test chooses."""
    for module in (execution, training, training_state):
        monkeypatch.setattr(module, "cores", lambda: 2)
    monkeypatch.setattr(training, "ThreadChooser", Chosen)
    monkeypatch.setattr(Chosen, "made", [])
    with one_thread():  # puts back what the test changes
        yield lambda **script: monkeypatch.setattr(Chosen, "script", {int(name[1:]): threads for name, threads in script.items()})


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The threads that each step used."""
    numbers = []
    original = training.update_networks

    def note(*arguments: Any) -> None:
        numbers.append(torch.get_num_threads())
        original(*arguments)

    monkeypatch.setattr(training, "update_networks", note)
    return numbers


def equal(a: training_state.TrainState, b: training_state.TrainState) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.generator.parameters(), b.generator.parameters(), strict=True))


def test_what_is_chosen_is_told_used_from_the_next_step_on_and_repeated(
    config: TrainConfig, blobs: ImageDataset, choose: Callable[..., Any], used: list[Any]
) -> None:
    choose(s3=1, s7=2)
    state = new_state(config, CPU)
    events = list(train(state, blobs))
    changes = [event for event in events if isinstance(event, ThreadChange)]
    assert changes == [ThreadChange(3, 2, 1), ThreadChange(7, 1, 2)] and not [e for e in events if isinstance(e, Intervention)]
    assert used == [2] * 3 + [1] * 4 + [2] * 5
    assert state.execution.threads == 2 and state.changes == 2 and state.state_dict()["threads"] == 2
    assert Chosen.made[0].told == 12 and Chosen.made[0].most == 2

    choose(s1=1)  # what else would be chosen does not matter in a replay
    used.clear()
    again, script = new_state(config, CPU), Control()
    script.repeat([Intervention(3, "threads", 2, 1), Intervention(7, "threads", 1, 2)], until=12)
    assert [event for event in train(again, blobs, script) if isinstance(event, ThreadChange)] == changes
    assert used == [2] * 3 + [1] * 4 + [2] * 5 and equal(state, again) and len(Chosen.made) == 1


def test_a_script_without_threads_keeps_them_fixed(
    config: TrainConfig, blobs: ImageDataset, choose: Callable[..., Any], used: list[Any]
) -> None:
    """From a run of an older version, say."""
    choose(s1=1)
    script = Control()
    script.repeat([Intervention(4, "lr_g", 0.002, 0.01)], until=12)
    list(train(new_state(config, CPU), blobs, script))
    assert used == [2] * 12 and Chosen.made == []


def test_after_the_script_s_end_threads_are_chosen_again(
    config: TrainConfig, blobs: ImageDataset, choose: Callable[..., Any], used: list[Any]
) -> None:
    choose(s2=2)
    control = Control()
    control.repeat([Intervention(5, "threads", 2, 1)])
    list(train(new_state(config, CPU), blobs, control))
    assert used == [2] * 5 + [1] * 2 + [2] * 5


def test_with_one_thread_at_most_nothing_is_measured(
    config: TrainConfig, blobs: ImageDataset, choose: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(s1=2)
    list(train(new_state(config, CPU, threads=1), blobs))
    for module in (execution, training, training_state):
        monkeypatch.setattr(module, "cores", lambda: 1)
    list(train(new_state(config, CPU), blobs))
    assert Chosen.made == []


def test_steps_that_somebody_watches_are_not_learned_from(config: TrainConfig, blobs: ImageDataset, choose: Callable[..., Any]) -> None:
    choose()
    control = Control()
    control.pace_s = 1e-6
    for event in train(new_state(config, CPU), blobs, control):
        if isinstance(event, Metrics) and event.step == 4:
            control.pace_s = 0.0
            control.change("lr_g", 0.01)
    chooser = Chosen.made[0]
    assert (chooser.told, chooser.rested, chooser.forgot) == (8, 4 + 1, 1)


def test_a_trial_ends_with_the_loop(
    config: TrainConfig, blobs: ImageDataset, choose: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Chosen, "trials", True)
    choose(s11=1)
    state = new_state(config, CPU)
    changes = [event for event in train(state, blobs) if isinstance(event, ThreadChange)]
    assert changes == [ThreadChange(11, 2, 1), ThreadChange(12, 1, 2)] and state.execution.threads == 2


@pytest.mark.parametrize("threads", [0, -1, 10**6, "2", None, 1.5, [1]])
def test_a_number_of_threads_from_a_damaged_file_is_refused(
    config: TrainConfig, blobs: ImageDataset, choose: Callable[..., Any], used: list[Any], threads: float | list[int] | str | None
) -> None:
    choose()
    control = Control()
    control.repeat([Intervention(3, "threads", 2, threads)])
    state = new_state(config.change(duration=5), CPU)
    assert not [event for event in train(state, blobs, control) if isinstance(event, ThreadChange)]
    assert state.step == 5 and set(used) == {2} and state.changes == 0


def test_no_setting_has_that_name() -> None:
    assert THREADS not in TrainConfig.model_fields


def recorded(folder: RunFolder, state: training_state.TrainState, dataset: ImageDataset, control: Control | None = None) -> list[Event]:
    return list(record.record(folder, state, dataset, control or Control()))


def prepared(
    folder: RunFolder, config: TrainConfig, dataset: ImageDataset, control: Control | None = None, threads: int | None = None
) -> training_state.TrainState:
    folder.path.mkdir(parents=True, exist_ok=True)
    if not folder.config_file.exists():
        folder.write_config(config, "", dataset)
    return record.prepare(folder, config, dataset, CPU, control, threads)


@pytest.mark.parametrize("kept", [5, 6])  # before a change, and at its step
def test_resuming_across_a_change_of_threads_is_as_if_it_had_never_stopped(
    config: TrainConfig, blobs: ImageDataset, choose: Callable[..., Any], used: list[Any], tmp_path: Path, kept: int
) -> None:
    choose(s3=1, s6=2, s9=1)
    whole = RunFolder(tmp_path / "whole")
    state = prepared(whole, config, blobs)
    recorded(whole, state, blobs)
    lines = whole.interventions_file.read_text().splitlines()
    assert json.loads(lines[0]) == {"step": 3, "field": "threads", "old": 2, "new": 1} and len(lines) == 3
    expected = list(used)

    used.clear()
    killed = RunFolder(tmp_path / "killed")
    part = prepared(killed, config.change(duration=kept), blobs)
    recorded(killed, part, blobs)  # its state is saved here; what follows is lost with the process, but for what it logged
    shutil.copy(whole.interventions_file, killed.interventions_file)
    choose()
    del used[kept:]
    control = Control()
    again = prepared(killed, config, blobs, control)
    assert (
        again.step == kept and again.execution.threads == (1 if kept == 5 else 2) and len(killed.read_script()) == again.changes == kept - 4
    )
    recorded(killed, again, blobs, control)
    assert used == expected and equal(state, again)
    assert killed.interventions_file.read_text() == whole.interventions_file.read_text()


def test_a_run_that_was_saved_on_one_thread_may_take_more_later(
    config: TrainConfig, blobs: ImageDataset, choose: Callable[..., Any], tmp_path: Path
) -> None:
    choose(s3=1)
    folder = RunFolder(tmp_path / "run")
    recorded(folder, prepared(folder, config.change(duration=5), blobs), blobs)
    state = prepared(folder, config, blobs)
    assert (state.execution.threads, state.most_threads) == (1, 2)
    assert prepared(folder, config, blobs, threads=1).most_threads == 1


def test_threads_are_nobody_s_intervention(config: TrainConfig, blobs: ImageDataset, choose: Callable[..., Any], tmp_path: Path) -> None:
    """Not in what the charts, the doctor, comparisons and exports are given; but a fork and a zip have them."""
    choose(s2=1, s4=2)
    folder = RunFolder(tmp_path / "run")
    control = Control()
    control.repeat([Intervention(6, "lr_g", config.lr_g, 0.01)])
    state = prepared(folder, config, blobs)
    for event in record.record(folder, state, blobs, control):
        if isinstance(event, Samples) and event.step == 8:
            control.change("lr_d", 0.001)
    assert [c.field for c in folder.read_script()] == ["lr_g", "lr_d", "threads", "threads"]
    assert [c.field for c in folder.read_interventions()] == ["lr_g", "lr_d"] and state.changes == 4

    run = runs.Run(folder)
    assert [change["field"] for change in run.interventions] == ["lr_g", "lr_d"] and run.live_config.lr_d == 0.001
    assert [change.field for change in comparison.look_at(run).changes] == ["lr_g", "lr_d"]

    child = fork(folder, tmp_path / "child", 12, {"lr_g": 0.005})
    assert len(child.read_script()) == 4 and comparison.parent_of(child.read_config()[1]).changes == 2
    assert runs.Run(child).live_config.lr_g == 0.005 and runs.Run(child).live_config.lr_d == 0.001

    packed = io.BytesIO()
    list(export.zip_run(folder, packed))
    with zipfile.ZipFile(packed) as archive:
        texts = {name.split("/")[1]: archive.read(name).decode() for name in archive.namelist() if name.endswith((".csv", ".txt"))}
    assert "threads" not in texts["interventions.csv"] and texts["interventions.csv"].count("\n") == 3
    assert texts["threads.csv"].splitlines()[0] == "step,old,new" and texts["threads.csv"].count("\n") == 3
    assert "threads.csv" in texts["README.txt"]


def test_idle_time_is_told_where_the_system_has_it() -> None:
    told = devices.idle_s()
    assert told is None or told > 0
    if sys.platform == "linux":
        assert told is not None and devices.idle_s() >= told
