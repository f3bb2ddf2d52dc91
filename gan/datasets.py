"""Name or folder -> ImageDataset: every image in memory as uint8, decoded once. Knows nothing of networks or runs.

Sets are loaded by generators that yield Progress and return the set, so that whoever waits can show how far they are,
and can stop.
"""

import gzip
import hashlib
import os
import warnings
import zipfile
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torchvision.transforms.v2 import functional as transforms

from gan import faces
from gan.events import Progress
from gan.files import write_atomically

NAMED = ("mnist", "faces")
FACES = 5000
SMALLEST_SIDE = 8  # pixels: smaller images hold nothing to learn
LARGEST_IMAGE = 100_000_000  # pixels: more is a decompression bomb or a satellite
LARGEST_SET = 4 * 2**30  # bytes, decoded
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True)
class ImageDataset:
    """Images of one size, decoded.

    Attributes:
        name: what the set was asked for by.
        images: uint8, (N, C, H, W).
        labels: int64, (N,), indices into class_names; None where the set has none.
        class_names: one name a class.
        attributes: bool, (N, len(attribute_names)): several yes-or-no facts an image; None where the set has none.
        skipped: a sentence for each file that was left out.
    """

    name: str
    images: torch.Tensor
    labels: torch.Tensor | None = None
    class_names: tuple[str, ...] = ()
    attributes: torch.Tensor | None = None
    attribute_names: tuple[str, ...] = ()
    skipped: tuple[str, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.images)

    def fingerprint(self) -> str:
        """16 hex digits that differ when shape or any pixel differs."""
        digest = hashlib.blake2b(repr(tuple(self.images.shape)).encode(), digest_size=8)
        digest.update(self.images.contiguous().numpy().data)
        return digest.hexdigest()


Loading = Generator[Progress, None, ImageDataset]


def data_root() -> Path:
    """Where data sets are looked for: WORKSHOP_DATA, or data/ in the working directory."""
    return Path(os.environ.get("WORKSHOP_DATA") or "data")


def available() -> list[str]:
    """The sets that can be chosen without naming a path: the named ones, then the folders below data_root()."""
    root = data_root()
    folders = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith((".", "cache"))) if root.is_dir() else []
    return [*NAMED, *(name for name in folders if name not in NAMED)]


def load(name: str, image_size: int, channels: int, split: str = "train") -> Loading:
    """Loads a set at a size.

    Args:
        name: "mnist", "faces", a folder below data_root(), or the path of a folder of images; class subfolders
            become labels, as in torchvision's ImageFolder.
        image_size: height and width in pixels; folders' images are cropped to their middle square.
        channels: 1 for grey, 3 for RGB.
        split: "train", or "all" to add the test images where the set has them.

    Yields:
        Progress.

    Raises:
        ValueError: there is no such set or folder, or no image in it can be used.
    """
    if name == "mnist":
        return (yield from _mnist(image_size, channels, split))
    if name == "faces":
        return (yield from _faces(image_size, channels))
    for folder in (data_root() / name, Path(name).expanduser()):
        if folder.is_dir():
            return (yield from _folder(name, folder, image_size, channels))
    raise ValueError(f"there is no data set {name!r}: choose one of {', '.join(available())}, or the path of a folder of images")


def _mnist(image_size: int, channels: int, split: str) -> Loading:
    task = "Loading the digits"
    yield Progress(task, 0, 2)
    parts = ("train", "t10k") if split == "all" else ("train",)
    images = torch.cat([torch.from_numpy(_idx(f"{part}-images-idx3-ubyte.gz", 3)) for part in parts]).unsqueeze(1)
    labels = torch.cat([torch.from_numpy(_idx(f"{part}-labels-idx1-ubyte.gz", 1)) for part in parts]).long()
    yield Progress(task, 1, 2)
    images = yield from _resize(images, image_size, channels)
    return ImageDataset("mnist", images, labels, tuple("0123456789"))


