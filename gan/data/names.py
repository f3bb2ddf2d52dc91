"""Names of files and folders from anyone -> text that can be shown. Knows nothing about what the files hold."""

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

LONGEST_CLASS = 60  # characters of a class's name
MOST_SCORED, LONGEST_SCORED = 500, 300  # names, and characters of each, used to guess an encoding
_MARK = 6  # hex digits that distinguish names that look the same


def printable(text: str, most: int = 100) -> str:
    """Text from a file's name, without control characters, line ends and writing directions, and not too long."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def readable(name: str) -> str:
    """A name from the system. Bytes that are not UTF-8 are decoded as Shift-JIS or GBK if they look like it."""
    if name.isascii() or name.isprintable():
        return name
    raw = os.fsencode(name)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        encoding = guess_encoding([raw])
        return raw.decode(encoding) if encoding else name


def class_names(folders: Sequence[str]) -> list[str]:
    """A name for each class folder: different for different folders, and not too long.

    Folders whose names would look the same get a mark made from the true name, so a class keeps its name when others come or go.

    Args:
        folders: the folders' true names, all different; bytes that are not UTF-8 as Python's surrogates.
    """
    shown = [printable(readable(folder), LONGEST_CLASS) for folder in folders]
    looks = [unicodedata.normalize("NFC", name) for name in shown]  # an é may be one character or two
    counts = Counter(looks)
    return [_marked(folder, name) if counts[look] > 1 else name for folder, name, look in zip(folders, shown, looks, strict=True)]


def _marked(folder: str, shown: str) -> str:
    mark = hashlib.blake2b(folder.encode("utf-8", "surrogatepass"), digest_size=_MARK // 2).hexdigest()
    return f"{printable(shown, LONGEST_CLASS - _MARK - 2)} #{mark}"


def guess_encoding(names: Iterable[bytes]) -> str | None:
    """The double-byte encoding that fits names that are not UTF-8: "cp932" (Shift-JIS) or "gbk"; None if neither does.

    Each character scores by how common it is in that encoding's language. A character next to a Latin letter counts against it:
    the umlaut of a German name and the letter after it often make one Chinese character.
    """
    names = [name for name in names if not name.isascii()]
    scores = {encoding: _score(names, encoding) for encoding in ("cp932", "gbk") if _fits(names, encoding)}
    best = max(scores, key=lambda encoding: scores[encoding], default=None)
    return best if best and scores[best] > 0.5 else None


def _fits(names: list[bytes], encoding: str) -> bool:
    """Whether all names can be decoded, and encoded to the same bytes again: otherwise two names might become one."""
    try:
        return all(name.decode(encoding).encode(encoding) == name for name in names)
    except UnicodeError:
        return False


def _score(names: list[bytes], encoding: str) -> float:
    """How much names look like text in an encoding, 0 to 1."""
    good, count = 0.0, 0
    for text in (name.decode(encoding)[:LONGEST_SCORED] for name in names[:MOST_SCORED]):
        for i, character in enumerate(text):
            if not character.isascii():
                around = text[max(0, i - 1) : i] + text[i + 1 : i + 2]
                count += 1 + any(c.isascii() and c.isalpha() for c in around)
                good += _common(character.encode(encoding), encoding)
    return good / count if count else 0.0


def _common(raw: bytes, encoding: str) -> float:
    """1 for kana and the characters of the standards' first level, 0.5 for those of the second level, 0 for all others."""
    if len(raw) < 2:
        return 0.0
    lead, trail = raw[0], raw[1]
    if encoding == "cp932":
        return 1.0 if lead in (0x82, 0x83) or 0x88 <= lead <= 0x98 else 0.5 if 0x99 <= lead <= 0xEA or lead == 0x81 else 0.0
    if trail < 0xA1:
        return 0.0
    return 1.0 if 0xB0 <= lead <= 0xD7 else 0.5 if 0xD8 <= lead <= 0xF7 or 0xA1 <= lead <= 0xA9 else 0.0
