"""The real server in its own process, with its own folders and one active run: what the other benchmarks watch.

The process is `streamlit run app.py` plus a thread that submits the run to the server's own manager, because pressing
buttons in a page would measure the page.
"""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from gan.recipes import recipe
from gan.training import loop as training

ROOT = Path(__file__).parent.parent
STARTS_WITHIN_S = 120.0
MARK = "benchmark: "  # before our lines: Streamlit prints to the same pipe


class Workshop:
    """A server with an active `quick-digits` run of the given seconds, or idle for 0. A context manager that ends it.

    Attributes:
        port: on 127.0.0.1.
        checkpoints: the server's folder of runs.
        run_id, run_folder: the run.
        began: time.perf_counter() when the run's elapsed_s was 0. The clock is the machine's, so other processes can use it.
        pid: the server's process.
    """

    def __init__(self, seconds: float, threads: int = 0, precision: str = "auto", descriptors: int | None = None) -> None:
        """
        Args:
            seconds: how long the run trains.
            threads: fixed number of processor threads; 0: the run chooses.
            precision: its number format.
            descriptors: how many files the server may have open, as a hard limit; None for this process's own limit.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="workshop-")
        root = Path(self._folder.name)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        environment = os.environ | {"WORKSHOP_CHECKPOINTS": str(root / "checkpoints"), "WORKSHOP_DATA": str(root / "data")}
        self._log = root / "log"
        with self._log.open("w", encoding="utf-8") as log:
            command = [sys.executable, "-m", "benchmarks.serving", str(self.port), str(seconds), str(threads), precision]

            def limit() -> None:
                if descriptors:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8", preexec_fn=limit
            )
        self.pid = self._process.pid
        try:
            told = self._hear()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self.run_id, self.began = str(told["run"]), float(told["began"])
        self.checkpoints = root / "checkpoints"
        self.run_folder = self.checkpoints / self.run_id

    def __enter__(self) -> "Workshop":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end()
        self._folder.cleanup()

    def _hear(self) -> dict[str, Any]:
        """The next message of the server's process."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(MARK):
                told: dict[str, Any] = json.loads(line.removeprefix(MARK))
                return told
        raise SystemExit(f"the server ended: {self._log.read_text(encoding='utf-8')[-2000:]}")

    def progress(self) -> float:
        """Images that the run has seen so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/runs/{self.run_id}", timeout=10) as answer:
            return float(json.load(answer)["status"]["images_seen"])

    def speed(self) -> float:
        """Waits until the run has ended; returns its images/s."""
        return float(self._hear()["images_per_s"])

    def resident(self) -> int | None:
        """Bytes of the server's resident memory; None if the system has no /proc, or the server is gone."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        except OSError:
            return None
        return next((1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), None)

    def cpu_s(self) -> float:
        """Seconds of processor time that the server's process has taken so far.

        Raises:
            OSError: the system has no /proc, or the server is gone.
        """
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int | None:
        """How many files the server has open; None if the system has no /proc, or the server is gone."""
        try:
            return len(os.listdir(f"/proc/{self.pid}/fd"))
        except OSError:
            return None

    def log(self) -> str:
        """The server's log so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def end(self) -> str:
        """Ends the server as an operator would, with SIGTERM; returns what it logged."""
        self._process.terminate()
        try:
            self._process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        return self.log()


def main() -> None:
    """In the server's process: PORT SECONDS THREADS PRECISION."""
    port, seconds, threads, precision = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    if seconds:
        threading.Thread(target=_train, args=(port, seconds, threads, precision), daemon=True).start()
    else:
        threading.Thread(target=_say_ready, args=(port,), daemon=True).start()
    from streamlit.web import cli

    cli.main(["run", "app.py", "--server.port", str(port), "--server.address", "127.0.0.1"])


def _fix_threads(threads: int) -> None:
    """Every run of this process uses this many threads."""

    class Fixed(training.ThreadChooser):
        def after_step(self, now_s: float, step_s: float, cpu_s: float) -> int:
            return threads

    training.ThreadChooser = Fixed  # type: ignore[misc]


def _train(port: int, seconds: float, threads: int, precision: str) -> None:
    """Submits the run once the server answers, reports when it started and how fast it was, then ends the server."""
    try:
        _wait_for_health(port)
        from ui.workshop import manager

        if threads:
            _fix_threads(threads)
        config = recipe("quick-digits").config.change(duration=seconds, duration_unit="seconds", precision=precision)
        run = manager().submit(config, "quick-digits")
        # elapsed_s is set at the end of each step. The earliest start over many checks is off by the time between that and
        # the check: less than 2 ms.
        began, looks = float("inf"), 0
        while looks < 100:
            if run.state not in ("queued", "preparing", "running"):
                raise RuntimeError(f"the run is {run.state}: {run.error}")
            if (elapsed_s := float(run.status().get("elapsed_s") or 0.0)) > 0:
                began, looks = min(began, time.perf_counter() - elapsed_s), looks + 1
            time.sleep(0.002)
        print(MARK + json.dumps({"run": run.id, "began": began}), flush=True)
        while run.at_work:
            time.sleep(0.5)
        status = run.status()
        print(MARK + json.dumps({"images_per_s": status["images_seen"] / status["elapsed_s"]}), flush=True)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


def _say_ready(port: int) -> None:
    _wait_for_health(port)
    print(MARK + json.dumps({"run": "", "began": 0.0}), flush=True)


def _wait_for_health(port: int) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    main()
