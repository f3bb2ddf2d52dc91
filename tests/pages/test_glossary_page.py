"""The glossary inside the app."""

from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from gan.glossary import TERMS
from tests.pages.apps import ENTRY, texts


def open_glossary(**address: Any) -> AppTest:
    at = AppTest.from_file(ENTRY, default_timeout=30)
    for name, value in address.items():
        at.query_params[name] = value
    at.run()
    at.switch_page("../pages/glossary.py")
    return at.run()


def test_every_term_is_on_the_page(folders: Path) -> None:
    at = open_glossary()
    assert not at.exception and len(at.markdown) == len(TERMS)
    assert at.title[0].value == "Glossary"


def test_a_search_shows_the_terms_that_match(folders: Path) -> None:
    at = open_glossary(term="snapshot")
    assert 0 < len(at.markdown) < len(TERMS) and "A generator saved at some step" in texts(at.markdown)
    at.text_input(key="term").set_value("no *such* term").run()
    assert not at.markdown and "no term with" in texts(at.info)
