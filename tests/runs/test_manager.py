"""Many people on one server: owners, turns, limits, and cleaning up after ended runs."""

import gc
import json
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from gan.config import TrainConfig
from gan.explore.models import find_model, model_sources
from gan.owners import LOCAL, STRANGER, NotAllowed, Visitor
from gan.runs import record
from gan.runs import run as runs
from gan.runs.folder import RunFolder
from gan.runs.manager import DELETED, RunManager
from gan.training.state import TrainState
from tests.conftest import ADA, BOB
from tests.waiting import ended, threads, wait_for

CAROL, HOST = Visitor("Carol", "c" * 16), Visitor("Host", "d" * 16, admin=True)


def steering(manager: RunManager, run_id: str) -> list[Callable[..., Any]]:
    """Every way to change a run, each called with a visitor."""
    return [
        lambda who: manager.pause(run_id, who),
        lambda who: manager.go_on(run_id, who),
        lambda who: manager.step_once(run_id, "both", who),
        lambda who: manager.change(run_id, "lr_g", 0.001, who),
        lambda who: manager.set_pace(run_id, 1.0, who),
        lambda who: manager.stop(run_id, who),
        lambda who: manager.resume(run_id, visitor=who),
        lambda who: manager.delete(run_id, who),
    ]


def test_whoever_starts_a_run_owns_it_through_resumes_and_restarts(manager: RunManager, config: TrainConfig) -> None:
    run = manager.submit(config, "quick-digits", ADA)
    wait_for(ended(run))
    stored = json.loads(run.folder.config_file.read_text())
    assert (stored["owner"], stored["owner_id"]) == ("Ada", ADA.id)
    run = manager.resume(run.id, "steps", 3, HOST)
    wait_for(ended(run))
    after = RunManager()
    assert after.may_steer(after.get(run.id), ADA) and not after.may_steer(after.get(run.id), BOB)


