"""Plain American English in the field's words: on screen, in docs, docstrings, comments and messages.

The rules that a machine can check. A finding names the file, the line, the words, and what to write instead.
"""

import ast
import functools
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from gan.config import TrainConfig

ROOT = Path(__file__).parent.parent
FOLDERS = ("gan", "ui", "pages", "benchmarks", "tests")
LONGEST_SENTENCE = 15  # words of a sentence in a caption
MOST_HELP = 2  # sentences of a help text

# Words and turns of phrase -> what to write instead.
INSTEAD = {
    # British spelling.
    r"(?:colour|neighbour|behaviour|favour|honour|labour)\w*": "-or: color, neighbor, behavior",
    r"(?:normal|optim|initial|memor|organ|recogn|summar|visual|general|regular|serial|real|minim|maxim)is(?:e\w*|ing|ation)\b": "-ize",
    r"\banalys(?:e|ed|es|ing)\b": "analyze",
    r"\bgr(?:ey|eys|eyish)\b": "gray",
    r"\b(?:centre|metre|fibre)s?\b": "-er: center",
    r"\b(?:cancell|labell|travell|modell|signall)(?:ed|ing)\b": "one l: canceled, labeled",
    r"\b(?:learnt|spelt|burnt|dreamt)\b": "-ed: learned",
    r"\b(?:whilst|amongst)\b": "while, among",
    r"\b(?:towards|[Aa]fterwards|backwards|forwards|upwards|downwards)\b": "without s: toward, afterward",
    r"\bjudgements?\b(?!\.)": "score, or judgment",
    r"\blicence\b|\bcatalogue\b|\bprogramme\b": "license, catalog, program",
    r"\bfor ever\b": "forever",
    # Words that nobody uses today, and words that this project used in a sense of its own.
    r"\bwhoever\b|\bwhatsoever\b|\bwhereof\b|\bthereof\b|\bwhence\b|\bhence\b|\blest\b|\bshall\b": "a plain word",
    r"\banew\b": "again, or re-: retrain",
    r"\b(?:everybody|anybody|somebody)\b": "everyone, anyone, someone",
    r"\bbeside\b": "next to",
    r"\bmend(?:s|ed|ing)?\b": "fix",
    r"\bparted\b": "split",
    r"\bheld against\b": "compared with",
    r"\b(?:is|are|was|were) told\b(?! apart)": "is given, is shown",
    r"\bnoise vectors?\b": "latent vector",
    r"\bgo(?:es)? on\b|\bwent on\b": "continue",
    r"\btake(?:s)? turns of\b": "alternate",
    r"\bin place of\b": "instead of",
    r"\b(?:lay|laid|lays) over\b": "overlay",
    r"\bfrom the net\b": "from the network",
    r"\bhow (?:long|large|many) (?:the )?vectors? of\b": "the norm of",
    # Sentences built backward.
    r"\bso that one\b": "so that you, or so it",
    r"\bWithout which\b|\bWith which\b": "subject first",
    r"(?:^|[.!?:]\s+)Of (?:a|an|the|all|two|each|this|these|many|what)\b": "subject first, not 'Of a ...'",
    r"\bas it is\b|\bas they are\b|\bas they were\b": "unchanged, or say how it is",
    r"\bwhich of\b": "which",
    r", that (?!is\b)": "no comma before that",
    r"\b[Kk]nows nothing of\b": "knows nothing about",
    r"\b(?:None|empty|\"\"|NaN|zeros|False|True) where\b": "None if",
    r"\bwhere (?:there|it|they|he|she|nobody|none) (?:is|are|has|have) (?:none|one|some)\b": "if",
    # What belongs to our own desks.
    r"\b[Ii]ssue #?\d+": "what the reader needs, not an issue's number",
}

# (path, words in lower case) -> why they may stay.
ALLOWED = {
    ("tests/test_english.py", ""): "it lists the words",
    ("benchmarks/pad.py", "beside"): "the name of a subcommand",
}


class Piece(NamedTuple):
    """Some text of a file, and the line on which it starts."""

    path: str
    line: int
    text: str


def sources() -> list[Path]:
    """The project's own Python files."""
    return [ROOT / "app.py", *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))]


