"""The command that translates images with a generator of pix2pix or CycleGAN."""

import warnings
from collections.abc import Generator
from pathlib import Path

import click
import torch

from gan import progress as terminal
from gan.cli.common import find_source, refuse_output, say_left_out
from gan.cli.group import command
from gan.data import folders
from gan.data.decoding import SUFFIXES_OF_FILES, decode
from gan.data.form import Form
from gan.data.leftout import LeftOut
from gan.events import Progress
from gan.files import refuse_contents, write_atomically
from gan.images import png
from gan.networks.generator_file import LoadedTranslator, load_translator
from gan.networks.sampling import translate
from gan.runs.folder import find_generator

Parts = tuple[str, ...]  # a file's folders below the given one, and its name


@command("translate")
@click.argument("source", metavar="RUN|CHECKPOINT", type=click.Path(path_type=Path))
@click.argument("images", metavar="IMAGE|FOLDER...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--back", is_flag=True, help="From B to A: with CycleGAN, the other way round.")
@click.option("--step", type=int, help="The step of the run's generator. Default: the newest.")
@click.option("--out", required=True, help="A .png for one image, or FOLDER/ (new or empty, for one .png per image).")
def translate_command(source: Path, images: tuple[Path, ...], back: bool, step: int | None, out: str) -> None:
    path, left_out = Path(out), LeftOut()
    single = not (out.endswith("/") or (path.is_dir() and path.suffix != ".png"))
    if single:
        refuse_output(path, (".png",), ", or in / for a folder with one file per image")
    else:
        refuse_contents(path)
    found = [file for given in images for file in terminal.drain(_files(given, left_out))]
    if single and len(found) > 1:
        raise click.UsageError(f"{len(found):,} images need a folder: --out {path.with_suffix('')}/")
    work: dict[Path, tuple[Parts, Path]] = {}
    for parts, file in found:
        target = path if single else path.joinpath(*parts).with_suffix(".png")
        if target in work:
            raise click.UsageError(f"{work[target][1]} and {file} would both become {target}: translate one of them into another folder")
        work[target] = parts, file
    loaded = load_translator(find_generator(find_source(source), step))
    if back and not loaded.network.both_ways:
        raise click.UsageError(f"--back: networks {loaded.config.networks} only translate from A to B")
    written = terminal.drain(_translated(loaded, work, back, left_out))
    say_left_out(written, left_out.sentences, left_out.reasons.most_common())
    if not written:
        raise click.UsageError("none of the images can be read")
    click.echo(f"{written:,} {'image' if written == 1 else 'images'} in {path}")


def _files(given: Path, left_out: LeftOut) -> Generator[Progress, None, list[tuple[Parts, Path]]]:
    """A file, or the image files of a folder and below it."""
    if not given.is_dir():
        return [((given.name,), given)]
    listing = yield from folders.look(given, SUFFIXES_OF_FILES)
    left_out.extend(listing.left_out)
    if not listing.members:
        raise click.UsageError(f"{given} has no image files")
    return [(member.parts, member.source) for member in listing.members]


def _translated(
    loaded: LoadedTranslator, work: dict[Path, tuple[Parts, Path]], back: bool, left_out: LeftOut
) -> Generator[Progress, None, int]:
    """Translates files one by one; returns how many could be read. work: by the file of the result."""
    form, written = Form.of(loaded.config).single, 0
    for place, (target, (parts, file)) in enumerate(work.items()):
        yield Progress("Translating the images", place, len(work))
        with warnings.catch_warnings(action="ignore"):  # Pillow warns about every oddity in a file
            image = decode(file, *form)
        if isinstance(image, str):
            left_out.add(parts, image)
            continue
        result = translate(loaded.network, torch.from_numpy(image)[None], back)[0].numpy()
        target.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(target, durable=False) as to:
            to.write(png(result))
        written += 1
    return written
