"""The command line: python -m gan COMMAND. It runs the same loops as the app."""

import errno
import io
import json
import signal
import sys
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from tqdm import tqdm

from gan import __version__, latent
from gan import progress as terminal
from gan.config import TrainConfig, parse_setting
from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.devices import choose_device, cores, passed_over
from gan.doctor.checkup import Checkups
from gan.events import THREADS, Intervention, Judged, Metrics, Progress, Samples, ThreadChange
from gan.explore.films import FilmError, mp4
from gan.explore.models import PRETRAINED, pretrained
from gan.files import write_atomically
from gan.images import enlarge, gif, png, tile
from gan.judging import evaluation
from gan.judging.judge import FEWEST, JudgeCache
from gan.judging.verdict import verdict
from gan.networks.generator_file import CheckpointError, LoadedGenerator, load_generator
from gan.networks.sampling import sample
from gan.recipes import DEFAULT, RECIPES, recipe
from gan.runs import export
from gan.runs.folder import RunFolder, StateLost, find_generator, run_name
from gan.runs.record import data_is_there, never_judged, other_labels, prepare, record, refuse_missing_data, refuse_too_large, write_status
from gan.runs.run import PASSING, Run, checkpoints_root, explain, wait_for_room
from gan.runs.states import RunState
from gan.runs.watch import Judges, Watch, switched_on
from gan.training import bench
from gan.training.feed import epoch_images
from gan.training.loop import Control, extend, progress
from gan.training.state import TrainState

REASONS_TOLD = 5  # reasons for leaving out files
MOST_FILES = 100_000  # single images per call
BENCH_RECIPES = ("quick-digits", "lecture", "dcgan")
LINE_EVERY_S = 10.0  # between two lines of progress without a terminal
EXPORTS: dict[str, Callable[..., Generator[Progress, None, None]]] = {
    ".zip": export.zip_run,
    ".gif": export.training_gif,
    ".tfevents": export.event_file,
}


