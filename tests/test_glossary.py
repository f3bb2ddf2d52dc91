"""One list of terms for the app's tooltips and the page in docs/."""

import ast
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


def tooltips() -> set[str]:
    """The terms that the screens explain by name: explain("FD"), and the pairs in run_view.py."""
    found = set()
    for path in [*(ROOT / "ui").rglob("*.py"), *(ROOT / "pages").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Call) and name == "explain" and isinstance(node.args[0], ast.Constant):
                found.add(str(node.args[0].value))
    run_view = (ROOT / "ui" / "components" / "run_view.py").read_text(encoding="utf-8")
    return found | {name for _, name in re.findall(r'^    \("([^"]+)", "([^"]+)"\),$', run_view, re.MULTILINE)}


def test_screens_explain_only_terms_that_the_glossary_has() -> None:
    assert not tooltips() - set(glossary.TERMS)


def test_terms_that_a_newcomer_meets_have_a_tooltip() -> None:
    """Settings have a help text of their own, and scores the glossary's (ui/evaluate/scores.py)."""
    met = {
        *("GAN", "latent vector", "latent space", "seed", "truncation", "projection"),
        *("recipe", "fork", "snapshot", "EMA generator", "step", "loss", "D(x)", "D(G(z))", "equilibrium"),
        *("FD", "floor", "standard error", "critic", "logit", "filter", "feature map", "norm"),
    }
    assert not met - tooltips()
