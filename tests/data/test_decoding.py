"""One image file -> pixels: unchanged for 8 bits, by a scale for deeper images, within a memory budget."""

import hashlib
import io
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image, ImageOps

from benchmarks.hostile_uploads import left_behind
from gan.data import decoding
from gan.data.budget import Budget
from gan.data.datasets import load
from gan.data.decoding import NEEDS_SCALE
from gan.data.intensity import Scale
from gan.training.bench import in_fresh_process
from tests.conftest import finish

# Each returns a result, or a sentence that says what is wrong.
decode: Callable[..., Any] = decoding.decode
measure: Callable[..., Any] = decoding.measure

RNG = np.random.default_rng(0)


def file_of(picture: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(array: np.ndarray, color: int, depth: int = 16, *more: bytes) -> bytes:
    """A PNG of (h, w) or (h, w, c); color: PNG's type; more: chunks before the pixels."""
    height, width = array.shape[:2]
    rows = array.astype(">u2" if depth == 16 else "u1").reshape(height, -1)
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"".join((decoding._PNG, chunk(b"IHDR", head), *more, chunk(b"IDAT", zlib.compress(body)), chunk(b"IEND", b"")))


def tiff(array: np.ndarray, photometric: int = 1, sample_format: int = 1, order: Literal["<", ">"] = "<", **tags: Any) -> bytes:
    """An uncompressed TIFF of (h, w) or (h, w, 3) in one strip."""
    height, width = array.shape[:2]
    bands = array.shape[2] if array.ndim == 3 else 1
    body = array.astype(array.dtype.newbyteorder(order)).tobytes()
    bits = 8 * array.dtype.itemsize
    entries = [(256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 0), (277, 3, bands)]
    entries += [(278, 4, height), (279, 4, len(body)), (339, 3, sample_format), *((int(tag[1:]), 4, value) for tag, value in tags.items())]
    end = 8 + 2 + 12 * len(entries) + 4
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    after = b""
    for tag, kind, value in sorted(entries):
        if tag == 273:
            value = end + 12
        if tag in (258, 339) and bands == 3:
            out += struct.pack(order + "HHII", tag, 3, 3, end + len(after))
            after += struct.pack(order + "HHH", value, value, value)
        else:
            out += struct.pack(order + "HHI", tag, kind, 1) + struct.pack(
                order + ("HH" if kind == 3 else "I"), *((value, 0) if kind == 3 else (value,))
            )
    return out + bytes(4) + after.ljust(12, b"\0") + body


def old(source: bytes, size: int, channels: int) -> np.ndarray:
    """The pixels of 8-bit images as earlier versions decoded them, without scales and strips."""
    with Image.open(io.BytesIO(source)) as opened:
        opened.draft("RGB", (size * 2, size * 2))
        picture = ImageOps.exif_transpose(opened)
        if "A" in picture.mode or "transparency" in picture.info:
            rgba = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
        elif picture.mode not in ("L", "RGB"):
            picture = picture.convert("RGB")
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)
        pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def colors(mode: str, width: int, height: int) -> Image.Image:
    picture = Image.fromarray(RNG.integers(0, 256, (height, width, 4), dtype=np.uint8))
    return (
        picture.convert("RGB").quantize(50)
        if mode == "P"
        else picture.convert("RGB").convert(mode)
        if mode == "CMYK"
        else picture.convert(mode)
    )


KINDS = {
    "PNG": ("1", "L", "P", "RGB", "RGBA", "LA"),
    "JPEG": ("L", "RGB", "CMYK"),
    "GIF": ("L", "P"),
    "BMP": ("1", "P", "RGB"),
    "TIFF": ("L", "P", "RGB", "RGBA", "CMYK", "LA", "YCbCr"),
    "WEBP": ("RGB", "RGBA"),
    "PPM": ("1", "L", "RGB"),
}


