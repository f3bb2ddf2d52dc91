"""The command `recipes`. Imports no torch."""

import json

import click

from gan.cli.group import command
from gan.cli.options import json_option
from gan.recipes import RECIPES


@command("recipes")
@json_option
def list_recipes(as_json: bool) -> None:
    for item in RECIPES.values():
        if as_json:
            click.echo(json.dumps({"name": item.name, "summary": item.summary, "source": item.source, "config": item.config.model_dump()}))
        else:
            click.echo(f"{item.name:14} {item.summary}\n{'':14} {item.source}")
