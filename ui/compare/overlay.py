"""The chosen runs overlaid: curves, grids, different settings, results."""

import math
from collections.abc import Sequence

import streamlit as st

from gan.glossary import explain
from gan.networks.generator_file import CheckpointError
from gan.runs.folder import RunFolder
from ui.charts import AXES, COLORS, charts
from ui.comparison import Compared, Row, curve, differences, grid_remarks, look_at, outcomes, remarks, same_features
from ui.components.compare_view import compare_view
from ui.health import health_line
from ui.next_step import offer
from ui.page_files import EXPLORE, TRAIN
from ui.text import plain
from ui.workshop import manager

REFRESH_S = 5.0  # while one of the runs is active


def position() -> float | None:
    """The slider's position from the address; None for the newest."""
    try:
        at = float(st.query_params.get("at", ""))
    except ValueError:
        return None
    return at if math.isfinite(at) and at >= 0 else None


def swatch(i: int) -> str:
    """A run's color, in Markdown."""
    return f':color[⬤]{{foreground="{COLORS[i]}"}}'


def go_to(at: float | None = None) -> None:
    """Puts the slider's position into the address; None: the newest, which the address leaves out."""
    st.query_params.pop("at", None)
    if at is not None:
        st.query_params["at"] = f"{at:.10g}"


def legend(runs: list[Compared]) -> None:
    """The legend for all charts; each name links to its run. If the run has a finding, it follows the name."""
    for i, run in enumerate(runs):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            far = f"{run.status.state.shown}, step {run.status.step:,}"
            st.page_link(
                TRAIN, label=f"{swatch(i)} {plain(run.name)} :small[:gray[{plain(far)}]]", query_params={"run": run.id}, help=run.id
            )
            if finding := health_line(manager().get(run.id)):
                st.markdown(f":small[{finding}]", width="content")


def table(key: str, runs: list[Compared], rows: list[Row]) -> None:
    """One column per run."""
    columns = {f"{swatch(i)} {plain(run.name)}": {title: plain(texts[i]) for title, texts in rows} for i, run in enumerate(runs)}
    with st.container(key=f"compare_table_{key}"):
        st.table(columns)


def lay_over(ids: list[str], names: dict[str, str], states: Sequence[str]) -> None:
    """Everything below the choice; it reruns by itself while one of the runs is active."""
    try:
        chosen = [manager().get(i) for i in ids]
    except KeyError:
        st.rerun()  # deleted meanwhile
    if [run.state for run in chosen] != states:
        st.rerun()  # the list above shows their states, which decide whether this runs again
    runs = []
    for run in chosen:
        try:
            runs.append(look_at(run, names[run.id]))
        except CheckpointError:
            st.error(f"{plain(names[run.id])} cannot be compared: its settings cannot be read.", icon=":material/error:")
    if not runs:
        return
    legend(runs)
    left, right = st.columns(2, gap="medium", vertical_alignment="center")
    axis = left.segmented_control(
        "Along",
        list(AXES),
        default="step",
        format_func=AXES.__getitem__,
        key="along",
        bind="query-params",
        required=True,
        on_change=go_to,
        help="The horizontal axis: steps, images the networks saw, or seconds of training.",
    )
    axis = axis or "step"  # ?along= clears even what is required
    smoothing = right.slider(
        "Smoothing",
        0,
        20,
        2,
        format="%d%%",
        key="smoothing",
        bind="query-params",
        help="A moving average: its half-life is this share of the longest run. The measured values stay visible, but paler.",
    )
    for sentence in remarks(runs):
        st.caption(plain(sentence))
    drawn = charts([curve(run, names) for run in runs], axis, smoothing / 100)
    compare_view(runs, drawn, axis, position(), go_to, grid_remarks(runs), "compare")
    if len(runs) > 1:
        st.subheader("Different settings")
        rows = differences(runs, names)
        if rows:
            table("settings", runs, rows)
        else:
            st.caption("None: these runs have the same settings and data.")
    st.subheader("Results so far", help=explain("FD"))
    table("outcomes", runs, outcomes(runs))
    explore_best(runs)


def explore_best(runs: list[Compared]) -> None:
    """The next step: into the latent space of the run that came closest to real images, if that can be said, or else of any."""
    explorable = [run for run in runs if run.grids and not run.config.translates and RunFolder(manager().root / run.id).generator_steps()]
    if not explorable:
        return
    best = min(explorable, key=lambda run: run.best.fd if run.best else math.inf)
    what = (
        f"{plain(best.name)} came closest to real images. Move through its latent space."
        if best.best and len(explorable) > 1 and same_features(runs)
        else f"move through the latent space of {plain(best.name)}."
    )
    offer(what, "Explore", ":material/explore:", EXPLORE, {"from": best.id})
