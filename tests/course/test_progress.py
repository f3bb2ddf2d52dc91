"""Progress in the course: kept per visitor, whole, bounded, and read with care."""

import json
import os
import threading
from pathlib import Path

import pytest

from gan.course import progress
from gan.course.progress import CourseProgress
from gan.runs.manager import RunManager
from tests.conftest import ADA, BOB


def test_goals_are_kept_by_visitor_and_outlive_the_server(tmp_path: Path) -> None:
    kept = CourseProgress(tmp_path)
    assert kept.read(ADA.id) == {}
    kept.add(ADA.id, "plane", frozenset({"all"}))
    assert kept.add(ADA.id, "plane", frozenset({"broken"})) == {"plane": {"all", "broken"}}
    kept.add(ADA.id, "losses", frozenset({"flat"}))
    assert CourseProgress(tmp_path).read(ADA.id) == {"plane": {"all", "broken"}, "losses": {"flat"}}
    assert CourseProgress(tmp_path).read(BOB.id) == {}
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]


def test_many_tabs_at_once_lose_nothing(tmp_path: Path) -> None:
    kept = CourseProgress(tmp_path)
    threads = [threading.Thread(target=kept.add, args=(ADA.id, "plane", frozenset({f"goal-{i}"}))) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept.read(ADA.id)["plane"]) == 12


def test_first_answers_stay_next_to_goals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "MOST_ANSWERS", 2)
    kept = CourseProgress(tmp_path)
    kept.answer(ADA.id, "rules", "dense", "worse")
    kept.add(ADA.id, "rules", frozenset({"one"}))
    for question, answer in (("dense", "better"), ("mirrored", "same"), ("third", "same")):
        kept.answer(ADA.id, "rules", question, answer)
    again = CourseProgress(tmp_path)
    assert again.answers(ADA.id, "rules") == {"dense": "worse", "mirrored": "same"} and again.read(ADA.id) == {"rules": {"one"}}
    assert again.answers(ADA.id, "plane") == again.answers(BOB.id, "rules") == again.answers("", "rules") == {}
    with pytest.raises(ValueError, match="lower-case letters"):
        kept.answer(ADA.id, "rules", "dense", "<b>")


def test_what_is_known_is_not_written_again(tmp_path: Path) -> None:
    kept = CourseProgress(tmp_path)
    kept.add(ADA.id, "plane", frozenset({"all"}))
    (path,) = kept.folder.iterdir()
    os.utime(path, (0, 0))
    kept.add(ADA.id, "plane", frozenset({"all"}))
    assert path.stat().st_mtime == 0


def test_the_longest_unchanged_files_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "MOST_VISITORS", 3)
    kept = CourseProgress(tmp_path)
    ids = [f"{i:016x}" for i in range(5)]
    for age, visitor_id in enumerate(ids):
        kept.add(visitor_id, "plane", frozenset({"all"}))
        os.utime(kept.folder / f"{visitor_id}.json", (age, age))
    assert sorted(path.stem for path in kept.folder.iterdir()) == ids[2:]


@pytest.mark.parametrize("visitor_id", ["../../etc/passwd", "A" * 16, "a" * 15, "a" * 16 + "\n", "g" * 16])
def test_ids_cannot_leave_the_folder(tmp_path: Path, visitor_id: str) -> None:
    kept = CourseProgress(tmp_path)
    with pytest.raises(ValueError, match="16 hexadecimal digits"):
        kept.read(visitor_id)
    with pytest.raises(ValueError, match="16 hexadecimal digits"):
        kept.add(visitor_id, "plane", frozenset({"all"}))


def test_a_stranger_has_no_progress_and_keeps_none(tmp_path: Path) -> None:
    assert CourseProgress(tmp_path).read("") == {}
    with pytest.raises(ValueError, match="16 hexadecimal digits"):
        CourseProgress(tmp_path).add("", "plane", frozenset({"all"}))


def test_answers_that_may_change_are_replaced(tmp_path: Path) -> None:
    kept = CourseProgress(tmp_path)
    kept.answer(ADA.id, "rules", "dense", "worse")
    kept.replace_answers(ADA.id, "clinic", {"case-1": "healthy", "case-2": "collapse"})
    kept.replace_answers(ADA.id, "clinic", {"case-2": "healthy"})
    assert CourseProgress(tmp_path).answers(ADA.id, "clinic") == {"case-2": "healthy"}
    kept.replace_answers(ADA.id, "clinic", {})
    assert kept.answers(ADA.id, "clinic") == {} and kept.answers(ADA.id, "rules") == {"dense": "worse"}
    with pytest.raises(ValueError, match="lower-case letters"):
        kept.replace_answers(ADA.id, "clinic", {"case-1": "<b>"})
    with pytest.raises(ValueError, match="at most 16 answers; got 17"):
        kept.replace_answers(ADA.id, "clinic", {f"q{i}": "a" for i in range(17)})


@pytest.mark.parametrize(("lesson", "goal"), [("../x", "all"), ("plane", "ALL"), ("", "all"), ("plane", "a" * 41)])
def test_names_have_a_form(tmp_path: Path, lesson: str, goal: str) -> None:
    with pytest.raises(ValueError, match="lower-case letters"):
        CourseProgress(tmp_path).add(ADA.id, lesson, frozenset({goal}))


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"lessons": 3}', b"\xff", b'{"lessons": {"plane": NaN}}', b" " * progress.LARGEST + b"{}"]
)
def test_a_damaged_file_begins_anew(tmp_path: Path, content: bytes) -> None:
    kept = CourseProgress(tmp_path)
    kept.folder.mkdir()
    (kept.folder / f"{ADA.id}.json").write_bytes(content)
    assert kept.read(ADA.id) == {}
    kept.add(ADA.id, "plane", frozenset({"all"}))
    assert kept.read(ADA.id) == {"plane": {"all"}}


def test_only_the_well_formed_part_of_a_file_is_taken(tmp_path: Path) -> None:
    kept = CourseProgress(tmp_path)
    kept.folder.mkdir()
    lessons = {"plane": ["all", 3, "<b>", None, "broken"], "Bad Name": ["all"], "later": ["x"], "odd": "all"}
    answers = {"rules": {"dense": "worse", "x": 3, "<b>": "same"}, "Bad Name": {"a": "b"}, "odd": ["a"]}
    (kept.folder / f"{ADA.id}.json").write_text(json.dumps({"lessons": lessons, "answers": answers}))
    assert kept.read(ADA.id) == {"plane": {"all", "broken"}, "later": {"x"}}
    assert kept.answers(ADA.id, "rules") == {"dense": "worse"} and kept.answers(ADA.id, "odd") == {}
    (kept.folder / f"{ADA.id}.json").write_text(json.dumps({"lessons": lessons, "answers": [1]}))
    assert kept.answers(ADA.id, "rules") == {}


def test_progress_is_no_run(tmp_path: Path) -> None:
    CourseProgress(tmp_path / "checkpoints").add(ADA.id, "plane", frozenset({"all"}))
    manager = RunManager(tmp_path / "checkpoints")
    assert manager.runs() == []
    manager.remove_leftovers()
    assert CourseProgress(tmp_path / "checkpoints").read(ADA.id) == {"plane": {"all"}}
