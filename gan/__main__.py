"""The command line: python -m gan COMMAND. Drains the same loops as the app."""

import json
import shutil
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from tqdm import tqdm

from gan import bench, datasets, evaluation, export, latent, terminal
from gan.checkpoint import CheckpointError, LoadedGenerator, RunFolder, find_generator, load_generator, run_name
from gan.checkup import Checkups
from gan.config import TrainConfig, parse_setting
from gan.datasets import ImageDataset
from gan.devices import choose_device
from gan.events import Intervention, Judged, Metrics, Progress, Samples
from gan.files import write_atomically
from gan.films import FilmError, mp4
from gan.images import enlarge, gif, png, tile
from gan.judge import FEWEST, JudgeCache
from gan.models import pretrained
from gan.recipes import DEFAULT, RECIPES, recipe
from gan.runs import Run, checkpoints_root, explain, never_judged, prepare, record, refuse_too_large, write_status
from gan.training import Control, epoch_images, extend, progress, sample
from gan.watch import Judges, Watch, switched_on

REASONS_TOLD = 5  # for leaving out files
MOST_FILES = 100_000  # single images of one call
BENCH_RECIPES = ("quick-digits", "lecture", "dcgan")
LINE_EVERY_S = 10.0  # between two lines of progress where there is no terminal
EXPORTS: dict[str, Callable[..., Generator[Progress, None, None]]] = {
    ".zip": export.zip_run,
    ".gif": export.training_gif,
    ".tfevents": export.event_file,
}


class RunFailed(Exception):
    """The run itself failed: exit 1, where a bad argument exits 2."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Train DCGANs, and explore what they have learnt."""


def _duration_options(command: Callable[..., None]) -> Callable[..., None]:
    for name, kind, what in (("seconds", float, "seconds of training"), ("epochs", float, "passes over the data"), ("steps", int, "steps")):
        command = click.option(f"--{name}", type=kind, help=f"Train for this many {what}.")(command)
    return command


def _duration(options: dict[str, float | None]) -> tuple[str | None, float | None]:
    """The one of --steps, --epochs, --seconds that was given."""
    given = [(unit, amount) for unit, amount in options.items() if amount is not None]
    if len(given) > 1:
        raise click.UsageError(f"give one of --steps, --epochs and --seconds; got {' and '.join('--' + unit for unit, _ in given)}")
    return given[0] if given else (None, None)


_device_option = click.option("--device", default="auto", show_default=True, envvar="WORKSHOP_DEVICE", help="auto, cpu or cuda.")
_judge_option = click.option("--no-judge", is_flag=True, help="Do not judge the images while it trains.")
_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output.")


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
@click.option("--recipe", "recipe_name", default=DEFAULT, show_default=True, help="Where the settings start from; see the command recipes.")
@click.option("--data", help="A named data set, or the path of a folder, an archive or an array of images.")
@_duration_options
@click.option("--seed", type=int, help="Starts every random draw.")
@_device_option
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Change a setting; may be repeated.")
@click.option("--out", type=click.Path(path_type=Path), help="The run's folder; by default a new one below the checkpoints folder.")
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
    if config.data not in datasets.available() and Path(config.data).exists():
        config = config.change(data=str(Path(config.data).resolve()))  # so that it can be resumed from any folder
    where = choose_device(device)
    refuse_too_large(config, where)
    folder = _new_folder(out, recipe_name)
    dataset = _load(config, as_json)
    epoch_images(config, dataset)  # refuses a set that does not fit, before anything is written
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write_config(config, recipe_name)
    _train(folder, config, dataset, where, as_json, not no_judge)


