"""How far two sets of images are from each other, by their features. Pure functions of float arrays (N, D).

Large products use torch, on as many threads as the caller has set.

The caller chooses the features and puts them into a score's name: "FD (digits-CNN)". Scores in different features cannot be
compared. Distances between points are Euclidean.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

NEAREST = 5  # k of precision, recall, density, coverage (Naeem et al. 2020, section 5)
CHUNK = 2000  # points whose distances to all others are in memory at once
MISSING_BELOW = 0.1  # times a class's share among real images


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)), A and B the sets' covariances.

    Dowson and Landau 1982, equation 4; the score of Heusel et al. 2017, in other features. Small sets look farther apart than
    they are, so only compare scores of equally large sets.
    """
    x, y = torch.from_numpy(np.array(a, dtype=np.float64)), torch.from_numpy(np.array(b, dtype=np.float64))
    cov_x, cov_y = (points.T.cov().reshape(points.shape[1], points.shape[1]) for points in (x, y))
    # torch instead of numpy: numpy's own threads get in the way of training threads.
    values, vectors = torch.linalg.eigh(cov_x)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    # A B has the eigenvalues of A^(1/2) B A^(1/2), which is symmetric.
    trace = torch.linalg.eigvalsh(root @ cov_y @ root).clamp(min=0).sqrt().sum()
    return float((x.mean(0) - y.mean(0)).square().sum() + cov_x.trace() + cov_y.trace() - 2 * trace)


