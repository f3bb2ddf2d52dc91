"""Each visitor's progress in the course: goals that they met, and their answers. Knows nothing about lessons' content.

Each visitor has one small file, which outlives the server.
"""

import json
import logging
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gan.files import in_words, write_atomically
from gan.untrusted import read_json

log = logging.getLogger(__name__)

FOLDER = ".course"  # among the runs: no run's name begins with a dot
MOST_VISITORS = 2000  # files; beyond that, those unchanged for longest are deleted
LARGEST = 16 << 10  # bytes of a file
MOST_LESSONS, MOST_GOALS, MOST_ANSWERS = 64, 16, 16
_VISITOR = re.compile(r"[0-9a-f]{16}")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")  # of a lesson, a goal, a question or an answer

Met = dict[str, frozenset[str]]
Answers = dict[str, dict[str, str]]  # lesson -> question -> answer


@dataclass
class _Known:
    """A visitor's file."""

    met: Met = field(default_factory=dict)
    answers: Answers = field(default_factory=dict)


class CourseProgress:
    """What visitors have achieved, by lesson. Safe to use from any thread."""

    def __init__(self, root: Path) -> None:
        """root: the folder of the runs."""
        self.folder = root / FOLDER
        self._lock = threading.Lock()

    def read(self, visitor_id: str) -> Met:
        """The goals that a visitor has met; none for a stranger, or if the file is missing or damaged.

        Raises:
            ValueError: this is not a valid visitor's id.
        """
        return self._read(visitor_id).met

    def answers(self, visitor_id: str, lesson: str) -> dict[str, str]:
        """A visitor's answers to a lesson's questions, by question; none for a stranger, or if the file is missing or damaged.

        Raises:
            ValueError: this is not a valid visitor's id.
        """
        return self._read(visitor_id).answers.get(lesson, {})

    def _read(self, visitor_id: str) -> _Known:
        if not visitor_id:
            return _Known()
        path = self._path(visitor_id)
        try:
            return _clean(read_json(path, LARGEST))
        except FileNotFoundError:
            return _Known()
        except (OSError, ValueError) as error:
            reason = in_words(error) if isinstance(error, OSError) else error
            log.warning("the progress file %s cannot be read, so the progress starts over: %s", path, reason)
            return _Known()

    def add(self, visitor_id: str, lesson: str, goals: frozenset[str]) -> Met:
        """Adds goals that a visitor has met, and returns all of theirs. Goals met in another tab stay.

        Raises:
            ValueError: this is not a valid id of a visitor, a lesson or a goal.
            OSError: the file cannot be written.
        """
        path = self._path(visitor_id)
        _refuse_names(lesson, *goals)
        with self._lock:
            known = self._read(visitor_id)
            all_goals = known.met.get(lesson, frozenset()) | goals
            if all_goals != known.met.get(lesson):
                known.met[lesson] = all_goals
                self._write(path, known)
        return known.met

    def answer(self, visitor_id: str, lesson: str, question: str, answer: str) -> None:
        """Keeps a visitor's answer to a question. The first answer stays, and only MOST_ANSWERS questions of a lesson have one.

        Raises:
            ValueError: this is not a valid id of a visitor, a lesson, a question or an answer.
            OSError: the file cannot be written.
        """
        path = self._path(visitor_id)
        _refuse_names(lesson, question, answer)
        with self._lock:
            known = self._read(visitor_id)
            answers = known.answers.setdefault(lesson, {})
            if question not in answers and len(answers) < MOST_ANSWERS:
                answers[question] = answer
                self._write(path, known)

    def replace_answers(self, visitor_id: str, lesson: str, answers: Mapping[str, str]) -> None:
        """Replaces the saved answers to a lesson's questions with these, at most MOST_ANSWERS.

        Raises:
            ValueError: this is not a valid id of a visitor, a lesson, a question or an answer; or there are too many answers.
            OSError: the file cannot be written.
        """
        path = self._path(visitor_id)
        _refuse_names(lesson, *answers, *answers.values())
        if len(answers) > MOST_ANSWERS:
            raise ValueError(f"a lesson has at most {MOST_ANSWERS} answers; got {len(answers)}")
        with self._lock:
            known = self._read(visitor_id)
            if known.answers.get(lesson, {}) != answers:
                known.answers[lesson] = dict(answers)
                self._write(path, known)

    def _write(self, path: Path, known: _Known) -> None:
        is_new = not path.exists()
        lessons = {name: sorted(goals) for name, goals in known.met.items()}
        with write_atomically(path, durable=False) as file:
            file.write(json.dumps({"lessons": lessons, "answers": known.answers}).encode())
        if is_new:
            self._bound()

    def _path(self, visitor_id: str) -> Path:
        if not _VISITOR.fullmatch(visitor_id):
            raise ValueError(f"a visitor's id has 16 hexadecimal digits; got {visitor_id[:40]!r}")
        return self.folder / f"{visitor_id}.json"

    def _bound(self) -> None:
        """Deletes the oldest files beyond MOST_VISITORS."""
        paths = list(self.folder.glob("*.json"))
        if len(paths) <= MOST_VISITORS:
            return
        for path in sorted(paths, key=lambda path: path.stat().st_mtime)[: len(paths) - MOST_VISITORS]:
            path.unlink(missing_ok=True)


def _refuse_names(*names: str) -> None:
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"an id in the course has lower-case letters, digits and hyphens; got {name[:40]!r}")


def _clean(document: Any) -> _Known:
    """The well-formed part of a file, which anyone may have written. Lessons that this version does not know stay."""
    lessons = document.get("lessons") if isinstance(document, dict) else None
    if not isinstance(lessons, dict):
        raise ValueError("a progress file has lessons by name")
    known = _Known()
    for name, goals in list(lessons.items())[:MOST_LESSONS]:
        if _NAME.fullmatch(name) and isinstance(goals, list):
            known.met[name] = frozenset(goal for goal in goals[:MOST_GOALS] if _is_name(goal))
    answers = document.get("answers")
    for name, pairs in list(answers.items())[:MOST_LESSONS] if isinstance(answers, dict) else ():
        if _NAME.fullmatch(name) and isinstance(pairs, dict):
            known.answers[name] = {q: a for q, a in list(pairs.items())[:MOST_ANSWERS] if _is_name(q) and _is_name(a)}
    return known


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None
