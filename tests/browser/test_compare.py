"""Two runs side by side, one of them still training."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import fits_a_phone
from tests.browser.steps import both_charts_have, launch, stop, zoom_left_half


def test_compare_two_runs_one_of_them_at_work(page: Page, server: str) -> None:
    launch(page, server)
    both_charts_have(page, 2)
    stop(page)
    older = page.url.partition("run=")[2]
    launch(page, server)
    both_charts_have(page, 2)
    newer = page.url.partition("run=")[2]
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_text("Choose another run")).to_be_visible()
    page.get_by_role("combobox", name="Runs").fill(older[-4:])
    page.get_by_role("option", name=re.compile(f"{older[-4:]} · stopped")).click()
    page.keyboard.press("Escape")
    page.wait_for_url(re.compile(rf"runs={newer}(,|%2C){older}"))
    expect(page.get_by_role("heading", name="Results so far")).to_be_visible()

    # An active run continues in its charts: they are not rebuilt, and keep their zoom.
    charts = page.locator(".cv-chart")
    expect(charts).to_have_count(4)
    page.wait_for_function("() => document.querySelectorAll('.cv-chart')[3]?.data?.length === 4")
    points = "() => document.querySelector('.cv-chart').calcdata?.[1].length ?? 0"
    ranges = "() => [...document.querySelectorAll('.cv-chart')].map(chart => Math.round(chart._fullLayout.xaxis.range[1]))"
    page.evaluate("() => { document.querySelector('.cv-chart').marked = true; }")
    box = page.locator(".cv-chart .nsewdrag").first.bounding_box()
    assert box
    page.wait_for_function(f"() => ({points})() > 0")
    before, whole = page.evaluate(points), page.evaluate(ranges)
    zoom_left_half(page, box, f"() => ({ranges})().every(end => end < {whole[0]})")  # in all of them
    zoomed = page.evaluate(ranges)
    page.wait_for_function(f"() => ({points})() > {before}")
    assert page.evaluate("() => document.querySelector('.cv-chart').marked") and page.evaluate(ranges) == zoomed
    assert "step" in str(charts.first.get_attribute("aria-label"))

    # One slider for both grids; the address knows where it is.
    images = page.locator(".cv-grids img")
    expect(images).to_have_count(2)
    page.get_by_label("Position in training").press("Home")
    expect(images.last).to_have_attribute("src", re.compile(rf"{older}/samples/0\.png"))
    expect(images.first).to_have_attribute("src", re.compile(rf"{newer}/samples/0\.png"))
    page.wait_for_url(re.compile(r"at=0(&|$)"))
    page.wait_for_function("() => [...document.querySelectorAll('.cv-grids img')].every(image => image.naturalWidth > 100)")

    # From a name to its run, which ends; the choice is kept, and the address is enough for a phone.
    address = page.url
    page.get_by_role("link", name=re.compile(newer[-4:])).click()
    stop(page)
    page.get_by_role("link", name="Compare", exact=True).first.click()  # the menu; the next step has the same name
    expect(page.locator(".cv-grids figure")).to_have_count(2)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(address)
    page.wait_for_function("() => document.querySelectorAll('.cv-chart')[3]?.data?.length === 4")
    expect(page.locator(".cv-where")).to_contain_text("Step 0")
    fits_a_phone(page)
