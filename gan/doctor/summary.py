"""A run in one or two sentences: what its curves show, and what the doctor makes of it. Pure: no files, no pages."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from gan.doctor.diagnosis import FOOLED, Case, Finding, finding_of
from gan.doctor.rules import FAR, RULES, Rule, rule
from gan.judging.verdict import MOST_CLOSE

RECENT = 0.3  # of the steps so far: what curves did lately is read off these,
LEAST_RECENT = 100  # at least this many steps
MOVED = 0.05  # change of D's lead that counts; its means over 25 steps vary by 0.02
NEARER, FARTHER = 0.9, 1.15  # Fréchet distance relative to before that counts; a score's standard error is about 5 percent

# From here on, images are called good enough to explore. The first three are relative to real images of the same data set: two as shares of
# their scores, one in Evaluate's unit, with its limit for "look close to real ones". The last one asks for enough
# images to say so: with fewer, real ones would not look close to real ones either.
GOOD = (("variety", ">", 0.8), ("coverage_share", ">", 0.6), ("excess", "<", MOST_CLOSE), ("floor_excess", "<", MOST_CLOSE))


class Outlook(StrEnum):
    """What the doctor makes of a run."""

    ALARM = "alarm"
    WARNING = "warning"
    RECOVERING = "recovering"
    TOO_EARLY = "too early"
    UNSURE = "unsure"  # something looks wrong, but not for long enough to be a finding
    HEALTHY = "healthy"
    GOOD = "good"  # its images are good enough to explore


@dataclass(frozen=True)
class Verdict:
    """A run's state of health in one line.

    Attributes:
        outlook: which kind.
        text: one sentence.
        finding: the worst finding, if there is one; for a run that ended before it could be sure, what it may be.
    """

    outlook: Outlook
    text: str
    finding: Finding | None = None


def verdict(case: Case, findings: Sequence[Finding], over: bool, step: int = 0) -> Verdict:
    """A run's worst finding, or why there is none.

    Args:
        case: the run's figures.
        findings: what diagnose() found in them.
        over: whether the run has ended.
        step: the run's step, if known: `case` only has the last one that was logged.
    """
    wrong = [finding for finding in findings if finding.severity != "information"]
    lasting = [finding for finding in wrong if not finding.recovering]
    if wrong:
        worst = (lasting or wrong)[0]
        if not lasting:
            return Verdict(Outlook.RECOVERING, f"{worst.name}: getting better", worst)
        outlook = Outlook.ALARM if worst.severity == "alarm" else Outlook.WARNING
        return Verdict(outlook, f"{worst.name} since step {worst.began:,}", worst)
    begins = first_check(case)
    if case.step < begins:
        if over:
            steps = max(case.step, step)
            return Verdict(Outlook.TOO_EARLY, f"Too few steps to say: checks begin at step {begins:,}, and this run has {steps:,}")
        return Verdict(Outlook.TOO_EARLY, f"Too early to say: checks begin at step {begins:,}")
    if doubt := doubtful(case, over):
        perhaps = suspicion(case) if over else None
        return Verdict(Outlook.UNSURE, doubt, finding_of(perhaps[0], case, perhaps[1], case.step) if perhaps else None)
    if is_good(case):
        return Verdict(Outlook.GOOD, "Good enough to explore")
    return Verdict(Outlook.HEALTHY, "Nothing wrong so far")


def doubtful(case: Case, over: bool) -> str:
    """What looks wrong, but not for long enough or not by enough to be a finding; empty if nothing does.

    over: whether the run has ended.
    """
    if suspected := suspicion(case):
        found, began, due = suspected
        name = found.name[0].lower() + found.name[1:]
        if over:
            return f"Perhaps {name} (since step {began:,}). The run ended too soon to say"
        kind = "an alarm" if found.severity == "alarm" else "a warning"
        return f"Watch this: {name} (since step {began:,}). If it continues, there will be {kind} at step {due:,}"
    if over and case.last("fd_share") > FAR:
        fd = case.last("fd")
        return f"The run ended with images far from real ones (FD {fd:.3g}; real images: {fd / case.last('fd_share'):.2g})"
    return next((f"Watch this: {sight.doubt}" for sight in sights(case) if sight.doubt), "")


def suspicion(case: Case) -> tuple[Rule, int, int] | None:
    """The first rule that has held for half of the measurements that it asks for, and since and until which step; None if there is none.

    If it holds until then, there is a finding.
    """
    for found in RULES:
        if found.severity != "information" and (steps := case.suspected(found)) is not None:
            return found, *steps
    return None


def is_good(case: Case) -> bool:
    """Whether the images are close to real ones and varied, and many real images have a generated one nearby, at the last two scorings."""

    def holds(figure: str, sign: str, limit: float) -> bool:
        lately = case.values[figure][-2:]
        return len(lately) == 2 and bool((lately > limit if sign == ">" else lately < limit).all())

    return all(holds(*bound) for bound in GOOD)


def first_check(case: Case) -> int:
    """The step at which the rules on D's answers, or else on scores, can first have something to say."""
    rules = [rule(key) for key in ("d-winning", "g-winning", "collapse")]
    usable = [found for found in rules if case.applies(found)] or list(RULES)
    return math.ceil(min(found.after for found in usable) * case.pace)


