"""Suggested settings for a data set: what each fact changes, and how the machine's speed chooses the image size."""

import dataclasses

import pytest

from gan.config import TrainConfig
from gan.data.facts import Facts
from gan.data.suggest import FILTERS, GOOD, PATIENCE_S, RECOGNIZABLE, Suggestion, in_words, suggest
from gan.recipes import RECIPES

PHOTOS = Facts("photos", 5000, 400, True, {})


def fast(config: TrainConfig) -> float:
    return 1e5


def why(found: Suggestion, name: str) -> str:
    return next(proposal.why for proposal in found.proposals if name in proposal.settings)


def test_every_proposal_is_in_the_config_and_has_a_reason() -> None:
    for facts in (
        PHOTOS,
        Facts("tiny", 5, 16, False, {"a": 3, "b": 2}),
        Facts("mnist", 60_000, 28, False, dict.fromkeys("0123456789", 6000)),
    ):
        found = suggest(facts, fast)
        assert found.config.data == facts.data and found.recipe in RECIPES
        proposed = {name: value for proposal in found.proposals for name, value in proposal.settings.items()}
        assert proposed == {name: getattr(found.config, name) for name in proposed}
        rest = {name for name, value in found.config if value != getattr(RECIPES[found.recipe].config, name)}
        assert rest <= {"data", *proposed}
        for proposal in found.proposals:
            assert proposal.why and not proposal.why.endswith(".") and len(proposal.why.split()) <= 16


def test_gray_images_of_28_pixels_get_the_recipe_for_digits() -> None:
    found = suggest(Facts("scans", 4000, 28, False, {}), lambda config: 1000.0)
    assert found.recipe == "quick-digits" and (found.config.image_size, found.config.channels) == (28, 1)
    assert found.recognizable_s == tuple(images / 1000 for images in RECOGNIZABLE[28])
    assert found.good_s == tuple(images / 1000 for images in GOOD[28])


@pytest.mark.parametrize(("side", "size"), [(8, 32), (32, 32), (51, 32), (52, 64), (100, 64), (103, 128), (4000, 128)])
def test_the_size_is_that_of_the_images_where_the_machine_is_fast(side: int, size: int) -> None:
    found = suggest(dataclasses.replace(PHOTOS, side=side), fast)
    assert found.config.image_size == size
    assert (found.config.generator_filters, found.config.discriminator_filters) == FILTERS[size]


def test_a_slow_machine_gets_a_smaller_size_and_the_reason() -> None:
    """With the speed at which a size may be good just in time, or just too late."""
    needed = {size: GOOD[size][0] / PATIENCE_S for size in FILTERS}
    measured = []

    def speed(config: TrainConfig) -> float:
        measured.append(config.image_size)
        return at[config.image_size]

    for at, size, looked in (
        ({64: needed[64], 128: needed[128]}, 128, [64, 128]),
        ({64: needed[64], 128: 0.99 * needed[128]}, 64, [64, 128]),
        ({32: 1.0, 64: 0.99 * needed[64]}, 32, [64, 32]),
    ):
        measured.clear()
        found = suggest(PHOTOS, speed)
        assert found.config.image_size == size and measured == looked
        assert found.images_per_s == at[size]
        assert ("at 128 pixels, it would take more than 10 minutes on this machine" in why(found, "image_size")) == (size < 128)


def test_times_in_words() -> None:
    found = suggest(PHOTOS, fast)
    for recognizable, good, words in (
        ((10, 32), (60, 80), "after 10 to 30 seconds, and the images are good after 60 to 80 seconds."),
        ((3, 8), (88, 90), "after about 10 seconds, and the images are good after 1 to 2 minutes."),
        ((40, 200), (600, 5399), "after 1 to 3 minutes, and the images are good after 10 to 90 minutes."),
        ((5000, 5500), (3600, 40_000), "after 1 to 2 hours, and the images are good after 1 to 11 hours."),
        ((3000, 5400), (3600, 4000), "after 1 to 2 hours, and the images are good after 60 to 67 minutes."),
    ):
        said = in_words(dataclasses.replace(found, recognizable_s=recognizable, good_s=good))
        assert said == f"On this machine, something is recognizable {words}"


def test_few_images_get_adaptive_augmentation_and_smaller_batches() -> None:
    for images, batch, augmented in ((10_000, 32, False), (9999, 32, True), (128, 32, True), (100, 25, True), (2, 2, True)):
        config = suggest(dataclasses.replace(PHOTOS, images=images), fast).config
        assert (config.batch_size, config.augmentation_target > 0, config.diffaugment != "off") == (batch, augmented, augmented), images
    assert suggest(Facts("gray", 100, 64, False, {}), fast).config.diffaugment == "translation, cutout"
    digits = [suggest(Facts("digits", images, 28, False, {}), fast).config.augmentation_target > 0 for images in (2999, 3000)]
    assert digits == [True, False]
    with pytest.raises(ValueError, match="the data set one has 1 image: training needs at least 2"):
        suggest(Facts("one", 1, 64, True, {}), fast)


def test_classes_become_labels_where_they_have_enough_images() -> None:
    def conditional(**classes: int) -> tuple[bool, str]:
        found = suggest(dataclasses.replace(PHOTOS, classes=classes), fast)
        return found.config.conditional, why(found, "conditional")

    assert conditional(cats=30, dogs=2000) == (True, "you can then draw any of the 2 classes")
    assert conditional(cats=29, dogs=2000) == (False, "cats has only 29 images, too few to learn a class")
    assert conditional(cats=1, dogs=2000) == (False, "cats has only 1 image, too few to learn a class")
    assert conditional(cats=2000) == conditional() == (False, "your images are not sorted into folders")
    assert conditional(**{f"class{i}": 100 for i in range(51)}) == (False, "51 classes are too many to learn in this time")


def test_images_are_mirrored_unless_they_look_like_writing() -> None:
    for classes, color, mirrored in (
        ({}, True, True),
        ({}, False, False),
        ({"a": 50, "B": 50}, True, False),
        ({"10": 50, "7": 50}, True, False),
    ):
        assert suggest(Facts("set", 5000, 64, color, classes), fast).config.horizontal_flip is mirrored
    assert suggest(Facts("pets", 5000, 64, True, {"cat": 50, "x": 50}), fast).config.horizontal_flip
    profiles = suggest(Facts("profiles", 5000, 64, True, {}, one_sided=True), fast)
    assert not profiles.config.horizontal_flip
    assert "most of your images face the same way" in [proposal.why for proposal in profiles.proposals]
