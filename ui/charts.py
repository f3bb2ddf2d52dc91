"""Runs' histories -> Plotly figures, one per quantity, each with a sentence that says what it shows.

The only module that builds Plotly figures. Pure: columns of numbers in, figures out; knows nothing about files or pages.
"""

import colorsys
import html
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import plotly.graph_objects as go

from gan.config import TrainConfig
from gan.events import Intervention
from gan.untrusted import is_number

# Streamlit brings it. Plotly looks at pandas if it finds it, even half loaded by another thread, and then fails: so it is whole before any figure.
importlib.import_module("pandas")

AXES = {"step": "Steps", "images_seen": "Images", "elapsed_s": "Seconds"}  # a column of the history -> its name as an axis
COLORS = ("#2563eb", "#d97706", "#059669", "#c026d3", "#dc2626", "#64748b")  # of the first, second, ... run
TICKS = [digit * 10.0**power for power in range(-2, 4) for digit in (1, 2, 5)]  # of a logarithmic axis
BOTH = 0.2  # relative luminance with a contrast of at least 3:1 on light and on dark pages


class Role(IntEnum):
    """The theme's chart colors by role, in all charts of the app. ROLES in ui/components/shared.js is the same."""

    DISCRIMINATOR = 0
    GENERATOR = 1
    REAL = 2
    SCORE = 3

    @property
    def color(self) -> str:
        """A placeholder that Streamlit replaces with the color of the visitor's theme in st.plotly_chart()."""
        return f"#{self + 1:06d}"


LONGEST_NAME = 24  # characters of a class's name next to its bar
MOST_MARKS = 100  # the most changes of settings marked on a curve: the latest ones


@dataclass(frozen=True)
class Curve:
    """One run as the charts need it.

    Attributes:
        name: as shown; never interpreted.
        columns: of the history, equally long; values that are not finite count as missing.
        scores: whether the discriminator's answers are unbounded scores, not probabilities.
        changes: of settings while the run trained.
        fork: the step at which this run was forked from another one, and a text about it.
        judged: step and Fréchet distance of each scoring.
        features: the network whose features the distance uses.
    """

    name: str
    columns: Mapping[str, Sequence[Any]]
    scores: bool = False
    changes: Sequence[Intervention] = ()
    fork: tuple[int, str] | None = None
    judged: Sequence[tuple[int, float]] = ()
    features: str = ""


@dataclass(frozen=True)
class Chart:
    """A figure, and what it shows in words: each run's last value."""

    figure: go.Figure
    text: str


@dataclass(frozen=True)
class _Panel:
    """What one chart shows: a column, for the runs in which it means the same."""

    key: str
    title: str
    scores: bool | None = None  # only runs whose answers are scores, or are not; None: all
    bounds: tuple[float, float] | None = None


_PANELS = (
    _Panel("loss_d", "Discriminator's loss"),
    _Panel("loss_g", "Generator's loss"),
    _Panel("d_real", "D(x): answer to real images", scores=False, bounds=(0, 1)),
    _Panel("d_fake", "D(G(z)): answer to generated images", scores=False, bounds=(0, 1)),
    _Panel("d_real", "Critic's score of real images", scores=True),
    _Panel("d_fake", "Critic's score of generated images", scores=True),
    _Panel("distance", "Distance to the target, or of there and back (share of the range of pixels)"),
    _Panel("augmentation", "Augmentation: probability of each change", bounds=(0, 1)),
)


def shade(hue: float) -> str:
    """A color of a hue, 0 to 1, visible on light and on dark pages: lines differ only in hue."""
    low, high = 0.0, 1.0
    for _ in range(20):
        lightness = (low + high) / 2
        channels = colorsys.hls_to_rgb(hue, lightness, 0.7)
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        low, high = (low, lightness) if np.dot(linear, (0.2126, 0.7152, 0.0722)) > BOTH else (lightness, high)
    return "#" + "".join(f"{round(255 * c):02x}" for c in channels)


def numbers(column: Sequence[Any]) -> np.ndarray:
    """A column as float64; NaN for values that are not finite. A damaged line may hold anything."""
    try:
        values = np.array(column, dtype=np.float64)  # None becomes NaN
        damaged = values.ndim != 1
    except (TypeError, ValueError, OverflowError):
        damaged = True
    if damaged:
        values = np.array([value if is_number(value) else np.nan for value in column], dtype=np.float64)
    values[~np.isfinite(values)] = np.nan
    return values


