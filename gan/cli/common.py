"""Steps that several commands share: find a run, load a data set, choose a device, check --out."""

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
        raise click.UsageError(f"--out must end in {', '.join(endings[:-1])} or {endings[-1]}{otherwise}; got {out}")
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
    if dataset.skipped:
        count = dataset.skipped_count
        terminal.say(f"left out {count:,} of {len(dataset) + count:,} files; the first: {dataset.skipped[0]}")
        if len(dataset.left_out) > 1:
            first = "; ".join(f"{reason}: {number:,}" for reason, number in dataset.left_out[:REASONS_TOLD])
            terminal.say(f"left out by reason: {first}{'; ...' if len(dataset.left_out) > REASONS_TOLD else ''}")


def device_for(name: str) -> torch.device:
    """choose_device(), with a line on standard error if there is a GPU that cannot be used."""
    where = choose_device(name)
    if note := passed_over(name):
        click.echo(note, err=True)
    return where
