"""The doctor's table of rules: what is wrong, from which value on and for how long, and why. Pure data."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Severity = Literal["alarm", "warning", "information"]
SEVERITIES: tuple[Severity, ...] = ("alarm", "warning", "information")


@dataclass(frozen=True)
class Figure:
    """Something that rules look at. base: when it is measured. text: how it is called; format: how it is written."""

    base: Literal["metrics", "norms", "judged"]
    text: str
    format: str = ".2f"


FIGURES: dict[str, Figure] = {
    "lost": Figure("metrics", "Losses that are no longer numbers", ".0f"),
    "lead": Figure("metrics", "D's lead: how far apart it holds real and generated images, of what its labels ask"),
    "gap": Figure("metrics", "D's mean answer to real images less that to generated ones"),
    "gradient": Figure("norms", "Norm of the larger network's gradient", ".3g"),
    "gradient_growth": Figure("norms", "The same, in terms of what it was early in the run", ".3g"),
    "g_gradient_share": Figure("norms", "Norm of G's gradient, in terms of what it was early in the run", ".2g"),
    "worse": Figure("judged", "Fréchet distance, in terms of the best so far"),
    "worse_errors": Figure("judged", "Its distance from the best, in standard errors", ".1f"),
    "variety": Figure("judged", "Distance between two images, in terms of real ones"),
    "raw_variety": Figure("judged", "The same without averaged weights"),
    "averaging": Figure("judged", "Distance between two images without averaged weights, in terms of that with them"),
    "latent": Figure("judged", "Numbers that the generator turns into an image", ".0f"),
    "coverage_share": Figure("judged", "Coverage, in terms of the floor"),
    "stall": Figure("judged", "Fréchet distance, in terms of the best a fifth of the run ago"),
    "missing": Figure("judged", "Classes that are hardly drawn", ".0f"),
    "missing_share": Figure("judged", "Share of the classes that are hardly drawn"),
    "overfit": Figure("judged", "How far D takes new real images for generated ones: 0 as the training images, 1 as the generated ones"),
    "copying": Figure("judged", "How often an image lies closer to the training set than a new real one (0.5 if none is copied)"),
    "turns": Figure("judged", "Changes of the commonest class in six judgements", ".0f"),
    "gain": Figure("judged", "Fréchet distance gained in the last third of the run", ".0%"),
}


@dataclass(frozen=True)
class Condition:
    """A bound on a figure.

    Attributes:
        figure: a key of FIGURES.
        sign: on which side of the limit it is wrong.
        limit: where a finding can begin.
        release: where it can end; on the healthy side of the limit.
    """

    figure: str
    sign: Literal[">", "<"]
    limit: float
    release: float

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Where it is wrong; nowhere where nothing is known."""
        return values > self.limit if self.sign == ">" else values < self.limit

    def is_over(self, values: np.ndarray) -> np.ndarray:
        """Where it is well again."""
        return values < self.release if self.sign == ">" else values > self.release

    def __str__(self) -> str:
        form = FIGURES[self.figure].format
        return f"{self.figure} {self.sign} {self.limit:{'.0%' if form.endswith('%') else 'g'}}"


@dataclass(frozen=True)
class Rule:
    """When something is found, and why it happens.

    Attributes:
        key: a short name.
        name: as people read it.
        severity: "alarm": the run will hardly recover by itself; "warning": it may; "information": nothing is wrong.
        conditions: all must hold.
        steps: for at least so many steps,
        rows: and so many measurements in a row,
        after: counted from this step on: at first every run has a discriminator that wins, and bad images. Where a network learns more
            slowly than at USUAL_RATE, the beginning is longer.
        losses: which losses it knows about; empty for all. Losses and probabilities of other than "bce" have no anchor.
        why: a few sentences.
        source: of the rule and of the sentences.
        matching: whether it holds where the generator aims at features, too.
    """

    key: str
    name: str
    severity: Severity
    conditions: tuple[Condition, ...]
    steps: int
    rows: int
    after: int
    why: str
    source: str
    losses: tuple[str, ...] = ()
    matching: bool = True

    @property
    def base(self) -> str:
        return FIGURES[self.conditions[0].figure].base

    def __str__(self) -> str:
        """Its conditions in one line."""
        lasting = f" for {self.steps} steps" if self.steps else ""
        rows = f", {self.rows} times in a row" if self.rows > 1 else ""
        after = f", from step {self.after} on" if self.after else ""
        return " and ".join(map(str, self.conditions)) + lasting + rows + after


