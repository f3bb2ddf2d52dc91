"""The commands that report on a run or export it: `evaluate`, `doctor`, `export`."""

import json
from collections.abc import Callable, Generator
from dataclasses import asdict
from pathlib import Path

import click

from gan import progress as terminal
from gan.cli.common import find_run, find_source, refuse_output, say_how_read
from gan.cli.group import command
from gan.cli.options import json_option
from gan.data.form import Form
from gan.doctor.checkup import Checkups
from gan.events import Progress
from gan.files import write_atomically
from gan.judging import evaluation
from gan.judging.judge import FEWEST, JudgeCache
from gan.judging.verdict import verdict
from gan.networks.generator_file import load_generator
from gan.runs import export
from gan.runs.folder import RunFolder, find_generator
from gan.runs.record import data_is_there
from gan.runs.run import Run

EXPORTS: dict[str, Callable[..., Generator[Progress, None, None]]] = {
    ".zip": export.zip_run,
    ".gif": export.training_gif,
    ".tfevents": export.event_file,
}


@command("evaluate")
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
@json_option
def evaluate_command(source: Path, data: str | None, samples: int, step: int | None, as_json: bool) -> None:
    loaded = load_generator(find_generator(find_source(source), step))
    config = loaded.config
    if data is None and not data_is_there(config.data):
        raise click.UsageError(f"the data set {config.data} is missing: give its new place, or another data set to compare with, as --data")
    judge = terminal.drain(JudgeCache().get(data or config.data, *Form.of(config)), as_json)
    say_how_read(judge.reals.learned.dataset)
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


@command("doctor")
@click.argument("run", type=click.Path(path_type=Path))
@json_option
def doctor_command(run: Path, as_json: bool) -> None:
    folder = RunFolder(find_run(run))
    folder.read_config()
    looked_at = Run(folder)
    checkup = Checkups().of(looked_at)
    findings = checkup.findings()
    if as_json:
        for finding in findings:
            click.echo(json.dumps(asdict(finding)))
        return
    step = looked_at.status().step
    if not findings:
        judged = "" if checkup.judged else " It has no scores, so only losses and gradients were checked."
        verdict = checkup.verdict.text
        click.echo(f"{folder.path.name}, step {step}: {verdict[0].lower()}{verdict[1:]}.{judged}")
    config, states = looked_at.live_config, folder.fork_steps()
    for finding in findings:
        click.echo(f"{finding.severity.upper()}: {finding.name}, since step {finding.began} (found at step {finding.found})")
        for evidence in finding.evidence:
            click.echo(f"  {evidence.text}: {evidence.shown} (rule: {evidence.limit})")
        click.echo(f"  Why: {finding.why} [{finding.source}]")
        for remedy in finding.remedies:
            at = remedy.state_of(states)
            kind = {"live": "now", "fork": f"in a fork from step {remedy.step if at is None else at}", "new": "in a new run"}[remedy.kind]
            changes = ", ".join(f"{name} {getattr(config, name)} -> {value}" for name, value in remedy.changes.items())
            click.echo(f"  Try {kind}: {changes}. {remedy.why_from(states)}")
    if checkup.what_you_see:
        click.echo(f"What the curves show: {checkup.what_you_see}")


@command("export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--step", type=int, help="For a .zip: the step of the run's generator. Default: the newest.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="A .zip (everything, with a script that draws images), a .gif (the sample grid through training), or a .tfevents (for TensorBoard).",
)
def export_command(run: Path, step: int | None, out: Path) -> None:
    refuse_output(out, tuple(EXPORTS))
    if step is not None and out.suffix != ".zip":
        raise click.UsageError(f"--step only applies to a .zip; got {out}")
    found = find_run(run)
    if found.is_file():
        raise click.UsageError(f"only runs can be exported, and {run} is a single generator: give its run's folder")
    folder, chosen = RunFolder(found), {} if step is None else {"step": step}
    with write_atomically(out) as file:
        terminal.drain(EXPORTS[out.suffix](folder, file, **chosen))
    click.echo(f"{folder.path.name} in {out}")
