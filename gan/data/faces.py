"""`faces`: avatars drawn by this project, with their attributes as labels. Knows nothing about data sets or training."""

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

# Increased when the drawings change, so older cached sets are drawn again.
VERSION = 1

ATTRIBUTES = ("glasses", "smiling", "mouth open", "long hair", "curly hair", "bald", "beard", "hat")

CANVAS = 256  # drawn at this size, then reduced, so edges are smooth
_SKINS = ((255, 224, 196), (241, 194, 155), (224, 172, 125), (198, 134, 92), (141, 85, 54), (92, 56, 40))
_HAIR = ((38, 28, 24), (84, 52, 32), (140, 88, 44), (214, 170, 92), (168, 66, 32), (150, 150, 156), (232, 226, 214))
_BACKGROUNDS = ((122, 178, 214), (236, 196, 120), (156, 204, 158), (214, 150, 160), (176, 164, 214), (90, 128, 150), (228, 226, 220))
_CLOTHES = ((52, 78, 128), (150, 52, 60), (64, 120, 90), (60, 60, 68), (222, 222, 226), (196, 132, 56))
_EYES = ((70, 44, 30), (60, 100, 150), (70, 120, 70), (30, 26, 26))

Color = tuple[int, int, int]
GLASSES_FRAMES: tuple[Color, ...] = ((24, 24, 28), (120, 40, 40), (60, 60, 130))
LIPS: Color = (176, 66, 70)


def _shade(color: Color, factor: float) -> Color:
    """The color, darker (factor < 1) or lighter (> 1)."""
    r, g, b = (int(min(255, max(0, c * factor))) for c in color)
    return r, g, b