class RunFailed(Exception):
    """The run itself failed: exit 1. A bad argument exits 2."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="DCGAN Workshop", message="%(prog)s %(version)s")
def cli() -> None:
    """Train GANs, and explore what they learned."""


def _duration_options(command: Callable[..., None]) -> Callable[..., None]:
    for name, kind, what in (("seconds", float, "seconds of training"), ("epochs", float, "passes over the data"), ("steps", int, "steps")):
        command = click.option(f"--{name}", type=kind, help=f"Train for this many {what}.")(command)
    return command


def _duration(options: dict[str, float | None]) -> tuple[str | None, float | None]:
    """Which of --steps, --epochs and --seconds was given, and its amount."""
    given = [(unit, amount) for unit, amount in options.items() if amount is not None]
    if len(given) > 1:
        raise click.UsageError(f"give only one of --steps, --epochs and --seconds; got {' and '.join('--' + unit for unit, _ in given)}")
    return given[0] if given else (None, None)


_device_option = click.option("--device", default="auto", show_default=True, envvar="WORKSHOP_DEVICE", help="auto, cpu, cuda or cuda:N.")
_moved_option = click.option("--data", help="New place of its data set, if it was moved or renamed. The images must be the same.")
_judge_option = click.option("--no-judge", is_flag=True, help="Do not score the images while it trains.")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")


@cli.command("recipes")
@_json_option
def list_recipes(as_json: bool) -> None:
    """List the recipes."""
    for item in RECIPES.values():
        if as_json:
            click.echo(json.dumps({"name": item.name, "summary": item.summary, "source": item.source, "config": item.config.model_dump()}))
        else:
            click.echo(f"{item.name:14} {item.summary}\n{'':14} {item.source}")


@cli.command("train")
@click.option("--recipe", "recipe_name", default=DEFAULT, show_default=True, help="The settings to start from; `recipes` lists them.")
@click.option("--data", help="A named data set, or a path to a folder, an archive or an array of images.")
@_duration_options
@click.option("--seed", type=int, help="Fixes every random draw.")
@_device_option
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Change a setting. Repeatable.")
@click.option("--out", type=click.Path(path_type=Path), help="The run's folder. Default: a new one below the checkpoints folder.")
@_judge_option
@_json_option
def train_command(
    recipe_name: str,
    data: str | None,
    seed: int | None,
    device: str,
    settings: tuple[str, ...],
    out: Path | None,
    no_judge: bool,
    as_json: bool,
    **duration: float | None,
) -> None:
    """Train a new run."""
    changes: dict[str, Any] = dict(parse_setting(text) for text in settings)
    unit, amount = _duration(duration)
    if unit:
        changes |= {"duration_unit": unit, "duration": amount}
    changes |= {name: value for name, value in (("data", data), ("seed", seed)) if value is not None}
    config = recipe(recipe_name).config.change(**changes)
    config = _at(config, None)
    where = _choose_device(device)
    refuse_too_large(config, where)
    folder = _new_folder(out, recipe_name)
    dataset = _load(config, as_json)
    epoch_images(config, dataset)  # refuses an unsuitable data set before anything is written
    with _claimed(folder):
        folder.write_config(config, recipe_name)
        _train(folder, config, dataset, where, as_json, not no_judge)


@cli.command("resume")
@click.argument("run", type=click.Path(path_type=Path))
@_moved_option
@click.option(
    "--kept", is_flag=True, help="If state.pt is lost: continue from the newest checkpoint that is left, and set later files aside."
)
@_duration_options
@_device_option
@_judge_option
@_json_option
def resume_command(run: Path, data: str | None, kept: bool, device: str, no_judge: bool, as_json: bool, **duration: float | None) -> None:
    """Continue RUN: for the given duration, or to its planned end."""
    folder = RunFolder(_find_run(run))
    config = _at(folder.read_config()[0], data)
    unit, amount = _duration(duration)
    where = _choose_device(device)
    dataset = _load_again(config, as_json, data)
    per_epoch = epoch_images(config, dataset)
    with folder.locked():
        if kept:
            _go_back(folder, config, dataset, where)
        done = folder.reached()
        config = extend(config, unit, amount, *done, per_epoch)
        if progress(config, *done, per_epoch) >= 1:
            raise click.UsageError(
                f"the run {folder.path.name} has reached its {config.duration:g} {config.duration_unit}: give a further duration, such as --steps 1000"
            )
        _train(folder, config, dataset, where, as_json, not no_judge)


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


@cli.command("replay")
@click.argument("run", type=click.Path(path_type=Path))
@_moved_option
@click.option("--out", type=click.Path(path_type=Path), help="The new run's folder. Default: a new one below the checkpoints folder.")
@_device_option
@_judge_option
@_json_option
def replay_command(run: Path, data: str | None, out: Path | None, device: str, no_judge: bool, as_json: bool) -> None:
    """Retrain RUN from its first step (a fork: from its checkpoint), with the changes made while it trained."""
    original = RunFolder(_find_run(run))
    config, stored = original.read_config()
    status, steps = original.read_status(), original.begun()
    if not steps:
        raise click.UsageError(f"the run {original.path.name} has not trained a step yet")
    forked = isinstance(stored.get("parent"), dict)
    if forked:
        _refuse_lost_start(original)
    config = _at(config.change(duration=steps, duration_unit="steps"), data)
    if config.precision == "auto" and status.get("precision"):
        config = config.change(precision=status["precision"])
    script = original.read_script()
    # The number of threads that the run started with, before its first change.
    threads = next((change.old for change in script if change.field == THREADS), status.get("threads"))
    if not isinstance(threads, int) or not 1 <= threads <= cores():
        threads = None
    folder = _new_folder(out, stored.get("recipe") or "run")
    dataset = _load_again(config, as_json, data)
    if stored.get("data_fingerprint") not in (None, dataset.fingerprint()):
        raise click.UsageError(
            f"the data set {config.data} does not hold the images that the run {original.path.name} was trained on, so this would be no "
            "replay: give their place with --data, or train a new run"
        )
    if other_labels(config, dataset, stored):
        raise click.UsageError(
            f"the images of the data set {config.data} have other classes than when the run {original.path.name} was trained, so "
            "this would be no replay: restore the classes, or train a new run"
        )
    where = _choose_device(device)
    with _claimed(folder):
        folder.write_config(config, stored.get("recipe", ""))
        if forked:
            folder.begin_as(original)
        _train(folder, config, dataset, where, as_json, not no_judge, script, threads)


def _refuse_lost_start(original: RunFolder) -> None:
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


@cli.command("bench")
@click.option("--recipe", "names", multiple=True, default=BENCH_RECIPES, show_default=True, help="Which recipe to measure. Repeatable.")
@click.option(
    "--seconds", type=click.FloatRange(0, 3600, min_open=True), default=10, show_default=True, help="Seconds of training for each."
)
@_device_option
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Change a setting. Repeatable.")
@_json_option
def bench_command(names: tuple[str, ...], seconds: float, device: str, settings: tuple[str, ...], as_json: bool) -> None:
    """Measure training speed on this machine with random images, each recipe in its own process."""
    changes = dict(parse_setting(text) for text in settings)
    configs = {name: recipe(name).config.change(**changes) for name in names}
    where = str(_choose_device(device))
    for name, config in configs.items():
        speed = bench.in_fresh_process(bench.measure_on_noise, config, where, seconds)
        if as_json:
            click.echo(json.dumps({"recipe": name, **asdict(speed), "share": speed.share}))
        else:
            click.echo(
                f"{name:14} {speed.images_per_s:,.0f} images/s in {speed.precision} on {speed.device} ({speed.cores_used:.1f} used); "
                f"{speed.gflop_per_s:,.0f} GFLOP/s, {speed.share:.0%} of a matrix product's {speed.matmul_gflop_per_s:,.0f}; "
                f"{speed.peak_memory_gb:.2f} GB"
            )


@cli.command("sample")
@click.argument("source", metavar="RUN|CHECKPOINT", type=click.Path(path_type=Path))
@click.option("--seeds", default="0-63", show_default=True, help="Seeds of the latent vectors, such as 1,2,10-13.")
@click.option("--step", type=int, help="The step of the run's generator. Default: the newest.")
@click.option(
    "--class", "class_name", metavar="NAME", help="For a conditional generator: draw only this class. Default: all classes in turn."
)
@click.option(
    "--out",
    required=True,
    help="A .png (a grid), a .npz (images, uint8 (N, C, H, W), and seeds), or FOLDER/ (new or empty, for one file per image).",
)
def sample_command(source: Path, seeds: str, step: int | None, class_name: str | None, out: str) -> None:
    """Draw images with a generator."""
    path = Path(out)
    single = out.endswith("/") or (path.is_dir() and path.suffix not in (".png", ".npz"))
    if not single:
        _refuse_output(path, (".png", ".npz"), ", or in / for a folder with one file per image")
    numbers = latent.parse_seeds(seeds, MOST_FILES) if single else latent.parse_seeds(seeds)
    loaded = load_generator(find_generator(_find_source(source), step))
    labels = _labels(loaded, class_name, len(numbers))
    if single:
        terminal.drain(export.png_files(loaded, numbers, labels, path))
    else:
        images = sample(loaded.network, latent.noise(numbers, loaded.config.latent_dim, loaded.config.latent_distribution), labels)
        with write_atomically(path) as file:
            if path.suffix == ".png":
                file.write(png(tile(enlarge(images, max(1, 64 // images.shape[-1])), gap=2)))
            else:
                np.savez_compressed(file, images=images, seeds=np.array(numbers, dtype=np.int64))
    click.echo(f"{len(numbers):,} images in {path}")


@cli.command("walk")
@click.argument("source", metavar="RUN|CHECKPOINT", type=click.Path(path_type=Path))
@click.option("--seeds", required=True, help="Seeds of two or more latent vectors, in order, such as 1,2,3.")
@click.option("--frames", type=click.IntRange(2, 2000), default=60, show_default=True)
@click.option(
    "--mode",
    type=click.Choice(["slerp", "lerp"]),
    default="slerp",
    show_default=True,
    help="slerp: along the sphere. lerp: along straight lines.",
)
@click.option(
    "--easing",
    type=click.Choice(["linear", "smooth"]),
    default="linear",
    show_default=True,
    help="linear: at an even pace. smooth: slower near each latent vector.",
)
@click.option("--closed", is_flag=True, help="Return to the first, so the film loops without a jump.")
@click.option("--step", type=int, help="The step of the run's generator. Default: the newest.")
@click.option("--class", "class_name", metavar="NAME", help="For a conditional generator: the class to draw. Default: the first.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A .gif or an .mp4.")
def walk_command(
    source: Path, seeds: str, frames: int, mode: str, easing: str, closed: bool, step: int | None, class_name: str | None, out: Path
) -> None:
    """Make a film of a walk through the latent space."""
    _refuse_output(out, (".gif", ".mp4"))
    numbers = latent.parse_seeds(seeds)
    loaded = load_generator(find_generator(_find_source(source), step))
    anchors = latent.noise(numbers, loaded.config.latent_dim, loaded.config.latent_distribution)
    z = latent.walk(anchors, frames, mode, closed, easing)
    images = sample(loaded.network, z, _labels(loaded, class_name or next(iter(loaded.class_names), None), frames))
    try:
        film = (gif if out.suffix == ".gif" else mp4)(images, factor=max(1, 256 // images.shape[-1]))
    except FilmError as error:
        raise RunFailed(str(error)) from error
    with write_atomically(out) as file:
        file.write(film)
    click.echo(f"{frames} frames in {out}")


@cli.command("evaluate")
@click.argument("source", metavar="RUN|CHECKPOINT", type=click.Path(path_type=Path))
@click.option("--data", help="The data set to compare with, by name or path. Default: the one it was trained on.")
@click.option(
    "--samples",
    type=click.IntRange(FEWEST, 100_000),
    default=evaluation.SAMPLES,
    show_default=True,
    help="Generate at most this many images.",
)
@click.option("--step", type=int, help="The step of the run's generator. Default: the newest.")
@_json_option
def evaluate_command(source: Path, data: str | None, samples: int, step: int | None, as_json: bool) -> None:
    """Score a generator's images, next to the scores of real images."""
    loaded = load_generator(find_generator(_find_source(source), step))
    config = loaded.config
    if data is None and not data_is_there(config.data):
        raise click.UsageError(f"the data set {config.data} is missing: give its new place, or another data set to compare with, as --data")
    judge = terminal.drain(JudgeCache().get(data or config.data, config.image_size, config.channels), as_json)
    _tell(judge.reals.learned.dataset)
    report = terminal.drain(evaluation.evaluate(loaded, judge, samples), as_json)
    if as_json:
        click.echo(json.dumps(evaluation.as_object(report, config, loaded.step)))
        return
    new = "new" if evaluation.unseen(report, config) else "held-out"
    against = f"compared with {report.real:,} {new} real images of {report.data}, in the features of {report.features}"
    click.echo(f"{report.images:,} images at step {loaded.step}, {against}")
    click.echo(f"{'':32}{'these images':24}{'real images':24}")
    for figure in report.figures:
        row = [evaluation.with_spread(*pair) for pair in ((figure.value, figure.spread), (figure.floor, figure.floor_spread))]
        click.echo(f"{figure.name:32}{row[0]:24}{row[1]:24}{evaluation.direction(figure)}")
    if report.shares and report.shares.missing:
        click.echo(f"missing: {', '.join(report.shares.missing)}")
    click.echo(verdict(report).text)


