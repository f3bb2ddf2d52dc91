"""A run's scores while it trained, one dictionary per scoring (a line of judge.jsonl), and the best one. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gan.untrusted import is_number

# The keys of a scoring: each a number, or None if unknown.
NUMBERS = (
    *("fd", "fd_error", "fd_floor", "kid", "kid_floor", "density", "coverage", "coverage_floor", "diversity", "diversity_real"),
    *("kl", "copying", "copies", "d_accuracy", "d_train", "d_held_out", "d_fake", "sign_train", "sign_held_out", "raw_diversity"),
    "elapsed_s",
)


@dataclass(frozen=True)
class Best:
    """The best scoring of a run so far.

    Attributes:
        step: at which it was made.
        fd: its Fréchet distance.
        error: the standard error of `fd`.
        floor: the score of as many real images; None if unknown.
        since: steps from then to the last scoring, none of which was better.
    """

    step: int
    fd: float
    error: float
    floor: float | None = None
    since: int = 0


def clean(row: dict[str, Any]) -> dict[str, Any]:
    """A scoring from a file: what should be a number and is not becomes None."""
    return row | {name: row[name] if is_number(row.get(name)) else None for name in NUMBERS}


def better(row: dict[str, Any], than: Best | None) -> bool:
    """Whether a scoring beats the best so far by more than its own standard error. One without a distance never does."""
    fd, error = row.get("fd"), row.get("fd_error") or 0.0
    return fd is not None and (than is None or fd < than.fd - error)


def follow(best: Best | None, row: dict[str, Any]) -> Best | None:
    """The best after one more scoring, which must be of a later step."""
    if better(row, best):
        return Best(row["step"], float(row["fd"]), float(row.get("fd_error") or 0.0), row.get("fd_floor"))
    return Best(best.step, best.fd, best.error, best.floor, row["step"] - best.step) if best else None


def best_of(rows: Iterable[dict[str, Any]]) -> Best | None:
    """The best of some scorings, given in order; None if there are none."""
    best: Best | None = None
    for row in rows:
        best = follow(best, row)
    return best