def test_only_its_owner_and_the_host_steer_a_run(manager: RunManager, endless: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_ADMIN_TOKEN", "sesame")
    run = manager.submit(endless, "", ADA)
    wait_for(lambda: run.state == "running")
    for act in steering(manager, run.id):
        for who in (BOB, STRANGER, Visitor("Ada", BOB.id), Visitor("Ada", "")):
            with pytest.raises(NotAllowed, match="Only Ada, who started it, or the workshop's host can steer this run"):
                act(who)
    assert run.state == "running" and not run.pace_s
    assert manager.trains_here()
    manager.change(run.id, "lr_g", 0.001, ADA)
    manager.pause(run.id, HOST)
    wait_for(lambda: run.state == "paused")
    assert not manager.trains_here()
    manager.go_on(run.id, ADA)
    wait_for(lambda: run.state == "running")
    manager.stop(run.id, ADA)
    wait_for(ended(run))
    for who in (BOB, STRANGER):
        with pytest.raises(NotAllowed):
            manager.resume(run.id, visitor=who)
        with pytest.raises(NotAllowed):
            manager.delete(run.id, who)
    manager.delete(run.id, ADA)
    for act in steering(manager, run.id):
        with pytest.raises(KeyError):
            act(ADA)


def test_a_run_that_waits_is_its_owners_too(manager: RunManager, endless: TrainConfig) -> None:
    manager.submit(endless, "", ADA)
    waiting = manager.submit(endless, "", ADA)
    with pytest.raises(NotAllowed):
        manager.stop(waiting.id, BOB)
    assert manager.position(waiting) == 1
    manager.stop(waiting.id, ADA)
    assert waiting.state == "stopped"


def test_what_nobody_owns_is_anybodys_until_there_is_a_host(
    manager: RunManager, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = manager.submit(config)
    wait_for(ended(run))
    assert manager.may_steer(run, BOB) and manager.may_steer(run, STRANGER)
    monkeypatch.setenv("WORKSHOP_ADMIN_TOKEN", "sesame")
    assert manager.may_steer(run, HOST) and not manager.may_steer(run, BOB) and not manager.may_steer(run, STRANGER)
    with pytest.raises(NotAllowed, match="Only the workshop's host can steer this run"):
        manager.delete(run.id, BOB)


def test_a_run_whose_owner_cannot_be_told_is_the_hosts_alone(manager: RunManager, config: TrainConfig) -> None:
    run = manager.submit(config, "", ADA)
    wait_for(ended(run))
    run.folder.config_file.write_text("{")
    assert not manager.may_steer(run, BOB) and not manager.may_steer(run, ADA) and manager.may_steer(run, LOCAL)
    with pytest.raises(NotAllowed):
        manager.delete(run.id, BOB)
    run.folder.config_file.write_text(json.dumps({"owner_id": ["b" * 16], "config": config.model_dump()}))
    assert not manager.may_steer(run, BOB)


def test_nobody_starts_a_run_before_it_is_known_who_they_are(manager: RunManager, config: TrainConfig) -> None:
    parent = manager.submit(config, "", ADA)
    wait_for(ended(parent))
    with pytest.raises(NotAllowed, match="reload the page"):
        manager.submit(config, "", STRANGER)
    with pytest.raises(NotAllowed, match="reload the page"):
        manager.fork(parent.id, 12, {}, "steps", 1, STRANGER)
    assert manager.runs() == [parent]


def test_a_fork_is_its_makers_not_the_parents_owners(manager: RunManager, config: TrainConfig) -> None:
    parent = manager.submit(config, "", ADA)
    wait_for(ended(parent))
    child = manager.fork(parent.id, 12, {}, "steps", 3, BOB)
    wait_for(ended(child))
    assert (child.stored["owner"], child.stored["owner_id"]) == ("Bob", BOB.id)
    with pytest.raises(NotAllowed):
        manager.delete(child.id, ADA)
    with pytest.raises(NotAllowed):
        manager.delete(parent.id, BOB)
    manager.delete(child.id, BOB)
    assert manager.runs() == [parent]


def test_a_deleted_run_is_gone_whole_and_one_at_work_cannot_be_deleted(
    manager: RunManager, config: TrainConfig, endless: TrainConfig
) -> None:
    run, other = manager.submit(endless), manager.submit(config)
    wait_for(lambda: run.state == "running")
    for busy in (run, other):
        with pytest.raises(ValueError, match="stop it first"):
            manager.delete(busy.id)
    manager.stop(run.id)
    wait_for(ended(run))
    wait_for(ended(other))
    manager.delete(run.id)
    assert [r.id for r in manager.runs()] == [other.id] and not run.folder.path.exists()
    assert list(model_sources(manager.root)) == [other.id]
    with pytest.raises(KeyError):
        find_model(manager.root, f"{run.id}@1")
    assert not list(manager.root.glob(".*"))


def test_a_run_of_another_process_is_not_deleted_under_it(manager: RunManager, endless: TrainConfig) -> None:
    run = manager.submit(endless)
    wait_for(lambda: run.state == "running")
    other = RunManager()
    with pytest.raises(ValueError, match="stop it first"):
        other.delete(run.id)


def test_a_half_deleted_run_is_never_listed_and_swept_up_later(
    manager: RunManager, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = manager.submit(config)
    wait_for(ended(run))
    with monkeypatch.context() as patch:
        patch.setattr("gan.runs.manager._remove", lambda folder: None)  # as if the process had been killed in between
        manager.delete(run.id)
    assert manager.runs() == [] and model_sources(manager.root) == {}
    (left,) = manager.root.glob(f"{DELETED}*")
    with pytest.raises(KeyError):
        manager.get(left.name)
    after = RunManager()
    wait_for(ended(after.submit(config)))
    wait_for(lambda: not left.exists())


def test_everybodys_first_run_comes_before_anybodys_second(manager: RunManager, endless: TrainConfig, config: TrainConfig) -> None:
    first = manager.submit(endless, "", ADA)
    ada, bob, carol, ada_again = (manager.submit(config, "", who) for who in (ADA, BOB, CAROL, ADA))
    wait_for(lambda: first.state == "running")
    assert [manager.position(run) for run in (bob, carol, ada, ada_again, first)] == [1, 2, 3, 4, 0]
    assert manager.unfinished() == [first, bob, carol, ada, ada_again]
    bob_again = manager.submit(config, "", BOB)
    assert [manager.position(run) for run in (bob, carol, ada, bob_again, ada_again)] == [1, 2, 3, 4, 5]
    manager.stop(bob.id, BOB)
    assert [manager.position(run) for run in (carol, bob_again, ada, ada_again)] == [1, 2, 3, 4]
    manager.stop(first.id)  # ada's next run is now her first, and it is still not her turn
    for run in (carol, bob_again, ada, ada_again):
        wait_for(ended(run))
        assert run.state == "finished"
    ends = [run.folder.status_file.stat().st_mtime_ns for run in (carol, bob_again, ada, ada_again)]
    assert ends == sorted(ends)


def test_a_waiting_run_knows_when_it_starts(
    manager: RunManager, endless: TrainConfig, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = manager.submit(config)  # it shows the speed
    wait_for(ended(learned))
    speed = learned.status()["elapsed_s"] / 12
    running = manager.submit(config.change(duration=1000, duration_unit="seconds"), "", ADA)
    second = manager.submit(config.change(duration=500, duration_unit="steps"), "", BOB)
    third = manager.submit(config.change(batch_size=4), "", CAROL)
    fourth = manager.submit(config, "", ADA)
    wait_for(lambda: running.state == "running")
    assert manager.place(running) == (0, None)
    position, starts_in_s = manager.place(second)
    assert position == 1 and 900 < starts_in_s <= 1000
    position, starts_in_s = manager.place(third)
    assert position == 2 and starts_in_s > 900 and (starts_in_s - manager.place(second)[1]) < 5000 * speed
    assert manager.place(fourth) == (3, None)  # nobody knows how fast runs of the third's kind are
    manager.pause(running.id)
    wait_for(lambda: running.state == "paused")
    monkeypatch.setattr("gan.runs.manager.PLAN_S", -1.0)  # estimates are computed each time
    assert manager.place(second) == (1, None)


def test_a_participant_has_so_many_runs_waiting_and_no_more(
    data: None, endless: TrainConfig, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKSHOP_MAX_WAITING", "1")
    manager = RunManager()
    first = manager.submit(endless, "", ADA)
    manager.submit(config, "", ADA)
    with pytest.raises(ValueError, match="1 run of yours waits already"):
        manager.submit(config, "", ADA)
    manager.submit(config, "", BOB)
    for _ in range(2):
        manager.submit(config, "", HOST)
    assert first.at_work
    manager.shutdown()


def test_a_run_ends_at_the_limit_of_steps_and_goes_on_at_no_price(data: None, config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_MAX_STEPS", "20")
    manager = RunManager()
    with pytest.raises(ValueError, match="20 steps in all; these settings ask for 21"):
        manager.submit(config.change(duration=21), "", ADA)
    exact = manager.submit(config.change(duration=20), "", ADA)
    wait_for(ended(exact))
    assert exact.state == "finished" and not exact.status().get("reason")
    with pytest.raises(ValueError, match="these settings ask for 6,000"):  # now the size of the set is known
        manager.submit(config.change(duration=1000, duration_unit="epochs"), "", ADA)
    run = manager.submit(config.change(duration=1e6, duration_unit="seconds"), "", ADA)
    wait_for(ended(run))
    status = run.status()
    assert status["state"] == "stopped" and status["reason"] == "This server lets a run train for 20 steps in all."
    assert 20 <= status["step"] <= 25 and status["error"] is None
    for unit, amount in ((None, None), ("steps", 5)):
        with pytest.raises(ValueError, match="20 steps in all, and this run has reached them"):
            manager.resume(run.id, unit, amount, ADA)
    with pytest.raises(ValueError, match="20 steps in all, and this run has reached them"):
        manager.fork(run.id, status["step"], {}, "steps", 5, ADA)
    assert len(manager.runs()) == 2
    run = manager.resume(run.id, "steps", 5, HOST)
    wait_for(ended(run))
    assert run.state == "finished" and run.status()["reason"] is None
    manager.shutdown()


def test_a_run_ends_at_the_limit_of_time_and_can_be_resumed(data: None, endless: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_MAX_MINUTES", "0.001")
    manager = RunManager()
    run = manager.submit(endless, "", ADA)
    wait_for(ended(run))
    step = run.status()["step"]
    assert run.state == "stopped" and "at a stretch: resume it to continue" in run.status()["reason"]
    run = manager.resume(run.id, visitor=ADA)
    wait_for(ended(run))
    assert run.state == "stopped" and run.status()["step"] > step
    manager.shutdown()


def test_a_run_ends_when_its_folder_is_full(data: None, endless: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_MAX_DISK_MB", "0.01")
    monkeypatch.setattr(runs, "WEIGH_EVERY_S", 0)
    manager = RunManager()
    run = manager.submit(endless, "", ADA)
    wait_for(ended(run))
    assert run.state == "stopped" and "0.01 MiB on disk" in run.status()["reason"]
    with pytest.raises(ValueError, match=r"0\.01 MiB on disk, but this one has"):
        manager.resume(run.id, visitor=ADA)
    manager.shutdown()


@pytest.fixture
def clock(now: list[float], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A clock that stands still until it is moved on, and a grace time of 600 s."""
    now.append(1000.0)
    monkeypatch.setattr("gan.runs.manager.HOUSEKEEPING_S", 1e6)
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def test_a_run_whose_owner_has_left_makes_room_for_others(manager: RunManager, endless: TrainConfig, clock: Callable[..., Any]) -> None:
    run = manager.submit(endless, "", ADA)
    wait_for(lambda: run.status()["step"] > 0)
    clock(10_000)
    manager.make_room()
    assert not run.stopping  # nobody waits
    own = manager.submit(endless, "", ADA)
    clock(10_000)
    manager.make_room()
    assert not run.stopping  # nobody else waits
    bob = manager.submit(endless, "", BOB)
    manager.seen(ADA.id)
    clock(500)
    manager.make_room()
    assert not run.stopping
    clock(200)
    manager.seen(BOB.id)
    manager.seen("f" * 16)
    manager.make_room()
    wait_for(ended(run))
    status = run.status()
    assert status["state"] == "stopped" and run.folder.state_file.exists()
    assert status["reason"] == "Others were waiting, and Ada had been away for 10 minutes. Resume it to continue."
    wait_for(lambda: bob.state == "running")
    assert manager.position(own) == 1 and set(manager.last_seen()) <= {ADA.id, BOB.id}


def test_a_paused_run_makes_room_as_well_and_one_of_the_host_or_of_nobody_never(
    manager: RunManager, endless: TrainConfig, clock: Callable[..., Any]
) -> None:
    for owner in (HOST, LOCAL):
        run = manager.submit(endless, "", owner)
        waiting = manager.submit(endless, "", BOB)
        wait_for(lambda run=run: run.state == "running")
        clock(10_000)
        manager.make_room()
        assert not run.stopping
        manager.stop(waiting.id)
        manager.stop(run.id)
        wait_for(ended(run))
    run = manager.submit(endless, "", ADA)
    wait_for(lambda: run.state == "running")
    manager.pause(run.id, ADA)
    wait_for(lambda: run.state == "paused")
    manager.submit(endless, "", BOB)
    clock(601)
    manager.make_room()
    wait_for(ended(run))
    assert run.state == "stopped"


def test_no_more_runs_make_room_than_wait_and_the_longest_absent_first(
    data: None, endless: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    manager = RunManager(max_runs=2, clock=lambda: now[0])
    monkeypatch.setattr("gan.runs.manager.HOUSEKEEPING_S", 1e6)
    ada, bob = manager.submit(endless, "", ADA), manager.submit(endless, "", BOB)
    now[0] += 1000
    manager.seen(ADA.id)
    now[0] += 1000
    carol = manager.submit(endless, "", CAROL)
    manager.make_room()
    manager.make_room()
    wait_for(ended(bob))
    wait_for(lambda: carol.state == "running")
    assert ada.at_work and not ada.stopping
    manager.shutdown()


def test_somebody_looks_after_the_runs_while_there_are_any(data: None, endless: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan.runs.manager.HOUSEKEEPING_S", 0.02)
    monkeypatch.setenv("WORKSHOP_GRACE_S", "0.1")
    manager = RunManager()
    run = manager.submit(endless, "", ADA)
    manager.submit(endless, "", BOB)
    wait_for(ended(run))
    assert "for 0.1 seconds" in run.status()["reason"]
    manager.shutdown()
    wait_for(lambda: not threads("housekeeping"))


def test_nothing_of_an_ended_run_stays_in_memory(
    manager: RunManager, endless: TrainConfig, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = []
    original = record.prepare_at

    def prepare(*arguments: Any) -> TrainState:
        state = original(*arguments)
        states.append(weakref.ref(state))
        return state

    monkeypatch.setattr(runs, "prepare_at", prepare)
    finished, stopped = manager.submit(config, "", ADA), manager.submit(endless, "", BOB)
    wait_for(ended(finished))
    wait_for(lambda: len(stopped.history) > 0)
    manager.stop(stopped.id)
    wait_for(ended(stopped))
    wait_for(lambda: not threads("run-"))
    gc.collect()
    assert len(states) == 2 and not any(state() for state in states)
    assert finished.history.columns["step"] == [5, 10]  # from its folder


def test_a_damaged_owner_in_a_folder_from_elsewhere_is_no_ones(manager: RunManager, config: TrainConfig) -> None:
    run = manager.submit(config)
    wait_for(ended(run))
    RunFolder(run.folder.path).write_json(run.folder.config_file, {**run.stored, "owner": 7, "owner_id": 7})
    assert not manager.may_steer(run, BOB)
    with pytest.raises(NotAllowed, match="Only the server itself can steer"):
        manager.stop(run.id, BOB)
    assert "owner must be text or null; got '7'" in run.fault
