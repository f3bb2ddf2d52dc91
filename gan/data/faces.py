"""`faces`: avatars drawn by this project, with their attributes as labels. Knows nothing of data sets or training."""

import numpy as np
from PIL import Image, ImageDraw

# Raised when the drawings change, so that cached sets of an older version are drawn anew.
VERSION = 1

ATTRIBUTES = ("glasses", "smiling", "mouth open", "long hair", "curly hair", "bald", "beard", "hat")

_CANVAS = 256  # drawn at this size, then reduced: the edges come out smooth
_SKINS = ((255, 224, 196), (241, 194, 155), (224, 172, 125), (198, 134, 92), (141, 85, 54), (92, 56, 40))
_HAIR = ((38, 28, 24), (84, 52, 32), (140, 88, 44), (214, 170, 92), (168, 66, 32), (150, 150, 156), (232, 226, 214))
_BACKGROUNDS = ((122, 178, 214), (236, 196, 120), (156, 204, 158), (214, 150, 160), (176, 164, 214), (90, 128, 150), (228, 226, 220))
_CLOTHES = ((52, 78, 128), (150, 52, 60), (64, 120, 90), (60, 60, 68), (222, 222, 226), (196, 132, 56))
_EYES = ((70, 44, 30), (60, 100, 150), (70, 120, 70), (30, 26, 26))

Colour = tuple[int, int, int]


def _shade(colour: Colour, factor: float) -> Colour:
    """The colour made darker (factor < 1) or lighter (> 1)."""
    r, g, b = (int(min(255, max(0, c * factor))) for c in colour)
    return r, g, b


