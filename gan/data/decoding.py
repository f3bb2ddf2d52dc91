"""One image file -> uint8 pixels, whatever the file holds. Knows nothing about data sets.

Files come from anyone, and a few kilobytes can hold a gigabyte of pixels. So the header is read first, it tells how much memory
the pixels need, and all decodes of the process share one budget. Pillow's result is converted in strips, which needs little more.

"Deep" images are those whose values do not say what black and white are: 16 bits, 32 bits, floats, signed. A Scale (see
intensity.py), one for the whole set, maps them to 0..255.
"""

import functools
import io
import logging
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, features

from gan.data.budget import Budget
from gan.data.form import WHITE, Fit, Form, Pairs
from gan.data.intensity import Scale, Tally
from gan.devices import return_freed_memory

log = logging.getLogger(__name__)

VERSION = 2  # increased when the same file gives other pixels, so older decoded sets are decoded again
SMALLEST_SIDE = 8  # pixels: smaller images have nothing to learn from
LARGEST_IMAGE = 50_000_000  # pixels: more is a decompression bomb or a satellite image
LARGEST_JPEG = 120_000_000  # pixels: phones make 108 million, and libjpeg can decode them at an eighth of the size
LARGEST_TEXT = 5_000_000  # pixels of a PPM written as text: Python needs a second per million
MOST_COMMENTS = 1000  # in a PPM written as text: for each one, Pillow copies the rest
PAIR_TOLERANCE = 0.02  # of the height, by which the width of a file with two images may differ from twice the height
MOST_SCANS = 100  # of a JPEG; progressive ones have about ten, and each costs as much as decoding the image once
MEMORY = 384 * 2**20  # bytes of decoded pixels, for all decodes of the process
LARGEST_REPAIR = 256 * 2**20  # bytes of a PNG that is read again without its metadata
STRIP = 2**18  # pixels converted at a time
LARGE = 32 * 2**20  # bytes of decoded pixels, from which on the memory is returned to the system at once
# Pixels of an 8-bit image that is resized in one go. Pillow picks the cheaper order of horizontal and vertical resizing, which can
# change a pixel by a level or two. Larger images are resized strip by strip, horizontally first.
LARGEST_WHOLE = 16_000_000
# Depends on how this Pillow was built: its wheels have both.
_AVIF, _JPEG_2000 = features.check("avif"), features.check("jpg_2000")
SUFFIXES = {".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
SUFFIXES |= {".jp2"} if _JPEG_2000 else set()
SUFFIXES_OF_FILES = SUFFIXES | ({".avif"} if _AVIF else set())
# Pillow looks at the content, not at the name, and would pass an EPS to Ghostscript: it may only try these.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP", *(["JPEG2000"] if _JPEG_2000 else []))
# An AVIF can claim 64 x 64 pixels and hold a frame of 16,384 x 16,384, for which its decoder allocates memory. So it is read only
# from the host's own files, not from an archive or an upload, which may come from anyone.
FORMATS_OF_FILES = (*FORMATS, *(["AVIF"] if _AVIF else []))
NEEDS_SCALE: Final = "needs the scale of its set"

T = TypeVar("T")

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}  # the chunks that define what an image looks like
_ORIENTATION = 0x0112  # in EXIF and in TIFF
_PHOTOMETRIC, _BITS, _SAMPLE_FORMAT, _COMPRESSION = 262, 258, 339, 259  # TIFF 6.0's tags
_ROWS, _TILE_WIDTH, _TILE_HEIGHT = 278, 322, 323
# Pillow keeps the upper byte of 16-bit colors. Reading the file with the byte order reversed gives the lower byte.
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@functools.cache
def budget() -> Budget:
    """The memory budget that all decodes of this process share."""
    return Budget(MEMORY)


