"""Zips of images, which may come from anyone. Nothing is unpacked to disk, so no name in them is ever a path.

This module finds the files in a zip and reads their bytes. `imagefiles.py` and `decoding.py` make pixels of them.

Limits are checked against the table of contents before anything is unpacked. zipfile never returns more of a file than the
table says.
"""

import functools
import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from gan.data.leftout import LeftOut, fault_of_name, litter, system_folder
from gan.data.names import guess_encoding, printable

MOST_ENTRIES = 250_000
LARGEST_CONTENTS = 64 * 2**20  # bytes of the table of contents
# Bytes of extra fields (times, owners, sizes above 4 GiB): limits for one entry and for all entries, plus an allowance per entry.
# zipfile copies the remaining bytes for each field: 64 MiB of fields take 18 s.
LARGEST_EXTRA, FREE_EXTRA, EXTRA_AN_ENTRY = 4096, 2**20, 128
LARGEST_FILE = 32 * 2**20  # bytes of one image file, unpacked
LARGEST_UNPACKED = 8 * 2**30  # bytes, all images together
MOST_RATIO = 100  # unpacked / packed, above FREE_UNPACKED: image files hardly compress
FREE_UNPACKED = 64 * 2**20
DEFLATE64 = 9  # the method's number; Windows Explorer uses it for files above 2 GiB, and zipfile cannot read it

_ENTRY = b"PK\x01\x02"  # starts each entry of the table of contents

# What zipfile raises for a damaged archive, besides its own BadZipFile.
_DAMAGED = (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError, OverflowError, struct.error, zlib.error)


class TooMuch(ValueError):
    """The archive exceeds a limit."""


class Member(NamedTuple):
    """An image file in a folder or a zip: its folders and name, its size in bytes, a stamp that changes with its content, and where it is."""

    parts: tuple[str, ...]
    size: int
    stamp: int
    source: Any


class Sieve:
    """Separates an archive's images from everything that is left out, by name."""

    def __init__(self, left_out: LeftOut, suffixes: set[str]) -> None:
        """
        Args:
            left_out: collects what is left out.
            suffixes: file endings of images, as in ".png".
        """
        self._left_out, self._suffixes = left_out, suffixes
        self._seen: set[tuple[str, ...]] = set()
        self._systems: set[tuple[str, ...]] = set()

    def take(self, name: str, where: str, judge: Callable[[], str]) -> tuple[str, ...]:
        """An entry's folders and name if it is an image to read, else an empty tuple.

        Args:
            name: as in the archive.
            where: "zip" or "tar".
            judge: returns why the entry cannot be used, apart from its name; empty if it can.
        """
        parts = _parts(name)
        if not parts or name.endswith(("/", "\\")) or litter(parts[-1]):
            return ()
        system = next((parts[: i + 1] for i, part in enumerate(parts[:-1]) if system_folder(part)), None)
        if system:
            if system not in self._systems:  # one entry for everything in it
                self._systems.add(system)
                self._left_out.add(system, "is a system folder")
            return ()
        fault = _fault_of_path(name, parts) or fault_of_name(parts[-1], self._suffixes, where) or judge()
        if not fault and parts in self._seen:
            fault = "appears more than once; the first one is used"
        if fault:
            self._left_out.add(parts, fault)
            return ()
        self._seen.add(parts)
        return parts


class Archive:
    """An open zip. Use it in a `with`.

    Attributes:
        members: the images in it, sorted by name.
        left_out: everything else.
    """

    def __init__(self, path: Path, suffixes: set[str]) -> None:
        """
        Args:
            path: the zip.
            suffixes: file endings of images, as in ".png".

        Raises:
            ValueError: it is not a zip, or it exceeds a limit; the message continues a sentence that begins with the file's name.
        """
        self.members: list[Member] = []
        self.left_out = LeftOut()
        self._file = _Watched(io.FileIO(path))
        try:
            self._zip = _open(self._file)
            self._sort(suffixes)
            self._bound(path)
        except BaseException:
            self._file.close()
            raise

    def _sort(self, suffixes: set[str]) -> None:
        """Sorts the entries into members and entries that are left out."""
        infos, sieve = self._zip.infolist(), Sieve(self.left_out, suffixes)
        sortable: list[tuple[tuple[str, ...], Member]] = []
        for info, name in zip(infos, _names(infos), strict=True):
            if parts := sieve.take(name, "zip", functools.partial(_judge, info)):
                # Sorted by the names' bytes: their encoding is a guess, and a better guess must not change the order.
                sortable.append((_parts(_as_utf8(info)), Member(parts, info.file_size, info.CRC, info)))
        sortable.sort(key=lambda pair: pair[0])
        self.members = [member for _, member in sortable]

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def _bound(self, path: Path) -> None:
        unpacked = sum(member.size for member in self.members)
        packed = min(path.stat().st_size, sum(member.source.compress_size for member in self.members))
        if unpacked > LARGEST_UNPACKED:
            raise TooMuch(f"unpacks to {unpacked / 2**30:,.1f} GiB; the limit is {LARGEST_UNPACKED / 2**30:.0f} GiB: split it")
        if unpacked > FREE_UNPACKED and unpacked > MOST_RATIO * packed:
            raise TooMuch(
                f"unpacks to {unpacked // max(1, packed):,} times its size, which image files never do; the limit is {MOST_RATIO} times"
            )

    def read(self, member: Member) -> bytes | str:
        """A member's content, or a sentence that says why it cannot be read."""
        try:
            with self._zip.open(member.source) as file:
                content = file.read(member.size + 1)
        except _DAMAGED as error:
            return f"is damaged in the zip ({printable(str(error))})"
        return content if len(content) == member.size else "is cut short in the zip"


