"""Home's first screen, and the way from there through a first run."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.steps import both_charts_have, open_page, stop, visit

AT = "() => document.querySelector('.living canvas')?.dataset.at"
MOVED = f"before => ({AT})() !== before"


@pytest.mark.parametrize("width", [1280, 390])
def test_the_first_screen_has_one_button_and_something_that_moves(tab: Page, server: str, width: int) -> None:
    height = 800 if width == 1280 else 844
    tab.set_viewport_size({"width": width, "height": height})
    tab.emulate_media(reduced_motion="no-preference")
    visit(tab, f"{server}/", "DCGAN Workshop")
    canvas, start = tab.locator(".living canvas"), tab.get_by_role("button", name="Train your first network")
    tab.wait_for_function(f"() => ({AT})()")
    for shown in (canvas, start):
        box = shown.bounding_box()
        assert box and box["y"] + box["height"] <= height and box["x"] + box["width"] <= width
    tab.wait_for_function(MOVED, arg=tab.evaluate(AT))
    tab.get_by_role("button", name="Pause").click()
    expect(tab.get_by_role("button", name="Play")).to_be_visible()
    still = tab.evaluate(AT)
    tab.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done))))")
    assert tab.evaluate(AT) == still
    tab.get_by_role("button", name="Play").click()
    tab.wait_for_function(MOVED, arg=still)


def test_who_prefers_no_motion_gets_a_still_picture(page: Page, server: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    open_page(page, f"{server}/", "DCGAN Workshop")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    page.wait_for_function(f"() => ({AT})() === '0.00'")


def test_a_first_run_from_home_with_the_tour_and_back(page: Page, server: str, browser: Browser) -> None:
    open_page(page, f"{server}/", "DCGAN Workshop")
    page.get_by_role("button", name="Train your first network").click()
    expect(page.get_by_text("The recipe is ready.")).to_be_visible()
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_text("What are the two curves?")).to_be_visible()
    both_charts_have(page, 2)
    address = page.url

    # Another participant waits: no charts and no sliders that do nothing, and a way back.
    context = browser.new_context(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    phone = context.new_page()
    open_page(phone, f"{server}/train", "Train")
    phone.get_by_role("button", name="Train", exact=True).click()
    expect(phone.get_by_text("Number 1 in the queue.")).to_be_visible()
    expect(phone.get_by_role("link", name="Watch the run ahead")).to_be_visible()
    expect(phone.locator(".rv-body")).to_be_hidden()
    expect(phone.get_by_test_id("stMain").get_by_role("slider")).to_have_count(0)

    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("What should I watch?")).to_be_visible()
    page.get_by_role("button", name="Skip the tour").click()
    expect(page.get_by_role("button", name="Show me around")).to_be_visible()
    expect(page).to_have_url(re.compile("run="))

    # Home shows the newest images of one's own run, and the next ones take their place.
    visit(page, f"{server}/", "DCGAN Workshop")
    picture = page.get_by_role("figure", name="Your run at step").locator("img")
    expect(picture).to_have_attribute("src", re.compile(r"samples/\d+\.png"))
    expect(picture).not_to_have_attribute("src", picture.get_attribute("src") or "")
    page.get_by_role("button", name="Watch your run").click()
    expect(page.locator(".run-view")).to_be_visible()
    assert page.url.partition("run=")[2] == address.partition("run=")[2]
    stop(page)
    both_charts_have(phone, 2)  # the run that waited draws its charts as soon as it has begun
    stop(phone)
    context.close()