@cli.command("resume")
@click.argument("run", type=click.Path(path_type=Path))
@_duration_options
@_device_option
@_judge_option
@_json_option
def resume_command(run: Path, device: str, no_judge: bool, as_json: bool, **duration: float | None) -> None:
    """Go on with RUN, for so much longer if said, else to the end that it was given."""
    folder = RunFolder(_find_run(run))
    config, _ = folder.read_config()
    status = folder.read_status()
    unit, amount = _duration(duration)
    where = choose_device(device)
    dataset = _load(config, as_json)
    an_epoch = epoch_images(config, dataset)
    begun = folder.state_file.exists()  # else it was stopped before its first save, and starts anew
    done = (int(status["step"]), int(status["images_seen"]), float(status["elapsed_s"])) if begun else (0, 0, 0.0)
    config = extend(config, unit, amount, *done, an_epoch)
    if progress(config, *done, an_epoch) >= 1:
        raise click.UsageError(
            f"the run {folder.path.name} has reached its {config.duration:g} {config.duration_unit}: say how much longer, as in --steps 1000"
        )
    _train(folder, config, dataset, where, as_json, not no_judge)


@cli.command("replay")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="The new run's folder; by default a new one below the checkpoints folder.")
@_device_option
@_judge_option
@_json_option
def replay_command(run: Path, out: Path | None, device: str, no_judge: bool, as_json: bool) -> None:
    """Train RUN again from its first step (a fork: from where it began), with the changes made while it trained."""
    original = RunFolder(_find_run(run))
    config, stored = original.read_config()
    status = original.read_status()
    if not status["step"]:
        raise click.UsageError(f"the run {original.path.name} has not trained a step yet")
    config = config.change(duration=status["step"], duration_unit="steps")
    if config.precision == "auto":
        config = config.change(precision=status["precision"])
    script = original.read_interventions()
    folder = _new_folder(out, stored.get("recipe") or "run")
    dataset = _load(config, as_json)
    where = choose_device(device)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write_config(config, stored.get("recipe", ""))
    if original.fork_file.exists():
        shutil.copyfile(original.fork_file, folder.state_file)
    _train(folder, config, dataset, where, as_json, not no_judge, script, status.get("threads"))


