"""A short script that translates images with a run's generator, for the zip of a run. Knows nothing about the zip."""

from pathlib import Path
from string import Template

from gan.networks.generator_file import TRANSLATOR_FORMAT, CheckpointError, read_config, read_metadata
from gan.networks.translation import blocks_for, unet_sides


def translate_script(generator: Path) -> str:
    """A script of at most 60 lines that translates images with the generator's file next to it, using PyTorch and Pillow.

    Raises:
        CheckpointError: the file is not such a generator, or its settings are missing.
    """
    about = read_metadata(generator, TRANSLATOR_FORMAT)
    try:
        config, _ = read_config(about)
        step = int(about["step"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{generator.name} lacks valid settings: {error}") from None
    if config.networks == "cyclegan":
        network, option = _CYCLE.substitute(blocks=blocks_for(config.image_size)), _BACK
    else:
        network, option = _UNET.substitute(layers=len(unet_sides(config.image_size)) - 1), ""
    return _SCRIPT.substitute(
        file=generator.name,
        step=step,
        option=option,
        network=network,
        size=config.image_size,
        mode="L" if config.channels == 1 else "RGB",
        channels=config.channels,
    )


_SCRIPT = Template('''\
"""Translates images with the generator next to this file. It needs PyTorch and Pillow: python translate.py photo.png --out result.png"""

import argparse
import json
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch.nn import functional as F

# The weights: the file begins with the length of its header, in 8 bytes; the header says where each tensor's numbers are.
content = Path(__file__).with_name("$file").read_bytes()
start = 8 + int.from_bytes(content[:8], "little")
header, numbers, weights = json.loads(content[8:start]), content[start:], {}
header.pop("__metadata__")
for name, entry in header.items():
    kind = {"F32": torch.float32, "I64": torch.int64}[entry["dtype"]]
    weights[name] = torch.frombuffer(bytearray(numbers[slice(*entry["data_offsets"])]), dtype=kind).reshape(entry["shape"])

parser = argparse.ArgumentParser(description="Translates an image with the generator of step $step.")
parser.add_argument("image", help="an image; its middle square is taken")
${option}parser.add_argument("--out", default="result.png", help="the PNG to write")
args = parser.parse_args()

# The network: an image of $channels x $size x $size numbers from -1 to 1 becomes another one.
$network

picture = ImageOps.fit(Image.open(args.image).convert("$mode"), ($size, $size), Image.Resampling.LANCZOS)
x = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).reshape(1, $size, $size, $channels).permute(0, 3, 1, 2) / 127.5 - 1
with torch.inference_mode():
    y = network(x)[0].clamp(-1, 1).add(1).mul(127.5).round().byte()
Image.frombytes("$mode", ($size, $size), bytes(y.permute(1, 2, 0).flatten().tolist())).save(args.out)
''')

_BACK = 'parser.add_argument("--back", action="store_true", help="from the second class to the first")\n'

_UNET = Template("""\
def network(x):
    def normal(x, name):
        w = {key: weights.get(f"{name}.norm.{key}") for key in ("running_mean", "running_var", "weight", "bias")}
        return x if w["weight"] is None else F.batch_norm(x, **w)

    skipped = []
    for name in (f"encoder.{i}" for i in range($layers)):
        x = F.conv2d(x, weights[f"{name}.conv.weight"], weights.get(f"{name}.conv.bias"), 2, 1)
        x = F.leaky_relu(normal(x, name), 0.2)
        skipped.append(x)
    skipped.pop()
    for name in (f"decoder.{i}" for i in range($layers)):
        x = F.conv_transpose2d(x, weights[f"{name}.conv.weight"], weights.get(f"{name}.conv.bias"), 2, 1)
        x = torch.cat([F.relu(normal(x, name)), skipped.pop()], 1) if skipped else torch.tanh(x)
    return x""")

_CYCLE = Template("""\
def network(x):
    side = "to_a" if args.back else "to_b"

    def layer(name, x, border=0, convolve=F.conv2d, **options):
        x = F.pad(x, (border, border, border, border), mode="reflect") if border else x
        return convolve(x, weights[f"{side}.{name}.weight"], weights.get(f"{side}.{name}.bias"), **options)

    x = F.relu(F.instance_norm(layer("first", x, 3)))
    for name in ("down1", "down2"):
        x = F.relu(F.instance_norm(layer(name, x, stride=2, padding=1)))
    for name in (f"blocks.{i}" for i in range($blocks)):
        inside = F.relu(F.instance_norm(layer(f"{name}.conv1", x, 1)))
        x = x + F.instance_norm(layer(f"{name}.conv2", inside, 1))
    for name in ("up1", "up2"):
        x = F.relu(F.instance_norm(layer(name, x, convolve=F.conv_transpose2d, stride=2, padding=1, output_padding=1)))
    return torch.tanh(layer("last", x, 3))""")
