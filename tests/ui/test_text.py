import re

import pytest

from ui.text import plain

# What Streamlit's Markdown looks for in text whose escapes are undone: links without brackets (GFM), emoji and icons.
AGAIN = [
    re.compile(r"(https?:\/\/|www(?=\.))([-.\w]+)([^ \t\r\n]*)", re.IGNORECASE),
    re.compile(r"([-.\w+]+)@([-\w]+(?:\.[-\w]+)+)"),
    re.compile(r":[\w+-][\w+/-]*:"),
]


@pytest.mark.parametrize(
    "text",
    [
        *("https://evil.example/x", "HTTP://evil.example", "www.evil.example", "WwW.evil.example", "ada@evil.example", "a www.b.c d@e.f"),
        *(":smile:", ":material/home:", ":red:", ":+1:", ":a::b:", ":material/home:material/star:", "https://www.evil.example"),
    ],
)
def test_links_emoji_and_icons_do_not_come_out_of_a_name(text: str) -> None:
    shown = re.sub(r"\\([^\w\s])", r"\1", plain(text))  # as Markdown undoes escapes
    assert not [pattern.pattern for pattern in AGAIN if pattern.search(shown)]
    assert shown.replace("\u2060", "") == text


@pytest.mark.parametrize("text", ["Ada", "at 12:30", "FD: 4.5", "mnist", "a/b", "Zoë 李", "3 @ 4", "www", 7])
def test_other_text_is_not_changed(text: int | str) -> None:
    assert re.sub(r"\\([^\w\s])", r"\1", plain(text)) == str(text)