@cli.command("bench")
@click.option("--recipe", "names", multiple=True, default=BENCH_RECIPES, show_default=True, help="Which settings; may be repeated.")
@click.option("--seconds", type=click.FloatRange(0, 3600, min_open=True), default=10, show_default=True, help="Train each for so long.")
@_device_option
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Change a setting; may be repeated.")
@_json_option
def bench_command(names: tuple[str, ...], seconds: float, device: str, settings: tuple[str, ...], as_json: bool) -> None:
    """Measure how fast training is here, on random images, each recipe in a process of its own."""
    changes = dict(parse_setting(text) for text in settings)
    configs = {name: recipe(name).config.change(**changes) for name in names}
    where = choose_device(device).type
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
@click.option("--seeds", default="0-63", show_default=True, help="Which noise vectors, as in 1,2,10-13.")
@click.option("--step", type=int, help="Which of the run's generators; the newest by default.")
@click.option("--class", "class_name", metavar="NAME", help="For a conditional generator: draw this class alone; else one after the other.")
@click.option(
    "--out",
    required=True,
    help="A .png (a grid), a .npz (images, uint8 (N, C, H, W), and seeds), or FOLDER/ (an empty one or a new one, for an image a file).",
)
def sample_command(source: Path, seeds: str, step: int | None, class_name: str | None, out: str) -> None:
    """Draw images with a generator."""
    path = Path(out)
    single = out.endswith("/") or path.is_dir()
    if not single and path.suffix not in (".png", ".npz"):
        raise click.UsageError(f"--out must end in .png or .npz, or in / for a folder of single images; got {out}")
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
@click.option("--seeds", required=True, help="Two or more noise vectors, in order, as in 1,2,3.")
@click.option("--frames", type=click.IntRange(2, 2000), default=60, show_default=True)
@click.option(
    "--mode", type=click.Choice(["slerp", "lerp"]), default="slerp", show_default=True, help="Along the sphere, or along straight lines."
)
@click.option(
    "--easing", type=click.Choice(["linear", "smooth"]), default="linear", show_default=True, help="At an even pace, or resting at each."
)
@click.option("--closed", is_flag=True, help="Come back to the first, so that the film loops without a jump.")
@click.option("--step", type=int, help="Which of the run's generators; the newest by default.")
@click.option("--class", "class_name", metavar="NAME", help="For a conditional generator: the class to walk in; the first by default.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A .gif or a .mp4.")
def walk_command(
    source: Path, seeds: str, frames: int, mode: str, easing: str, closed: bool, step: int | None, class_name: str | None, out: Path
) -> None:
    """Walk through the latent space, as a film."""
    if out.suffix not in (".gif", ".mp4"):
        raise click.UsageError(f"--out must end in .gif or .mp4; got {out}")
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
@click.option("--data", help="What to hold the images against: a named data set, or a path; by default what it was trained on.")
@click.option(
    "--samples", type=click.IntRange(FEWEST, 100_000), default=evaluation.SAMPLES, show_default=True, help="Images to draw, at most."
)
@click.option("--step", type=int, help="Which of the run's generators; the newest by default.")
@_json_option
def evaluate_command(source: Path, data: str | None, samples: int, step: int | None, as_json: bool) -> None:
    """Judge a generator's images: figures beside those of real images."""
    loaded = load_generator(find_generator(_find_source(source), step))
    config = loaded.config
    judge = terminal.drain(JudgeCache().get(data or config.data, config.image_size, config.channels), as_json)
    report = terminal.drain(evaluation.evaluate(loaded, judge, samples), as_json)
    if as_json:
        click.echo(json.dumps(evaluation.as_object(report, config, loaded.step)))
        return
    new = "new" if evaluation.unseen(report, config) else "held-out"
    against = f"held against {report.real:,} {new} real ones of {report.data}, in the features of {report.features}"
    click.echo(f"{report.images:,} images at step {loaded.step}, {against}")
    click.echo(f"{'':32}{'these images':24}{'real images':24}")
    for figure in report.figures:
        row = [evaluation.with_spread(*pair) for pair in ((figure.value, figure.spread), (figure.floor, figure.floor_spread))]
        click.echo(f"{figure.name:32}{row[0]:24}{row[1]:24}{evaluation.direction(figure)}")
    if report.shares and report.shares.missing:
        click.echo(f"missing: {', '.join(report.shares.missing)}")


@cli.command("doctor")
@click.argument("run", type=click.Path(path_type=Path))
@_json_option
def doctor_command(run: Path, as_json: bool) -> None:
    """Say what is wrong with RUN, since when, why, and what to do about it."""
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
        judged = "" if checkup.judged else " Its images have not been judged, so only losses and gradients can be told."
        click.echo(f"{folder.path.name}, step {step}: nothing wrong so far.{judged}")
    config = looked_at.live_config
    for finding in found:
        click.echo(f"{finding.severity.upper()}: {finding.name}, since step {finding.began} (told at step {finding.found})")
        for evidence in finding.evidence:
            click.echo(f"  {evidence.text}: {evidence.shown} (rule: {evidence.limit})")
        click.echo(f"  Why: {finding.why} [{finding.source}]")
        for remedy in finding.remedies:
            kind = {"live": "now", "fork": f"in a fork from step {remedy.step}", "new": "in a new run"}[remedy.kind]
            changes = ", ".join(f"{name} {getattr(config, name)} -> {value}" for name, value in remedy.changes.items())
            click.echo(f"  Try {kind}: {changes}. {remedy.why}")


