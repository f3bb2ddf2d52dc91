"""How far generated digits are from real ones: the Frechet distance in the features of a small CNN, "FD (digits-CNN)".

Stands in for a judge in the library, and knows nothing of what it judges: Judge() trains the CNN on the embedded digits (a few
seconds, the same on every run of one machine), judge.distance(images) gives the distance to real digits that neither the CNN nor
a generator has seen. Figures of different machines or networks are not comparable; those of one Judge are.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.transforms.v2 import functional as transforms

from benchmarks.textbook import load_mnist
from gan.images import to_float

FEATURES = 64
HELD_OUT = slice(60_000, 70_000, 2)  # every other test image: the first 5,000 are cleaner than the rest
TRAINED_ON = slice(0, 50_000)
FLOOR = slice(55_000, 60_000)  # a generator's training images that the CNN was not trained on


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)) of two sets of features (N, D), A and B their covariances.

    Dowson and Landau 1982, equation 4; the figure of Heusel et al. 2017, in other features.
    """
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(cov_a)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    # A B has the eigenvalues of A^(1/2) B A^(1/2), which is symmetric.
    trace = np.sqrt(np.linalg.eigvalsh(root @ cov_b @ root).clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * trace)


class Judge:
    """A classifier of digits whose last features judge generators.

    Attributes:
        accuracy: on held-out digits, 0 to 1: whether the features say anything.
        floor: the distance of real training digits to the held-out ones: what a perfect generator gets.
    """

    def __init__(self) -> None:
        mnist = load_mnist("all")
        assert mnist.labels is not None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.features = nn.Sequential(
                nn.Conv2d(1, 16, 3, 2, 1),
                nn.ReLU(),
                nn.Conv2d(16, 32, 3, 2, 1),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(1568, FEATURES),
                nn.ReLU(),
            )
            classifier = nn.Sequential(self.features, nn.Linear(FEATURES, 10))
            optimizer = torch.optim.Adam(classifier.parameters(), 2e-3)
            images, labels = mnist.images[TRAINED_ON], mnist.labels[TRAINED_ON]
            for _ in range(2):
                for batch in torch.randperm(len(images)).split(100):
                    optimizer.zero_grad()
                    F.cross_entropy(classifier(to_float(images[batch])), labels[batch]).backward()
                    optimizer.step()
        with torch.inference_mode():
            answers = classifier(to_float(mnist.images[HELD_OUT])).argmax(1)
        self.accuracy = (answers == mnist.labels[HELD_OUT]).double().mean().item()
        self._real = self._features(mnist.images[HELD_OUT])
        self.floor = self.distance(mnist.images[FLOOR])

    def _features(self, images: torch.Tensor) -> np.ndarray:
        with torch.inference_mode():
            return torch.cat([self.features(to_float(part)) for part in images.split(1000)]).double().numpy()

    def distance(self, images: torch.Tensor) -> float:
        """FD (digits-CNN) of uint8 images (N, 1, H, W), brought to 28 pixels, to the held-out digits; lower is better."""
        if images.shape[-1] != 28:
            images = transforms.resize(images, [28, 28], antialias=True)
        return frechet_distance(self._features(images), self._real)
