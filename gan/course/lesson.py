"""The parts of a lesson: its text, and goals that pure functions check. Knows nothing about pages or figures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gan.course.own_runs import OwnRun


@dataclass(frozen=True)
class Evidence:
    """The evidence for a goal.

    Attributes:
        report: the report of the lesson's figure. It comes from a browser and may be anything.
        met: the ids of the lesson's goals that were met earlier.
        answers: the visitor's answers to the lesson's questions, by question.
        find_runs: finds the visitor's runs. Called only for a goal that asks for `runs`.
    """

    report: Mapping[str, Any] = field(default_factory=dict)
    met: frozenset[str] = frozenset()
    answers: Mapping[str, str] = field(default_factory=dict)
    find_runs: Callable[[], tuple[OwnRun, ...]] = tuple

    @cached_property
    def runs(self) -> tuple[OwnRun, ...]:
        """The visitor's runs, newest first."""
        return self.find_runs()


@dataclass(frozen=True)
class Goal:
    """A part of a mission.

    Attributes:
        id: lower case. It is stored and never changes.
        text: what to do, one sentence.
        is_met: whether the evidence shows that it is done. A pure function that never raises.
    """

    id: str
    text: str
    is_met: Callable[[Evidence], bool]


@dataclass(frozen=True)
class Source:
    """Further reading: a title, and its address."""

    title: str
    address: str


@dataclass(frozen=True)
class Link:
    """A page of the app where the lesson continues.

    Attributes:
        label: what the visitor does there.
        page: the page's url_path.
        query: the parameters of its address.
    """

    label: str
    page: str
    query: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Lesson:
    """A lesson.

    Attributes:
        id: lower case. It is stored and used in addresses, and never changes.
        title: a few words.
        minutes: how long it takes.
        text: the explanation above the figure, in Markdown.
        to_try: something to try with the figure, one or two sentences.
        goals: the mission's parts, in order.
        sources: further reading.
        links: pages of the app where the lesson continues.
        outlook: what comes after the lesson, in Markdown; empty for nothing.
    """

    id: str
    title: str
    minutes: int
    text: str
    to_try: str
    goals: tuple[Goal, ...]
    sources: tuple[Source, ...]
    links: tuple[Link, ...] = ()
    outlook: str = ""

    def newly_met(self, evidence: Evidence) -> frozenset[str]:
        """The ids of the goals that the evidence meets for the first time."""
        return frozenset(goal.id for goal in self.goals if goal.id not in evidence.met and goal.is_met(evidence))

    def is_passed(self, met: frozenset[str]) -> bool:
        """Whether all goals are met."""
        return all(goal.id in met for goal in self.goals)
