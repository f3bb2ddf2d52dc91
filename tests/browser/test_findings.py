"""The doctor's findings in a real browser: the panel, its marks on the charts, a remedy that opens a new run."""

import math
import shutil

from playwright.sync_api import Page, expect

from gan.doctor.checkup import FRESH_S
from gan.events import Metrics
from tests.browser.conftest import Server, fits_a_phone
from tests.browser.steps import both_charts_have
from tests.doctor.test_doctor import write_sick_run

MARKS = """() => [...document.querySelectorAll(".rv-chart:not([hidden])")].map((chart) => (chart.layout?.annotations ?? []).filter((a) => a.text === "!")
  .map((a) => [a.x, a.hovertext]))"""


def test_a_finding_is_said_marked_and_can_be_acted_on(page: Page, process: Server) -> None:
    folder = write_sick_run(process.checkpoints / "sick-0101-000000-abcd")
    try:
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(f"{process.address}/train?run={folder.path.name}")
        both_charts_have(page, 90)
        first = page.locator(".st-key-headline")
        expect(first.get_by_text("The discriminator wins since step 10")).to_be_visible()
        expect(first.get_by_text("What you see: D is right about nearly every image")).to_be_visible()
        # The first screen of a phone says what is wrong, and the caption under the charts calls nothing a place of rest.
        place = first.get_by_role("button").bounding_box()
        assert place is not None and place["y"] + place["height"] < 844
        expect(page.locator(".rv-astray")).to_be_visible()
        expect(page.locator(".rv-rest")).to_be_hidden()
        panel = page.locator(".st-key-finding_d-winning")
        expect(panel.get_by_text("The discriminator wins")).to_be_visible()
        page.wait_for_function(f"() => {{ const charts = ({MARKS})(); return charts.length > 1 && charts.every((marks) => marks.length) }}")
        assert page.evaluate(MARKS) == [[[10, "The discriminator wins, since step 10"]]] * 2
        fits_a_phone(page)
        # No state was saved, so there is nothing to fork from; a new run can be had.
        expect(page.get_by_role("button", name="Fork: Discriminator learning rate 0.01 → 0.0005").first).to_be_disabled()
        # The findings change meanwhile. For a run that trains, the event stream says so.
        folder.append_metrics(Metrics(910, 64 * 910, 9.1, 6400.0, math.nan, 6.0, 0.99, 0.01, 0.01))
        folder.flush()
        page.wait_for_timeout(1000 * FRESH_S)
        page.evaluate("run => document.dispatchEvent(new CustomEvent('workshop-told', { detail: { run, version: -1 } }))", folder.path.name)
        expect(first.get_by_text("Training produced NaN since step")).to_be_visible()
        expect(page.locator(".st-key-finding_nan").get_by_text("Training produced NaN")).to_be_visible()
        expect(panel.get_by_text("The discriminator wins")).to_be_visible()
        page.locator(".st-key-finding_d-winning summary", has_text="Other things to try").press("Enter")
        page.get_by_role("button", name="New run: Spectral normalization off → on").press("Enter")
        expect(page.get_by_role("button", name="Train", exact=True)).to_be_visible()
        expect(page.get_by_text("From the doctor: Spectral normalization off → on.")).to_be_visible()
        page.get_by_text("All settings").click()
        expect(page.get_by_role("checkbox", name="Spectral normalization", exact=True)).to_be_checked()
    finally:
        page.goto(f"{process.address}/_stcore/health")  # nobody follows the run anymore
        shutil.rmtree(folder.path)
