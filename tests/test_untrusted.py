import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from gan.untrusted import DEEPEST, is_number, open_regular, parse_json, read_bytes, read_json


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [1, -2.5e3, null, true, "x"]}',
        '"ü 🙂"',
        '"\\u00fc \\ud83d\\ude42"',
        "[" * DEEPEST + "]" * DEEPEST,
        str(2**63 - 1),
        "-0.0",
        " 1 ",
    ],
)
def test_json_is_read_as_pythons_own_reader_does(text: str) -> None:
    assert parse_json(text) == parse_json(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    "text, said",
    [
        ("NaN", "no NaN"),
        ("[-Infinity]", "no -Infinity"),
        ("1e999", "finite; got 1e999"),
        ("9" * 400, "64 bits"),
        (str(2**63), "64 bits"),
        ('"\\ud800"', "surrogate"),
        ('{"\\udfff": 1}', "surrogate"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "levels deep"),
        ('{"a":' * 40 + "1" + "}" * 40, "levels deep"),
        ("[" * 200_000, "levels deep"),
        ("", "Expecting value"),
        ("{", "Expecting"),
        ("\ufeff{}", "BOM"),
        ('"' + "x" * 2**20 + '"', "at most 1,024 KiB; got 1,025"),
    ],
)
def test_what_no_other_program_could_read_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_json(text)
    with pytest.raises(ValueError, match=said):
        parse_json(text.encode())


def test_bytes_that_are_no_utf8_are_refused() -> None:
    for content in (b'"\xed\xa0\x80"', b'"\xff"', '"a"'.encode("utf-16")):
        with pytest.raises(ValueError):
            parse_json(content)


@pytest.mark.parametrize("value", [0, -3, 1.5, -0.0, 1e308, 2**63, 10**300, np.float64(2.5)])
def test_a_number_is_what_fits_a_finite_float(value: object) -> None:
    assert is_number(value)


@pytest.mark.parametrize(
    "value",
    [
        *(True, False, None, "1", [1], {}, 1j, math.nan, math.inf, -math.inf, 10**400, -(10**400)),
        *(np.float64("nan"), np.float64("inf"), np.bool_(True), np.float32(1), np.int64(1), np.array(1.0), np.array([1.0])),
    ],
)
def test_nothing_else_is_a_number(value: object) -> None:
    """Numbers of numpy but for float64, which is a float, cannot be written as JSON, so no file has them."""
    assert not is_number(value)


def test_only_regular_files_are_opened_and_none_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("[1]")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "nothing").symlink_to("nowhere")
    (tmp_path / "device").symlink_to("/dev/zero")
    assert read_json(tmp_path / "file") == read_json(tmp_path / "link") == [1]
    for name in ("pipe", "folder", "device"):
        with pytest.raises(OSError, match="not a regular file"):
            open_regular(tmp_path / name)
    for name in ("nothing", "missing"):
        with pytest.raises(FileNotFoundError):
            open_regular(tmp_path / name)


def test_no_more_is_read_than_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_bytes(tmp_path / "file", 5) == b"12345"
    with pytest.raises(ValueError, match="larger than"):
        read_bytes(tmp_path / "file", 4)