@pytest.mark.parametrize(("form", "mode"), [(form, mode) for form, modes in KINDS.items() for mode in modes])
def test_8_bit_images_give_the_pixels_they_always_gave(form: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "STRIP", 1000)  # so that small images take several strips
    for width, height in ((33, 57), (90, 41), (64, 64)):
        for turn in range(1, 9) if form in ("PNG", "JPEG", "TIFF", "WEBP") else (1,):
            exif = Image.Exif()
            exif[0x0112] = turn
            content = file_of(colors(mode, width, height), form, **({"exif": exif} if turn > 1 else {}))
            for size, channels in ((28, 1), (40, 3)):
                assert np.array_equal(decode(content, size, channels), old(content, size, channels)), (width, height, turn, size)


def test_recorded_pixels_of_lossless_files() -> None:
    """Digests of the pixels that earlier versions decoded: runs trained on them can still be resumed."""
    y, x = np.mgrid[:50, :70]
    rgb = np.stack([x * 3, y * 5, (x + y) * 2], 2).astype(np.uint8)
    digest = hashlib.blake2b(digest_size=8)
    for mode in ("1", "L", "RGB", "RGBA", "P"):
        picture = Image.fromarray(rgb).convert(mode)
        for form in ("PNG", "BMP", "TIFF") if mode != "RGBA" else ("PNG", "TIFF"):
            digest.update(decode(file_of(picture, form), 28, 3))
    assert digest.hexdigest() == "6fa78722029b5a2d"


SPAN = np.linspace(0, 1, 64 * 64).reshape(64, 64)
RAMP = (SPAN * 255).round()


def near(result: np.ndarray, want: np.ndarray, channels: int = 1, most: int = 2) -> None:
    assert not isinstance(result, str), result
    want = np.broadcast_to(want, (channels, 64, 64))
    assert np.abs(result.astype(int) - want).max() <= most


def of(
    dtype: type[np.uint16 | np.float32 | np.int32 | np.int16 | np.int8 | np.uint32 | np.uint8 | np.float64], low: int, high: float
) -> np.ndarray:
    return (low + SPAN * (high - low)).round(0 if np.issubdtype(dtype, np.integer) else 9).astype(dtype)


DEEP = {
    "12 bits in 16": file_of(Image.fromarray(of(np.uint16, 0, 4095))),
    "10 bits in 16": file_of(Image.fromarray(of(np.uint16, 0, 1023))),
    "16 bits": png(of(np.uint16, 0, 65535), 0),
    "12 bits, tiff": file_of(Image.fromarray(of(np.uint16, 0, 4095)), "TIFF"),
    "12 bits, packed tiff": file_of(Image.fromarray(of(np.uint16, 0, 4095)), "TIFF", compression="tiff_lzw"),
    "12 bits, big-endian": tiff(of(np.uint16, 0, 4095), order=">"),
    "12 bits, pgm": b"P5 64 64 4095\n" + of(np.uint16, 0, 4095).astype(">u2").tobytes(),
    "0 to 1.0001": file_of(Image.fromarray(of(np.float32, 0, 1.0001)), "TIFF"),
    "0 to 0.5": file_of(Image.fromarray(of(np.float32, 0, 0.5)), "TIFF"),
    "0 to 4095 floats": file_of(Image.fromarray(of(np.float32, 0, 4095)), "TIFF"),
    "-1 to 1": file_of(Image.fromarray(of(np.float32, -1, 1)), "TIFF"),
    "int32 0 to 300": file_of(Image.fromarray(of(np.int32, 0, 300)), "TIFF"),
    "int16": tiff(of(np.int16, -1000, 3000), sample_format=2),
    "int8": tiff(of(np.int8, -128, 127), sample_format=2),
    "uint32": tiff(of(np.uint32, 0, 2**32 - 1)),
}


@pytest.mark.parametrize("kind", DEEP)
def test_a_deep_image_fills_0_to_255(kind: str) -> None:
    near(decode(DEEP[kind], 64, 1), RAMP)
    near(decode(DEEP[kind], 64, 3), RAMP, 3)
    assert decode(DEEP[kind], 64, 1, in_set=True) is NEEDS_SCALE
    scale = measure(DEEP[kind]).scale()
    assert np.array_equal(decode(DEEP[kind], 64, 1, scale=scale, in_set=True), decode(DEEP[kind], 64, 1))