def draw_face(index: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws avatar number `index`, the same one at every call.

    Args:
        index: 0 or more; each gives another face.
        size: side length in pixels.

    Returns:
        the image, uint8 (3, size, size), and its attributes, bool (len(ATTRIBUTES),), in the order of ATTRIBUTES.
    """
    face = Face(seeded(index))
    pixels = np.asarray(face.draw().resize((size, size), Image.Resampling.BOX))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)), np.array(face.attributes, dtype=bool)


def seeded(index: int) -> np.random.Generator:
    """The random choices of avatar number `index`."""
    return np.random.default_rng([VERSION, index])


class Face:
    """One face: its looks are chosen at random, then painted. Changing the order of the random choices changes the set's version."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.skin, self.hair, self.background = self._pick(_SKINS), self._pick(_HAIR), self._pick(_BACKGROUNDS)
        self.clothes, self.iris = self._pick(_CLOTHES), self._pick(_EYES)
        self.glasses = bool(rng.random() < 0.5)
        self.style = rng.choice(["short", "long", "curly", "bald"], p=[0.4, 0.28, 0.2, 0.12])
        self.mouth = rng.choice(["smile", "neutral", "open", "sad"], p=[0.4, 0.25, 0.2, 0.15])
        self.beard = bool(self.style != "long" and rng.random() < 0.25)
        self.hat = bool(rng.random() < 0.12)
        self.tilt = float(rng.uniform(-14, 14))
        self.width, self.height = float(rng.uniform(56, 68)), float(rng.uniform(70, 82))  # semi-axes of the head
        self.cx, self.cy = 128 + float(rng.uniform(-8, 8)), 126 + float(rng.uniform(-5, 5))
        self.layer = Image.new("RGBA", (CANVAS, CANVAS), (*self.background, 0))
        self.pen: Any = ImageDraw.Draw(self.layer)

    @property
    def attributes(self) -> list[bool]:
        """In the order of ATTRIBUTES."""
        mouths = [self.mouth == "smile", self.mouth == "open"]
        return [self.glasses, *mouths, self.style == "long", self.style == "curly", self.style == "bald", self.beard, self.hat]

    def draw(self) -> Image.Image:
        """The picture, CANVAS x CANVAS in RGB."""
        self._behind_the_head()
        self._head()
        self._hat()
        eye_y = self._eyes_and_nose()
        self._mouth()
        if self.glasses:
            self._glasses(eye_y)
        layer = self.layer.rotate(self.tilt, Image.Resampling.BILINEAR, center=(self.cx, 240))
        picture = Image.new("RGB", layer.size, self.background)
        shoulders = (self.cx - 108, 208, self.cx + 108, 380)  # these do not tilt
        self.shoulders(picture, shoulders)
        picture.paste(layer, mask=layer)
        return picture

    def shoulders(self, picture: Image.Image, where: tuple[float, float, float, float]) -> None:
        """Draws them on the picture, behind the rest."""
        ImageDraw.Draw(picture).ellipse(where, fill=self.clothes)

    def _pick(self, colors: tuple[Color, ...]) -> Color:
        chosen = np.array(colors[self.rng.integers(len(colors))]) + self.rng.normal(0, 10) + self.rng.normal(0, 3, 3)
        r, g, b = (int(c) for c in np.clip(chosen, 0, 255))
        return r, g, b

    def _oval(self, x: float, y: float, rx: float, ry: float, fill: Color | None = None, **line: object) -> None:
        self.pen.ellipse((x - rx, y - ry, x + rx, y + ry), fill=fill, **line)  # type: ignore[arg-type]

    def _behind_the_head(self) -> None:
        """Long hair and curls, then the neck."""
        cx, cy, width, height = self.cx, self.cy, self.width, self.height
        if self.style == "long":
            box = (cx - width - 16, cy - height * 0.7, cx + width + 16, cy + height + 26)
            self.pen.rounded_rectangle(box, 52, fill=_shade(self.hair, 0.85))
        if self.style == "curly":
            for angle in np.linspace(np.pi * 0.9, np.pi * 2.1, 11):
                self._oval(cx + np.cos(angle) * (width + 6), cy - 14 + np.sin(angle) * (height - 4), 24, 24, _shade(self.hair, 0.9))
        self.pen.rectangle((cx - 22, cy + height - 22, cx + 22, cy + height + 30), fill=_shade(self.skin, 0.86))
        self._oval(cx, cy + height + 28, 22, 12, _shade(self.skin, 0.86))

    def _head(self) -> None:
        """Ears, head, beard and the hair in front."""
        cx, cy, width, height, hair = self.cx, self.cy, self.width, self.height, self.hair
        for side in (-1, 1):
            self._oval(cx + side * width, cy + 6, 12, 17, _shade(self.skin, 0.9))
        self._oval(cx, cy, width, height, self.skin)
        if self.beard:
            self.pen.chord((cx - width, cy - height, cx + width, cy + height), 22, 158, fill=hair)
            self._oval(cx, cy + height * 0.42, 26, 15, self.skin)
        if self.style in ("short", "long"):
            self.pen.chord((cx - width - 5, cy - height - 10, cx + width + 5, cy + height), 202, 338, fill=hair)
            if self.rng.random() < 0.5:
                self.pen.pieslice((cx - width, cy - height, cx + width * 0.7, cy + height * 0.1), 180, 300, fill=hair)
        elif self.style == "curly":
            for angle in np.linspace(np.pi * 1.1, np.pi * 1.9, 8):
                self._oval(cx + np.cos(angle) * width * 0.86, cy + np.sin(angle) * height * 0.9, 21, 19, hair)

    def _hat(self) -> None:
        if not self.hat:
            return
        cx, cy, width, height, color = self.cx, self.cy, self.width, self.height, self._pick(_CLOTHES)
        self.pen.chord((cx - width - 6, cy - height - 26, cx + width + 6, cy + height * 0.5), 192, 348, fill=color)
        brim = (cx - width - 18, cy - height * 0.52 - 8, cx + width + 18, cy - height * 0.52 + 6)
        self.pen.rounded_rectangle(brim, 7, fill=_shade(color, 0.75))

    def _eyes_and_nose(self) -> float:
        """Returns the height of the eyes."""
        cx, gap, eye_y = self.cx, self.width * 0.42, self.cy - 6 + float(self.rng.uniform(-4, 4))
        openness, brow = float(self.rng.uniform(7, 12)), float(self.rng.uniform(-5, 5))
        for side in (-1, 1):
            x = cx + side * gap
            self._oval(x, eye_y, 13, openness, (250, 250, 250))
            self._oval(x, eye_y, 7, min(7.0, openness), self.iris)
            self._oval(x, eye_y, 3, 3, (12, 12, 14))
            line = (x - 14, eye_y - 20 - side * brow, x + 14, eye_y - 20 + side * brow)
            self.pen.line(line, fill=_shade(self.hair, 0.7), width=6)
        nose = (cx, eye_y + 8, cx + 5, eye_y + 26, cx - 4, eye_y + 28)
        self.pen.line(nose, fill=_shade(self.skin, 0.72), width=4, joint="curve")
        return eye_y

    def _mouth(self) -> None:
        cx, y = self.cx, self.cy + self.height * 0.46
        match self.mouth:
            case "smile":
                self.pen.chord((cx - 27, y - 24, cx + 27, y + 15), 15, 165, fill=(250, 248, 244), outline=LIPS, width=4)
            case "neutral":
                self.pen.line((cx - 20, y, cx + 20, y), fill=LIPS, width=6)
            case "open":
                self._oval(cx, y, 15, 14, (110, 30, 36), outline=LIPS, width=4)
            case _:
                self.pen.arc((cx - 22, y - 2, cx + 22, y + 26), 200, 340, fill=LIPS, width=6)

    def _glasses(self, eye_y: float) -> None:
        cx, gap, width = self.cx, self.width * 0.42, self.width
        frame = GLASSES_FRAMES[self.rng.integers(3)]
        square = bool(self.rng.random() < 0.5)
        for side in (-1, 1):
            x = cx + side * gap
            self.pen.rounded_rectangle((x - 22, eye_y - 19, x + 22, eye_y + 19), 5 if square else 19, outline=frame, width=6)
            self.pen.line((x + side * 22, eye_y, cx + side * width, eye_y - 4), fill=frame, width=6)
        self.pen.line((cx - gap + 22, eye_y - 3, cx + gap - 22, eye_y - 3), fill=frame, width=6)
