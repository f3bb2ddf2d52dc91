"""The doctor's table of rules: what is wrong, from which value on, for how long, and why. Pure data.

`diagnosis.py` computes the figures and applies the rules. `remedies.py` has what to try.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Severity = Literal["alarm", "warning", "information"]
SEVERITIES: tuple[Severity, ...] = ("alarm", "warning", "information")


FAR = 10.0  # times the Fréchet distance of real images: from here on, images are far from real ones


@dataclass(frozen=True)
class Figure:
    """A quantity that rules look at. base: the rows it comes from. text: its name on screen. format: how its value is written."""

    base: Literal["metrics", "norms", "judged"]
    text: str
    format: str = ".2f"


FIGURES: dict[str, Figure] = {
    "lost": Figure("metrics", "Losses that are NaN", ".0f"),
    "lead": Figure(
        "metrics", "D's lead: the gap between its answers to real and generated images, as a share of the gap its labels ask for"
    ),
    "gap": Figure("metrics", "D's mean answer to real images, minus its mean answer to generated images"),
    "gradient": Figure("norms", "Gradient norm of D or G, whichever is larger", ".3g"),
    "gradient_growth": Figure("norms", "Gradient norm of D or G, relative to early in the run", ".3g"),
    "g_gradient_share": Figure("norms", "Norm of G's gradient, relative to early in the run", ".2g"),
    "worse": Figure("judged", "Fréchet distance, relative to the best so far"),
    "worse_errors": Figure("judged", "Fréchet distance above the best so far, in standard errors", ".1f"),
    "variety": Figure("judged", "Mean distance between two generated images, relative to real images"),
    "raw_variety": Figure("judged", "The same without the EMA of the weights"),
    "averaging": Figure("judged", "Mean distance between two images without the EMA, relative to the EMA generator"),
    "latent": Figure("judged", "Size of the latent vector", ".0f"),
    "coverage_share": Figure("judged", "Coverage, relative to its floor"),
    "stall": Figure("judged", "Fréchet distance, relative to the best of a fifth of the run ago"),
    "missing": Figure("judged", "Classes that are hardly ever generated", ".0f"),
    "missing_share": Figure("judged", "Share of the classes that are hardly ever generated"),
    "overfit": Figure("judged", "D's answer to new real images: 0 if it is as for training images, 1 if as for generated images"),
    "copying": Figure("judged", "How often a generated image is closer to the training set than a new real image (0.5 without copying)"),
    "fd_share": Figure("judged", "Fréchet distance, relative to that of real images", ".1f"),
    "turns": Figure("judged", "Changes of the most common class in six scorings", ".0f"),
    "gain": Figure("judged", "Fall of the Fréchet distance in the last third of the run", ".0%"),
}


@dataclass(frozen=True)
class Condition:
    """A bound on a figure.

    Attributes:
        figure: a key of FIGURES.
        sign: the wrong side of the limit.
        limit: a finding can begin beyond it.
        release: a finding can end beyond it; on the healthy side of the limit.
    """

    figure: str
    sign: Literal[">", "<"]
    limit: float
    release: float

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Where the figure is wrong; unknown values are False."""
        return values > self.limit if self.sign == ">" else values < self.limit

    def is_over(self, values: np.ndarray) -> np.ndarray:
        """Where the figure is healthy again."""
        return values < self.release if self.sign == ">" else values > self.release

    def __str__(self) -> str:
        form = FIGURES[self.figure].format
        return f"{self.figure} {self.sign} {self.limit:{'.0%' if form.endswith('%') else 'g'}}"


