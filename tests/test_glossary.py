"""One list of terms for the app's tooltips and the page in docs/."""

import re
from pathlib import Path

import pytest

from gan import glossary

ROOT = Path(__file__).parent.parent


def test_the_page_in_docs_is_the_list() -> None:
    """To update the page: python -c "from gan import glossary; print(glossary.as_markdown(), end='')" > docs/glossary.md"""
    assert (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8") == glossary.as_markdown()


@pytest.mark.parametrize("term", glossary.TERMS.values(), ids=lambda term: term.name)
def test_a_term_is_explained_in_a_few_whole_sentences(term: glossary.Term) -> None:
    assert re.fullmatch(r"[A-Z].*[.]", term.text)
    assert len(re.findall(r"[.] |[.]$", term.text)) <= 3
    assert len(term.text) <= 220


def test_an_unknown_term_is_refused() -> None:
    with pytest.raises(KeyError):
        glossary.explain("no such term")
