"""Steps that several commands share: find a run, load a data set, choose a device, check --out."""

from collections.abc import Sequence
from pathlib import Path

import click
import torch

from gan import progress as terminal
from gan.config import TrainConfig
from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.devices import choose_device, passed_over
from gan.explore.models import PRETRAINED, pretrained
from gan.networks.generator_file import CheckpointError
from gan.runs.folder import RunFolder
from gan.runs.run import checkpoints_root

REASONS_TOLD = 5  # reasons for leaving out files


def find_run(given: Path) -> Path:
    """A path, a run's name below the checkpoints folder, or a generator that comes with the app."""
    if given.exists():
        return given
    if (checkpoints_root() / given).exists():
        return checkpoints_root() / given
    shipped = pretrained(checkpoints_root())
    # Scripts may still name those that come with the app by where their files were: checkpoints/pretrained/digits.safetensors.
    moved = given.suffix == ".safetensors" and given.parent.name == PRETRAINED
    name = given.stem if moved else str(given)
    if name in shipped:
        return shipped[name]
    raise CheckpointError(f"there is no run or checkpoint {given}: give a path, or a name in {checkpoints_root()}")


def find_source(given: Path) -> Path:
    """Like find_run(), but a run's name may end in @STEP or @best."""
    name, at, which = given.name.rpartition("@")
    if not at or given.exists():
        return find_run(given)
    run = find_run(given.with_name(name))
    return run.with_name(f"{run.name}@{which}")


def refuse_output(out: Path, endings: tuple[str, ...], otherwise: str = "") -> None:
    """Checks --out: an existing file will be replaced, but no file of a run.

    Raises:
        UsageError: it has another ending, is a folder, or belongs to a run.
    """
    if out.suffix not in endings:
        listed = " or ".join(filter(None, (", ".join(endings[:-1]), endings[-1])))
        raise click.UsageError(f"--out must end in {listed}{otherwise}; got {out}")
    if out.is_dir():
        raise click.UsageError(f"--out must be a file; {out} is a folder")
    folder = out.absolute().parent
    if folder.name == "samples" and RunFolder(folder.parent).config_file.exists():
        raise click.UsageError(f"{folder} holds the sample grids of a run: choose another --out")


def load(config: TrainConfig, quiet: bool) -> ImageDataset:
    """Loads the data set with a progress bar."""
    return terminal.drain(datasets.load_for(config), quiet)


def say_how_read(dataset: ImageDataset) -> None:
    """Says on standard error how a data set was read, and what was left out."""
    for note in filter(None, (datasets.shadowed(dataset.name), *dataset.notes)):
        terminal.say(note)
    say_left_out(len(dataset), dataset.skipped, dataset.left_out)


def say_left_out(taken: int, sentences: Sequence[str], reasons: Sequence[tuple[str, int]]) -> None:
    """Says on standard error what was left out, and nothing if all was taken. See LeftOut for the two."""
    if not reasons:
        return
    count = sum(number for _, number in reasons)
    terminal.say(f"left out {count:,} of {taken + count:,} files; the first: {sentences[0]}")
    if len(reasons) > 1:
        first = "; ".join(f"{reason}: {number:,}" for reason, number in reasons[:REASONS_TOLD])
        terminal.say(f"left out by reason: {first}{'; ...' if len(reasons) > REASONS_TOLD else ''}")


def device_for(name: str) -> torch.device:
    """choose_device(), with a line on standard error if there is a GPU that cannot be used."""
    where = choose_device(name)
    if note := passed_over(name):
        click.echo(note, err=True)
    return where
