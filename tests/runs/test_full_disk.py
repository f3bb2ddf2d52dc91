"""A run on a real file system that fills up, if one can be mounted."""

import random
from pathlib import Path

import pytest

from benchmarks import full_disk, kills


def test_a_run_on_a_disk_of_30_mb_pauses_and_continues_when_there_is_room(folders: Path, tmp_path: Path) -> None:
    kills.draw_pictures(tmp_path / "data", 40)
    (tmp_path / "full").mkdir()
    try:
        assert full_disk.fill_up(1, 30, tmp_path / "full", random.Random(3), steps=120) == []
    except full_disk.NotPermitted as error:
        pytest.skip(str(error))
