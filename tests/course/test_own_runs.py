"""A visitor's runs as evidence: only their own, only readable ones, and nothing is read that no goal asks for."""

from gan.config import TrainConfig
from gan.course.lesson import Evidence
from gan.course.own_runs import own_runs
from gan.doctor.checkup import Checkups
from gan.runs.manager import RunManager
from gan.runs.states import RunState
from tests.conftest import ADA, BOB
from tests.waiting import ended, wait_for


def test_a_visitor_has_their_own_readable_runs(manager: RunManager, config: TrainConfig) -> None:
    mine, other, damaged = (manager.submit(config, "quick-digits", who) for who in (ADA, BOB, ADA))
    for run in (mine, other, damaged):
        wait_for(ended(run))
    fork = manager.fork(mine.id, 12, {"lr_d": 1e-3}, "steps", 5, ADA)
    wait_for(ended(fork))
    damaged.folder.config_file.write_text("{")
    newest, found = own_runs(manager.runs(), ADA.id, Checkups())
    assert (found.id, found.state, found.step, found.config, found.changes, found.parent) == (
        mine.id,
        RunState.FINISHED,
        12,
        config,
        (),
        "",
    )
    assert found.scores == () and found.checked.findings == frozenset() and found.checked.treatment is None
    assert newest.parent == mine.id and newest.config.lr_d == 1e-3 and newest.step == 17
    assert own_runs(manager.runs(), "", Checkups()) == ()


def test_runs_are_looked_for_once_and_only_when_asked() -> None:
    asked: list[int] = []

    def find() -> tuple[()]:
        asked.append(1)
        return ()

    evidence = Evidence(find_runs=find)
    assert not asked
    assert evidence.runs == evidence.runs == () and len(asked) == 1
