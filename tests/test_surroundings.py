"""What tests leave behind is found."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.surroundings import TEMPORARY, changes, leftovers


def test_temporary_files_and_the_home_are_the_tests_own() -> None:
    assert Path(tempfile.gettempdir()) == TEMPORARY and Path.home().parent == TEMPORARY.parent
    code = "import pathlib, tempfile; print(tempfile.gettempdir(), pathlib.Path.home())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert told == [str(TEMPORARY), os.environ["HOME"]]


def test_pytests_own_folder_is_elsewhere(tmp_path: Path) -> None:
    assert TEMPORARY.parent not in tmp_path.parents  # one looks into it after a failure


def test_a_forgotten_file_is_found() -> None:
    before = leftovers()
    with tempfile.NamedTemporaryFile() as file:
        assert set(leftovers()) - set(before) == {file.name}
    assert leftovers() == before


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_forgotten_process_is_found() -> None:
    with subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        assert [left for left in leftovers() if left.startswith(f"{process.pid} ")]
        process.communicate(b"\n")
    assert not [left for left in leftovers() if left.startswith(f"{process.pid} ")]


def test_caches_of_tools_are_no_change_of_the_repository() -> None:
    assert not [line for line in changes() if "_cache/" in line or "__pycache__" in line]
