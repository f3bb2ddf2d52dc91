"""Logs with one JSON object per line, each of a step: written together, read from where the last reader stopped."""

import itertools
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan.files import write_atomically
from gan.untrusted import is_whole, open_regular, parse_json


class JsonLines:
    """One log. Lines that are damaged, or that have no step, are left out when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._noted: list[str] = []

    def note(self, row: Mapping[str, Any]) -> None:
        """Adds a row; flush() writes it. NaN and infinity become null, because JSON has neither."""
        finite = {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()}
        self._noted.append(json.dumps(finite))

    def flush(self) -> None:
        """Writes the added rows.

        Raises:
            OSError: the disk is full, say. No partial line is left, and the rows are kept for the next flush.
        """
        if self._noted:
            append(self.path, self._noted)
            self._noted.clear()

    def forget(self) -> None:
        """Drops the added rows."""
        self._noted.clear()

    def since(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """The complete rows from a byte offset on, and the offset after them."""
        try:
            with open_regular(self.path) as file:
                file.seek(offset)
                content = file.read()
        except OSError:  # missing, or not a log: RunFolder.fault() says so
            return [], offset
        end = content.rfind(b"\n") + 1
        return [row for line in content[:end].splitlines() if (row := _row(line)) is not None], offset + end

    def until(self, step: int) -> list[dict[str, Any]]:
        """The complete rows up to a step."""
        return [row for row in self.since()[0] if row["step"] <= step]

    def thinned(self, most: int) -> list[dict[str, Any]]:
        """About `most` rows, evenly spread, including the last; the others are not parsed. The last line may be incomplete."""
        try:
            with open_regular(self.path) as file:
                count = sum(1 for _ in file)
                every = max(1, -(-count // most))
                file.seek(0)
                lines = itertools.islice(file, (count - 1) % every if count else 0, None, every)
                return [row for line in lines if (row := _row(line)) is not None]
        except OSError:
            return []

    def rewrite(self, rows: list[dict[str, Any]]) -> None:
        """Replaces the whole log."""
        with write_atomically(self.path) as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows).encode())


def append(path: Path, lines: list[str]) -> None:
    """Adds lines to a file, all or none."""
    content = "".join(line + "\n" for line in lines).encode()
    with path.open("ab", buffering=0) as file:  # a buffer would write its remaining data when the file is closed
        end = file.seek(0, os.SEEK_END)
        try:
            while content:
                content = content[file.write(content) :]
        except OSError:
            os.ftruncate(file.fileno(), end)
            raise


def _row(line: bytes) -> dict[str, Any] | None:
    """A line's object; None if it is not an object or has no step."""
    try:
        row = parse_json(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and is_whole(row.get("step")) else None