@pytest.mark.parametrize(
    "content",
    [
        tiff(of(np.uint16, 0, 4095), photometric=0),
        tiff(of(np.float32, 0, 1), photometric=0, sample_format=3),
        tiff(of(np.uint8, 0, 255), photometric=0),
    ],
)
def test_where_white_is_zero_it_is_white(content: bytes) -> None:
    near(decode(content, 64, 1), 255 - RAMP)


def test_one_number_that_is_none_spoils_nothing() -> None:
    values = of(np.float32, 0, 4095)
    values[3, 3] = np.nan
    result = decode(file_of(Image.fromarray(values), "TIFF"), 64, 1).copy()
    assert result[0, 3, 3] == 0
    result[0, 3, 3] = RAMP[3, 3]
    near(result, RAMP)


COLOR = np.stack([of(np.uint16, 0, 4095), of(np.uint16, 4095, 0), of(np.uint16, 100, 3000)], 2)
OPAQUE = np.full((64, 64, 1), 65535, np.uint16)
CLEAR = np.where(np.arange(64)[:, None, None] < 32, 0, OPAQUE)


@pytest.mark.parametrize(
    "content",
    [
        png(COLOR, 2),
        tiff(COLOR, 2),
        tiff(COLOR, 2, order=">"),
        png(np.concatenate([COLOR, OPAQUE], 2), 6),
        b"P6 64 64 4095\n" + COLOR.astype(">u2").tobytes(),
    ],
    ids=["png", "tiff", "big-endian", "rgba", "ppm"],
)
def test_colors_of_12_bits_keep_all_of_them(content: bytes) -> None:
    result = decode(content, 64, 3)
    assert np.abs(result.astype(int) - np.rint(COLOR / 4095 * 255).transpose(2, 0, 1)).max() <= 1


def test_deep_transparency_is_laid_on_white() -> None:
    result = decode(png(np.concatenate([COLOR, CLEAR], 2), 6), 64, 3)
    assert result[:, :30].min() >= 253 and result[0, 63, 63] > 250 and result[1, 63, 63] < 5
    gray = decode(png(np.concatenate([of(np.uint16, 0, 4095)[..., None], CLEAR], 2), 4), 64, 1)
    assert gray[0, :30].min() >= 250 and gray[0, 63, 63] >= 250 and gray[0, 34].max() < 50  # what is seen is 2,047 to 4,095


@pytest.mark.parametrize(
    ("content", "channels"),
    [
        (file_of(Image.new("RGB", (40, 40), (10, 20, 30)), transparency=(10, 20, 30)), 3),
        (file_of(Image.new("L", (40, 40), 7), transparency=7), 1),
        (png(np.full((16, 8), 0x11), 0, 8, chunk(b"tRNS", b"\0\x11")), 1),
        (file_of(Image.new("1", (40, 40), 0), transparency=0), 1),
        (file_of(Image.new("P", (40, 40), 0), transparency=0), 3),
        (png(np.full((40, 40), 700), 0, 16, chunk(b"tRNS", struct.pack(">H", 700))), 1),
        (png(np.full((40, 40, 3), 700), 2, 16, chunk(b"tRNS", struct.pack(">HHH", 700, 700, 700))), 3),
        (file_of(Image.new("L", (40, 40), 7), "GIF", transparency=7), 1),
    ],
)
def test_a_transparent_color_is_laid_on_white(content: bytes, channels: int) -> None:
    assert decode(content, 28, channels).min() == 255


def test_a_transparent_gray_of_few_bits_is_that_gray() -> None:
    body = zlib.compress(b"".join(b"\0" + bytes([0x3C] * 8) for _ in range(16)))  # 3, 12, 3, 12, ... of 15
    head = struct.pack(">IIBBBBB", 16, 16, 4, 0, 0, 0, 0)
    content = decoding._PNG + chunk(b"IHDR", head) + chunk(b"tRNS", b"\0\x0c") + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    assert sorted({*decode(content, 16, 1).flat}) == [3 * 17, 255]


def test_a_transparent_color_that_no_pixel_can_have_is_none() -> None:
    assert decode(png(np.full((16, 16), 9), 0, 8, chunk(b"tRNS", b"\1\x09")), 16, 1).max() == 9


