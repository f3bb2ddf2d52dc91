"""The pictures of the lesson "The space of images": a sheet for each of its three parts, and the numbers next to it."""

import base64
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gan import latent
from gan.course.space import GLASSES
from gan.devices import one_thread
from gan.explore import contrast_file
from gan.explore.attributes import move
from gan.explore.models import SHIPPED
from gan.images import tile, webp
from gan.networks.generator_file import LoadedGenerator, load_generator
from gan.networks.sampling import sample

GENERATOR = "faces"
PAIRS = ((98, 67), (64, 62), (81, 3))  # seeds at both ends of a path: far apart, so the straight line comes close to the center
PLACES = 25  # pictures along a path
ATTRIBUTES = (GLASSES, "long hair", "curly hair")
FACES = (3, 1, 32, 62, 96)  # seeds of faces with none of the attributes
STRENGTHS = tuple(i / 8 for i in range(11))  # 1 is the strength at which nearly all samples gain the attribute
EXAMPLES = 4  # samples with an attribute, and as many without
PSIS = tuple(i / 8 for i in range(17))
TRUNCATED = 8  # faces
COLUMNS = 24  # of a sheet
QUALITY = 82  # of a WebP


@one_thread()
def part(name: str) -> dict[str, Any]:
    """What the browser needs for a part, as plain values: the sheet, and what its pictures are.

    Args:
        name: one of PARTS.

    Returns:
        sheet: a data URI of a WebP with pictures in rows of `columns`; size: pixels of a picture's side; and what ways(), arithmetic()
        or truncation() say about the pictures, in the order of the sheet.

    Raises:
        ValueError, OSError: a file that comes with the app cannot be used.
    """
    path = SHIPPED / f"{GENERATOR}.safetensors"
    loaded = load_generator(path)
    z, about = PARTS[name](loaded, path)
    images = sample(loaded.network, z, batch=64)
    if name == "truncation":
        about["variety"] = [round(_variety(images[start : start + TRUNCATED]), 4) for start in range(0, len(images), TRUNCATED)]
    content = base64.b64encode(webp(tile(images, COLUMNS, gap=0), QUALITY)).decode()
    return {"sheet": f"data:image/webp;base64,{content}", "size": images.shape[-1], "columns": COLUMNS, **about}


def ways(loaded: LoadedGenerator, path: Path) -> tuple[torch.Tensor, dict[str, Any]]:
    """For each pair, latent vectors along both paths, their lengths, and the band of usual lengths."""
    dimensions, distribution = loaded.config.latent_dim, loaded.config.latent_distribution
    parts, pairs = [], []
    for seeds in PAIRS:
        a, b = latent.from_seeds(seeds, dimensions, distribution)
        both = [along(a, b, torch.linspace(0, 1, PLACES).unsqueeze(1)) for along in (latent.lerp, latent.slerp)]
        parts += both
        pairs.append({"seeds": list(seeds), "lengths": [[round(length, 3) for length in way.norm(dim=1).tolist()] for way in both]})
    low, high = latent.usual_lengths(dimensions, distribution)
    return torch.cat(parts), {"pairs": pairs, "places": PLACES, "low": round(low, 3), "high": round(high, 3)}


def arithmetic(loaded: LoadedGenerator, path: Path) -> tuple[torch.Tensor, dict[str, Any]]:
    """For each attribute: some samples with it, some without it, then each face at each strength."""
    config = loaded.config
    found = {contrast.name: contrast for contrast in contrast_file.read(path, config) or []}
    missing = [name for name in ATTRIBUTES if name not in found]
    if missing:
        raise ValueError(f"{contrast_file.place(path).name} lacks {', '.join(missing)}")

    def noise(seeds: Sequence[int]) -> torch.Tensor:
        return latent.from_seeds(seeds, config.latent_dim, config.latent_distribution)

    parts = []
    for contrast in (found[name] for name in ATTRIBUTES):
        parts += [noise(contrast.present.seeds[:EXAMPLES]), noise(contrast.absent.seeds[:EXAMPLES])]
        for face in noise(FACES):
            parts += [move(face, contrast.difference, times * contrast.strength, config.latent_distribution)[None] for times in STRENGTHS]
    numbers = {name: [len(found[name].present.seeds), len(found[name].absent.seeds)] for name in ATTRIBUTES}
    return torch.cat(parts), {"samples": numbers, "examples": EXAMPLES, "faces": list(FACES), "strengths": list(STRENGTHS)}


def truncation(loaded: LoadedGenerator, path: Path) -> tuple[torch.Tensor, dict[str, Any]]:
    """For each psi, the same faces with psi times their latent vectors."""
    config = loaded.config
    z = latent.from_seeds(range(TRUNCATED), config.latent_dim, config.latent_distribution)
    return torch.cat([psi * z for psi in PSIS]), {"psis": list(PSIS), "faces": TRUNCATED}


def _variety(images: np.ndarray) -> float:
    """Mean difference per pixel over all pairs of images, as a share of the range from black to white."""
    pixels = images.astype(float) / 255
    return float(np.mean([np.abs(a - b).mean() for a, b in combinations(pixels, 2)]))


Make = Callable[[LoadedGenerator, Path], tuple[torch.Tensor, dict[str, Any]]]
PARTS: Mapping[str, Make] = {"ways": ways, "arithmetic": arithmetic, "truncation": truncation}
