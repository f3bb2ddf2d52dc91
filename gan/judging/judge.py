"""How realistic images are, compared with the data set that the generator was trained on: scores in a small network's features.

Each score comes with its floor: the score of real images that the generator may have been trained on.
"""

import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gan.data.datasets import NAMED
from gan.data.form import WHITE, Fit, Form, Pairs
from gan.devices import one_thread, one_thread_a_step
from gan.events import Progress
from gan.judging import features, metrics, reals
from gan.judging.features import FeatureNetwork
from gan.judging.reals import Reals
from gan.lru import Lru

FEWEST = 2 * metrics.NEAREST  # the fewest images that can be scored
CALIBRATED_BY = 2000  # held-out images whose distance to the training set is computed
SUBSETS = 50  # of the kernel distance
COPIES = 0.99  # an image counts as a copy if it is closer to the training set than this share of new real images
GROUPS = 10  # of the jackknife
GLANCED = 250  # images of a glance whose nearest training images are searched
GLANCED_AGAINST = 2000  # held-out images: more of them make the distance and its floor steadier
GLANCED_FLOORS = 8  # sets of real images
POLL_S = 0.2

Better = Literal["lower", "higher", "floor"]  # "floor": the closer to the floor, the better


@dataclass(frozen=True)
class Figure:
    """One score of a set of images.

    Attributes:
        key: a short name: fd, kid, ...
        name: as shown; it names the features if they matter.
        value: the score.
        spread: its standard error over resamples of the images; for KID the standard deviation over subsets; None if there is none.
        floor: the score of real images.
        floor_spread: like spread.
        better: whether lower or higher is better.
        help: what it means, in a sentence.
    """

    key: str
    name: str
    value: float
    spread: float | None
    floor: float
    floor_spread: float | None
    better: Better
    help: str


@dataclass(frozen=True)
class Shares:
    """How often each class or attribute appears, according to the feature network.

    Attributes:
        names: the classes or attributes.
        images: shares among the scored images, (len(names),).
        real: shares among held-out real images.
        missing: names of those that appear less than a tenth as often as among real images.
    """

    names: tuple[str, ...]
    images: np.ndarray
    real: np.ndarray
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """All scores of a set of images.

    Attributes:
        features: the name of the network whose features were used.
        data: the data set that the images were compared with.
        images: how many were scored; the floor uses as many real images.
        real: how many held-out real images they were compared with.
        new: whether generators of that data set have never seen these real images.
        figures: the scores, in the order in which they should be read.
        shares: of classes or attributes; None if the network knows none.
    """

    features: str
    data: str
    images: int
    real: int
    new: bool
    figures: tuple[Figure, ...]
    shares: Shares | None

    def __getitem__(self, key: str) -> Figure:
        return next(figure for figure in self.figures if figure.key == key)


# key -> (name, what is better, what it means); {} is the features' name
FIGURES: dict[str, tuple[str, Better, str]] = {
    "fd": ("FD ({})", "lower", "Fréchet distance between the features of the two sets, as two normal distributions."),
    "kid": ("KID ({})", "lower", "Kernel distance: like FD, but without assuming normal distributions. About 0 for real images."),
    "precision": ("Precision", "higher", "Share of generated images that look like some real image."),
    "recall": ("Recall", "higher", "Share of real images that look like some generated image."),
    "density": ("Density", "higher", "How many real images surround each generated image: quality."),
    "coverage": ("Coverage", "higher", "Share of real images with a generated image nearby: variety."),
    "diversity": ("Diversity", "floor", "Distance between two generated images (root mean square). Low if all look alike."),
    "kl": ("Class histogram, KL", "lower", "How far the class shares are from those of real images, in nats."),
    "attributes": ("Attributes, mean difference", "lower", "How far the attributes' shares are from those of real images, on average."),
    "copying": (
        "Closer than a new image",
        "floor",
        "How often a generated image is closer to the training set than a new real image. 0.5 without copying.",
    ),
    "copies": ("Copies", "lower", "Share of generated images closer to the training set than 99% of new real images."),
}


