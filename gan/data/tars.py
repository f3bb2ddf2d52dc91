"""Tar files of images that the host names, plain or gzipped. No name in them becomes a path.

A plain tar is read in place. A gzipped one is first copied to a plain temporary file, because files are read in the order of
their names, and gzip can only be read forward.
"""

import gzip
import tarfile
import tempfile
import zlib
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from gan.data.archives import LARGEST_FILE, LARGEST_UNPACKED, MOST_ENTRIES, Member, Sieve, TooMuch
from gan.data.leftout import LeftOut
from gan.events import Progress

SUFFIXES = (".tar", ".tar.gz", ".tgz")
CHUNK = 2**22  # bytes unpacked between two Progress events
_DAMAGED = (tarfile.TarError, OSError, EOFError, zlib.error, ValueError)


class Tar:
    """An open tar. Use it in a `with`; call look() first.

    Attributes:
        members: the images in it, sorted by name.
        left_out: everything else.
    """

    def __init__(self, path: Path, scratch: Path) -> None:
        """
        Args:
            path: the tar.
            scratch: a folder on a disk with room for an unpacked copy.
        """
        self.members: list[Member] = []
        self.left_out = LeftOut()
        self._path, self._scratch = path, scratch
        self._file: BinaryIO | None = None
        self._tar: tarfile.TarFile | None = None

    def __enter__(self) -> "Tar":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for opened in (self._tar, self._file):
            if opened:
                opened.close()

    def look(self, suffixes: set[str]) -> Generator[Progress, None, None]:
        """Finds the images.

        Yields:
            Progress.

        Raises:
            ValueError: it is not a tar, or it exceeds a limit; the message continues a sentence that begins with the file's name.
        """
        packed = self._path.suffix.lower() in (".gz", ".tgz")
        self._file = (yield from _unpacked(self._path, self._scratch)) if packed else self._path.open("rb")
        try:
            self._tar = tarfile.open(fileobj=self._file, mode="r:")  # noqa: SIM115 (closed by __exit__)
            yield from self._sort(suffixes)
        except TooMuch:
            raise
        except _DAMAGED as error:
            raise ValueError(f"is not a tar file, or is cut short or damaged ({error})") from None

    def _sort(self, suffixes: set[str]) -> Generator[Progress, None, None]:
        assert self._tar is not None
        sieve = Sieve(self.left_out, suffixes)
        for number, info in enumerate(self._tar):
            if number >= MOST_ENTRIES:
                raise TooMuch(f"holds more than {MOST_ENTRIES:,} files: unpack it, and use the folder")
            if number % 1000 == 0:
                yield Progress("Looking for images", number, 0)
            if not info.isdir() and (parts := sieve.take(info.name, "tar", lambda info=info: _judge(info))):  # type: ignore[misc]
                self.members.append(Member(parts, info.size, int(info.mtime), info))
        self.members.sort(key=lambda member: member.parts)

    def read(self, member: Member) -> bytes | str:
        """A member's content, or a sentence that says why it cannot be read."""
        assert self._tar is not None
        try:
            file = self._tar.extractfile(member.source)
            content = file.read(member.size) if file else b""
        except _DAMAGED as error:
            return f"is damaged in the tar ({error})"
        return content if len(content) == member.size else "is cut short in the tar"


def _judge(info: tarfile.TarInfo) -> str:
    """Why an entry cannot be used, apart from its name; empty if it can."""
    if info.issym() or info.islnk():
        return "is a link; links in an archive are not followed"
    if not info.isreg():
        return "is not a regular file"
    if info.size > LARGEST_FILE:
        return f"has {info.size / 2**20:,.0f} MiB; the limit is {LARGEST_FILE // 2**20} MiB"
    return ""


def _unpacked(path: Path, scratch: Path) -> Generator[Progress, None, BinaryIO]:
    """The unpacked content of a gzip file, in a temporary file without a name."""
    copy = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 (closed by its user)
    try:
        with gzip.open(path, "rb") as packed:
            while chunk := _read(packed):
                copy.write(chunk)
                if copy.tell() > LARGEST_UNPACKED:
                    raise TooMuch(f"unpacks to more than {LARGEST_UNPACKED / 2**30:.0f} GiB: unpack it, and use the folder")
                yield Progress("Unpacking", copy.tell(), 0)
    except BaseException:
        copy.close()
        raise
    copy.seek(0)
    return copy


def _read(packed: gzip.GzipFile) -> bytes:
    try:
        return packed.read(CHUNK)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"is not a gzip file, or is cut short or damaged ({error})") from None