BROKEN_EXIF = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 40


@pytest.mark.parametrize("form", ["PNG", "WEBP", "JPEG"])
def test_broken_exif_costs_no_image(form: str) -> None:
    content = file_of(Image.new("RGB", (40, 40), "red"), form, exif=BROKEN_EXIF)
    with warnings.catch_warnings(action="ignore"):
        assert decode(content, 28, 3)[0].min() > 250


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
def test_large_images_are_resized_in_strips_to_the_same_within_a_level_or_two(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "LARGEST_WHOLE", 0)
    monkeypatch.setattr(decoding, "STRIP", 1000)
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        content = file_of(colors(mode, 90, 70).resize((270, 210)), exif=exif)
        assert np.abs(decode(content, 28, 3).astype(int) - old(content, 28, 3)).max() <= 2


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP", b"tEXt", b"iTXt"])
def test_a_png_with_megabytes_of_text_is_read(kind: bytes) -> None:
    text = zlib.compress(bytes(3 * 2**20))
    content = {
        b"zTXt": b"Comment\0\0" + text,
        b"iCCP": b"profile\0\0" + text,
        b"tEXt": b"Comment\0" + b"x" * (70 * 2**20),
        b"iTXt": b"Comment\0\1\0\0\0" + text,
    }[kind]
    assert decode(png(np.full((20, 20), 99), 0, 8, chunk(kind, content)), 28, 1).min() == 99


def test_a_png_whose_text_has_a_wrong_checksum_is_read() -> None:
    broken = chunk(b"tEXt", b"Comment\0x")[:-1] + b"?"
    assert decode(png(np.full((20, 20), 99), 0, 8, broken), 28, 1).min() == 99


@pytest.fixture(scope="module")
def phone() -> bytes:
    """A JPEG of 108 million pixels."""
    return file_of(Image.new("L", (12_000, 9_000), 140), "JPEG")


def test_a_phones_jpeg_of_108_million_pixels_is_read(phone: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Budget(100 * 2**20)
    monkeypatch.setattr(decoding, "budget", lambda: small)
    with warnings.catch_warnings(action="ignore"):
        assert abs(int(decode(phone, 64, 1).mean()) - 140) <= 1


def test_other_images_of_that_size_are_refused() -> None:
    assert "9000 x 6000 pixels; the limit is 50,000,000" in decode(file_of(Image.new("1", (9_000, 6_000))), 64, 1)


def test_a_jpeg_of_very_many_scans_is_refused() -> None:
    content = file_of(Image.new("RGB", (64, 64)), "JPEG", progressive=True)
    at = content.rindex(b"\xff\xda")
    assert decode(content[:at] + content[at:-2] * 120, 28, 1).startswith("is a JPEG of ")
    assert decode(content, 28, 1).max() == 0


def test_what_takes_more_than_the_budget_is_refused_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "budget", lambda: Budget(60_000))
    assert decode(file_of(Image.new("RGB", (100, 100))), 28, 1) == (
        "has 100 x 100 pixels, which take 0 MiB to decode; at most 0 MiB are allowed: make it smaller"
    )
    assert not isinstance(decode(file_of(Image.new("L", (100, 100))), 28, 1), str)


def test_a_binary_ppm_of_any_maximum_is_what_pillow_makes_of_it() -> None:
    content = b"P6 32 32 100\n" + RNG.integers(0, 101, 32 * 32 * 3, dtype=np.uint8).tobytes()
    assert np.array_equal(decode(content, 28, 3), old(content, 28, 3))
    assert decode(content[:-1], 28, 3) == "cannot be decoded: it is cut short"


def test_an_unknown_tiff_says_what_to_do() -> None:
    assert "save it with 8 or 16 bits, or as 32-bit floats" in decode(tiff(of(np.float64, 0, 1), sample_format=3), 28, 1)


# Whole sets.


def fill(folder: Path, **files: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)


def flat(value: int, dtype: type[np.uint16] = np.uint16) -> bytes:
    return file_of(Image.fromarray(np.full((16, 16), value, dtype)), "TIFF")


