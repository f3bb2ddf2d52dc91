"""Text that came from elsewhere (an address, a file, an exception), made safe for places where Streamlit reads Markdown."""

import re


def plain(text: object) -> str:
    """The text with every Markdown sign escaped: no links, images or colours come out of it."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-!|~:$])", r"\\\1", str(text))
