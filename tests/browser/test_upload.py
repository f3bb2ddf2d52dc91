"""A zip of images: uploaded, canceled, uploaded again, trained on and deleted."""

import io
import re
import zipfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.steps import both_charts_have, open_page, stop


def zip_of_pictures(path: Path, count: int, side: int) -> Path:
    """Two classes. Pictures of 1500 pixels a side take a while to decode, yet are quickly sent: smooth ones pack well."""
    picture = io.BytesIO()
    Image.linear_gradient("L").resize((side, side)).convert("RGB").save(picture, "PNG", compress_level=1)
    with zipfile.ZipFile(path, "w") as file:
        for i in range(count):
            file.writestr(f"shapes/{('round', 'square')[i % 2]}/{i}.png", picture.getvalue())
    return path


def test_upload_cancel_upload_again_train_on_it_and_delete(page: Page, server: str, tmp_path: Path) -> None:
    open_page(page, f"{server}/data", "Data")
    expect(page.get_by_alt_text("Some images of mnist")).to_be_visible()
    page.locator("input[type=file]").set_input_files(zip_of_pictures(tmp_path / "many shapes.zip", 200, 1500))
    expect(page.get_by_role("textbox", name="Name of the set")).to_have_value("many-shapes")
    page.get_by_role("button", name="Add the set").click()
    # By its key: the set that is shown below may be loading too, with a Cancel button of its own.
    page.locator(".st-key-cancel_upload").get_by_role("button").click()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(page.get_by_alt_text("Some images of mnist")).to_be_visible()
    page.get_by_role("button", name="Remove many shapes.zip").click()
    expect(page.get_by_role("button", name="Add the set")).to_have_count(0)

    (tmp_path / "again").mkdir()  # the browser takes a file of the same path for the one that it has
    page.locator("input[type=file]").set_input_files(zip_of_pictures(tmp_path / "again" / "many shapes.zip", 64, 100))
    page.get_by_role("button", name="Add the set").click()
    expect(page.get_by_text("many-shapes is ready.")).to_be_visible()  # the canceled one left nothing of that name
    expect(page.get_by_alt_text("Some images of many-shapes")).to_be_visible()
    assert "set=many-shapes" in page.url

    # The second press, and training begins.
    page.get_by_role("button", name="Train on it").click()
    expect(page.get_by_text("Settings chosen for many-shapes: quick-images at 64 pixels")).to_be_visible()
    both_charts_have(page, 1)
    stop(page)

    # From a run that is being looked at, the Data page leads to the settings.
    page.get_by_role("link", name="Data").click()
    expect(page.get_by_alt_text("Some images of many-shapes")).to_be_visible()
    page.get_by_role("button", name="Choose the settings").click()
    expect(page.get_by_role("combobox", name="Data set")).to_have_value("many-shapes")
    expect(page.get_by_role("button", name="Train", exact=True)).to_be_enabled()  # the page is whole: a click while it is drawn can be lost

    page.go_back()
    expect(page).to_have_url(re.compile(r"/data\?set=many-shapes$"))
    expect(page.get_by_alt_text("Some images of many-shapes")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("The data set many-shapes is deleted.")).to_be_visible()
    expect(page.get_by_alt_text("Some images of mnist")).to_be_visible()