RULES: tuple[Rule, ...] = (
    Rule(
        "nan",
        "Numbers are lost",
        "alarm",
        (Condition("lost", ">", 0, -1),),
        steps=0,
        rows=1,
        after=0,
        why="A loss or a weight is no longer a number. A step that was too large has thrown the weights so far that the next numbers do "
        "not fit, and from then on nothing is computed any more. What was saved before is unharmed.",
        source="Goodfellow, Bengio and Courville 2016, section 8.2.4",
    ),
    Rule(
        "averaging",
        "The averaged weights lag behind",
        "alarm",
        (Condition("averaging", ">", 1.5, 1.25), Condition("variety", "<", 0.7, 0.8)),
        steps=0,
        rows=2,
        after=150,
        why="The network itself draws varied images, the average of its weights does not. Samples come from the average, which still "
        "holds the weights of the first steps, or mixes weights that lie too far apart. The network is better than what is shown.",
        source="Karras et al. 2020 (StyleGAN2-ADA) let the average begin short; Yazıcı et al. 2019",
    ),
    Rule(
        "d-winning",
        "The discriminator wins",
        "alarm",
        (Condition("lead", ">", 0.95, 0.88),),
        steps=200,
        rows=4,
        after=300,
        losses=("bce",),
        matching=False,
        why="The discriminator tells nearly every image right, and is sure of it. Its answer then hardly changes from one generated image "
        "to another, and the generator learns from those changes alone: it gets little to go by, and falls further behind.",
        source="Arjovsky and Bottou 2017, theorem 2.4; ganhacks (Chintala et al. 2016), 10: D's loss goes to 0",
    ),
    Rule(
        "g-winning",
        "The discriminator tells nothing apart",
        "alarm",
        (Condition("gap", "<", 0.04, 0.08),),
        steps=150,
        rows=4,
        after=300,
        losses=("bce",),
        why="The discriminator answers the same to real and to generated images. Were the images perfect, that would be the end of the game; "
        "as long as they are not, it sees too little, or is not taught, and what the generator learns from it is noise.",
        source="Goodfellow et al. 2014, proposition 1; ganhacks, 10",
    ),
    Rule(
        "collapse",
        "The generator has collapsed",
        "alarm",
        (Condition("variety", "<", 0.5, 0.6), Condition("raw_variety", "<", 0.6, 0.7)),
        steps=0,
        rows=2,
        after=300,
        why="All images look nearly alike. The generator has found an image that the discriminator takes for real, and draws it from every "
        "noise vector; when the discriminator learns it, both move on to the next one.",
        source="Goodfellow 2016 (tutorial), section 5.1; Salimans et al. 2016, section 3.2",
    ),
    Rule(
        "classes-missing",
        "Many classes are missing",
        "alarm",
        (Condition("missing_share", ">", 0.35, 0.25),),
        steps=0,
        rows=2,
        after=300,
        why="Several classes are hardly ever drawn. The discriminator judges single images, so nothing tells the generator "
        "that it leaves some kinds out. Or they are not among the images that it is shown: look at the data.",
        source="Srivastava et al. 2017 (VEEGAN); Lin et al. 2018 (PacGAN)",
    ),
    Rule(
        "class-missing",
        "A class is missing",
        "warning",
        (Condition("missing", ">", 0.5, 0.5),),
        steps=600,
        rows=4,
        after=1000,
        why="A class is hardly ever drawn, and has not been for a while. The discriminator judges single images, so nothing "
        "tells the generator that it leaves one kind out.",
        source="Srivastava et al. 2017 (VEEGAN); Lin et al. 2018 (PacGAN)",
    ),
    Rule(
        "d-overfitting",
        "The discriminator knows its images by heart",
        "alarm",
        (Condition("overfit", ">", 0.4, 0.3),),
        steps=0,
        rows=2,
        after=200,
        why="The discriminator takes real images that it has not been shown for generated ones. It has learnt the training images one by one "
        "instead of what they have in common, so that its answers lead the generator astray. The smaller the set, the sooner.",
        source="Karras et al. 2020 (StyleGAN2-ADA), section 3, heuristic r_v of equation 1",
    ),
    Rule(
        "tiny-latent",
        "The generator has too few numbers",
        "alarm",
        (Condition("latent", "<", 10, 10), Condition("coverage_share", "<", 0.25, 0.35), Condition("stall", ">", 0.9, 0.8)),
        steps=0,
        rows=2,
        after=300,
        why="Most real images have no generated one nearby, that is not getting better, and the generator draws from a handful of numbers. "
        "Images that lie on a sheet of so few dimensions, however it is folded, cannot come near all real ones.",
        source="Arjovsky and Bottou 2017, section 2.1: the generator's images have at most the dimension of z",
    ),
    Rule(
        "low-variety",
        "The images cover little of the data",
        "warning",
        (Condition("coverage_share", "<", 0.15, 0.25), Condition("stall", ">", 0.9, 0.8)),
        steps=300,
        rows=4,
        after=1000,
        why="Most real images have no generated one nearby, and that is not getting better. The generator draws only some of what there is to "
        "draw, or nothing that looks real.",
        source="Naeem et al. 2020, section 3.2",
    ),
    Rule(
        "divergence",
        "The images were better before",
        "alarm",
        (Condition("worse", ">", 1.8, 1.4), Condition("worse_errors", ">", 4, 3)),
        steps=0,
        rows=2,
        after=200,
        why="The images have been much closer to the real ones than they are now. The two networks chase each other, and nothing holds the game at "
        "a good point: steps that are too large, or a discriminator that is no match any more, lead away from it.",
        source="Mescheder et al. 2018; Heusel et al. 2017, section 2",
    ),
    Rule(
        "exploding",
        "The gradients explode",
        "alarm",
        (Condition("gradient", ">", 100, 50), Condition("gradient_growth", ">", 20, 10)),
        steps=100,
        rows=3,
        after=100,
        why="The gradients are far larger than they were. Adam evens out their size and hides it for a while, but a network whose answers change "
        "that steeply teaches the other one nothing, and numbers may soon be lost.",
        source="ganhacks, 10: norms over 100",
    ),
    Rule(
        "vanishing",
        "The generator's gradient vanishes",
        "alarm",
        (Condition("g_gradient_share", "<", 0.01, 0.03),),
        steps=100,
        rows=3,
        after=200,
        why="Next to nothing of what the discriminator thinks reaches the generator any more: its gradient has fallen to less than a hundredth. "
        "Its images then stay as they are.",
        source="Arjovsky and Bottou 2017, section 2",
    ),
    Rule(
        "oscillation",
        "The images go round in circles",
        "warning",
        (Condition("turns", ">", 2.5, 1.5),),
        steps=0,
        rows=1,
        after=500,
        why="Now one class is drawn far too often, then another. The generator goes where the discriminator is weak at the moment, "
        "the discriminator follows, and neither keeps what it knew.",
        source="Metz et al. 2017 (unrolled GAN), section 3.1; Mescheder et al. 2018",
    ),
    Rule(
        "memorisation",
        "The images are copies",
        "alarm",
        (Condition("copying", ">", 0.75, 0.65), Condition("variety", ">", 0.6, 0.5)),
        steps=0,
        rows=2,
        after=300,
        why="The images lie closer to the training set than new real ones do. The generator has learnt single images by heart, which happens where "
        "they are few and it is large.",
        source="Meehan et al. 2020; Webster et al. 2019",
    ),
    Rule(
        "finished",
        "Learning is finished",
        "information",
        (Condition("gain", "<", 0.03, 0.08), Condition("worse", "<", 1.3, 1.6)),
        steps=0,
        rows=3,
        after=3000,
        why="The images have not come closer to the real ones for a third of the run. Nothing is wrong: this is what these settings "
        "can do in this time, or the rest takes smaller steps.",
        source="Prechelt 1998 (early stopping)",
    ),
)
_BY_KEY = {rule.key: rule for rule in RULES}


def rule(key: str) -> Rule:
    """The rule of that key."""
    return _BY_KEY[key]
