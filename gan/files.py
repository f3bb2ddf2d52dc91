"""Files that appear whole or not at all, and system errors in words. Knows nothing about what is in the files."""

import errno
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)

_PART = re.compile(r"\.(?P<name>.+)\.\d+-\d+\.part")  # the name that write_atomically() gives a file until it is complete
ABANDONED_S = 60.0
UNLOCKED_S = 24 * 3600.0
WORDS = {  # errno -> what is wrong with a file, where strerror alone would not say it or what to do
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "the disk quota is used up: free some space",
    errno.EROFS: "the file system is read-only: choose another folder, or make it writable",
    errno.EACCES: "permission denied: choose another folder, or change who may write there",
    errno.EPERM: "the system does not permit it: choose another folder, or change who may write there",
    errno.ENOMEM: "the machine is out of memory: end other programs, or choose smaller settings",
    errno.EMFILE: "this process has too many open files: raise its limit (ulimit -n)",
    errno.ENFILE: "the machine has too many open files: end other programs",
    errno.EIO: "the disk or the terminal does not answer (input/output error)",
    errno.ENOENT: "there is no such file or folder",
    errno.EEXIST: "this name is taken: choose another name",
    errno.ENOTEMPTY: "this name is taken: choose another name",
    errno.EISDIR: "this is a folder, not a file: choose another name",
    errno.ENOTDIR: "a part of this path is a file, not a folder",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EINVAL: "the file is damaged, or the system refuses the operation",
}


# A path from the top of a disk, up to its last name. Not the path of an address on the web, and no relative one.
_FOLDERS = re.compile(r"""(?<![\w/:.])(?:/(?:[^/\s:'"]+/)+|[A-Za-z]:\\(?:[^\\\s:'"]+\\)+)""")


def without_folders(text: str) -> str:
    """The text with file names instead of full paths, which are long and not for visitors."""
    return _FOLDERS.sub("", text)


def in_words(error: OSError) -> str:
    """A system error as a sentence: the file with its path, if it names one, and what is wrong. No error numbers."""
    if error.errno is None:
        return str(error)
    reason = WORDS.get(error.errno) or error.strerror or os.strerror(error.errno)
    return f"{error.filename}: {reason}" if error.filename else reason[:1].upper() + reason[1:]


def refuse_contents(folder: Path) -> None:
    """Checks a folder for new files, so nothing is overwritten and no two results mix.

    Raises:
        ValueError: it holds something, or a file has its name.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is not an empty folder: choose a new or empty one")


@contextmanager
def write_atomically(path: Path, durable: bool = True) -> Iterator[BinaryIO]:
    """Opens a file for writing that replaces `path` only once it is complete.

    durable: wait until the file is on disk, so it survives a power cut. Otherwise it survives only the end of the process.

    Raises:
        OSError: the folder cannot be made, or the disk is full, say. An earlier file at `path` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


class NotedFile:
    """An open file that remembers the OSError of a failed write."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, content: Any) -> int:
        try:
            return self._file.write(content)
        except OSError as error:
            self.error = self.error or error
            raise

    def flush(self) -> None:
        self._file.flush()


def write_through(save: Callable[[Any], None], file: BinaryIO) -> None:
    """Calls save(file) for a library that hides why a write failed: torch.save() and numpy.save() report a full disk as other errors.

    Raises:
        OSError: the error of the failed write, whatever error the library raised for it.
    """
    noted = NotedFile(file)
    try:
        save(noted)
    except Exception:
        if noted.error:
            raise noted.error from None
        raise


@contextmanager
def claimed(part: Path) -> Iterator[None]:
    """Makes a folder that the caller fills and then renames or removes. While the block runs, no process's sweep() touches it.

    Raises:
        OSError: it exists already, or cannot be made.
    """
    lock = FileLock(_lock_of(part), timeout=2, thread_local=False)
    with lock:
        try:
            part.mkdir()
            yield
        finally:
            _lock_of(part).unlink(missing_ok=True)


def abandoned(part: Path) -> bool:
    """Whether a folder that claimed() made was left behind: nobody holds its lock, and it is at least a minute old.

    A folder without a lock (from an earlier version) is abandoned after a day.

    Raises:
        OSError: it was deleted meanwhile, say.
    """
    age_s, lock = time.time() - part.stat().st_mtime, _lock_of(part)
    if not lock.exists():
        return age_s > UNLOCKED_S
    if age_s < ABANDONED_S:
        return False
    probe = FileLock(lock, timeout=0)
    try:
        probe.acquire()
    except Timeout:
        return False
    probe.release()
    return True


def sweep(parts: Iterable[Path]) -> None:
    """Removes the folders that are abandoned(), with their locks. A folder that cannot be removed stays, and the log says so."""
    for part in parts:
        try:
            if part.is_dir() and abandoned(part):
                shutil.rmtree(part)
                _lock_of(part).unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s was left by an earlier process and cannot be removed: %s", part, in_words(error))


def _lock_of(part: Path) -> Path:
    """Next to the folder, so it stays behind when the folder is renamed."""
    return part.with_name(f"{part.name}.lock")


def remove_parts(folder: Path, shared: Container[str] = ()) -> None:
    """Deletes half-written files that killed processes left in a folder and below it. Call it only if nobody else writes there.

    shared: names of files that others may be writing right now; their half-written versions are deleted once they are a
        minute old.

    Raises:
        OSError: a file cannot be deleted.
    """
    for part in folder.rglob(".*.part"):
        match = _PART.fullmatch(part.name)
        if match and part.is_file() and (match["name"] not in shared or time.time() - part.stat().st_mtime > ABANDONED_S):
            part.unlink(missing_ok=True)
