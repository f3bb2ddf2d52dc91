"""The published sets: where their files are or come from, and what is in them. Knows nothing about sizes or caches.

Pickles can run code when they are loaded. CIFAR-10 usually comes as pickles: they are never loaded here.
"""

import gzip
import hashlib
import pickletools
import tarfile
import zlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from gan.data.downloads import download, why
from gan.events import Progress

Arrays = tuple[np.ndarray, np.ndarray]  # images uint8 (N, C, H, W) and labels int64 (N,)
Wanted = tuple[str, Path, str]  # an address, where the file goes, and its MD5


@dataclass(frozen=True)
class Published:
    """A set: what is known before it is read, where its files are or come from, and how they are read.

    Attributes:
        image_size: height and width.
        channels: 1 or 3.
        images: in both parts together.
        download: bytes.
        class_names: in the order of the labels.
        places: of its files below a folder in torchvision's layout, or elsewhere on this machine: one list for each form they come in.
        wanted: the files to download into a folder, without those that are there.
        parts: its files, and "train", "test" or "all" -> images and labels of one part after another, the test images last. It
            raises ValueError for a file that is damaged, or not the published one.
        count: how many parts "all" has.
        tests: images of the test part.
    """

    image_size: int
    channels: int
    images: int
    download: int
    class_names: tuple[str, ...]
    places: Callable[[Path], list[list[Path]]]
    wanted: Callable[[Path], list[Wanted]]
    parts: Callable[[list[Path], str], Generator[Arrays, None, None]]
    count: int
    tests: int = 10_000


