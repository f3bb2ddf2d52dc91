"""`sketches`: pairs of an outline and the avatar that it belongs to, from the drawing code of the avatars. Knows nothing about data sets."""

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from gan.data.faces import CANVAS, Face, draw_face, seeded

VERSION = 1  # increased when the outlines change, in addition to faces.VERSION
PAPER, INK = (255, 255, 255), (0, 0, 0)
WIDTH = 5  # of a line, in pixels of the avatars' canvas


def draw_pair(index: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws avatar number `index` and its outline, the same ones at every call.

    Args:
        index: 0 or more; each gives another face.
        size: side length in pixels.

    Returns:
        the avatar and its outline, uint8 (6, size, size), and its attributes as from draw_face().
    """
    face, attributes = draw_face(index, size)
    outline = draw_outline(index).resize((size, size), Image.Resampling.BOX)
    return np.concatenate([face, np.asarray(outline).transpose(2, 0, 1)]), attributes


def draw_outline(index: int) -> Image.Image:
    """The outline of avatar number `index`, CANVAS x CANVAS in RGB."""
    return _Outline(seeded(index)).draw()


class _Pencil:
    """Draws like Pillow's pen, but only outlines: an area becomes paper with an inked border, so it covers what is behind it."""

    def __init__(self, layer: Image.Image) -> None:
        self._pen = ImageDraw.Draw(layer)

    def __getattr__(self, shape: str) -> Any:
        draw = getattr(self._pen, shape)

        def outlined(where: Any, *numbers: Any, fill: Any = None, outline: Any = None, width: int = WIDTH, **more: Any) -> None:
            if shape in ("line", "arc"):
                draw(where, *numbers, fill=INK, width=WIDTH, **more)
            else:
                draw(where, *numbers, fill=PAPER if fill else None, outline=INK, width=WIDTH)

        return outlined


class _Outline(Face):
    """A face with the same random choices, drawn with a pencil on paper."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self.background = PAPER
        self.layer = Image.new("RGBA", (CANVAS, CANVAS), (*PAPER, 0))
        self.pen = _Pencil(self.layer)

    def shoulders(self, picture: Image.Image, where: tuple[float, float, float, float]) -> None:
        _Pencil(picture).ellipse(where, fill=PAPER)
