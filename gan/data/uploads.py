"""Sets that visitors upload: a zip, checked and stored under a name below data_root(). Knows nothing about pages or runs.

An uploaded set is a folder with the original zip and a note about it. The zip is never unpacked to disk, so no name
in it can reach the file system; datasets.py reads it in place and stores the decoded images in the cache.
"""

import contextlib
import errno
import functools
import json
import re
import shutil
import threading
import time
import uuid
from collections.abc import Collection, Generator
from pathlib import Path
from typing import Any, BinaryIO

from gan.data import datasets
from gan.data.datasets import NAMED, RESERVED, UPLOADED_ABOUT, UPLOADED_ZIP, data_root
from gan.data.form import Form
from gan.data.names import printable
from gan.events import Progress
from gan.files import claimed, sweep
from gan.owners import LOCAL, WHO_ARE_YOU, NotAllowed, Visitor, may_change, refusal
from gan.untrusted import read_json

LARGEST_UPLOAD = 200 * 2**20  # bytes of one zip; .streamlit/config.toml tells browsers the same limit
LARGEST_TOTAL = 10 * 2**30  # bytes of all uploaded zips together
DISK_RESERVE = 2**30  # bytes of the disk that uploads must leave free
LONGEST_NAME = 40
TURN_S = 0.5  # seconds between two Progress events of an upload that waits
CHUNK = 2**22  # bytes copied between two Progress events


def add(file: BinaryIO, name: str, file_name: str, visitor: Visitor = LOCAL) -> Generator[Progress, None, str]:
    """Adds a zip of images: copies, checks and decodes it, then names the set.

    Args:
        file: the zip's content, seekable.
        name: the wanted name, see check_name(); if it is taken, a number is added.
        file_name: the file's name, for messages.
        visitor: who uploads it, and may delete it later.

    Yields:
        Progress. Closing the generator leaves nothing behind.

    Returns:
        The set's name.

    Raises:
        NotAllowed: the visitor is unknown.
        ValueError: the name is not allowed, the zip is refused, or no image in it can be used. Nothing of it is left.
        OSError: the disk is full, say. Nothing of it is left.
    """
    if not visitor.known:
        raise NotAllowed(WHO_ARE_YOU)
    check_name(name)
    size = file.seek(0, 2)
    file.seek(0)
    if size > LARGEST_UPLOAD:
        raise ValueError(
            f"the file {printable(file_name)} has {size / 2**20:,.0f} MiB; the limit is {LARGEST_UPLOAD // 2**20} MiB: make it smaller, or ask the host to add a folder"
        )
    root = data_root()
    root.mkdir(parents=True, exist_ok=True)
    remove_abandoned()
    taken = sum(_size(path) for path in root.glob(f"*/{UPLOADED_ZIP}"))
    if taken + size > LARGEST_TOTAL:
        raise ValueError(f"uploaded data sets have nearly reached their limit of {LARGEST_TOTAL / 2**30:.0f} GiB: delete one first")
    if shutil.disk_usage(root).free < size + DISK_RESERVE:
        raise ValueError("the server's disk is nearly full: upload again when there is room")
    part = root / f".upload-{uuid.uuid4().hex}"  # hidden, and unique to this upload
    claim = contextlib.ExitStack()
    claim.enter_context(claimed(part))
    try:
        with (part / UPLOADED_ZIP).open("wb") as copy:
            while chunk := file.read(CHUNK):
                yield Progress("Copying the zip", copy.tell(), size)
                copy.write(chunk)
        yield from _in_turn(datasets.load_zip(printable(file_name), part / UPLOADED_ZIP, Form(*datasets.native(name))))
        note = {"file": printable(file_name), "owner": visitor.name, "owner_id": visitor.id, "uploaded": time.time()}
        (part / UPLOADED_ABOUT).write_text(json.dumps(note), encoding="utf-8")
        return _name_it(part, name)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        claim.close()


@functools.cache
def _turn() -> threading.Lock:
    """Held while an upload is being decoded: only one at a time, so uploads do not starve the runs of this process."""
    return threading.Lock()