@dataclass(frozen=True)
class Rule:
    """When a finding begins, and why it happens.

    Attributes:
        key: a short name.
        name: as shown on screen.
        severity: "alarm": the run is unlikely to recover by itself; "warning": it may recover; "information": nothing is wrong.
        conditions: all must hold.
        steps: they must hold for at least this many steps,
        rows: in this many measurements in a row,
        after: from this step on. At first, the discriminator wins in every run and the images are bad. At rates below USUAL_RATE (see
            gan/doctor/diagnosis.py) this phase is longer.
        losses: the losses it applies to; empty for all. Only "bce" has known values at the equilibrium.
        why: a few sentences.
        source: of the rule and of the sentences.
        matching: whether it also applies with feature matching.
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
        "Training produced NaN",
        "alarm",
        (Condition("lost", ">", 0, -1),),
        steps=0,
        rows=1,
        after=0,
        why="A step was so large that the weights overflowed, and every later number is NaN. What was saved before is unharmed.",
        source="Goodfellow, Bengio and Courville 2016, section 8.2.4",
    ),
    Rule(
        "averaging",
        "The EMA generator lags behind",
        "alarm",
        (Condition("averaging", ">", 1.5, 1.25), Condition("variety", "<", 0.7, 0.8)),
        steps=0,
        rows=2,
        after=150,
        why="The generator itself draws varied images, but the EMA generator does not. Samples come from the EMA generator, "
        "whose average still holds the initial weights or mixes weights that are too far apart. The generator is better than "
        "its samples.",
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
        why="The discriminator is right about nearly every image, and sure of it. Its answer then hardly changes from one "
        "generated image to the next. The generator learns only from those changes, so it falls further behind.",
        source="Arjovsky and Bottou 2017, theorem 2.4; ganhacks (Chintala et al. 2016), 10: D's loss goes to 0",
    ),
    Rule(
        "g-winning",
        "The discriminator cannot tell real from generated",
        "alarm",
        (Condition("gap", "<", 0.04, 0.08),),
        steps=150,
        rows=4,
        after=300,
        losses=("bce",),
        why="The discriminator gives real and generated images the same answer. With perfect images that would be the "
        "equilibrium. With these images it means that the discriminator sees too little or learns too little, and the "
        "generator learns from noise.",
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
        why="All images look nearly alike. The generator has found an image that the discriminator takes for real, and draws it "
        "from every latent vector. Once the discriminator learns that image, both move on to the next one.",
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
        why="Several classes are hardly ever generated. The discriminator looks at single images, so nothing tells the generator "
        "what it leaves out. Or the training images lack these classes: look at the data.",
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
        why="One class has hardly been generated for a while. The discriminator looks at single images, so nothing tells the "
        "generator what it leaves out.",
        source="Srivastava et al. 2017 (VEEGAN); Lin et al. 2018 (PacGAN)",
    ),
    Rule(
        "d-overfitting",
        "The discriminator memorizes its images",
        "alarm",
        (Condition("overfit", ">", 0.4, 0.3),),
        steps=0,
        rows=2,
        after=200,
        why="The discriminator takes new real images for generated ones. It has memorized the training images instead of what "
        "they have in common, so its answers mislead the generator. Small data sets get there sooner.",
        source="Karras et al. 2020 (StyleGAN2-ADA), section 3, heuristic r_v of equation 1",
    ),
    Rule(
        "tiny-latent",
        "The latent space is too small",
        "alarm",
        (Condition("latent", "<", 10, 10), Condition("coverage_share", "<", 0.5, 0.6), Condition("fd_share", ">", FAR, 8)),
        steps=0,
        rows=2,
        after=400,
        why="Most real images have no generated image nearby. The latent vector has very few dimensions, and a surface of so few dimensions cannot come close to all real images, however it is folded.",
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
        why="Most real images have no generated image nearby, and that is not getting better. The generator draws only part of "
        "the data, or nothing that looks real.",
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
        why="The images have been much closer to the real ones than they are now. The two networks chase each other, and large "
        "steps or a weak discriminator drive them away from a good point.",
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
        why="The gradients are far larger than they were. Adam evens out their size and hides the problem for a while. But a "
        "network this steep teaches the other one nothing, and its weights may soon overflow.",
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
        why="The generator gets almost no signal from the discriminator: its gradient has fallen below a hundredth of what it "
        "was. Its images stop changing.",
        source="Arjovsky and Bottou 2017, section 2",
    ),
    Rule(
        "oscillation",
        "The images go in circles",
        "warning",
        (Condition("turns", ">", 2.5, 1.5),),
        steps=0,
        rows=1,
        after=500,
        why="One class is generated far too often, then another. The generator moves to where the discriminator is weak, the "
        "discriminator follows, and neither remembers what it learned.",
        source="Metz et al. 2017 (unrolled GAN), section 3.1; Mescheder et al. 2018",
    ),
    Rule(
        "memorization",
        "The generator copies training images",
        "alarm",
        (Condition("copying", ">", 0.75, 0.65), Condition("variety", ">", 0.6, 0.5)),
        steps=0,
        rows=2,
        after=300,
        why="Generated images are closer to the training set than new real images are. The generator has memorized single "
        "images, which happens when there are few images and the network is large.",
        source="Meehan et al. 2020; Webster et al. 2019",
    ),
    Rule(
        "finished",
        "Training has stopped improving",
        "information",
        (Condition("gain", "<", 0.03, 0.08), Condition("worse", "<", 1.3, 1.6)),
        steps=0,
        rows=3,
        after=3000,
        why="The images have not come closer to the real ones for a third of the run. Nothing is wrong: these settings may do no "
        "better in this time, or further progress may need smaller steps.",
        source="Prechelt 1998 (early stopping)",
    ),
)
_BY_KEY = {rule.key: rule for rule in RULES}


def rule(key: str) -> Rule:
    """The rule of that key."""
    return _BY_KEY[key]
