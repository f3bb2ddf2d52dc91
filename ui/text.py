"""Makes text from elsewhere (an address, a file, an exception) safe for places where Streamlit reads Markdown."""

import os
import re
from pathlib import Path

# Streamlit searches again for bare links and for emoji and icon codes after it has undone Markdown's escapes. An invisible
# character (U+2060, word joiner) between their parts stops that.
_JOINER = "\u2060"
_CODES = re.compile(r"(?<=:)(?=[\w+\-/]{1,64}:|//)|(?<=@)(?=[\w\-])|(?<=www)(?=\.)", re.IGNORECASE)


def plain(text: object) -> str:
    """The text with every Markdown sign escaped: it shows no links, images, emoji, icons or colors."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-!|~:$])", r"\\\1", _CODES.sub(_JOINER, str(text)))


def within(folder: Path, text: object) -> str:
    """What is wrong with one of a folder's files, without the folder's path, which is long and not for visitors."""
    return str(text).replace(f"{folder}{os.sep}", "")
