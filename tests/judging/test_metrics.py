"""Scores compared with hand calculations, with the libraries that published them, and on sets of known order."""

import importlib.util
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from gan.judging import metrics


def library(name: str) -> ModuleType:
    """A library of requirements-dev.txt to compare with. In CI it must be installed."""
    with warnings.catch_warnings(action="ignore"):
        try:
            return __import__(name, fromlist=["_"])
        except ImportError:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"{name} is not installed: pip install -r requirements-dev.txt")


# In a process of its own: scikit-learn brings a second OpenMP, and two of them in one process crashed later training. Without torch, which
# takes as long to import as all the rest.
PRDC = """
import json, pathlib, sys
import numpy as np
from prdc import compute_prdc
folder = pathlib.Path(sys.argv[1])
with np.load(folder / "pair.npz") as pair:
    found = compute_prdc(pair["real"], pair["fake"], nearest_k=5)
(folder / "found.json").write_text(json.dumps({name: float(value) for name, value in found.items()}))
"""


def prdc_of_the_library(real: np.ndarray, fake: np.ndarray, folder: Path) -> dict[str, float]:
    if importlib.util.find_spec("prdc") is None:
        library("prdc")
    np.savez(folder / "pair.npz", real=real, fake=fake)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", PRDC, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads((folder / "found.json").read_text())
    return found


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Two sets that overlap in part: float32 (600, 12) and (500, 12)."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(600, 12)) @ rng.normal(size=(12, 12))
    b = a[:500] * 0.5 + rng.normal(size=(500, 12)) * 2 + 1
    return a.astype(np.float32), b.astype(np.float32)


def test_frechet_distance_by_hand() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(500, 3))
    assert metrics.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet_distance(a, a + np.array([3, 0, 4])) == pytest.approx(25)
    assert metrics.frechet_distance(a, 2 * a - a.mean(0)) == pytest.approx(np.trace(np.cov(a, rowvar=False)))  # (2 s - s)^2 along each axis
    # Uncorrelated axes: the sum of (difference of the means)^2 + (difference of the deviations)^2.
    corners = np.array([[x, y] for x in (-1, 1) for y in (-1, 1)], dtype=float)
    wide = corners * [3, 5] + [1, 2]
    unit = np.sqrt(4 / 3)  # the sample deviation of -1, -1, 1, 1
    assert metrics.frechet_distance(corners, wide) == pytest.approx(1 + 4 + (2 * unit) ** 2 + (4 * unit) ** 2)
    b = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 3))
    assert metrics.frechet_distance(a, b) == pytest.approx(metrics.frechet_distance(b, a))


def test_frechet_distance_is_that_of_torchmetrics(pair: tuple[np.ndarray, np.ndarray]) -> None:
    torch = library("torch")
    fid = library("torchmetrics.image.fid").FrechetInceptionDistance(feature=torch.nn.Identity(), normalize=False, input_img_size=(12,))
    fid.set_dtype(torch.float64)
    for features, real in zip(pair, (True, False), strict=True):
        fid.update(torch.from_numpy(features).double(), real=real)
    assert metrics.frechet_distance(*pair) == pytest.approx(fid.compute().item(), rel=1e-3)


def test_kernel_distance_is_that_of_torchmetrics(pair: tuple[np.ndarray, np.ndarray]) -> None:
    kid = library("torchmetrics.image.kid")
    torch = library("torch")
    a, b = pair[0][:500], pair[1]
    assert metrics.mmd2(a, b) == pytest.approx(kid.poly_mmd(torch.from_numpy(a).double(), torch.from_numpy(b).double()).item(), rel=1e-3)
    mean, deviation = metrics.kid(a, b, subsets=3, subset_size=500)
    assert (mean, deviation) == (pytest.approx(metrics.mmd2(a, b)), pytest.approx(0, abs=1e-9))


def test_kernel_distance_by_hand() -> None:
    a, b = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    # Kernel (x y + 1)^3: within a 1, within b 27, between 1, 1, 8, 27.
    assert metrics.mmd2(a, b) == pytest.approx(1 + 27 - 2 * (1 + 1 + 8 + 27) / 4)


