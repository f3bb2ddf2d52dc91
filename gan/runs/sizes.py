"""A quick upper limit on a set's images, so a batch that is too large is refused before a run waits for its turn."""

import functools
import os
from pathlib import Path

from gan.config import TrainConfig
from gan.data import parts, published
from gan.data.archives import Archive
from gan.data.datasets import NAMED, UPLOADED_ABOUT, UPLOADED_ZIP, data_root
from gan.data.decoding import SUFFIXES
from gan.data.drawn import DRAWN
from gan.training.feed import too_few

MOST_LOOKED_AT = 20_000  # files; a folder with more is not counted
LARGEST_ZIP = 64 * 2**20  # bytes; the table of contents of a larger one may take seconds to read
# Files with these endings, or none, may hold many images each.
PACKED = {"", ".npy", ".npz", ".csv", ".parquet", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst"}


def refuse_too_few(config: TrainConfig) -> None:
    """Refuses a data set that cannot be trained on with these settings, before a run is queued.

    Raises:
        ValueError: its data set has fewer images than a batch, or no classes where the run needs them, as far as that is known without
            reading the images.
    """
    if config.conditional and lacks_classes(config.data):
        raise ValueError(no_classes(config.data))
    if reason := unsuited(config):
        raise ValueError(reason)
    images = at_most(config.data, config.batch_size)
    if images is not None and images < config.batch_size:
        raise ValueError(f"the data set {config.data} holds {too_few(config, images)}")


def unsuited(config: TrainConfig) -> str:
    """Why a built-in set cannot be used by networks that translate images; empty if it can, or if only loading it can tell."""
    name, drawn, known = config.data, DRAWN.get(config.data), published.SETS.get(config.data)
    if config.networks == "pix2pix" and (known or (drawn and not drawn.paired)):
        return f"the data set {name} has no pairs of images, but networks pix2pix need them: choose sketches, or pairs of your own"
    if config.networks == "cyclegan" and known and len(known.class_names) != 2:
        return f"the data set {name} has {len(known.class_names)} classes, but networks cyclegan translate between two: choose another data set"
    return ""


def no_classes(name: str) -> str:
    """What is wrong with a set for a conditional run, and what to do."""
    return f"the data set {name} has no classes, but conditional needs them: choose another data set, or turn conditional off"


def at_most(name: str, enough: int) -> int | None:
    """An upper limit on the images of a set below data_root(); None if there is no quick way to tell, or it has `enough`.

    Files that turn out not to be images are counted, too. Anything that may hold more (links, archives) makes the number unknown.
    """
    if name in NAMED:
        return None
    path = data_root() / name
    try:
        if (path / UPLOADED_ABOUT).is_file():
            status = (path / UPLOADED_ZIP).stat()
            images = _in_zip(path / UPLOADED_ZIP, status.st_mtime_ns, status.st_size)
        else:
            images = _in_folder(path, enough)
    except (OSError, ValueError):  # the loader gives a better message
        return None
    return images if images is not None and images < enough else None


def lacks_classes(name: str) -> bool:
    """Whether a set below data_root() has no classes, for all that a quick look shows: it is an upload without folders."""
    path = data_root() / name
    if name in NAMED or not (path / UPLOADED_ABOUT).is_file():
        return False
    try:
        status = (path / UPLOADED_ZIP).stat()
        return not _has_classes(path / UPLOADED_ZIP, status.st_mtime_ns, status.st_size)
    except (OSError, ValueError):  # said better where the set is loaded
        return False


@functools.lru_cache(64)
def _in_zip(path: Path, changed_ns: int, size: int) -> int | None:
    """Images in a zip with this modification time and size."""
    if size > LARGEST_ZIP:
        return None
    with Archive(path, SUFFIXES) as archive:
        return len(archive.members)


@functools.lru_cache(64)
def _has_classes(path: Path, changed_ns: int, size: int) -> bool:
    """Whether a zip of this time and size has classes; True for one that is too large to look."""
    if size > LARGEST_ZIP:
        return True
    with Archive(path, SUFFIXES) as archive:
        return bool(parts.choose(archive.members, "train").classes)


def _in_folder(folder: Path, enough: int) -> int | None:
    images = looked = 0
    for directory, subfolders, files in os.walk(folder):
        if any((Path(directory) / name).is_symlink() for name in (*subfolders, *files)):
            return None
        endings = [Path(name).suffix.lower() for name in files if not name.startswith(".")]
        images += sum(ending in SUFFIXES for ending in endings)
        looked += len(files)
        if images >= enough or looked > MOST_LOOKED_AT or any(ending in PACKED for ending in endings):
            return None
    return images or None
