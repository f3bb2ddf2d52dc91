"""Files that appear whole or not at all, and errors of the system in words. Knows nothing about what is in the files."""

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

_PART = re.compile(r"\.(?P<name>.+)\.\d+-\d+\.part")  # as write_atomically() calls a file until it is complete
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


def in_words(error: OSError) -> str:
    """An error of the system as a sentence: the file that it is about, if it names one, and what is wrong; no error numbers."""
    if error.errno is None:
        return str(error)
    said = WORDS.get(error.errno) or error.strerror or os.strerror(error.errno)
    return f"{error.filename}: {said}" if error.filename else said[:1].upper() + said[1:]


@contextmanager
def write_atomically(path: Path, durable: bool = True) -> Iterator[BinaryIO]:
    """Opens a file for writing that takes `path`'s place only when it is complete.

    durable: wait until the disk has it, so that it outlives a power cut too; without, it outlives the process.

    Raises:
        OSError: the folder cannot be made, or the disk is full; what was at `path` is untouched.
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


class _Noted:
    """An open file that keeps the OSError of a write that failed."""

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
        OSError: what the failed write raised, whatever the library makes of it.
    """
    noted = _Noted(file)
    try:
        save(noted)
    except Exception:
        if noted.error:
            raise noted.error from None
        raise


@contextmanager
def claimed(part: Path) -> Iterator[None]:
    """Makes a folder that is filled and then renamed or removed; while the block runs, sweep() of no process touches it.

    Raises:
        OSError: it is there already, or cannot be made.
    """
    lock = FileLock(_lock_of(part), timeout=2, thread_local=False)
    with lock:
        try:
            part.mkdir()
            yield
        finally:
            _lock_of(part).unlink(missing_ok=True)


def abandoned(part: Path) -> bool:
    """Whether a folder that claimed() made was left by a process that is gone: nobody holds its lock, and it is a minute old.

    One without a lock, which an earlier version made, is abandoned after a day.

    Raises:
        OSError: it is gone meanwhile, say.
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
    """Removes those folders that are abandoned(), with their locks; what cannot be removed is said in the log, and stays."""
    for part in parts:
        try:
            if part.is_dir() and abandoned(part):
                shutil.rmtree(part)
                _lock_of(part).unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s was left by an earlier process and cannot be removed: %s", part, in_words(error))


def _lock_of(part: Path) -> Path:
    """Next to the folder, so that it does not go along when the folder is renamed."""
    return part.with_name(f"{part.name}.lock")


def remove_parts(folder: Path, shared: Container[str] = ()) -> None:
    """Deletes what killed processes left half-written in a folder and below it. Call it only where nobody else writes.

    shared: names of files that others may be writing at this very moment; what is half-written of these goes when it is
        a minute old.

    Raises:
        OSError: a file cannot be deleted.
    """
    for part in folder.rglob(".*.part"):
        match = _PART.fullmatch(part.name)
        if match and part.is_file() and (match["name"] not in shared or time.time() - part.stat().st_mtime > ABANDONED_S):
            part.unlink(missing_ok=True)
