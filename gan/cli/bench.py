"""The command `bench`."""

import json
from dataclasses import asdict

import click

from gan.cli.common import device_for
from gan.cli.group import command
from gan.cli.options import device_option, json_option
from gan.config import parse_setting
from gan.recipes import recipe
from gan.training import bench

BENCH_RECIPES = ("quick-digits", "lecture", "dcgan")


@command("bench")
@click.option("--recipe", "names", multiple=True, default=BENCH_RECIPES, show_default=True, help="Which recipe to measure. Repeatable.")
@click.option(
    "--seconds", type=click.FloatRange(0, 3600, min_open=True), default=10, show_default=True, help="Seconds of training for each."
)
@device_option
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Change a setting. Repeatable.")
@json_option
def bench_command(names: tuple[str, ...], seconds: float, device: str, settings: tuple[str, ...], as_json: bool) -> None:
    changes = dict(parse_setting(text) for text in settings)
    configs = {name: recipe(name).config.change(**changes) for name in names}
    where = str(device_for(device))
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
