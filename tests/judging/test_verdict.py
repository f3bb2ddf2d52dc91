"""A report in one sentence: how close to real images, what is missing, what is copied, and when there is too little to say."""

import numpy as np
import pytest

from gan.judging.judge import FIGURES, Figure, Report, Shares
from gan.judging.verdict import ENOUGH, MAIN, Realism, too_few, verdict

# Two real images are 10 apart, so the single point in their middle is at a distance of 50.
FLOORS = {"fd": 1.0, "kid": 0.0, "coverage": 0.95, "diversity": 10.0, "copies": 0.01}


def report(images: int = 2000, missing: tuple[str, ...] = (), **values: float) -> Report:
    figures = []
    for key, floor in FLOORS.items():
        name, better, said = FIGURES[key]
        figures.append(Figure(key, name, values.get(key, floor), 0.1, floor, 0.1, better, said))
    shares = Shares(("0", "1", "2"), np.full(3, 1 / 3), np.full(3, 1 / 3), missing)
    return Report("digits-CNN", "mnist", images, images, True, tuple(figures), shares)


@pytest.mark.parametrize(
    ("fd", "realism"),
    [(1.0, Realism.LIKE_REAL), (4.0, Realism.CLOSE), (15.0, Realism.DIFFERENT), (51.0, Realism.FAR), (400.0, Realism.FAR)],
)
def test_the_distance_is_read_by_what_separates_real_images(fd: float, realism: Realism) -> None:
    found = verdict(report(fd=fd))
    assert found.realism == realism and realism.value in found.text
    assert found.good == (realism in (Realism.LIKE_REAL, Realism.CLOSE))


def test_few_images_decide_nothing_however_good_they_look() -> None:
    found = verdict(report(images=ENOUGH - 1, fd=1.0))
    assert found.realism is None and not found.good and found.text.startswith("Too few images for a verdict: 499")
    assert verdict(report(images=ENOUGH)).good


def test_real_images_above_the_limit_are_too_few() -> None:
    assert too_few(4.1, 10.0) and not too_few(3.9, 10.0)  # 0.08 of 50 is 4
    assert not too_few(None, 10.0) and not too_few(4.1, None) and not too_few(4.1, 1e300) and too_few(4.1, 0.0)


def test_what_is_missing_or_copied_is_in_the_sentence() -> None:
    assert verdict(report(fd=3.0, missing=("2",))).text == "The images look close to real ones, but 2 is missing or rare."
    assert "0, 1 and 2 are missing or rare" in verdict(report(missing=("0", "1", "2"))).text
    assert "much of the variety is missing" in verdict(report(coverage=0.4)).text
    assert "much of the variety" not in verdict(report(coverage=0.6)).text
    copied = verdict(report(copies=0.2))
    assert "20% are as close as copies to training images" in copied.text and not copied.good
    # 1% is expected: 20 of 2,000. Up to 13 more can be chance.
    assert verdict(report(copies=0.0165)).good and not verdict(report(copies=0.0175)).good


def test_the_main_scores_are_scores() -> None:
    assert set(MAIN) <= set(FIGURES)