@cli.command("export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--step", type=int, help="In a .zip: which of the run's generators; the newest by default.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="A .zip (everything, and a script that draws with the generator), a .gif (the training), or a .tfevents (for TensorBoard).",
)
def export_command(run: Path, step: int | None, out: Path) -> None:
    """Export RUN, which may be training meanwhile."""
    if out.suffix not in EXPORTS:
        raise click.UsageError(f"--out must end in {', '.join(EXPORTS)}; got {out}")
    if step is not None and out.suffix != ".zip":
        raise click.UsageError(f"--step chooses the generator in a .zip; got {out}")
    found = _find_run(run)
    if found.is_file():
        raise click.UsageError(f"a run is exported, and {run} is a generator alone")
    folder, chosen = RunFolder(found), {} if step is None else {"step": step}
    with write_atomically(out) as file:
        terminal.drain(EXPORTS[out.suffix](folder, file, **chosen))
    click.echo(f"{folder.path.name} in {out}")


def _labels(loaded: LoadedGenerator, class_name: str | None, n: int) -> torch.Tensor | None:
    """n classes for a conditional generator: the one that was named, or one after the other; None for any other generator."""
    names = loaded.class_names
    if class_name is not None and class_name not in names:
        known = f"choose one of {', '.join(names)}" if names else "this generator does not draw by class"
        raise click.UsageError(f"there is no class {class_name!r}: {known}")
    if not names:
        return None
    return torch.full((n,), names.index(class_name)) if class_name is not None else torch.arange(n) % len(names)


def _new_folder(out: Path | None, recipe_name: str) -> RunFolder:
    """Where a new run goes."""
    folder = RunFolder(out or checkpoints_root() / run_name(recipe_name))
    if folder.config_file.exists():
        raise click.UsageError(f"{folder.path} holds a run already: resume it, or choose another --out")
    return folder


def _find_run(given: Path) -> Path:
    """A path as it was given, a run's name below the checkpoints folder, or a generator that comes with the app."""
    if given.exists():
        return given
    if (checkpoints_root() / given).exists():
        return checkpoints_root() / given
    if str(given) in (shipped := pretrained(checkpoints_root())):
        return shipped[str(given)]
    raise CheckpointError(f"there is no run or checkpoint {given}")


def _find_source(given: Path) -> Path:
    """As _find_run(); behind a run's name may stand @ and a step, or @best."""
    name, at, which = given.name.rpartition("@")
    if not at or given.exists():
        return _find_run(given)
    run = _find_run(given.with_name(name))
    return run.with_name(f"{run.name}@{which}")


def _load(config: TrainConfig, quiet: bool) -> ImageDataset:
    """Loads the data set with a progress bar."""
    return terminal.drain(datasets.load(config.data, config.image_size, config.channels, config.data_split), quiet)


def _tell(dataset: ImageDataset) -> None:
    """Says on standard error how a set was read, and what of it was left out."""
    for note in filter(None, (datasets.shadowed(dataset.name), *dataset.notes)):
        click.echo(note, err=True)
    if dataset.skipped:
        count = dataset.skipped_count
        click.echo(f"left out {count:,} of {len(dataset) + count:,} files; the first: {dataset.skipped[0]}", err=True)
        if len(dataset.left_out) > 1:
            first = "; ".join(f"{reason}: {number:,}" for reason, number in dataset.left_out[:REASONS_TOLD])
            click.echo(f"left out by reason: {first}{'; ...' if len(dataset.left_out) > REASONS_TOLD else ''}", err=True)


