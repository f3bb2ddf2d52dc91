"""Runs killed with SIGKILL, in their own processes: nothing is lost, and they continue as if nothing had happened."""

import random
from pathlib import Path

import pytest

from benchmarks import kills


@pytest.mark.long
def test_five_kills_lose_nothing(folders: Path, tmp_path: Path) -> None:
    kills.draw_pictures(tmp_path / "data", 40)
    root = tmp_path / "killed"
    root.mkdir()
    assert kills.kill(5, kills.cases(tiny=True), root, random.Random(4)) == []
