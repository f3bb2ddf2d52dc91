"""A run for use elsewhere: everything as a zip, its training as a GIF, its metrics for TensorBoard, its images as files.

The functions that export a run write to an open binary file and yield Progress; close them to cancel. The run may be training:
what it has completed so far is exported. Knows nothing about pages.
"""

import csv
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Generator as Yields
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from string import Template
from typing import Any, BinaryIO, TypeVar

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import nn

from gan.config import TrainConfig
from gan.events import THREADS, Progress
from gan.files import refuse_contents, write_atomically
from gan.images import captioned, gif, png, spaced
from gan.judging.judgements import NUMBERS
from gan.latent import from_seeds
from gan.networks.biggan import BigGenerator, BlockUp
from gan.networks.build import new_generator
from gan.networks.dcgan import EMBEDDING, Generator
from gan.networks.generator_file import FORMAT, CheckpointError, LoadedGenerator, read_config, read_metadata
from gan.networks.layers import map_sizes
from gan.networks.residual import Residual
from gan.networks.sampling import sample
from gan.networks.stylegan import MAPPING, MAPPING_RATE, StyleGenerator
from gan.networks.weights import without_memory
from gan.runs.folder import METRICS, RunFolder, find_generator, interventions, is_run_name
from gan.runs.translate_script import translate_script
from gan.untrusted import is_number

MOST_FRAMES = 100
FRAMES_PER_S = 10
HOLD_S = 2.0  # duration of the last frame of a GIF
LARGEST_FRAME = 528  # pixels, without the caption: fits a grid of 8 x 8 images of 64 pixels
LARGEST_GRID = 8192  # pixels per side; a larger file is not one of our grids
MOST_EVENTS = 50_000  # of one kind in an event file: five seconds of work; TensorBoard itself shows 1,000 points per curve
TENSORBOARD_GRIDS = 10  # TensorBoard shows this many, and picks at random if there are more

JUDGED = ("step", "images", *NUMBERS, "features")  # columns of the table of scorings

T = TypeVar("T")


def zip_run(folder: RunFolder, file: BinaryIO, step: int | None = None, most_bytes: int | None = None) -> Yields[Progress, None, None]:
    """Everything of a run as a zip: settings, status, metrics, scorings and changes as CSV, grids, a generator, and a script that samples it.

    Args:
        folder: of the run.
        file: gets the zip.
        step: of the run's generator; the newest by default. A run without a saved generator is exported without one.
        most_bytes: of grids; if there are more, evenly spaced ones are taken.

    Raises:
        CheckpointError: there is no run, it has no generator at that step, or one of its files cannot be used.
        OSError: the zip cannot be written.
    """
    folder.read_config()  # refuses what is not a run
    status = folder.read_status()
    generator = find_generator(folder.path, step) if step is not None or folder.generator_steps() else None
    grids, all_grids = _within(folder, most_bytes)
    rows, _ = folder.read_metrics()
    script = folder.read_script()
    changes, threads = interventions(script), [change for change in script if change.field == THREADS]
    texts = {
        "status.json": json.dumps(dict(status), indent=1),
        "metrics.csv": _csv(METRICS, rows),
        "interventions.csv": _csv(("step", "field", "old", "new"), (vars(change) for change in changes)),
    }
    if threads:
        texts["threads.csv"] = _csv(("step", "old", "new"), (vars(change) for change in threads))
    if judged := folder.read_judged():
        texts["judge.csv"] = _csv(JUDGED, judged)
    if norms := folder.read_norms():
        texts["norms.jsonl"] = "".join(json.dumps(row) + "\n" for row in norms)
    if generator:
        if folder.read_config()[0].translates:
            texts["translate.py"] = translate_script(generator)
        else:
            texts["sample.py"] = sample_script(generator)
    texts["README.txt"] = _readme(texts, status.step, generator, len(grids), all_grids)
    files = [folder.config_file, *([generator] if generator else []), *grids]
    top = export_name(folder)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for name, text in texts.items():
            archive.writestr(f"{top}/{name}", text)
        for i, path in enumerate(files):
            yield Progress("Packing", i, len(files))
            try:  # stored uncompressed: neither images nor weights get smaller
                archive.write(path, f"{top}/{path.relative_to(folder.path).as_posix()}", zipfile.ZIP_STORED)
            except FileNotFoundError:
                raise CheckpointError(f"{path.name} of the run {folder.path.name} was deleted during the export: try again") from None


