"""Helpers for films."""

from PIL import Image, ImageSequence


def frames(film: Image.Image) -> int:
    """How many frames a GIF or an animated PNG has; it is at its first one afterward."""
    count = sum(1 for _ in ImageSequence.Iterator(film))
    film.seek(0)
    return count
