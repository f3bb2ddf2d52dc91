"""Images as numbers and as files: [-1, 1] <-> uint8, grids, PNG, WebP, GIF. Knows nothing about networks."""

import io
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont

CAPTION = 22  # pixels
LARGEST_PNG = 5_000 * 5_000  # pixels

T = TypeVar("T")


def to_uint8(images: torch.Tensor) -> np.ndarray:
    """Floats in [-1, 1], (N, C, H, W) on any device -> uint8 numpy array of the same shape (-1 -> 0, 1 -> 255)."""
    return images.detach().float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8).cpu().contiguous().numpy()


def to_float(images: torch.Tensor) -> torch.Tensor:
    """uint8 images of any shape -> float32 in [-1, 1]."""
    return images.float().div_(127.5).sub_(1)


def with_channels(images: torch.Tensor, channels: int) -> torch.Tensor:
    """Images (N, 1 or 3, H, W), uint8 or float -> the same with 1 or 3 channels: gray is luma (ITU-R BT.601), cut off to whole numbers.

    Like resized(), equal to the bit to torchvision's, whose import takes as long as torch's. Gradients pass.
    """
    if images.shape[1] == channels:
        return images
    if channels == 3:
        return images.repeat(1, 3, 1, 1)
    red, green, blue = images.unbind(1)
    return red.mul(0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114)[:, None].to(images.dtype)


def resized(images: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Images (N, C, H, W), uint8 or float, of another size: bilinear, antialiased. Gradients of floats pass."""
    if images.shape[-2:] == (height, width):
        return images
    return F.interpolate(images, (height, width), mode="bilinear", antialias=True)


def tile(images: np.ndarray, columns: int = 0, gap: int = 1) -> np.ndarray:
    """Arranges images in rows on a mid-gray background.

    Args:
        images: uint8, (N, C, H, W), N at least 1.
        columns: images per row; 0 for a grid that is as square as possible.
        gap: pixels between images.

    Returns:
        uint8, (C, height, width).
    """
    n, c, h, w = images.shape
    columns = columns or int(np.ceil(np.sqrt(n)))
    columns = min(columns, n)
    rows = -(-n // columns)
    canvas = np.full((c, rows * (h + gap) - gap, columns * (w + gap) - gap), 128, dtype=np.uint8)
    for i, image in enumerate(images):
        y, x = i // columns * (h + gap), i % columns * (w + gap)
        canvas[:, y : y + h, x : x + w] = image
    return canvas


def enlarge(images: np.ndarray, factor: int) -> np.ndarray:
    """Repeats every pixel factor x factor times; images (..., H, W)."""
    return images.repeat(factor, axis=-1).repeat(factor, axis=-2) if factor > 1 else images


def shrink(images: np.ndarray, side: int) -> np.ndarray:
    """Averages blocks of pixels until uint8 images (..., H, W) are close to `side` pixels, but not smaller. Small images stay unchanged."""
    factor = max(1, images.shape[-1] // side)
    if factor == 1:
        return images
    height, width = (length // factor for length in images.shape[-2:])
    blocks = images[..., : height * factor, : width * factor].reshape(*images.shape[:-2], height, factor, width, factor)
    return blocks.mean(axis=(-3, -1)).round().astype(np.uint8)


def _picture(image: np.ndarray) -> Image.Image:
    """uint8 (C, H, W) with C 1 or 3 -> Pillow image."""
    return Image.fromarray(image[0] if image.shape[0] == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))


def png(image: np.ndarray, compress_level: int = 4) -> bytes:
    """uint8 (C, H, W), C 1 or 3 -> PNG file. Level 1 is for images that are shown once.

    Level 6, zlib's default, takes twice as long as 4 in color, and the file is 1 % smaller.
    """
    buffer = io.BytesIO()
    _picture(image).save(buffer, "PNG", compress_level=compress_level)
    return buffer.getvalue()


def check_png(content: bytes) -> None:
    """
    Raises:
        ValueError: it is not a complete PNG file of at most LARGEST_PNG pixels.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
            if picture.width * picture.height > LARGEST_PNG:
                raise ValueError(f"an image may have at most {LARGEST_PNG:,} pixels; got {picture.width} x {picture.height}")
            picture.verify()  # checks the checksums of all parts, without decoding
    except (OSError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):  # as Pillow says it
        raise ValueError("it is not a PNG image, or it is cut short") from None


def webp(image: np.ndarray, quality: int = 80) -> bytes:
    """uint8 (C, H, W), C 1 or 3 -> WebP file, a sixth of a PNG's size in color: for small images that are sent with a page."""
    buffer = io.BytesIO()
    _picture(image).save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()


def gif(frames: np.ndarray, frames_per_s: float = 25, factor: int = 1) -> bytes:
    """uint8 (N, C, H, W), C 1 or 3 -> GIF file that loops forever, every pixel repeated factor x factor times.

    All frames share one palette, made from frames of the whole film, so colors do not flicker.
    frames_per_s: at most 50, because GIF counts in hundredths of a second and browsers slow down anything below two.
    """
    pictures = [_picture(frame) for frame in frames]
    if frames.shape[1] == 3:
        some = frames[:: max(1, len(frames) // 16)]
        palette = _picture(tile(some, gap=0)).quantize(256)
        pictures = [p.quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures]
    if factor > 1:
        pictures = [p.resize((p.width * factor, p.height * factor), Image.Resampling.NEAREST) for p in pictures]
    duration_ms = max(2, round(100 / frames_per_s)) * 10
    buffer = io.BytesIO()
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], duration=duration_ms, loop=0, optimize=False)
    return buffer.getvalue()


def captioned(image: np.ndarray, text: str) -> np.ndarray:
    """uint8 (C, H, W), C 1 or 3 -> the same with a line of text below it, black on white: (C, H + 22, W)."""
    above = _picture(image)
    picture = Image.new(above.mode, (above.width, above.height + CAPTION), "white")
    picture.paste(above)
    ImageDraw.Draw(picture).text((6, above.height + CAPTION // 2), text, "black", ImageFont.load_default(14), anchor="lm")
    pixels = np.asarray(picture)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def spaced(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of the items, evenly spaced, including the last: thins the frames of a film."""
    if len(items) <= most:
        return list(items)
    return [items[i] for i in np.linspace(len(items) - 1, 0, most).round().astype(int)[::-1]]
