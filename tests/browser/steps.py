"""Steps that many browser tests take: open a page, move to another, start and stop a run, wait for its charts."""

import re
from typing import Literal

from playwright.sync_api import FloatRect, Page, TimeoutError, expect

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
TEXT = {"light": "15, 17, 20", "dark": "232, 230, 225"}
# True once a page is drawn in a color scheme: its script has ended, nothing is stale, and only endless animations still run.
SETTLED = """text => getComputedStyle(document.querySelector(".stApp h1")).color === `rgb(${text})`
  && document.querySelector(".stApp").dataset.testScriptState === "notRunning" && !document.querySelector("[data-stale=true]")
  && document.documentElement.style.getPropertyValue("--st-text-color")
  && document.getAnimations().every(motion => motion.playState !== "running" || motion.effect.getTiming().iterations === Infinity)"""

POINTS = "() => [...document.querySelectorAll('.rv-chart:not([hidden])')].map(e => e.data ? e.data[0].x.length : 0)"

# Goes to an address as the browser's Back does, and waits until the script has run there. A very busy browser may never show that it runs:
# then it waits for some seconds. So look for something that only the new page has.
MOVE = """address => new Promise(arrived => {
  const app = document.querySelector(".stApp");
  let ran = app.dataset.testScriptState === "running";
  const observer = new MutationObserver(changes => {
    ran ||= app.dataset.testScriptState === "running" || changes.some(({ oldValue }) => oldValue === "running");
    if (ran && app.dataset.testScriptState === "notRunning") end();
  });
  const end = () => { clearTimeout(late); observer.disconnect(); arrived(ran); };
  const late = setTimeout(end, 10000);
  observer.observe(app, { attributeFilter: ["data-test-script-state"], attributeOldValue: true });
  history.pushState({}, "", address);
  dispatchEvent(new PopStateEvent("popstate"));
})"""
SELDOM_MS = 100  # between two looks at a page that is drawn anyway; without it, a browser draws 60 frames a second to look at each
EMPTY = "about:blank"  # the address of a tab that has loaded nothing
AT_REST = "() => document.querySelector('.stApp')?.dataset.testScriptState === 'notRunning'"

# What moves on the screen although nobody has pressed anything in the last half second, as browsers measure it: the share of the screen that
# moves, times how far (https://web.dev/articles/cls). Read with its sources, to say what moved.
SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const { value, hadRecentInput, sources } of list.getEntries()) {
    const moved = sources.map(({ node, previousRect, currentRect }) =>
      `${node?.textContent?.trim().slice(0, 40)}: ${Math.round(previousRect.y)} -> ${Math.round(currentRect.y)}`);
    if (!hadRecentInput) window.shifts.push({ value, moved });
  }
}).observe({ type: "layout-shift", buffered: true });
"""
STEADY = 0.1  # the limit of what browser makers call good


def stays_in_place(page: Page) -> None:
    """Nothing has moved much since the page was opened. The page needs the script SHIFTS from the start."""
    shifts = page.evaluate("() => window.shifts")
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
    if page.url == EMPTY:
        page.goto(address)
    else:
        page.wait_for_function(AT_REST, polling=SELDOM_MS)
        page.evaluate(MOVE, address)
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()


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
