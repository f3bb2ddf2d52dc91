"""What a participant does: train, watch, zoom, stop, explore."""

import json
import re
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server
from tests.browser.steps import (
    POINTS,
    both_charts_have,
    launch,
    open_page,
    press_train,
    stays_in_place,
    stop,
    visit,
    zoom_left_half,
)

RANGE = "() => document.querySelector('[data-chart=loss]')._fullLayout.xaxis.range"


@pytest.fixture
def page(tab: Page) -> Page:
    """One visitor; a test of a page's first seconds has another."""
    return tab


def test_train_watch_zoom_stop_and_explore(page: Page, server: str) -> None:
    page.emulate_media(reduced_motion="no-preference")
    open_page(page, f"{server}/train", "Train")
    press_train(page)
    both_charts_have(page, 3)
    stays_in_place(page)
    assert "run=quick-digits" in page.url
    page.evaluate("() => { document.querySelector('[data-chart=loss]').marked = true; }")

    # Zoom with the mouse into the left part of the losses, and come back later.
    chart = page.locator("[data-chart=loss] .nsewdrag").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box
    zoom_left_half(page, box, f"() => ({RANGE})()[1] < 1000 && !document.querySelector('[data-chart=loss]').layout.xaxis.autorange")
    zoomed = page.evaluate(RANGE)
    before = page.evaluate(POINTS)[0]
    both_charts_have(page, before + 3)
    assert page.evaluate(RANGE) == zoomed
    assert page.evaluate("() => document.querySelector('[data-chart=loss]').marked"), "the chart was rebuilt"

    # The grid shows pictures, and the slider goes back through training.
    image = page.locator(".rv-frame img")
    expect(image).to_have_attribute("src", re.compile(r"samples/\d+\.png"))
    page.wait_for_function("() => document.querySelector('.rv-frame img').naturalWidth > 100")
    page.get_by_label("Moment of training").press("Home")
    expect(image).to_have_attribute("src", re.compile(r"samples/0\.png"))

    # A second browser finds the run by its address.
    other = page.context.new_page()
    other.goto(page.url)
    both_charts_have(other, before)
    other.close()

    stop(page)
    expect(page.locator("[data-fact=state]")).to_have_text("stopped")
    assert page.evaluate(RANGE) == zoomed, "the zoom is kept through reruns"
    count = page.evaluate(POINTS)[0]

    # A reload finds it, too, and resuming adds to it.
    page.reload()
    both_charts_have(page, count)
    page.get_by_role("button", name="Resume").click()
    both_charts_have(page, count + 2)
    stop(page)

    page.get_by_role("button", name="Explore its images").click()
    expect(page.get_by_role("heading", name="Explore")).to_be_visible()
    assert "from=quick-digits" in page.url
    page.get_by_role("radio", name="Grid").click()
    expect(page.get_by_alt_text("Image of seed 31", exact=True)).to_be_visible()
    page.get_by_role("radio", name="Sliders").click()
    expect(page.get_by_role("slider", name="Direction 8")).to_be_visible()
    page.get_by_role("radio", name="Walk").click()
    expect(page.get_by_alt_text(re.compile("Animated walk"))).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="GIF").click()
    assert download.value.path().read_bytes()[:6] == b"GIF89a"


def test_knobs_single_steps_scrubbing_and_a_fork(page: Page, server: str) -> None:
    launch(page, server)
    both_charts_have(page, 3)

    # A knob: it takes effect at the next step, and is marked on both charts.
    page.get_by_role("slider", name="Generator steps").press("ArrowRight")
    changes = page.locator(".rv-changes li")
    expect(changes).to_have_count(1)
    expect(changes).to_contain_text("Generator steps: 1 → 2")
    for chart in ("loss", "score"):
        page.wait_for_function(f"() => document.querySelector('[data-chart={chart}]').layout.annotations.some((a) => a.text === '1')")
    expect(page.get_by_role("slider", name="Generator steps")).to_have_value("2")

    # Single steps, while it rests.
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="One step of G").click()
    expect(changes).to_have_count(3)
    expect(page.locator("[data-fact=state]")).to_have_text("paused")

    # By keyboard to an earlier moment: grid, numbers, and the line on the charts follow.
    moment = page.get_by_label("Moment of training")
    moment.press("Home")
    expect(page.locator(".rv-frame img")).to_have_attribute("src", re.compile(r"samples/0\.png"))
    moment.press("End")
    moment.press("ArrowLeft")
    expect(page.locator(".rv-reading")).to_contain_text("loss G")
    page.get_by_role("button", name="Back to the newest").click()
    expect(page.locator(".rv-reading")).to_be_empty()

    parent = page.url
    page.get_by_role("button", name="Fork from the newest state").click()
    page.get_by_role("button", name="Start the fork").click()
    expect(page.locator(".rv-parent")).to_contain_text(re.compile(r"Continues Guest \w{4} · quick-digits from step \d"))
    assert page.url != parent
    expect(changes).to_have_count(3)
    stop(page)  # and wait until it has: leaving the page at once can lose the click, and the fork would keep the next test's run waiting
    visit(page, parent, "Train")
    stop(page)


def test_pause_and_go_on_with_a_phone(newcomer: Page, server: str) -> None:
    newcomer.set_viewport_size({"width": 390, "height": 844})
    newcomer.emulate_media(reduced_motion="no-preference")
    launch(newcomer, server)
    both_charts_have(newcomer, 1)
    stays_in_place(newcomer)
    newcomer.get_by_role("button", name="Pause").click()
    expect(newcomer.get_by_role("button", name="Continue")).to_be_visible()
    expect(newcomer.locator("[data-fact=state]")).to_have_text("paused")
    count = newcomer.evaluate(POINTS)[0]
    newcomer.get_by_role("button", name="Continue").click()
    both_charts_have(newcomer, count + 2)
    stop(newcomer)


def test_sigterm_saves_the_run_that_is_at_work(newcomer: Page, tmp_path: Path) -> None:
    server = Server(tmp_path)
    try:
        launch(newcomer, server.address)
        both_charts_have(newcomer, 4)
    finally:
        log = server.end()
    assert "Traceback" not in log, log
    (status_file,) = server.checkpoints.glob("quick-digits-*/status.json")
    status = json.loads(status_file.read_text())
    assert status["state"] == "stopped" and status["step"] >= 20
    assert torch.load(status_file.parent / "state.pt", weights_only=True)["step"] == status["step"]
