"""The moves of a run in a cluster: its worker ended, and it continued on another one. Each move is a line of moves.jsonl."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from gan.untrusted import is_number, is_whole


@dataclass(frozen=True)
class Move:
    """A run continued elsewhere.

    Attributes:
        step: of the saved state from which it continued.
        reached: the last step that had arrived; those after `step` were trained and logged again.
        lost: where its worker was.
        to: where it continued.
        reason: why the worker ended, without a period.
        time: when, in seconds since the epoch.
    """

    step: int
    reached: int
    lost: str
    to: str
    reason: str
    time: float

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self | None:
        """The move in a line, which may come from anywhere; None if it is damaged."""
        numbers = is_whole(row.get("step")) and is_whole(row.get("reached")) and is_number(row.get("time"))
        if not numbers or not all(isinstance(row.get(name), str) for name in ("lost", "to", "reason")):
            return None
        return cls(**{field.name: row[field.name] for field in fields(cls)})

    @property
    def in_words(self) -> str:
        """What happened, in two or three sentences."""
        where = "another worker there" if self.to == self.lost else self.to
        again = f" Steps {self.step + 1:,} to {self.reached:,} were trained again." if self.reached > self.step else ""
        return f"The worker on {self.lost} was lost at step {self.reached:,}: {self.reason}. The run continued on {where}.{again}"