class _Watched(io.BufferedReader):
    """A zip's file that refuses a table of contents with too many entries before zipfile makes an object of each entry."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LARGEST_CONTENTS:
            raise TooMuch(f"has a table of contents of more than {LARGEST_CONTENTS // 2**20} MiB: split it")
        content = super().read(LARGEST_CONTENTS if size is None or size < 0 else size)
        if (entries := content.count(_ENTRY)) > MOST_ENTRIES:
            raise TooMuch(f"holds about {entries:,} files; the limit is {MOST_ENTRIES:,}: split it")
        if content.startswith(_ENTRY):
            _bound_extra(content)
        return content


def _bound_extra(contents: bytes) -> None:
    """Refuses a table of contents with more extra fields than any tool writes, before zipfile parses them.

    Raises:
        TooMuch: it has too many.
    """
    at = entries = total = 0
    while contents[at : at + 4] == _ENTRY and at + 46 <= len(contents):
        name, extra, comment = struct.unpack_from("<3H", contents, at + 28)
        at, entries, total = at + 46 + name + extra + comment, entries + 1, total + extra
        if extra > LARGEST_EXTRA:
            raise TooMuch(f"has a file with {extra:,} bytes of extra fields; the limit is {LARGEST_EXTRA:,}: zip it again")
    if total > FREE_EXTRA + EXTRA_AN_ENTRY * entries:
        raise TooMuch(f"has {total / 2**20:,.0f} MiB of extra fields, more than image files need: zip it again")


def _open(file: _Watched) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except TooMuch:
        raise
    except _DAMAGED as error:
        raise ValueError(f"is not a zip file, or is cut short or damaged ({error})") from None


def _fault_of_path(name: str, parts: tuple[str, ...]) -> str:
    """Why an entry's path is unsafe; empty if it is safe."""
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        return "its path starts at the root of a disk"
    return "its path leads out of the archive" if ".." in parts else ""


def _judge(info: zipfile.ZipInfo) -> str:
    """Why an entry cannot be used, apart from its name; empty if it can."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "is a link; links in an archive are not followed"
    if kind not in (0, stat.S_IFREG):
        return "is not a regular file"
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.compress_type == DEFLATE64:
        return "is compressed with Deflate64, which cannot be read; unpack the zip and zip it again (7-Zip: method Deflate)"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # bzip2 and LZMA unpack without a limit: a few kilobytes can fill the memory in one read.
        return f"is compressed with method {info.compress_type}; only stored and deflated files are read"
    if info.file_size > LARGEST_FILE:
        return f"unpacks to {info.file_size / 2**20:,.0f} MiB; the limit is {LARGEST_FILE // 2**20} MiB"
    return ""


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def _names(infos: list[zipfile.ZipInfo]) -> list[str]:
    """The entries' names. If some are not UTF-8, all are decoded with one encoding that fits, else as zipfile does (cp437)."""
    names = [_as_utf8(info) for info in infos]
    unsaid = [i for i, info in enumerate(infos) if not info.flag_bits & 0x800 and not info.filename.isascii()]
    if all(names[i] != infos[i].filename for i in unsaid):
        return names
    try:
        raw = [infos[i].filename.encode("cp437") for i in unsaid]
    except UnicodeError:  # the zip repeats some names in Unicode, and zipfile has used these
        return names
    # Guessed from all names together: some GBK names are valid UTF-8 by chance.
    if encoding := guess_encoding(raw):
        for i, content in zip(unsaid, raw, strict=True):
            names[i] = content.decode(encoding)
    return names


def _as_utf8(info: zipfile.ZipInfo) -> str:
    """The entry's name. Many tools, such as Apple's, write UTF-8 without saying so."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode()
    except UnicodeError:
        return info.filename
