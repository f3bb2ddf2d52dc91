"""Image files -> pairs of an image of A and one of B: side by side in one file, or files of the same name in folders A and B. Pure.

Both are ways in which pairs are published: pix2pix's sets come side by side, CycleGAN's in folders trainA, trainB, testA and testB.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from gan.data import parts
from gan.data.archives import Member
from gan.data.leftout import LeftOut
from gan.data.parts import Choice, Role

Content = Path | bytes | str  # a file's path or content, or why it cannot be read
Both = tuple[Path | bytes, Path | bytes]  # of A, of B


class _Place(NamedTuple):
    """What the folders of a file say: A or B, training or testing, and the rest of its path without its ending."""

    side: str
    role: Role
    key: tuple[str, ...]


def choose(members: Sequence[Member], split: str) -> Choice:
    """The pairs of the requested part of a set, each as one Member: a file of its own, or one whose source is the two files' Members.

    Args:
        members: all files of a set, sorted by path.
        split: as for parts.choose().
    """
    places = [_place(member) for member in members]
    if {place.side for place in places} < {"a", "b", ""} and not {"a", "b"} <= {place.side for place in places}:
        return replace(parts.choose(members, split), classes=[], notes=["each file holds A and B side by side"])
    left_out = LeftOut()
    files: dict[tuple[Role, tuple[str, ...]], dict[str, Member]] = {}
    for member, place in zip(members, places, strict=True):
        if not place.side:
            left_out.add(member.parts, "is in neither folder A nor folder B")
        elif place.side in (found := files.setdefault((place.role, place.key), {})):
            left_out.add(member.parts, f"has the same name as another image of {place.side.upper()}, apart from the ending")
        else:
            found[place.side] = member
    by_role: dict[Role, list[Member]] = {"train": [], "test": []}
    for (role, _), found in files.items():
        if len(found) == 2:
            a, b = found["a"], found["b"]
            by_role[role].append(Member(a.parts, a.size + b.size, (a.stamp << 64) + b.stamp, (a, b)))
        else:
            ((side, member),) = found.items()
            left_out.add(member.parts, f"has no partner of the same name in folder {'B' if side == 'a' else 'A'}")
    train, test = by_role["train"], by_role["test"]
    whole = sorted(train + test, key=lambda member: member.parts) if test else []
    chosen = {"train": train, "test": test, "all": whole or train}[split]
    notes = [f"{len(train) + len(test):,} pairs have the same name in folders A and B"]
    return Choice(chosen, [], [0] * len(chosen), len(test), left_out, notes, whole)


def reader(read: Callable[[Member], Content]) -> Callable[[Member], Content | Both]:
    """Reads a pair: the content of its one file or of both, or why one of them cannot be read."""

    def read_pair(member: Member) -> Content | Both:
        if not isinstance(member.source, tuple):
            return read(member)
        a, b = (read(part) for part in member.source)
        if isinstance(a, str):
            return a
        return f"has a partner that {b}" if isinstance(b, str) else (a, b)

    return read_pair


def _place(member: Member) -> _Place:
    side, role, rest = "", "train", list[str]()
    for folder in member.parts[:-1]:
        of_pair = re.fullmatch(r"(?:(.+?)[ _-]?)?([ab])", folder, re.IGNORECASE) if not side else None
        named = parts.role(of_pair[1]) if of_pair and of_pair[1] else parts.role(folder)
        if of_pair and (named or not of_pair[1]):
            side = of_pair[2].lower()
        elif not named:
            rest.append(folder)
        role = named or role
    stem = member.parts[-1].rpartition(".")[0] or member.parts[-1]
    return _Place(side, "test" if role == "test" else "train", (*rest, stem))