def export_name(folder: RunFolder) -> str:
    """The run's name, as a valid file name on any machine."""
    name = folder.path.resolve().name
    return name if is_run_name(name) else "run"


def png_files(
    loaded: LoadedGenerator,
    seeds: Sequence[int],
    labels: torch.Tensor | None,
    folder: Path,
    threshold: float | None = None,
    piece: int = 256,
) -> Yields[Progress, None, None]:
    """One file per image, named by its seed: 0.png, 1.png, ...

    Args:
        loaded: the generator.
        seeds: all different.
        labels: a class for each seed, for a conditional generator.
        folder: created if missing; must be empty, so images of two generators never mix and nothing is overwritten.
        threshold: of truncation; see latent.from_seeds().
        piece: number of images drawn, and held in memory, at once.

    Raises:
        ValueError: the folder is not empty, or a file has its name.
        OSError: a file cannot be written.
    """
    refuse_contents(folder)
    if len(set(seeds)) < len(seeds):
        raise ValueError("a seed is given twice: give each seed once, because it names its file")
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(seeds), piece):
        yield Progress("Drawing the images", start, len(seeds))
        some = seeds[start : start + piece]
        z = from_seeds(some, loaded.config.latent_dim, loaded.config.latent_distribution, threshold)
        images = sample(loaded.network, z, None if labels is None else labels[start : start + piece])
        for seed, image in zip(some, images, strict=True):
            with write_atomically(folder / f"{seed}.png", durable=False) as file:
                file.write(png(image))


