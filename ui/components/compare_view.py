"""Several runs' curves, and their grids at one position, in one keyed component: it keeps its zoom and does not flicker."""

from collections.abc import Callable, Sequence

import streamlit as st

from gan.runs.states import AT_WORK
from gan.untrusted import is_number
from ui.charts import AXES, COLORS, Chart
from ui.comparison import Compared
from ui.components.component import component

_HTML = """
<section class="compare-view" aria-label="Runs compared">
  <p class="cv-fault" role="alert"></p>
  <div class="cv-charts"></div>
  <h3 class="cv-heading">The same latent vectors at the same point in training</h3>
  <label class="cv-scrub"><span class="cv-where"></span><input type="range" min="0" max="0" value="0"
    aria-label="Position in training"></label>
  <div class="cv-notes"></div>
  <div class="cv-grids"></div>
</section>
"""

_component = component("compare_view", _HTML, "chart_axes")


def compare_view(
    runs: Sequence[Compared],
    charts: Sequence[Chart],
    axis: str,
    at: float | None,
    on_move: Callable[[float | None], None],
    notes: Sequence[str],
    page: str,
) -> None:
    """Draws curves, a slider along their axis, and each run's grid at its position.

    Args:
        runs: their grids are shown, in their colors.
        charts: their curves.
        axis: one of gan.charts.AXES.
        at: where the slider is at first, and on another axis; None for the newest position.
        on_move: called with the slider's position, before the page reruns.
        notes: sentences to be shown at the grids.
        page: the page's url_path, from which the component finds the address of the server behind any prefix.
    """
    grids = [
        {
            "id": run.id,
            "name": run.name,
            "color": COLORS[i % len(COLORS)],
            "steps": run.grids,
            "at": [round(x, 3) for x in run.positions(axis)],
            "atWork": run.status.state in AT_WORK,
        }
        for i, run in enumerate(runs)
    ]
    # As text: arrays travel in it as base64, a third of what numbers take.
    figures = [{"figure": chart.figure.to_json(), "text": chart.text} for chart in charts]
    data = {"figures": figures, "runs": grids, "axis": axis, "axisTitle": AXES[axis], "at": at, "notes": list(notes), "page": page}

    def moved() -> None:
        x = st.session_state["compare_view"].at
        on_move(float(x) if is_number(x) and x >= 0 else None)

    _component(key="compare_view", data=data, on_at_change=moved)
