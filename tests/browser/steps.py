"""Steps that many browser tests take: open a page, move to another, start and stop a run, wait for its charts."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from playwright.sync_api import FloatRect, Page, TimeoutError, expect

Scheme = Literal["light", "dark"]
TEXT = {"light": "15, 17, 20", "dark": "232, 230, 225"}
# True once a page is drawn in a color scheme: its script has ended, nothing is stale, and only endless animations still run.
SETTLED = """text => getComputedStyle(document.querySelector(".stApp h1")).color === `rgb(${text})`
  && document.querySelector(".stApp").dataset.testScriptState === "notRunning" && !document.querySelector("[data-stale=true]")
  && document.documentElement.style.getPropertyValue("--st-text-color")
  && document.getAnimations().every(motion => motion.playState !== "running" || motion.effect.getTiming().iterations === Infinity)"""

POINTS = "() => [...document.querySelectorAll('.rv-chart:not([hidden])')].map(e => e.data ? e.data[0].x.length : 0)"

# Streamlit's own React component. A busy browser may go from one run of the script to the next without ever showing that one runs, but each
# run has an id.
APP = """() => {
  const shown = document.querySelector(".stApp");
  let fiber = shown[Object.keys(shown).find(key => key.startsWith("__reactFiber"))];
  while (!fiber.stateNode?.state?.scriptRunId) fiber = fiber.return;
  return fiber.stateNode;
}"""
# Goes to an address as the browser's Back does, and waits until the script has run there.
MOVE = f"""async address => {{
  const app = ({APP})(), before = app.state.scriptRunId, since = performance.now();
  history.pushState({{}}, "", address);
  dispatchEvent(new PopStateEvent("popstate"));
  while (app.state.scriptRunId === before || app.state.scriptRunState !== "notRunning") {{
    if (performance.now() - since > 30000) throw new Error(`no script ran at ${{address}}`);
    await new Promise(done => setTimeout(done, 50));
  }}
}}"""
HAS_RUN = f"before => {{ const {{ state }} = ({APP})(); return state.scriptRunId !== before && state.scriptRunState === 'notRunning'; }}"
SELDOM_MS = 100  # between two looks at a page that is drawn anyway; without it, a browser draws 60 frames a second to look at each
SOON_MS = 5000  # for what is there once a script has run
EMPTY = "about:blank"  # the address of a tab that has loaded nothing
AT_REST = "() => document.querySelector('.stApp')?.dataset.testScriptState === 'notRunning'"

# What moves on the screen although nobody has pressed anything in the last half second, as browsers measure it: the share of the screen that
# moves, times how far (https://web.dev/articles/cls). Read with its sources, to say what moved.
SHIFTS = """
() => new Promise(done => {
  const looking = new PerformanceObserver((list, _, { droppedEntriesCount }) => {
    looking.disconnect();
    // What was taken away, as a form is after a press, has not moved: what follows it has.
    const moves = list.getEntries().filter(({ hadRecentInput, sources }) => !hadRecentInput && sources.some(({ node }) => node));
    done([droppedEntriesCount, moves.map(({ value, sources }) => ({ value,
      moved: sources.map(({ node, previousRect, currentRect }) =>
        `${node?.textContent?.trim().slice(0, 40)}: ${Math.round(previousRect.y)} -> ${Math.round(currentRect.y)}`) }))]);
  });
  looking.observe({ type: "layout-shift", buffered: true });
  setTimeout(() => done([0, []]), 1000);  // a page on which nothing moved
})"""
STEADY = 0.1  # the limit of what browser makers call good


def stays_in_place(page: Page) -> None:
    """Nothing has moved much since the page was loaded."""
    dropped, shifts = page.evaluate(SHIFTS)
    assert not dropped, "the browser kept only the first 150"
    assert sum(shift["value"] for shift in shifts) < STEADY, shifts


def both_charts_have(page: Page, points: int) -> None:
    reached = f"() => {{ const counts = ({POINTS})(); return counts.length > 1 && counts.every(n => n >= {points}) }}"
    page.wait_for_function(reached, polling=SELDOM_MS)


def open_page(page: Page, address: str, heading: str) -> None:
    """Loads a page: its session is new."""
    page.goto(address)
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()


def visit(page: Page, address: str, heading: str) -> None:
    """Moves to a page in the session that the tab has: a load costs seconds of processor time. An empty tab loads it."""
    there = expect(page.get_by_role("heading", name=heading, exact=True))
    if page.url == EMPTY:
        page.goto(address)
    else:
        _move(page, address)
        # While a script runs, Streamlit merges what it is asked for, and a refresh that comes after a move asks for the page of before.
        try:
            there.to_be_visible(timeout=SOON_MS)
        except AssertionError:
            _move(page, address)
    there.to_be_visible()


@contextmanager
def script_runs(page: Page) -> Iterator[None]:
    """Waits until the script has answered what is done inside: a tab that closes or reloads stops the script of its session."""
    before = page.evaluate(f"({APP})().state.scriptRunId")
    yield
    page.wait_for_function(HAS_RUN, arg=before, polling=SELDOM_MS)


def _move(page: Page, address: str) -> None:
    page.wait_for_function(AT_REST, polling=SELDOM_MS)
    page.evaluate(MOVE, address)


def launch(page: Page, server: str) -> None:
    visit(page, f"{server}/train", "Train")
    press_train(page)


def press_train(page: Page) -> None:
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_url(re.compile("run="))
    expect(page.locator(".run-view")).to_be_visible()


def stop(page: Page) -> None:
    page.get_by_test_id("stMain").get_by_role("button", name="Stop").click()  # Streamlit's header has one of its own
    expect(page.get_by_role("button", name="Resume")).to_be_visible()


def zoom_left_half(page: Page, box: FloatRect, zoomed: str) -> None:
    """Drags over the left half of a chart until `zoomed`, a function of JavaScript, is true. A chart that gets new points just then drops a drag."""
    for _ in range(5):
        page.mouse.move(box["x"] + 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=5)
        page.mouse.up()
        try:
            page.wait_for_function(zoomed, timeout=3000)
            return
        except TimeoutError:
            continue
    page.wait_for_function(zoomed)