def _within(folder: RunFolder, most_bytes: int | None) -> tuple[list[Path], int]:
    """The grids to pack, evenly spaced if all of them would be too large, and how many there are."""
    grids = [folder.samples_file(step) for step in folder.sample_steps()]
    size = sum(path.stat().st_size for path in grids if path.exists()) if most_bytes is not None else 0
    if most_bytes is None or size <= most_bytes:
        return grids, len(grids)
    return spaced(grids, max(1, len(grids) * most_bytes // size)), len(grids)


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A table with a header; null becomes an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _readme(names: Iterable[str], step: int, generator: Path | None, grids: int, all_grids: int) -> str:
    """The zip's README. names: of its text files."""
    about = {
        "config.json": "its settings, its data set, and the versions it was trained with",
        "status.json": "how far it trained, and how it was computed",
        "metrics.csv": "one row per logged step: losses, and the discriminator's mean answers",
        "interventions.csv": "one row per setting changed while it trained: the steps after `step` have the new value",
        "threads.csv": "one row per change of the number of threads: the steps after `step` use `new`",
        "judge.csv": "one row per scoring: fd is the Fréchet distance to real images; empty if unknown",
        "norms.jsonl": "one line every few steps: the norms of each layer's weights and gradients",
        "samples/": "the images of the same latent vectors, by step"
        + (f": {grids} of {all_grids}, evenly spaced" if grids < all_grids else ""),
        "translate.py": f"translates images with {generator.name if generator else ''}, and needs only Python, PyTorch and Pillow:",
        "sample.py": f"draws with {generator.name if generator else ''}, and needs only Python and PyTorch:",
    }
    here = {"config.json", *names, *(["samples/"] if grids else [])}
    lines = [f"{name:18} {what}" for name, what in about.items() if name in here]
    if generator:
        translates = "translate.py" in names
        lines.append(
            f"{'':18} python {'translate.py photo.png --out result.png' if translates else 'sample.py --seeds 0-63 --out samples.png'}"
        )
    return "\n".join([f"A run of DCGAN Workshop, up to step {step}", "", *lines, ""])


# Only numbers and layers' own names are filled in. Class names are read from the generator's file.
_SCRIPT = Template('''\
"""Draws images with the generator next to this file. It needs only PyTorch: python sample.py --seeds 0-63 --out samples.png"""

import argparse
import json
import zlib
${imports}

# The weights: the file begins with the length of its header, in 8 bytes; the header says where each tensor's numbers are.
content = Path(__file__).with_name("$file").read_bytes()
start = 8 + int.from_bytes(content[:8], "little")
header, numbers, weights = json.loads(content[8:start]), content[start:], {}
${about}
for name, entry in header.items():
    kind = {"F32": torch.float32, "I64": torch.int64}[entry["dtype"]]
    weights[name] = torch.frombuffer(bytearray(numbers[slice(*entry["data_offsets"])]), dtype=kind).reshape(entry["shape"])
$spectral
parser = argparse.ArgumentParser(description="Draws images with the generator of step $step.")
parser.add_argument("--seeds", default="0-63", help="seeds of the latent vectors, such as 1,2,10-13")
${class_option}parser.add_argument("--out", default="samples.png", help="the PNG to write")
args = parser.parse_args()

# The network: $inputs become an image of $channels x $size x $size numbers$range.
$network

# Each seed names a latent vector, the same everywhere.
seeds = [n for part in args.seeds.split(",") for n in range(int(part.split("-")[0]), int(part.split("-")[-1]) + 1)]
z = torch.stack([$noise for seed in seeds])
${class_noise}$draw

# The picture: the images in rows, on gray, as a PNG.
side, columns = images.shape[2] + 2, int((len(seeds) - 1) ** 0.5) + 1
canvas = torch.full((-(-len(seeds) // columns) * side - 2, columns * side - 2, $channels), 128).byte()
for i, image in enumerate(images):
    canvas[i // columns * side :, i % columns * side :][: side - 2, : side - 2] = image.permute(1, 2, 0)
rows = b"".join(b"\\0" + bytes(row.flatten().tolist()) for row in canvas)
shape = canvas.shape[1].to_bytes(4, "big") + len(canvas).to_bytes(4, "big") + bytes([8, $color, 0, 0, 0])
parts = ((b"IHDR", shape), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
chunks = [len(part).to_bytes(4, "big") + kind + part + zlib.crc32(kind + part).to_bytes(4, "big") for kind, part in parts]
Path(args.out).write_bytes(b"\\x89PNG\\r\\n\\x1a\\n" + b"".join(chunks))
''')


# With spectral normalization of the generator.
_SPECTRAL = """\
for key in [key for key in weights if key.endswith("original")]:  # weights are divided by their largest singular values
    u, v = (nn.functional.normalize(weights.pop(key.replace("original", f"0._{end}")), dim=0) for end in "uv")
    weight, place = weights.pop(key), key.removesuffix("parametrizations.weight.original")
    weights[f"{place}weight"] = weight / (u @ weight$rows.flatten(1) @ v)
"""

_SEQUENTIAL = Template("""\
$name = nn.Sequential(OrderedDict(
$layers
)).eval()
$name.load_state_dict({name[7:]: tensor for name, tensor in weights.items() if name.startswith("layers.")})""")

# With a blurred picture, which is added to what `convolutions` draw.
_BLURRED = Template("""\
$convolutions
def network(x):
    spread, numbers = weights["blurred.spread"], x.flatten(1)[:, :$latent_dim] @ weights["blurred.weight"].T + weights["blurred.bias"]
    return $add weights["blurred.share"] * spread.T @ numbers.unflatten(1, ($channels, $side, $side)) @ spread)""")

# Written as a function, because torch has no such layers.
_RESIDUAL = Template("""\
def $name(x, act=$act):
    def layer(name, x, **options):
        return nn.functional.conv2d(x, weights[f"layers.{name}.weight"], weights.get(f"layers.{name}.bias"), **options)
    x = (x @ weights["layers.dense.weight"].T)[:, :, None, None] * weights["layers.basis.weight"]
    for size, groups in $stages:
        x = layer(f"conv{size}", x) if f"layers.conv{size}.weight" in weights else x
        kernel = torch.tensor([[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]]).expand(x.shape[1], 1, 3, 3)
        x = nn.functional.conv_transpose2d(x, kernel, None, 2, 1, size - 2 * x.shape[2] + 1, x.shape[1]) if size > 4 else x
        inside = layer(f"block{size}.grouped", act(layer(f"block{size}.expand", x)), padding=1, groups=groups)
        x = x + layer(f"block{size}.compress", act(inside))
    return layer("image", x)""")

# Dense, to stay within 60 lines. `x` and `image` grow layer by layer; a convolution that enlarges is one with its filter's kernel.
_STYLES = Template("""\
def network(w, x=weights["layers.constant.weight"], image=0, rows=(torch.tensor([0.25, 0.75, 0.75, 0.25]), torch.tensor([0.5, 1, 0.5]))):
    def dense(name, x, rate=1.0):
        return x @ weights[f"{name}.weight"].T * (rate / x.shape[1] ** 0.5) + weights[f"{name}.bias"] * rate
    def blur(how, x, *options):
        return how(x, rows[size % 2].outer(rows[size % 2]).expand(x.shape[1], 1, -1, -1), None, *options, groups=x.shape[1])
    def convolve(name, x):
        style, kernel = dense(f"{name}.conv.affine", w)[:, :, None, None], weights[f"{name}.conv.weight"]
        kernel, x = kernel / kernel[0].numel() ** 0.5, x * style
        lengths = (F.conv2d(style**2, (kernel**2).sum((2, 3), True)) + 1e-8) ** (0 if "image" in name else 0.5)
        wide = blur(F.conv2d, kernel.transpose(0, 1), 1, 3 - size % 2)
        x = F.conv_transpose2d(x, wide, None, 2, 2) if "up" in name else F.conv2d(x, kernel, None, 1, "same")
        return x / lengths + weights[f"{name}.conv.bias"][:, None, None]
    for i in range(1, $mapping):
        w = F.leaky_relu(dense(f"mapping.dense{i}", w, $rate) * 2**0.5, 0.2)
    for size, name in [(size, f"layers.{name}{size}") for size in $sizes for name in ("up", "conv")][1:]:
        x = F.leaky_relu((convolve(name, x) + weights[f"{name}.noise"] * weights[f"{name}.strength"]) * 2**0.5, 0.2)
        image = image if "up" in name else (blur(F.conv_transpose2d, image, 2, 1) if size > 4 else 0) + convolve(f"layers.image{size}", x)
    return image""")


_SEEDED = "generator=torch.Generator().manual_seed(seed)"


_BIG = Template("""\
def conv(name, x):
    return nn.functional.conv2d(x, weights[f"layers.{name}.weight"], weights.get(f"layers.{name}.bias"), padding="same")

def norm(name, x, gain, shift):
    x = nn.functional.batch_norm(x, weights[f"layers.{name}.running_mean"], weights[f"layers.{name}.running_var"])
    return (x * gain[..., None, None] + shift[..., None, None]).relu()

def network(z):
    x, *parts = z.split($parts, 1)
    x = (x @ weights["layers.dense.weight"].T + weights["layers.dense.bias"]).unflatten(1, (-1, 4, 4))
    for size, part in zip($sizes, parts):
        block, inside, y = f"block{size}", x, torch.cat([*parts[$blocks:], part], 1)
        for i in "12":
            gain, shift = (y @ weights[f"layers.{block}.norm{i}.{kind}.weight"].T for kind in ("gain", "shift"))
            inside = nn.functional.interpolate(norm(f"{block}.norm{i}.norm", inside, 1 + gain, shift), size)
            inside = conv(f"{block}.conv{i}", inside)
        x = inside + nn.functional.interpolate(conv(f"{block}.shortcut", x), size)
$attention\
    return conv("to_pixels", norm("norm", x, weights["layers.norm.weight"], weights["layers.norm.bias"])).tanh()""")

_ATTENTION = """\
        if size in (14, 16):
            query, *others = (conv(f"attention{size}.{kind}", x) for kind in ("query", "key", "value"))
            key, value = (nn.functional.max_pool2d(other, 2).flatten(2) for other in others)
            found = value @ (query.flatten(2).transpose(1, 2) @ key).softmax(2).transpose(1, 2)
            x = x + weights[f"layers.attention{size}.strength"] * conv(f"attention{size}.found", found.unflatten(2, (size, size)))
"""


def sample_script(generator: Path) -> str:
    """A script that draws with the generator's file next to it, using only torch. It draws the same images as `sample`.

    It has at most 60 lines, or 75 with BigGAN's networks.

    Raises:
        CheckpointError: the file is not a generator, or its settings are missing.
    """
    about = read_metadata(generator)
    try:
        config, class_names = read_config(about)
        step = int(about["step"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{generator.name} lacks valid settings: {error}") from None
    with without_memory():
        network = new_generator(config, len(class_names))
    noise = f"torch.{'randn' if config.latent_distribution == 'normal' else 'rand'}({config.latent_dim}, {_SEEDED})"
    noise += "" if config.latent_distribution == "normal" else " * 2 - 1"
    embedded = 'weights["embedding.weight"][labels]'
    if config.has_styles:  # as its mapping network gets them
        noise, embedded = f"F.normalize({noise}, dim=0) * {config.latent_dim}**0.5", f"F.normalize({embedded}) * {EMBEDDING}**0.5"
    inputs, about_it = f"{config.latent_dim} random numbers", 'header.pop("__metadata__")'
    class_option = class_noise = ""
    if class_names:
        inputs += f" and {network.embedding.embedding_dim} that stand for a class"
        about_it = f'classes = json.loads({about_it}["{FORMAT}"])["class_names"]'
        class_option = 'parser.add_argument("--class", dest="name", metavar="NAME", choices=classes, help="draw only this class")\n'
        class_noise = (
            "labels = [classes.index(args.name) if args.name else i % len(classes) for i in range(len(seeds))]\n"
            f"z = torch.cat([z, {embedded}], 1)\n"
        )
    return _SCRIPT.substitute(
        file=generator.name,
        imports=_imports(config),
        about=about_it,
        step=step,
        inputs=inputs,
        class_option=class_option,
        channels=config.channels,
        size=config.image_size,
        spectral=_spectral(network) if config.generator_spectral_norm else "",
        network=_network(config, network),
        range="" if config.networks in ("residual", "stylegan") else " from -1 to 1",
        noise=noise,
        class_noise=class_noise,
        draw=_draw(config),
        color=0 if config.channels == 1 else 2,
    )


def _spectral(network: Generator) -> str:
    """The lines that undo spectral normalization. A transposed convolution's filters lie along the second axis."""
    layers = dict(network.layers.named_children())
    transposed = [name for name, layer in layers.items() if isinstance(layer, nn.ConvTranspose2d)]
    prefix = f"layers.{'conv' if len(transposed) > 1 else ''.join(transposed)}"  # the other convolutions are called extra1, ...
    rows = f'.transpose(0, int(place.startswith("{prefix}")))' if transposed else ""
    return _SPECTRAL.replace("$rows", rows)


def _imports(config: TrainConfig) -> str:
    """The last import lines, which depend on the kind of network."""
    if config.has_styles:
        return "from pathlib import Path\nimport torch, torch.nn.functional as F"
    first = "" if config.networks in ("residual", "biggan") else "from collections import OrderedDict\n"
    return f"{first}from pathlib import Path\n\nimport torch\nfrom torch import nn"


def _draw(config: TrainConfig) -> str:
    """The lines that turn z into uint8 images, small ones enlarged to about 64 pixels."""
    factor, pixels = max(1, 64 // config.image_size), ".clamp(-1, 1).add(1).mul(127.5).round().byte()"
    if config.has_styles:  # weights are plain tensors, without gradients
        return f"images = F.interpolate(torch.cat([network(part) for part in z.split(64)]), None, {factor}){pixels}"
    maps = "[:, :, None, None]" if config.networks == "dcgan" else ""
    enlarged = f".repeat_interleave({factor}, 2).repeat_interleave({factor}, 3)" if factor > 1 else ""
    drawn = f"images = torch.cat([network(part{maps}) for part in z.split(64)])"
    return f"with torch.inference_mode():\n    {drawn}\nimages = images{pixels}{enlarged}"


def _network(config: TrainConfig, network: Generator) -> str:
    """The definition of `network`, a function of z."""
    layers = network.layers
    if isinstance(network, BigGenerator):
        sizes = tuple(layer.size for layer in layers if isinstance(layer, BlockUp))
        parts = [*network.z_parts, network.embedding_dim] if network.classes else network.z_parts
        attention = _ATTENTION if config.self_attention else ""
        return _BIG.substitute(parts=parts, sizes=sizes, blocks=len(sizes), attention=attention)
    if isinstance(network, StyleGenerator):
        return _STYLES.substitute(mapping=MAPPING + 1, rate=MAPPING_RATE, sizes=tuple(map_sizes(config.image_size)))
    if not network.blurred:
        return _convolutions("network", config, layers)
    bounded = isinstance(layers[-1], nn.Tanh)
    return _BLURRED.substitute(
        convolutions=_convolutions("convolutions", config, layers[:-1] if bounded else layers),
        add="torch.tanh(convolutions(x) +" if bounded else "convolutions(x) + torch.tanh(",
        latent_dim=config.latent_dim,
        channels=config.channels,
        side=network.blurred.side,
    )


def _convolutions(name: str, config: TrainConfig, layers: nn.Sequential) -> str:
    """The definition of a function of z with this name, from a network's layers."""
    if config.networks != "residual":
        return _SEQUENTIAL.substitute(name=name, layers=_layers(layers))
    named = layers.named_children()
    blocks = [(int(part.removeprefix("block")), block.grouped.groups) for part, block in named if isinstance(block, Residual)]
    act = "nn.ReLU()" if config.generator_activation == "relu" else "nn.LeakyReLU(0.2)"
    return _RESIDUAL.substitute(name=name, stages=tuple(blocks), act=act)


def _layers(layers: nn.Sequential) -> str:
    """A network's layers as arguments of OrderedDict, with a new line for each layer that computes maps."""
    lines: list[str] = []
    resized = False
    for name, layer in layers.named_children():
        text = f"{name}={_layer(layer)},"
        if not lines or (isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.Upsample) and not resized):
            lines.append(f"    {text}")
        else:
            lines[-1] += f" {text}"
        resized = isinstance(layer, nn.Upsample)
    return "\n".join(lines)


def _layer(layer: nn.Module) -> str:
    """A layer as a Python expression. Our own layers that only compute in another way are written as their parents."""
    match layer:
        case nn.ConvTranspose2d() | nn.Conv2d():
            kind = "ConvTranspose2d" if isinstance(layer, nn.ConvTranspose2d) else "Conv2d"
            numbers = (layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.stride[0], layer.padding[0])
            return f"nn.{kind}({', '.join(map(str, numbers))}{'' if layer.bias is not None else ', bias=False'})"
        case nn.Linear():
            return f"nn.Linear({layer.in_features}, {layer.out_features})"
        case nn.BatchNorm2d() | nn.BatchNorm1d():
            return f"nn.{type(layer).__name__}({layer.num_features})"
        case nn.LeakyReLU():
            return f"nn.LeakyReLU({layer.negative_slope})"
        case nn.Upsample():
            return f"nn.Upsample({layer.size})"
        case nn.Unflatten():
            return f"nn.Unflatten({layer.dim}, {tuple(layer.unflattened_size)})"
        case nn.ReLU() | nn.Tanh():
            return f"nn.{type(layer).__name__}()"
    raise TypeError(f"the script cannot be written: it does not know the layer {type(layer).__name__}")


def training_gif(folder: RunFolder, file: BinaryIO, frames: int = MOST_FRAMES) -> Yields[Progress, None, None]:
    """A run's sample grids through training as a GIF, each with its step below it; the last one stays for a while.

    frames: if there are more grids, evenly spaced ones are taken.

    Raises:
        CheckpointError: there is no run, it has drawn no grid yet, or one cannot be read.
        OSError: the GIF cannot be written.
    """
    folder.read_config()
    steps = spaced(folder.sample_steps(), frames)
    if not steps:
        raise CheckpointError(f"the run {folder.path.name} has drawn no grid yet")
    newest = _grid(folder.samples_file(steps[-1]))  # a fork's grids may differ in size from its parent's
    still = round(HOLD_S * FRAMES_PER_S)  # equal frames, which GIF merges into one long frame
    film = np.repeat(captioned(_pixels(newest), f"step {steps[-1]:,}")[None], len(steps) + still, 0)
    for i, step in enumerate(steps[:-1]):
        yield Progress("Reading the grids", i, len(steps))
        grid = _grid(folder.samples_file(step)).convert(newest.mode).resize(newest.size)
        film[i] = captioned(_pixels(grid), f"step {step:,}")
    yield Progress("Writing the GIF", 0, 0)
    file.write(gif(film, FRAMES_PER_S))


def _grid(path: Path) -> Image.Image:
    """A grid, at most LARGEST_FRAME pixels wide."""
    try:
        with Image.open(path, formats=["PNG"]) as grid:
            if max(grid.size) > LARGEST_GRID:
                raise CheckpointError(f"{path.name} is larger than a grid can be: {grid.width} x {grid.height} pixels")
            small = grid.convert("L" if grid.mode == "L" else "RGB")
    except (UnidentifiedImageError, FileNotFoundError, SyntaxError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"the grid {path.name} cannot be read") from None
    return small.reduce(-(-small.width // LARGEST_FRAME))


def _pixels(grid: Image.Image) -> np.ndarray:
    """Pillow image, L or RGB -> uint8 (C, H, W)."""
    pixels = np.asarray(grid)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def event_file(folder: RunFolder, file: BinaryIO) -> Yields[Progress, None, None]:
    """A run's metrics, scorings, norms and changes, its settings and some grids as a TensorBoard event file.

    Wall times are the run's start plus its training time, without pauses. More than MOST_EVENTS rows of one kind are thinned
    evenly; the last row stays.

    Raises:
        CheckpointError: there is no run, it has not logged anything yet, or a grid cannot be read.
        OSError: the file cannot be written.
    """
    # Takes a third of a second to import, and only this needs it.
    from tensorboardX import RecordWriter
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary
    from tensorboardX.summary import text

    config, stored = folder.read_config()
    rows = [row for row in folder.read_metrics()[0] if is_number(row["elapsed_s"])]
    if not rows:
        raise CheckpointError(f"the run {folder.path.name} has logged no metrics yet")
    steps, elapsed_s = np.ascontiguousarray(np.array([(0, 0.0), *((row["step"], row["elapsed_s"]) for row in rows)]).T)
    forked_at = stored.parent["step"] if stored.parent and is_number(stored.parent.get("step")) else 0
    began = folder.read_status().started or folder.config_file.stat().st_mtime
    began -= float(np.interp(forked_at, steps, elapsed_s))  # a fork's times count from its parent's start
    rows, norms = (spaced(kind, MOST_EVENTS) for kind in (rows, folder.read_norms()))
    judged = spaced(folder.read_judged(), MOST_EVENTS)
    grids = spaced(folder.sample_steps(), TENSORBOARD_GRIDS)
    changes = [(step, list(made)) for step, made in groupby(folder.read_interventions(), lambda change: change.step)]
    total = len(rows) + len(judged) + len(norms) + len(grids) + len(changes)
    done = 0

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "events"
        writer = RecordWriter(str(path))  # without a thread, a queue, or this machine's name in the file name

        def write(step: int, summary: Any) -> Progress:
            nonlocal done
            done += 1
            wall_time = began + float(np.interp(step, steps, elapsed_s))
            writer.write(Event(wall_time=wall_time, step=step, summary=summary).SerializeToString())
            return Progress("Writing events", done - 1, total)

        def scalars(values: dict[str, Any]) -> Any:
            return Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items() if is_number(value)])

        try:
            writer.write(Event(wall_time=began, file_version="brain.Event:2").SerializeToString())
            settings = json.dumps(config.model_dump(), indent=1).replace("\n", "\n    ")
            yield write(0, text("settings", f"    {settings}"))
            for row in rows:
                yield write(row["step"], scalars({_TAGS[name]: row[name] for name in METRICS if name != "step"}))
            for judgement in judged:
                yield write(judgement.step, scalars({f"judge/{name}": judgement[name] for name in NUMBERS if name != "elapsed_s"}))
            for row in norms:
                lengths = ((kind, network, of) for kind in ("weights", "gradients") for network, of in row[kind].items())
                values = {f"{kind}/{net}.{name}": value for kind, net, of in lengths if isinstance(of, dict) for name, value in of.items()}
                yield write(row["step"], scalars(values))
            for step, made in changes:
                yield write(step, text("interventions", "\n\n".join(f"{c.field}: {c.old} → {c.new}" for c in made)))
            for step in grids:
                grid = _grid(folder.samples_file(step))
                image = Summary.Image(
                    height=grid.height, width=grid.width, colorspace=len(grid.getbands()), encoded_image_string=_png(grid)
                )
                yield write(step, Summary(value=[Summary.Value(tag="samples", image=image)]))
        finally:
            writer.close()
        with path.open("rb") as written:
            shutil.copyfileobj(written, file)


_TAGS = {
    name: f"{group}/{name}"
    for group, names in {
        "losses": ("loss_d", "loss_g"),
        "answers": ("d_real", "d_fake", "d_fake_after"),
        "progress": ("images_seen", "elapsed_s", "images_per_s", "augmentation", "distance"),
    }.items()
    for name in names
}


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def tensorboard_zip(folder: RunFolder, file: BinaryIO) -> Yields[Progress, None, None]:
    """event_file() as a zip, in a folder with the run's name, which TensorBoard shows.

    Raises:
        CheckpointError, OSError: see event_file().
    """
    events = io.BytesIO()
    yield from event_file(folder, events)
    name = export_name(folder)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}/events.out.tfevents.{name}", events.getvalue())
