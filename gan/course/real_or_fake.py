"""The lesson "Real or fake?": the visitor takes the discriminator's place for three rounds."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gan.course.lesson import Evidence, Goal, Lesson, Source
from gan.untrusted import is_whole

ROUNDS = 3
IMAGES = 12  # of a round
GOOD = 10  # right answers that a coin seldom gets: P(10 or more of 12) = (66 + 12 + 1) / 4096 = 1 / 52


class Aim(StrEnum):
    """The goals, by their stored names."""

    ROUNDS = "rounds"
    CHANCE = "chance"
    EQUAL = "equal"


@dataclass(frozen=True)
class Score:
    """Right answers in a round, of IMAGES: the visitor's, and the discriminator's."""

    visitor: int
    discriminator: int


def read(report: Mapping[str, Any]) -> tuple[Score | None, ...]:
    """The last score of each round, None for a round that was not played; empty if the browser sent something else."""
    rounds = report.get("rounds")
    if not isinstance(rounds, list) or len(rounds) != ROUNDS:
        return ()
    scores: list[Score | None] = []
    for score in rounds:
        if score is None:
            scores.append(None)
        elif isinstance(score, list) and len(score) == 2 and all(is_whole(right, IMAGES) for right in score):
            scores.append(Score(*(int(right) for right in score)))
        else:
            return ()
    return tuple(scores)


def _is_played(evidence: Evidence) -> bool:
    scores = read(evidence.report)
    return bool(scores) and all(scores)


def _beats_chance(evidence: Evidence) -> bool:
    return any(score.visitor >= GOOD for score in read(evidence.report) if score)


def _equals_discriminator(evidence: Evidence) -> bool:
    return any(score.visitor >= score.discriminator for score in read(evidence.report) if score)


REAL_OR_FAKE = Lesson(
    id="real-or-fake",
    title="Real or fake?",
    minutes=4,
    text=(
        "A **generative adversarial network** (GAN) is a game of two networks. "
        "The **generator** G draws images from random numbers. "
        "The **discriminator** D sees one image, real or generated, and answers how likely it is to be real, from 0 to 1. "
        "D learns to tell the two apart, and G learns to draw what D takes for real. "
        "Both get better together, and nobody ever tells G what a digit looks like.\n\n"
        f"Here you take D's place. Each round shows {IMAGES} digits. For each, a coin decided whether it is real handwriting. "
        "From round to round G has trained for more steps, and so has the D that you play against. "
        "In a step, both learn from one small batch of images. As G gets better, the rounds get harder for you, and for D."
    ),
    to_try="Press Real or Fake under each image, then Check.",
    goals=(
        Goal(Aim.ROUNDS, "Play all three rounds.", _is_played),
        Goal(Aim.CHANCE, f"Get {GOOD} of {IMAGES} right in a round. Guessing does that once in 52 rounds.", _beats_chance),
        Goal(Aim.EQUAL, "Get at least as many right as D in a round.", _equals_discriminator),
    ),
    sources=(
        Source("Goodfellow et al. 2014, Generative Adversarial Networks (sections 1 and 3)", "https://arxiv.org/abs/1406.2661"),
        Source("Zhou et al. 2019, HYPE: people who tell real faces from generated ones", "https://arxiv.org/abs/1904.01121"),
    ),
)
