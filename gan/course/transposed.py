"""The lesson "From one number to many": transposed convolution, the layer that enlarges images in a generator."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gan.course.lesson import Evidence, Goal, Lesson, Source
from gan.untrusted import is_whole

CHAIN = (1, 4, 7, 14, 28)  # the sizes in a generator for digits
LONGEST = 8  # layers of a report
LARGEST = 64  # of any size


class Aim(StrEnum):
    """The goals, by their stored names."""

    CHAIN = "chain"
    UNEVEN = "uneven"
    EVEN = "even"


class Guess(StrEnum):
    """What a visitor can predict about a layer, by the names in the figure."""

    CHECKERBOARD = "checkerboard"
    EVEN = "even"


@dataclass(frozen=True)
class Report:
    """What the figure says of its settings.

    Attributes:
        chain: sizes of the layers that were added, from the first input on.
        size: of the input on display.
        kernel, stride: of the layer on display.
        guess: what the visitor predicted for this layer, before the figure showed it.
    """

    chain: tuple[int, ...]
    size: int
    kernel: int
    stride: int
    guess: Guess | None

    @classmethod
    def read(cls, report: Mapping[str, Any]) -> "Report | None":
        """The report, or None if the browser sent something else."""
        chain, numbers = report.get("chain"), [report.get(name) for name in ("size", "kernel", "stride")]
        if not isinstance(chain, list) or len(chain) > LONGEST:
            return None
        if not all(is_whole(value, LARGEST) and value for value in numbers) or not all(is_whole(value) for value in chain):
            return None
        size, kernel, stride = (int(value) for value in numbers if value is not None)
        guess = report.get("guess")
        return cls(tuple(chain), size, kernel, stride, Guess(guess) if isinstance(guess, str) and guess in set(Guess) else None)

    @property
    def is_even(self) -> bool:
        """Whether all outputs away from the edges are written equally often."""
        return self.kernel % self.stride == 0

    def predicts(self, guess: Guess) -> bool:
        """Whether the visitor predicted this and was right, for a layer whose copies of the kernel overlap."""
        return self.guess is guess and self.is_even == (guess is Guess.EVEN) and self.size >= 3 and self.kernel > self.stride > 1


def _has_chain(evidence: Evidence) -> bool:
    report = Report.read(evidence.report)
    return report is not None and report.chain[-len(CHAIN) :] == CHAIN


def _is_uneven(evidence: Evidence) -> bool:
    report = Report.read(evidence.report)
    return report is not None and report.predicts(Guess.CHECKERBOARD)


def _is_even(evidence: Evidence) -> bool:
    report = Report.read(evidence.report)
    return report is not None and Aim.UNEVEN in evidence.met and report.predicts(Guess.EVEN)


TRANSPOSED = Lesson(
    id="transposed",
    title="From one number to many",
    minutes=5,
    text=(
        "A generator begins with a few numbers and ends with an image. The layer that enlarges is the **transposed convolution**. "
        "Its **kernel** is a small grid of learned numbers. "
        "Each input value spreads the kernel over the output, multiplied by the value, and overlaps are added. "
        "The stride says how far apart the copies lie, and the padding how much is cut from each edge. "
        "The same result comes from inserting zeros between the inputs and sliding the kernel, turned by 180 degrees, over them.\n\n"
        "If the kernel size is not a multiple of the stride, some outputs are written more often than their neighbors. "
        "In images this shows as a **checkerboard**."
    ),
    to_try="Move the Step slider through both views. Choose a kernel and a stride, and predict whether they give a checkerboard.",
    goals=(
        Goal(Aim.CHAIN, "Add the layers of a generator for digits: 1 → 4 → 7 → 14 → 28. First press Start at 1.", _has_chain),
        Goal(
            Aim.UNEVEN,
            "Predict a checkerboard and be right. Input: 3 or more; stride: 2 or more; kernel: larger than the stride.",
            _is_uneven,
        ),
        Goal(Aim.EVEN, "Then predict a layer without a checkerboard and be right, within the same limits.", _is_even),
    ),
    sources=(
        Source("Dumoulin and Visin 2016, A guide to convolution arithmetic (section 4)", "https://arxiv.org/abs/1603.07285"),
        Source("Odena et al. 2016, Deconvolution and checkerboard artifacts", "https://distill.pub/2016/deconv-checkerboard/"),
        Source("Radford et al. 2015, DCGAN (section 3)", "https://arxiv.org/abs/1511.06434"),
    ),
)
