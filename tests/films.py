"""Helpers for films."""

from PIL import Image, ImageSequence


def frames(film: Image.Image) -> int:
    """The number of frames of a GIF or an animated PNG. Rewinds it to the first one."""
    count = sum(1 for _ in ImageSequence.Iterator(film))
    film.seek(0)
    return count
