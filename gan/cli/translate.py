"""The command that translates images with a generator of pix2pix or CycleGAN."""

from collections.abc import Generator
from pathlib import Path

import click
import torch

from gan import progress as terminal
from gan.cli.common import find_source, refuse_output
from gan.cli.group import command
from gan.data.decoding import SUFFIXES_OF_FILES, decode
from gan.data.form import Form
from gan.events import Progress
from gan.files import write_atomically
from gan.images import png
from gan.networks.generator_file import LoadedTranslator, load_translator
from gan.networks.sampling import translate
from gan.runs.folder import find_generator


@command("translate")
@click.argument("source", metavar="RUN|CHECKPOINT", type=click.Path(path_type=Path))
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--back", is_flag=True, help="From B to A: with CycleGAN, the other way round.")
@click.option("--step", type=int, help="The step of the run's generator. Default: the newest.")
@click.option("--out", required=True, help="A .png for one image, or FOLDER/ (new or empty, for one .png per image).")
def translate_command(source: Path, images: tuple[Path, ...], back: bool, step: int | None, out: str) -> None:
    """IMAGE is a file, or a folder whose image files are translated."""
    paths, folder = _files(images), Path(out)
    single = folder.suffix == ".png" and not out.endswith("/") and not folder.is_dir()
    if single:
        refuse_output(folder, (".png",))
        if len(paths) > 1:
            raise click.UsageError(f"{len(paths):,} images need a folder: --out {folder.with_suffix('')}/")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise click.UsageError(f"{folder} is not an empty folder: choose a new or empty one")
    if len({path.stem for path in paths}) < len(paths):
        raise click.UsageError("two of the images have the same name: translate them into different folders")
    loaded = load_translator(find_generator(find_source(source), step))
    if back and not loaded.network.both_ways:
        raise click.UsageError(f"--back: networks {loaded.config.networks} only translate from A to B")
    if not single:
        folder.mkdir(parents=True, exist_ok=True)
    refused = terminal.drain(_translated(loaded, paths, back, None if single else folder, folder))
    for line in refused:
        terminal.say(line)
    if len(refused) == len(paths):
        raise click.UsageError("none of the images can be read")
    click.echo(f"{len(paths) - len(refused):,} images in {folder}" if not single else f"1 image in {folder}")


def _files(given: tuple[Path, ...]) -> list[Path]:
    """The image files among the arguments, those of folders in the order of their names."""
    paths = []
    for path in given:
        found = sorted(one for one in path.iterdir() if one.suffix.lower() in SUFFIXES_OF_FILES) if path.is_dir() else [path]
        if not found:
            raise click.UsageError(f"{path} has no image files")
        paths += found
    return paths


def _translated(
    loaded: LoadedTranslator, paths: list[Path], back: bool, folder: Path | None, file: Path
) -> Generator[Progress, None, list[str]]:
    """Translates files one by one; returns a line for each that cannot be read. folder: of the results; None for the one `file`."""
    form, refused = Form.of(loaded.config).single, []
    for place, path in enumerate(paths):
        yield Progress("Translating the images", place, len(paths))
        image = decode(path, *form)
        if isinstance(image, str):
            refused.append(f"{path} {image}")
            continue
        result = translate(loaded.network, torch.from_numpy(image)[None], back)[0].numpy()
        with write_atomically(folder / f"{path.stem}.png" if folder else file) as target:
            target.write(png(result))
    return refused
