"""Zips and images from an attacker or a bad day, and how the server handles them.

`python -m benchmarks.hostile_uploads` uploads each of them and prints the result, the time and the
memory. tests/data/test_uploads_hostile.py goes through the same cases.
"""

import functools
import io
import os
import stat
import struct
import tempfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gan.data import decoding, uploads
from gan.data.datasets import ImageDataset, load
from gan.devices import keep_freed_memory

Builder = Callable[[], bytes]
ZIPS: dict[str, Builder] = {}
IMAGES: dict[str, tuple[str, Builder]] = {}  # by name: the ending, and the content
PNG = b"\x89PNG\r\n\x1a\n"


# Parts of the cases.


def saved(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def good() -> bytes:
    return saved(Image.linear_gradient("L").resize((20, 20)))


def noise(mode: str = "RGB", side: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)).convert(mode)


def packed(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries:
            file.writestr(name, content)
    return buffer.getvalue()


def entry(name: str, mode: int = 0, method: int = zipfile.ZIP_DEFLATED, **fields: object) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr, info.compress_type = mode << 16, method
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def changed(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]


def in_contents(offset: int, new: bytes, content: bytes | None = None) -> bytes:
    """A zip of two images, with changed bytes at an offset of the last entry in its table of contents."""
    content = content or packed(("a.png", good()), ("b.png", good()))
    return changed(content, content.rindex(b"PK\x01\x02") + offset, new)


def at_end(offset: int, new: bytes) -> bytes:
    content = packed(("a.png", good()))
    return changed(content, content.rindex(b"PK\x05\x06") + offset, new)


def contents(count: int, name: bytes = b"a.png", extra: bytes = b"", comment: bytes = b"") -> bytes:
    """A zip that is nothing but a table of contents."""
    lengths = (len(name), len(extra), len(comment))
    header = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 3, 20, 0, 0, 0, 0, 0, 0, 0, 0, *lengths, 0, 0, 0, 0)
    directory = (header + name + extra + comment) * count
    return directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count & 0xFFFF, count & 0xFFFF, len(directory), 0, 0)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, depth: int = 8, color: int = 0, *more: bytes, data: bytes | None = None, tail: bytes = b"") -> bytes:
    """A black PNG, compressed without ever holding all of it."""
    head = struct.pack(">IIBBBBB", width & 0xFFFFFFFF, height & 0xFFFFFFFF, depth, color, 0, 0, 0)
    if data is None:
        bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(color, 1)
        data = zeros(height * (1 + (width * bits + 7) // 8))
    return b"".join((PNG, chunk(b"IHDR", head), *more, chunk(b"IDAT", data), tail, chunk(b"IEND", b"")))


def zeros(count: int) -> bytes:
    """Zeros, deflated. A MiB is deflated once and repeated: after a full flush, equal input gives equal output."""
    whole, rest = divmod(count, 2**20)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    end = packer.compress(bytes(rest)) + packer.flush()
    checksum = count % 65521 << 16 | 1  # Adler-32 of zeros: RFC 1950, section 8
    return b"\x78\xda" + _mebibyte() * whole + end + struct.pack(">I", checksum)


@functools.cache
def _mebibyte() -> bytes:
    """A MiB of zeros as deflated blocks that depend on nothing before them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)


def tiff(width: int, height: int, body: bytes, **tags: int | tuple[int, ...]) -> bytes:
    """A TIFF of one strip; tags: by "t" and number, each one or several 32-bit values."""
    every: dict[int, int | tuple[int, ...]] = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(body)}
    every |= {int(name[1:]): value for name, value in tags.items()}
    body += bytes(len(body) % 2)
    at, out, more = 8 + len(body), b"", b""
    for tag, value in sorted(every.items()):
        if isinstance(value, tuple):
            out += struct.pack("<HHII", tag, 4, len(value), at + 2 + 12 * len(every) + 4 + len(more))
            more += struct.pack(f"<{len(value)}I", *value)
        else:
            out += struct.pack("<HHII", tag, 4, 1, value)
    return b"II*\0" + struct.pack("<I", at) + body + struct.pack("<H", len(every)) + out + bytes(4) + more


def jpeg(**options: object) -> bytes:
    return saved(noise(), "JPEG", **options)


def before_scan(new: bytes, content: bytes | None = None) -> bytes:
    content = content or jpeg()
    at = content.index(b"\xff\xda")
    return content[:at] + new + content[at:]


def gif(frames: int = 1, **options: object) -> bytes:
    pictures = [Image.new("P", (16, 16), i % 256) for i in range(frames)]
    return saved(pictures[0], "GIF", **({"save_all": True, "append_images": pictures[1:]} if frames > 1 else {}), **options)


# Zips.

WHOLE = packed(*((f"{i}.png", good()) for i in range(10)))
for share in (1, 10, 25, 50, 75, 90, 99):
    ZIPS[f"cut at {share} %"] = lambda share=share: WHOLE[: len(WHOLE) * share // 100]  # type: ignore[misc]
ZIPS |= {
    "nothing": lambda: b"",
    "two letters": lambda: b"PK",
    "text": lambda: b"no zip " * 100,
    "a header and zeros": lambda: b"PK\x03\x04" + bytes(5000),
    "an end and nothing else": lambda: at_end(0, b"")[-22:],
    "a gzip": lambda: b"\x1f\x8b\x08" + bytes(100),
    "a rar": lambda: b"Rar!\x1a\x07\0" + bytes(100),
    "an end that counts too many": lambda: at_end(8, b"\xff\xff\xff\xff"),
    "an end that counts none": lambda: at_end(8, bytes(4)),
    "contents at an offset beyond": lambda: at_end(16, b"\xff\xff\xff\x7f"),
    "contents of a size beyond": lambda: at_end(12, b"\xff\xff\xff\x7f"),
    "a comment longer than the file": lambda: at_end(20, b"\xff\xff"),
    "zip64 that is not there": lambda: at_end(8, b"\xff" * 12),
    "something before it": lambda: b"#!/bin/sh\n" * 100 + WHOLE,
    "something behind it": lambda: WHOLE + b"x" * 1000,
    "two behind each other": lambda: WHOLE + packed(("z.png", good())),
    "wrong checksum": lambda: in_contents(16, b"\1\2\3\4"),
    "one byte more than there is": lambda: in_contents(24, struct.pack("<I", len(good()) + 1)),
    "one byte less than there is": lambda: in_contents(24, struct.pack("<I", len(good()) - 1)),
    "packed size beyond the file": lambda: in_contents(20, b"\xff\xff\xff\x7f"),
    "a file at an offset beyond": lambda: in_contents(42, b"\xff\xff\xff\x7f"),
    "a file at the place of another": lambda: in_contents(42, bytes(4)),
    "name longer than the contents": lambda: in_contents(28, b"\xff\xff"),
    "needs version 99": lambda: in_contents(6, b"\x63\0"),
    "month 0": lambda: in_contents(14, b"\0\0"),
    "hour 31": lambda: in_contents(12, b"\xff\xff"),
    "encrypted": lambda: in_contents(8, b"\x01\0"),
    "strongly encrypted": lambda: in_contents(8, b"\x41\0"),
    "patched data": lambda: in_contents(8, b"\x20\0"),
    "says utf-8 and is not": lambda: in_contents(
        8, b"\x00\x08", packed(("a.png", good()), ("b.png", good())).replace(b"b.png", b"\xff\xfepng")
    ),
    "deflate64": lambda: in_contents(10, b"\x09\0"),
    "implode": lambda: in_contents(10, b"\x06\0"),
    "zstandard": lambda: in_contents(10, b"\x5d\0"),
    "aes": lambda: in_contents(10, b"\x63\0"),
    "stored as deflated": lambda: in_contents(10, b"\x08\0", packed(("a.png", good()), (entry("b.png", method=0), good()))),
    "bzip2": lambda: packed((entry("a.png", method=zipfile.ZIP_BZIP2), good())),
    "lzma": lambda: packed((entry("a.png", method=zipfile.ZIP_LZMA), good())),
    "a bomb of 256 MiB": lambda: bombs(2**28),
    "a bomb of 31 MiB": lambda: bombs(31 * 2**20),
    "twelve bombs of 31 MiB": lambda: bombs(31 * 2**20, 12),
    "a zip in a zip": lambda: packed(("a.zip", WHOLE), ("b.png", good())),
    "a zip that is called png": lambda: packed(("a.png", WHOLE), ("b.png", good())),
    "a tar.gz in a zip": lambda: packed(("a.tar.gz", b"x"), ("b.png", good())),
    "64 MB of extra fields, large": lambda: contents(1000, extra=b"\xfe\xca\0\0" * 16_000),
    "64 MB of extra fields, small": lambda: contents(16_000, extra=b"\xfe\xca\0\0" * 1000),
    "an extra field longer than it is": lambda: packed((entry("a.png", extra=b"\1\0\xff\xff"), good()), ("b.png", good())),
    "an extra field of zip64, cut": lambda: packed((entry("a.png", extra=b"\1\0\4\0\0\0\0\0"), good()), ("b.png", good())),
    "32 MB of comments": lambda: contents(500, comment=b"x" * 65_000),
    "250,001 files": lambda: contents(250_001),
    "20,000 empty files": lambda: contents(20_000),
    "a name of 65,000 letters": lambda: contents(1, b"a" * 65_000 + b".png"),
    "a file in 1,000 folders": lambda: packed(("x/" * 1000 + "a.png", good())),
    "500 classes": lambda: packed(*((f"{i}/a.png", good()) for i in range(500))),
    "one name, 100 times": lambda: packed(*[("a.png", good())] * 100),
    "names that differ in case": lambda: packed(("a.png", good()), ("A.PNG", good())),
    "only litter": lambda: packed(("__MACOSX/._a.png", good()), (".DS_Store", b"x")),
    "only text": lambda: packed(("a.txt", b"x")),
    "no files": lambda: packed(),
}
NAMES: tuple[str, ...] = (
    "/etc/x.png",
    "C:\\x.png",
    "\\\\host\\share\\x.png",
    "../../x.png",
    "a\\..\\..\\x.png",
    "....//x.png",
    "a\0b.png",
    "a\nb.png",
)
NAMES += ("\u202egnp.exe.png", "<script>.png", "[x](http://x).png", "CON.png", "nul/a.png", " .png", "-rf.png", "$(id).png", "%2e%2e/x.png")
for one in NAMES:
    ZIPS[f"the name {one!r}"] = lambda one=one: packed((one, good()), ("good.png", good()))  # type: ignore[misc]
for kind in ("S_IFLNK", "S_IFIFO", "S_IFSOCK", "S_IFCHR", "S_IFBLK", "S_IFDIR"):
    ZIPS[f"a file of kind {kind}"] = lambda kind=kind: packed((entry("x.png", getattr(stat, kind) | 0o777), good()), ("b.png", good()))  # type: ignore[misc]


def bombs(size: int, count: int = 1) -> bytes:
    """A zip of files of that many zeros, made without deflating them or holding them in memory."""
    content, checksum = zeros(size)[2:-4], 0  # without zlib's header and checksum
    for start in range(0, size, 2**20):
        checksum = zlib.crc32(bytes(min(2**20, size - start)), checksum)
    files, directory = b"", b""
    for i in range(count):
        name = f"{i}.png".encode()
        about = (20, 0, zipfile.ZIP_DEFLATED, 0, 0x21, checksum, len(content), size, len(name), 0)  # 0x21: January 1, 1980
        directory += struct.pack("<4s2B5H3L5H2L", b"PK\x01\x02", 20, 3, *about, 0, 0, 0, 0, len(files)) + name
        files += struct.pack("<4s5H3L2H", b"PK\x03\x04", *about) + name + content
    return files + directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), len(files), 0)


# Images.


def add(ending: str, **cases: Builder) -> None:
    IMAGES.update({f"{ending}: {name.replace('_', ' ').strip()}": (ending, build) for name, build in cases.items()})


add(
    "png",
    a_gigapixel=lambda: png(100_000, 100_000, data=zeros(1000)),
    the_largest_sides=lambda: png(2**31 - 1, 2**31 - 1, data=zeros(1000)),
    negative_sides=lambda: png(-5, -5, data=zeros(10)),
    no_pixels=lambda: png(0, 0),
    one_pixel=lambda: png(1, 1),
    a_thin_line=lambda: png(7, 100_000),
    a_long_line=lambda: png(1_000_000, 10),
    of_16_bits_and_49_megapixels=lambda: png(7000, 7000, 16),
    of_16_bits_in_color=lambda: png(5000, 5000, 16, 2),
    of_16_bits_color_and_alpha_too_large=lambda: png(7070, 7070, 16, 6),
    of_16_bits_gray_and_alpha=lambda: png(7000, 7000, 16, 4),
    of_1_bit_and_49_megapixels=lambda: png(7000, 7000, 1),
    rgba_of_49_megapixels=lambda: png(7000, 7000, 8, 6),
    rgb_of_49_megapixels=lambda: png(7000, 7000, 8, 2),
    text_of_3_MB=lambda: png(20, 20, 8, 0, chunk(b"zTXt", b"a\0\0" + zeros(3 * 2**20))),
    text_of_256_MB=lambda: png(20, 20, 8, 0, chunk(b"zTXt", b"a\0\0" + zeros(2**28))),
    profile_of_256_MB=lambda: png(20, 20, 8, 0, chunk(b"iCCP", b"a\0\0" + zeros(2**28))),
    international_text_of_256_MB=lambda: png(20, 20, 8, 0, chunk(b"iTXt", b"a\0\1\0\0\0" + zeros(2**28))),
    plain_text_of_30_MB=lambda: png(20, 20, 8, 0, *[chunk(b"tEXt", b"a\0" + os.urandom(2**20)) for _ in range(30)]),
    texts_in_great_number=lambda: png(20, 20, 8, 0, *[chunk(b"tEXt", b"a\0b")] * 50_000),
    text_behind_the_pixels=lambda: png(20, 20, tail=chunk(b"zTXt", b"a\0\0" + zeros(3 * 2**20))),
    broken_profile=lambda: png(20, 20, 8, 0, chunk(b"iCCP", b"a\0\0not deflated")),
    profile_without_an_end=lambda: png(20, 20, 8, 0, chunk(b"iCCP", b"aaaa")),
    gamma_0=lambda: png(20, 20, 8, 0, chunk(b"gAMA", bytes(4))),
    gamma_cut=lambda: png(20, 20, 8, 0, chunk(b"gAMA", b"\0")),
    chromaticities_cut=lambda: png(20, 20, 8, 0, chunk(b"cHRM", b"\0" * 7)),
    broken_exif=lambda: png(20, 20, 8, 0, chunk(b"eXIf", b"II*\0\xff\xff\xff\xff")),
    wrong_checksum_of_pixels=lambda: changed(png(20, 20), -20, b"\1\2\3\4"),
    wrong_checksum_of_text=lambda: png(20, 20, 8, 0, chunk(b"tEXt", b"a\0b")[:-1] + b"?"),
    no_pixels_at_all=lambda: PNG + chunk(b"IHDR", struct.pack(">IIBBBBB", 20, 20, 8, 0, 0, 0, 0)) + chunk(b"IEND", b""),
    no_end=lambda: png(20, 20)[:-12],
    pixels_that_are_garbage=lambda: png(20, 20, data=b"garbage"),
    far_more_pixels_than_it_says=lambda: png(20, 20, data=zeros(2**28)),
    far_fewer_pixels_than_it_says=lambda: png(5000, 5000, data=zeros(100)),
    no_palette=lambda: png(20, 20, 8, 3),
    a_palette_of_one=lambda: png(20, 20, 8, 3, chunk(b"PLTE", b"abc"), data=zlib.compress((b"\0" + b"\xff" * 20) * 20)),
    a_palette_too_long=lambda: png(20, 20, 8, 3, chunk(b"PLTE", b"abc" * 999)),
    transparency_too_long=lambda: png(20, 20, 8, 3, chunk(b"PLTE", b"abc"), chunk(b"tRNS", b"\0" * 999)),
    transparency_cut=lambda: png(20, 20, 8, 2, chunk(b"tRNS", b"\0")),
    transparency_out_of_range=lambda: png(20, 20, 8, 2, chunk(b"tRNS", b"\1\1\1\1\1\1")),
    depth_3=lambda: png(20, 20, 3),
    color_7=lambda: png(20, 20, 8, 7),
    filter_9=lambda: png(20, 20, data=zlib.compress((b"\x09" + bytes(20)) * 20)),
    an_unknown_chunk_that_matters=lambda: png(20, 20, 8, 0, chunk(b"QQQQ", b"x")),
    a_chunk_longer_than_the_file=lambda: png(20, 20, 8, 0, b"\x7f\xff\xff\xfftEXt"),
    two_headers=lambda: png(20, 20, 8, 0, chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0))),
    ten_thousand_frames=lambda: png(20, 20, 8, 0, chunk(b"acTL", struct.pack(">II", 10_000, 0))),
    no_frames=lambda: png(20, 20, 8, 0, chunk(b"acTL", bytes(8))),
    a_frame_beyond_the_image=lambda: png(20, 20, 8, 0, chunk(b"acTL", b"\0\0\0\2" + bytes(4)), chunk(b"fcTL", b"\0" * 4 + b"\xff" * 22)),
    cut_at_half=lambda: saved(noise())[:4000],
)
add(
    "jpg",
    cut_in_the_header=lambda: jpeg()[:100],
    cut_at_half=lambda: jpeg()[: len(jpeg()) // 2],
    cut_at_the_end=lambda: jpeg()[:-30],
    of_65500_by_65500=lambda: resized(jpeg(), 65_500, 65_500),
    of_11000_by_10000_without_pixels=lambda: resized(jpeg(), 11_000, 10_000),
    of_108_megapixels=lambda: saved(Image.new("L", (12_000, 9_000), 99), "JPEG"),
    progressive_of_49_megapixels=lambda: saved(Image.new("RGB", (7000, 7000)), "JPEG", progressive=True),
    progressive_of_108_megapixels_in_full_color=lambda: resized(jpeg(progressive=True, subsampling=0), 12_000, 9_000),
    of_400_scans=lambda: scans(jpeg(progressive=True), 400),
    no_tables=lambda: jpeg().replace(b"\xff\xc4", b"\xff\xe9").replace(b"\xff\xdb", b"\xff\xe9"),
    of_12_bits=lambda: after(jpeg(), b"\xff\xc0", 2, b"\x0c"),
    lossless=lambda: jpeg().replace(b"\xff\xc0", b"\xff\xc3"),
    arithmetic=lambda: jpeg().replace(b"\xff\xc0", b"\xff\xc9"),
    no_components=lambda: after(jpeg(), b"\xff\xc0", 7, b"\0"),
    five_components=lambda: after(jpeg(), b"\xff\xc0", 7, b"\5"),
    sampling_0=lambda: after(jpeg(), b"\xff\xc0", 9, b"\0"),
    a_marker_of_length_0=lambda: before_scan(b"\xff\xe5\0\0"),
    a_marker_longer_than_the_file=lambda: before_scan(b"\xff\xe5\xff\xff"),
    fill_bytes_without_end=lambda: before_scan(b"\xff" * 100_000),
    reserved_markers=lambda: before_scan(b"\xff\x01\xff\x02\xff\xbf"),
    comments_of_20_MB=lambda: before_scan((b"\xff\xfe\xff\xff" + b"x" * 65_533) * 300),
    restarts_all_the_time=lambda: before_scan(b"\xff\xdd\0\4\0\1"),
    broken_exif=lambda: jpeg(exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 40),
    exif_that_points_at_itself=lambda: jpeg(exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\x08\0\0\0"),
    orientation_99=lambda: jpeg(exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\x63\0\0\0\0\0\0\0"),
    a_profile_cut=lambda: before_scan(b"\xff\xe2\0\x12ICC_PROFILE\0\1\xff\0\0"),
    an_index_of_pictures_that_is_broken=lambda: jpeg()[:2] + b"\xff\xe2\0\x0aMPF\0MM\0*" + jpeg()[2:],
    inverted_cmyk=lambda: saved(noise("CMYK"), "JPEG"),
    a_start_and_nothing=lambda: b"\xff\xd8\xff",
)
add(
    "gif",
    of_65535_by_65535=lambda: changed(gif(), 6, b"\xff\xff\xff\xff"),
    of_2000_frames=lambda: gif(2000),
    a_frame_beyond_the_screen=lambda: after(gif(), b",", -1, struct.pack("<HHHH", 60_000, 60_000, 16, 16)),
    a_frame_of_65535=lambda: after(gif(), b",", -1, struct.pack("<HHHH", 0, 0, 65_535, 65_535)),
    no_palette=lambda: changed(gif(), 10, b"\0"),
    codes_of_13_bits=lambda: gif()[: gif().rindex(b",") + 10] + b"\x0d" + gif()[gif().rindex(b",") + 11 :],
    garbage_for_pixels=lambda: gif()[: gif().rindex(b",") + 11] + b"\xff" * 300,
    comments_without_end=lambda: gif()[:13] + b"!\xfe" + (b"\xff" + b"x" * 255) * 50_000,
    extensions_without_end=lambda: gif()[:-1] + b"!\xf9\4\0\0\0\0\0" * 100_000,
    transparent=lambda: gif(transparency=0),
    cut=lambda: gif()[:40],
    only_a_header=lambda: b"GIF89a",
)
add(
    "webp",
    of_300_frames=lambda: saved(Image.new("RGB", (16, 16)), "WEBP", save_all=True, append_images=[noise("RGB", 16)] * 299),
    animated_of_49_megapixels=lambda: canvas(7000, 7000),
    a_canvas_of_268_megapixels=lambda: canvas(16_384, 16_384),
    lossless_of_49_megapixels=lambda: saved(Image.new("RGB", (7000, 7000)), "WEBP", lossless=True, quality=0, method=0),
    cut=lambda: saved(noise(), "WEBP")[:200],
    only_a_header=lambda: b"RIFF\xff\xff\xff\xffWEBPVP8 ",
    a_wrong_size=lambda: changed(saved(noise(), "WEBP"), 4, b"\xff\xff\xff\x7f"),
    broken_exif=lambda: saved(noise(), "WEBP", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"),
    profile_of_9_MB=lambda: saved(noise(), "WEBP", icc_profile=bytes(9 * 2**20)),
)
add(
    "tif",
    a_directory_that_goes_round=lambda: changed(tiff(20, 20, bytes(400)), -4, b"\x9a\1\0\0"),
    a_directory_beyond_the_file=lambda: b"II*\0\xff\xff\xff\x7f",
    tags_of_65535=lambda: b"II*\0\x08\0\0\0\xff\xff" + bytes(5000),
    a_tag_of_two_billion=lambda: tiff(20, 20, bytes(400)).replace(
        struct.pack("<HHII", 258, 4, 1, 8), struct.pack("<HHII", 258, 4, 2**31 - 1, 8)
    ),
    a_gigapixel=lambda: tiff(40_000, 40_000, bytes(100)),
    no_pixels=lambda: tiff(0, 0, b""),
    pixels_beyond_the_file=lambda: tiff(20, 20, bytes(400), t273=2**31 - 1),
    a_strip_of_nothing=lambda: tiff(20, 20, bytes(400), t279=0),
    a_tile_of_a_gigapixel=lambda: tiff(20, 20, zeros(1000), t259=8, t322=32_768, t323=32_768, t324=8, t325=100),
    a_tile_of_no_size=lambda: tiff(20, 20, bytes(400), t322=0, t323=0, t324=8, t325=400),
    a_strip_of_49_megapixels=lambda: tiff(7000, 7000, zeros(49_000_000), t259=8),
    rows_of_four_billion_in_a_strip=lambda: tiff(20, 20, zeros(400), t259=8, t278=2**32 - 1),
    packed_pixels_that_are_garbage=lambda: tiff(20, 20, b"garbage", t259=8),
    lzw_that_is_garbage=lambda: tiff(20, 20, b"\xff" * 50, t259=5),
    jpeg_in_it_that_is_garbage=lambda: tiff(20, 20, b"\xff" * 50, t259=7),
    fax_that_is_garbage=lambda: tiff(20, 20, b"\xff" * 50, t259=4, t258=1),
    packbits_cut=lambda: tiff(20, 20, b"\x81\0", t259=32_773),
    an_unknown_packing=lambda: tiff(20, 20, bytes(400), t259=9999),
    of_1000_samples=lambda: tiff(20, 20, bytes(400), t277=1000),
    of_0_bits=lambda: tiff(20, 20, bytes(400), t258=0),
    of_12_bits=lambda: tiff(20, 20, bytes(600), t258=12),
    of_16_bits_and_49_megapixels=lambda: tiff(7000, 7000, zeros(98_000_000), t258=16, t259=8),
    of_floats_and_49_megapixels=lambda: tiff(7000, 7000, zeros(196_000_000), t258=32, t259=8, t339=3),
    of_64_bits=lambda: tiff(20, 20, bytes(3200), t258=64, t339=3),
    of_floats_that_are_none=lambda: tiff(20, 20, b"\0\0\xc0\x7f" * 400, t258=32, t339=3),
    of_infinite_floats=lambda: tiff(20, 20, b"\0\0\x80\x7f\0\0\x80\xff" * 200, t258=32, t339=3),
    signed=lambda: tiff(20, 20, bytes(range(200)) * 2, t339=2),
    white_is_zero=lambda: tiff(20, 20, bytes(800), t258=16, t262=0),
    orientation_99=lambda: tiff(20, 20, bytes(400), t274=99),
    orientation_6_of_30_megapixels=lambda: tiff(6000, 5000, zeros(30_000_000), t259=8, t274=6),
    color_by_color=lambda: tiff(20, 20, bytes(1200), t258=(8, 8, 8), t262=2, t277=3, t284=2),
    of_16_bits_color_by_color=lambda: tiff(
        20, 20, bytes(2400), t258=(16, 16, 16), t262=2, t277=3, t284=2, t273=(8, 808, 1608), t279=(800, 800, 800)
    ),
    big=lambda: b"II+\0\x08\0\0\0" + b"\xff" * 8 + bytes(100),
    big_endian_garbage=lambda: b"MM\0*" + b"\xff" * 200,
)
add(
    "bmp",
    of_two_billion=lambda: changed(saved(noise(), "BMP"), 18, b"\xff\xff\xff\x7f\xff\xff\xff\x7f"),
    upside_down=lambda: changed(saved(noise(), "BMP"), 22, struct.pack("<i", -64)),
    a_strange_header=lambda: changed(saved(noise(), "BMP"), 14, b"\x7b"),
    masks_of_nothing=lambda: changed(saved(noise(), "BMP"), 28, b"\x20\0\3\0\0\0"),
    runs_of_49_megapixels=lambda: runs(7000, 7000, b"\xff\0" * 2**17),
    runs_that_jump=lambda: runs(100, 100, b"\0\2\xff\xff" * 10_000),
    runs_that_end=lambda: runs(100, 100, b"\0\1"),
    pixels_beyond_the_file=lambda: changed(saved(noise(), "BMP"), 10, b"\xff\xff\xff\x7f"),
    cut=lambda: saved(noise(), "BMP")[:60],
)
add(
    "ppm",
    text_of_5_megapixels=lambda: b"P2 2200 2200 255\n" + b"7 " * 4_840_000,
    text_of_40_megapixels=lambda: b"P3 6400 6400 255\n7 7 7",
    text_with_comments_without_end=lambda: b"P2 20 20 255\n" + b"#x\n" * 500_000,
    text_without_numbers=lambda: b"P2 20 20 255\n" + b"x" * 5_000_000,
    bits_of_5_megapixels=lambda: b"P1 2200 2200\n" + b"1" * 4_840_000,
    maximum_0=lambda: b"P5 20 20 0\n" + bytes(400),
    maximum_65536=lambda: b"P5 20 20 65536\n" + bytes(800),
    maximum_254_of_30_megapixels=lambda: b"P5 5500 5500 254\n" + bytes(30_250_000),
    maximum_4095_of_15_megapixels=lambda: b"P5 3900 3900 4095\n" + bytes(2 * 15_210_000),
    binary_cut=lambda: b"P6 200 200 100\n" + bytes(400),
    negative=lambda: b"P5 -20 -20 255\n" + bytes(400),
    a_long_number=lambda: b"P5 " + b"9" * 100_000,
    a_comment_without_end=lambda: b"P5 #" + b"x" * 1_000_000,
    floats=lambda: b"Pf\n20 20\n-1.0\n" + bytes(1600),
    floats_of_scale_nan=lambda: b"Pf\n20 20\nnan\n" + bytes(1600),
)
OTHERS: dict[str, bytes] = {
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n(/etc/passwd) (r) file",
    "a pdf": b"%PDF-1.7\n1 0 obj",
    "an svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "a page": b"<html><img src=x onerror=alert(1)>",
    "a photoshop file": b"8BPS\0\1" + bytes(100),
    "an icon": b"\0\0\1\0\1\0\xff\xff" + bytes(100),
    "jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100),
    "nothing": b"",
    "ones": b"\xff" * 10_000,
    "zeros": bytes(10_000),
    "a program": b"\x7fELF" + bytes(1000),
    "a pickle": b"cos\nsystem\n(S'id'\ntR.",
    "a fits file": b"SIMPLE  =                    T" + bytes(2880),
    "an hdf5 file": b"\x89HDF\r\n\x1a\n" + bytes(1000),
}
for what, content in OTHERS.items():
    IMAGES[f"other: {what}"] = ("png", lambda content=content: content)  # type: ignore[misc]


def resized(content: bytes, width: int, height: int) -> bytes:
    """A JPEG that claims another size."""
    at = next(at for mark in (b"\xff\xc0", b"\xff\xc2") if (at := content.find(mark)) >= 0)
    return changed(content, at + 5, struct.pack(">HH", height, width))


def scans(content: bytes, count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    at = content.rindex(b"\xff\xda")
    return content[:at] + content[at:-2] * count + content[-2:]


def after(content: bytes, mark: bytes, offset: int, new: bytes) -> bytes:
    return changed(content, content.index(mark) + 2 + offset, new)


def canvas(width: int, height: int) -> bytes:
    """An animated WebP of one small frame on a large canvas."""
    small = saved(noise("RGB", 16), "WEBP")[12:]
    sides = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    frame = bytes(6) + struct.pack("<I", 15)[:3] * 2 + struct.pack("<I", 100)[:3] + b"\0" + small
    parts = ((b"VP8X", b"\2\0\0\0" + sides), (b"ANIM", bytes(6)), (b"ANMF", frame))
    body = b"WEBP" + b"".join(kind + struct.pack("<I", len(part)) + part + bytes(len(part) % 2) for kind, part in parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def runs(width: int, height: int, body: bytes) -> bytes:
    """A BMP with run-length encoded pixels."""
    start = 54 + 1024
    head = struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start)
    return head + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 0, 0, 256, 0) + bytes(1024) + body


# Running the cases.


def cases() -> dict[str, Builder]:
    """Every case as a zip, by name; each image is in a zip with a good one."""
    made = {f"zip: {name}": build for name, build in ZIPS.items()}
    for name, (ending, build) in IMAGES.items():
        made[name] = lambda ending=ending, build=build: _in_zip(f"bad.{ending}", build())  # type: ignore[misc]
    return made


def _in_zip(name: str, content: bytes) -> bytes:
    """A zip of a file and a good image. Megabytes that deflating would not make smaller are stored: it takes most of a second."""
    random = len(content) > 2**20 and len(zlib.compress(content[: 2**16], 1)) > 2**15
    return packed((entry(name, method=zipfile.ZIP_STORED if random else zipfile.ZIP_DEFLATED), content), ("good.png", good()))


def taken(content: bytes) -> ImageDataset | str:
    """Uploads a file: the set, or the sentence of the refusal."""
    try:
        name = _finish(uploads.add(io.BytesIO(content), "x", "x.zip"))
    except ValueError as error:
        return str(error)
    return _finish(load(name, 64, 3))


def _finish(work: Iterator[Any]) -> Any | str:  # type: ignore[no-untyped-def]
    while True:
        try:
            next(work)
        except StopIteration as stop:
            return stop.value


def reset_peak() -> bool:
    """Resets this process's peak memory; False if the system cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    except OSError:
        return False
    return True


def memory(line: str) -> int:
    """Bytes of memory, now ("VmRSS") or at peak ("VmHWM")."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition(f"{line}:")[2].split()[0]) * 1024


def left_behind() -> tuple[int, int]:
    """Bytes that a large image leaves with the process that decoded it: before, and after a training has had glibc keep freed memory."""
    content = png(4000, 3000, 16, 6)
    decoding.decode(png(100, 100, 16, 6), 64, 3)

    def left() -> int:
        before = memory("VmRSS")
        with ThreadPoolExecutor(1) as pool:
            assert not isinstance(pool.submit(decoding.decode, content, 64, 3).result(), str)
        return memory("VmRSS") - before

    first = left()
    keep_freed_memory()
    return first, left()


def main() -> None:
    taken(packed(("a.png", good())))
    rows, worst_s, worst = 0, 0.0, 0
    for name, build in cases().items():
        content = build()
        with tempfile.TemporaryDirectory() as folder:
            os.environ["WORKSHOP_DATA"] = folder
            can, before, began = reset_peak(), memory("VmRSS"), time.perf_counter()
            result = taken(content)
            seconds, more = time.perf_counter() - began, memory("VmHWM") - before if can else 0
        said = (
            result
            if isinstance(result, str)
            else f"{len(result)} read; {'; '.join((*result.skipped, *result.notes)) or 'nothing left out'}"
        )
        print(f"{name:60.60} {len(content) / 1e3:8,.0f} kB {seconds:6.2f} s {more / 2**20:5,.0f} MiB  {said[:200]}")
        rows, worst_s, worst = rows + 1, max(worst_s, seconds), max(worst, more)
    print(f"{rows} cases: at most {worst_s:.1f} s and {worst / 2**20:,.0f} MiB; none crashed")


if __name__ == "__main__":
    main()
