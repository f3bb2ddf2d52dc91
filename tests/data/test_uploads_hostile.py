"""Zips and images from an attacker or a bad day: each is read, or refused with a sentence, within the budget of memory.

`python -m benchmarks.hostile_uploads` prints the same cases with the time and the memory of each.
"""

import warnings

import pytest

from benchmarks.hostile_uploads import cases, memory, reset_peak, taken
from gan.data import datasets, decoding

MOST_MEMORY = 600 * 2**20  # bytes above what the process had before
CASES = cases()
# Expected results: words of the sentence or note, or "" if everything is read.
EXPECTED = {
    "zip: deflate64": "compressed with Deflate64",
    "zip: encrypted": "is encrypted",
    "zip: wrong checksum": "Bad CRC-32",
    "zip: a file of kind S_IFLNK": "is a link",
    "zip: a zip in a zip": "is an archive inside the zip",
    "zip: 64 MB of extra fields, small": "MiB of extra fields",
    "zip: one name, 100 times": "appears more than once",
    "zip: twelve bombs of 31 MiB": "times its size",
    "png: a gigapixel": "has far too many pixels",
    "png: text of 256 MB": "",
    "png: profile of 256 MB": "",
    "png: wrong checksum of text": "",
    "png: rgba of 49 megapixels": "",
    "png: of 16 bits and 49 megapixels": "all values are 0",
    "jpg: of 108 megapixels": "",
    "jpg: of 400 scans": "is a JPEG of 409 scans",
    "jpg: progressive of 108 megapixels in full color": "MiB to decode; at most 384 MiB are allowed",
    "gif: of 2000 frames": "",
    "webp: of 300 frames": "",
    "webp: animated of 49 megapixels": "MiB to decode",
    "tif: a tile of a gigapixel": "MiB to decode",
    "tif: a strip of 49 megapixels": "",
    "ppm: text with comments without end": "is a text of numbers with 500,000 comments",
    "other: a pickle": "cannot be read as an image",
}


def test_there_are_more_cases_than_were_once_tried() -> None:
    assert len(CASES) >= 152 and set(EXPECTED) <= set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_it_is_read_or_refused_with_a_sentence(name: str) -> None:
    content = CASES[name]()
    before = memory("VmRSS") if (measured := reset_peak()) else 0
    with warnings.catch_warnings(action="ignore"):  # Pillow warns about odd files
        result = taken(content)
    if measured:
        assert memory("VmHWM") - before < MOST_MEMORY
    assert decoding.budget().taken == 0 and decoding.budget().peak <= decoding.MEMORY
    said = [result] if isinstance(result, str) else [*result.skipped, *result.notes]
    assert all(line and "\n" not in line and "object at 0x" not in line for line in said)
    if isinstance(result, str):  # a refused set leaves nothing behind
        assert not [path for path in datasets.data_root().glob("*") if path.name != "cache"]
    else:
        assert len(result) >= 1
    if name in EXPECTED:
        assert EXPECTED[name] in " ".join(said) if EXPECTED[name] else not said, said
