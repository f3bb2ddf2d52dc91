"""The pad, and views that are shared by their address."""

import re

from playwright.sync_api import Page, expect

from tests.browser.steps import open_page

PLACES = "() => document.querySelector('.pad')?.padLog?.length"


def test_the_pad_follows_mouse_and_keys_and_moves_on_without_end(page: Page, server: str) -> None:
    open_page(page, f"{server}/explore?from=digits&corners=5,6,7,8", "Explore")
    page.wait_for_function(f"() => ({PLACES})() > 0")
    square, reading = page.locator(".pad-square"), page.locator(".pad-reading")
    expect(reading).to_have_text("Between the seeds 5, 6, 7, 8: 50% across, 50% down")
    box = square.bounding_box()
    assert box
    before = page.evaluate(PLACES)
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    for i in range(1, 11):
        page.mouse.move(box["x"] + (0.5 + 0.04 * i) * box["width"], box["y"] + 0.5 * box["height"])
        page.wait_for_timeout(50)
    page.mouse.up()
    expect(reading).to_contain_text("90% across, 50% down")
    page.wait_for_function(f"() => ({PLACES})() > {before + 3}")
    page.wait_for_url(re.compile("place=0%2C0%2C0.9"))
    drawn = (
        "() => document.querySelector('.pad-picture').getContext('2d').getImageData(0, 0, 28, 28).data.some((v, i) => i % 4 < 3 && v > 0)"
    )
    page.wait_for_function(drawn)

    square.press("ArrowLeft")
    expect(reading).to_contain_text("88% across")
    for _ in range(4):
        square.press("Shift+ArrowRight")
    expect(reading).to_contain_text("Between the seeds 6, ")
    corners = reading.text_content()
    page.get_by_role("button", name="Move the map").click()
    expect(page.locator(".pad-hint")).to_contain_text("Now drag the map")
    page.get_by_role("button", name="Move the map").click()
    expect(page.locator(".pad-hint")).to_be_empty()
    page.get_by_role("button", name="Back to the first corners").click()
    expect(reading).to_contain_text("seeds 5, 6, 7, 8: 50% across")
    square.press("Shift+ArrowRight")
    square.press("Shift+ArrowRight")
    page.wait_for_url(re.compile("place=0.5%2C0%2C1"))
    page.reload()  # the address holds the place, and the corners are where they were
    expect(page.locator(".pad-reading")).to_contain_text("Between the seeds 6, ")
    assert corners and corners.split(":")[0] in (page.locator(".pad-reading").text_content() or "")


def test_a_view_is_shared_by_its_address(page: Page, server: str) -> None:
    page.goto(f"{server}/explore?from=digits&view=Walk&stops=7,8&mode=lerp")
    expect(page.get_by_alt_text("Animated walk through seed 7, seed 8")).to_be_visible()
    expect(page.get_by_role("radio", name="lerp", exact=True)).to_be_checked()
