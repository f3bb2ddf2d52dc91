"""Text that came from elsewhere (an address, a file, an exception), made safe for places where Streamlit reads Markdown."""

import os
import re
from pathlib import Path

# Streamlit looks for links without brackets, and for emoji and icon codes, once more after Markdown's escapes are undone. What
# cannot be seen (U+2060, word joiner) between their parts stops that.
_JOINER = "\u2060"
_CODES = re.compile(r"(?<=:)(?=[\w+\-/]{1,64}:|//)|(?<=@)(?=[\w\-])|(?<=www)(?=\.)", re.IGNORECASE)


def plain(text: object) -> str:
    """The text with every Markdown sign escaped: no links, images, emoji, icons or colors come out of it."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-!|~:$])", r"\\\1", _CODES.sub(_JOINER, str(text)))


def within(folder: Path, text: object) -> str:
    """What is wrong with one of a folder's files, without the path of the folder: visitors need not know it, and it is long."""
    return str(text).replace(f"{folder}{os.sep}", "")
