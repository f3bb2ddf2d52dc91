"""A folder that the host names -> the image files in it and below it, also through links. Knows nothing about what is in the files.

Links are followed, because the person who names the folder made them. Visitors cannot make links: their zips are never unpacked.
"""

import os
import stat
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from gan.data.archives import Member
from gan.data.leftout import LeftOut, fault_of_name, litter, system_folder
from gan.events import Progress

Identity = tuple[int, int]  # identifies a folder or file on this machine: device and inode
Found = tuple[Path, tuple[str, ...]]  # its path, and its folders below the set's folder


@dataclass
class Listing:
    """The contents of a folder.

    Attributes:
        members: the image files, sorted by their path.
        left_out: everything else.
        names: the names of the files that were left out because of their names.
    """

    members: list[Member] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)
    names: list[str] = field(default_factory=list)


def look(folder: Path, suffixes: set[str]) -> Generator[Progress, None, Listing]:
    """Lists a folder and everything below it.

    A folder is read once, however many links lead to it, so loops end. Folders come before links: if a link and a folder are
    the same, the folder counts.

    Args:
        folder: an existing folder.
        suffixes: the endings of images, as in ".png".

    Yields:
        Progress.
    """
    listing = Listing()
    around = {_identity(os.stat(above)) for above in folder.resolve().parents}
    seen: set[Identity] = set()
    folders, links = deque[Found]([(folder, ())]), deque[Found]()
    looked = 0
    while folders or links:
        path, parts = (folders or links).popleft()
        yield Progress("Looking for images", looked, 0)
        fault = _enter(path, seen, around)
        if fault:
            listing.left_out.add(parts or (folder.name,), fault)
            continue
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError as error:
            listing.left_out.add(parts or (folder.name,), f"is a folder that cannot be read ({error.strerror})")
            continue
        looked += len(entries)
        for entry in entries:
            _sort(entry, (*parts, entry.name), suffixes, listing, folders, links)
    listing.members.sort(key=lambda member: member.parts)
    return listing


def _enter(path: Path, seen: set[Identity], around: set[Identity]) -> str:
    """Notes that a folder is being read, or returns why it must not be."""
    try:
        identity = _identity(os.stat(path))
    except OSError as error:
        return f"is a folder that cannot be read ({error.strerror})"
    if identity in around:
        return "is a link to a folder that contains the data set"
    if identity in seen:
        return "is a link to a folder that was already read"
    seen.add(identity)
    return ""


def _sort(
    entry: os.DirEntry[str], parts: tuple[str, ...], suffixes: set[str], listing: Listing, folders: deque[Found], links: deque[Found]
) -> None:
    """Sorts one entry of a folder."""
    try:
        target = entry.stat()  # of the link's target
    except OSError as error:
        listing.left_out.add(parts, "is a link to nothing" if entry.is_symlink() else f"cannot be read ({error.strerror})")
        return
    if stat.S_ISDIR(target.st_mode):
        if system_folder(entry.name):
            listing.left_out.add(parts, "is a system folder")
        else:
            (links if entry.is_symlink() else folders).append((Path(entry.path), parts))
    elif litter(entry.name):
        pass
    elif fault := fault_of_name(entry.name, suffixes, "folder"):
        listing.left_out.add(parts, fault)
        listing.names.append(entry.name)
    elif not stat.S_ISREG(target.st_mode):
        listing.left_out.add(parts, "is not a regular file")
    else:
        listing.members.append(Member(parts, target.st_size, target.st_mtime_ns, Path(entry.path)))


def _identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino
