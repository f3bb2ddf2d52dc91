"""The environment of the tests: their threads, home and temporary folder. Imported before torch, which reads some of it once.

Processes that tests start have the same surroundings. What is left in them after the tests is a fault: see leftovers().
"""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
# torch's cache of compiled kernels, which torchvision makes when it is imported; the Playwright plugin's, which it removes itself;
# multiprocessing's, which goes with the process.
EXPECTED = ("torchinductor_", "playwright-pytest-", "pymp-")
TOOLS = ("_cache/", "__pycache__", ".venv", ".coverage", ".egg-info/")


def _folder() -> Path:
    """A temporary folder that is deleted with this process. That of a pytest-xdist worker is inside the folder of the process that started it."""
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        (folder := Path(os.environ["TESTS_FOLDER"], worker)).mkdir()
        return folder
    # pytest's own folder stays where it is: one looks into it after a failure.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    os.environ["TESTS_FOLDER"] = tempfile.mkdtemp(prefix="workshop-tests-")
    atexit.register(shutil.rmtree, os.environ["TESTS_FOLDER"], ignore_errors=True)
    return Path(os.environ["TESTS_FOLDER"])


def _prepare() -> Path:
    """Sets the environment, and returns the folder for temporary files."""
    # In the background or under nohup, the tests ignore Ctrl-C or hangups. The programs that they start should not: a handler is not inherited.
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    # Tests run in as many processes as there are cores. Threads that wait for others sleep instead of keeping a core busy: next to other
    # work the tests of threads take a quarter of the processor time.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    temporary, home = (folder := _folder()) / "tmp", folder / "home"
    for path in (temporary, home):
        path.mkdir()
    os.environ |= {"TMPDIR": str(temporary), "HOME": str(home)}
    tempfile.tempdir = None  # it is looked up again
    return temporary


TEMPORARY = _prepare()


def changes() -> set[str]:
    """The repository's untracked and changed files, without the tools' caches; empty if there is no git."""
    command = ["git", "status", "--porcelain", "--untracked-files=all", "--ignored"]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    return {line for line in lines if not any(name in line for name in TOOLS)}


def children() -> list[str]:
    """The commands of this process's child processes, without Python's own helpers, which end with it. Linux only."""
    commands = []
    for path in Path("/proc/self/task").glob("*/children"):
        for number in path.read_text(encoding="ascii").split():
            try:
                command = Path("/proc", number, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            except OSError:
                continue  # it has ended meanwhile
            if command and "multiprocessing." not in command:
                commands.append(f"{number} {command}")
    return commands


def leftovers() -> list[str]:
    """What tests left behind: processes, and files in the folder for temporary ones."""
    app_test = sys.modules.get("streamlit.testing.v1.app_test")  # has a folder as long as the process lives
    own = {app_test.TMP_DIR.name} if app_test else set()
    files = [str(path) for path in TEMPORARY.iterdir() if str(path) not in own and not path.name.startswith(EXPECTED)]
    return files + (children() if sys.platform == "linux" else [])
