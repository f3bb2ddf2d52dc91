"""The commands that draw images: `sample`, `walk`."""

from pathlib import Path

import click
import numpy as np
import torch

from gan import latent
from gan import progress as terminal
from gan.cli.common import find_source, refuse_output
from gan.cli.group import command
from gan.cli.options import RunFailed
from gan.explore.films import FilmError, mp4
from gan.files import write_atomically
from gan.images import enlarge, gif, png, tile
from gan.networks.generator_file import LoadedGenerator, load_generator
from gan.networks.sampling import sample
from gan.runs import export
from gan.runs.folder import find_generator

MOST_FILES = 100_000  # single images per call


@command("sample")
@click.argument("source", metavar="RUN|CHECKPOINT", type=click.Path(path_type=Path))
@click.option("--seeds", default="0-63", show_default=True, help="Seeds of the latent vectors, such as 1,2,10-13.")
@click.option("--step", type=int, help="The step of the run's generator. Default: the newest.")
@click.option(
    "--class", "class_name", metavar="NAME", help="For a conditional generator: draw only this class. Default: all classes in turn."
)
@click.option(
    "--truncation",
    metavar="T",
    type=float,
    help="Redraw each number of z beyond plus or minus T: lower values give more typical and less varied images. Default: no truncation.",
)
@click.option(
    "--out",
    required=True,
    help="A .png (a grid), a .npz (images, uint8 (N, C, H, W), and seeds), or FOLDER/ (new or empty, for one file per image).",
)
def sample_command(source: Path, seeds: str, step: int | None, class_name: str | None, truncation: float | None, out: str) -> None:
    path = Path(out)
    single = out.endswith("/") or (path.is_dir() and path.suffix not in (".png", ".npz"))
    if not single:
        refuse_output(path, (".png", ".npz"), ", or in / for a folder with one file per image")
    numbers = latent.parse_seeds(seeds, MOST_FILES) if single else latent.parse_seeds(seeds)
    loaded = load_generator(find_generator(find_source(source), step))
    labels = _labels(loaded, class_name, len(numbers))
    if single:
        terminal.drain(export.png_files(loaded, numbers, labels, path, truncation))
    else:
        z = latent.from_seeds(numbers, loaded.config.latent_dim, loaded.config.latent_distribution, truncation)
        images = sample(loaded.network, z, labels)
        with write_atomically(path) as file:
            if path.suffix == ".png":
                file.write(png(tile(enlarge(images, max(1, 64 // images.shape[-1])), gap=2)))
            else:
                np.savez_compressed(file, images=images, seeds=np.array(numbers, dtype=np.int64))
    click.echo(f"{len(numbers):,} images in {path}")


@command("walk")
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
    refuse_output(out, (".gif", ".mp4"))
    numbers = latent.parse_seeds(seeds)
    loaded = load_generator(find_generator(find_source(source), step))
    anchors = latent.from_seeds(numbers, loaded.config.latent_dim, loaded.config.latent_distribution)
    z = latent.walk(anchors, frames, mode, closed, easing)
    images = sample(loaded.network, z, _labels(loaded, class_name or next(iter(loaded.class_names), None), frames))
    try:
        film = (gif if out.suffix == ".gif" else mp4)(images, factor=max(1, 256 // images.shape[-1]))
    except FilmError as error:
        raise RunFailed(str(error)) from error
    with write_atomically(out) as file:
        file.write(film)
    click.echo(f"{frames} frames in {out}")


def _labels(loaded: LoadedGenerator, class_name: str | None, n: int) -> torch.Tensor | None:
    """n classes for a conditional generator: the named one, or all in turn; None for any other generator."""
    names = loaded.class_names
    if class_name is not None and class_name not in names:
        known = f"choose one of {', '.join(names)}" if names else "this generator is not conditional"
        raise click.UsageError(f"there is no class {class_name!r}: {known}")
    if not names:
        return None
    return torch.full((n,), names.index(class_name)) if class_name is not None else torch.arange(n) % len(names)
