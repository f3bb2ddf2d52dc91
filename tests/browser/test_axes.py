"""Charts that belong together: one x-axis, and no spike that flattens the rest; without a server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from plotly.offline import get_plotlyjs

from benchmarks.browser import EXECUTABLE
from tests.browser.conftest import watched

UI = Path(__file__).parent.parent.parent / "ui"
SCRIPT = "".join((UI / "components" / name).read_text() for name in ("shared.js", "chart_axes.js"))
OWN = "window.kept = window.Plotly; loadPlotly('')"  # what a component's script does first
OTHER = "() => { window.Plotly = new Proxy({}, { get() { throw new Error('this copy of Plotly has drawn nothing here'); } }); }"
DRAWN = """async () => {
  const calm = Array.from({ length: 100 }, (_, i) => 1 + 0.1 * Math.sin(i)), wild = [...calm.slice(1), 500];
  const x = calm.map((_, i) => i);
  window.axes = new Axes(document.body);
  for (const [name, y] of [["a", calm], ["b", wild]]) {
    const chart = document.body.appendChild(Object.assign(document.createElement("div"), { id: name }));
    await Plotly.newPlot(chart, [{ x, y }], { height: 300, yaxis: { rangemode: "tozero" } });
    axes.add(chart, true);
  }
  axes.fit(120);
}"""


def top(page: Page, name: str) -> float:
    """Where a chart's y-axis ends."""
    return float(page.evaluate("name => document.getElementById(name)._fullLayout.yaxis.range[1]", name))


def across(page: Page) -> list[list[float]]:
    """The charts' x-axes."""
    found: list[list[float]] = page.evaluate("() => ['a', 'b'].map(name => document.getElementById(name)._fullLayout.xaxis.range)")
    return found


@pytest.fixture(scope="module")
def scripts(browser: Browser) -> Iterator[Page]:
    """A page with Plotly, whose script takes a second, and the axes'."""
    page = browser.new_page()
    page.add_script_tag(content=get_plotlyjs())
    page.add_script_tag(content=f"{SCRIPT};Object.assign(window, {{ Axes, crowdRange, followWidth, neighbors, removeChart }});{OWN};")
    yield page
    page.close()


@pytest.fixture
def drawn(scripts: Page) -> Iterator[Page]:
    """Two charts, the second with a value 500 times as high as the others."""
    scripts.evaluate("() => { window.axes?.destroy(); document.body.replaceChildren(); }")
    scripts.evaluate(DRAWN)
    yield from watched(scripts)


def test_labels_that_would_overlap_are_one(scripts: Page) -> None:
    script = "steps => neighbors(steps.map(step => ({ step })), 40).map(group => group.map(mark => mark.step))"
    assert scripts.evaluate(script, [424, 430, 436, 463, 464, 700]) == [[424, 430, 436, 463], [464], [700]]
    assert scripts.evaluate(script, []) == []


def test_charts_of_streamlit_may_load_another_plotly(drawn: Page) -> None:
    drawn.evaluate(OTHER)
    try:
        drawn.evaluate("() => axes.fit(240)")
        assert across(drawn) == [[0, 240], [0, 240]]
    finally:
        drawn.evaluate("() => { window.Plotly = window.kept; }")


def test_a_spike_is_left_out_until_one_asks(drawn: Page) -> None:
    assert 1 < top(drawn, "a") < 2 and 1 < top(drawn, "b") < 2
    button = drawn.get_by_role("button", name="Show spikes")
    expect(button).to_have_count(1)
    button.click()
    drawn.wait_for_function("document.getElementById('b')._fullLayout.yaxis.range[1] >= 500")
    assert top(drawn, "a") < 2
    drawn.get_by_role("button", name="Leave out spikes").click()
    drawn.wait_for_function("document.getElementById('b')._fullLayout.yaxis.range[1] < 2")


def test_the_charts_share_their_x_axis(drawn: Page) -> None:
    assert across(drawn) == [[0, 120], [0, 120]]
    drawn.evaluate("() => Plotly.relayout('a', { 'xaxis.range[0]': 10, 'xaxis.range[1]': 20 })")
    drawn.wait_for_function("document.getElementById('b')._fullLayout.xaxis.range[0] === 10")
    drawn.evaluate("() => axes.fit(200)")  # the run continues; the zoom stays
    assert across(drawn) == [[10, 20], [10, 20]]
    drawn.evaluate("() => axes.reset()")
    drawn.wait_for_function("document.getElementById('a')._fullLayout.xaxis.range[1] === 200")
    assert across(drawn) == [[0, 200], [0, 200]]


