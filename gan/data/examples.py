"""A few undecoded files of a set, to show how they fit into a square. Knows nothing about pages."""

from collections.abc import Callable, Generator
from pathlib import Path

from gan.data import folders
from gan.data.archives import Archive, Member
from gan.data.datasets import UPLOADED_ABOUT, UPLOADED_ZIP, place
from gan.data.decoding import SUFFIXES, SUFFIXES_OF_FILES, shape_of
from gan.events import Progress

LOOKED_AT = 60  # files of a set, evenly spread
LARGEST = 8 * 2**20  # bytes of one
MOST_PIXELS = 16_000_000  # of one: a page decodes it once for every way to fit it; a few kilobytes can hold 50 million


def examples(name: str, most: int) -> Generator[Progress, None, list[Path | bytes]]:
    """Files of a folder or zip whose images are not square, or may have transparent areas; evenly spread, at most `most`.

    Empty if there are none among LOOKED_AT files, and for other kinds of sets. Very large images are left out.

    Yields:
        Progress.

    Raises:
        ValueError: the zip cannot be read.
        OSError: the folder is gone.
    """
    path = place(name)
    if path is None:
        return []
    if (path / UPLOADED_ABOUT).is_file():
        path /= UPLOADED_ZIP
    if path.is_dir():
        listing = yield from folders.look(path, SUFFIXES_OF_FILES)
        return _unusual(listing.members, lambda member: member.source, most)
    if path.suffix.lower() != ".zip":
        return []
    with Archive(path, SUFFIXES) as archive:
        return _unusual(archive.members, archive.read, most)


def _unusual(members: list[Member], read: Callable[[Member], Path | bytes | str], most: int) -> list[Path | bytes]:
    chosen: list[Path | bytes] = []
    for member in members[:: max(1, -(-len(members) // LOOKED_AT))]:
        if member.size > LARGEST or len(chosen) == most:
            continue
        source = read(member)
        if isinstance(source, str):
            continue  # unreadable: the Data page lists it among what was left out
        shape = shape_of(source)
        if not isinstance(shape, str) and not shape.is_usual and shape.width * shape.height <= MOST_PIXELS:
            chosen.append(source)
    return chosen