def strings(path: Path) -> Iterator[Piece]:
    """A file's strings, docstrings among them. What an f-string fills in is an x."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            yield Piece(name(path), node.lineno, text_of(node))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield Piece(name(path), node.lineno, node.value)


def comments(path: Path) -> Iterator[Piece]:
    """A file's comments; lines that follow each other are one piece."""
    last, lines, first = -1, [], 0
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type != tokenize.COMMENT:
            continue
        if token.start[0] == last + 1 and not token.line[: token.start[1]].strip():
            lines.append(token.string.lstrip("# "))
        else:
            if lines:
                yield Piece(name(path), first, " ".join(lines))
            first, lines = token.start[0], [token.string.lstrip("# ")]
        last = token.start[0]
    if lines:
        yield Piece(name(path), first, " ".join(lines))


def paragraphs(path: Path) -> Iterator[Piece]:
    """A Markdown file's paragraphs, items and table rows, without code."""
    text = re.sub(r"```.*?```|`[^`\n]*`", lambda code: re.sub(r"[^\n]", " ", code[0]), path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for block in re.finditer(r"(?:(?!\n\s*\n|\n\s*[-|#\d]).|\n(?!\s*\n|\s*[-|#\d]))+", text):
        yield Piece(name(path), text[: block.start()].count("\n") + 1, " ".join(block[0].split()))


def scripts() -> Iterator[Piece]:
    """What runs in browsers, and the stand-in for CUDA: line by line, comments and code."""
    for path in [*(ROOT / "ui").rglob("*.js"), *(ROOT / "ui").rglob("*.css"), *(ROOT / "tests" / "cuda").rglob("*.[ch]*")]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield Piece(name(path), number, line)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(node: ast.JoinedStr) -> str:
    """An f-string's text, with an x for what it fills in."""
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)


def everything() -> list[Piece]:
    markdown = [path for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "tests").rglob("*.md")] if path.is_file()]
    return [
        *(piece for path in sources() for piece in (*strings(path), *comments(path))),
        *(piece for path in markdown for piece in paragraphs(path)),
        *scripts(),
    ]


@pytest.fixture(scope="module")
def pieces() -> list[Piece]:
    return everything()


@pytest.mark.parametrize("words", INSTEAD)
def test_the_texts_use_plain_words(words: str, pieces: list[Piece]) -> None:
    hits = re.compile(words).finditer
    found = [
        f"{piece.path}:{piece.line}: {hit[0]!r} in {' '.join(piece.text.split())[:160]!r}"
        for piece in pieces
        for hit in hits(piece.text)
        if not allowed(piece.path, hit[0])
    ]
    assert not found, f"write {INSTEAD[words]}:\n" + "\n".join(found)


def allowed(path: str, words: str) -> bool:
    return any(path == where and what in words.lower() for where, what in ALLOWED)


def sentences(text: str) -> list[str]:
    """Sentences of plain text. A Markdown link counts as its words."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return [part for part in re.split(r"(?<=[.!?])\s+|\n+|: (?=[A-Z])", text.strip()) if re.search(r"\w", part)]


def literals(node: ast.expr) -> Iterator[str]:
    """The texts that an expression can have, as far as they are written out in it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield text_of(node)
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body)
        yield from literals(node.orelse)


@functools.cache
def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", [path for path in sources() if name(path).startswith(("ui/", "pages/"))], ids=name)
def test_captions_have_short_sentences(path: Path) -> None:
    for call in calls(path):
        if isinstance(call.func, ast.Attribute) and call.func.attr == "caption" and call.args:
            for text in literals(call.args[0]):
                long = [sentence for sentence in sentences(text) if len(sentence.split()) > LONGEST_SENTENCE]
                assert not long, f"{name(path)}:{call.lineno}: more than {LONGEST_SENTENCE} words: {long[0]}"


@pytest.mark.parametrize("path", [path for path in sources() if name(path).startswith(("ui/", "pages/"))], ids=name)
def test_help_texts_have_at_most_two_sentences(path: Path) -> None:
    for call in calls(path):
        for keyword in call.keywords:
            if keyword.arg == "help":
                for text in literals(keyword.value):
                    assert len(sentences(text)) <= MOST_HELP, f"{name(path)}:{call.lineno}: {text}"


@pytest.mark.parametrize("field", TrainConfig.model_fields)
def test_settings_have_at_most_two_sentences_of_help(field: str) -> None:
    """Not counting what each choice means, and sources."""
    text = TrainConfig.model_fields[field].description or ""
    plain = re.sub(r"\([^)]*\)", "", re.sub(r"'\w+': .*?(?= '\w+':|$)", "", text))
    assert len(sentences(plain)) <= MOST_HELP, text
