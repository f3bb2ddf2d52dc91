"""The lesson "Do DCGAN's rules hold?": what each of them does, by experiments that train on the server."""

from enum import StrEnum

from gan.course.experiments import EXPERIMENTS
from gan.course.lesson import Evidence, Goal, Lesson, Source


class Aim(StrEnum):
    """The goals, by their stored names."""

    PREDICTED = "predicted"
    ONE = "one"
    ANOTHER = "another"


def _finished(evidence: Evidence) -> int:
    """How many experiments the visitor has predicted and run to their end."""
    return sum(name in EXPERIMENTS and EXPERIMENTS[name].is_done(evidence.runs) for name in evidence.answers)


def _is_predicted(evidence: Evidence) -> bool:
    return any(name in EXPERIMENTS for name in evidence.answers)


RULES = Lesson(
    id="rules",
    title="Do DCGAN's rules hold?",
    minutes=5,
    text=(
        "GANs were hard to train until the authors of DCGAN, the deep convolutional GAN, found rules that work: convolutions only, "
        "**batch normalization**, small initial weights, low learning rates. Papers and tutorials repeat these rules and add more. "
        "Do they hold for your data, and in the time that you have? A rule is a claim, and you can test it: train twice and change one thing.\n\n"
        "Each experiment trains two real networks on this server. The **Fréchet distance** (FD) says how far the images are from real "
        "ones: lower is better. The error after ± comes from scoring only 500 images. Another seed changes FD, too, so "
        "one run of each is a hint, not a proof."
    ),
    to_try="Choose an experiment, say what the change will do, and start both runs. While they train, look at the next lesson.",
    goals=(
        Goal(Aim.PREDICTED, "Predict how an experiment turns out, and start it.", _is_predicted),
        Goal(Aim.ONE, "Let both runs finish, and compare the result with your prediction.", lambda evidence: _finished(evidence) >= 1),
        Goal(Aim.ANOTHER, "Do the same with another experiment.", lambda evidence: _finished(evidence) >= 2),
    ),
    sources=(
        Source("Radford et al. 2015, DCGAN (sections 3 and 4)", "https://arxiv.org/abs/1511.06434"),
        Source("Salimans et al. 2016, Improved techniques for training GANs", "https://arxiv.org/abs/1606.03498"),
        Source("Lucic et al. 2018, Are GANs created equal?", "https://arxiv.org/abs/1711.10337"),
    ),
)
