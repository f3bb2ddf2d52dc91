from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.data.drawn import DRAWN
from gan.data.form import Form
from gan.judging import reals
from tests.conftest import finish


def numbered(n: int, classes: int = 0) -> ImageDataset:
    """n images, each with its own gray level, sorted by class."""
    images = torch.arange(n, dtype=torch.int64).remainder(256).to(torch.uint8).view(n, 1, 1, 1).expand(n, 1, 8, 8)
    labels = torch.arange(n) * classes // n if classes else None
    return ImageDataset("numbered", images, labels, tuple("abcdefgh"[:classes]))


@pytest.mark.parametrize("n", [100, 101, 997, 60_000])
@pytest.mark.parametrize("with_test", [True, False])
def test_the_parts_are_disjoint_and_complete(n: int, with_test: bool) -> None:
    test = numbered(40) if with_test else None
    of = reals.part(numbered(n), test)
    own = [of.learned.rows, of.spare.rows] + ([] if with_test else [of.held_out.rows])
    assert np.array_equal(np.sort(np.concatenate(own)), np.arange(n))
    assert np.array_equal(of.training.rows, np.sort(np.concatenate(own[:2])))
    assert of.new is with_test and (of.held_out.dataset is test) is with_test
    assert len(of.held_out) == 40 if with_test else 0.19 * n < len(of.held_out) < 0.21 * n or len(of.held_out) in range(4900, 5001)
    assert 0.15 * n < len(of.spare) < 0.21 * n


def test_every_part_has_every_class() -> None:
    of = reals.part(numbered(200, classes=8))
    labels = of.learned.dataset.labels.numpy()
    assert all(set(labels[part.rows]) == set(range(8)) for part in (of.learned, of.spare, of.held_out))


def test_some_of_a_part_are_from_all_over_it() -> None:
    part = reals.part(numbered(200)).spare
    assert len(part.some(1000)) == len(part) == 40
    few = part.some(5)
    assert few.rows[[0, -1]].tolist() == part.rows[[0, -1]].tolist() and len(few) == 5
    assert few.images()[:, 0, 0, 0].tolist() == few.rows.tolist()
    assert few.images(slice(1, 3)).shape == (2, 1, 8, 8)


def test_a_small_set_is_refused() -> None:
    with pytest.raises(ValueError, match="the data set numbered has 99 images; scores need at least 100"):
        reals.part(numbered(99))


def test_faces_are_held_out_that_nobody_has_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DRAWN, "faces", replace(DRAWN["faces"], train=120, tests=30))
    of = finish(reals.load("faces", Form(32, 3)))
    assert (len(of.training), len(of.held_out), of.new) == (120, 30, True)
    both = finish(datasets.load("faces", 32, 3, "all"))
    assert torch.equal(both.images, torch.cat([of.learned.dataset.images, of.held_out.dataset.images]))
    assert not torch.equal(both.images[:30], both.images[120:])


def test_a_folder_has_no_test_images(tmp_path: Path) -> None:
    (tmp_path / "data" / "mine").mkdir(parents=True)
    Image.new("L", (40, 40)).save(tmp_path / "data" / "mine" / "1.png")
    with pytest.raises(ValueError, match="the data set mine has no test images"):
        finish(datasets.load("mine", 32, 3, "test"))


def test_a_folder_with_a_test_part_is_held_out_by_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part, count in (("train", 110), ("test", 25)):
        (tmp_path / "data" / "mine" / part).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / "data" / "mine" / part / f"{i:03}.png")
    of = finish(reals.load("mine", Form(28, 1)))
    assert (len(of.training), len(of.held_out), of.new) == (110, 25, True)
    for i in range(10, 25):  # too few for scores: a fifth of the training images is used instead
        (tmp_path / "data" / "mine" / "test" / f"{i:03}.png").unlink()
    of = finish(reals.load("mine", Form(28, 1)))
    assert (len(of.training), len(of.held_out), of.new) == (88, 22, False)


def test_scripts_that_were_given_out_still_find_the_training_part() -> None:
    split = reals.part(numbered(200))
    assert split.learnt is split.learned
