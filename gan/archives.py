"""Zips of images, which may come from anybody. Nothing is unpacked to disk, so no name in them is ever a path.

What would be too much is refused from the table of contents, before anything is unpacked; zipfile then never gives more of
a file than the table says.
"""

import io
import re
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

MOST_ENTRIES = 250_000
LARGEST_CONTENTS = 64 * 2**20  # bytes of the table of contents
# Bytes of extra fields (times, owners, sizes above 4 GiB): of one entry, and of all, for which each entry adds to what is free.
# zipfile goes through them with a copy of the rest for each field: 64 MiB of them take 18 s.
LARGEST_EXTRA, FREE_EXTRA, EXTRA_AN_ENTRY = 4096, 2**20, 128
LARGEST_FILE = 32 * 2**20  # bytes of one image file, unpacked
LARGEST_UNPACKED = 8 * 2**30  # bytes, all images together
MOST_RATIO = 100  # unpacked over packed, beyond FREE_UNPACKED: image files hardly shrink
FREE_UNPACKED = 64 * 2**20

ARCHIVES = {".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip", ".zst"}
LITTER = {"__macosx", "thumbs.db", "desktop.ini"}  # what systems leave behind; files that start with a dot too

_ENTRY = b"PK\x01\x02"  # starts each entry of the table of contents

# What zipfile raises for a damaged archive, besides its own BadZipFile.
_DAMAGED = (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError, OverflowError, struct.error, zlib.error)


class TooMuch(ValueError):
    """The archive is beyond a bound."""


class Member(NamedTuple):
    """An image file in a folder or a zip: its folders and name, its size in bytes, what changes with its content, and where it is."""

    parts: tuple[str, ...]
    size: int
    stamp: int
    source: Any


class Archive:
    """An open zip: the images in it, sorted by name, and a sentence for everything else. Use it in a `with`."""

    def __init__(self, path: Path, suffixes: set[str]) -> None:
        """
        Args:
            path: the zip.
            suffixes: the endings of images, as in ".png".

        Raises:
            ValueError: it is no zip, or what it holds is beyond the bounds; the message wants the file's name before it.
        """
        self.members: list[Member] = []
        self.skipped: list[str] = []
        self._file = _Watched(io.FileIO(path))
        try:
            self._zip = _open(self._file)
            seen: set[tuple[str, ...]] = set()
            for info in self._zip.infolist():
                parts, fault = _judge(info, suffixes)
                if parts and not fault and parts in seen:
                    fault = "comes more than once; the first is used"
                if fault:
                    self.skipped.append(f"{printable('/'.join(parts) or info.filename)}: {fault}")
                elif parts:
                    seen.add(parts)
                    self.members.append(Member(parts, info.file_size, info.CRC, info))
            self.members.sort(key=lambda member: member.parts)
            self._bound(path)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def _bound(self, path: Path) -> None:
        unpacked = sum(member.size for member in self.members)
        packed = min(path.stat().st_size, sum(member.source.compress_size for member in self.members))
        if unpacked > LARGEST_UNPACKED:
            raise TooMuch(f"unpacks to {unpacked / 2**30:,.1f} GiB; at most {LARGEST_UNPACKED / 2**30:.0f} GiB are read: split it")
        if unpacked > FREE_UNPACKED and unpacked > MOST_RATIO * packed:
            raise TooMuch(
                f"unpacks to {unpacked // max(1, packed):,} times its size, which images never do; at most {MOST_RATIO} times are read"
            )

    def read(self, member: Member) -> bytes | str:
        """A member's content, or a sentence that says why it cannot be read."""
        try:
            with self._zip.open(member.source) as file:
                content = file.read(member.size + 1)
        except _DAMAGED as error:
            return f"is damaged in the zip ({printable(str(error))})"
        return content if len(content) == member.size else "is cut short in the zip"


def printable(text: str, most: int = 100) -> str:
    """Text from a file's name without control characters, line ends and writing directions, and of bearable length."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


class _Watched(io.BufferedReader):
    """A zip's file that refuses a table of contents of too many entries before zipfile makes an object of each."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LARGEST_CONTENTS:
            raise TooMuch(f"has a table of contents of more than {LARGEST_CONTENTS // 2**20} MiB: split it")
        content = super().read(LARGEST_CONTENTS if size is None or size < 0 else size)
        if (entries := content.count(_ENTRY)) > MOST_ENTRIES:
            raise TooMuch(f"holds about {entries:,} files; at most {MOST_ENTRIES:,} are read: split it")
        if content.startswith(_ENTRY):
            _bound_extra(content)
        return content


def _bound_extra(contents: bytes) -> None:
    """Refuses a table of contents with more extra fields than any tool writes, before zipfile goes through them.

    Raises:
        TooMuch: it has.
    """
    at = entries = total = 0
    while contents[at : at + 4] == _ENTRY and at + 46 <= len(contents):
        name, extra, comment = struct.unpack_from("<3H", contents, at + 28)
        at, entries, total = at + 46 + name + extra + comment, entries + 1, total + extra
        if extra > LARGEST_EXTRA:
            raise TooMuch(f"has a file with {extra:,} bytes of extra fields; at most {LARGEST_EXTRA:,} are read: pack it again")
    if total > FREE_EXTRA + EXTRA_AN_ENTRY * entries:
        raise TooMuch(f"has {total / 2**20:,.0f} MiB of extra fields, more than images need: pack it again")


def _open(file: _Watched) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except TooMuch:
        raise
    except _DAMAGED as error:
        raise ValueError(f"is not a zip file, or is cut or damaged ({error})") from None


def _judge(info: zipfile.ZipInfo, suffixes: set[str]) -> tuple[tuple[str, ...], str]:
    """An entry's folders and name, and what speaks against it. No parts and no fault: nothing worth a word."""
    name = _name(info).replace("\\", "/")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if not parts or name.endswith("/") or any((part.startswith(".") and part != "..") or part.lower() in LITTER for part in parts):
        return (), ""
    kind = stat.S_IFMT(info.external_attr >> 16)
    suffix = Path(parts[-1]).suffix.lower()
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return parts, "its path starts at the root of a disk"
    if ".." in parts:
        return parts, "its path leads out of the zip"
    if kind == stat.S_IFLNK:
        return parts, "is a link"
    if kind not in (0, stat.S_IFREG):
        return parts, "is not a regular file"
    if suffix in ARCHIVES:
        return parts, "is an archive inside the zip; unpack it first"
    if suffix not in suffixes:
        return parts, "does not end like an image"
    if info.flag_bits & 0x1:
        return parts, "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # bzip2 and LZMA unpack without a bound: a few kilobytes of them can fill the memory in one read.
        return parts, f"is packed with method {info.compress_type}; only plain and deflated files are read"
    if info.file_size > LARGEST_FILE:
        return parts, f"unpacks to {info.file_size / 2**20:,.0f} MiB; at most {LARGEST_FILE // 2**20} MiB are read"
    return parts, ""


def _name(info: zipfile.ZipInfo) -> str:
    """The entry's name; many tools, Apple's among them, write UTF-8 without saying so."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode()
    except UnicodeError:
        return info.filename
