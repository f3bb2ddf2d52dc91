"""Steps that many browser tests take: open a page, start and stop a run, wait for its charts."""

from playwright.sync_api import FloatRect, Page, TimeoutError, expect

POINTS = "() => [...document.querySelectorAll('.rv-chart:not([hidden])')].map(e => e.data ? e.data[0].x.length : 0)"


def both_charts_have(page: Page, points: int) -> None:
    page.wait_for_function(f"() => {{ const counts = ({POINTS})(); return counts.length > 1 && counts.every(n => n >= {points}) }}")


def open_page(page: Page, address: str, heading: str) -> None:
    page.goto(address)
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()


def launch(page: Page, server: str) -> None:
    open_page(page, f"{server}/train", "Train")
    page.get_by_role("button", name="Train", exact=True).click()
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
