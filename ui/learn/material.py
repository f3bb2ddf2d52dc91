"""Files for the lessons' figures. The server makes each one once, when a browser first asks for it, and all visitors share it."""

import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from gan.course import cases
from gan.course.batch_norm_network import network_file
from gan.course.quiz import quiz_round
from gan.course.real_or_fake import ROUNDS
from gan.course.space_pictures import PARTS, part
from gan.lru import Lru


@dataclass(frozen=True)
class Material:
    """A file for browsers."""

    content: bytes
    media_type: str

    @functools.cached_property
    def tag(self) -> str:
        """Its ETag."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:16]}"'


def _json(make: Callable[[], dict[str, Any]]) -> Material:
    return Material(json.dumps(make(), separators=(",", ":")).encode(), "application/json")


def _file(name: str, media_type: str) -> Material:
    """A file of a recorded case."""
    return Material((cases.FOLDER / name).read_bytes(), media_type)


# By the file's name in the address.
_MAKE: dict[str, Callable[[], Material]] = {
    **{f"real-or-fake-{number + 1}.json": partial(_json, partial(quiz_round, number)) for number in range(ROUNDS)},
    "batch-norm.safetensors": lambda: Material(network_file(), "application/octet-stream"),
    **{f"{name}.json": partial(_file, f"{name}.json", "application/json") for name in cases.CASES},
    **{f"{name}.png": partial(_file, f"{name}.png", "image/png") for name in cases.CASES},
    **{f"space-{name}.json": partial(_json, partial(part, name)) for name in PARTS},
}

NAMES = tuple(_MAKE)

_made: Lru[str, Material] = Lru()


def material(name: str) -> Material | None:
    """The file of a name, or None if there is none.

    Raises:
        ValueError, OSError: a file that comes with the app cannot be used.
    """
    make = _MAKE.get(name)
    return _made.load(name, make) if make else None
