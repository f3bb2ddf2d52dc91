import json
import math
import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from gan.events import Intervention
from gan.runs.folder import METRICS
from ui.charts import AXES, COLORS, LONGEST_NAME, Chart, Curve, Role, charts, counts_chart, numbers, on_line, positions, smooth


def columns(**given: Any) -> dict[str, Any]:
    """Ten rows, each ten steps of 64 images and half a second after the one before."""
    steps = list(range(10, 110, 10))
    found: dict[str, Any] = {name: [0.5 + i / 100 for i in range(10)] for name in METRICS}
    for name in ("augmentation", "distance"):  # as in a run that does not adapt it, and does not translate images
        found[name] = [None] * 10
    return found | {"step": steps, "images_seen": [64 * s for s in steps], "elapsed_s": [s / 20 for s in steps]} | given


def lines(chart: Chart) -> list[Any]:
    return [trace for trace in chart.figure.data if trace.mode == "lines"]


def test_four_charts_with_one_color_a_run_and_the_last_values_in_words() -> None:
    found = charts([Curve("one", columns()), Curve("two", columns(loss_d=[2.0] * 10))])
    assert [chart.figure.layout.title.text for chart in found] == [
        "Discriminator's loss (nats)",
        "Generator's loss (nats)",
        "D(x): answer to real images",
        "D(G(z)): answer to generated images",
    ]
    for chart in found:
        assert [(line.name, line.line.color, line.meta) for line in lines(chart)] == [("one", COLORS[0], 0), ("two", COLORS[1], 1)]
    assert found[0].text == "Discriminator's loss (nats): one 0.59 at step 100; two 2 at step 100."
    assert found[2].figure.layout.yaxis.range == (0, 1) and found[0].figure.layout.yaxis.range is None


@pytest.mark.parametrize(
    ("axis", "end", "said"), [("step", 100, "step 100"), ("images_seen", 6400, "6,400 images"), ("elapsed_s", 5, "5.0 s")]
)
def test_the_axis_is_by_choice(axis: str, end: int, said: str) -> None:
    chart = charts([Curve("one", columns())], axis)[0]
    assert chart.figure.layout.xaxis.title.text == AXES[axis]
    assert lines(chart)[0].x[-1] == end and chart.text.endswith(f"at {said}.")


def test_scores_have_charts_of_their_own() -> None:
    alone = charts([Curve("critic", columns(), scores=True)])
    assert [chart.figure.layout.title.text for chart in alone][0::2] == ["Discriminator's loss", "Critic's score of real images"]
    found = charts([Curve("one", columns()), Curve("critic", columns(), scores=True)])
    assert len(found) == 6
    assert [[line.name for line in lines(chart)] for chart in found] == [["one", "critic"]] * 2 + [["one"]] * 2 + [["critic"]] * 2
    assert lines(found[-1])[0].line.color == COLORS[1] and found[-1].figure.layout.yaxis.range is None


def test_smoothing_goes_by_distance_and_leaves_the_measured_behind() -> None:
    x = np.arange(0.0, 1000.0)
    y = np.sin(x / 100) + 3
    fine, coarse = smooth(x, y, 50), smooth(x[::5], y[::5], 50)
    assert np.abs(fine[::5] - coarse)[20:].max() < 0.05  # thinned, it says the same
    assert smooth(x, y, 0) is y
    assert np.allclose(smooth(x, np.full(1000, 7.0), 50), 7)  # the first points are not drawn toward 0
    steps = np.where(x < 500, 0.0, 1.0)
    assert smooth(x, steps, 50)[500 + 50] == pytest.approx(0.5, abs=0.02)
    chart = charts([Curve("one", columns())], smoothing=0.1)[0]
    raw, line = lines(chart)
    assert raw.opacity < 0.5 and raw.hoverinfo == "skip" and list(raw.y) == pytest.approx(columns()["loss_d"])
    assert line.y[-1] < raw.y[-1]


def test_missing_values_stay_missing() -> None:
    y = smooth(np.arange(4.0), np.array([1.0, np.nan, 3.0, np.nan]), 1)
    assert np.isnan(y).tolist() == [False, True, False, True]
    assert list(numbers([1, 2.5])) == [1, 2.5]
    odd = numbers([1, None, "x", float("inf"), 10**400, [2], {}])
    assert odd[0] == 1 and np.isnan(odd[1:]).all() and len(odd) == 7
    assert np.isnan(numbers([[1], [2]])).all() and len(numbers([])) == 0


@pytest.mark.parametrize(
    "broken", [{"loss_d": ["x"] * 10}, {"loss_d": [None] * 10}, {name: [] for name in METRICS}, {"elapsed_s": [None] * 10}]
)
@pytest.mark.parametrize("axis", AXES)
def test_a_run_without_usable_numbers_is_a_chart_without_a_line(broken: dict[str, Any], axis: str) -> None:
    change = Intervention(20, cast(str, ["lr_g"]), 0.1, cast(float, {"x": 1}))
    for chart in charts(
        [Curve("one", columns(**broken), changes=[change], fork=(3, "forked from two")), Curve("two", columns())], axis, 0.1
    ):
        json.loads(chart.figure.to_json())
        assert "one" in chart.text and "two 0.59 at" in chart.text
    assert "nothing yet" in charts([Curve("one", columns(loss_d=[None] * 10))])[0].text


