"""What one run may take of a shared server, from the environment. Knows nothing about threads or pages."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

from gan.config import TrainConfig
from gan.training.memory import memory_estimate

GRACE_S = 600.0
MOST_WAITING = 10


@dataclass(frozen=True)
class Limits:
    """Limits of one run; None: no limit."""

    steps: int | None = None  # in all
    minutes: float | None = None  # of training at a stretch: a resumed run starts a new stretch
    image_size: int | None = None  # pixels
    memory_gb: float | None = None  # GiB, as estimated before it starts
    disk_mb: float | None = None  # MiB of its folder
    waiting: int | None = None  # waiting runs of one participant
    grace_s: float | None = None  # how long its owner may be away while others wait

    @classmethod
    def from_environment(cls) -> "Limits":
        """
        Raises:
            ValueError: a variable is invalid; the message names it, its value and the rule.
        """
        return cls(
            steps=_whole("WORKSHOP_MAX_STEPS"),
            minutes=_number("WORKSHOP_MAX_MINUTES"),
            image_size=_whole("WORKSHOP_MAX_IMAGE_SIZE"),
            memory_gb=_number("WORKSHOP_MAX_MEMORY_GB"),
            disk_mb=_number("WORKSHOP_MAX_DISK_MB"),
            waiting=_whole("WORKSHOP_MAX_WAITING") or MOST_WAITING,
            grace_s=_number("WORKSHOP_GRACE_S") or GRACE_S,
        )

    def refuse(self, config: TrainConfig, step: int = 0, elapsed_s: float = 0.0, per_epoch: int | None = None, disk: int = 0) -> None:
        """Refuses a run beyond the limits, before it is created or resumed.

        Args:
            config: its settings.
            step, elapsed_s: how far it is.
            per_epoch: images in an epoch, where that is known.
            disk: bytes of its folder.

        Raises:
            ValueError: it would exceed a limit, as far as that is known in advance.
        """
        if self.image_size is not None and config.image_size > self.image_size:
            raise ValueError(f"this server trains on images of up to {self.image_size} pixels; got image_size {config.image_size}")
        if self.steps is not None:
            asked = steps_of(config, per_epoch)
            if step >= self.steps:
                raise ValueError(f"this server lets a run train for {self.steps:,} steps in all, and this run has reached them")
            if asked is not None and asked > self.steps:
                raise ValueError(f"this server lets a run train for {self.steps:,} steps in all; these settings ask for {asked:,}")
        if self.minutes is not None and config.duration_unit == "seconds" and config.duration - elapsed_s > 60 * self.minutes:
            raise ValueError(
                f"this server lets a run train for {span(60 * self.minutes)} at a stretch; "
                f"these settings ask for {span(config.duration - elapsed_s)}"
            )
        if self.disk_mb is not None and disk > self.disk_mb * 2**20:
            raise ValueError(f"this server lets a run keep {self.disk_mb:,g} MiB on disk, but this one has {disk / 2**20:,.0f}")
        if self.memory_gb is not None and (needed := memory_estimate(config)) > self.memory_gb * 2**30:
            raise ValueError(
                f"this server lets a run take {self.memory_gb:,g} GiB of memory, but these settings need about {needed / 2**30:.1f}: "
                "lower the filters, the image size or the batch size"
            )

    def shorten(self, config: TrainConfig, per_epoch: int | None = None) -> TrainConfig:
        """The settings of a new run, with its duration cut to what `refuse` accepts; unchanged if they fit, or if nobody can tell yet.

        Args:
            config: the settings as chosen; a recipe may be longer than this server allows.
            per_epoch: images in an epoch, if known.
        """
        asked = steps_of(config, per_epoch)
        if self.steps is not None and asked is not None and asked > self.steps:
            return config.change(duration=self.steps, duration_unit="steps")
        if self.minutes is not None and config.duration_unit == "seconds" and config.duration > 60 * self.minutes:
            return config.change(duration=60 * self.minutes)
        return config

    def reached(self, step: int, stretch_s: float, disk: int = 0) -> str:
        """Why a run must end now, as a sentence; empty if it need not.

        stretch_s: seconds of training since it was started or resumed. disk: bytes of its folder.
        """
        if self.steps is not None and step >= self.steps:
            return f"This server lets a run train for {self.steps:,} steps in all."
        if self.minutes is not None and stretch_s >= 60 * self.minutes:
            return f"This server lets a run train for {span(60 * self.minutes)} at a stretch: resume it to continue."
        if self.disk_mb is not None and disk > self.disk_mb * 2**20:
            return f"This server lets a run keep {self.disk_mb:,g} MiB on disk, but this one has {disk / 2**20:,.0f}."
        return ""

    def describe(self) -> str:
        """The limits of a run in words; empty if there are none."""
        parts = []
        if self.minutes is not None:
            parts.append(f"{span(60 * self.minutes)} of training at a stretch")
        if self.steps is not None:
            parts.append(f"{self.steps:,} steps in all")
        if self.image_size is not None:
            parts.append(f"images of {self.image_size} pixels")
        if self.memory_gb is not None:
            parts.append(f"{self.memory_gb:,g} GiB of memory")
        if self.disk_mb is not None:
            parts.append(f"{self.disk_mb:,g} MiB on disk")
        return f"Limits of this server: {', '.join(parts)}." if parts else ""


NO_LIMITS = Limits()


def steps_of(config: TrainConfig, per_epoch: int | None) -> int | None:
    """Number of steps of a run; None if it depends on its speed, or on a data set that is not known yet."""
    if config.duration_unit == "steps":
        return math.ceil(config.duration)
    if config.duration_unit == "epochs" and per_epoch:
        return math.ceil(config.duration * per_epoch / (config.batch_size * config.d_steps))
    return None


def span(seconds: float) -> str:
    """A duration in words: "30 seconds", "10 minutes", "1.5 hours"."""
    for size, unit in ((3600, "hour"), (60, "minute")):
        if seconds >= size:
            amount = round(seconds / size, 1)
            return f"{amount:g} {unit}{'' if amount == 1 else 's'}"
    amount = round(seconds, 1)
    return f"{amount:g} second{'' if amount == 1 else 's'}"


def folder_size(path: Path) -> int:
    """Bytes of the files in a folder; files that vanish meanwhile count as 0."""
    total = 0
    for file in path.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def _whole(name: str) -> int | None:
    text = os.environ.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise ValueError(f"{name} must be a whole number of at least 1; got {text!r}")
    return int(text)


def _number(name: str) -> float | None:
    text = os.environ.get(name)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be a number above 0; got {text!r}")
    return value
