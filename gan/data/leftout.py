"""What a data set leaves out, and why: a sentence for each file, and counts by reason. Knows nothing about how sets are read."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from gan.data.names import printable, readable

MOST_SENTENCES = 1000  # that are stored; everything is counted
MOST_REASONS = 100  # that are counted separately: a stranger's zip may have a different ending for each file

ARCHIVES = {".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip", ".zst"}
TABLES = {".csv", ".npy", ".npz", ".parquet"}
HEIC = {".heic", ".heif", ".hif"}
RAW = {".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2"}

LITTER = {"thumbs.db", "desktop.ini", ".ds_store"}  # files that systems leave everywhere: not reported
# Folders of thumbnails, indices and deleted files: Synology's, Apple's, Windows', Picasa's. Hidden folders count too.
SYSTEM_FOLDERS = {"@eadir", "#recycle", "__macosx", "__pycache__", "$recycle.bin", "lost+found", "system volume information"}


@dataclass
class LeftOut:
    """What has been left out so far.

    Attributes:
        sentences: "PATH: REASON", at most MOST_SENTENCES.
        reasons: number of files or folders by reason. Details of a single file, such as its size, are not part of the reason.
    """

    sentences: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, parts: Iterable[str], reason: str) -> None:
        """Records a file or a folder that is left out. parts: its folders and its name."""
        self._count(kind(reason), 1)
        if len(self.sentences) < MOST_SENTENCES:
            self.sentences.append(f"{printable('/'.join(readable(part) for part in parts))}: {reason}")

    def extend(self, other: "LeftOut") -> None:
        """Adds the contents of another LeftOut."""
        for reason, count in other.reasons.items():
            self._count(reason, count)
        self.sentences += other.sentences[: MOST_SENTENCES - len(self.sentences)]

    def as_json(self) -> dict[str, Any]:
        """The form that from_json() reads."""
        return {"sentences": self.sentences, "reasons": dict(self.reasons)}

    @staticmethod
    def from_json(content: dict[str, Any] | None) -> "LeftOut":
        """The object from as_json()'s form; an empty one for None."""
        return LeftOut([*content["sentences"]], Counter(content["reasons"])) if content else LeftOut()

    def _count(self, reason: str, count: int) -> None:
        known = reason in self.reasons or len(self.reasons) < MOST_REASONS
        self.reasons[reason if known else "other reasons"] += count

    def __len__(self) -> int:
        return self.reasons.total()


def kind(reason: str) -> str:
    """A reason without the details of a single file.

    "has 3 x 3 pixels; at least 8 x 8 are needed" -> "has … x … pixels", "is damaged (broken)" -> "is damaged".
    """
    return re.sub(r"(?<![\w.])\d[\d,.]*", "…", re.split(r" \(|; ", reason)[0])


def examples(sentences: Sequence[str], reasons: Iterable[tuple[str, int]]) -> list[tuple[int, str]]:
    """For each reason the number of files, and the first sentence with that reason, or the bare reason if no sentence has it.

    Args:
        sentences: "PATH: REASON", see LeftOut. Both may contain a colon.
        reasons: from kind(), with counts.
    """
    first: dict[str, str] = {}
    for sentence in sentences:
        for colon in re.finditer(": ", sentence):
            first.setdefault(kind(sentence[colon.end() :]), sentence)
    return [(count, first.get(reason, reason)) for reason, count in reasons]


def system_folder(name: str) -> bool:
    """Whether a folder belongs to a system or a tool, not to the images: @eaDir, __MACOSX, .thumbnails."""
    return name.lower() in SYSTEM_FOLDERS or (name.startswith(".") and name not in (".", ".."))


def litter(name: str) -> bool:
    """Whether a file is one that systems leave everywhere: Thumbs.db, .DS_Store, Apple's ._copies."""
    return name.lower() in LITTER or name.startswith("._")


def fault_of_name(name: str, suffixes: set[str], where: str) -> str:
    """Why a file cannot be an image to read, judging by its name; empty if it may be one.

    Args:
        name: the file's name, without folders.
        suffixes: file endings of images, as in ".png".
        where: what the file is in: "folder", "zip" or "tar".
    """
    suffix = PurePosixPath(name).suffix.lower()
    if name.startswith("."):
        return "is hidden"
    if suffix in suffixes:
        return ""
    if suffix in ARCHIVES:
        return f"is an archive inside the {where}; unpack it first"
    if suffix in HEIC:
        return "is a HEIC photo; convert it to JPEG or PNG (on a Mac, Preview can export many at once)"
    if suffix in RAW:
        return f"is a camera's raw file ({suffix}); convert it to JPEG or PNG"
    if suffix in TABLES or "idx3-ubyte" in name:
        return f"is a table of images or labels inside the {where}; to read it, choose the file itself"
    if suffix == ".avif" and where != "folder":
        return f"is an AVIF image inside the {where}; AVIF is read in folders only, so convert it to PNG or JPEG"
    if suffix in (".avif", ".jp2"):
        return f"ends in {suffix}, which this Pillow cannot read; update Pillow"
    return f"ends in {printable(suffix, 20)}, not like an image" if suffix else "has no file ending"


def endings(names: Iterable[str]) -> str:
    """The endings of files with their counts, the most frequent first: ".heic (50), .txt (2), none (1)"."""
    counts = Counter(printable(PurePosixPath(name).suffix.lower(), 20) or "none" for name in names)
    first = ", ".join(f"{ending} ({count:,})" for ending, count in counts.most_common(8))
    return first + (", and others" if len(counts) > 8 else "")


def no_set(path: Path, suffixes: set[str], sets: Iterable[str]) -> str:
    """What to do about a file that is not a set of images.

    Args:
        path: the file.
        suffixes: file endings of images.
        sets: file endings of data sets.
    """
    suffix = path.suffix.lower()
    if suffix in suffixes:
        return f"{path} is a single image, but networks learn from many: choose their folder ({path.parent})"
    if suffix in (".7z", ".rar", ".bz2", ".xz", ".zst", ".gz"):
        return f"{path} is an unsupported archive: unpack it and choose the folder, or pack it as a .zip"
    if suffix in (".pkl", ".pickle", ".pt", ".pth"):
        return f"{path} could run code when opened, so it is not read: save its images as .npz (numpy.savez, images and labels)"
    if suffix in (".mat", ".h5", ".hdf5", ".tfrecord", ".tfrecords", ".arrow", ".feather", ".json", ".txt", ".tsv"):
        return f"{path}: {suffix} files are not read: save the images as .npz (numpy.savez, images and labels) or as files in a folder"
    if suffix in HEIC or suffix in RAW:
        return f"{path}: {suffix} files are not read: convert your photos to JPEG or PNG, and choose their folder"
    return f"{path} is not a data set: choose a folder of images, an IDX file, or a file that ends in {', '.join(sets)}"