@contextmanager
def _halt_on_signals(control: Control) -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM halt the loop after its step; a second one ends the process at once."""
    received: list[int] = []

    def halt(number: int, frame: object) -> None:
        received.append(number)
        control.halt()
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, halt)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
    """Drains record(), showing progress; leaves a folder that can be resumed.

    judged: whether to judge the images along the way, unless the environment forbids it.
    script: changes to make along the way.
    """
    _tell(dataset)
    control = Control()
    judges = Judges(JudgeCache()) if judged and switched_on() else None
    folder.lock()
    state = None
    with _halt_on_signals(control) as received, judges or nullcontext():
        try:
            state = prepare(folder, config, dataset, where, control, threads)
            if script:
                control.repeat(script[state.changes :])
            watch = Watch(judges.prepare(config)) if judges else None
            write_status(folder, "running", state, error=None, judge=None)
            total = round(config.duration * (epoch_images(config, dataset) if config.duration_unit == "epochs" else 1))
            unit = {"steps": "step", "seconds": "s", "epochs": "image"}[config.duration_unit]
            quiet = as_json or not sys.stderr.isatty()
            if not as_json:
                click.echo(f"{folder.path}: {len(dataset):,} images, {state.execution.precision}, {where}", err=True)
            said_s, metrics = state.elapsed_s, None
            started_images, started_s = state.images_seen, state.elapsed_s

            def done() -> int:
                return {"step": state.step, "s": round(state.elapsed_s), "image": state.images_seen}[unit]

            with tqdm(total=total, unit=unit, disable=quiet, initial=done()) as bar:
                for event in record(folder, state, dataset, control, watch=watch):
                    if as_json:
                        _print_json(event, folder)
                    if isinstance(event, Metrics):
                        metrics = event
                        bar.set_postfix_str(_in_words(event), refresh=False)
                        bar.update(min(done(), total) - bar.n)
                        if quiet and not as_json and state.elapsed_s - said_s >= LINE_EVERY_S:
                            said_s = state.elapsed_s
                            click.echo(f"step {event.step}, {event.elapsed_s:.0f} s, {_in_words(event)}", err=True)
            ended = "stopped" if received else "finished"
            write_status(folder, ended, state, judge=never_judged(folder, watch))
        except (Exception, KeyboardInterrupt) as error:
            sentence = explain(error) if isinstance(error, Exception) else "interrupted at once; the last saved state stays"
            if isinstance(error, CheckpointError) and state is None:
                raise
            try:
                write_status(folder, "failed", state, error=sentence)
            except OSError:
                sentence += " (The status could not be written either.)"
            raise RunFailed(sentence) from error
        finally:
            folder.unlock()
    rate = (state.images_seen - started_images) / max(1e-9, state.elapsed_s - started_s)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "event": "end",
                    "state": ended,
                    "step": state.step,
                    "images_seen": state.images_seen,
                    "elapsed_s": state.elapsed_s,
                    "images_per_s": rate,
                }
            )
        )
    else:
        click.echo(
            f"{ended} at step {state.step}: {state.images_seen:,} images in {state.elapsed_s:.1f} s, {rate:,.0f} images/s. {_in_words(metrics) if metrics else ''}"
        )
        if best := folder.best():
            floor = f"; real images get {best.floor:.3g}" if best.floor is not None else ""
            click.echo(f"best at step {best.step}: FD {best.fd:.3g} ± {best.error:.2g}{floor}")
        elif why := never_judged(folder, watch):
            click.echo(why, err=True)
        if received:
            click.echo(f"go on with: python -m gan resume {folder.path}")
    if received:
        raise SystemExit(128 + received[0])


def _in_words(metrics: Metrics) -> str:
    answers = f"D(x) {metrics.d_real:.2f}, D(G(z)) {metrics.d_fake:.2f}"
    return f"{metrics.images_per_s:,.0f} images/s, loss D {metrics.loss_d:.3f}, G {metrics.loss_g:.3f}, {answers}"


def _print_json(event: object, folder: RunFolder) -> None:
    if isinstance(event, Metrics):
        click.echo(json.dumps({"event": "metrics", **asdict(event)}))
    elif isinstance(event, Intervention):
        click.echo(json.dumps({"event": "intervention", **asdict(event)}))
    elif isinstance(event, Judged):
        click.echo(json.dumps({"event": "judged", **event.row}))
    elif isinstance(event, Samples):
        click.echo(json.dumps({"event": "samples", "step": event.step, "file": str(folder.samples_file(event.step))}))


def main() -> None:
    """Runs a command. A bad argument exits 2 and a failed run 1, each with one line on standard error."""
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
    click.echo(f"error: {' '.join(sentence.split())}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
