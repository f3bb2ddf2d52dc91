"""Look inside, in a real browser: from a run to its layers, and a drawing that D judges."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import fits_a_phone
from tests.browser.steps import both_charts_have, launch, stop

INK = """() => {
  const canvas = document.querySelector(".sketchpad canvas");
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return pixels.filter((value, i) => i % 4 === 0 && value > 0).length;
}"""


def test_from_a_run_to_its_layers_and_a_drawing_judged(page: Page, server: str) -> None:
    launch(page, server)
    both_charts_have(page, 1)
    stop(page)
    page.get_by_role("main").get_by_role("link", name="Look inside").click()
    expect(page.get_by_role("heading", name="Look inside")).to_be_visible()
    page.wait_for_url("**/inside?run=quick-digits*")  # the script that shows the heading sets it
    expect(page.get_by_alt_text("7 transposed convolution, 8 maps of 14 x 14")).to_be_visible()
    page.get_by_role("radio", name="Norms over time").click()
    expect(page.get_by_role("figure", name="Generator, norms of the weights")).to_be_visible()

    page.get_by_role("radio", name="Discriminator").click()
    expect(page.get_by_alt_text("Real image 12")).to_be_visible()
    page.get_by_role("radio", name="Drawn").click()
    canvas = page.locator(".sketchpad canvas")
    expect(canvas).to_be_visible()
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box and page.evaluate(INK) == 0
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.45, box["y"] + box["height"] * 0.8, steps=5)
    page.mouse.up()
    seen = page.get_by_alt_text("The image as the discriminator sees it")
    expect(seen).to_be_visible()
    expect(page.get_by_test_id("stMetricValue")).to_have_text(re.compile(r"[01]\.\d\d"))
    before = str(seen.get_attribute("src"))
    page.wait_for_function(f"() => ({INK})() > 0")
    ink = page.evaluate(INK)

    # By keyboard: to the right, down with the pen, a stroke, and up with it.
    canvas.focus()
    for key in ("ArrowRight", "ArrowRight", " ", "ArrowUp", "ArrowUp", "ArrowUp", " "):
        canvas.press(key)
    expect(seen).not_to_have_attribute("src", before)
    page.wait_for_function(f"ink => ({INK})() > ink", arg=ink)

    # The drawing is there again after another view, and fits a phone; Clear takes it away.
    page.get_by_role("radio", name="Filters").click()
    expect(page.get_by_role("heading", name="Generator, last layer")).to_be_visible()
    page.get_by_role("radio", name="Discriminator").click()
    expect(seen).to_be_visible()
    page.wait_for_function(f"() => ({INK})() > 0")
    page.set_viewport_size({"width": 390, "height": 844})
    fits_a_phone(page)
    clear = page.get_by_role("button", name="Clear", exact=True)
    clear.focus()
    clear.press("Enter")
    expect(seen).to_have_count(0)
    assert page.get_by_test_id("stException").count() == 0