def positions(columns: Mapping[str, Sequence[Any]], axis: str, steps: Sequence[float]) -> np.ndarray:
    """The positions of steps along an axis: interpolated linearly in the run's history, from 0 at step 0.

    Args:
        columns: of the run's history.
        axis: one of AXES.
        steps: any; steps beyond the history get the position of its last row.

    Returns:
        float64, (len(steps),).
    """
    if axis == "step":
        return np.array(steps, dtype=np.float64)
    at, along = numbers(columns["step"]), numbers(columns[axis])
    there = ~np.isnan(at) & ~np.isnan(along)
    order = np.argsort(at[there], kind="stable")
    return np.interp(np.array(steps, dtype=np.float64), [0.0, *at[there][order]], [0.0, *along[there][order]])


def smooth(x: np.ndarray, y: np.ndarray, half_life: float) -> np.ndarray:
    """The exponential moving average of y along x; missing values stay missing.

    half_life: the distance along x over which a point's weight halves; 0 for no smoothing. Distance, unlike the
        number of points, means the same for runs that are measured more or less often, and after thinning.
        The first points are not drawn toward 0: weights sum to 1 everywhere.
    """
    if half_life <= 0:
        return y
    result, total, weight, before = np.full(len(y), np.nan), 0.0, 0.0, 0.0
    for i in np.flatnonzero(~np.isnan(y)):
        fade = 0.5 ** (max(0.0, x[i] - before) / half_life)
        total, weight, before = total * fade + y[i], weight * fade + 1, x[i]
        result[i] = total / weight
    return result


def charts(curves: Sequence[Curve], axis: str = "step", smoothing: float = 0.0) -> list[Chart]:
    """Losses and answers of several runs, one chart per quantity, one color per run.

    Probabilities and scores have no common scale: if there are both, each kind has its own charts.

    Args:
        curves: the runs; each keeps its color in all charts.
        axis: one of AXES.
        smoothing: half-life of the moving average, as a share of the longest run, 0 to 1. The measured values stay
            visible in pale.

    Returns:
        Four charts, or six; one more with adaptive augmentation, one more for runs that translate images, and one more if there are scores.
    """
    longest = _longest(curves, axis)
    drawn = []
    for panel in _PANELS:
        shown = [(i, curve) for i, curve in enumerate(curves) if _applies(panel, curve)]
        if shown:
            drawn.append(_chart(panel, shown, axis, smoothing * longest))
    for chart in drawn:
        chart.figure.update_xaxes(range=[0, longest or 1])  # the same for all charts, so you can compare them
    return drawn + distance_chart(curves, axis)


def _applies(panel: _Panel, curve: Curve) -> bool:
    """Whether a run has a curve in a panel: only some runs adapt their augmentation, or translate images."""
    if panel.key in ("augmentation", "distance"):
        return any(value is not None for value in curve.columns.get(panel.key, ()))
    return panel.scores is None or curve.scores == panel.scores


def distance_chart(curves: Sequence[Curve], axis: str = "step") -> list[Chart]:
    """The last of charts() alone: the distances of several runs; empty if there are no scores."""
    judged = [(i, curve) for i, curve in enumerate(curves) if curve.judged]
    if not judged:
        return []
    chart = _distance(judged, axis)
    chart.figure.update_xaxes(range=[0, _longest(curves, axis) or 1])
    return [chart]


def _longest(curves: Sequence[Curve], axis: str) -> float:
    """Where the longest run ends."""
    return max((float(np.nanmax(x)) for curve in curves if len(x := _along(curve, axis))), default=0.0)


def shares_chart(names: Sequence[str], shares: Mapping[str, Sequence[float] | np.ndarray]) -> Chart:
    """How often each class appears, with a bar for each kind of image.

    Args:
        names: of the classes; shown, never interpreted.
        shares: of generated and of real images, by name; 0 to 1, as many as names.
    """
    figure, said = go.Figure(), []
    classes = [html.escape(str(name)) for name in names]
    for (kind, values), role in zip(shares.items(), (Role.GENERATOR, Role.REAL), strict=False):
        figure.add_bar(x=classes, y=[float(value) for value in values], name=kind, marker={"color": role.color}, hovertemplate="%{y:.1%}")
        least = int(np.argmin(values))
        said.append(f"{kind}: fewest of {names[least]}, {float(values[least]):.1%}")
    figure.update_layout(
        barmode="group",
        height=300,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hovermode="x unified",
        dragmode=False,  # a finger scrolls the page
        xaxis={"type": "category"},
        yaxis={"tickformat": ".0%", "rangemode": "tozero", "title": {"text": "Share of the images"}},
    )
    return Chart(figure, f"Shares of {len(names)} classes. {'; '.join(said)}.")


