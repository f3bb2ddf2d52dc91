"""The undecoded image files of a set, from a folder, a zip, a tar or a table. Knows nothing about pixels."""

from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from gan.data import folders, imageset, parts, tables, tars
from gan.data.archives import Archive, Member
from gan.data.datasets import UPLOADED_ABOUT, UPLOADED_ZIP, place
from gan.data.decoding import SUFFIXES, SUFFIXES_OF_FILES
from gan.data.parts import Choice
from gan.events import Progress


class Source(NamedTuple):
    """The files of a set's training part, and how to read one: its path or content, or a sentence that says why it cannot be read."""

    choice: Choice
    read: Callable[[Member], Path | bytes | str]


def open_source(name: str, stack: ExitStack) -> Generator[Progress, None, Source | None]:
    """Opens a set's files without decoding any. None for sets that are not made of files: built-in ones and arrays.

    Args:
        name: as for datasets.load().
        stack: closes what was opened.

    Yields:
        Progress.

    Raises:
        ValueError: the archive or table cannot be read.
        OSError: the folder is gone.
    """
    path = place(name)
    if path is None:
        return None
    if (path / UPLOADED_ABOUT).is_file():
        path /= UPLOADED_ZIP
    if path.is_dir():
        listing = yield from folders.look(path, SUFFIXES_OF_FILES)
        return Source(parts.choose(listing.members, "train"), lambda member: member.source)
    try:
        if path.suffix.lower() == ".zip":
            archive = stack.enter_context(Archive(path, SUFFIXES))
            return Source(parts.choose(archive.members, "train"), archive.read)
        if path.name.lower().endswith(tars.SUFFIXES):
            tar = stack.enter_context(tars.Tar(path, imageset.scratch()))
            yield from tar.look(SUFFIXES)
            return Source(parts.choose(tar.members, "train"), tar.read)
    except ValueError as error:  # continues a sentence
        raise ValueError(f"the file {name} {error}") from None
    if path.suffix.lower() == tables.SUFFIX:
        table = tables.Table(path)
        return Source(Choice(table.members, table.classes, table.numbers), table.read)
    return None


def spread(members: list[Member], most: int) -> list[Member]:
    """At most this many of a set's files, evenly spread, because many sets are sorted."""
    return members[:: max(1, -(-len(members) // most))]
