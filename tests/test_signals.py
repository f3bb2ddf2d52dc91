"""Signals end the server with its runs saved. The server has its own process; there is no browser."""

import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gan.runs.folder import RunFolder

ROOT = Path(__file__).parent.parent
# Starts a run inside the server as soon as its manager is made, so that no browser is needed.
STARTER = """
import sys, threading, time
from ui import workshop
from gan.recipes import recipe
def start():
    config = recipe("quick-digits").config.change(duration=1_000_000, duration_unit="steps", generator_filters=4,
        discriminator_filters=4, batch_size=8, precision="fp32", log_every=5)
    workshop.manager().submit(config)
threading.Timer(0, start).start()
"""


def wait_for(condition: Callable[..., Any], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, -signal.SIGHUP)])
def test_a_server_whose_terminal_closes_or_that_is_told_to_end_saves_its_runs(tmp_path: Path, number: signal.Signals, status: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = ROOT / "app.py"
    (tmp_path / "app.py").write_text(f"{app.read_text(encoding='utf-8')}\n{STARTER}".replace("__file__", repr(str(app))), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    command = ["-m", "streamlit", "run", str(tmp_path / "app.py"), "--server.port", str(port)]
    command += ["--server.address", "127.0.0.1", "--server.headless", "true", "--browser.gatherUsageStats", "false"]
    ours, theirs = pty.openpty()
    terminal: dict[str, Any] = {"stdin": theirs, "stdout": theirs, "stderr": theirs, "start_new_session": True}
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment, **terminal)
    os.close(theirs)
    try:
        folders = lambda: list((tmp_path / "checkpoints").glob("*/generator-000004.safetensors"))  # noqa: E731
        wait_for(lambda: folders() or process.poll() is not None)
        assert process.poll() is None, os.read(ours, 10_000).decode()
        os.close(ours)  # what the server writes from here on goes nowhere
        process.send_signal(number)
        assert process.wait(60) == status
        folder = RunFolder(folders()[0].parent)
        told = folder.read_status()
        assert told["state"] == "stopped" and folder.fork_steps()[-1] == told["step"] > 0
    finally:
        process.kill()
        process.wait()
