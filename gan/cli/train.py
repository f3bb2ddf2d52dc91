"""The commands that train: `train`, `resume`, `replay`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import torch
from click.core import ParameterSource

from gan import progress as terminal
from gan.cli.common import device_for, find_run, load
from gan.cli.group import command
from gan.cli.loop import train_in_terminal
from gan.cli.options import device_option, duration_of, duration_options, json_option, judge_option, moved_option
from gan.cli.ranks import alone, on_ranks
from gan.cli.suggest import AUTO, suggestion
from gan.config import TrainConfig, parse_setting
from gan.course.shipped_runs import SHIPPED_RUNS
from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.data.suggest import in_words
from gan.devices import cores
from gan.events import THREADS
from gan.recipes import DEFAULT, recipe
from gan.runs.folder import RunFolder, StateLost, run_name
from gan.runs.record import other_labels, refuse_missing_data, refuse_too_large
from gan.runs.run import checkpoints_root
from gan.runs.start import Origin, begin_like, begin_with, origin_of, refuse_lost_start
from gan.training.feed import epoch_images
from gan.training.loop import extend, progress
from gan.training.ranks import refuse_settings

if TYPE_CHECKING:
    from gan.distributed.group import Group


@command("train")
@click.option(
    "--recipe",
    "recipe_name",
    default=DEFAULT,
    show_default=True,
    help="The settings to start from: `recipes` lists them. `auto` suggests settings for --data.",
)
@click.option(
    "--from", "source", metavar="RUN[@STEP]", help="Start from this run's trained networks; RUN@best, digits-run and faces-run work, too."
)
@click.option("--data", help="A named data set, or a path to a folder, an archive or an array of images.")
@duration_options
@click.option("--seed", type=int, help="Fixes every random draw.")
@device_option
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Change a setting. Repeatable.")
@click.option("--out", type=click.Path(path_type=Path), help="The run's folder. Default: a new one below the checkpoints folder.")
@judge_option
@json_option
@on_ranks
def train_command(
    ranks: "Group | None",
    recipe_name: str,
    source: str | None,
    data: str | None,
    seed: int | None,
    device: str,
    settings: tuple[str, ...],
    out: Path | None,
    no_judge: bool,
    as_json: bool,
    **duration: float | None,
) -> None:
    changes: dict[str, Any] = dict(parse_setting(text) for text in settings)
    unit, amount = duration_of(duration)
    if unit:
        changes |= {"duration_unit": unit, "duration": amount}
    changes |= {name: value for name, value in (("data", data), ("seed", seed)) if value is not None}
    where = ranks.device if ranks else device_for(device)
    origin = _origin(source) if source else None
    if origin and _by_default("recipe_name"):
        recipe_name, base = "run", origin.config
    elif recipe_name == AUTO:
        if data is None:
            raise click.UsageError("--recipe auto needs --data: name the data set to suggest settings for")
        found = suggestion(data, where, as_json)
        if not as_json:
            terminal.say(in_words(found))
        recipe_name, base = found.recipe, found.config
    else:
        base = recipe(recipe_name).config
    config = _at(base.change(**{**(origin.settings if origin else {}), **changes}), None)
    if origin:
        origin.refuse(config)
    if ranks:
        refuse_settings(config, ranks.count)
    refuse_too_large(config, where)
    folder = _new_folder(out, recipe_name)
    dataset = load(config, as_json)
    epoch_images(config, dataset)  # refuses an unsuitable data set before anything is written
    if origin:
        origin.refuse_classes(dataset)
    with _claimed(folder):
        folder.write_config(config, recipe_name)
        if origin:
            begin_with(folder, origin)
        train_in_terminal(folder, config, dataset, where, as_json, not no_judge, ranks=ranks)


def _by_default(parameter: str) -> bool:
    """Whether an option was not given."""
    return click.get_current_context().get_parameter_source(parameter) is ParameterSource.DEFAULT


def _origin(source: str) -> Origin:
    """The networks that --from names: RUN, RUN@STEP, RUN@best, or those of a run that comes with the app.

    Raises:
        UsageError: the step is not a number.
        CheckpointError: there is no such run, or it has no saved state.
    """
    name, _, which = source.rpartition("@") if "@" in source and not Path(source).exists() else (source, "", "")
    if which not in ("", "best") and not which.isdecimal():
        raise click.UsageError(f'--from takes a step number or "best" after @; got {which!r}')
    step = int(which) if which.isdecimal() else which or None
    if name in SHIPPED_RUNS and not Path(name).exists():
        return SHIPPED_RUNS[name].origin(step)
    return origin_of(RunFolder(find_run(Path(name))), step)


@command("resume")
@click.argument("run", type=click.Path(path_type=Path))
@moved_option
@click.option(
    "--kept", is_flag=True, help="If state.pt is lost: continue from the newest checkpoint that is left, and set later files aside."
)
@duration_options
@device_option
@judge_option
@json_option
@on_ranks
def resume_command(
    ranks: "Group | None", run: Path, data: str | None, kept: bool, device: str, no_judge: bool, as_json: bool, **duration: float | None
) -> None:
    folder = RunFolder(find_run(run))
    config = _at(folder.read_config()[0], data)
    unit, amount = duration_of(duration)
    if ranks:
        refuse_settings(config, ranks.count)
    where = ranks.device if ranks else device_for(device)
    dataset = _load_again(config, as_json, data)
    per_epoch = epoch_images(config, dataset)
    with folder.locked():
        if kept:
            _go_back(folder, config, dataset, where)
        done = folder.reached()
        config = extend(config, unit, amount, done, per_epoch)
        if progress(config, done, per_epoch) >= 1:
            raise click.UsageError(
                f"the run {folder.path.name} has reached its {config.duration:g} {config.duration_unit}: give a further duration, such as --steps 1000"
            )
        train_in_terminal(folder, config, dataset, where, as_json, not no_judge, ranks=ranks)


def _go_back(folder: RunFolder, config: TrainConfig, dataset: ImageDataset, where: torch.device) -> None:
    """Replaces a lost state by the newest checkpoint that is left, and says so.

    Raises:
        UsageError: the state is not lost.
        CheckpointError: no checkpoint is left.
    """
    try:
        state = folder.load_state(config, where, dataset.class_names)
    except StateLost:
        steps = folder.begun()
        step = folder.go_back()
        terminal.say(
            f"{folder.path.name} goes back to its checkpoint of step {step:,}. Its files of steps {step + 1:,} to {max(steps, step):,} are "
            f"now in {folder.path / 'set-aside'}."
        )
    else:
        raise click.UsageError(
            f"state.pt of the run {folder.path.name} is intact (step {state.step:,}): resume it without --kept, "
            "or fork the run in the app to continue from an earlier step"
        )


@command("replay")
@click.argument("run", type=click.Path(path_type=Path))
@moved_option
@click.option("--out", type=click.Path(path_type=Path), help="The new run's folder. Default: a new one below the checkpoints folder.")
@device_option
@judge_option
@json_option
@alone
def replay_command(run: Path, data: str | None, out: Path | None, device: str, no_judge: bool, as_json: bool) -> None:
    original = RunFolder(find_run(run))
    config, stored = original.read_config()
    status, steps = original.read_status(), original.begun()
    if not steps:
        raise click.UsageError(f"the run {original.path.name} has not trained a step yet")
    forked = stored.parent is not None
    if forked:
        _refuse_lost_fork(original)
    elif stored.origin is not None:
        refuse_lost_start(original)
    config = _at(config.change(duration=steps, duration_unit="steps"), data)
    if config.precision == "auto" and status.precision:
        config = config.change(precision=status.precision)
    script = original.read_script()
    # The number of threads that the run started with, before its first change.
    threads = next((change.old for change in script if change.field == THREADS), status.threads)
    if not isinstance(threads, int) or not 1 <= threads <= cores():
        threads = None
    folder = _new_folder(out, stored.recipe or "run")
    dataset = _load_again(config, as_json, data)
    if stored.data_fingerprint not in ("", dataset.fingerprint()):
        raise click.UsageError(
            f"the data set {config.data} does not hold the images that the run {original.path.name} was trained on, so this would "
            "not be a replay: give their place with --data, or train a new run"
        )
    if other_labels(config, dataset, stored):
        raise click.UsageError(
            f"the images of the data set {config.data} have other classes than when the run {original.path.name} was trained, so "
            "this would not be a replay: restore the classes, or train a new run"
        )
    where = device_for(device)
    with _claimed(folder):
        folder.write_config(config, stored.recipe)
        if forked:
            folder.begin_as(original)
        if stored.origin is not None and not forked:
            begin_like(folder, original)
        train_in_terminal(folder, config, dataset, where, as_json, not no_judge, script, threads)


def _refuse_lost_fork(original: RunFolder) -> None:
    """A fork can only be replayed from the checkpoint it started from: from new weights it would be another run.

    Raises:
        UsageError: that checkpoint is missing.
        CheckpointError: it cannot be used.
    """
    if not original.fork_file.exists():
        raise click.UsageError(
            f"the run {original.path.name} is a fork, and {original.fork_file.name}, the checkpoint it started from, is missing: put it back, "
            "or fork its parent again"
        )
    original.read_state(original.fork_file)


def _new_folder(out: Path | None, recipe_name: str) -> RunFolder:
    """The folder of a new run.

    Raises:
        UsageError: it is taken.
    """
    folder = RunFolder(out or checkpoints_root() / run_name(recipe_name))
    _refuse_taken(folder)
    return folder


def _refuse_taken(folder: RunFolder) -> None:
    path = folder.path
    if folder.config_file.exists():
        raise click.UsageError(f"{path} already holds a run: resume it, or choose another --out")
    if path.exists() and not path.is_dir():
        raise click.UsageError(f"{path} is a file: choose a new folder for --out")
    if path.is_dir() and any(not inside.name.startswith(".") for inside in path.iterdir()):
        raise click.UsageError(f"the folder {path} is not empty: choose a new folder for --out")


@contextmanager
def _claimed(folder: RunFolder) -> Iterator[None]:
    """Makes a new run's folder and holds its lock, so a second command cannot use the same folder."""
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.locked():
        _refuse_taken(folder)
        yield


def _at(config: TrainConfig, data: str | None) -> TrainConfig:
    """The settings with the data set's place. A path becomes absolute."""
    if data is not None:
        config = config.change(data=data)
    if config.data not in datasets.available() and Path(config.data).exists():
        config = config.change(data=str(Path(config.data).resolve()))
    return config


def _load_again(config: TrainConfig, quiet: bool, moved: str | None) -> ImageDataset:
    """load() for an existing run. If its data set is missing, the error says what to do."""
    if moved is None:
        refuse_missing_data(config)
    return load(config, quiet)