def test_the_kernel_distance_of_equal_distributions_is_around_zero() -> None:
    values = [metrics.mmd2(*np.random.default_rng(i).normal(size=(2, 100, 8))) for i in range(60)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(60) and min(values) < 0 < max(values)


def test_precision_recall_density_coverage_are_those_of_prdc(pair: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    theirs = prdc_of_the_library(*pair, tmp_path)
    ours = metrics.prdc(*pair)
    assert ours._asdict() == {name: pytest.approx(value, rel=1e-3) for name, value in theirs.items()}
    assert 0.3 < ours.coverage < 0.95, "a pair that says nothing"


def test_prdc_by_hand() -> None:
    real = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    fake = np.array([[0.5], [1.5], [0.4], [30.0]])
    found = metrics.prdc(real, fake, k=1)
    # Real balls have radius 1: fakes at 0.5, 1.5, 0.4 lie in two each, and the first three real images are covered. Those of the
    # fakes have 0.1, 1, 0.1 and 28.5: all real images but the first lie in one.
    assert found == pytest.approx((3 / 4, 5 / 6, 6 / 4, 3 / 6))


def test_the_published_self_test() -> None:
    """Two samples of one Gaussian: the values that the code of Naeem et al. prints."""
    real, fake = np.random.default_rng(0).normal(size=(2, 10_000, 1000)).astype(np.float32)
    precision, recall, density, coverage = metrics.prdc(real, fake)
    assert (precision, recall, coverage) == pytest.approx((0.477, 0.471, 0.974), abs=0.03)
    assert density == pytest.approx(1.056, abs=0.16)  # 0.06 is its standard deviation over seeds


def test_too_few_points_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 5 points; got 5"):
        metrics.prdc(np.zeros((5, 2)), np.zeros((9, 2)))
    with pytest.raises(ValueError, match="2 nearest neighbors need at least 2 points; got 1"):
        metrics.nearest(np.zeros((3, 2)), np.zeros((1, 2)), 2)


def test_nearest_neighbours_over_many_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "CHUNK", 7)
    points, among = np.random.default_rng(0).normal(size=(2, 40, 3))
    distances, rows = metrics.nearest(points, among, 4)
    every = np.linalg.norm(points[:, None] - among, axis=2)
    assert np.array_equal(rows, every.argsort(1)[:, :4])
    assert np.allclose(distances, np.sort(every, 1)[:, :4])


def test_a_copy_lies_closer_than_any_new_image() -> None:
    held_out = np.array([1.0, 2.0, 3.0, 4.0])
    assert metrics.farther(np.array([0.0, 1.5, 3.0, 9.0]), held_out).tolist() == [1.0, 0.75, 0.25, 0.0]
    assert metrics.copying(np.zeros(3), held_out) == 1
    assert metrics.copying(held_out, held_out) == 0.5
    assert metrics.copying(np.array([2.0, 2.5]), held_out) == pytest.approx((2.5 / 4 + 2 / 4) / 2)


def test_class_shares_and_what_is_missing() -> None:
    answers = np.eye(3)[[0, 0, 0, 1]]
    shares = metrics.class_shares(answers)
    assert shares.tolist() == [0.75, 0.25, 0]
    even = np.full(3, 1 / 3)
    assert metrics.kl_divergence(shares, even) == pytest.approx(0.75 * np.log(2.25) + 0.25 * np.log(0.75))
    assert metrics.kl_divergence(even, even) == 0 and metrics.kl_divergence(even, shares) == np.inf
    assert metrics.missing(shares, even) == [2]
    assert metrics.class_shares(np.array([[0.9, 0.8], [0.2, 0.6]]), exclusive=False).tolist() == [0.5, 1.0]


def test_diversity_is_the_distance_of_two() -> None:
    points = np.array([[0.0, 0], [3, 0], [0, 4]])
    assert metrics.diversity(points) == pytest.approx(((9 + 16 + 25) / 3) ** 0.5)
    assert metrics.diversity(np.ones((5, 2))) == 0


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    sample = np.random.default_rng(0).normal(size=(1000, 1))
    found = metrics.jackknife([{"mean": float(sample[kept].mean())} for kept in metrics.leave_out(1000, 100)])
    assert found == {"mean": pytest.approx(sample.std(ddof=1) / 1000**0.5, rel=0.25)}
    assert [kept.tolist() for kept in metrics.leave_out(5, 3)] == [[2, 3, 4], [0, 1, 4], [0, 1, 2, 3]]
