"""Settings for your own data set: facts about it, and the machine's speed -> a Suggestion. Pure; knows nothing about files or pages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gan.config import TrainConfig
from gan.data.facts import Facts
from gan.recipes import RECIPES

Speed = Callable[[TrainConfig], float]  # real images per second with these settings

SIZES = (32, 64, 128)  # proposed image sizes, in rising order
ENLARGED = 1.25  # images may be enlarged by this factor to the next size; more would only blur them
PATIENCE_S = 600.0  # images may be good within this time
SHORTEST_S, LONGEST_S = 120, 3600  # of a proposed duration
# Filters of the generator's and the discriminator's layer at the pixels. Layers of the same size have the same width at every image size,
# so twice the size costs less than twice the layers: their number of operations is about the same.
FILTERS = {32: (48, 32), 64: (24, 16), 128: (12, 8)}
# At 32 pixels, slower rates with momentum do better, above all on photographs (CIFAR-10: an FD of 5.0 instead of 6.5 in equal time).
AT_32: dict[str, Any] = {
    "lr_g": 1e-3,
    "lr_d": 1e-3,
    "beta1_g": 0.5,
    "beta1_d": 0.5,
    "instance_noise": 0.0,
    "generator_upsampling": "transposed",
    "initialization": "pytorch",
    "principal_components": 0,  # CIFAR-10, 90 s of processor time: an FD of 8.8 with a start from them, 7.2 without
}
# Real images shown until something is recognizable, and until it is good: least and most, by eye. Recognizable from 64 pixels on: drawn faces in
# three styles, with a start from principal components (4,000 to 9,000), and emoji (22,000 to 30,000); at 32: drawn faces (6,000) and
# photographs (40,000). The numbers are also in docs/recipes.md, "How long it takes".
RECOGNIZABLE = {28: (6_000, 20_000), 32: (6_000, 40_000), 64: (4_000, 30_000), 128: (5_000, 25_000)}
GOOD = {28: (45_000, 100_000), 32: (60_000, 200_000), 64: (80_000, 300_000), 128: (150_000, 500_000)}
BATCH = 32  # images; a quarter of the set if that is less
SMALL = 3_000  # images; below, the discriminator learns them by heart within a run
# The same for quick-images, where the discriminator may win at the start: of 4,300 avatars, a run without adaptive augmentation drew one picture
# for every latent vector, and did not recover in three minutes.
SMALL_IN_COLOR = 10_000
FEW_OF_A_CLASS = 30  # images; with fewer, the networks cannot learn what the class looks like
MOST_CLASSES = 50
DIGITS = RECIPES["quick-digits"]
IMAGES = RECIPES["quick-images"]


@dataclass(frozen=True)
class Proposal:
    """Some settings, with the reason in half a sentence, to be read after a colon."""

    settings: dict[str, Any]
    why: str


@dataclass(frozen=True)
class Suggestion:
    """Settings for a data set.

    Attributes:
        recipe: the name of the recipe that they start from.
        config: all settings.
        proposals: those that were chosen for this set, each with its reason.
        images_per_s: the speed that the times are computed with.
        recognizable_s: seconds of training until something is recognizable: least and most.
        good_s: until the images are good.
    """

    recipe: str
    config: TrainConfig
    proposals: tuple[Proposal, ...]
    images_per_s: float
    recognizable_s: tuple[float, float]
    good_s: tuple[float, float]


def suggest(facts: Facts, speed: Speed) -> Suggestion:
    """Settings that suit a data set and this machine.

    Args:
        facts: a quick look at the set.
        speed: measures the speed with some settings; called for one or two image sizes.

    Raises:
        ValueError: the set has fewer than two images.
    """
    if facts.images < 2:
        raise ValueError(f"the data set {facts.data} has {_images(facts.images)}: training needs at least 2")
    digits = facts.side == 28 and not facts.color
    base = DIGITS if digits else IMAGES
    proposals = [
        _color(facts),
        _batch(facts, base.config),
        _augmentation(facts, SMALL if digits else SMALL_IN_COLOR),
        _mirroring(facts),
        _classes(facts),
    ]
    changes: dict[str, Any] = {"data": facts.data}
    for proposal in proposals:
        changes |= proposal.settings
    if digits:
        size, config = Proposal({"image_size": 28}, "the images already have this size"), base.config.change(**changes)
        images_per_s = speed(config)
    else:
        size, config, images_per_s = _size(facts, base.config, changes, speed)
        if config.image_size == 32:
            proposals.append(Proposal(AT_32, "small images are learned better at a slower pace"))
    recognizable, good = (
        (least / images_per_s, most / images_per_s) for least, most in (RECOGNIZABLE[config.image_size], GOOD[config.image_size])
    )
    amount = min(max(60 * round(good[1] / 60), SHORTEST_S), LONGEST_S)
    lasting = Proposal(
        {"duration": float(amount), "duration_unit": "seconds"},
        "images are usually good by then" if amount < LONGEST_S else "you can stop earlier, or continue",
    )
    chosen = (size, *proposals, lasting)
    return Suggestion(base.name, config.change(**lasting.settings), chosen, images_per_s, recognizable, good)


def in_words(found: Suggestion) -> str:
    """How long it takes, in a sentence."""
    return (
        f"On this machine, something is recognizable after {_span(*found.recognizable_s)}, "
        f"and the images are good after {_span(*found.good_s)}."
    )


def _span(least: float, most: float) -> str:
    """A range of times, as in "2 to 5 minutes"."""
    unit, s = ("seconds", 10.0) if most < 90 else ("minutes", 60.0) if most < 5400 else ("hours", 3600.0)
    low, high = (max(1, round(value / s)) * (10 if unit == "seconds" else 1) for value in (least, most))
    return f"{low} to {high} {unit}" if low < high else f"about {high} {unit if high > 1 else unit.removesuffix('s')}"


def _size(facts: Facts, base: TrainConfig, changes: dict[str, Any], speed: Speed) -> tuple[Proposal, TrainConfig, float]:
    """The largest size that shows more of the images and may be good in time, its settings, and its speed."""
    useful = [size for size in SIZES if size <= ENLARGED * facts.side] or [SIZES[0]]

    def measured(size: int) -> tuple[TrainConfig, float]:
        generator, discriminator = FILTERS[size]
        filters = {"generator_filters": generator, "discriminator_filters": discriminator}
        config = base.change(**changes, **filters, **(AT_32 if size == 32 else {}), image_size=size)
        return config, speed(config)

    def in_time(size: int, images_per_s: float) -> bool:
        return GOOD[size][0] / images_per_s <= PATIENCE_S

    place = min(1, len(useful) - 1)  # 64 pixels suit most machines, so fewer sizes have to be measured
    size = useful[place]
    config, images_per_s = measured(size)
    if place and not in_time(size, images_per_s):
        size = useful[0]
        config, images_per_s = measured(size)
    elif size < useful[-1]:
        larger = measured(useful[-1])
        if in_time(useful[-1], larger[1]):
            size, (config, images_per_s) = useful[-1], larger
    if size < useful[-1]:
        why = f"at {useful[-1]} pixels, it would take more than {PATIENCE_S / 60:.0f} minutes on this machine for the images to become good"
    elif size == SIZES[-1] and facts.side > size:
        why = f"your images have {facts.side} pixels on their shorter side, but a larger size takes too long"
    elif size > facts.side:
        why = f"your images have {facts.side} pixels on their shorter side; a larger size would only blur them"
    else:
        why = f"your images have {facts.side} pixels on their shorter side"
    settings = {name: getattr(config, name) for name in ("image_size", "generator_filters", "discriminator_filters")}
    return Proposal(settings, why), config, images_per_s


def _color(facts: Facts) -> Proposal:
    return Proposal({"channels": 3}, "your images have colors") if facts.color else Proposal({"channels": 1}, "your images are gray")


def _batch(facts: Facts, base: TrainConfig) -> Proposal:
    quarter = max(2, facts.images // 4)
    if quarter < base.batch_size:
        return Proposal({"batch_size": quarter}, "you have so few images")
    return Proposal({"batch_size": base.batch_size}, "small batches learn more in the same time")


def _augmentation(facts: Facts, enough: int) -> Proposal:
    if facts.images >= enough:
        return Proposal({"diffaugment": "off", "augmentation_target": 0.0}, f"{facts.images:,} images are enough without it")
    policy = "color, translation, cutout" if facts.color else "translation, cutout"
    return Proposal({"diffaugment": policy, "augmentation_target": 0.6}, "the discriminator soon knows so few images by heart")


def _mirroring(facts: Facts) -> Proposal:
    if facts.classes and all(len(name) == 1 or name.isdigit() for name in facts.classes):
        return Proposal({"horizontal_flip": False}, "your classes look like letters or digits, and their mirror images are wrong")
    if not facts.color:
        return Proposal({"horizontal_flip": False}, "gray images often show text; turn it on for anything else")
    if facts.one_sided:
        return Proposal({"horizontal_flip": False}, "most of your images face the same way")
    return Proposal({"horizontal_flip": True}, "mirroring doubles your images; turn it off if they show text")


def _images(n: int) -> str:
    return "1 image" if n == 1 else f"{n:,} images"


def _classes(facts: Facts) -> Proposal:
    if len(facts.classes) < 2:
        return Proposal({"conditional": False}, "your images are not sorted into folders")
    rarest = min(facts.classes, key=lambda name: facts.classes[name])
    if len(facts.classes) > MOST_CLASSES:
        return Proposal({"conditional": False}, f"{len(facts.classes)} classes are too many to learn in this time")
    if facts.classes[rarest] < FEW_OF_A_CLASS:
        return Proposal({"conditional": False}, f"{rarest} has only {_images(facts.classes[rarest])}, too few to learn a class")
    return Proposal({"conditional": True}, f"you can then draw any of the {len(facts.classes)} classes")