@cli.command("doctor")
@click.argument("run", type=click.Path(path_type=Path))
@_json_option
def doctor_command(run: Path, as_json: bool) -> None:
    """Say what is wrong with RUN, since when, why, and what to try."""
    folder = RunFolder(_find_run(run))
    folder.read_config()
    looked_at = Run(folder)
    checkup = Checkups().of(looked_at)
    found = checkup.findings()
    if as_json:
        for finding in found:
            click.echo(json.dumps(asdict(finding)))
        return
    step = looked_at.status().get("step", 0)
    if not found:
        judged = "" if checkup.judged else " It has no scores, so only losses and gradients were checked."
        said = checkup.verdict.text
        click.echo(f"{folder.path.name}, step {step}: {said[0].lower()}{said[1:]}.{judged}")
    config = looked_at.live_config
    for finding in found:
        click.echo(f"{finding.severity.upper()}: {finding.name}, since step {finding.began} (found at step {finding.found})")
        for evidence in finding.evidence:
            click.echo(f"  {evidence.text}: {evidence.shown} (rule: {evidence.limit})")
        click.echo(f"  Why: {finding.why} [{finding.source}]")
        for remedy in finding.remedies:
            kind = {"live": "now", "fork": f"in a fork from step {remedy.step}", "new": "in a new run"}[remedy.kind]
            changes = ", ".join(f"{name} {getattr(config, name)} -> {value}" for name, value in remedy.changes.items())
            click.echo(f"  Try {kind}: {changes}. {remedy.why}")
    if checkup.what_you_see:
        click.echo(f"What the curves show: {checkup.what_you_see}")


