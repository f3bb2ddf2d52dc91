"""A person's list of latent vectors: named, in order, in a small JSON file. Knows nothing about pages."""

import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from gan import latent
from gan.owners import clean_name
from gan.untrusted import is_number, parse_json

FORMAT = "dcgan-workshop-noise-1"
MOST = 24  # in one list
MOST_NUMBERS = 1024  # of one vector
LARGEST = 100.0  # bound for each number of a vector, as in the image route
LARGEST_FILE = 1 << 20  # bytes


@dataclass(frozen=True)
class LatentVector:
    """A point of the latent space with a name.

    Attributes:
        seed: names it in any generator; None if it is given by its numbers.
        z: its numbers if it has no seed (it came from an image, say); else empty.
        name: chosen by a person; at most 40 characters, may be empty.
        locked: whether it stays when the other vectors are replaced.

    Raises:
        ValueError: seed or z is out of bounds, or both are given, or neither.
    """

    seed: int | None = None
    z: tuple[float, ...] = ()
    name: str = ""
    locked: bool = False

    def __post_init__(self) -> None:
        if (self.seed is None) == (not self.z):
            raise ValueError("a latent vector must have a seed, or its numbers z")
        if self.seed is not None and not 0 <= self.seed <= latent.LARGEST_SEED:
            raise ValueError(f"a seed must be between 0 and 2^63 - 1; got {self.seed}")
        if len(self.z) > MOST_NUMBERS:
            raise ValueError(f"a latent vector may have at most {MOST_NUMBERS} numbers; got {len(self.z)}")
        if odd := [number for number in self.z if not abs(number) <= LARGEST]:  # false for NaN
            raise ValueError(f"the numbers of a latent vector must be between -{LARGEST:g} and {LARGEST:g}; got {odd[0]}")
        object.__setattr__(self, "name", clean_name(self.name))

    @property
    def ref(self) -> str:
        """A short name for the numbers z: 16 hexadecimal digits, or empty for a vector with a seed."""
        return hashlib.sha256(struct.pack(f"{len(self.z)}d", *self.z)).hexdigest()[:16] if self.z else ""

    def fits(self, latent_dim: int) -> bool:
        """Whether a generator with this latent size can draw it."""
        return not self.z or len(self.z) == latent_dim

    def point(self, latent_dim: int, distribution: str = "normal") -> torch.Tensor:
        """The vector for a generator: float32 (latent_dim,).

        Raises:
            ValueError: it was made for another latent size.
        """
        if not self.fits(latent_dim):
            raise ValueError(f"{self.name or 'a latent vector'} has {len(self.z)} numbers; this generator takes {latent_dim}")
        return torch.tensor(self.z) if self.seed is None else latent.from_seeds([self.seed], latent_dim, distribution)[0]


def points(vectors: Sequence[LatentVector], latent_dim: int, distribution: str = "normal") -> torch.Tensor:
    """Latent vectors for a generator: float32 (len(vectors), latent_dim).

    Raises:
        ValueError: one of them was made for another latent size.
    """
    return torch.stack([vector.point(latent_dim, distribution) for vector in vectors])


def write(vectors: Sequence[LatentVector]) -> bytes:
    """A list as a JSON file for read()."""
    rows = []
    for vector in vectors:
        row: dict[str, Any] = {"name": vector.name} if vector.name else {}
        row |= {"seed": vector.seed} if vector.seed is not None else {"z": list(vector.z)}
        rows.append(row | ({"locked": True} if vector.locked else {}))
    return json.dumps({"format": FORMAT, "vectors": rows}, indent=1).encode()


def read(content: bytes, latent_dim: int | None = None) -> list[LatentVector]:
    """The list in a JSON file, which may come from anyone.

    Args:
        content: the file.
        latent_dim: the latent size of the generator that will draw them; None for any.

    Raises:
        ValueError: it is not such a list, or a vector cannot be used; the message is one sentence.
    """
    if len(content) > LARGEST_FILE:
        raise ValueError(f"a list of latent vectors may have at most {LARGEST_FILE >> 20} MiB; got {len(content) / 2**20:.1f}")
    try:
        document = parse_json(content, LARGEST_FILE)
    except ValueError as error:
        raise ValueError(f"the file is not JSON: {str(error).splitlines()[0]}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT or not isinstance(document.get("vectors"), list):
        raise ValueError("the file holds no list of latent vectors")
    rows = document["vectors"]
    if not 1 <= len(rows) <= MOST:
        raise ValueError(f"a list must have 1 to {MOST} latent vectors; got {len(rows)}")
    vectors = []
    for place, row in enumerate(rows, 1):
        try:
            vector = _vector(row)
            if latent_dim is not None:
                vector.point(latent_dim)
        except ValueError as error:
            raise ValueError(f"vector {place}: {error}") from None
        vectors.append(vector)
    return vectors


def _vector(row: object) -> LatentVector:
    """The vector of one entry of a file."""
    if not isinstance(row, dict):
        raise ValueError("an entry must have a seed, or its numbers z")
    seed, z, name, locked = row.get("seed"), row.get("z", []), row.get("name", ""), row.get("locked", False)
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise ValueError(f"a seed must be a whole number; got {str(seed)[:40]!r}")
    if not isinstance(z, list) or not all(is_number(number) for number in z[: MOST_NUMBERS + 1]):
        raise ValueError("z must be a list of finite numbers")
    if not isinstance(name, str) or not isinstance(locked, bool):
        raise ValueError("a name must be text, and locked true or false")
    return LatentVector(seed, tuple(float(number) for number in z[: MOST_NUMBERS + 1]), name, locked)
