"""The attributes of a generator's samples (attributes.py), computed in advance: a small file next to the generator.

    python -m gan.explore.contrast_file gan/explore/pretrained/faces.safetensors

For each thing, it holds the seeds that show it and the strength that brings it about. The mean vectors follow from the seeds.
A file that was made for another generator of the same name counts as missing.
"""

import base64
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from gan import latent
from gan import progress as terminal
from gan.config import TrainConfig
from gan.explore import attributes
from gan.explore.attributes import SAMPLES, Contrast
from gan.files import write_atomically
from gan.networks.generator_file import LoadedGenerator, load_generator
from gan.networks.sampling import sample
from gan.untrusted import read_json


def place(generator: Path) -> Path:
    """The path of a generator's file."""
    return generator.with_suffix(".attributes.json")


def write(generator: Path, found: Sequence[Contrast], exclusive: bool) -> None:
    """Writes the attributes of a generator's samples. exclusive: classes rather than attributes."""
    things = [{"name": c.name, "shown": _pack(c.present.seeds), "strength": c.strength, "share": round(c.share, 4)} for c in found]
    about = {"generator": _fingerprint(generator), "exclusive": exclusive, "things": things}
    with write_atomically(place(generator)) as file:
        file.write((json.dumps(about, indent=1) + "\n").encode())


def read(generator: Path, config: TrainConfig) -> list[Contrast] | None:
    """What find() would find; None if there is no readable file for this generator."""
    try:
        about = read_json(place(generator))
        if about["generator"] != _fingerprint(generator):
            return None
        things = about["things"]
        shown = np.stack([_unpack(thing["shown"]) for thing in things], axis=1)
        names = [str(thing["name"]) for thing in things]
        known = [(float(thing["strength"]), float(thing["share"])) for thing in things]
        if not all(name and rows.any() and not rows.all() for name, rows in zip(names, shown.T, strict=True)):
            return None
        exclusive = bool(about["exclusive"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    z = latent.from_seeds(range(SAMPLES), config.latent_dim, config.latent_distribution)
    pairs = attributes.means(z, torch.from_numpy(shown), names, exclusive)
    return [Contrast(name, *pair, *rest) for name, pair, rest in zip(names, pairs, known, strict=True)]


def _pack(seeds: Sequence[int]) -> str:
    shown = np.zeros(SAMPLES, dtype=bool)
    shown[list(seeds)] = True
    return base64.b64encode(np.packbits(shown).tobytes()).decode()


def _unpack(text: str) -> np.ndarray:
    packed = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    if len(packed) * 8 != SAMPLES:
        raise ValueError(f"got {len(packed)} bytes for {SAMPLES} samples")
    return np.unpackbits(packed).astype(bool)


def _fingerprint(generator: Path) -> str:
    return hashlib.sha256(generator.read_bytes()).hexdigest()


def main(paths: Sequence[str]) -> None:
    """Computes and writes the files of some generators."""
    for path in map(Path, paths):
        loaded = load_generator(path)

        def draw(z: torch.Tensor, loaded: LoadedGenerator = loaded) -> np.ndarray:
            return sample(loaded.network, z)

        contrasts = terminal.drain(attributes.find(draw, loaded.config))
        write(path, contrasts, exclusive=contrasts[0].present.name.startswith("class "))
        print(f"{place(path)}: {', '.join(contrast.name for contrast in contrasts)}")


if __name__ == "__main__":
    main(sys.argv[1:])
