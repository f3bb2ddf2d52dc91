"""Drawings as short texts, for addresses: strokes of a pen on paper. Pure.

A text has strokes, joined by dots; a stroke has points of four hex digits each, x and y from 0 to 255. A stroke that begins with "e" rubs out.
The pen is the one of the set `sketches`, so drawings look like what a generator learned from.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from gan.data import sketches
from gan.data.faces import CANVAS

RUBBER = 22  # pixels of the canvas
LARGEST_START = 2**31 - 1


class Stroke(NamedTuple):
    """Points (x, y), 0 to CANVAS - 1, and whether it rubs out."""

    points: tuple[tuple[int, int], ...]
    rubs: bool


def read_strokes(text: str) -> list[Stroke]:
    """
    Raises:
        ValueError: the text is not one of strokes.
    """
    strokes = []
    for part in text.split(".") if text else ():
        digits = part.removeprefix("e")
        if len(digits) % 4 or not digits or not all(c in "0123456789abcdef" for c in digits):
            raise ValueError(f"a stroke must be points of four hex digits each, as in 80a0; got {part[:40]!r}")
        numbers = bytes.fromhex(digits)
        strokes.append(Stroke(tuple(zip(numbers[::2], numbers[1::2], strict=True)), part.startswith("e")))
    return strokes


def drawing(strokes: list[Stroke], start: int | None = None) -> Image.Image:
    """The strokes on paper, CANVAS x CANVAS in RGB. start: draws on the outline of this avatar."""
    picture = _outline(start).copy() if start is not None else Image.new("RGB", (CANVAS, CANVAS), sketches.PAPER)
    pen = ImageDraw.Draw(picture)
    for points, rubs in strokes:
        color, width = (sketches.PAPER, RUBBER) if rubs else (sketches.INK, sketches.WIDTH)
        pen.line(points, color, width, "curve")
        for x, y in (points[0], points[-1]):
            pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), color)
    return picture


@lru_cache(64)
def _outline(index: int) -> Image.Image:
    return sketches.draw_outline(index)


def as_pixels(picture: Image.Image, channels: int, size: int) -> np.ndarray:
    """A picture in RGB -> uint8 (1, channels, size, size), reduced as the set's outlines are."""
    reduced = np.asarray(picture.convert("L" if channels == 1 else "RGB").resize((size, size), Image.Resampling.BOX))
    return reduced[None, None] if channels == 1 else np.ascontiguousarray(reduced.transpose(2, 0, 1))[None]