# Names and checksums as in torchvision's datasets; a test compares them. Importing torchvision takes longer than importing torch.
FASHION_CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
FASHION_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FASHION_FILES = {  # name -> MD5; MNIST's files have the same names
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
EMBEDDED = Path(__file__).parent / "mnist"
SYSTEM = Path("/usr/share/datasets/fashion-mnist")  # Debian's package dataset-fashion-mnist
FASHION = "FashionMNIST/raw"  # where torchvision puts it
# The binary version: records of a label and 3,072 pixels. torchvision uses the same images as pickles.
CIFAR_URL, CIFAR_MD5 = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"
CIFAR_BINARY = ("data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin")
CIFAR_PYTHON_FOLDER, CIFAR_PYTHON_ARCHIVE = "cifar-10-batches-py", "cifar-10-python.tar.gz"
CIFAR_PYTHON = {  # name -> MD5
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
LARGEST_BATCH = 40_000_000  # bytes; the published ones have 31 million
PIXELS = 3 * 32 * 32


def find(name: str, root: Path) -> list[Path]:
    """The files of a set on this machine, for example below `root` in torchvision's layout; empty unless all are there."""
    return next((files for files in SETS[name].places(root) if all(file.is_file() for file in files)), [])


def obtain(name: str, root: Path) -> Generator[Progress, None, list[Path]]:
    """find(), after downloading what is missing.

    Raises:
        ValueError: it could not be downloaded, or came with the project and is gone; the message says what to do by hand.
    """
    if files := find(name, root):
        return files
    task = f"Downloading {name}"
    for url, path, md5 in SETS[name].wanted(root):
        try:
            yield from download(url, path, md5, task)
        except OSError as error:
            raise ValueError(
                f"the data set {name} could not be downloaded from {url} ({why(error)}): try again, or put {path.name} into {path.parent} yourself"
            ) from error
    if not (files := find(name, root)):
        raise ValueError(f"files of the data set {name} are missing from this installation: install the project again")
    return files


def read(name: str, files: list[Path], split: str) -> Generator[Progress, None, Arrays]:
    """The images and labels in a set's files from find().

    Args:
        split: "train", "test", or "all" for both, with the test images last.

    Raises:
        ValueError: a file is damaged, or not the published one.
    """
    known, parts = SETS[name], []
    for done, (images, labels) in enumerate(known.parts(files, split)):
        yield Progress(f"Reading {name}", done, known.count)
        parts.append((images, labels))
    yield Progress(f"Reading {name}", len(parts), len(parts))
    classes = len(known.class_names)
    stacked, labels_read = (np.concatenate(part) for part in zip(*parts, strict=True))
    if len(stacked) != len(labels_read) or not len(labels_read) or labels_read.max() >= classes:
        raise ValueError(
            f"{files[0].parent} does not hold {name}: found {len(stacked)} images and {len(labels_read)} labels of {classes} classes"
        )
    return stacked, labels_read.astype(np.int64)


def _embedded(root: Path) -> list[list[Path]]:
    return [[EMBEDDED / file for file in FASHION_FILES]]


def _nothing(root: Path) -> list[Wanted]:
    return []


def _fashion_files(root: Path) -> list[list[Path]]:
    return [[next((p for p in _fashion_places(root, file) if p.is_file()), root) for file in FASHION_FILES]]


def _fashion_places(root: Path, file: str) -> tuple[Path, ...]:
    return root / FASHION / file, root / FASHION / Path(file).stem, SYSTEM / file


def _fashion_wanted(root: Path) -> list[Wanted]:
    missing = [file for file in FASHION_FILES if not any(p.is_file() for p in _fashion_places(root, file))]
    return [(f"{FASHION_URL}{file}", root / FASHION / file, FASHION_FILES[file]) for file in missing]


def _idx_parts(files: list[Path], split: str) -> Generator[Arrays, None, None]:
    for images, labels in zip(files[0::2], files[1::2], strict=True):
        if split == "all" or images.name.startswith("train") == (split == "train"):
            yield _idx(images, 3)[:, None], _idx(labels, 1)


def _idx(path: Path, dimensions: int) -> np.ndarray:
    """An IDX file as a uint8 array (LeCun's format: magic, sizes, big-endian 32-bit, then the bytes)."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if content[:4] != bytes([0, 0, 8, dimensions]):
            raise ValueError(f"it is not an IDX file of {dimensions} dimensions")
        shape = np.frombuffer(content, ">i4", dimensions, 4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read ({error}): delete it, or put the published file in its place") from error


def _cifar_places(root: Path) -> list[list[Path]]:
    return [
        [root / "cifar-10-batches-bin" / file for file in CIFAR_BINARY],
        [root / Path(CIFAR_URL).name],
        [root / CIFAR_PYTHON_FOLDER / file for file in CIFAR_PYTHON],
        [root / CIFAR_PYTHON_ARCHIVE],
    ]


def _cifar_wanted(root: Path) -> list[Wanted]:
    return [(CIFAR_URL, root / Path(CIFAR_URL).name, CIFAR_MD5)]


def _cifar_parts(files: list[Path], split: str) -> Generator[Arrays, None, None]:
    contents = sorted(_cifar_files(files, split))  # an archive may have them in any order
    for name, path, content in contents:
        try:
            yield _cifar_records(content) if name.endswith(".bin") else _cifar_pickle(name, content)
        except ValueError as error:
            raise ValueError(f"{path} cannot be read ({name}: {error}): delete it, or put the published file in its place") from error
    if len(contents) != (wanted := {"train": 5, "test": 1, "all": 6}[split]):
        raise ValueError(
            f"{files[0]} holds {len(contents)} of the {wanted} batches of cifar10: delete it, or put the published file in its place"
        )


def _cifar_files(files: list[Path], split: str) -> Generator[tuple[str, Path, bytes], None, None]:
    """(name, where, content) of each batch, from single files or from the archive."""
    names = {name for name in (*CIFAR_BINARY, *CIFAR_PYTHON) if split == "all" or name.startswith("test") == (split == "test")}
    if len(files) > 1:
        yield from ((path.name, path, path.read_bytes()) for path in files if path.name in names)
        return
    try:
        with tarfile.open(files[0]) as archive:
            for member in archive:  # read in place, without unpacking
                name = PurePosixPath(member.name).name
                if name in names and member.size <= LARGEST_BATCH and (content := archive.extractfile(member)):
                    yield name, files[0], content.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{files[0]} cannot be read ({error}): delete it, or put the published file in its place") from error


def _cifar_records(content: bytes) -> Arrays:
    if not content or len(content) % (1 + PIXELS):
        raise ValueError(f"{len(content):,} bytes are not records of {1 + PIXELS:,}")
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + PIXELS)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def _cifar_pickle(name: str, content: bytes) -> Arrays:
    """Pixels and labels from one of the published pickles, found by walking its opcodes. The pickle is not loaded.

    In the published files, the pixels are one string, and the labels are the small numbers after the string "labels".
    """
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != CIFAR_PYTHON[name]:
        raise ValueError("its MD5 is not the published one, and a pickle may hold code")
    labels: list[int] = []
    pixels, after_labels = "", False
    for opcode, argument, _ in pickletools.genops(content):
        if isinstance(argument, str):
            after_labels = argument == "labels"
            pixels = argument if opcode.name == "BINSTRING" and len(argument) > len(pixels) else pixels
        elif after_labels and isinstance(argument, int) and opcode.name == "BININT1":
            labels.append(argument)
    if not labels or len(pixels) != PIXELS * len(labels):
        raise ValueError(f"{len(pixels):,} pixels and {len(labels):,} labels found in it")
    return np.frombuffer(pixels.encode("latin-1"), np.uint8).reshape(-1, 3, 32, 32), np.array(labels, np.uint8)


# torchvision reads CIFAR-10's class names from a pickle.
CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SETS = {
    "mnist": Published(28, 1, 70_000, 0, tuple("0123456789"), _embedded, _nothing, _idx_parts, 2),
    "fashion-mnist": Published(28, 1, 70_000, 30_878_645, FASHION_CLASSES, _fashion_files, _fashion_wanted, _idx_parts, 2),
    "cifar10": Published(32, 3, 60_000, 170_052_171, CIFAR_CLASSES, _cifar_places, _cifar_wanted, _cifar_parts, 6),
}
