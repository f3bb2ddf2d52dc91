"""The command `suggest`, and what `train --recipe auto` takes from it."""

import functools
import json

import click
import torch

from gan import progress as terminal
from gan.cli.common import device_for
from gan.cli.group import command
from gan.cli.options import device_option, json_option
from gan.config import TrainConfig
from gan.data import facts
from gan.data.suggest import Suggestion, in_words, suggest
from gan.training.bench import quick_speed

AUTO = "auto"  # instead of a recipe's name


def suggestion(data: str, device: torch.device, quiet: bool) -> Suggestion:
    """Settings for a data set on this machine."""
    return suggest(terminal.drain(facts.look_at(data), quiet), functools.partial(quick_speed, device=device))


@command("suggest")
@click.option("--data", required=True, help="A named data set, or a path to a folder, an archive or an array of images.")
@device_option
@json_option
def suggest_command(data: str, device: str, as_json: bool) -> None:
    found = suggestion(data, device_for(device), as_json)
    if as_json:
        proposals = [{"settings": proposal.settings, "why": proposal.why} for proposal in found.proposals]
        times = {"images_per_s": found.images_per_s, "recognizable_s": found.recognizable_s, "good_s": found.good_s}
        click.echo(json.dumps({"recipe": found.recipe, "proposals": proposals, **times, "config": found.config.model_dump()}))
        return
    for proposal in found.proposals:
        titles = [f"{TrainConfig.model_fields[name].title}: {value}" for name, value in proposal.settings.items()]
        click.echo(f"{', '.join(titles)}\n    {proposal.why}")
    click.echo(in_words(found))
    click.echo(f"train with: python -m gan train --recipe auto --data {data}")