@cli.command("export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--step", type=int, help="For a .zip: the step of the run's generator. Default: the newest.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="A .zip (everything, with a script that draws images), a .gif (the sample grid through training), or a .tfevents (for TensorBoard).",
)
def export_command(run: Path, step: int | None, out: Path) -> None:
    """Export RUN, even while it trains."""
    _refuse_output(out, tuple(EXPORTS))
    if step is not None and out.suffix != ".zip":
        raise click.UsageError(f"--step only applies to a .zip; got {out}")
    found = _find_run(run)
    if found.is_file():
        raise click.UsageError(f"only runs can be exported, and {run} is a single generator: give its run's folder")
    folder, chosen = RunFolder(found), {} if step is None else {"step": step}
    with write_atomically(out) as file:
        terminal.drain(EXPORTS[out.suffix](folder, file, **chosen))
    click.echo(f"{folder.path.name} in {out}")


def _labels(loaded: LoadedGenerator, class_name: str | None, n: int) -> torch.Tensor | None:
    """n classes for a conditional generator: the named one, or all in turn; None for any other generator."""
    names = loaded.class_names
    if class_name is not None and class_name not in names:
        known = f"choose one of {', '.join(names)}" if names else "this generator is not conditional"
        raise click.UsageError(f"there is no class {class_name!r}: {known}")
    if not names:
        return None
    return torch.full((n,), names.index(class_name)) if class_name is not None else torch.arange(n) % len(names)


