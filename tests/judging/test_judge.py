"""The judge: real images score at the floor, damaged ones in the order of visible damage, and copies are found."""

from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.events import Progress
from gan.judging import judge, reals
from tests.conftest import finish


@pytest.fixture(scope="module")
def digits() -> tuple[reals.Reals, np.ndarray]:
    """A part of the included digits, and 1,000 more that are in no part."""
    whole = finish(datasets.load("mnist", 28, 1, "all"))

    def cut(rows: slice) -> ImageDataset:
        return ImageDataset("mnist", whole.images[rows], whole.labels[rows], whole.class_names)

    return reals.part(cut(slice(0, 6000)), cut(slice(60_000, 62_000))), whole.images[50_000:51_000].numpy()


@pytest.fixture(scope="module")
def judging(digits: tuple[reals.Reals, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> judge.Judge:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKSHOP_DATA", str(tmp_path_factory.mktemp("data")))
        return finish(judge.prepare(digits[0]))


def filtered(images: np.ndarray, which: ImageFilter.GaussianBlur) -> np.ndarray:
    return np.stack([np.asarray(Image.fromarray(image[0]).filter(which))[None] for image in images])


def spoilt(images: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, images.shape)
    pixels = rng.permuted(images.reshape(len(images), -1), axis=1).reshape(images.shape)
    return {
        "real": images,
        "little noise": (images + 20 * noise).clip(0, 255).astype(np.uint8),
        "blurred": filtered(images, ImageFilter.GaussianBlur(1)),
        "noised": (images + 60 * noise).clip(0, 255).astype(np.uint8),
        "blurred more": filtered(images, ImageFilter.GaussianBlur(3)),
        "one image": images[:1].repeat(len(images), 0),
        "shuffled pixels": pixels,
    }


@pytest.fixture(scope="module")
def reports(judging: judge.Judge, digits: tuple[reals.Reals, np.ndarray]) -> dict[str, judge.Report]:
    made = {name: finish(judging.report(images)) for name, images in spoilt(digits[1]).items()}
    found = judging.network.probabilities(judging.network.features(digits[1])).argmax(1)
    ones = digits[1][found == 1]
    return made | {"one class": finish(judging.report(np.concatenate([ones] * 10)[:1000]))}


def test_every_figure_names_its_features_and_has_its_floor(reports: dict[str, judge.Report]) -> None:
    report = reports["real"]
    assert (report.features, report.data, report.images, report.real, report.new) == ("digits-CNN", "mnist", 1000, 1000, True)
    assert [f.key for f in report.figures] == [key for key in judge.FIGURES if key != "attributes"]
    assert report["fd"].name == "FD (digits-CNN)" and report["kid"].name == "KID (digits-CNN)"
    assert all(np.isfinite([f.value, f.floor]).all() and f.help for f in report.figures)
    assert all(f.spread > 0 for f in report.figures)


def test_real_against_real_is_on_the_floor(reports: dict[str, judge.Report]) -> None:
    for figure in reports["real"].figures:
        spread = np.hypot(figure.spread, figure.floor_spread or 0)
        assert abs(figure.value - figure.floor) < 4 * spread, figure
    shares = reports["real"].shares
    assert shares.names == tuple("0123456789") and shares.missing == () and shares.images.sum() == pytest.approx(1)


def test_spoilt_images_order_as_they_should(reports: dict[str, judge.Report]) -> None:
    fd = {name: report["fd"].value for name, report in reports.items()}
    assert fd["real"] < fd["little noise"] < fd["noised"] and fd["real"] < fd["blurred"] < fd["blurred more"]
    assert fd["noised"] < fd["shuffled pixels"]
    assert all(fd[name] > 5 * fd["real"] for name in fd if name not in ("real", "little noise"))
    kid = {name: report["kid"].value for name, report in reports.items()}
    assert kid["real"] < kid["noised"] < kid["shuffled pixels"] and kid["real"] < kid["blurred"] < kid["blurred more"]
    coverage = {name: report["coverage"].value for name, report in reports.items()}
    assert coverage["real"] > coverage["little noise"] > coverage["noised"] > coverage["shuffled pixels"]
    assert coverage["real"] > coverage["blurred"] > coverage["blurred more"] and coverage["noised"] < 0.3
    assert reports["shuffled pixels"]["density"].value < reports["noised"]["density"].value < 0.5 * reports["real"]["density"].value


def test_what_lacks_variety_is_found(reports: dict[str, judge.Report]) -> None:
    one, real = reports["one class"], reports["real"]
    assert one.shares.missing == tuple("023456789") and one["kl"].value == pytest.approx(-np.log(one.shares.real[1]))
    assert one["precision"].value > 0.8 and one["coverage"].value < 0.3 and one["recall"].value < 0.3
    assert one["diversity"].value < 0.6 * real["diversity"].value
    assert reports["one image"]["diversity"].value == pytest.approx(0, abs=1e-3) and reports["one image"]["coverage"].value < 0.05


def test_copies_are_found(judging: judge.Judge, digits: tuple[reals.Reals, np.ndarray], reports: dict[str, judge.Report]) -> None:
    copied = digits[0].training.some(1000).images()
    report = finish(judging.report(copied))
    assert report["copying"].value == 1 and report["copies"].value == 1
    assert report["fd"].value < 2 * report["fd"].floor, "what the distance alone does not see"
    assert reports["real"]["copies"].value < 0.05 and 0.4 < reports["real"]["copying"].value < 0.6


def test_neighbours_are_training_images_and_a_copy_is_closer_than_new_images(
    judging: judge.Judge, digits: tuple[reals.Reals, np.ndarray]
) -> None:
    of = digits[0]
    images = np.concatenate([of.learned.some(3).images(), digits[1][:3]])
    distances, rows, closer = judging.neighbors(images, 4)
    assert distances.shape == rows.shape == (6, 4) and (np.diff(distances, axis=1) >= 0).all()
    assert rows[:3, 0].tolist() == of.learned.some(3).rows.tolist()
    assert (closer[:3] > 0.99).all() and (closer[3:] < 0.99).all()
    found = judging.network.features(of.learned.dataset.images[rows[3]].numpy())
    own = judging.network.features(images[3:4])
    assert np.allclose(np.linalg.norm(found - own, axis=1), distances[3], atol=1e-2)


def test_the_quick_distance_is_that_of_the_report(
    judging: judge.Judge, digits: tuple[reals.Reals, np.ndarray], reports: dict[str, judge.Report]
) -> None:
    assert judging.distance(digits[1]) == pytest.approx(reports["real"]["fd"].value, rel=1e-3)
    assert judging.floor(1000) == pytest.approx(reports["real"]["fd"].floor, rel=1e-3)


def test_classes_are_drawn_as_often_as_they_are(judging: judge.Judge) -> None:
    drawn = np.bincount(judging.labels(5000, tuple("0123456789")), minlength=10) / 5000
    dataset, rows = judging.reals.spare.dataset, judging.reals.spare.rows
    assert np.allclose(drawn, np.bincount(dataset.labels[rows], minlength=10) / len(rows), atol=0.02)
    assert judging.labels(5, ("cat", "dog")) == [0, 1, 0, 1, 0]


def test_too_few_images_are_refused(judging: judge.Judge) -> None:
    with pytest.raises(ValueError, match="scores need at least 10 images; got 3"):
        finish(judging.report(np.zeros((3, 1, 28, 28), np.uint8)))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, reals.Reals], list[Any]]:
    """Data sets of noise by name, and how often one was prepared."""
    sets = {
        name: reals.part(ImageDataset(name, torch.randint(0, 256, (120, 1, 28, 28), dtype=torch.uint8))) for name in ("a", "b", "mnist")
    }
    prepared = []

    def load(name: str, *size: int) -> Generator[Progress, None, Any]:
        yield judge.Progress("Loading", 0, 1)
        return sets[name]

    def prepare(of: reals.Reals) -> Iterator[Progress]:
        prepared.append(of.name)
        yield judge.Progress("Preparing", 0, 1)
        return type("Judge", (), {"reals": of})()

    monkeypatch.setattr(reals, "load", load)
    monkeypatch.setattr(judge, "prepare", prepare)
    return sets, prepared


def test_a_judge_is_prepared_once_and_again_when_the_folder_changed(small: tuple[dict[str, reals.Reals], list[Any]]) -> None:
    sets, prepared = small
    judges = judge.JudgeCache()
    assert finish(judges.get("a", 28, 1)) is finish(judges.get("a", 28, 1)) and prepared == ["a"]
    sets["a"] = sets["b"]
    finish(judges.get("a", 28, 1))
    assert prepared == ["a", "b"]
    finish(judges.get("mnist", 28, 1))
    assert list(judges.get("mnist", 28, 1)) == [], "a named set is not even loaded again"


def test_one_is_prepared_at_a_time_and_a_canceled_one_frees_the_next(
    small: tuple[dict[str, reals.Reals], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "POLL_S", 0)
    judges = judge.JudgeCache()
    first, second = judges.get("a", 28, 1), judges.get("b", 28, 1)
    next(first)
    assert "another comparison" in next(second).task
    first.close()
    assert finish(second).reals.name == "b"
