"""A few undecoded files of a set, to show how they fit into a square. Knows nothing about pages."""

from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

from gan.data.archives import Member
from gan.data.decoding import SMALLEST_SIDE, decode, shape_of
from gan.data.sources import open_source, spread
from gan.events import Progress

LOOKED_AT = 60  # files of a set, evenly spread
LARGEST = 8 * 2**20  # bytes of one
MOST_PIXELS = 16_000_000  # of one: a page decodes it once for every way to fit it; a few kilobytes can hold 50 million
MOST_OPAQUE = 12  # square files that could be transparent and are not: after so many, the others are taken for opaque


def examples(name: str, most: int) -> Generator[Progress, None, list[Path | bytes]]:
    """Files of a set whose images are not square, or have transparent areas; evenly spread, at most `most`.

    Empty if there are none among LOOKED_AT files, and for sets that are not made of files. Skips very large images.

    Yields:
        Progress.

    Raises:
        ValueError: the archive or table cannot be read.
        OSError: the folder is gone.
    """
    with ExitStack() as stack:
        source = yield from open_source(name, stack)
        return _unusual(source.choice.members, source.read, most) if source else []


def _unusual(members: list[Member], read: Callable[[Member], Path | bytes | str], most: int) -> list[Path | bytes]:
    chosen: list[Path | bytes] = []
    opaque = 0
    for member in spread(members, LOOKED_AT):
        if member.size > LARGEST or len(chosen) == most:
            continue
        source = read(member)
        if isinstance(source, str) or (isinstance(source, bytes) and len(source) > LARGEST):
            continue  # unreadable: the Data page lists it among what was left out; a table's images say their size only here
        shape = shape_of(source)
        if isinstance(shape, str) or shape.is_usual or shape.width * shape.height > MOST_PIXELS:
            continue
        if shape.width == shape.height:
            if opaque == MOST_OPAQUE:
                continue
            if _is_opaque(source):
                opaque += 1
                continue
        chosen.append(source)
    return chosen


def _is_opaque(source: Path | bytes) -> bool:
    """Whether an image is the same on white and on black. Many programs save opaque images with an alpha channel."""
    on_white, on_black = (decode(source, SMALLEST_SIDE, 3, background=color) for color in ("#ffffff", "#000000"))
    return isinstance(on_white, str) or isinstance(on_black, str) or bool((on_white == on_black).all())