def _refuse_output(out: Path, endings: tuple[str, ...], otherwise: str = "") -> None:
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


def _find_run(given: Path) -> Path:
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


def _find_source(given: Path) -> Path:
    """Like _find_run(), but a run's name may end in @STEP or @best."""
    name, at, which = given.name.rpartition("@")
    if not at or given.exists():
        return _find_run(given)
    run = _find_run(given.with_name(name))
    return run.with_name(f"{run.name}@{which}")


def _load(config: TrainConfig, quiet: bool) -> ImageDataset:
    """Loads the data set with a progress bar."""
    return terminal.drain(datasets.load(config.data, config.image_size, config.channels, config.data_split), quiet)


def _load_again(config: TrainConfig, quiet: bool, moved: str | None) -> ImageDataset:
    """_load() for an existing run. If its data set is missing, the error says what to do."""
    if moved is None:
        refuse_missing_data(config)
    return _load(config, quiet)


def _tell(dataset: ImageDataset) -> None:
    """Says on standard error how a data set was read, and what was left out."""
    for note in filter(None, (datasets.shadowed(dataset.name), *dataset.notes)):
        terminal.say(note)
    if dataset.skipped:
        count = dataset.skipped_count
        terminal.say(f"left out {count:,} of {len(dataset) + count:,} files; the first: {dataset.skipped[0]}")
        if len(dataset.left_out) > 1:
            first = "; ".join(f"{reason}: {number:,}" for reason, number in dataset.left_out[:REASONS_TOLD])
            terminal.say(f"left out by reason: {first}{'; ...' if len(dataset.left_out) > REASONS_TOLD else ''}")


@contextmanager
def _halt_on_signals(control: Control) -> Iterator[list[int]]:
    """Ctrl-C, SIGTERM and a closed terminal halt the loop after its step; a second signal ends the process at once.

    Signals that the process was started to ignore (nohup) stay ignored.
    """
    received: list[int] = []

    def halt(number: int, frame: object) -> None:
        received.append(number)
        control.halt()
        signal.signal(number, before[signal.Signals(number)])

    heard = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: handler for number in heard if (handler := signal.getsignal(number)) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, halt)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _choose_device(name: str) -> torch.device:
    """choose_device(), with a line on standard error if there is a GPU that cannot be used."""
    where = choose_device(name)
    if note := passed_over(name):
        click.echo(note, err=True)
    return where


