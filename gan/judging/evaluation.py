"""Scores of a generator's images, compared with a data set. Pages and the command line use the same code."""

import csv
import io
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from gan import latent
from gan.config import TrainConfig
from gan.devices import one_thread_a_step
from gan.events import Progress
from gan.judging.judge import Figure, Judge, Report
from gan.lru import Lru
from gan.networks.generator_file import LoadedGenerator
from gan.networks.sampling import sample

SAMPLES = 5000
DRAWN = 256  # images at a time
POLL_S = 0.2

T = TypeVar("T")
_turn = threading.Lock()


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of one generator.

    Attributes:
        key: the generator's id, its file's modification time (nanoseconds), and the requested number of images.
    """

    key: tuple[str, int, int]
    config: TrainConfig
    step: int
    report: Report

    @property
    def name(self) -> str:
        """The generator's id: "digits", or "RUN@400"."""
        return self.key[0]


class Evaluations:
    """The most recent evaluations, so the same question is answered at once. Safe to use from any thread."""

    def __init__(self, most: int = 100) -> None:
        self._known: Lru[tuple[str, int, int], Evaluation] = Lru(most)

    def get(self, key: tuple[str, int, int]) -> Evaluation | None:
        """The evaluation of a key (see Evaluation), or None."""
        return self._known.get(key)

    def add(self, made: Evaluation) -> None:
        """Stores an evaluation."""
        self._known.put(made.key, made)


@one_thread_a_step
def evaluate(loaded: LoadedGenerator, judge: Judge, samples: int = SAMPLES) -> Generator[Progress, None, Report]:
    """Draws the images of the seeds 0, 1, ... and scores them: at most `samples`, and no more than the judge has real images for.

    It uses one thread, so a run keeps its cores.

    Raises:
        ValueError: there are too few images.
    """
    config, n, parts = loaded.config, judge.judged(samples), []
    z = latent.from_seeds(range(n), config.latent_dim, config.latent_distribution)
    labels = torch.tensor(judge.labels(n, loaded.class_names)) if loaded.class_names else None
    for start in range(0, n, DRAWN):
        yield Progress("Drawing images", start, n)
        part = slice(start, start + DRAWN)
        parts.append(sample(loaded.network, z[part], labels if labels is None else labels[part]))
    return (yield from judge.report(np.concatenate(parts) if parts else np.empty((0, 1, 1, 1), np.uint8)))


def in_turn(work: Generator[Progress, None, T]) -> Generator[Progress, None, T]:
    """The same, one at a time in this process: later callers wait."""
    while not _turn.acquire(blocking=False):
        yield Progress("Waiting for another visitor's evaluation", 0, 0)
        time.sleep(POLL_S)
    try:
        return (yield from work)
    finally:
        _turn.release()


def unseen(report: Report, config: TrainConfig) -> bool:
    """Whether generators with these settings have never seen the real images of the comparison."""
    return report.new and config.data_split == "train"


def with_spread(value: float, spread: float | None, digits: int = 4) -> str:
    """A score as text: "1.9798 ± 0.1000"."""
    return f"{value:.{digits}f}" + (f" ± {spread:.{digits}f}" if spread is not None else "")


def direction(figure: Figure) -> str:
    """Whether lower or higher is better, in words."""
    return {"lower": "lower is better", "higher": "higher is better", "floor": "closer to real images is better"}[figure.better]


def as_object(report: Report, config: TrainConfig, step: int) -> dict[str, Any]:
    """A report as JSON."""
    shares = report.shares
    of_classes = (
        {name: {"images": float(a), "real": float(b)} for name, a, b in zip(shares.names, shares.images, shares.real, strict=True)}
        if shares
        else {}
    )
    return {
        "step": step,
        "features": report.features,
        "data": report.data,
        "images": report.images,
        "real": report.real,
        "real_unseen": unseen(report, config),
        "figures": {
            f.key: {
                "name": f.name,
                "value": f.value,
                "spread": f.spread,
                "floor": f.floor,
                "floor_spread": f.floor_spread,
                "better": f.better,
            }
            for f in report.figures
        },
        "shares": of_classes,
        "missing": list(shares.missing) if shares else [],
    }


def as_csv(found: list[dict[str, Any]]) -> str:
    """as_object() of several generators, each with its name as `generator`: one line per score."""
    text = io.StringIO()
    out = csv.writer(text)
    out.writerow(["generator", "step", "data", "features", "images", "figure", "value", "spread", "floor", "floor_spread"])
    for e in found:
        for key, figure in e["figures"].items():
            row = [e["generator"], e["step"], e["data"], e["features"], e["images"], key]
            out.writerow([*row, *(figure[name] for name in ("value", "spread", "floor", "floor_spread"))])
    return text.getvalue()