def counts_chart(title: str, names: Sequence[str], numbers: Sequence[int]) -> Chart:
    """How many images there are of each class or attribute: a bar each, from top to bottom, with its number at the end.

    Args:
        title: what is counted, such as "Class".
        names: shown, never interpreted; a long one is cut, and whole when it is pointed at.
        numbers: as many as names.
    """
    rows = list(range(len(names)))
    short = [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…" for name in names]
    figure = go.Figure()
    figure.add_bar(
        x=list(numbers),
        y=rows,
        orientation="h",
        marker={"color": Role.REAL.color},
        text=[f"{number:,}" for number in numbers],
        textposition="outside",
        cliponaxis=False,
        hovertext=[f"{html.escape(name)}: {number:,}" for name, number in zip(names, numbers, strict=True)],
        hoverinfo="text",
    )
    figure.update_layout(
        height=20 + 26 * len(names),
        margin={"l": 8, "r": 8, "t": 4, "b": 4},
        bargap=0.3,
        dragmode=False,  # a finger scrolls the page
        xaxis={"visible": False, "range": [0, 1.25 * max(1, *numbers)]},  # with room for the numbers
        yaxis={
            "tickvals": rows,
            "ticktext": [html.escape(name) for name in short],
            "autorange": "reversed",
            "automargin": True,
            "title": None,
        },
    )
    return Chart(figure, f"{title}: {'; '.join(f'{name} {number:,}' for name, number in zip(names, numbers, strict=True))}.")


def _along(curve: Curve, axis: str) -> np.ndarray:
    x = numbers(curve.columns[axis])
    return x[~np.isnan(x)]


def _chart(panel: _Panel, curves: Sequence[tuple[int, Curve]], axis: str, half_life: float) -> Chart:
    figure = go.Figure()
    said = []
    for i, curve in curves:
        x, y = numbers(curve.columns[axis]), numbers(curve.columns[panel.key])
        there = ~np.isnan(x)
        x, y = x[there], y[there]
        line = smooth(x, y, half_life)
        if half_life > 0:
            _add(figure, i, curve, x, y, line={"width": 1}, opacity=0.25, hoverinfo="skip", mode="lines")
        _add(figure, i, curve, x, line, line={"width": 2}, mode="lines", hovertemplate="%{y:.4g}")
        _mark(figure, i, curve, axis, x, line)
        known = np.flatnonzero(~np.isnan(y))
        last = f"{y[known[-1]]:.3g} at {_read(axis, x[known[-1]])}" if len(known) else "nothing yet"
        said.append(f"{curve.name} {last}")
    nats = panel.key.startswith("loss") and not any(curve.scores for _, curve in curves)
    title = f"{panel.title} (nats)" if nats else panel.title
    _lay_out(figure, title, axis, {"range": panel.bounds} if panel.bounds else {})
    figure.update_layout(meta={"spikes": panel.bounds is None})  # which may be left out of sight
    return Chart(figure, f"{title}: {'; '.join(said)}.")


def _distance(curves: Sequence[tuple[int, Curve]], axis: str) -> Chart:
    """Fréchet distances, unsmoothed: they are few."""
    figure, said = go.Figure(), []
    for i, curve in curves:
        steps, distances = (list(column) for column in zip(*curve.judged, strict=True))
        x, y = positions(curve.columns, axis, steps), numbers(distances)
        _add(
            figure,
            i,
            curve,
            x,
            y,
            line={"width": 2},
            mode="lines+markers",
            marker={"size": 4 if len(x) > 1 else 9},
            hovertemplate="%{y:.3g}",
        )
        _mark(figure, i, curve, axis, x, y, log=True)
        said.append(f"{curve.name} {y[-1]:.3g} at {_read(axis, x[-1])}")
    names = sorted({curve.features for _, curve in curves})
    title = f"FD, lower is better ({html.escape(', '.join(names))})"
    _lay_out(figure, title, axis, {"type": "log", "tickvals": TICKS, "ticktext": [f"{tick:g}" for tick in TICKS]})
    return Chart(figure, f"{title}: {'; '.join(said)}.")


def _lay_out(figure: go.Figure, title: str, axis: str, yaxis: dict[str, Any]) -> None:
    figure.update_layout(
        title={"text": title, "font": {"size": 14}, "x": 0, "xref": "paper"},
        showlegend=False,
        hovermode="x unified",
        margin={"l": 44, "r": 12, "t": 36, "b": 36},
        xaxis={"title": {"text": AXES[axis], "standoff": 4}, "rangemode": "tozero"},
        yaxis=yaxis,
        uirevision=axis,  # a zoom is kept while runs train, but not on another axis
        template="none",
    )


def _add(figure: go.Figure, i: int, curve: Curve, x: np.ndarray, y: np.ndarray, line: dict[str, Any], **options: Any) -> None:
    # meta: whose color it is, for a page with its own colors.
    line = {"color": COLORS[i % len(COLORS)], **line}
    with np.errstate(over="ignore"):  # a number beyond float32, from a file that was edited, is drawn as a gap
        y = y.astype(np.float32)
    figure.add_scatter(x=x, y=y, name=html.escape(curve.name), meta=i, line=line, **options)


def on_line(where: np.ndarray, x: np.ndarray, y: np.ndarray, log: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The points of a drawn line that are closest along x to some positions; none for a line without values.

    Beyond an end of the line it is that end; in a gap it is the closer side.

    Args:
        where: positions along x.
        x, y: the line's points, x rising; NaN in y makes a gap.
        log: whether the line is straight on a logarithmic y-axis.
    """
    rows = np.flatnonzero(~np.isnan(y) & ((y > 0) | (not log)))
    if not len(rows):
        return np.empty(0), np.empty(0)
    along, height = x[rows], np.log(y[rows]) if log else y[rows]
    at = np.clip(where, along[0], along[-1])
    right = np.searchsorted(along, at).clip(min(1, len(rows) - 1), len(rows) - 1)
    left = np.maximum(right - 1, 0)
    closer = np.where(at - along[left] <= along[right] - at, along[left], along[right])
    at = np.where(rows[right] - rows[left] > 1, closer, at)
    heights = np.interp(at, along, height)
    return at, np.exp(heights) if log else heights


def _mark(figure: go.Figure, i: int, curve: Curve, axis: str, x: np.ndarray, y: np.ndarray, log: bool = False) -> None:
    """Signs on the curve where a setting was changed, and where the run was forked from another."""
    if np.isnan(y).all():
        return
    at_step: dict[int, list[str]] = {}
    for change in curve.changes:
        at_step.setdefault(change.step, []).append(changed(change.field, change.old, change.new))
    signs = [("diamond", list(at_step)[-MOST_MARKS:], [", ".join(texts) for texts in at_step.values()][-MOST_MARKS:])]
    if curve.fork:
        signs.append(("circle-open", [curve.fork[0]], [curve.fork[1]]))
    for symbol, steps, texts in signs:
        if not steps:
            continue
        at, height = on_line(positions(curve.columns, axis, steps), x, y, log)
        if not len(at):
            continue
        figure.add_scatter(
            x=at,
            y=height,
            mode="markers",
            name=html.escape(curve.name),
            meta=i,
            marker={
                "symbol": symbol,
                "size": 10,
                "color": COLORS[i % len(COLORS)],
                "line": {"width": 2 if symbol == "circle-open" else 1},
            },
            text=[html.escape(f"step {step:,}: {text}"[:300]) for step, text in zip(steps, texts, strict=True)],
            hovertemplate="%{text}",
        )


def setting_title(field: Any) -> str:
    """A setting's name as shown."""
    info = TrainConfig.model_fields.get(field) if isinstance(field, str) else None  # a damaged line may hold anything
    return str(info.title) if info else str(field)[:50]


def value_text(value: Any) -> str:
    """A setting's value as shown."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 10_000 else f"{value:,.4g}"
    return str(value)[:200]


def changed(field: Any, old: Any, new: Any) -> str:
    """ "Generator learning rate: 0.0005 → 0.001"."""
    return f"{setting_title(field)}: {value_text(old)} → {value_text(new)}"


def _read(axis: str, x: float) -> str:
    """A position in words."""
    return {"step": f"step {x:,.0f}", "images_seen": f"{x:,.0f} images", "elapsed_s": f"{x:,.1f} s"}[axis]
