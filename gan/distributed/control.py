"""A Control on which all ranks agree before each step, so all halt after the same step and change settings before the same one."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from gan.training.loop import Control


class Agreeing(Protocol):
    """What a group of ranks offers to agree on something; see gan/distributed/group.py."""

    over: bool

    @property
    def leads(self) -> bool: ...

    def agreed(self, numbers: Sequence[float]) -> list[float]: ...

    def from_leader(self, message: bytes | None) -> bytes: ...


class SharedControl(Control):
    """Rank 0's control decides about duration, pace and settings. Any rank can halt the run.

    A step costs one reduction of five numbers, and a message if something changes.
    """

    def __init__(self, own: Control, group: Agreeing) -> None:
        super().__init__()
        self._own, self._group = own, group
        self._agreed_changes: list[tuple[str, Any]] = []
        self._agreed_once = ""

    @property
    def halted(self) -> bool:
        return self._own.halted

    def goes_on(self, share: float, step: int) -> bool:
        own, leads = self._own, self._group.leads
        going, pace_s, message = 0.0, 0.0, b""
        if leads and own.goes_on(share, step):
            going, pace_s = 1.0, own.pace_s
            once, changes = own.take_once(), list(own.take(step))
            message = json.dumps([once, changes]).encode() if once or changes else b""
        halted, going, self.pace_s, size, over = self._group.agreed([own.halted, going, pace_s, len(message), 0])
        if halted:
            own.halt()
        self._group.over = bool(over)
        self._agreed_once, self._agreed_changes = "", []
        if size:
            self._agreed_once, changes = json.loads(self._group.from_leader(message if leads else None))
            self._agreed_changes = [(name, value) for name, value in changes]
        return bool(going) and not halted

    def take_once(self) -> str:
        once, self._agreed_once = self._agreed_once, ""
        return once

    def take(self, step: int) -> Iterator[tuple[str, Any]]:
        changes, self._agreed_changes = self._agreed_changes, []
        yield from changes


def end(group: Agreeing) -> None:
    """Rank 0 releases the other ranks, which wait for the next step: the run needs them no longer."""
    group.agreed([0, 0, 0, 0, 1])
