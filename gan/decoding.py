"""One image file -> uint8 pixels, whatever the file holds. Knows nothing of data sets."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, features

VERSION = 1  # raised when the same file gives other pixels, so that decoded sets of an older version are made anew
SMALLEST_SIDE = 8  # pixels: smaller images hold nothing to learn
LARGEST_IMAGE = 50_000_000  # pixels: a phone's 48 million fit; more is a decompression bomb or a satellite
# What this Pillow was built with: its wheels have both.
_AVIF, _JPEG_2000 = features.check("avif"), features.check("jpg_2000")
SUFFIXES = {".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
SUFFIXES |= {".avif"} if _AVIF else set()
SUFFIXES |= {".jp2"} if _JPEG_2000 else set()
# Pillow goes by the content, not by the name, and would hand an EPS to Ghostscript: it may try these only.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP", *(["AVIF"] if _AVIF else []), *(["JPEG2000"] if _JPEG_2000 else []))


def decode(source: Path | bytes, image_size: int, channels: int) -> np.ndarray | str:
    """One image file as uint8 (channels, image_size, image_size), or a sentence that says why it cannot be used.

    Turned as the camera was held, transparency laid on white, 16 bits brought to 8, cut to its middle square.

    Args:
        source: the file's path, or its content.
        image_size: height and width of the result in pixels.
        channels: 1 for grey, 3 for RGB.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as opened:
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
    except Exception as error:  # a damaged file trips Pillow's readers in every way: struct.error, KeyError, ZeroDivisionError, ...
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
