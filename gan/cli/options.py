"""Options that several commands share, and the error of a run that failed. Imports no torch."""

from collections.abc import Callable

import click


class RunFailed(Exception):
    """The run itself failed: exit 1. A bad argument exits 2."""


def duration_options(command: Callable[..., None]) -> Callable[..., None]:
    for name, kind, what in (("seconds", float, "seconds of training"), ("epochs", float, "passes over the data"), ("steps", int, "steps")):
        command = click.option(f"--{name}", type=kind, help=f"Train for this many {what}.")(command)
    return command


def duration_of(options: dict[str, float | None]) -> tuple[str | None, float | None]:
    """Which of --steps, --epochs and --seconds was given, and its amount."""
    given = [(unit, amount) for unit, amount in options.items() if amount is not None]
    if len(given) > 1:
        raise click.UsageError(f"give only one of --steps, --epochs and --seconds; got {' and '.join('--' + unit for unit, _ in given)}")
    return given[0] if given else (None, None)


device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    envvar="WORKSHOP_DEVICE",
    help="auto, cpu, cuda or cuda:N; of cuda:0,cuda:1 the GPU with more free memory.",
)
moved_option = click.option("--data", help="New place of its data set, if it was moved or renamed. The images must be the same.")
judge_option = click.option("--no-judge", is_flag=True, help="Do not score the images while it trains.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