def _in_turn(loading: datasets.Loading) -> Generator[Progress, None, None]:
    """Waits until no other upload is being decoded, then decodes every image of this one, at the size that the Data page shows."""
    while not _turn().acquire(timeout=TURN_S):
        yield Progress("Waiting for another upload to be decoded", 0, 0)
    try:
        yield from loading
    finally:
        _turn().release()


def _name_it(part: Path, name: str) -> str:
    """Moves a finished upload to the first free name. Two that finish at once cannot get the same name."""
    while True:
        free = free_name(name)
        try:
            part.rename(data_root() / free)
            return free
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise


def check_name(name: str) -> None:
    """
    Raises:
        ValueError: the name is not allowed.
    """
    if not re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{LONGEST_NAME - 1}}}", name):
        raise ValueError(
            f"a data set's name must have 1 to {LONGEST_NAME} letters, digits, - or _, and start with a letter or digit; got {name[:100]!r}"
        )


def name_from(file_name: str) -> str:
    """An allowed name for a set, made from its file's name."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", Path(file_name).stem).strip("-_")[:LONGEST_NAME] or "images"


def free_name(name: str) -> str:
    """The name, or the first of name-2, name-3, ... that no set has yet, ignoring case."""
    taken = {other.casefold() for other in (*NAMED, *RESERVED)}
    taken |= {path.name.casefold() for path in data_root().iterdir()} if data_root().is_dir() else set()
    number, free = 1, name
    while free.casefold() in taken:
        number += 1
        free = f"{name[: LONGEST_NAME - len(str(number)) - 1]}-{number}"
    return free


def about(name: str) -> dict[str, Any] | None:
    """What is known about an uploaded set: `file`, `owner`, `owner_id`, `uploaded` (seconds since 1970). None for any other set.

    owner_id is empty if nobody owns it, and None if the owner is unknown.
    """
    path = data_root() / name / UPLOADED_ABOUT
    if name in NAMED or not path.is_file():
        return None
    try:
        note = read_json(path)
        owner = {"owner": str(note["owner"]), "owner_id": str(note.get("owner_id", ""))}
        return {"file": str(note["file"]), **owner, "uploaded": float(note["uploaded"])}
    except (OSError, ValueError, KeyError, TypeError):  # damaged: still an uploaded set, but nothing else is known about it
        return {"file": "", "owner": "", "owner_id": None, "uploaded": 0.0}


def may_delete(name: str, visitor: Visitor) -> bool:
    """Whether a visitor may delete a set: its owner and the host may. Without an owner, anyone on a server without a host may."""
    note = about(name)
    return note is not None and (visitor.admin if note["owner_id"] is None else may_change(note["owner_id"], visitor))


def delete(name: str, in_use: Collection[str], visitor: Visitor = LOCAL) -> None:
    """Deletes an uploaded set, and its images in the cache.

    Args:
        name: of the set.
        in_use: the sets that active runs train on.
        visitor: who wants to delete it.

    Raises:
        NotAllowed: it belongs to someone else.
        ValueError: it was not uploaded, or is in use.
        OSError: it cannot be deleted.
    """
    if (note := about(name)) is None:
        raise ValueError(f"the data set {name} was not uploaded, so it cannot be deleted here")
    if not may_delete(name, visitor):
        raise NotAllowed(refusal(note["owner"], note["owner_id"], "brought it", "delete this data set"))
    if name in in_use:
        raise ValueError(f"a run trains on the data set {name}: stop it first")
    gone = data_root() / f".upload-{uuid.uuid4().hex}"
    (data_root() / name).rename(gone)  # at once, and for everyone
    with contextlib.suppress(ValueError, OSError):  # a zip that was damaged meanwhile: the cache will drop its images in time
        datasets.forget(gone / UPLOADED_ZIP)
    shutil.rmtree(gone, ignore_errors=True)


def _size(path: Path) -> int:
    """Bytes of a file; 0 if it has just been deleted."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def remove_abandoned() -> None:
    """Removes what killed processes left half-made or half-deleted."""
    sweep(data_root().glob(".upload-*"))
