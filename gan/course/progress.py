"""Each visitor's progress in the course: one small file per visitor, which outlives the server. Knows nothing about lessons' content."""

import json
import logging
import re
import threading
from pathlib import Path

from gan.files import in_words, write_atomically
from gan.untrusted import read_json

log = logging.getLogger(__name__)

FOLDER = ".course"  # among the runs: no run's name begins with a dot
MOST_VISITORS = 2000  # files; beyond that, those unchanged for longest are deleted
LARGEST = 16 << 10  # bytes of a file
MOST_LESSONS, MOST_GOALS = 64, 16
_VISITOR = re.compile(r"[0-9a-f]{16}")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")  # of a lesson or a goal

Met = dict[str, frozenset[str]]


class CourseProgress:
    """The goals that visitors have met, by lesson. Safe to use from any thread."""

    def __init__(self, root: Path) -> None:
        """root: the folder of the runs."""
        self.folder = root / FOLDER
        self._lock = threading.Lock()

    def read(self, visitor_id: str) -> Met:
        """The goals that a visitor has met; none for a stranger, or if the file is missing or damaged.

        Raises:
            ValueError: this is not a valid visitor's id.
        """
        if not visitor_id:
            return {}
        path = self._path(visitor_id)
        try:
            return _clean(read_json(path, LARGEST))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            reason = in_words(error) if isinstance(error, OSError) else error
            log.warning("the progress in %s cannot be read, and starts over: %s", path, reason)
            return {}

    def add(self, visitor_id: str, lesson: str, goals: frozenset[str]) -> Met:
        """Adds goals that a visitor has met, and returns all of theirs. Goals met in another tab stay.

        Raises:
            ValueError: this is not a valid id of a visitor, a lesson or a goal.
            OSError: the file cannot be written.
        """
        path = self._path(visitor_id)
        for name in (lesson, *goals):
            if not _NAME.fullmatch(name):
                raise ValueError(f"a lesson's or a goal's id has lower-case letters, digits and hyphens; got {name[:40]!r}")
        with self._lock:
            met = self.read(visitor_id)
            all_goals = met.get(lesson, frozenset()) | goals
            if all_goals == met.get(lesson):
                return met
            met[lesson] = all_goals
            is_new = not path.exists()
            text = json.dumps({"lessons": {name: sorted(those) for name, those in met.items()}})
            with write_atomically(path, durable=False) as file:
                file.write(text.encode())
            if is_new:
                self._bound()
        return met

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


def _clean(document: object) -> Met:
    """The well-formed part of a file, which anyone may have written. Lessons that this version does not know stay."""
    lessons = document.get("lessons") if isinstance(document, dict) else None
    if not isinstance(lessons, dict):
        raise ValueError("a progress file has lessons by name")
    met: Met = {}
    for name, goals in list(lessons.items())[:MOST_LESSONS]:
        if _NAME.fullmatch(name) and isinstance(goals, list):
            met[name] = frozenset(goal for goal in goals[:MOST_GOALS] if isinstance(goal, str) and _NAME.fullmatch(goal))
    return met
