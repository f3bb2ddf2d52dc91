"""Python commands in processes of their own, forked from one that has loaded torch: importing it takes longer than most commands.

Signals, terminals, pipes and exit statuses are those of any process. What differs is how the interpreter starts and ends, so each kind
of command also needs a test that starts a real one.
"""

import io
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Collection, Sequence
from multiprocessing.connection import Connection
from typing import Any

LOADED = ["torch", "gan.cli.train", "gan.runs.manager"]
PROCESSES: Any = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")


class Forked:
    """`python COMMAND ...`, with the part of subprocess.Popen's interface that tests need.

    Args:
        command: what follows `python`: "-m" and a module, or "-c" and code, and its arguments.
        environment: its environment variables; those of this process if not given.
        stdin, stdout, stderr: file descriptors, or subprocess.PIPE for the last two; nothing is read and written if not given.
        ignored: signals that it ignores from the start, as under nohup.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: dict[str, str] | None = None,
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        ignored: Collection[signal.Signals] = (),
        start_new_session: bool = False,
    ) -> None:
        PROCESSES.set_forkserver_preload(LOADED)
        self._pipes: list[Any] = []
        theirs = [Connection(os.open(os.devnull, os.O_RDWR) if where is None else os.dup(where)) for where in (stdin,)]
        for where in (stdout, stderr):
            if where == subprocess.PIPE:
                ours, its = os.pipe()
                self._pipes.append(open(ours, encoding="utf-8"))  # noqa: SIM115 (closed by communicate)
            else:
                its = os.open(os.devnull, os.O_RDWR) if where in (None, subprocess.DEVNULL) else os.dup(where)
            theirs.append(Connection(its))
        arguments = (list(command), dict(os.environ if environment is None else environment), list(ignored), start_new_session, theirs)
        self._process = PROCESSES.Process(target=_run, args=arguments)
        self._process.start()
        for one in theirs:
            one.close()

    @property
    def returncode(self) -> int | None:
        """The exit status; None while it runs. -n: ended by the signal n."""
        code: int | None = self._process.exitcode
        return code

    def poll(self) -> int | None:
        """The same as returncode."""
        return self.returncode

    def wait(self, timeout: float) -> int | None:
        """Waits for its end, at most that many seconds."""
        self._process.join(timeout)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends a signal to the process if it has not ended."""
        if self.returncode is None:
            os.kill(self._process.pid, number)

    def communicate(self, timeout: float) -> list[str]:
        """What it wrote to each of its pipes, until its end."""
        said = [pipe.read() for pipe in self._pipes]
        self.wait(timeout)
        return said

    def __enter__(self) -> "Forked":
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()

    def kill(self) -> None:
        """Ends it at once, and closes its pipes."""
        self._process.kill()
        self._process.join()
        self._process.close()
        for pipe in self._pipes:
            pipe.close()


def _run(
    command: list[str], environment: dict[str, str], ignored: list[signal.Signals], start_new_session: bool, streams: list[Connection]
) -> None:
    """The process itself."""
    if start_new_session:
        os.setsid()
    for one in ignored:
        signal.signal(one, signal.SIG_IGN)
    os.environ.clear()
    os.environ.update(environment)
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 (open as long as the process lives)
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(open(number, "wb", closefd=False), encoding="utf-8", line_buffering=number == 2 or os.isatty(number))  # noqa: SIM115
        for number in (1, 2)
    )
    kind, what, *arguments = command
    sys.argv = [what, *arguments]
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.argv[0] = "-c"
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
