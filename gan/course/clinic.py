"""The lesson "What is wrong with it?": recorded runs to diagnose, and one to cure while it trains."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from gan.config import TrainConfig
from gan.course.cases import CASES, Trouble
from gan.course.experiments import is_like
from gan.course.lesson import Evidence, Goal, Lesson, Source
from gan.course.own_runs import OwnRun
from gan.doctor.summary import NEARER
from gan.doctor.treatment import Outcome
from gan.recipes import DEFAULT, recipe

ENOUGH = 4  # right diagnoses
PATIENT = "The patient"  # name of the run to cure
PATIENT_STEPS = 1500


class Aim(StrEnum):
    """The goals, by their stored names."""

    DIAGNOSED = "diagnosed"
    FOUND = "found"
    CURED = "cured"


def patient() -> TrainConfig:
    """The settings of the run to cure. The discriminator's labels are wrong half of the time, so it learns nothing."""
    return recipe(DEFAULT).config.change(label_flips=0.5, duration=PATIENT_STEPS, duration_unit="steps")


def diagnoses(report: Mapping[str, Any]) -> dict[str, str] | None:
    """A report's diagnoses of the cases, by case; None if it has none. The report may be anything."""
    answers = report.get("answers")
    if not isinstance(answers, Mapping):
        return None
    given = {name: answers.get(name) for name in CASES}
    return {name: answer for name, answer in given.items() if isinstance(answer, str) and answer in set(Trouble)}


def right(report: Mapping[str, Any]) -> int:
    """How many cases a report diagnoses correctly. The report may be anything."""
    return sum(CASES[name].trouble == answer for name, answer in (diagnoses(report) or {}).items())


def patients(runs: tuple[OwnRun, ...]) -> Iterator[OwnRun]:
    """The visitor's patients, and their forks."""
    config = patient()
    first = {run.id for run in runs if is_like(run, config, touched=True)}
    for run in runs:
        if run.id in first or run.parent in first:
            yield run


def is_cured(run: OwnRun) -> bool:
    """Whether a change helped: the doctor says so and finds nothing now, and scores, if there are any, agree."""
    treatment = run.checked.treatment
    if treatment is None or treatment.outcome is not Outcome.HELPED or run.checked.findings:
        return False
    before = [score.fd for score in run.scores if score.fd is not None and score.step <= treatment.step]
    after = [score.fd for score in run.scores if score.fd is not None and score.step > treatment.step]
    return not before or not after or after[-1] < NEARER * before[-1]


def _is_diagnosed(evidence: Evidence) -> bool:
    return right(evidence.report) >= ENOUGH


def _is_found(evidence: Evidence) -> bool:
    return any(run.checked.findings or run.checked.treatment for run in patients(evidence.runs))


def _is_cured(evidence: Evidence) -> bool:
    return any(is_cured(run) for run in patients(evidence.runs))


CLINIC = Lesson(
    id="clinic",
    title="What is wrong with it?",
    minutes=6,
    text=(
        "GANs fail in a few typical ways, and each leaves traces. If the **discriminator wins**, its answers stay near 1 and 0, and G learns "
        "little from them. If it **cannot tell** real from generated, its answers to both stay close together while the images are bad. "
        "In a **collapse**, all images look alike; with **missing classes**, they vary, but some kinds never appear. "
        "A discriminator that **memorizes** its images takes new real ones for fakes.\n\n"
        "These six runs were trained for this lesson, and most were broken on purpose. Look at the images, D's answers and the "
        "distances, and diagnose each run. Then the app's **doctor** says what it found in the same numbers."
    ),
    to_try="Move the slider to see how a run developed. Compare D's answers to training images and to new ones.",
    goals=(
        Goal(Aim.DIAGNOSED, f"Give at least {ENOUGH} of the {len(CASES)} cases the right diagnosis.", _is_diagnosed),
        Goal(Aim.FOUND, "Start the patient below, and wait until the doctor finds what is wrong.", _is_found),
        Goal(Aim.CURED, "Cure it: after your change, the doctor finds nothing wrong and FD has fallen.", _is_cured),
    ),
    sources=(
        Source("Goodfellow 2016, GAN tutorial (section 5.1)", "https://arxiv.org/abs/1701.00160"),
        Source("Arjovsky and Bottou 2017, Towards principled methods (section 2)", "https://arxiv.org/abs/1701.04862"),
        Source("Karras et al. 2020, StyleGAN2-ADA: overfitting (section 3)", "https://arxiv.org/abs/2006.06676"),
        Source("Chintala et al. 2016, How to train a GAN", "https://github.com/soumith/ganhacks"),
    ),
)
