"""Runs commands side by side and says of each whether it passed.

    python .ci/together.py "types: mypy" "tests: pytest -q" --then "browser tests: pytest -q tests/browser"

Those after --then begin when all before it have ended, whether they passed or not. A command's output comes as one block when it ends, so
blocks do not mix. Exits with status 1 if any command failed, and names those. Ctrl-C and SIGTERM end the commands too.
"""

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence

GRACE_S = 10.0  # between asking a command to end and ending it
LOOK_EVERY_S = 0.1  # for a signal
THEN = "--then"
received: list[int] = []  # signals


class Part:
    """A command at work, in a process group of its own."""

    def __init__(self, text: str, started_s: float) -> None:
        self.name, _, self.command = (piece.strip() for piece in text.partition(": "))
        self.started_s = started_s
        self.output = tempfile.TemporaryFile()  # noqa: SIM115 (open until the command ends)
        self.process = subprocess.Popen(self.command, shell=True, stdout=self.output, stderr=subprocess.STDOUT, start_new_session=True)

    def wait(self, printing: threading.Lock) -> None:
        """Waits for the end and prints what the command printed."""
        status = self.process.wait()
        ending = "passed" if status == 0 else f"FAILED with status {status}"
        self.output.seek(0)
        with printing:
            print(f"\n=== {self.name}: {ending} after {time.monotonic() - self.started_s:.0f} s: {self.command}", flush=True)
            sys.stdout.buffer.write(self.output.read())
            sys.stdout.flush()

    def end(self) -> None:
        """Ends the command and the processes it started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(GRACE_S)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


def together(texts: Sequence[str]) -> int:
    """Runs the commands ("name: command", in stages that THEN separates) and returns the exit status."""
    started_s, failed = time.monotonic(), []
    for _, stage in itertools.groupby(texts, THEN.__ne__):
        if (commands := list(stage)) != [THEN]:
            failed += _stage(commands, started_s)
    print(f"\n=== {', '.join(failed)} failed" if failed else f"\n=== all passed after {time.monotonic() - started_s:.0f} s", flush=True)
    return 1 if failed else 0


def _stage(texts: Sequence[str], started_s: float) -> list[str]:
    """Runs commands side by side and returns the names of those that failed."""
    printing = threading.Lock()
    parts = [Part(text, started_s) for text in texts]
    print("Side by side: " + ", ".join(part.name for part in parts), flush=True)
    waiting = [threading.Thread(target=part.wait, args=(printing,)) for part in parts]
    for thread in waiting:
        thread.start()
    try:
        for thread in waiting:
            while thread.is_alive():
                thread.join(LOOK_EVERY_S)
                if received:
                    raise SystemExit(128 + received[0])
    finally:
        for part in parts:
            if part.process.poll() is None:
                part.end()
    return [part.name for part in parts if part.process.returncode]


def _note(number: int, frame: object) -> None:
    """Notes a signal. An error raised here could come while a command starts, which nobody would end then."""
    received.append(number)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _note)
    sys.exit(together(sys.argv[1:]))