def test_a_set_has_one_scale_and_says_it(tmp_path: Path) -> None:
    fill(tmp_path / "set", a_tif=flat(0), b_tif=flat(1000), c_tif=flat(2000))
    dataset = finish(load(str(tmp_path / "set"), 28, 1))
    assert dataset.images[:, 0, 0, 0].tolist() == [0, 128, 255]
    assert dataset.notes == ("values 0 to 2,000 scaled to 0 to 255",)
    assert finish(load(str(tmp_path / "set"), 28, 1)).notes == dataset.notes  # from the cache


def test_8_bit_images_of_a_mixed_set_stay_as_they_are(tmp_path: Path) -> None:
    fill(tmp_path / "set", a_png=file_of(Image.new("L", (16, 16), 77)), b_tif=flat(1000), c_tif=flat(3000), d_png=b"no image")
    dataset = finish(load(str(tmp_path / "set"), 28, 1))
    assert dataset.images[:, 0, 0, 0].tolist() == [77, 0, 255] and len(dataset.skipped) == 1
    assert dataset.notes == ("values 1,000 to 3,000 scaled to 0 to 255; 8-bit images stay unchanged",)


def test_a_large_set_is_measured_on_some_of_its_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan.data.imagefiles.MOST_MEASURED", 4)
    fill(tmp_path / "set", **{f"{i:02}_tif": flat(100 * i) for i in range(10)})
    (note,) = finish(load(str(tmp_path / "set"), 28, 1)).notes
    assert note == "values 0 to 900 scaled to 0 to 255; measured on 4 of 10 images"


def test_a_part_of_a_set_has_the_scale_of_the_whole(tmp_path: Path) -> None:
    for part, values in (("train", (0, 1000)), ("test", (2000,))):
        fill(tmp_path / "set" / part, **{f"{value}_tif": flat(value) for value in values})
    for split, expected in (("train", [0, 128]), ("test", [255]), ("all", [255, 0, 128])):
        dataset = finish(load(str(tmp_path / "set"), 28, 1, split))
        assert dataset.images[:, 0, 0, 0].tolist() == expected
        assert "values 0 to 2,000 scaled to 0 to 255" in dataset.notes


def test_sets_of_8_bits_are_not_measured_and_dark_ones_are_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan.data.imagefiles.measure", None)
    fill(tmp_path / "dark", a_png=file_of(Image.new("L", (16, 16), 31)))
    fill(tmp_path / "light", a_png=file_of(Image.new("L", (16, 16), 32)))
    assert finish(load(str(tmp_path / "dark"), 28, 1)).notes == (
        "the brightest pixel is 31 of 255: these images are nearly black: brighten them before you train",
    )
    assert finish(load(str(tmp_path / "light"), 28, 1)).notes == ()


# The budget.


def test_a_budget_is_never_overdrawn_and_none_is_passed_over() -> None:
    budget, order, gate = Budget(10), [], threading.Event()

    def work(name: str, size: int) -> None:
        with budget.take(size):
            order.append(name)
            if name == "first":
                gate.wait()

    threads = [threading.Thread(target=work, args=(name, size)) for name, size in (("first", 6), ("large", 10), ("small", 1))]
    for thread in threads:
        thread.start()
        while len(order) + len(budget._waiting) < threads.index(thread) + 1:
            pass
    assert order == ["first"] and budget.taken == 6  # the small one fits, and waits for its turn
    gate.set()
    for thread in threads:
        thread.join()
    assert order == ["first", "large", "small"] and budget.taken == 0 and budget.peak == 10


def test_more_than_a_budget_holds_is_refused_and_an_error_gives_back() -> None:
    budget = Budget(10)
    with pytest.raises(ValueError, match="11 bytes exceed the budget of 10"), budget.take(11):
        pass
    with pytest.raises(KeyError), budget.take(10):
        raise KeyError
    assert budget.taken == 0


def test_a_scale_cuts_what_lies_beyond_it() -> None:
    assert decode(flat(5000), 28, 1, scale=Scale(0, 4000)).min() == 255


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux says how much memory a process has")
def test_a_large_image_leaves_no_memory_behind() -> None:
    assert max(in_fresh_process(left_behind)) < 50 * 2**20  # its pixels take 92 MiB