def decode(
    source: Path | bytes,
    image_size: int,
    channels: int,
    fit: Fit = "crop",
    background: str = WHITE,
    pairs: Pairs = "",
    scale: Scale | None = None,
    in_set: bool = False,
) -> np.ndarray | str:
    """One image file as uint8 (channels, image_size, image_size), or a sentence that says why it cannot be used.

    With pairs, the file holds an image of A and one of B side by side: uint8 (2 * channels, image_size, image_size), the target first.

    The image is turned upright, transparent areas get the form's background color, and other shapes are fitted into the square.

    Args:
        source: the file's path, or its content.
        image_size, channels, fit, background, pairs: the form of the result; see Form.
        scale: maps deep images to 0..255; without it, an image is stretched by its own values.
        in_set: the image belongs to a set, so without a scale the result for a deep image is NEEDS_SCALE, before decoding.
    """
    form = Form(image_size, channels, fit, background)

    def half(picture: "_Picture", scale: Scale | None, side: int | None) -> np.ndarray:
        array = np.asarray(_fitted(picture, scale, form, side).convert("L" if form.channels == 1 else "RGB"))
        array = array[None] if form.channels == 1 else np.ascontiguousarray(array.transpose(2, 0, 1))
        return array if array.shape[1] == array.shape[2] == form.image_size else form.border(array)

    def pixels(picture: "_Picture") -> np.ndarray | str:
        if picture.deep and scale is None and in_set:
            return NEEDS_SCALE
        with picture.decoded():
            own = picture.tally().scale() if picture.deep and scale is None else scale
            if not pairs:
                return half(picture, own, None)
            width, height = picture.size
            if abs(width - 2 * height) > PAIR_TOLERANCE * height:
                return f"has {width} x {height} pixels; a file with A and B side by side is twice as wide as high"
            return np.concatenate([half(picture, own, side) for side in ((1, 0) if pairs == "a_to_b" else (0, 1))])

    return _reading(source, form.image_size, pixels)


class Shape(NamedTuple):
    """What an image's header says: its size in pixels, and whether it may have transparent areas."""

    width: int
    height: int
    may_be_transparent: bool

    @property
    def is_usual(self) -> bool:
        """Whether the image is the same in every form: square and opaque."""
        return self.width == self.height and not self.may_be_transparent


def shape_of(source: Path | bytes) -> Shape | str:
    """The shape of an image, upright or not; or a sentence that says why it cannot be used. Its pixels are not decoded."""

    def shape(picture: "_Picture") -> Shape:
        image = picture.image
        return Shape(image.width, image.height, "A" in image.mode or "a" in image.mode or "transparency" in image.info)

    return _reading(source, SMALLEST_SIDE, shape)


def measure(source: Path | bytes) -> Tally | str | None:
    """The range of a deep image's values; None for any other image, or a sentence that says why it cannot be used."""

    def range_of(picture: "_Picture") -> Tally | None:
        if not picture.deep:
            return None
        with picture.decoded():
            return picture.tally()

    return _reading(source, SMALLEST_SIDE, range_of)


def _reading(source: Path | bytes, image_size: int, use: Callable[["_Picture"], T]) -> T | str:
    """The result of `use` for an image, or why the image cannot be used."""
    try:
        try:
            return _attempt(source, image_size, use)
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
            # The text is too long, the profile is broken, or a checksum is wrong: a PNG's pixels may still be intact.
            if (bare := _only_pixels(source)) is None:
                raise
            return _attempt(bare, image_size, use)
    except UnidentifiedImageError:
        return _unidentified(source)
    except Image.DecompressionBombError:  # Pillow's own limit, checked before we see the header
        return f"has far too many pixels; the limit is {LARGEST_IMAGE:,}"
    except Exception as error:  # a damaged file makes Pillow's readers fail in many ways: struct.error, KeyError, ZeroDivisionError, ...
        log.debug("an image cannot be decoded: %s: %s", type(error).__name__, error)
        return f"cannot be decoded: it is {'cut short' if 'truncated' in str(error) else 'damaged'}"


def _attempt(source: Path | bytes, image_size: int, use: Callable[["_Picture"], T]) -> T | str:
    with _opened(source) as image:
        width, height = image.size
        if fault := _fault(image):
            return f"has {width} x {height} pixels; {fault}"
        scans = _scans(source, image)
        if scans > MOST_SCANS:
            return f"is a JPEG of {scans:,} scans; the limit is {MOST_SCANS}"
        if _plain_text(image) and (comments := _content(source).count(b"#")) > MOST_COMMENTS:
            return f"is a text of numbers with {comments:,} comments; the limit is {MOST_COMMENTS:,}"
        image.draft("RGB", (image_size * 2, image_size * 2))  # JPEG: decodes at a fraction of the size
        picture = _Picture(source, image)
        if scans > 1:
            picture.weight += _coefficients(image, width, height)
        if picture.weight > budget().total:
            return (
                f"has {width} x {height} pixels, which take {picture.weight / 2**20:,.0f} MiB to decode; "
                f"at most {budget().total // 2**20:,} MiB are allowed: make it smaller"
            )
        return use(picture)


