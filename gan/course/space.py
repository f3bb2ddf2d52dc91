"""The lesson "The space of images": paths between latent vectors, arithmetic, truncation, and where to go next."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from gan.course.lesson import Evidence, Goal, Lesson, Link, Source
from gan.untrusted import is_number

SHORT = 6.4  # |z|: 99 of 100 latent vectors of 64 normal numbers are longer
GLASSES = "glasses"
ENOUGH = 1.0  # 1 is the strength at which nearly all samples gain an attribute
ALIKE = 0.25  # psi: from here down, all faces look much the same


class Aim(StrEnum):
    """The goals, by their stored names."""

    HOLE = "hole"
    GLASSES = "glasses"
    ALIKE = "alike"


def _number(report: Mapping[str, Any], name: str) -> float | None:
    """A number of the report that is not negative, or None if the browser sent something else."""
    value = report.get(name)
    return float(value) if is_number(value) and value >= 0 else None


def _is_in_the_hole(evidence: Evidence) -> bool:
    length = _number(evidence.report, "length")
    return length is not None and length < SHORT


def _wears_glasses(evidence: Evidence) -> bool:
    strength = _number(evidence.report, "strength")
    return evidence.report.get("attribute") == GLASSES and strength is not None and strength >= ENOUGH


def _is_alike(evidence: Evidence) -> bool:
    psi = _number(evidence.report, "psi")
    return psi is not None and psi <= ALIKE


SPACE = Lesson(
    id="space",
    title="The space of images",
    minutes=5,
    text=(
        "Each latent vector z is a point in the **latent space**, and each point has an image. Between two images there are others: "
        "this shows that G has not just stored its training images. "
        "In many dimensions, nearly all random vectors have the same length: here about 8, for 64 numbers. "
        "They lie near a sphere. The **straight line** (lerp) between two of them cuts through the inside, where G was never trained. "
        "The **great circle** (slerp) stays at the right distance.\n\n"
        "Directions have meanings, too. The mean of vectors with glasses, minus the mean of those without, adds glasses to other faces. "
        "**Truncation** shortens all vectors by a factor ψ. A little makes faces plainer and safer; too much leaves no face."
    ),
    to_try="Move each of the three sliders. All pictures come from the faces generator of this app.",
    goals=(
        Goal(Aim.HOLE, "On the straight line, find a point below the band of usual lengths.", _is_in_the_hole),
        Goal(Aim.GLASSES, "Give a face glasses, at strength 1 or more.", _wears_glasses),
        Goal(Aim.ALIKE, f"Make all eight faces alike: ψ of {ALIKE} or less.", _is_alike),
    ),
    links=(
        Link("Walk between faces in Explore", "explore", (("from", "faces"), ("view", "Walk"), ("mode", "lerp"))),
        Link("Do arithmetic in Explore", "explore", (("from", "faces"), ("view", "Arithmetic"))),
        Link("Move through the latent space on a pad", "explore", (("from", "faces"),)),
    ),
    outlook=(
        "**Conditional GANs.** Give both networks the class, and you can ask for a seven. The recipe `conditional` does this with digits. "
        "It needs labels, and it tends to neglect rare classes. "
        "[Mirza and Osindero 2014](https://arxiv.org/abs/1411.1784)\n\n"
        "**Wasserstein GANs.** A critic gives scores instead of probabilities, so G learns even while it draws poorly. "
        "Training is steadier, but each step costs more, and the images are not always better. The recipes `wgan` and `wgan-gp` use it. "
        "[Arjovsky et al. 2017](https://arxiv.org/abs/1701.07875)\n\n"
        "**Style-based generators.** A small network turns z into styles that steer every layer, from pose to freckles. "
        "StyleGAN draws the best-known faces of people who do not exist. It needs many aligned images and days on several GPUs. "
        "[Karras et al. 2019](https://arxiv.org/abs/1812.04948)\n\n"
        "**Translation.** The generator gets an image instead of z: horses become zebras, sketches become photos. "
        "CycleGAN learns this without pairs of images, and it may invent details that are not there. "
        "[Zhu et al. 2017](https://arxiv.org/abs/1703.10593)\n\n"
        "**Diffusion.** A network learns to remove noise, a little at a time. There is no opponent, so it trains steadily and misses "
        "fewer modes. Most of today's image generators work this way. Drawing takes many passes instead of one, so GANs are still "
        "much faster. [Ho et al. 2020](https://arxiv.org/abs/2006.11239)"
    ),
    sources=(
        Source("Radford et al. 2015, DCGAN: walks and arithmetic (section 6)", "https://arxiv.org/abs/1511.06434"),
        Source("White 2016, Sampling generative networks: slerp (section 2)", "https://arxiv.org/abs/1609.04468"),
        Source("Brock et al. 2019, BigGAN: truncation by redrawing outliers (section 3.1)", "https://arxiv.org/abs/1809.11096"),
    ),
)
