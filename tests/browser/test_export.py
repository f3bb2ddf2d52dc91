"""A run is exported while it trains, by mouse and by keyboard."""

import io
import re
import zipfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.steps import both_charts_have, launch, stop
from tests.films import frames


def saved(page: Page, what: str, by_keyboard: bool = False) -> tuple[str, bytes]:
    """Presses Save: the file's name and its content."""
    button = page.get_by_role("button", name=f"Save {what}")
    expect(button).to_be_visible(timeout=30_000)
    with page.expect_download() as download:
        if by_keyboard:
            tab_to(page, f"Save {what}")
            page.keyboard.press("Enter")
        else:
            button.click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def tab_to(page: Page, label: str) -> None:
    """Moves the focus with the Tab key to what has this label."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if label in page.evaluate("() => document.activeElement.textContent"):
            return
    raise AssertionError(f"Tab never came to {label}")


def test_a_run_is_exported_while_it_trains(page: Page, server: str) -> None:
    launch(page, server)
    both_charts_have(page, 2)
    run = re.search(r"run=([\w-]+)", page.url)
    assert run
    page.get_by_role("button", name="Export").click()
    page.get_by_role("button", name="Everything (zip)").click()
    name, content = saved(page, "the zip")
    assert name == f"{run[1]}.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None and {f"{run[1]}/{file}" for file in ("sample.py", "metrics.csv")} <= set(archive.namelist())
    page.keyboard.press("Escape")
    stop(page)

    page.set_viewport_size({"width": 390, "height": 800})
    page.get_by_role("button", name="Export").focus()
    page.keyboard.press("Enter")
    tab_to(page, "Training (GIF)")
    page.keyboard.press("Enter")
    name, content = saved(page, "the GIF", by_keyboard=True)
    assert name == f"{run[1]}.gif"
    with Image.open(io.BytesIO(content)) as film:
        assert frames(film) > 3
    menu = page.get_by_role("button", name="Metrics (TensorBoard)").bounding_box()
    assert menu and menu["x"] >= 0 and menu["x"] + menu["width"] <= 390
