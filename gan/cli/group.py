"""The commands, each in a module that is imported when the command is used: most need torch, which takes seconds to import."""

from collections.abc import Callable
from importlib import import_module

import click

# name -> the module, the command in it, and what it does.
COMMANDS = {
    "recipes": ("gan.cli.recipes", "list_recipes", "List the recipes."),
    "bench": (
        "gan.cli.bench",
        "bench_command",
        "Measure training speed on this machine with random images, each recipe in its own process.",
    ),
    "suggest": ("gan.cli.suggest", "suggest_command", "Suggest settings for a data set, with reasons, and say how long training takes."),
    "train": ("gan.cli.train", "train_command", "Train a new run."),
    "resume": ("gan.cli.train", "resume_command", "Continue RUN: for the given duration, or to its planned end."),
    "replay": (
        "gan.cli.train",
        "replay_command",
        "Retrain RUN from its first step (a fork: from its checkpoint), with the changes made while it trained.",
    ),
    "sample": ("gan.cli.draw", "sample_command", "Draw images with a generator."),
    "walk": ("gan.cli.draw", "walk_command", "Make a film of a walk through the latent space."),
    "translate": ("gan.cli.translate", "translate_command", "Translate images with a generator of pix2pix or CycleGAN."),
    "evaluate": ("gan.cli.results", "evaluate_command", "Score a generator's images, next to the scores of real images."),
    "doctor": ("gan.cli.results", "doctor_command", "Say what is wrong with RUN, since when, why, and what to try."),
    "export": ("gan.cli.results", "export_command", "Export RUN, even while it trains."),
}


def command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """Makes a function the command of COMMANDS with that name."""
    return click.command(name, help=COMMANDS[name][2])


class Commands(click.Group):
    """COMMANDS, and what is added by hand."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted({*COMMANDS, *self.commands})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name in COMMANDS and name not in self.commands:
            module, attribute, _ = COMMANDS[name]
            self.add_command(getattr(import_module(module), attribute))
        return super().get_command(context, name)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in --help, from COMMANDS alone."""
        most = formatter.width - 6 - max(map(len, COMMANDS))
        with formatter.section("Commands"):
            formatter.write_dl([(name, click.Command(name, help=COMMANDS[name][2]).get_short_help_str(most)) for name in sorted(COMMANDS)])