def _opened(source: Path | bytes) -> Any:
    if isinstance(source, bytes):
        return Image.open(io.BytesIO(source), formats=FORMATS)
    return Image.open(source, formats=FORMATS_OF_FILES)


def _fault(image: Any) -> str:
    """What is wrong with an image's size; empty if nothing."""
    width, height = image.size
    most = LARGEST_JPEG if image.format == "JPEG" else LARGEST_IMAGE
    if _plain_text(image):
        most = min(most, LARGEST_TEXT)
    if width * height > most:
        return f"the limit is {most:,}"
    if min(width, height) < SMALLEST_SIDE:
        return f"it needs at least {SMALLEST_SIDE} x {SMALLEST_SIDE}"
    return ""


def _plain_text(image: Any) -> bool:
    """Whether an image is a PPM written as text."""
    return bool(image.tile) and image.tile[0][0] == "ppm_plain"


def _content(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()


def _unidentified(source: Path | bytes) -> str:
    if _first(source, 4) in (b"II*\0", b"MM\0*"):
        return "is an unsupported kind of TIFF (64-bit floats, for example): save it with 8 or 16 bits, or as 32-bit floats"
    return "cannot be read as an image"


def _first(source: Path | bytes, count: int) -> bytes:
    if isinstance(source, bytes):
        return source[:count]
    try:
        with source.open("rb") as file:
            return file.read(count)
    except OSError:
        return b""


def _only_pixels(source: Path | bytes) -> bytes | None:
    """A PNG without texts, profiles and EXIF; None if there is nothing to leave out, or the file is not a PNG or too large."""
    if _first(source, len(_PNG)) != _PNG or (isinstance(source, Path) and source.stat().st_size > LARGEST_REPAIR):
        return None
    content = _content(source)
    parts, at = [_PNG], len(_PNG)
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length  # length, kind, content, checksum
        if kind in _PNG_PIXELS:
            parts.append(content[at:end])
        at = end
    bare = b"".join(parts)
    return bare if len(bare) < len(content) else None


def _scans(source: Path | bytes, image: Any) -> int:
    """An upper limit on a JPEG's scans; 1 for small JPEGs, for which they do not matter, and for other formats."""
    if image.format != "JPEG" or not (image.info.get("progressive") or image.width * image.height > 2**22):
        return 1
    return _content(source).count(b"\xff\xda")  # start of scan; thumbnails and profiles may hold a few more


def _coefficients(image: Any, width: int, height: int) -> int:
    """Bytes that libjpeg needs for a JPEG of several scans, whatever size it decodes to: 2 for each coefficient."""
    factors = [(h, v) for _, h, v, _ in image.layer]
    widest, tallest = max(h for h, _ in factors), max(v for _, v in factors)
    return 2 * width * height * sum(h * v for h, v in factors) // (widest * tallest)


class _Picture:
    """An opened image: what its header says and, once loaded, its rows, turned upright."""

    def __init__(self, source: Path | bytes, image: Any) -> None:
        self.image = image
        self.size = image.size
        self.deep = False
        self.weight = 0  # bytes that it needs once decoded
        self._source = source
        self._turn = 1
        self._kind = _kind(image)
        self._low: Any = None  # the lower bytes of 16-bit colors
        self._key = image.info.get("transparency")
        self.deep = self._kind.deep
        self.weight = _weight(image, self._kind)

    @contextmanager
    def decoded(self) -> Iterator[None]:
        """Decodes it within the budget. Afterward its pixels are gone."""
        with budget().take(self.weight):
            try:
                self._load()
                yield
            finally:
                self.image.close()
                if self._low is not None:
                    self._low.close()
                if self.weight >= LARGE:
                    return_freed_memory()

    def _load(self) -> None:
        kind, image = self._kind, self.image
        if kind.low:
            self._low = self._stack_other_byte(kind.low)
        if kind.reread:
            image.tile = [tile._replace(args=kind.reread) for tile in image.tile]
        if kind.maximum:
            self.image = _binary_ppm(image, kind.maximum)
            return
        image.load()
        try:
            self._turn = image.getexif().get(_ORIENTATION, 1)
        except Exception:  # broken EXIF makes its reader fail in many ways; the pixels stay unturned
            self._turn = 1
        if self._turn not in _TURNS:
            self._turn = 1
        self.size = image.size if self._turn < 5 else image.size[::-1]
        self._key = _key(image, kind)

    def _stack_other_byte(self, rawmode: str) -> Any:
        low = _opened(self._source)
        low.tile = [tile._replace(args=_with_rawmode(tile.args, rawmode)) for tile in low.tile]
        low.load()
        return low

    def tally(self) -> Tally:
        """The range of a deep image's values, without fully transparent pixels."""
        tally = Tally()
        for top, bottom in _strips(*self.size):
            values, opacity = self._values(self._box(top, bottom))
            tally.add(values if opacity is None or opacity.all() else values[opacity > 0])
        return tally

    def whole(self) -> Image.Image | None:
        """The whole image, if nothing needs to be converted."""
        plain = not self.deep and self._turn == 1 and self._key is None and self.image.mode in ("L", "RGB")
        return self.image if plain else None

    def rows(self, top: int, bottom: int, scale: Scale | None, form: Form) -> Image.Image:
        """Some rows as L or RGB, on the form's background."""
        box = self._box(top, bottom)
        if self.deep:
            assert scale is not None
            strip = self._stretched(box, scale, form)
        else:
            strip = self.image.crop(box)
            if self._key is not None:
                strip.info["transparency"] = self._key
            strip = _eight_bits(strip, form.color)
        return strip.transpose(_TURNS[self._turn]) if self._turn in _TURNS else strip

    def _box(self, top: int, bottom: int) -> tuple[int, int, int, int]:
        """The place of rows of the turned image in the stored image."""
        width, height = self.image.size
        if self._turn in (1, 2):
            return 0, top, width, bottom
        if self._turn in (3, 4):
            return 0, height - bottom, width, height - top
        if self._turn in (5, 6):
            return top, 0, bottom, height
        return width - bottom, 0, width - top, height

    def _values(self, box: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray | None]:
        """Values (h, w) or (h, w, 3) of a deep image, and their opacity, 0 to 1, (h, w); None if all are opaque."""
        kind = self._kind
        if isinstance(self.image, _Values):
            return self.image.values[box[1] : box[3], box[0] : box[2]], None
        values = np.asarray(self.image.crop(box))
        if kind.reread:  # gray and alpha, two bytes each, stored as four channels
            pairs = values.astype(np.uint16)
            return pairs[..., 0] << 8 | pairs[..., 1], (pairs[..., 2] << 8 | pairs[..., 3]) / np.float32(65535)
        if self._low is not None:
            values = values.astype(np.uint16) << 8 | np.asarray(self._low.crop(box))
        if kind.dtype is not None:
            values = values.view(kind.dtype)
        if values.ndim == 3 and values.shape[2] == 4:
            return values[..., :3], values[..., 3] / np.float32(65535)
        if self._key is not None:
            same = values == np.asarray(self._key)
            return values, np.float32(1) - (same.all(axis=2) if values.ndim == 3 else same)
        return values, None

    def _stretched(self, box: tuple[int, int, int, int], scale: Scale, form: Form) -> Image.Image:
        values, opacity = self._values(box)
        levels = scale.apply(values)
        if self._kind.inverted:
            levels = 255 - levels
        if opacity is not None:
            if levels.ndim == 2 and not form.is_gray:
                levels = np.repeat(levels[..., None], 3, axis=2)
            behind = np.array(form.color if levels.ndim == 3 else form.color[:1], np.int16)
            ink = (behind - levels) * (opacity if levels.ndim == 2 else opacity[..., None])
            levels = (behind - np.rint(ink).astype(np.int16)).astype(np.uint8)
        return Image.fromarray(levels)


@dataclass(frozen=True)
class _Kind:
    """What is known about an image before it is decoded.

    Attributes:
        deep: whether it needs a scale.
        low: the raw mode that gives the lower bytes of its 16-bit colors; empty if it has none.
        reread: the raw mode to read it with instead of Pillow's, which would lose bytes.
        dtype: the type of its values, if Pillow mistakes it for another.
        inverted: whether high values are dark (TIFF's WhiteIsZero) and Pillow does not invert them.
        maximum: the maximum of a binary PPM that Pillow would read pixel by pixel in Python.
        key_factor: factor for the transparent gray, because Pillow scales the pixels but not the key.
    """

    deep: bool = False
    low: str = ""
    reread: str = ""
    dtype: type[np.generic] | None = None
    inverted: bool = False
    maximum: int = 0
    key_factor: int = 1


def _kind(image: Any) -> _Kind:
    tile = image.tile[0] if image.tile else None
    rawmode = _rawmode(tile.args) if tile else ""
    if image.format == "PPM" and tile and tile[0] == "ppm":
        return _Kind(deep=tile.args[1] > 255, maximum=tile.args[1])
    if image.format == "TIFF":
        return _tiff_kind(image, rawmode)
    if image.mode.startswith(("I", "F")):
        return _Kind(deep=True)
    if rawmode == "LA;16B":
        return _Kind(deep=True, reread="RGBA")
    if low := _other_byte(rawmode):
        return _Kind(deep=True, low=low)
    return _Kind(key_factor={"L;2": 85, "L;4": 17}.get(rawmode, 1))


def _tiff_kind(image: Any, rawmode: str) -> _Kind:
    tags = image.tag_v2
    signed, bits = 2 in tags.get(_SAMPLE_FORMAT, (1,)), tags.get(_BITS, (1,))
    if image.mode.startswith(("I", "F")):
        unsigned = image.mode == "I" and not signed and bits[0] == 32
        return _Kind(deep=True, inverted=tags.get(_PHOTOMETRIC) == 0, dtype=np.uint32 if unsigned else None)
    if image.mode == "L" and signed and bits == (8,):
        return _Kind(deep=True, dtype=np.int8)
    together = all(_rawmode(tile.args) == rawmode for tile in image.tile)  # not one color plane after the other
    if together and (low := _other_byte(rawmode)):
        return _Kind(deep=True, low=low)
    return _Kind()


def _rawmode(args: Any) -> str:
    message = args[0] if isinstance(args, tuple) and args else args
    return message if isinstance(message, str) else ""


def _with_rawmode(args: Any, rawmode: str) -> Any:
    return (rawmode, *args[1:]) if isinstance(args, tuple) else rawmode


def _other_byte(rawmode: str) -> str:
    form, _, order = rawmode.partition(";16")
    return f"{form};16{_OTHER_BYTE[order]}" if form in ("RGB", "RGBX", "RGBA") and order in _OTHER_BYTE else ""


def _key(image: Any, kind: _Kind) -> Any:
    """The transparent color of an image, if it has one that can occur in its pixels."""
    key = image.info.get("transparency")
    if key is None or image.mode not in ("L", "RGB"):
        return key
    if kind.low:
        return key
    parts = [key] if isinstance(key, int) else [*key]
    if len(parts) != len(image.mode) or not all(isinstance(part, int) and 0 <= part * kind.key_factor <= 255 for part in parts):
        return None
    return key * kind.key_factor if isinstance(key, int) else key


def _weight(image: Any, kind: _Kind) -> int:
    """Bytes that an image needs once decoded, including its decoder's own memory."""
    pixels = image.size[0] * image.size[1]
    each = {"1": 1, "L": 1, "P": 1}.get(image.mode, 2 if image.mode.startswith("I;16") else 4)
    if image.format == "WEBP":
        each = 20  # libwebp's two canvases, a frame, its copy and Pillow's image
    elif image.format == "JPEG2000":
        each = 24  # OpenJPEG's integers, and its copies of them: 18.5 measured
    elif image.format == "AVIF":
        each = 16  # planes, RGB and Pillow's copies: 9 measured
    elif image.format == "BMP":
        each *= 3  # Python unpacks the runs, into an array and a copy of it
    elif image.format == "PPM":
        each = 14 if _plain_text(image) else 6 + each
    elif kind.low:
        each *= 2
    if not kind.deep and pixels <= LARGEST_WHOLE:
        each += 4  # a converted copy, for most
    total = pixels * each
    if image.format == "TIFF":
        total += _tiff_buffer(image)
        if image.tag_v2.get(_ORIENTATION, 1) != 1:
            total += pixels * each  # Pillow turns it upon loading
    return total


def _tiff_buffer(image: Any) -> int:
    """Bytes of the largest piece of a TIFF: libtiff unpacks each piece as a whole."""
    tags = image.tag_v2

    def whole(tag: int, default: int) -> int:
        value = tags.get(tag, default)
        return int(value) if isinstance(value, (int, float)) and value > 0 else default

    width, height = image.size
    a_row, rows = whole(_TILE_WIDTH, width), whole(_TILE_HEIGHT, min(height, whole(_ROWS, height)))
    bits = sum(int(bit) for bit in tags.get(_BITS, (1,)))
    as_jpeg = tags.get(_COMPRESSION) in (6, 7)  # read as RGBA
    return a_row * rows * (max(bits, 32) if as_jpeg else bits) // 8


class _Values:
    """Values that did not come through Pillow: (h, w) or (h, w, 3)."""

    mode = ""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.size = (values.shape[1], values.shape[0])

    def close(self) -> None:
        self.values = np.empty((0, 0), self.values.dtype)


def _binary_ppm(image: Any, maximum: int) -> Any:
    """A binary PGM or PPM with an unusual maximum: 8 bits scaled as Pillow does, 16 bits as stored."""
    (width, height), bands, offset = image.size, 3 if image.mode == "RGB" else 1, image.tile[0].offset
    dtype = np.dtype(">u2" if maximum > 255 else "u1")
    image.fp.seek(offset)
    content = image.fp.read(width * height * bands * dtype.itemsize)
    if len(content) < width * height * bands * dtype.itemsize:
        raise ValueError("image file is truncated")
    values = np.frombuffer(content, dtype).reshape((height, width, 3) if bands == 3 else (height, width))
    if maximum > 255:
        return _Values(values)
    levels = np.array([min(255, round(value / maximum * 255)) for value in range(256)], np.uint8)
    return Image.fromarray(levels[values])


def _strips(width: int, height: int) -> list[tuple[int, int]]:
    rows = max(1, STRIP // max(1, width))
    return [(top, min(height, top + rows)) for top in range(0, height, rows)]


def _fitted(picture: _Picture, scale: Scale | None, form: Form, side: int | None = None) -> Image.Image:
    """The part that the form keeps, resized to its size within the square, as L or RGB. side: 0 for the left half alone, 1 for the right."""
    (width, height), begin = picture.size, 0
    if side is not None:
        begin, width = side * (width // 2), width // 2
    size = form.inner(width, height)
    if (image := picture.whole()) is not None:
        return _resized(image if side is None else image.crop((begin, 0, begin + width, height)), size, form)
    shorter = min(width, height)
    left, top, right, bottom = 0.0, 0.0, float(width), float(height)
    if form.fit == "crop":
        left, top = (width - shorter) * 0.5, (height - shorter) * 0.5
        right, bottom = left + shorter, top + shorter
    at_once = not picture.deep and width * height <= LARGEST_WHOLE
    converted: Image.Image | None = None
    for first, last in _strips(width, height):
        strip = picture.rows(first, last, scale, form)
        if side is not None:
            strip = strip.crop((begin, 0, begin + width, strip.height))
        if not at_once:
            strip = strip.resize((size[0], last - first), Image.Resampling.LANCZOS, (left, 0, right, last - first))
        converted = converted or Image.new(strip.mode, (strip.width, height))
        converted.paste(strip, (0, first))
    assert converted is not None
    if at_once:
        return _resized(converted, size, form)
    return converted.resize(size, Image.Resampling.LANCZOS, (0, top, size[0], bottom))


def _resized(image: Image.Image, size: tuple[int, int], form: Form) -> Image.Image:
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS) if form.fit == "crop" else image.resize(size, Image.Resampling.LANCZOS)


def _eight_bits(picture: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """Any Pillow mode that is not deep -> L or RGB."""
    if picture.mode in ("La", "RGBa"):
        picture = picture.convert({"La": "LA", "RGBa": "RGBA"}[picture.mode])
    if "A" in picture.mode or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, (*background, 255)), rgba).convert("RGB")
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")
