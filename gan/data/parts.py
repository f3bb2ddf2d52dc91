"""Image files -> the requested part of a set, and each file's class, both from their folders. Pure.

`train/`, `test/` and `val/` folders are parts of a set, not classes. Within the training part, the first folder level that
separates files gives the class.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from gan.data.archives import Member
from gan.data.leftout import LeftOut
from gan.data.names import class_names, printable, readable

Role = Literal["train", "test"]
_WORDS: dict[str, Role] = {
    **dict.fromkeys(("train", "training", "trainset"), "train"),
    **dict.fromkeys(("test", "testing", "testset", "val", "valid", "validation", "valset", "dev", "eval"), "test"),
}


@dataclass
class Choice:
    """The requested part of a set.

    Attributes:
        members: its files, sorted by path; empty if the set lacks this part.
        classes: the classes' names; empty if the set has none. The same for every part of a set.
        numbers: the class of each file; zeros if there are none.
        tests: number of test images in the set, whichever part was requested.
        whole: the files of all parts, sorted by path; empty if the set has no parts.
        left_out: files that belong to no part, or to no class.
        notes: sentences, without a period, on how the set was split.
    """

    members: list[Member]
    classes: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    tests: int = 0
    left_out: LeftOut = field(default_factory=LeftOut)
    notes: list[str] = field(default_factory=list)
    whole: list[Member] = field(default_factory=list)


def role(name: str) -> Role | None:
    """The part of a set that a folder's or an array's name stands for: "train" for seg_train, "test" for val and test_set; else None."""
    words = re.split(r"[\W_\d]+", name.lower())
    roles: set[Role] = {_WORDS[word] for word in words if word in _WORDS}
    return roles.pop() if len(roles) == 1 else None


def choose(members: Sequence[Member], split: str) -> Choice:
    """The requested part of a set.

    Folders next to each other are parts if one has train in its name and another one test, val or valid, and if most of them have
    such names. Everything next to them is left out. A folder "train" among many others is a class (a railway train).

    Args:
        members: all files of a set, sorted by path.
        split: "train", "test", or "all" for both; if a set has no parts, "train" and "all" mean all files.
    """
    if (published := _train_a_and_b(members)) is not None:
        return _of_sides(published, split)
    level = _around(members)
    names = {member.parts[level] for member in members if len(member.parts) > level + 1}
    roles = {name: role(name) for name in names}
    others = sum(of is None for of in roles.values())
    if not {"train", "test"} <= set(roles.values()) or others >= len(roles) - others:
        classes, numbers = _classes(members)
        return Choice([*members] if split != "test" else [], classes, numbers, notes=_without_classes(members))
    train: list[Member] = []
    test: list[Member] = []
    left_out = LeftOut()
    for member in members:
        part = roles.get(member.parts[level]) if len(member.parts) > level + 1 else None
        if part is None:
            left_out.add(member.parts, "is next to the folders for training and testing")
        else:
            (train if part == "train" else test).append(member)
    classes, of_train = _classes(train)
    number = dict(zip((member.parts for member in train), of_train, strict=True))
    if classes:
        test = _with_class(test, _folders(train), level, number, left_out)
    whole = sorted(train + test, key=lambda member: member.parts)
    chosen = {"train": train, "test": test, "all": whole}[split]
    notes = [_note(roles, level, train, test), *_without_classes(train)]
    return Choice(chosen, classes, [number.get(member.parts, 0) for member in chosen], len(test), left_out, notes, whole)


Sided = list[tuple[Member, Role, str]]


def _train_a_and_b(members: Sequence[Member]) -> Sided | None:
    """Each file with its part and its class, "A" or "B", if the folders are called trainA, trainB and so on, as CycleGAN's sets are."""
    level, found = _around(members), []
    for member in members:
        match = re.fullmatch(r"(.+?)[ _-]?([AB])", member.parts[level]) if len(member.parts) > level + 1 else None
        if match is None or (part := role(match[1])) is None:
            return None
        found.append((member, part, match[2]))
    return found if {("train", "A"), ("train", "B")} <= {(part, side) for _, part, side in found} else None


def _of_sides(found: Sided, split: str) -> Choice:
    chosen = [(member, side) for member, part, side in found if split in (part, "all")]
    tests = sum(part == "test" for _, part, _ in found)
    whole = [member for member, _, _ in found] if tests else []
    notes = ["the classes are the folders' last letters, A and B"]
    return Choice([member for member, _ in chosen], ["A", "B"], ["AB".index(side) for _, side in chosen], tests, notes=notes, whole=whole)


def _note(roles: dict[str, Role | None], level: int, train: list[Member], test: list[Member]) -> str:
    counts = Counter(member.parts[level] for member in (*train, *test))
    shown = {of: ", ".join(f"{printable(readable(name), 40)}/" for name in sorted(counts) if roles[name] == of) for of in ("train", "test")}
    if not test:
        return f"the training images are in {shown['train']} ({len(train):,})"
    return f"the training images are in {shown['train']} ({len(train):,}), the test images in {shown['test']} ({len(test):,})"


def _around(members: Sequence[Member]) -> int:
    """Number of folder levels around all files."""
    first, last = (chosen((member.parts[:-1] for member in members), default=()) for chosen in (min, max))
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))


def _classes(members: Sequence[Member]) -> tuple[list[str], list[int]]:
    """Class names, and each file's class: the first folder level that separates files. None and zeros if some files have no such folder."""
    around = _around(members)
    if any(len(member.parts) <= around + 1 for member in members):
        return [], [0] * len(members)
    folders = _folders(members)
    number = {folder: i for i, folder in enumerate(folders)}
    return class_names(folders), [number[member.parts[around]] for member in members]


def _without_classes(members: Sequence[Member]) -> list[str]:
    """A sentence if most images are in class folders but a few are next to them, so the set has no classes."""
    around = _around(members)
    loose = [member for member in members if len(member.parts) <= around + 1]
    if not loose or 2 * len(loose) >= len(members):
        return []
    first = printable(readable(loose[0].parts[-1]), 40)
    verb = "image is" if len(loose) == 1 else "images are"
    return [f"the folders are not classes, because {len(loose):,} {verb} next to them ({first}): move or remove them to get labels"]


def _folders(members: Sequence[Member]) -> list[str]:
    """The true names of the class folders, in the order of the classes: sorted as shown, then by true name."""
    around = _around(members)
    folders = sorted({member.parts[around] for member in members})
    return [folder for _, folder in sorted(zip(class_names(folders), folders, strict=True))]


def _with_class(
    members: list[Member], folders: list[str], level: int, number: dict[tuple[str, ...], int], left_out: LeftOut
) -> list[Member]:
    """The test images in folders named like the training images' classes; stores each image's class in `number`."""
    of, kept = {folder: i for i, folder in enumerate(folders)}, []
    for member in members:
        known = next((of[part] for part in member.parts[level + 1 : -1] if part in of), None)
        if known is None:
            left_out.add(member.parts, "is a test image of a class that the training images lack")
        else:
            number[member.parts] = known
            kept.append(member)
    return kept
