"""`make test` runs its parts side by side: one failure fails the whole, blocks of output do not mix, and nothing is left running."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.waiting import wait_for

TOGETHER = Path(__file__).parent.parent / ".ci" / "together.py"


def run(*parts: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, str(TOGETHER), *parts], capture_output=True, text=True)
    assert not done.stderr
    return done.returncode, done.stdout


def test_all_pass() -> None:
    status, output = run("one: echo 1", "two: echo 2: two")
    assert status == 0 and "=== one: passed" in output and "\n2: two\n" in output
    assert output.splitlines()[-1].startswith("=== all passed")


def test_one_failure_fails_the_whole_and_the_others_still_end() -> None:
    status, output = run("one: exit 3", "two: sleep 0.2; echo done", "three: false && true")
    assert status == 1 and "=== one: FAILED with status 3" in output and "done" in output
    assert output.splitlines()[-1] == "=== one, three failed"


def test_outputs_do_not_mix(tmp_path: Path) -> None:
    """Each writes a line, waits for the other's, and writes one more."""
    wait = "while [ ! -e {} ]; do sleep 0.05; done"
    parts = [
        f"{name}: echo {name} 1; touch {tmp_path}/{name}; {wait.format(tmp_path / other)}; echo {name} 2 >&2"
        for name, other in ("ab", "ba")
    ]
    status, output = run(*parts)
    assert status == 0 and "a 1\na 2\n" in output and "b 1\nb 2\n" in output


def test_a_stage_begins_when_the_one_before_has_ended_even_if_that_failed(tmp_path: Path) -> None:
    status, output = run(f"one: sleep 0.2; touch {tmp_path}/one; exit 1", "two: true", "--then", f"three: test -e {tmp_path}/one")
    assert status == 1 and "=== three: passed" in output
    assert output.splitlines()[-1] == "=== one failed"


def test_a_signal_ends_the_parts_too(tmp_path: Path) -> None:
    part = f"long: trap 'touch {tmp_path}/ended; exit' TERM; echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; sleep 600 & wait"
    with subprocess.Popen([sys.executable, str(TOGETHER), part], stdout=subprocess.PIPE) as process:
        while not (tmp_path / "pid").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
    assert (tmp_path / "ended").exists()
    group = int((tmp_path / "pid").read_text())

    def is_gone() -> bool:
        """Orphans stay in the group until the system's first process has waited for them, which may take a moment."""
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        return False

    wait_for(is_gone)
