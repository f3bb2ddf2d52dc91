"""What a participant does: train, watch, zoom, stop, explore."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import Server, fits_a_phone, watched
from tests.browser.steps import POINTS, both_charts_have, launch, open_page, stop

RANGE = "() => document.querySelector('[data-chart=loss]')._fullLayout.xaxis.range"


def test_train_watch_zoom_stop_and_explore(page: Page, server: str) -> None:
    launch(page, server)
    both_charts_have(page, 3)
    assert "run=quick-digits" in page.url
    page.evaluate("() => { document.querySelector('[data-chart=loss]').marked = true; }")

    # Zoom with the mouse into the left part of the losses, and come back later.
    chart = page.locator("[data-chart=loss] .nsewdrag").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box
    page.mouse.move(box["x"] + 5, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    page.wait_for_function(f"() => ({RANGE})()[1] < 1000 && !document.querySelector('[data-chart=loss]').layout.xaxis.autorange")
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
    expect(page.locator(".rv-parent")).to_contain_text("Continues quick-digits")
    assert page.url != parent
    expect(changes).to_have_count(3)
    page.get_by_test_id("stMain").get_by_role("button", name="Stop").click()  # Streamlit's header has one of its own
    page.goto(parent)
    page.get_by_test_id("stMain").get_by_role("button", name="Stop").click()  # Streamlit's header has one of its own
    expect(page.get_by_role("button", name="Resume")).to_be_visible()


def test_pause_and_go_on(page: Page, server: str) -> None:
    launch(page, server)
    both_charts_have(page, 1)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Continue")).to_be_visible()
    expect(page.locator("[data-fact=state]")).to_have_text("paused")
    count = page.evaluate(POINTS)[0]
    page.get_by_role("button", name="Continue").click()
    both_charts_have(page, count + 2)
    stop(page)


def test_sigterm_saves_the_run_that_is_at_work(page: Page, tmp_path: Path) -> None:
    server = Server(tmp_path)
    try:
        launch(page, server.address)
        both_charts_have(page, 2)
    finally:
        log = server.end()
    assert "Traceback" not in log, log
    (status_file,) = server.checkpoints.glob("quick-digits-*/status.json")
    status = json.loads(status_file.read_text())
    assert status["state"] == "stopped" and status["step"] >= 20
    assert torch.load(status_file.parent / "state.pt", weights_only=True)["step"] == status["step"]


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


def zip_of_pictures(path: Path, count: int) -> Path:
    """Two classes; large enough that a few hundred take a while to decode."""
    picture = io.BytesIO()
    Image.effect_noise((500, 500), 60).convert("RGB").save(picture, "PNG", compress_level=1)
    with zipfile.ZipFile(path, "w") as file:
        for i in range(count):
            file.writestr(f"shapes/{('round', 'square')[i % 2]}/{i}.png", picture.getvalue())
    return path


def test_upload_cancel_upload_again_train_on_it_and_delete(page: Page, server: str, tmp_path: Path) -> None:
    open_page(page, f"{server}/data", "Data")
    expect(page.get_by_alt_text("Some images of mnist")).to_be_visible()
    page.locator("input[type=file]").set_input_files(zip_of_pictures(tmp_path / "many shapes.zip", 200))
    expect(page.get_by_role("textbox", name="Name of the set")).to_have_value("many-shapes")
    page.get_by_role("button", name="Add the set").click()
    # By its key: the set that is shown below may be loading too, with a Cancel button of its own.
    page.locator(".st-key-cancel_upload").get_by_role("button").click()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(page.get_by_alt_text("Some images of mnist")).to_be_visible()
    page.get_by_role("button", name="Remove many shapes.zip").click()
    expect(page.get_by_role("button", name="Add the set")).to_have_count(0)

    (tmp_path / "again").mkdir()  # the browser takes a file of the same path for the one that it has
    page.locator("input[type=file]").set_input_files(zip_of_pictures(tmp_path / "again" / "many shapes.zip", 64))
    page.get_by_role("button", name="Add the set").click()
    expect(page.get_by_text("many-shapes is ready.")).to_be_visible()  # the canceled one left nothing of that name
    expect(page.get_by_alt_text("Some images of many-shapes")).to_be_visible()
    assert "set=many-shapes" in page.url

    page.get_by_role("button", name="Train on it").click()
    expect(page.get_by_role("combobox", name="Data set")).to_have_value("many-shapes")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.locator("[data-fact=state]")).to_have_text("finished", timeout=60_000)  # a step an epoch: over in seconds
    both_charts_have(page, 1)

    # From a run that is being looked at, Train on it leads to the settings again.
    page.get_by_role("link", name="Data").click()
    expect(page.get_by_alt_text("Some images of many-shapes")).to_be_visible()
    page.get_by_role("button", name="Train on it").click()
    expect(page.get_by_role("combobox", name="Data set")).to_have_value("many-shapes")
    expect(page.get_by_role("button", name="Train", exact=True)).to_be_enabled()  # the page is whole: a click while it is drawn can be lost

    page.get_by_role("link", name="Data").click()
    expect(page).to_have_url(re.compile(r"/data\b"))
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("The data set many-shapes is deleted.")).to_be_visible()
    expect(page.get_by_alt_text("Some images of mnist")).to_be_visible()


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "path",
    [
        *("", "data", "data?set=cifar10", "train", "compare", "inside", "evaluate"),
        *("explore", "explore?view=Grid", "explore?view=Sliders", "explore?view=Walk"),
    ],
)
def test_pages_fit_a_phone(phone_page: Page, server: str, path: str, scheme: str) -> None:
    page = phone_page
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    headings = {"": "DCGAN Workshop", "inside": "Look inside"}
    name = path.partition("?")[0]
    open_page(page, f"{server}/{path}", headings.get(name, name.capitalize()))
    if path.startswith(("explore?", "inside")):
        expect(page.locator("[data-testid=stImage] img, .ls-strip").first).to_be_visible()
    fits_a_phone(page)
    assert page.get_by_test_id("stException").count() == 0


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
    page.mouse.move(box["x"] + 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    page.wait_for_function(f"() => ({ranges})().every(end => end < {whole[0]})")  # in all of them
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
    page.get_by_role("link", name="Compare").click()
    expect(page.locator(".cv-grids figure")).to_have_count(2)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(address)
    page.wait_for_function("() => document.querySelectorAll('.cv-chart')[3]?.data?.length === 4")
    expect(page.locator(".cv-where")).to_contain_text("Step 0")
    fits_a_phone(page)
