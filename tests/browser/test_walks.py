"""Walks and time in a real browser: the list of latent vectors by keyboard, its file, films, links."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import fits_a_phone
from tests.browser.steps import AT_REST, both_charts_have, launch, open_page, stop

SEEDS = "nodes => nodes.map(node => node.querySelector('.nl-seed input').value)"


@pytest.fixture
def page(tab: Page) -> Page:
    """One visitor for both tests."""
    return tab


def copied(page: Page) -> tuple[str, str]:
    """The link and the script that can be copied."""
    page.get_by_role("button", name="Copy link or Python").click()
    codes = page.get_by_test_id("stCode")
    expect(codes).to_have_count(2)
    link, script = codes.all_inner_texts()
    page.keyboard.press("Escape")
    return link, script


def press(button: Locator) -> None:
    button.focus()
    button.press("Enter")


def test_a_walk_by_keyboard_its_file_its_film_and_its_link(page: Page, server: str, tmp_path: Path) -> None:
    open_page(page, f"{server}/explore?from=digits&view=Walk&stops=5,6,7&frames=24", "Explore")
    film = page.get_by_alt_text("Animated walk through seed 5, seed 6, seed 7")
    expect(film).to_be_visible()
    items = page.locator(".nl-item")
    page.wait_for_function("() => [...document.querySelectorAll('.nl-item img')].every(image => image.naturalWidth === 28)")

    # Moved with the focus on it; named; locked; the others replaced.
    later = page.get_by_role("button", name="Move later, vector 1", exact=True)
    press(later)
    expect(page.get_by_role("button", name="Move later, vector 2", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Move earlier, vector 3", exact=True)).to_be_focused()
    page.wait_for_url(re.compile("stops=6%2C7%2C5"))
    page.get_by_label("Name of vector 3").fill("Ada")
    page.keyboard.press("Tab")
    expect(page.get_by_alt_text("Animated walk through seed 6, seed 7, Ada")).to_be_visible()
    press(page.get_by_role("button", name="Lock vector 3"))
    expect(page.get_by_role("button", name="Lock vector 3")).to_have_attribute("aria-pressed", "true")
    press(page.get_by_role("button", name="New vectors"))
    page.wait_for_url(re.compile(r"stops=\d+%2C\d+%2C5(&|$)"))
    first, second, kept = items.evaluate_all(SEEDS)
    assert kept == "5" and (first, second) != ("6", "7")
    press(page.get_by_role("button", name="Add one"))
    expect(items).to_have_count(4)
    page.get_by_label("Seed of vector 4").fill("9223372036854775807")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("9223372036854775807"))
    press(page.get_by_role("button", name="Remove, vector 1"))
    page.wait_for_url(re.compile(rf"stops={second}%2C5%2C9223372036854775807"))
    page.get_by_label("Seed of vector 2").fill("-3")
    page.keyboard.press("Tab")  # refused by the browser: the list stays
    page.get_by_role("radio", name="lerp", exact=True).click()
    page.get_by_role("radio", name="Rest at stops").click()
    page.wait_for_url(re.compile("easing=Rest.at.stops|easing=smooth|easing=Rest%20at%20stops"))
    expect(page.get_by_text("lerp cuts through the inside")).to_be_visible()
    page.wait_for_function(AT_REST)  # Streamlit has no file for a button of a script that is over

    # Its film and its list as files; the list comes back.
    with page.expect_download() as download:
        page.get_by_role("button", name="MP4").click()
    assert download.value.path().read_bytes()[4:8] == b"ftyp"
    page.get_by_role("button", name="Save, load, type").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the list").click()
    saved = json.loads(download.value.path().read_text())
    assert saved["vectors"][1] == {"name": "Ada", "seed": 5, "locked": True}
    typed = page.get_by_role("textbox", name="Seeds, in order")
    typed.fill("1-3")
    typed.press("Enter")
    page.wait_for_url(re.compile("stops=1-3"))
    expect(items).to_have_count(3)
    saved["vectors"].append({"name": "from a photo", "z": [0.1] * 64})
    (tmp_path / "list.json").write_text(json.dumps(saved))
    page.locator("input[type=file]").set_input_files(tmp_path / "list.json")
    expect(items).to_have_count(4)
    expect(page.get_by_text("The address holds only seeds")).to_be_visible()
    page.keyboard.press("Escape")
    page.wait_for_function("() => [...document.querySelectorAll('.nl-item img')].every(image => image.naturalWidth === 28)")
    press(page.get_by_role("button", name="Another seed, vector 4"))  # numbers give way to a seed
    expect(page.get_by_text("The address holds only seeds")).to_have_count(0)

    # The link is the address; it fits a phone.
    seeds = items.evaluate_all(SEEDS)
    page.wait_for_url(re.compile("%2C".join(seeds)))
    link, script = copied(page)
    assert link == page.url and f"model.z([{', '.join(seeds)}])" in script and "'lerp', closed=True, easing='smooth'" in script
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(link)
    expect(items).to_have_count(4)
    assert items.evaluate_all(SEEDS) == seeds
    fits_a_phone(page)
    assert page.get_by_test_id("stException").count() == 0


def test_a_run_through_time_and_the_pad_as_it_was(page: Page, server: str) -> None:
    launch(page, server)
    both_charts_have(page, 2)
    page.get_by_role("button", name="Explore its images").click()
    page.get_by_role("radio", name="Time").click()
    strip = page.get_by_alt_text(re.compile(r"Seeds 1, 2, 3, 4 after step \d+"))
    expect(page.get_by_alt_text(re.compile("Film of seeds 1-4 being learned, step 1 to"))).to_be_visible()
    count = strip.count()
    newest = strip.last.get_attribute("alt")
    # The run continues, and so does the strip.
    page.wait_for_function(
        "([count, newest]) => { const found = [...document.querySelectorAll('img[alt^=\"Seeds 1, 2\"]')];"
        " return found.length > count || found.at(-1)?.alt !== newest; }",
        arg=[count, newest],
    )
    page.get_by_role("button", name="8", exact=True).click()
    expect(page.locator(".pad-reading")).to_have_text("Between the seeds 1, 2, 3, 4: 0% across, 0% down")
    page.wait_for_url(re.compile("step=8"))
    square = page.locator(".pad-square")
    for _ in range(4):
        square.press("Shift+ArrowRight")  # to corners that are hashes of their place
    expect(page.locator(".pad-reading")).to_contain_text("Between the seeds 2, ")
    page.wait_for_url(re.compile("place=1%2C0%2C1%2C0"))
    page.wait_for_timeout(500)
    reading = page.locator(".pad-reading").inner_text()
    link, script = copied(page)
    corners = re.findall(r"\d+", reading.partition(":")[0])
    assert link == page.url and f"model.z([{', '.join(corners)}])" in script and "@8'" in script
    page.go_back()  # one press, however often the pad was moved
    expect(page.get_by_role("heading", name="Train", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(r"/train\?run=" + link.partition("from=")[2].partition("&")[0]))
    stop(page)
