"""A run's scores while it trained, one Judgement per scoring (a line of judge.jsonl), and the best one. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from gan.records import NUMBER_OR_NULL, Field, Record
from gan.untrusted import is_number


def _number() -> Field[float | None]:
    """A number, or None if unknown."""
    return Field(None, NUMBER_OR_NULL)


class Judgement(Record):
    """The scores of one step: those of Judge.glance(), and D's answers. Lines of other versions may have fewer or more."""

    step = Field(0)
    fd = _number()  # Fréchet distance
    fd_error = _number()  # its standard error
    fd_floor = _number()  # what as many real images get
    kid = _number()
    kid_floor = _number()
    density = _number()
    coverage = _number()
    coverage_floor = _number()
    diversity = _number()
    diversity_real = _number()
    kl = _number()
    copying = _number()
    copies = _number()
    d_accuracy = _number()
    d_train = _number()
    d_held_out = _number()
    d_fake = _number()
    sign_train = _number()
    sign_held_out = _number()
    raw_diversity = _number()
    l1 = _number()  # of translations of held-out images: the mean difference from their targets, 0 to 1
    l1_identity = _number()  # what the inputs themselves get
    l1_mean = _number()  # what the mean of all training targets gets
    ssim = _number()  # structural similarity to the targets
    ssim_identity = _number()
    ssim_mean = _number()
    cycle = _number()  # the mean difference of held-out images from what comes back from a translation there and back, 0 to 1
    changed = _number()  # share of held-out images of one class that become one of the other, by the judge's network
    changed_identity = _number()  # the same for the images themselves
    others = _number()  # share of these translations that keep all other attributes
    elapsed_s = _number()
    shares = Field[list[float] | None](None)  # of classes
    missing = Field[list[str]]([])  # classes
    features = Field("")  # the name of the network that the scores come from

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """A scoring from a file: what should be a number and is not becomes None."""
        return cls({**row, **{name: row[name] if is_number(row.get(name)) else None for name in NUMBERS}})


NUMBERS = tuple(name for name, field in vars(Judgement).items() if isinstance(field, Field) and field.rule is NUMBER_OR_NULL)

# Only runs that translate images have these.
OF_TRANSLATIONS = (
    "l1",
    "l1_identity",
    "l1_mean",
    "ssim",
    "ssim_identity",
    "ssim_mean",
    "cycle",
    "changed",
    "changed_identity",
    "others",
)


@dataclass(frozen=True)
class Best:
    """The best scoring of a run so far.

    Attributes:
        step: at which it was made.
        fd: its Fréchet distance.
        error: the standard error of `fd`.
        floor: the score of as many real images; None if unknown.
        since: steps from then to the last scoring, without a better one.
    """

    step: int
    fd: float
    error: float
    floor: float | None = None
    since: int = 0


def better(judgement: Judgement, than: Best | None) -> bool:
    """Whether a scoring beats the best so far by more than its own standard error. One without a distance never does."""
    fd = judgement.fd
    return fd is not None and (than is None or fd < than.fd - (judgement.fd_error or 0.0))


def follow(best: Best | None, judgement: Judgement) -> Best | None:
    """The best after one more scoring, which must be of a later step."""
    if better(judgement, best):
        assert judgement.fd is not None
        return Best(judgement.step, float(judgement.fd), float(judgement.fd_error or 0.0), judgement.fd_floor)
    return Best(best.step, best.fd, best.error, best.floor, judgement.step - best.step) if best else None


def best_of(judgements: Iterable[Judgement]) -> Best | None:
    """The best of some scorings, given in order; None if there are none."""
    best: Best | None = None
    for judgement in judgements:
        best = follow(best, judgement)
    return best
