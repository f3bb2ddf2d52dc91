"""What keeps people from reading or using a page, by axe-core: every page, light and dark, on a phone and wide. Each page fits a phone."""

import re
from collections.abc import Iterable

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.conftest import WIDE, fits_a_phone
from tests.browser.steps import SETTLED, TEXT, Scheme, both_charts_have, launch, open_page, stop, visit

PHONE: ViewportSize = {"width": 390, "height": 844}
# In an order that changes little at a time, from a phone to the window and the colors that the next test begins with.
COMBINATIONS: tuple[tuple[Scheme, ViewportSize], ...] = (("light", PHONE), ("dark", PHONE), ("dark", WIDE), ("light", WIDE))
# Only the rules that can find something serious: each rule of axe has its impact.
FOUND = """async values => (await axe.run({ resultTypes: ["violations"], runOnly: { type: "rule", values: values ?? axe._audit.rules
  .filter(rule => rule.enabled && !rule.tags.includes("experimental") && !["minor", "moderate"].includes(rule.impact))
  .map(rule => rule.id) } })).violations
  .filter(found => ["serious", "critical"].includes(found.impact))
  .flatMap(found => found.nodes.map(node => `${found.id}: ${node.failureSummary} ${node.html}`))"""
# All rules in one color scheme; in the other, whose page has the same elements, only the rules about colors.
COLOR_RULES = ["color-contrast", "link-in-text-block"]
# An address, its heading, and what is there once the page is drawn.
PAGES = {
    "/": ("DCGAN Workshop", ".living canvas"),
    "/learn": ("Learn", ".quiz-tile"),
    "/learn?lesson=batch-norm": ("Learn", ".bnorm-companions canvas"),
    "/learn?lesson=rules": ("Learn", ".st-key-experiment_card"),
    "/learn?lesson=clinic": ("Learn", ".clinic.figure-ready"),
    "/learn?lesson=space": ("Learn", ".space-faces button"),
    "/data": ("Data", ".stPlotlyChart .main-svg"),
    "/data?set=cifar10": ("Data", ".stButton"),
    "/compare": ("Compare", ".stPageLink, .stAlert"),
    "/train": ("Train", "[data-testid=stNumberInput]"),
    "/inside": ("Look inside", "img"),
    "/inside?run=digits": ("Look inside", "img"),
    "/explore?from=digits": ("Explore", ".pad-picture"),
    "/explore?from=digits&view=Grid": ("Explore", "[alt='Image of seed 31']"),
    "/explore?from=digits&view=Sliders": ("Explore", ".ls-strip"),
    "/explore?from=digits&view=Arithmetic": ("Explore", ".ar-grid img"),
    "/explore?from=digits&view=Walk": ("Explore", ".nl-item img"),
    "/evaluate?from=digits": ("Evaluate", "[data-testid=stSlider]"),
    "/glossary": ("Glossary", "[data-testid=stTextInput]"),
}
# The other views of two pages: what is there once the view is drawn.
VIEWS = {
    "/inside?run=RUN": {
        "Discriminator": "[alt='Real image 12']",
        "Filters": "[alt*=filters] >> nth=1",
        "Norms over time": ".stPlotlyChart .main-svg",
    },
    "/explore?from=RUN": {
        "Grid": "[alt='Image of seed 31']",
        "Time": "[alt^='Film of seeds']",
        "Does it copy its training images?": "[alt^='The image of seed 7']",
        "Find an image in latent space": "[alt='The image to find']",
    },
}


@pytest.fixture
def page(left_tab: Page) -> Page:
    """The tests of this file look at what every visitor sees: one goes through all pages."""
    return left_tab


def violations(page: Page, combinations: Iterable[tuple[Scheme, ViewportSize]] = COMBINATIONS) -> list[str]:
    """The serious findings on the current page, in these color schemes and in these windows."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found, seen = [], set()
    for scheme, window in combinations:
        width = window["width"]
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(window)
        page.wait_for_function(SETTLED, arg=TEXT[scheme])
        said = page.evaluate(FOUND, COLOR_RULES if width in seen else None)
        found += [f"{scheme}, {width} px: {one}" for one in said]
        seen.add(width)
        page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width)
    return found


@pytest.mark.parametrize("address", PAGES)
def test_nothing_serious_keeps_people_from_a_page_and_it_fits_a_phone(page: Page, server: str, address: str) -> None:
    heading, drawn = PAGES[address]
    page.set_viewport_size(PHONE)
    visit(page, f"{server}{address}", heading)
    expect(page.locator(f".stMain {drawn}").first).to_be_visible()
    fits_a_phone(page)
    title, you = page.locator(".stApp h1").bounding_box(), page.locator(".st-key-you button").bounding_box()
    assert title and you and you["y"] < title["y"] + title["height"] and you["x"] >= title["x"] + title["width"], "one row"
    assert page.get_by_test_id("stException").count() == 0
    assert not violations(page)


def test_nothing_serious_keeps_people_from_a_run_and_the_views_of_its_networks(page: Page, server: str) -> None:
    launch(page, server)
    both_charts_have(page, 2)
    stop(page)
    assert not violations(page)
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator(".cv-chart .main-svg").first).to_be_visible()
    assert not violations(page)
    run = re.split("runs=|,|%2C", page.url)[1]
    for (address, views), enter in zip(VIEWS.items(), (open_page, visit), strict=True):
        enter(page, server + address.replace("RUN", run), "Look inside" if "inside" in address else "Explore")
        for view, drawn in views.items():
            page.get_by_role("radio", name=view).click()
            expect(page.locator(f".stMain {drawn}").first).to_be_visible()
            assert not violations(page, COMBINATIONS[::2]), view


def test_the_keyboard_can_be_followed(page: Page, server: str) -> None:
    """Links of the navigation and of the page, and buttons, have a ring where the focus is."""
    visit(page, f"{server}/", "DCGAN Workshop")
    page.wait_for_function(SETTLED, arg=TEXT["light"])
    ring = "element => { element.focus(); const { outlineStyle, outlineWidth } = getComputedStyle(element); return `${outlineStyle} ${outlineWidth}`; }"
    page.keyboard.press("Tab")  # from here on the focus is shown
    for name in ("[data-testid=stTopNavLink]", "[data-testid=stPageLink-NavLink]", ".stMain .stButton button"):
        assert page.locator(name).last.evaluate(ring) == "solid 2px", name