def _idx(file: str, dimensions: int) -> np.ndarray:
    """An embedded IDX file as a uint8 array (LeCun's format: magic, sizes, big-endian 32-bit, then the bytes)."""
    content = gzip.decompress((Path(__file__).parent / "mnist" / file).read_bytes())
    shape = np.frombuffer(content, ">i4", dimensions, 4)
    return np.frombuffer(bytearray(content), np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _resize(images: torch.Tensor, image_size: int, channels: int) -> Generator[Progress, None, torch.Tensor]:
    """uint8 (N, C, H, W) -> uint8 (N, channels, image_size, image_size), antialiased."""
    parts = []
    for start in range(0, len(images), 2000):
        part = images[start : start + 2000]
        if part.shape[1] != channels:
            part = transforms.grayscale_to_rgb(part) if channels == 3 else transforms.rgb_to_grayscale(part)
        if part.shape[-1] != image_size:
            part = transforms.resize(part, [image_size, image_size], antialias=True)
            yield Progress("Resizing the images", start, len(images))
        parts.append(part)
    return torch.cat(parts)


def _faces(image_size: int, channels: int) -> Loading:
    cache = data_root() / "cache" / f"faces-{faces.VERSION}-{image_size}.npz"
    try:
        with cache.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            pixels, attributes = stored["images"], stored["attributes"]
        if pixels.shape != (FACES, 3, image_size, image_size) or attributes.shape != (FACES, len(faces.ATTRIBUTES)):
            raise ValueError("another shape")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # absent, or cut short: draw them
        drawn = []
        for i in range(FACES):
            if i % 50 == 0:
                yield Progress("Drawing the faces (once)", i, FACES)
            drawn.append(faces.draw_face(i, image_size))
        pixels, attributes = (np.stack(part) for part in zip(*drawn, strict=True))
        try:
            with write_atomically(cache) as file:
                np.savez(file, images=pixels, attributes=attributes)
        except OSError as error:
            warnings.warn(f"the faces could not be kept in {cache} ({error}); they will be drawn again", stacklevel=2)
    images = yield from _resize(torch.from_numpy(pixels), image_size, channels)
    facts = torch.from_numpy(attributes)
    return ImageDataset("faces", images, facts[:, 0].long(), ("no glasses", "glasses"), facts, faces.ATTRIBUTES)


def _folder(name: str, folder: Path, image_size: int, channels: int) -> Loading:
    """Images of a folder and everything below it, sorted by path. Class subfolders become labels."""
    yield Progress("Looking for images", 0, 0)
    paths = sorted(p for p in _files(folder) if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise ValueError(f"{folder} holds no images; known endings are {', '.join(sorted(SUFFIXES))}")
    size = len(paths) * channels * image_size**2
    if size > LARGEST_SET:
        raise ValueError(
            f"{folder} holds {len(paths):,} images, {size / 2**30:.1f} GiB at {image_size} pixels; at most {LARGEST_SET / 2**30:.0f} GiB fit"
        )

    classes = sorted({p.relative_to(folder).parts[0] for p in paths if len(p.relative_to(folder).parts) > 1})
    labelled = bool(classes) and all(len(p.relative_to(folder).parts) > 1 for p in paths)

    images, labels, skipped = [], [], []
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="decode") as pool:
        for start in range(0, len(paths), 32):
            yield Progress("Reading the images", start, len(paths))
            part = paths[start : start + 32]
            for path, result in zip(part, pool.map(lambda p: decode(p, image_size, channels), part), strict=True):
                if isinstance(result, str):
                    skipped.append(f"{path.relative_to(folder)}: {result}")
                else:
                    images.append(result)
                    if labelled:
                        labels.append(classes.index(path.relative_to(folder).parts[0]))
    if not images:
        raise ValueError(f"none of the {len(paths)} images in {folder} can be used; the first: {skipped[0]}")
    stacked = torch.from_numpy(np.stack(images))
    found = torch.tensor(labels) if labelled else None
    return ImageDataset(name, stacked, found, tuple(classes) if labelled else (), skipped=tuple(skipped))


def _files(folder: Path) -> Iterator[Path]:
    """Every regular file below a folder; links to elsewhere are not followed."""
    for directory, subfolders, names in os.walk(folder):
        subfolders[:] = [s for s in subfolders if not s.startswith(".")]
        yield from (Path(directory) / n for n in names if not n.startswith(".") and not (Path(directory) / n).is_symlink())


def decode(path: Path, image_size: int, channels: int) -> np.ndarray | str:
    """One image file as uint8 (channels, image_size, image_size), or a sentence that says why it cannot be used.

    Turned as the camera was held, transparency laid on white, 16 bits brought to 8, cut to its middle square.
    """
    try:
        with warnings.catch_warnings(), Image.open(path) as opened:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            width, height = opened.size
            if width * height > LARGEST_IMAGE:
                return f"has {width} x {height} pixels; at most {LARGEST_IMAGE:,} are read"
            if min(width, height) < SMALLEST_SIDE:
                return f"has {width} x {height} pixels; at least {SMALLEST_SIDE} x {SMALLEST_SIDE} are needed"
            opened.draft("RGB", (image_size * 2, image_size * 2))  # JPEG: decodes at a fraction of the size
            picture = _eight_bits(ImageOps.exif_transpose(opened))
            picture = ImageOps.fit(picture, (image_size, image_size), Image.Resampling.LANCZOS)
            pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    except UnidentifiedImageError:
        return "is not an image that can be read"
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        return f"cannot be decoded ({error or type(error).__name__})"
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Any Pillow mode -> L or RGB."""
    if picture.mode in ("L", "RGB"):
        return picture
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture, dtype=np.float64)
        top = 65535 if picture.mode.startswith("I;16") or values.max() > 255 else 1 if values.max() <= 1 and picture.mode == "F" else 255
        return Image.fromarray(np.clip(values / top * 255, 0, 255).round().astype(np.uint8))
    if "A" in picture.mode or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return picture.convert("RGB")