class _Teller:
    """Shows a run's progress as a bar, lines or JSON. If the output is closed, the run stops and is saved."""

    def __init__(self, folder: RunFolder, state: TrainState, control: Control, received: list[int], bar: tqdm, as_json: bool) -> None:
        self.metrics: Metrics | None = None
        self._folder, self._state, self._control, self._received = folder, state, control, received
        self._bar, self._as_json = bar, as_json
        self._said_s = state.elapsed_s

    def tell(self, event: object) -> None:
        if isinstance(event, Metrics):
            self.metrics = event
        try:
            if self._as_json:
                _print_json(event, self._folder)
            elif isinstance(event, Metrics):
                self._show(event)
        except OSError as error:  # the pipe or the terminal is closed; a signal may follow, or not
            if not self._received:
                self._received.append(signal.SIGPIPE if error.errno == errno.EPIPE else signal.SIGHUP)
            self._control.halt()
            terminal.let_go()

    def _show(self, event: Metrics) -> None:
        if not self._bar.disable:
            self._bar.set_postfix_str(_in_words(event), refresh=False)
            self._bar.update(min(_done(self._state), self._bar.total) - self._bar.n)
        elif self._state.elapsed_s - self._said_s >= LINE_EVERY_S:
            self._said_s = self._state.elapsed_s
            click.echo(f"step {event.step}, {event.elapsed_s:.0f} s, {_in_words(event)}", err=True)


def _done(state: TrainState) -> int:
    """How far a run is, in the units of its bar."""
    return {"steps": state.step, "seconds": round(state.elapsed_s), "epochs": state.images_seen}[state.config.duration_unit]


def _train(
    folder: RunFolder,
    config: TrainConfig,
    dataset: ImageDataset,
    where: torch.device,
    as_json: bool,
    judged: bool,
    script: list[Intervention] | None = None,
    threads: int | None = None,
) -> None:
    """Drains record(), showing progress; the folder can be resumed afterward. Call it while holding the folder's lock.

    judged: whether to score the images while it trains, unless the environment turns this off.
    script: changes to make while it trains.
    """
    _tell(dataset)
    control = Control()
    judges = Judges(JudgeCache()) if judged and switched_on() else None
    state = None
    with _halt_on_signals(control) as received, judges or nullcontext():
        try:
            state = prepare(folder, config, dataset, where, control, threads)
            if script is not None:
                control.repeat(script[state.changes :], until=round(config.duration))
            watch = Watch(judges.prepare(config)) if judges else None
            write_status(folder, RunState.RUNNING, state, error=None, reason=None, judge=None, stuck=None)
            if not as_json:
                terminal.say(f"{folder.path}: {len(dataset):,} images, {state.execution.precision}, {where}")
            began_images, began_s = state.images_seen, state.elapsed_s
            with _bar(config, dataset, state, as_json) as bar:
                teller = _Teller(folder, state, control, received, bar, as_json)
                _drain(folder, state, dataset, control, watch, teller)
            ended = RunState.STOPPED if received else RunState.FINISHED
            why = never_judged(folder, watch)  # before the judges are closed
            write_status(folder, ended, state, judge=why)
        except (Exception, KeyboardInterrupt) as error:
            sentence = explain(error) if isinstance(error, Exception) else "interrupted at once; the last saved state is intact"
            if isinstance(error, CheckpointError) and state is None:
                raise
            try:
                write_status(folder, RunState.FAILED, state, error=sentence)
            except OSError:
                sentence += " (The status could not be written either.)"
            raise RunFailed(sentence) from error
    rate = (state.images_seen - began_images) / max(1e-9, state.elapsed_s - began_s)
    if as_json:
        told = {"step": state.step, "images_seen": state.images_seen, "elapsed_s": state.elapsed_s, "images_per_s": rate}
        terminal.say(json.dumps({"event": "end", "state": ended, **told}), err=False)
    else:
        _say_the_end(folder, state, ended, rate, teller.metrics, why)
    if received:
        terminal.let_go()
        raise SystemExit(128 + received[0])