@dataclass(frozen=True)
class Sight:
    """What one curve shows.

    Attributes:
        text: a sentence.
        doubt: what looks wrong in it, in a few words; empty if nothing does.
    """

    text: str
    doubt: str = ""


def what_you_see(case: Case) -> str:
    """What the curves show now, in one or two short sentences; empty before there is anything to see."""
    return " ".join(sight.text for sight in sights(case))


def sights(case: Case) -> list[Sight]:
    """What the curves show now: D's answers, then the images' scores."""
    if case.step <= 0 or not len(case.times["metrics"]):
        return []
    far = case.last("fd_share") > FAR and case.step >= first_check(case)
    images = _images(*_now_and_before(case, "fd"), _is_best_now(case), far)
    found = [_answers(case, *_now_and_before(case, "lead"), case.last("gap")), images]
    return [sight for sight in found if sight is not None]


def _now_and_before(case: Case, figure: str) -> tuple[float, float]:
    """A figure's median over the recent steps' second half and first half; NaN if unknown.

    Medians, since single values of both networks' answers jump.
    """
    base = "judged" if figure == "fd" else "metrics"
    steps, values = case.times[base], case.values[figure]
    span = max(RECENT * case.step, LEAST_RECENT)
    late = values[steps > case.step - span / 2]
    early = values[(steps > case.step - span) & (steps <= case.step - span / 2)]
    return tuple(float(np.nanmedian(part)) if np.isfinite(part).any() else math.nan for part in (late, early))  # type: ignore[return-value]


def _answers(case: Case, lead: float, before: float, gap: float) -> Sight | None:
    """How well D tells real from generated images, and who is gaining."""
    if math.isnan(lead) or case.config.feature_matching:
        return None
    if case.config.has_scores:  # scores without bounds: only their change says something
        if math.isnan(before) or before <= 0:
            return None
        gaining = (
            "growing: D is pulling ahead" if lead > 1.1 * before else "shrinking: G is catching up" if lead < 0.9 * before else "steady"
        )
        return Sight(f"The gap between D's scores of real and generated images is {gaining}.")
    if gap < FOOLED:
        return Sight("D finds generated images more real than real ones.", "D takes generated images for real ones")
    moved = 0.0 if math.isnan(before) else lead - before
    trend = "D is pulling ahead" if moved > MOVED else "G is catching up" if moved < -MOVED else ""
    if lead > 0.95:
        text = "D is right about nearly every image, and sure of it"
        return Sight(text + (f"; {trend}." if trend else "; G learns little from such answers."), "D is right about nearly every image")
    if lead > 0.7:
        return Sight(f"D tells most images apart; {trend or 'G lags behind'}.")
    if lead > 0.3:
        return Sight(f"D tells many images apart; {trend or 'the two are in balance'}.")
    if lead > 0.08:
        return Sight(f"D is often unsure which images are real; {trend or 'the two are in balance'}.")
    alike = "D gives real and generated images nearly the same answer"
    return Sight(f"{alike}.", alike if lead < rule("g-winning").conditions[0].limit else "")


def _is_best_now(case: Case) -> bool:
    """Whether the newest score has the lowest Fréchet distance so far."""
    scores = case.values["fd"]
    return len(scores) > 0 and bool(scores[-1] <= np.nanmin(scores, initial=math.inf))


def _images(fd: float, before: float, best_now: bool, far: bool) -> Sight | None:
    """Whether the images are getting closer to real ones.

    Args:
        fd: the Fréchet distance now.
        before: a while ago.
        best_now: the newest score is the best, so they are not getting worse.
        far: they are still far from real ones, although the beginning is over.
    """
    if math.isnan(fd) or math.isnan(before) or before <= 0:
        return None
    if fd < NEARER * before:
        return Sight(f"The images are getting closer to real ones (FD {before:.3g} → {fd:.3g}).")
    if fd > FARTHER * before and not best_now:
        return Sight(f"The images are getting worse (FD {before:.3g} → {fd:.3g}).", "the images are getting worse")
    if fd > FARTHER * before:
        return Sight("The newest images are the closest to real ones so far.")
    if far:
        return Sight(f"Lately, the images have stayed far from real ones (FD {fd:.3g}).", "the images stay far from real ones")
    return Sight(f"Lately, the images have stayed about as close to real ones (FD {fd:.3g}).")
