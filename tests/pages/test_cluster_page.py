"""A server with a cluster: its page for the host, and what participants read."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from gan.config import TrainConfig
from gan.runs.manager import RunManager
from gan.runs.moves import Move
from tests.cluster.threads import ThreadCluster
from tests.conftest import ADA
from tests.pages.apps import texts
from tests.waiting import wait_for
from ui import page_files as pages
from ui.text import plain


@pytest.fixture
def cluster(manager: RunManager) -> ThreadCluster:
    """The workshop's manager has it."""
    manager.cluster = cluster = ThreadCluster()
    return cluster


def test_the_host_sees_machines_and_what_runs_where(
    cluster: ThreadCluster, manager: RunManager, config: TrainConfig, open_page: Callable[..., AppTest]
) -> None:
    run = manager.submit(config.change(duration=10**6), "quick-digits", ADA)
    waiting = manager.submit(config, "quick-digits", ADA)
    wait_for(lambda: len(run.history) > 0)
    at = open_page(pages.CLUSTER)
    assert [(metric.label, metric.value) for metric in at.metric] == [
        ("Machines", "2"),
        ("Runs training", "1 of 1"),
        ("Runs waiting", "1"),
        ("Update delay", "4 ms"),
    ]
    shown = texts(at.markdown)
    assert f"**{plain('node-1')}** :gray[10.0.0.1]" in shown and "1 GPU, 4 processor cores, 16 GiB of memory" in shown
    assert "step 12, 1.0 GiB, process 4711" in shown
    assert "No run can train here: it has Python 3.9." in texts(at.warning)
    at = open_page(pages.TRAIN, run=waiting.id)
    assert "It waits for a free slot in the cluster." in texts(at.markdown)
    assert "trains on a cluster of 1 machine. Runs at once: 1." in texts(open_page(pages.HOME).caption)


def test_others_do_not_see_the_machines(cluster: ThreadCluster, open_page: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_ADMIN_TOKEN", "a token that is long enough")
    at = open_page(pages.CLUSTER)
    assert "Only the host sees the cluster" in texts(at.info) and not at.metric


def test_a_server_without_a_cluster_has_no_such_page(open_page: Callable[..., AppTest]) -> None:
    assert "processor" not in texts(open_page(pages.HOME).markdown)
    with pytest.raises(ValueError, match="cluster"):
        open_page(pages.CLUSTER)


def test_a_run_that_lost_its_machine_says_so(
    cluster: ThreadCluster, manager: RunManager, config: TrainConfig, open_page: Callable[..., AppTest]
) -> None:
    run = manager.submit(config.change(duration=10**6), "quick-digits", ADA)
    wait_for(lambda: len(run.history) > 0)
    cluster.hired[0][1].die()
    wait_for(lambda: run.moves)
    at = open_page(pages.TRAIN, run=run.id)
    assert plain("The worker on node-1 was lost at step") in texts(at.info) and plain("continued on node-2") in texts(at.info)
    assert "It lost its worker in the cluster once, at step" in texts(at.caption)


def test_a_move_is_read_from_a_line_only_if_it_is_one() -> None:
    move = Move(4, 9, "a", "b", "its process ended", 1.5)
    assert Move.of({**vars(move), "more": 1}) == move
    assert not [row for row in ({}, {**vars(move), "step": -1}, {**vars(move), "to": None}, {**vars(move), "time": "now"}) if Move.of(row)]
    assert (
        move.in_words == "The worker on a was lost at step 9: its process ended. The run continued on b. Steps 5 to 9 were trained again."
    )