CROWDS: dict[str, list[float] | None] = {
    "[1, 2, 900]": None,  # three values are no crowd
    "Array(100).fill(1)": None,
    "Array.from({ length: 100 }, (_, i) => i)": None,  # a rise is no spike
    "[...Array(99).fill(2), 900]": [0, 2.5],
    "[...Array(99).fill(-2), -900]": [-2.5, 0],
    "[...Array(99).fill(2), NaN, null, 900]": [0, 2.5],
    "Array(50).fill(0)": None,
}


def test_what_a_crowd_is(drawn: Page) -> None:
    assert {values: drawn.evaluate(f"() => crowdRange({values})") for values in CROWDS} == CROWDS


TOUCHED = f"""<head><meta name="viewport" content="width=device-width"><script>{{{(UI / "shell.js").read_text()}}}</script><style>{(UI / "shell.css").read_text()}</style></head>
<body><div class="stPlotlyChart"><div id="chart"></div></div><p style="height: 3000px"></p></body>"""

WATCH = """() => {
  const layer = document.querySelector("#chart .hoverlayer");
  window.shown = [];
  new MutationObserver(() => shown.push(layer.textContent)).observe(layer, { childList: true, subtree: true });
}"""


def test_a_finger_on_a_chart_of_streamlit_scrolls_the_page_and_a_tap_shows_values(browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page = context.new_page()
    page.route("**/*", lambda route: route.fulfill(body=TOUCHED, content_type="text/html"))
    page.goto("http://workshop.test/inside")
    page.add_script_tag(content=get_plotlyjs())
    page.evaluate(
        "() => Plotly.newPlot('chart', [{ x: [0, 1, 2], y: [1, 3, 2] }], { height: 400, hovermode: 'x unified', dragmode: 'zoom' })"
    )
    page.evaluate(WATCH)
    page.touchscreen.tap(200, 200)
    page.wait_for_function("() => shown.some(values => values.includes('3'))")
    # A Chromium without windows then moves a mouse that is not there, and the values leave again.
    if "headless-shell" not in str(EXECUTABLE):
        expect(page.locator("#chart .hoverlayer")).to_contain_text("3")
    finger = context.new_cdp_session(page)
    for i in range(12):
        points = [{"x": 200 - 3 * i, "y": 300 - 20 * i}]  # not quite upright
        finger.send("Input.dispatchTouchEvent", {"type": "touchMove" if i else "touchStart", "touchPoints": points})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_function("() => scrollY > 150")
    assert page.evaluate("() => document.getElementById('chart').layout.xaxis.autorange"), "the finger zoomed"
    context.close()


def test_charts_follow_their_column_and_leave_while_they_are_drawn(drawn: Page) -> None:
    widths = "() => [document.getElementById('a')._fullLayout.width, document.getElementById('b').data.length]"
    drawn.evaluate(
        """() => {
          const [a, b] = ["a", "b"].map(name => document.getElementById(name));
          b.style.display = "none";  // without a width, Plotly would raise an error
          window.followed = followWidth(document.body, () => [a, b]);
          document.body.style.width = "500px";
        }"""
    )
    drawn.wait_for_function(f"() => ({widths})()[0] === 500")
    # Each of these draws in several steps, and raises an error when its chart is gone between them.
    for drawing in (
        "Plotly.relayout(chart, { 'xaxis.range': [0, 1] })",
        "Plotly.react(chart, [{ x: [0, 1], y: [1, 2] }], { height: 200 })",
    ):
        drawn.evaluate(f"() => {{ const chart = document.getElementById('a'); {drawing}; removeChart(chart); }}")
        drawn.wait_for_function("() => !document.getElementById('a').data")
        drawn.evaluate("async () => { await Plotly.newPlot('a', [{ x: [0, 1], y: [1, 2] }], { height: 200 }); }")
    drawn.evaluate("() => { window.followed.disconnect(); document.body.style.width = ''; }")
