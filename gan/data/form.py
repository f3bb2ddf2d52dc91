"""The form that a set's images get: size, colors, and how other shapes fit into a square. Knows nothing about files."""

from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from gan.config import TrainConfig

Fit = Literal["crop", "pad", "mirror", "squeeze"]
Pairs = Literal["", "a_to_b", "b_to_a"]
WHITE = "#ffffff"


class Form(NamedTuple):
    """The form that a set's images get.

    Attributes:
        image_size: height and width, in pixels.
        channels: 1 for gray, 3 for RGB.
        fit: "crop" keeps the middle square. "pad" keeps everything and fills the borders with the background color; "mirror" fills them
            with the mirrored image. "squeeze" scales height and width separately.
        background: the color behind transparent areas and of "pad", as #rrggbb.
        pairs: "a_to_b" for pairs whose inputs are the images of A, "b_to_a" for the other way round, "" for single images.
    """

    image_size: int
    channels: int
    fit: Fit = "crop"
    background: str = WHITE
    pairs: Pairs = ""

    @classmethod
    def of(cls, config: TrainConfig) -> "Form":
        """The form of a run's images."""
        return cls(config.image_size, config.channels, config.fit, config.background, config.pairs)

    @property
    def single(self) -> "Form":
        """The form of one image of a pair."""
        return self._replace(pairs="")

    @property
    def color(self) -> tuple[int, int, int]:
        """The background color: red, green, blue, 0 to 255."""
        red, green, blue = bytes.fromhex(self.background.removeprefix("#"))
        return red, green, blue

    @property
    def is_gray(self) -> bool:
        """Whether the background color is gray, so gray images stay gray."""
        return len(set(self.color)) == 1

    @property
    def name(self) -> str:
        """A part of file names, different for each form. The default form keeps the name that it had before there were others."""
        usual = f"{self.image_size}-{self.channels}"
        if self.pairs:
            return f"{self.single.name}-{self.pairs}"
        return usual if (self.fit, self.background) == ("crop", WHITE) else f"{usual}-{self.fit}-{self.background.removeprefix('#')}"

    def inner(self, width: int, height: int) -> tuple[int, int]:
        """The width and height that an image of this size gets within the square; the borders take the rest."""
        size = self.image_size
        if self.fit in ("crop", "squeeze"):
            return size, size
        longer = max(width, height)
        return max(1, round(size * width / longer)), max(1, round(size * height / longer))

    def border(self, images: np.ndarray) -> np.ndarray:
        """uint8 (..., h, w), with sides from inner(), with borders: (..., image_size, image_size). Three channels come before h and w."""
        height, width = images.shape[-2:]
        top, left = (self.image_size - height) // 2, (self.image_size - width) // 2
        pads = [(0, 0)] * (images.ndim - 2) + [(top, self.image_size - height - top), (left, self.image_size - width - left)]
        if self.fit == "mirror":
            return np.pad(images, pads, "symmetric")
        whole = np.empty((*images.shape[:-2], self.image_size, self.image_size), np.uint8)
        whole[...] = self._levels(images.shape[-3] if images.ndim > 2 else 1)[:, None, None]
        whole[..., top : top + height, left : left + width] = images
        return whole

    def _levels(self, channels: int) -> np.ndarray:
        """The background color in images with this many channels: uint8 (channels,). Gray is luma, as Pillow and torchvision compute it."""
        return np.asarray(Image.new("RGB", (1, 1), self.color).convert("L" if channels == 1 else "RGB")).reshape(-1)
