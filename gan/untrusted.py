"""Reads files that anyone may have written: regular files of bounded size, and strict JSON. Knows nothing about what is in them."""

import json
import math
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeGuard

LARGEST_JSON = 1 << 20  # bytes of a document, or of a line of a log
DEEPEST = 32  # nested lists and objects; ours have six levels
LARGEST_WHOLE = 2**63  # far above any number of ours; larger ones overflow elsewhere


def open_regular(path: Path) -> BinaryIO:
    """Opens a file for reading. It never waits: a named pipe would hold the reader until someone writes.

    Raises:
        OSError: there is no such file, it cannot be read, or it is a folder, a pipe or a device.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path.name} is not a regular file")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(path: Path, most: int) -> bytes:
    """The content of a file.

    Raises:
        OSError: see open_regular().
        ValueError: it is larger than `most` bytes.
    """
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{path.name} is larger than {most >> 10:,} KiB")
    return content


def read_json(path: Path, most: int = LARGEST_JSON) -> Any:
    """The JSON document in a file; see parse_json().

    Raises:
        OSError: see open_regular().
        ValueError: it is too large, or parse_json() refuses it.
    """
    return parse_json(read_bytes(path, most), most)


def parse_json(content: bytes | str, most: int = LARGEST_JSON) -> Any:
    """Strict JSON in UTF-8: the result can be written as JSON again, sent, and used in calculations.

    Raises:
        ValueError: it is longer than `most`, not JSON, nested deeper than DEEPEST, or has a number that is not finite or too large, or
            half a character (a lone surrogate).
    """
    if len(content) > most:
        raise ValueError(f"JSON may have at most {most >> 10:,} KiB; got {-(-len(content) // 1024):,}")
    text = content if isinstance(content, str) else content.decode()
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite, parse_int=_whole)
    except RecursionError:
        raise ValueError(f"JSON may be nested at most {DEEPEST} levels deep; this is deeper") from None
    if text.count("[") + text.count("{") > DEEPEST:
        _refuse_deep(value)
    if "\\u" in text or not text.isascii():  # only an escape, or a text that was not UTF-8, can hold half a character
        json.dumps(value, ensure_ascii=False).encode()
    return value


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is one of Python's numbers and fits a finite float. True and False do not count."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond the largest float
        return False


def is_whole(value: object, most: int = 10**12) -> TypeGuard[int]:
    """Whether a value from a file is a whole number from 0 to `most`. True and False do not count."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"a number must be finite; got {text[:40]}")
    return value


def _whole(text: str) -> int:
    if len(text) > 20 or abs(value := int(text)) >= LARGEST_WHOLE:
        raise ValueError(f"a whole number must fit in 64 bits; got {text[:40]}")
    return value


def _refuse_deep(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [part for part in level if isinstance(part, dict | list)]
        if not level:
            return
        level = [inner for outer in level for inner in (outer.values() if isinstance(outer, dict) else outer)]
    raise ValueError(f"JSON may be nested at most {DEEPEST} levels deep; this is deeper")