def draw_face(index: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws avatar number `index`, the same at every call.

    Args:
        index: 0 or more; each is another face.
        size: side length in pixels.

    Returns:
        the image, uint8 (3, size, size), and its attributes, bool (len(ATTRIBUTES),), in the order of ATTRIBUTES.
    """
    rng = np.random.default_rng([VERSION, index])

    def pick(colours: tuple[Colour, ...]) -> Colour:
        chosen = np.array(colours[rng.integers(len(colours))]) + rng.normal(0, 10) + rng.normal(0, 3, 3)
        r, g, b = (int(c) for c in np.clip(chosen, 0, 255))
        return r, g, b

    skin, hair, background, clothes, iris = pick(_SKINS), pick(_HAIR), pick(_BACKGROUNDS), pick(_CLOTHES), pick(_EYES)
    glasses = bool(rng.random() < 0.5)
    style = rng.choice(["short", "long", "curly", "bald"], p=[0.4, 0.28, 0.2, 0.12])
    mouth = rng.choice(["smile", "neutral", "open", "sad"], p=[0.4, 0.25, 0.2, 0.15])
    beard = bool(style != "long" and rng.random() < 0.25)
    hat = bool(rng.random() < 0.12)
    tilt = float(rng.uniform(-14, 14))
    width, height = float(rng.uniform(56, 68)), float(rng.uniform(70, 82))  # half axes of the head
    cx, cy = 128 + float(rng.uniform(-8, 8)), 126 + float(rng.uniform(-5, 5))

    layer = Image.new("RGBA", (_CANVAS, _CANVAS), (*background, 0))
    draw = ImageDraw.Draw(layer)

    def oval(x: float, y: float, rx: float, ry: float, fill: Colour | None = None, **line: object) -> None:
        draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=fill, **line)  # type: ignore[arg-type]

    # Behind the head: long hair and curls, then the neck.
    if style == "long":
        draw.rounded_rectangle((cx - width - 16, cy - height * 0.7, cx + width + 16, cy + height + 26), 52, fill=_shade(hair, 0.85))
    if style == "curly":
        for angle in np.linspace(np.pi * 0.9, np.pi * 2.1, 11):
            oval(cx + np.cos(angle) * (width + 6), cy - 14 + np.sin(angle) * (height - 4), 24, 24, _shade(hair, 0.9))
    draw.rectangle((cx - 22, cy + height - 22, cx + 22, cy + height + 30), fill=_shade(skin, 0.86))
    oval(cx, cy + height + 28, 22, 12, _shade(skin, 0.86))

    # The head.
    for side in (-1, 1):
        oval(cx + side * width, cy + 6, 12, 17, _shade(skin, 0.9))
    oval(cx, cy, width, height, skin)
    if beard:
        draw.chord((cx - width, cy - height, cx + width, cy + height), 22, 158, fill=hair)
        oval(cx, cy + height * 0.42, 26, 15, skin)
    if style in ("short", "long"):
        draw.chord((cx - width - 5, cy - height - 10, cx + width + 5, cy + height), 202, 338, fill=hair)
        if rng.random() < 0.5:
            draw.pieslice((cx - width, cy - height, cx + width * 0.7, cy + height * 0.1), 180, 300, fill=hair)
    elif style == "curly":
        for angle in np.linspace(np.pi * 1.1, np.pi * 1.9, 8):
            oval(cx + np.cos(angle) * width * 0.86, cy + np.sin(angle) * height * 0.9, 21, 19, hair)
    if hat:
        colour = pick(_CLOTHES)
        draw.chord((cx - width - 6, cy - height - 26, cx + width + 6, cy + height * 0.5), 192, 348, fill=colour)
        draw.rounded_rectangle(
            (cx - width - 18, cy - height * 0.52 - 8, cx + width + 18, cy - height * 0.52 + 6), 7, fill=_shade(colour, 0.75)
        )

    # Eyes, brows, nose.
    gap, eye_y = width * 0.42, cy - 6 + float(rng.uniform(-4, 4))
    openness = float(rng.uniform(7, 12))
    brow = float(rng.uniform(-5, 5))
    for side in (-1, 1):
        x = cx + side * gap
        oval(x, eye_y, 13, openness, (250, 250, 250))
        oval(x, eye_y, 7, min(7.0, openness), iris)
        oval(x, eye_y, 3, 3, (12, 12, 14))
        draw.line((x - 14, eye_y - 20 - side * brow, x + 14, eye_y - 20 + side * brow), fill=_shade(hair, 0.7), width=6)
    draw.line((cx, eye_y + 8, cx + 5, eye_y + 26, cx - 4, eye_y + 28), fill=_shade(skin, 0.72), width=4, joint="curve")

    # The mouth.
    y, lips = cy + height * 0.46, (176, 66, 70)
    if mouth == "smile":
        draw.chord((cx - 27, y - 24, cx + 27, y + 15), 15, 165, fill=(250, 248, 244), outline=lips, width=4)
    elif mouth == "neutral":
        draw.line((cx - 20, y, cx + 20, y), fill=lips, width=6)
    elif mouth == "open":
        oval(cx, y, 15, 14, (110, 30, 36), outline=lips, width=4)
    else:
        draw.arc((cx - 22, y - 2, cx + 22, y + 26), 200, 340, fill=lips, width=6)

    if glasses:
        frame = ((24, 24, 28), (120, 40, 40), (60, 60, 130))[rng.integers(3)]
        square = bool(rng.random() < 0.5)
        for side in (-1, 1):
            x = cx + side * gap
            box = (x - 22, eye_y - 19, x + 22, eye_y + 19)
            draw.rounded_rectangle(box, 5 if square else 19, outline=frame, width=6)
            draw.line((x + side * 22, eye_y, cx + side * width, eye_y - 4), fill=frame, width=6)
        draw.line((cx - gap + 22, eye_y - 3, cx + gap - 22, eye_y - 3), fill=frame, width=6)

    layer = layer.rotate(tilt, Image.Resampling.BILINEAR, center=(cx, 240))
    picture = Image.new("RGB", layer.size, background)
    ImageDraw.Draw(picture).ellipse((cx - 108, 208, cx + 108, 380), fill=clothes)  # shoulders stay upright
    picture.paste(layer, mask=layer)
    pixels = np.asarray(picture.resize((size, size), Image.Resampling.BOX))
    flags = [glasses, mouth == "smile", mouth == "open", style == "long", style == "curly", style == "bald", beard, hat]
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)), np.array(flags, dtype=bool)
