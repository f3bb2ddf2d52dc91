"""The latent lab in a real browser: sliders whose picture follows."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import fits_a_phone
from tests.browser.steps import open_page, visit

DRAWN = "() => document.querySelector('.ls')?.lsLog?.length"
PIXELS = "() => document.querySelector('.ls-picture').getContext('2d').getImageData(0, 0, 28, 28).data.join()"


@pytest.fixture
def page(tab: Page) -> Page:
    """One visitor, who makes two visits."""
    return tab


def test_sliders_follow_while_they_are_dragged_and_keep_names_and_places(page: Page, server: str) -> None:
    open_page(page, f"{server}/explore?from=digits&view=Sliders&seed=3", "Explore")
    page.wait_for_function(f"() => ({DRAWN})() > 0")
    slider = page.get_by_role("slider", name="Direction 1")
    expect(page.locator(".ls-slider")).to_have_count(8)
    assert page.locator(".ls-strip").first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 140
    start = page.evaluate(PIXELS)

    # Pictures come while the mouse is still down; the address waits for the release.
    box = slider.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    before = page.evaluate(DRAWN)
    for i in range(1, 11):
        page.mouse.move(box["x"] + box["width"] * (0.5 + 0.03 * i), box["y"] + box["height"] / 2)
        page.wait_for_timeout(40)
    page.wait_for_function(f"() => ({DRAWN})() > {before + 3}")
    assert page.evaluate(PIXELS) != start and "pca=" not in page.url
    page.mouse.up()
    page.wait_for_url(re.compile(r"pca=1%3A1\.\d"))

    # By keyboard, with a name of one's own.
    second = page.get_by_role("slider", name="Direction 2")
    for _ in range(3):
        second.press("ArrowLeft")
    page.wait_for_url(re.compile(r"2%3A-0\.15"))
    page.get_by_role("textbox", name="Name of direction 2").fill("slant <b>")
    page.keyboard.press("Enter")
    expect(page.get_by_role("slider", name="slant <b>")).to_have_value("-0.15")
    page.wait_for_url(re.compile("pca_names=2%3Aslant"))
    page.get_by_role("slider", name="Truncation").press("Home")
    expect(page.locator(".ls-reading")).to_contain_text("Length of z: 0.0, shorter than in training")
    page.wait_for_url(re.compile("psi=0"))

    page.reload()  # the address holds it all
    expect(page.get_by_role("slider", name="slant <b>")).to_have_value("-0.15")
    expect(page.locator(".ls-reading")).to_contain_text("Length of z: 0.0")
    page.get_by_role("button", name="Back to the seed").click()
    expect(page.get_by_role("slider", name="slant <b>")).to_have_value("0")
    page.wait_for_function(f"start => ({PIXELS})() === start", arg=start)
    page.wait_for_url(lambda url: "pca=" not in url and "psi=" not in url)

    # The browser knows the names even without the address; single dimensions are there on demand.
    open_page(page, f"{server}/explore?from=digits&view=Sliders", "Explore")
    expect(page.get_by_role("slider", name="slant <b>")).to_be_visible()
    page.get_by_role("radio", name="Dimensions").click()
    dimension = page.get_by_role("slider", name=re.compile(r"Dimension \d+")).first
    expect(page.get_by_role("slider", name=re.compile(r"Dimension \d+"))).to_have_count(8)
    dimension.press("End")
    page.wait_for_url(re.compile(r"raw=\d+%3A3"))
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator(".ls-slider").last.scroll_into_view_if_needed()
    expect(page.locator(".ls-picture")).to_be_in_viewport(ratio=1)  # the picture stays in sight of the last slider


def test_arithmetic_by_clicks_and_back_from_an_image(page: Page, server: str) -> None:
    visit(page, f"{server}/explore?from=digits&view=Arithmetic", "Explore")
    page.wait_for_function("() => document.querySelector('.ar')?.arLog?.length > 0")
    result = "() => document.querySelectorAll('.ar-result canvas')[4].getContext('2d').getImageData(0, 0, 28, 28).data.join()"
    start = page.evaluate(result)
    # A click puts a picture into the chosen group, another takes it out.
    page.get_by_role("button", name="Seed 11", exact=True).click()
    page.wait_for_url(re.compile("a=1%2C2%2C3%2C11"))
    expect(page.get_by_role("button", name="Seed 11, in A")).to_be_visible()
    page.get_by_role("radio", name="C", exact=True).check()
    page.get_by_role("button", name="Seed 7, in C").click()
    page.wait_for_url(re.compile("c=8%2C9"))
    page.get_by_role("slider", name="Strength").press("End")
    page.wait_for_url(re.compile("times=6"))
    expect(page.locator(".ar-reading")).to_contain_text("longer than in training")
    page.wait_for_function(f"start => ({result})() !== start", arg=start)
    page.reload()
    expect(page.get_by_role("button", name="Seed 11, in A")).to_be_visible()
    expect(page.get_by_role("slider", name="Strength")).to_have_value("6")

    # A drawing is found in latent space, and taken to the walks.
    page.set_viewport_size({"width": 390, "height": 844})
    visit(page, f"{server}/explore?from=digits&view=Find+an+image+in+latent+space&picture=Drawn", "Explore")
    pad = page.locator("canvas").first
    expect(pad).to_be_visible()
    pad.hover(position={"x": 60, "y": 20})  # waits until it no longer moves
    box = pad.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 20, steps=8)
    page.mouse.up()
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("The closest image found")).to_be_visible(timeout=60_000)
    fits_a_phone(page)
    page.get_by_role("button", name="Walk from it").click()
    expect(page.get_by_role("textbox", name="Name of vector 5")).to_have_value("From an image")
    assert page.get_by_test_id("stException").count() == 0
