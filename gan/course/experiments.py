"""Prepared experiments: two runs that differ in one thing, what a source claims about it, and how their results compare. Pure data."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gan.config import TrainConfig
from gan.course.lesson import Source
from gan.course.own_runs import OwnRun
from gan.judging.judgements import Judgement
from gan.recipes import DEFAULT, recipe
from gan.runs.states import AT_WORK, RunState

BASELINE = "Baseline"  # name of the run that the other one is compared with
ERRORS = 2.0  # standard errors by which two distances must differ to count as different
# Settings that do not change what a run learns, or that a server's limits may change.
_BESIDES = {"duration", "duration_unit", "log_every", "grid_every", "grid_images", "snapshot_every"}


class Guess(StrEnum):
    """What a change does to the images: as a prediction, and as a result."""

    BETTER = "better"
    SAME = "same"
    WORSE = "worse"


@dataclass(frozen=True)
class Experiment:
    """Two runs that differ in one thing.

    Attributes:
        id: lower case. It is stored with the visitor's prediction and never changes.
        title: the change, a few words.
        name: of the run with the change, at most 40 characters.
        claim: what the source says about it, one or two sentences.
        source: of the claim.
        changes: settings of the run with the change that differ from the baseline.
        baseline: settings of the baseline that differ from `quick-digits`.
    """

    id: str
    title: str
    name: str
    claim: str
    source: Source
    changes: dict[str, Any]
    baseline: dict[str, Any] = field(default_factory=dict)

    def configs(self) -> tuple[TrainConfig, TrainConfig]:
        """The settings of the baseline, and of the run with the change."""
        baseline = recipe(DEFAULT).config.change(**self.baseline)
        return baseline, baseline.change(**self.changes)

    def find(self, runs: Sequence[OwnRun], shorten: Callable[[TrainConfig], TrainConfig] = lambda config: config) -> "Pair":
        """Its two runs among `runs`. Finished ones come first, then active ones, then others.

        Equal settings give equal runs, so a baseline serves all experiments that have the same one.

        shorten: cuts settings to the duration that the server allows.
        """
        return tuple(_best(runs, shorten(config)) for config in self.configs())  # type: ignore[return-value]

    def is_done(self, runs: Sequence[OwnRun]) -> bool:
        """Whether a run of each kind has finished, both with the same duration."""
        finished = [run for run in runs if run.state is RunState.FINISHED]
        ends = [{_end(run.config) for run in finished if is_like(run, config)} for config in self.configs()]
        return bool(ends[0] & ends[1])


Pair = tuple[OwnRun | None, OwnRun | None]


def is_like(run: OwnRun, config: TrainConfig, touched: bool = False) -> bool:
    """Whether a run began with these settings, however long it trains, and is not a fork.

    touched: whether its settings may have changed while it trained.
    """
    same = all(value == getattr(run.config, name) for name, value in config if name not in _BESIDES)
    return same and not run.parent and (touched or not run.changes)


def _best(runs: Sequence[OwnRun], config: TrainConfig) -> OwnRun | None:
    found = [run for run in runs if is_like(run, config) and _end(run.config) == _end(config)]
    return min(found, key=lambda run: (run.state is not RunState.FINISHED, run.state not in AT_WORK), default=None)


def _end(config: TrainConfig) -> tuple[float, str]:
    return config.duration, config.duration_unit


def result(baseline: Judgement | None, changed: Judgement | None) -> Guess | None:
    """What the change did to the images, by the last scores of both runs; None if one has no distance.

    The distances must differ by more than ERRORS standard errors of their difference, or they count as the same.
    """
    if baseline is None or changed is None or baseline.fd is None or changed.fd is None:
        return None
    error = math.hypot(baseline.fd_error or 0.0, changed.fd_error or 0.0)
    if abs(changed.fd - baseline.fd) <= ERRORS * error:
        return Guess.SAME
    return Guess.BETTER if changed.fd < baseline.fd else Guess.WORSE


_DCGAN = "https://arxiv.org/abs/1511.06434"

EXPERIMENTS: dict[str, Experiment] = {
    experiment.id: experiment
    for experiment in (
        Experiment(
            "batch-norm",
            "No batch normalization",
            "Baseline, no batch normalization",
            "DCGAN's authors call batch normalization critical: without it, deep generators often collapse to a single image.",
            Source("Radford et al. 2015, DCGAN (section 3)", _DCGAN),
            {"generator_norm": "none", "discriminator_norm": "none"},
        ),
        Experiment(
            "dense",
            "Dense layers instead of convolutions",
            "Baseline, dense layers",
            "The first GANs had dense layers. DCGAN's authors use convolutions throughout and remove hidden dense layers.",
            Source("Radford et al. 2015, DCGAN (section 3)", _DCGAN),
            {"networks": "mlp", "generator_filters": 128, "discriminator_filters": 128},
        ),
        Experiment(
            "rates",
            "Learning rates ten times as high",
            "Baseline, rates x 10",
            "DCGAN's authors found Adam's usual rate of 0.001 too high and used 0.0002. The small networks of our baseline use 0.002.",
            Source("Radford et al. 2015, DCGAN (section 4)", _DCGAN),
            {"lr_g": 2e-2, "lr_d": 2e-2},
        ),
        Experiment(
            "weights",
            "DCGAN's initial weights",
            "Baseline, DCGAN's initial weights",
            "DCGAN draws its initial weights from N(0, 0.02). PyTorch draws larger ones for layers with few inputs.",
            Source("Radford et al. 2015, DCGAN (section 4)", _DCGAN),
            {"initialization": "dcgan"},
        ),
        Experiment(
            "labels",
            "Label 0.9 for real images",
            "Baseline, label 0.9",
            "With 0.9 instead of 1 for real images, the discriminator does not become too sure of itself.",
            Source("Salimans et al. 2016, Improved techniques for training GANs (section 3.4)", "https://arxiv.org/abs/1606.03498"),
            {"real_label": 0.9},
        ),
        Experiment(
            "steps",
            "D learns every second step",
            "Baseline, D every second step",
            "Some authors train one network for more steps than the other. Goodfellow found that one step each works best.",
            Source("Goodfellow 2016, GAN tutorial (section 3.1)", "https://arxiv.org/abs/1701.00160"),
            {"g_steps": 2},
        ),
        Experiment(
            "wasserstein",
            "Wasserstein loss",
            "Baseline, Wasserstein",
            "The Wasserstein critic gives G gradients everywhere, and its loss tracks the quality of the images. The change brings the "
            "paper's whole method: five critic steps per G step, clipped weights, RMSprop and lower rates. Both runs take 500 steps.",
            Source("Arjovsky et al. 2017, Wasserstein GAN (section 4)", "https://arxiv.org/abs/1701.07875"),
            {"loss": "wasserstein", "weight_clip": 0.01, "optimizer": "rmsprop", "lr_g": 5e-4, "lr_d": 5e-4, "d_steps": 5},
            {"duration": 500.0, "duration_unit": "steps"},
        ),
        Experiment(
            "mirrored",
            "Mirrored digits",
            "Baseline, mirrored digits",
            "Mirroring doubles the training images. But a generator learns to draw what it is shown, mirrored or not.",
            Source("Tran et al. 2020, On data augmentation for GAN training", "https://arxiv.org/abs/2006.05338"),
            {"horizontal_flip": True},
        ),
    )
}
