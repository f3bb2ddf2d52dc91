"""Commands that torchrun starts in several processes: rank 0 does the command's work, the others train with it and write nothing."""

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import click

from gan import progress as terminal
from gan.cli.options import RunFailed

if TYPE_CHECKING:
    from gan.distributed.group import Group


def several() -> bool:
    """Whether this process is one of several of the same run. torchrun sets these variables."""
    count = os.environ.get("WORLD_SIZE", "")
    return "RANK" in os.environ and "LOCAL_RANK" in os.environ and count.isdecimal() and int(count) > 1


def on_ranks(command: Callable[..., None]) -> Callable[..., None]:
    """Decorates a command that trains. It gets `ranks`: the run's ranks, or None if it is one process alone."""

    @functools.wraps(command)
    def run(**options: Any) -> None:
        if not several():
            command(ranks=None, **options)
            return
        if ":" in options["device"]:
            _refuse(f"with several ranks --device is auto, cpu or cuda, because each takes a GPU of its own; got {options['device']}")
        from gan.distributed.group import join  # torch.distributed is only for runs that need it
        from gan.training.ranks import RankLost

        try:
            ranks = join(options["device"])
        except RankLost as error:
            raise RunFailed(str(error)) from error
        if ranks.leads:
            _lead(ranks, functools.partial(command, ranks=ranks, **options))
        else:
            _follow(ranks)

    return run


def alone(command: Callable[..., None]) -> Callable[..., None]:
    """Decorates a command that works in one process: several would do the same work, into the same files."""

    @functools.wraps(command)
    def run(**options: Any) -> None:
        if several():
            _refuse("only train and resume work on several ranks: start this command without torchrun")
        command(**options)

    return run


def _refuse(sentence: str) -> NoReturn:
    """
    Raises:
        UsageError: on rank 0. The others end without repeating it.
    """
    if os.environ["RANK"] == "0":
        raise click.UsageError(sentence)
    raise SystemExit(2)


def _lead(ranks: "Group", command: Callable[[], None]) -> None:
    """Runs the command on rank 0, and tells the others how it ended."""
    from gan.distributed.control import end
    from gan.runs.run import explain
    from gan.training.state import Diverged

    try:
        try:
            command()
        except SystemExit:  # halted by a signal, and saved
            end(ranks)
            raise
        end(ranks)
        ranks.leave()
    except SystemExit:
        ranks.leave()
        raise
    except BaseException as error:
        sentence = error.format_message() if isinstance(error, click.ClickException) else explain(error) if str(error) else "interrupted"
        ranks.report(sentence, isinstance(error.__cause__, Diverged), 1 if isinstance(error, RunFailed) else 2)
        raise


def _follow(ranks: "Group") -> None:
    """Trains with rank 0. Rank 0, if it is still there, says what goes wrong here."""
    from gan.cli.common import load
    from gan.cli.loop import halt_on_signals
    from gan.distributed.start import train_along
    from gan.runs.run import explain
    from gan.training.loop import Control
    from gan.training.ranks import RankLost
    from gan.training.state import Diverged

    control = Control()
    try:
        with halt_on_signals(control, patient=True):
            train_along(ranks, lambda config: load(config, quiet=True), control)
        ranks.leave()
    except (RankLost, Diverged) as error:
        if ranks.speaks():
            terminal.say(f"error: {explain(error)}")
        ranks.leave()
        raise SystemExit(1) from error
    except Exception as error:
        ranks.report(explain(error, folders=True), False, 1)
        raise SystemExit(1) from error
