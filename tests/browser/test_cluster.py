"""A server whose runs train in a Ray cluster on this machine: everything that a participant presses reaches the worker, and a lost worker
is replaced. One server and one page for all of it, because both cost seconds of processor time.
"""

import importlib.util
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from gan.runs.folder import RunFolder
from tests.browser.conftest import Server
from tests.browser.steps import launch, stop
from tests.waiting import wait_for

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install -r requirements-cluster.txt"),
    pytest.mark.skipif(not os.environ.get("CLUSTER_TESTS"), reason="takes 40 s of processor time: make cluster"),
]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with a cluster of its own, and scores."""
    # Ray's sockets are in there, and the path of a socket is short.
    monkeypatch.setenv("RAY_TMPDIR", folder := tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    monkeypatch.setenv("WORKSHOP_RAY", "local")
    server = Server(tmp_path, WORKSHOP_JUDGE="1")
    yield server
    log = server.end()
    shutil.rmtree(folder, ignore_errors=True)
    assert "Traceback" not in log, log


def workers(server: Server) -> list[int]:
    """The processes of workers that train, below a server's process."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if path.joinpath("cmdline").read_bytes().startswith(b"ray::Actor") and server.process.pid in parents(int(path.name)):
                found.append(int(path.name))
        except OSError:
            continue  # it has ended meanwhile
    return found


def parents(pid: int) -> list[int]:
    line = []
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        line.append(pid)
    return line


def test_what_is_pressed_reaches_the_worker_and_a_lost_worker_is_replaced(page: Page, cluster: Server) -> None:
    launch(page, cluster.address)
    page.get_by_role("combobox", name="Speed").click()  # slow, so that the rest of the test has the cores
    page.get_by_role("option").nth(1).click()
    expect(page.locator("[data-fact=state]")).to_have_text("slow motion")
    page.wait_for_function("() => document.querySelector('[data-chart=loss]')?.data?.[0].x.length > 3")
    expect(page.get_by_text("CPU, ").first).to_contain_text(" on ")

    page.get_by_role("slider", name="Generator steps").press("ArrowRight")
    changes = page.locator(".rv-changes li")
    expect(changes).to_contain_text("Generator steps: 1 → 2")
    expect(page.locator(".rv-verdict")).to_contain_text("FD ")  # it is scored

    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="One step of G").click()
    expect(changes).to_have_count(3)
    expect(page.locator("[data-fact=state]")).to_have_text("paused")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("[data-fact=state]")).to_have_text("slow motion")

    (worker,) = workers(cluster)
    os.kill(worker, signal.SIGKILL)
    expect(page.get_by_text("The run continued on another worker there.")).to_be_visible()
    wait_for(lambda: workers(cluster) not in ([], [worker]))
    run = RunFolder(cluster.checkpoints / page.url.partition("run=")[2])
    (move,) = run.read_moves()
    page.wait_for_function(f"() => Number(document.querySelector('[data-fact=step]').textContent.replace(',', '')) > {move.reached}")
    steps = [row["step"] for row in run.read_metrics()[0]]
    assert steps == sorted(set(steps)), "a step was logged twice"

    page.get_by_role("button", name="Fork from the newest state").click()
    page.get_by_role("button", name="Start the fork").click()
    expect(page.locator(".rv-parent")).to_contain_text("Continues Guest")
    stop(page)