class Judge:
    """Scores images by comparing them with one data set at one size. Safe to use from any thread."""

    def __init__(self, of: Reals, network: FeatureNetwork, matrix: np.ndarray, held_out: np.ndarray) -> None:
        """matrix: the features of all training images; held_out: the features of the held-out images."""
        self.reals, self.network = of, network
        self.held_out = held_out
        self._matrix = matrix
        rows = of.training.rows
        # With test images, all training images are learned from: the memory map itself, without a copy.
        self.training = matrix if len(rows) == len(matrix) else matrix[rows]
        # Smaller sets are drawn at random, not at even distances: every thirtieth digit is another mixture than all of them. Many
        # sets are sorted.
        self._spare = np.random.default_rng(0).permutation(of.spare.rows)
        self._chosen = np.random.default_rng(1).permutation(len(held_out))
        few = np.linspace(0, len(held_out) - 1, min(CALIBRATED_BY, len(held_out))).round().astype(int)
        #: distances of held-out real images to the training set, in rising order
        self.distances = np.sort(metrics.nearest(held_out[few], self.training)[0][:, 0])
        self._floors: dict[int, dict[str, tuple[float, float | None]]] = {}
        self._glanced: dict[int, dict[str, float]] = {}

    @one_thread()
    def neighbors(self, images: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The training images nearest to some images uint8 (N, C, H, W).

        Returns:
            Distances (N, k), the rows of these training images in the data set (N, k), and for each image the share of held-out
            real images that are farther from the training set (N,): near 1 for a copy.
        """
        distances, places = metrics.nearest(self.network.features(images), self.training, k)
        return distances, self.reals.training.rows[places], metrics.farther(distances[:, 0], self.distances)

    def labels(self, n: int, class_names: tuple[str, ...], seed: int = 0) -> list[int]:
        """Classes for a conditional generator to draw: as frequent as among real images, or evenly if the generator has other classes."""
        dataset = self.reals.spare.dataset
        if dataset.labels is not None and dataset.class_names == class_names:
            rng = np.random.default_rng(seed)
            return [int(label) for label in dataset.labels.numpy()[rng.choice(self.reals.spare.rows, n)]]
        return [i % len(class_names) for i in range(n)]

    def judged(self, samples: int) -> int:
        """How many of `n` images are scored: the floor needs as many real images."""
        return min(samples, len(self.reals.spare))

    @one_thread()
    def distance(self, images: np.ndarray) -> float:
        """Only the Fréchet distance of uint8 images (N, C, H, W); see floor() for real images."""
        n = self.judged(len(images))
        return metrics.frechet_distance(self.network.features(images[:n]), self._reference(n))

    @one_thread()
    def floor(self, samples: int) -> float:
        """distance() of the same number of real images."""
        n = self.judged(samples)
        return metrics.frechet_distance(self._matrix[self._spare[:n]], self._reference(n))

    @one_thread_a_step
    def report(self, images: np.ndarray) -> Generator[Progress, None, Report]:
        """Scores uint8 images (N, C, H, W), which must be in random order; only the first judged() of them.

        Raises:
            ValueError: there are too few images.
        """
        n = self.judged(len(images))
        if n < FEWEST:
            raise ValueError(f"scores need at least {FEWEST} images; got {n}")
        parts = []
        for start in range(0, n, 500):
            yield Progress("Looking at the images", start, n)
            parts.append(self.network.features(images[start : min(n, start + 500)]))
        fake = np.concatenate(parts)
        values = yield from self._figures(fake, "Comparing with real images")
        if n not in self._floors:
            spare = self._matrix[self._spare[:n]]
            self._floors[n] = yield from self._figures(spare, "Comparing real images with one another")
        floors = self._floors[n] | {
            "copying": (0.5, None),
            "copies": (round(1 - COPIES, 4), None),
        }  # they are part of the training set
        figures = []
        for key, (name, better, text) in FIGURES.items():
            if key in values:
                figures.append(Figure(key, name.format(self.network.name), *values[key], *floors[key], better, text))
        return Report(self.network.name, self.reals.name, n, len(self._reference(n)), self.reals.new, tuple(figures), self._shares(fake, n))

    @one_thread()
    def glance(self, images: np.ndarray) -> dict[str, Any]:
        """Scores of uint8 images (N, C, H, W), which must be in random order, at a small part of report()'s cost: for a run that trains.

        Only the first judged() images count. Unlike in a report, the Fréchet distance uses up to GLANCED_AGAINST held-out images, the
        kernel distance uses all images at once, and copies are searched among the first GLANCED.

        Returns:
            images, fd, fd_error, fd_floor, kid, kid_floor, density, coverage, coverage_floor, diversity, diversity_real (of real
            images), kl and shares (of classes; None if the network knows none), missing (names), copying, copies.

        Raises:
            ValueError: there are too few images.
        """
        n = self.judged(len(images))
        if n < FEWEST:
            raise ValueError(f"scores need at least {FEWEST} images; got {n}")
        fake, reference, many = self.network.features(images[:n]), self._reference(n), self._reference(GLANCED_AGAINST)
        floor = self.glance_floor(n)
        left_out = [{"fd": metrics.frechet_distance(fake[kept], many)} for kept in metrics.leave_out(n, GROUPS)]
        balls = metrics.prdc(reference, fake)
        distances = metrics.nearest(fake[:GLANCED], self.training)[0][:, 0]
        shares = self._shares(fake, n)
        statistics = self._statistics(fake, distances, reference)
        exclusive = shares is not None and self.network.about.kind == "classes"
        return {
            "images": n,
            "fd": metrics.frechet_distance(fake, many),
            "fd_error": metrics.jackknife(left_out)["fd"],
            "fd_floor": floor["fd"],
            "kid": metrics.mmd2(fake, reference),
            "kid_floor": floor["kid"],
            "density": balls.density,
            "coverage": balls.coverage,
            "coverage_floor": floor["coverage"],
            "diversity": statistics["diversity"],
            "diversity_real": metrics.diversity(reference),
            "kl": statistics.get("kl"),
            "shares": [round(float(share), 4) for share in shares.images] if shares and exclusive else None,
            "missing": list(shares.missing) if shares else [],
            "copying": statistics["copying"],
            "copies": statistics["copies"],
        }

    @one_thread()
    def glance_floor(self, samples: int) -> dict[str, float]:
        """glance() of `n` real images: fd, kid, coverage. Means over several such sets, computed once for each n."""
        n = self.judged(samples)
        if n not in self._glanced:
            reference, many = self._reference(n), self._reference(GLANCED_AGAINST)
            sets = []
            for i in range(min(GLANCED_FLOORS, len(self._spare) // n)):
                real = self._matrix[self._spare[i * n : (i + 1) * n]]
                scores = (metrics.frechet_distance(real, many), metrics.mmd2(real, reference), metrics.prdc(reference, real).coverage)
                sets.append(scores)
            self._glanced[n] = dict(zip(("fd", "kid", "coverage"), np.mean(sets, 0).tolist(), strict=True))
        return self._glanced[n]

    def _reference(self, n: int) -> np.ndarray:
        """The held-out features that n images are compared with: n of them, or all if there are fewer."""
        reference: np.ndarray = self.held_out[np.sort(self._chosen[:n])]
        return reference

    def _figures(self, fake: np.ndarray, task: str) -> Generator[Progress, None, dict[str, tuple[float, float | None]]]:
        """Scores of features (n, D), and their spreads."""
        reference = self._reference(len(fake))
        yield Progress(task, 0, 3)
        distances = metrics.nearest(fake, self.training)[0][:, 0]
        yield Progress(task, 1, 3)
        size = min(1000, len(fake) // 2, len(reference))
        kernel, kernel_spread = metrics.kid(fake, reference, SUBSETS, size)
        yield Progress(task, 2, 3)
        balls, balls_error = metrics.prdc_with_error(reference, fake, groups=GROUPS)
        values = self._statistics(fake, distances, reference)
        errors = metrics.jackknife(
            [self._statistics(fake[kept], distances[kept], reference) for kept in metrics.leave_out(len(fake), GROUPS)]
        )
        scores: dict[str, tuple[float, float | None]] = {key: (value, errors[key]) for key, value in values.items()}
        scores |= {name: (value, error) for name, value, error in zip(balls._fields, balls, balls_error, strict=True)}
        return scores | {"kid": (kernel, kernel_spread)}

    def _statistics(self, fake: np.ndarray, distances: np.ndarray, reference: np.ndarray) -> dict[str, float]:
        """The scores that are quick to compute again for a part of the images."""
        scores = {"fd": metrics.frechet_distance(fake, reference), "diversity": metrics.diversity(fake)}
        scores["copying"] = metrics.copying(distances, self.distances)
        scores["copies"] = float((metrics.farther(distances, self.distances) >= COPIES).mean())
        kind = self.network.about.kind
        if kind != "nothing":
            seen, real = self._seen(fake), self._seen(reference)
            if kind == "classes":
                # A class that the network sees in no real image would be infinitely far: count half an image instead of none.
                scores["kl"] = metrics.kl_divergence(seen, np.maximum(real, 0.5 / len(reference)))
            else:
                scores["attributes"] = float(np.abs(seen - real).mean())
        return scores

    def _seen(self, features: np.ndarray) -> np.ndarray:
        return metrics.class_shares(self.network.probabilities(features), self.network.about.kind == "classes")

    def _shares(self, fake: np.ndarray, n: int) -> Shares | None:
        names = self.network.about.outputs
        if not names:
            return None
        seen, real = self._seen(fake), self._seen(self._reference(n))
        return Shares(names, seen, real, tuple(names[i] for i in metrics.missing(seen, real)))


def prepare(of: Reals) -> Generator[Progress, None, Judge]:
    """The judge of a data set. The first time takes up to two minutes per set; the result is cached on disk."""
    network = yield from features.network_for(of)
    matrix = yield from features.feature_matrix(network, of.learned.dataset)
    held_out = of.held_out.dataset
    all_held_out = matrix if held_out is of.learned.dataset else (yield from features.feature_matrix(network, held_out))
    return Judge(of, network, matrix, all_held_out[of.held_out.rows])


class JudgeCache:
    """The most recently used judges. Only one is prepared at a time; other visitors wait. Safe to use from any thread."""

    def __init__(self, most: int = 3) -> None:
        self._judges: Lru[tuple[str, Form], Judge] = Lru(most)
        self._preparing = threading.Lock()

    def get(
        self, name: str, image_size: int, channels: int, fit: Fit = "crop", background: str = WHITE, paired: Pairs = ""
    ) -> Generator[Progress, None, Judge]:
        """The judge of a data set in one form; see Form.

        Raises:
            ValueError: see reals.load().
            OSError: the disk is full, say.
        """
        key = (name, Form(image_size, channels, fit, background, paired))
        if name in NAMED and (known := self._judges.get(key)) is not None:
            return known
        while not self._preparing.acquire(blocking=False):
            yield Progress("Waiting for another comparison to get ready", 0, 0)
            time.sleep(POLL_S)
        try:
            known = self._judges.get(key)
            if known is not None and name in NAMED:
                return known
            # A folder may have other images by now. Reading it again is fast, because decoded images are cached.
            of = yield from reals.load(*key)
            if known is not None and known.reals.learned.dataset.fingerprint() == of.learned.dataset.fingerprint():
                return known
            judge = yield from prepare(of)
            self._judges.put(key, judge)
            return judge
        finally:
            self._preparing.release()
