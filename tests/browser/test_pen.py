"""Translate's paper in a real browser: the picture follows the pen."""

import re

import torch
from playwright.sync_api import Page, expect

from gan.recipes import recipe
from gan.runs.folder import RunFolder
from gan.runs.record import write_status
from gan.runs.states import RunState
from gan.training.state import new_state
from tests.browser.conftest import Server, fits_a_phone
from tests.browser.steps import visit

SIDE = 32
# The whole paper, or the picture, as one number: two drawings that look alike have the same.
SUM = "selector => { const c = document.querySelector(selector); return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.reduce((a, b) => a + b) }"
ANSWERS = "() => document.querySelector('.drawing')?.drawingLog.length ?? 0"


def finished_run(server: Server) -> str:
    """A run of pix2pix that draws nothing beautiful."""
    folder = RunFolder(server.checkpoints / "drawn-1123-101500-ab12")
    config = recipe("pix2pix").config.change(generator_filters=4, discriminator_filters=4, image_size=SIDE, precision="fp32")
    folder.write_config(config, "pix2pix")
    state = new_state(config, torch.device("cpu"))
    state.step = 4
    folder.save_generator(state)
    write_status(folder, RunState.FINISHED, state)
    return folder.path.name


def test_the_picture_follows_the_pen_and_every_line_can_be_taken_back(page: Page, process: Server, server: str) -> None:
    visit(page, f"{server}/translate?from={finished_run(process)}", "Translate")
    reading, paper = page.locator(".dr-reading"), page.locator(".dr-paper")
    expect(reading).to_have_text("Outline 5001")
    page.wait_for_function(f"() => ({ANSWERS})() > 0")
    answers = page.evaluate(ANSWERS)
    page.get_by_role("button", name="Clear").click()
    expect(reading).to_have_text("Empty paper")
    page.wait_for_function(f"() => ({ANSWERS})() > {answers}")
    page.wait_for_timeout(300)  # an answer of before may have been on its way
    empty, white = page.evaluate(SUM, ".dr-picture"), page.evaluate(SUM, ".dr-paper")
    drawn = f"empty => ({SUM})('.dr-picture') !== empty"

    paper.hover(position={"x": 60, "y": 60})
    page.mouse.down()
    box = paper.bounding_box()
    assert box
    for i in range(1, 9):
        page.mouse.move(box["x"] + 60 + 15 * i, box["y"] + 60 + 10 * i)
        page.wait_for_timeout(40)
    page.mouse.up()
    expect(reading).to_have_text("1 line that you drew")
    assert page.evaluate(SUM, ".dr-paper") < white
    page.wait_for_function(drawn, arg=empty)

    page.get_by_role("button", name="Erase").click()  # the paper's own color
    expect(page.get_by_role("button", name="Erase")).to_have_attribute("aria-pressed", "true")
    paper.click(position={"x": 60, "y": 60})
    expect(reading).to_have_text("2 lines that you drew")
    page.get_by_role("button", name="Erase").click()
    for _ in range(2):
        page.get_by_role("button", name="Undo").click()
    expect(reading).to_have_text("Empty paper")
    page.wait_for_function(drawn.replace("!==", "==="), arg=empty)

    paper.focus()  # by keyboard: the pen is put down in the middle
    for key in (" ", "ArrowRight", "ArrowDown", " ", "ArrowDown"):
        paper.press(key)
    expect(reading).to_have_text("1 line that you drew")
    page.get_by_role("button", name="Another outline").click()
    expect(reading).to_have_text(re.compile(r"^Outline \d+$"))
    page.set_viewport_size({"width": 390, "height": 844})
    fits_a_phone(page)
