"""Scores of a generator's images, compared with a data set. The same for pages and for the command line."""

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
    """One generator, judged.

    Attributes:
        key: the generator's id, when its file was written (nanoseconds), and how many images were asked for.
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
    """The generators that were judged last, so that the same question gets the same answer at once. Safe to use from any thread."""

    def __init__(self, most: int = 100) -> None:
        self._known: Lru[tuple[str, int, int], Evaluation] = Lru(most)

    def get(self, key: tuple[str, int, int]) -> Evaluation | None:
        """The evaluation of a key (see Evaluation), or None."""
        return self._known.get(key)

    def add(self, made: Evaluation) -> None:
        """Remembers an evaluation."""
        self._known.put(made.key, made)


@one_thread_a_step
def evaluate(loaded: LoadedGenerator, judge: Judge, samples: int = SAMPLES) -> Generator[Progress, None, Report]:
    """Draws the images of the seeds 0, 1, ... and judges them; at most `samples`, and no more than the judge has real ones for.

    On one thread, so that a run keeps its cores.

    Raises:
        ValueError: there are too few images.
    """
    config, n, parts = loaded.config, judge.judged(samples), []
    z = latent.noise(range(n), config.latent_dim, config.latent_distribution)
    labels = torch.tensor(judge.labels(n, loaded.class_names)) if loaded.class_names else None
    for start in range(0, n, DRAWN):
        yield Progress("Drawing images", start, n)
        part = slice(start, start + DRAWN)
        parts.append(sample(loaded.network, z[part], labels if labels is None else labels[part]))
    return (yield from judge.report(np.concatenate(parts) if parts else np.empty((0, 1, 1, 1), np.uint8)))


def in_turn(work: Generator[Progress, None, T]) -> Generator[Progress, None, T]:
    """The same work, one at a time in this process: who comes later waits."""
    while not _turn.acquire(blocking=False):
        yield Progress("Waiting for another visitor's evaluation", 0, 0)
        time.sleep(POLL_S)
    try:
        return (yield from work)
    finally:
        _turn.release()


def unseen(report: Report, config: TrainConfig) -> bool:
    """Whether a generator of these settings has never seen the real images that its own were compared with."""
    return report.new and config.data_split == "train"


def with_spread(value: float, spread: float | None, digits: int = 4) -> str:
    """A figure as text: "1.9798 ± 0.1000"."""
    return f"{value:.{digits}f}" + (f" ± {spread:.{digits}f}" if spread is not None else "")


def direction(figure: Figure) -> str:
    """Which way is good, in words."""
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
    """as_object() of several generators, each with its name as `generator`: a line a figure."""
    text = io.StringIO()
    out = csv.writer(text)
    out.writerow(["generator", "step", "data", "features", "images", "figure", "value", "spread", "floor", "floor_spread"])
    for e in found:
        for key, figure in e["figures"].items():
            row = [e["generator"], e["step"], e["data"], e["features"], e["images"], key]
            out.writerow([*row, *(figure[name] for name in ("value", "spread", "floor", "floor_spread"))])
    return text.getvalue()