def _bar(config: TrainConfig, dataset: ImageDataset, state: TrainState, as_json: bool) -> tqdm:
    """A run's progress bar on standard error; disabled for JSON, or without a terminal."""
    total = round(config.duration * (epoch_images(config, dataset) if config.duration_unit == "epochs" else 1))
    unit = {"steps": "step", "seconds": "s", "epochs": "image"}[config.duration_unit]
    quiet = as_json or not sys.stderr.isatty()
    return tqdm(total=total, unit=unit, disable=quiet, initial=_done(state), file=terminal.Lasting(sys.stderr))


def _drain(folder: RunFolder, state: TrainState, dataset: ImageDataset, control: Control, watch: Watch | None, teller: _Teller) -> None:
    """Drains record(). If the disk is full, waits with the networks in memory until there is room or a signal comes."""
    while True:
        try:
            for event in record(folder, state, dataset, control, watch=watch):
                teller.tell(event)
            return
        except OSError as error:
            if error.errno not in PASSING or control.halted:
                raise
            terminal.say(f"{PASSING[error.errno]} The run waits at step {state.step:,} and continues when there is room. Ctrl-C stops it.")
        with suppress(OSError):
            write_status(folder, RunState.PAUSED, state)
        while not wait_for_room(folder, state, lambda: control.halted):
            pass


def _say_the_end(folder: RunFolder, state: TrainState, ended: str, rate: float, metrics: Metrics | None, why: str | None) -> None:
    """Says how a run ended, and how to continue it."""
    so_far = f"{ended} at step {state.step}: {state.images_seen:,} images in {state.elapsed_s:.1f} s, {rate:,.0f} images/s."
    terminal.say(f"{so_far} {_in_words(metrics) if metrics else ''}", err=False)
    if best := folder.best():
        floor = f"; real images get {best.floor:.3g}" if best.floor is not None else ""
        terminal.say(f"best at step {best.step}: FD {best.fd:.3g} ± {best.error:.2g}{floor}", err=False)
    elif why:
        terminal.say(why)
    if ended is RunState.STOPPED:
        terminal.say(f"continue with: python -m gan resume {folder.path}", err=False)


def _in_words(metrics: Metrics) -> str:
    answers = f"D(x) {metrics.d_real:.2f}, D(G(z)) {metrics.d_fake:.2f}"
    return f"{metrics.images_per_s:,.0f} images/s, loss D {metrics.loss_d:.3f}, G {metrics.loss_g:.3f}, {answers}"


def _print_json(event: object, folder: RunFolder) -> None:
    if isinstance(event, Metrics):
        click.echo(json.dumps({"event": "metrics", **asdict(event)}))
    elif isinstance(event, ThreadChange):
        click.echo(json.dumps({"event": THREADS, **asdict(event)}))
    elif isinstance(event, Intervention):
        click.echo(json.dumps({"event": "intervention", **asdict(event)}))
    elif isinstance(event, Judged):
        click.echo(json.dumps({"event": "judged", **event.row}))
    elif isinstance(event, Samples):
        click.echo(json.dumps({"event": "samples", "step": event.step, "file": str(folder.samples_file(event.step))}))


def main() -> None:
    """Runs a command. A bad argument exits 2 and a failed run 1, each with one line on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a character that the terminal lacks must not end a run
            stream.reconfigure(errors="backslashreplace")
    with_source = warnings.formatwarning
    # Our own warnings are for users, so they leave out the place in the code.
    warnings.formatwarning = lambda message, kind, *where: f"{message}\n" if kind is UserWarning else with_source(message, kind, *where)
    try:
        cli(standalone_mode=False)
    except RunFailed as error:
        code, sentence = 1, str(error)
    except click.ClickException as error:
        code, sentence = 2, error.format_message()
    except click.Abort:
        code, sentence = 130, "interrupted"
    except (ValueError, OSError) as error:
        code, sentence = 2, explain(error)
    else:
        return
    finally:
        warnings.formatwarning = with_source
    click.echo(f"error: {' '.join(sentence.split())}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
