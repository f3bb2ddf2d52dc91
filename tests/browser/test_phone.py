"""Every page on a phone, light and dark."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import fits_a_phone, watched
from tests.browser.steps import SCHEMES, SETTLED, TEXT, open_page


@pytest.fixture(scope="module")
def phone(browser: Browser) -> Iterator[BrowserContext]:
    """A phone that keeps what it has loaded from one page to the next."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    yield context
    context.close()


@pytest.fixture
def phone_page(phone: BrowserContext) -> Iterator[Page]:
    with phone.new_page() as page:
        yield from watched(page)


@pytest.mark.parametrize(
    "path",
    [
        *("", "data", "data?set=cifar10", "train", "compare", "inside", "evaluate"),
        *("explore", "explore?view=Grid", "explore?view=Sliders", "explore?view=Walk"),
    ],
)
def test_pages_fit_a_phone(phone_page: Page, server: str, path: str) -> None:
    page = phone_page
    headings = {"": "DCGAN Workshop", "inside": "Look inside"}
    name = path.partition("?")[0]
    open_page(page, f"{server}/{path}", headings.get(name, name.capitalize()))
    if path.startswith(("explore?", "inside")):
        expect(page.locator("[data-testid=stImage] img, .ls-strip").first).to_be_visible()
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(SETTLED, arg=TEXT[scheme])
        fits_a_phone(page)
        title, you = page.locator(".stApp h1").bounding_box(), page.locator(".st-key-you button").bounding_box()
        assert title and you and you["y"] < title["y"] + title["height"] and you["x"] >= title["x"] + title["width"], f"{scheme}: one row"
        assert page.get_by_test_id("stException").count() == 0