def mmd2(a: np.ndarray, b: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel (x . y / D + 1)^3; zero on average for sets of one distribution.

    Gretton et al. 2012, equation 3; the kernel of Binkowski et al. 2018, section 4.
    """
    x, y = torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)
    n, m = len(x), len(y)

    def kernel(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        base = (u @ v.T).div_(u.shape[1]).add_(1)
        return base.square().mul_(base)  # pow() takes ten times as long, base * base * base a quarter longer

    of_x, of_y = kernel(x, x), kernel(y, y)
    within = (of_x.sum() - of_x.trace()) / (n * (n - 1)) + (of_y.sum() - of_y.trace()) / (m * (m - 1))
    return float(within - 2 * kernel(x, y).mean())


def kid(a: np.ndarray, b: np.ndarray, subsets: int = 100, subset_size: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Kernel distance (Binkowski et al. 2018): mean and standard deviation of mmd2() over random subsets, drawn without replacement.

    subset_size: smaller if a set is smaller.
    """
    rng = np.random.default_rng(seed)
    size = min(subset_size, len(a), len(b))
    values = [mmd2(a[rng.choice(len(a), size, replace=False)], b[rng.choice(len(b), size, replace=False)]) for _ in range(subsets)]
    return float(np.mean(values)), float(np.std(values))


class Prdc(NamedTuple):
    """Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020).

    Attributes:
        precision: share of generated images in the ball of some real image. Its radius is the distance to the k-th nearest real image.
        recall: share of real images in the ball of some generated image.
        density: number of real images' balls that a generated image is in, divided by k. Unbounded, and more robust to outliers.
        coverage: share of real images with a generated image in their ball.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real: np.ndarray, fake: np.ndarray, k: int = NEAREST) -> Prdc:
    """Quality and variety of generated images (N, D) compared with real images (M, D).

    Raises:
        ValueError: there are no more than k images of either kind.
    """
    return prdc_with_error(real, fake, k, 1)[0]


def prdc_with_error(real: np.ndarray, fake: np.ndarray, k: int = NEAREST, groups: int = 10) -> tuple[Prdc, Prdc]:
    """prdc(), and its standard errors over the generated images, by the jackknife over groups of neighboring rows.

    The balls around generated images keep their sizes when some images are left out, so all distances are computed only once.

    Raises:
        ValueError: there are no more than k images of either kind, or fewer fakes than groups.
    """
    real_radii, fake_radii = _radii(real, k), _radii(fake, k)
    rows = np.array_split(np.arange(len(fake)), groups)
    group_of = np.repeat(np.arange(groups), [len(group) for group in rows])
    members = torch.from_numpy(np.eye(groups, dtype=np.float32)[group_of])  # (N, groups)
    among = torch.tensor(fake)
    inside = torch.zeros(len(fake))
    covering, recalling = [], []  # (M, groups): fakes in the real image's ball; fakes whose ball it is in
    for start in range(0, len(real), CHUNK):
        distances = _squared(torch.tensor(real[start : start + CHUNK]), among)
        within = (distances < real_radii[start : start + CHUNK, None]).float()
        inside += within.sum(0)
        covering.append(within @ members)
        recalling.append((distances < fake_radii).float() @ members)
    covered, recalled, balls = torch.cat(covering), torch.cat(recalling), inside.numpy()

    def figures(kept: np.ndarray, group: int | None) -> Prdc:
        some = [counts.sum(1) - (counts[:, group] if group is not None else 0) for counts in (recalled, covered)]
        recall, coverage = (float((counts > 0.5).double().mean()) for counts in some)
        return Prdc(float((balls[kept] > 0).mean()), recall, float(balls[kept].mean(dtype=np.float64) / k), coverage)

    whole = figures(np.arange(len(fake)), None)
    if groups == 1:
        return whole, Prdc(0, 0, 0, 0)
    left_out = [figures(kept, group)._asdict() for group, kept in enumerate(leave_out(len(fake), groups))]
    return whole, Prdc(**jackknife(left_out))


def _radii(points: np.ndarray, k: int) -> torch.Tensor:
    """Squared distance of each point to its k-th nearest other one: (N,)."""
    if len(points) <= k:
        raise ValueError(f"the {k}-th nearest neighbor needs more than {k} points; got {len(points)}")
    parts = torch.tensor(points).split(CHUNK)
    nearest = [part.new_empty(len(part), 0) for part in parts]  # squared distances to the nearest points, itself included

    def smallest(distances: torch.Tensor) -> torch.Tensor:
        return distances.topk(min(k + 1, distances.shape[1]), dim=1, largest=False).values

    def keep(i: int, distances: torch.Tensor) -> None:
        nearest[i] = smallest(torch.cat([nearest[i], smallest(distances)], 1))

    for i, part in enumerate(parts):
        for j in range(i, len(parts)):  # distances are symmetric: each pair of parts once
            distances = _squared(part, parts[j])
            if i == j:
                distances.fill_diagonal_(0)  # exact: a point is its own nearest neighbor
            keep(i, distances)
            if i < j:
                keep(j, distances.T)
    return torch.cat([distances[:, k] for distances in nearest])


def _squared(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Squared distances (N, M), never below zero."""
    return torch.addmm(b.square().sum(1), a, b.T, alpha=-2).add_(a.square().sum(1, keepdim=True)).clamp_(min=0)


def nearest(points: np.ndarray, among: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The k points of `among` (M, D) nearest to each point (N, D): distances float (N, k), rising, and indices int64 (N, k).

    `among` may be memory-mapped: it is read piece by piece.

    Raises:
        ValueError: there are fewer than k.
    """
    if len(among) < k:
        raise ValueError(f"{k} nearest neighbors need at least {k} points; got {len(among)}")
    wanted = torch.tensor(points)
    lengths = wanted.square().sum(1, keepdim=True)
    best, rows = wanted.new_empty(len(points), 0), torch.empty(len(points), 0, dtype=torch.long)
    for start in range(0, len(among), CHUNK):
        part = torch.tensor(among[start : start + CHUNK])
        # Leaves out the point's own norm, which is the same for all.
        distances = torch.addmm(part.square().sum(1), wanted, part.T, alpha=-2)
        closest = distances.min(1, keepdim=True) if k == 1 else distances.topk(min(k, len(part)), dim=1, largest=False)
        best, rows = torch.cat([best, closest.values], 1), torch.cat([rows, closest.indices + start], 1)
        best, order = best.topk(min(k, best.shape[1]), dim=1, largest=False)
        rows = rows.gather(1, order)
    return (best + lengths).clamp_(min=0).sqrt_().numpy(), rows.numpy()


def farther(distances: np.ndarray, held_out: np.ndarray) -> np.ndarray:
    """For each distance to the nearest training image, the share of held-out real images that are farther from theirs.

    Near 1: closer to the training set than new real images are, as a copy would be.

    distances: (N,). held_out: (M,), distances of real images that were not trained on. Returns (N,), 0 to 1.
    """
    ranked = np.sort(held_out)
    shares: np.ndarray = 1 - np.searchsorted(ranked, distances, side="right") / len(ranked)
    return shares


def copying(distances: np.ndarray, held_out: np.ndarray) -> float:
    """How often an image is closer to the training set than a new real image, over all such pairs: 0.5 if nothing is copied.

    The Mann-Whitney statistic with which Meehan et al. 2020 test for data copying, scaled to 0 to 1. Ties count half.
    """
    ranked = np.sort(held_out)
    below, up_to = np.searchsorted(ranked, distances, side="left"), np.searchsorted(ranked, distances, side="right")
    return float(1 - (below + up_to).mean() / 2 / len(ranked))


def class_shares(probabilities: np.ndarray, exclusive: bool = True) -> np.ndarray:
    """A classifier's answers (N, classes) -> the share of images of each class, float (classes,).

    exclusive: an image counts for its most likely class. Otherwise (attributes) it counts for each with a probability above 1/2.
    """
    if not exclusive:
        return np.asarray((probabilities > 0.5).mean(0))
    return np.bincount(probabilities.argmax(1), minlength=probabilities.shape[1]) / len(probabilities)


def kl_divergence(p: np.ndarray, q: np.ndarray) -> float:
    """KL(p || q) of two histograms, in nats. Classes without images in p add nothing; classes without images in q make it infinite.

    With generated shares p and real shares q, this is the figure in the Stacked MNIST tables (Metz et al. 2017, Lin et al. 2018).
    """
    there = p > 0
    with np.errstate(divide="ignore"):
        return float((p[there] * np.log(p[there] / q[there])).sum())


def missing(p: np.ndarray, q: np.ndarray, below: float = MISSING_BELOW) -> list[int]:
    """Classes whose share in p is less than `below` times their share in q."""
    return [int(i) for i in np.flatnonzero(p < below * q)]


def diversity(features: np.ndarray) -> float:
    """Root mean square distance between two images of a set: sqrt(2 tr(covariance))."""
    return float(np.sqrt(2 * features.var(0, ddof=1, dtype=np.float64).sum()))


def leave_out(n: int, groups: int) -> Iterator[np.ndarray]:
    """The rows of a sample of n, leaving out each of several groups of neighboring rows in turn."""
    rows = np.arange(n)
    for group in np.array_split(rows, groups):
        yield np.delete(rows, group)


def jackknife(left_out: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The standard errors of a sample's statistics, from the statistics without each group: see leave_out().

    Efron and Tibshirani 1993, chapter 11, with groups instead of single points. Sampling with replacement would not work: duplicates
    bring neighbors closer. The sample must be in random order.

    left_out: the same statistics by name, for each group.
    """
    groups = len(left_out)
    values = {name: np.array([each[name] for each in left_out]) for name in left_out[0]}
    return {name: float(np.sqrt((groups - 1) / groups * ((v - v.mean()) ** 2).sum())) for name, v in values.items()}