def test_changes_and_forks_are_marked_on_the_curve() -> None:
    changes = [Intervention(20, "lr_g", 0.0005, 0.001), Intervention(20, "dropout", 0, 0.3), Intervention(70, "gone", "<a href='x'>", 1)]
    chart = charts([Curve("one", columns(), changes=changes, fork=(40, "forked from <b>two"))], "elapsed_s")[0]
    diamonds, ring = (trace for trace in chart.figure.data if trace.mode == "markers")
    assert list(diamonds.x) == [1.0, 3.5] and list(diamonds.y) == pytest.approx([0.51, 0.56])
    assert diamonds.text[0] == "step 20: Generator learning rate: 0.0005 → 0.001, Discriminator dropout: 0 → 0.3"
    assert "&lt;a href" in diamonds.text[1]
    assert list(ring.x) == [2.0] and ring.text[0] == "step 40: forked from &lt;b&gt;two" and ring.marker.symbol == "circle-open"
    many = [Intervention(i, "lr_g", i, i + 1) for i in range(5000)]
    assert max(len(trace.x) for trace in charts([Curve("one", columns(), changes=many)])[0].figure.data) <= 100


def test_positions_are_read_off_the_history() -> None:
    assert list(positions(columns(), "step", [0, 7])) == [0, 7]
    assert list(positions(columns(), "images_seen", [0, 5, 10, 15, 100, 400])) == [0, 320, 640, 960, 6400, 6400]
    assert list(positions(columns(elapsed_s=[None, *columns()["elapsed_s"][1:]]), "elapsed_s", [10, 30])) == [0.5, 1.5]
    assert list(positions({name: [] for name in METRICS}, "elapsed_s", [0, 8])) == [0, 0]


def test_distances_have_a_chart_where_images_were_judged() -> None:
    judged = Curve("one", columns(), judged=[(40, 9.0), (80, 3.0)], features="digits-CNN")
    found = charts([Curve("two", columns()), judged], "elapsed_s")
    assert len(found) == 5
    (line,) = found[-1].figure.data
    assert list(line.x) == [2, 4] and list(line.y) == [9, 3] and line.meta == 1
    assert found[-1].text == "FD, lower is better (digits-CNN): one 3 at 4.0 s."
    assert found[-1].figure.layout.yaxis.type == "log"


def test_a_distance_beyond_single_precision_is_a_gap_and_no_warning() -> None:
    (line,) = charts([Curve("one", columns(), judged=[(40, 9.0), (80, 1e308)], features="digits-CNN")])[-1].figure.data
    assert line.y[0] == 9 and math.isinf(line.y[1])


def test_only_runs_that_translate_images_have_a_chart_of_the_distance() -> None:
    found = charts([Curve("one", columns()), Curve("two", columns(distance=[0.3 - i / 50 for i in range(10)]))])
    assert [c.text for c in found if "Distance" in c.text] and len(found) == 5


def test_only_runs_that_adapt_their_augmentation_have_a_chart_of_it() -> None:
    found = charts([Curve("one", columns()), Curve("two", columns(augmentation=[i / 20 for i in range(10)]))])
    assert len(found) == 5
    assert found[-1].text == "Augmentation: probability of each change: two 0.45 at step 100."


def test_all_charts_have_one_x_axis() -> None:
    """Also if one run is shorter, or was scored up to an earlier step."""
    short = {name: values[:4] for name, values in columns().items()}
    found = charts([Curve("long", columns()), Curve("short", short, judged=[(20, 5.0)])])
    assert len(found) == 5 and {tuple(chart.figure.layout.xaxis.range) for chart in found} == {(0, 100)}


def test_the_browser_gives_the_same_roles_the_same_colors() -> None:
    script = (Path(__file__).parent.parent.parent / "ui" / "components" / "shared.js").read_text()
    told = re.search(r"const ROLES = {([^}]*)}", script)
    assert told and dict(re.findall(r"(\w+): (\d)", told[1])) == {role.name.lower(): str(int(role)) for role in Role}


def test_marks_lie_on_the_line_that_is_drawn() -> None:
    x, y = np.array([10.0, 20.0, 30.0, 40.0, 50.0]), np.array([1.0, 100.0, math.nan, 4.0, 5.0])
    at, height = on_line(np.array([0.0, 15.0, 24.0, 36.0, 45.0, 99.0]), x, y)
    assert at.tolist() == [10, 15, 20, 40, 45, 50] and height.tolist() == [1, 50.5, 100, 4, 4.5, 5]
    _, height = on_line(np.array([15.0]), x, y, log=True)
    assert height == pytest.approx([10.0])  # straight on a logarithmic axis
    assert on_line(np.array([3.0]), x[:1], y[:1])[1].tolist() == [1] and not len(on_line(np.array([3.0]), x, np.full(5, math.nan))[0])


def test_counts_are_bars_with_their_numbers_and_names_are_never_interpreted() -> None:
    chart = counts_chart("Class", ("<b>cat</b>", "d" * 200, "d" * 201), [1234, 0, 7])
    (bars,) = chart.figure.data
    assert list(bars.x) == [1234, 0, 7] and list(bars.text) == ["1,234", "0", "7"] and bars.hovertext[0] == "&lt;b&gt;cat&lt;/b&gt;: 1,234"
    shown = chart.figure.layout.yaxis.ticktext
    assert shown[0] == "&lt;b&gt;cat&lt;/b&gt;" and [len(name) for name in shown[1:]] == [LONGEST_NAME] * 2 and len(set(bars.y)) == 3
    assert chart.text.startswith("Class: <b>cat</b> 1,234; ddd")


def test_pandas_is_whole_before_any_module_builds_a_figure() -> None:
    """Plotly asks a pandas that another thread is just loading for what it does not have yet. An import waits until it is loaded."""
    building = {path.name: path.read_text() for path in Path("ui").rglob("*.py") if "import plotly" in path.read_text()}
    assert 'importlib.import_module("pandas")' in building.pop("charts.py")
    assert building and all("from ui.charts import" in source for source in building.values()), building.keys()
