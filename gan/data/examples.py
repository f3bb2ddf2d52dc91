"""A few undecoded files of a set, to show how they fit into a square. Knows nothing about pages."""

from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

from gan.data.archives import Member
from gan.data.decoding import shape_of
from gan.data.sources import open_source, spread
from gan.events import Progress

LOOKED_AT = 60  # files of a set, evenly spread
LARGEST = 8 * 2**20  # bytes of one
MOST_PIXELS = 16_000_000  # of one: a page decodes it once for every way to fit it; a few kilobytes can hold 50 million


def examples(name: str, most: int) -> Generator[Progress, None, list[Path | bytes]]:
    """Files of a set whose images are not square, or may have transparent areas; evenly spread, at most `most`.

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
    for member in spread(members, LOOKED_AT):
        if member.size > LARGEST or len(chosen) == most:
            continue
        source = read(member)
        if isinstance(source, str) or (isinstance(source, bytes) and len(source) > LARGEST):
            continue  # unreadable: the Data page lists it among what was left out; a table's images say their size only here
        shape = shape_of(source)
        if not isinstance(shape, str) and not shape.is_usual and shape.width * shape.height <= MOST_PIXELS:
            chosen.append(source)
    return chosen
