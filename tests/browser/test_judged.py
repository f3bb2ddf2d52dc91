"""A run's scores in a real browser: the curve, the best step, and the link to it."""

import re

import torch
from playwright.sync_api import Page, expect

from gan.config import TrainConfig
from gan.runs.folder import RunFolder
from gan.runs.record import write_status
from gan.runs.states import RunState
from gan.training.state import new_state
from tests.browser.conftest import Server, fits_a_phone

CURVE = """() => document.querySelector("[data-chart=quality]").data.map((trace) => [trace.name, trace.x.length])"""


def judged_run(server: Server) -> RunFolder:
    """A run that was scored four times; the second scoring is the best."""
    folder = RunFolder(server.checkpoints / "judged-1123-101500-ab12")
    folder.path.mkdir(parents=True, exist_ok=True)  # a test that runs once more finds it
    folder.judge_file.unlink(missing_ok=True)
    state = new_state(TrainConfig(generator_filters=8, precision="fp32"), torch.device("cpu"))
    folder.write_config(state.config, "quick-digits")
    for state.step, fd in ((100, 16.0), (200, 4.2), (300, 4.1), (1400, 5.0)):
        folder.append_judged({"step": state.step, "fd": fd, "fd_error": 0.3, "fd_floor": 1.1, "features": "digits-CNN"})
        folder.save_generator(state)
    folder.flush()
    write_status(folder, RunState.STOPPED, state)
    return folder


def test_the_best_moment_is_marked_said_and_opened(page: Page, process: Server, server: str) -> None:
    run = judged_run(process)
    page.goto(f"{server}/train?run={run.path.name}")
    said = "Best: FD 4.2 ± 0.3 at step 200 (lower is better; real images: 1.1); no better for 1,200 steps."
    expect(page.locator(".rv-verdict")).to_contain_text(said)
    expect(page.locator("[data-chart=quality]")).to_have_attribute(
        "aria-label", re.compile(r"FD, lower is better \(digits-CNN\). Best 4.2 at step 200.")
    )
    page.wait_for_function("() => document.querySelector('[data-chart=quality]')?.data?.length")  # its label comes before its curve
    traces = page.evaluate(CURVE)
    assert ["FD", 4] in traces and ["Best", 1] in traces
    page.set_viewport_size({"width": 390, "height": 844})
    fits_a_phone(page)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_role("link", name="Explore the best").click()
    expect(page.get_by_text("Best: step 200, FD 4.2 ± 0.3.")).to_be_visible()
    page.goto(f"{server}/evaluate?from={run.path.name}&step=300&samples=500")
    expect(page.get_by_role("button", name="Evaluate")).to_be_visible()
    expect(page.get_by_text("Press Evaluate.")).to_be_visible()
