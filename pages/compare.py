"""Compare: up to six runs laid over each other: curves, what was set differently, the same noise at the same point of training."""

import math
import time

import streamlit as st

from gan.networks.generator_file import CheckpointError
from gan.runs.run import Run
from gan.runs.states import AT_WORK
from ui.charts import AXES, COLORS, charts
from ui.comparison import MOST_RUNS, Compared, Row, curve, differences, grid_remarks, look_at, outcomes, remarks, short_names
from ui.components.compare_view import compare_view
from ui.components.visitor import heading
from ui.page_files import TRAIN
from ui.text import plain
from ui.workshop import manager

REFRESH_S = 5.0  # while one of the runs is at work


def asked() -> list[str]:
    """The ids of the runs that are to be compared.

    The address says which when the page is opened, or when somebody goes back in the browser; from then on the choice on the
    page does. The address holds ids, without decoration: the options' texts change while runs go on.
    """
    state, address = st.session_state, ",".join(st.query_params.get_all("runs"))
    told = state.get("compared_in_address", "")
    if "compared" in state and address == told:
        # The browser names the options by their texts, perhaps by one that has just been replaced.
        return [state["compared_texts"].get(i, i) for i in state["compared"]]
    if "compared" not in state and not address:  # back from another page
        address = told
    return list(dict.fromkeys(part for part in address.split(",") if part))


def option(run: Run, name: str) -> str:
    """A run in the list: its name, how far it is, and when it was started."""
    status = run.status()
    far = "at work" if status["state"] in AT_WORK else f"{status['state']}, step {status.get('step', 0):,}"
    started = status.get("started") or 0
    when = f" · {time.strftime('%d %b, %H:%M', time.localtime(started))}" if 0 < started < 1e11 else ""  # a damaged file may say anything
    return f"{name} · {far}{when}"


def choose(runs: dict[str, Run], names: dict[str, str]) -> list[str]:
    """The runs to compare. What the address asks for and cannot have is said."""
    wanted = asked()
    unknown = [i for i in wanted if i not in runs]
    known = [i for i in wanted if i in runs]
    if unknown:
        some = ", ".join(plain(i[:100]) for i in unknown[:MOST_RUNS])
        st.warning(f"There is no run {some} on this server.", icon=":material/search_off:")
    if len(known) > MOST_RUNS:
        left_out = ", ".join(plain(names[i]) for i in known[MOST_RUNS:])
        st.warning(f"You can compare {MOST_RUNS} runs at once. Left out: {left_out}.", icon=":material/filter_6:")
    texts = {i: option(run, names[i]) for i, run in runs.items()}
    st.session_state.setdefault("compared_texts", {}).update({text: i for i, text in texts.items()})
    st.session_state["compared"] = known[:MOST_RUNS]  # anew in each script run, so that the browser gets the texts of now
    chosen = st.multiselect(
        f"Runs, up to {MOST_RUNS}",
        list(runs),
        format_func=texts.__getitem__,
        key="compared",
        max_selections=MOST_RUNS,
        placeholder="Choose two or more runs",
        help="Newest first.",
        select_all=False,
    )
    address = ",".join(chosen)
    if address:
        st.query_params["runs"] = address
    elif "runs" in st.query_params:
        del st.query_params["runs"]
    st.session_state["compared_in_address"] = address
    return chosen


def position() -> float | None:
    """Where the address says that the slider is; None for the newest."""
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
    """Once for all charts; each name leads to its run."""
    with st.container(horizontal=True, gap="small"):
        for i, run in enumerate(runs):
            state = run.status.get("state")
            far = f"{state}, step {run.status.get('step', 0):,}"
            st.page_link(
                TRAIN, label=f"{swatch(i)} {plain(run.name)} :small[:gray[{plain(far)}]]", query_params={"run": run.id}, help=run.id
            )


def table(key: str, runs: list[Compared], rows: list[Row]) -> None:
    """A column a run."""
    columns = {f"{swatch(i)} {plain(run.name)}": {title: plain(texts[i]) for title, texts in rows} for i, run in enumerate(runs)}
    with st.container(key=f"compare_table_{key}"):
        st.table(columns)


def lay_over(ids: list[str], names: dict[str, str], states: list[str]) -> None:
    """Everything below the choice; run again by itself while one of the runs is at work."""
    try:
        found = [manager().get(i) for i in ids]
    except KeyError:
        st.rerun()  # deleted meanwhile
    if [run.state for run in found] != states:
        st.rerun()  # the list above says how they are, and on it depends whether this is run again
    runs = []
    for run in found:
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
        format="%d %%",
        key="smoothing",
        bind="query-params",
        help="A moving average; this share of the longest run is its half-life. The measured values stay visible in pale.",
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
    st.subheader("Results so far")
    table("outcomes", runs, outcomes(runs))


heading("Compare")
runs = {run.id: run for run in manager().runs()}
if not runs:
    st.info("There are no runs yet. Train a network, then train it again with one setting changed.", icon=":material/lightbulb:")
    st.page_link(TRAIN, label="Train", icon=":material/model_training:")
else:
    names = short_names(runs)
    chosen = choose(runs, names)
    if not chosen:
        st.info(
            "Choose runs above to overlay their curves and see their images side by side.",
            icon=":material/lightbulb:",
        )
    else:
        if len(chosen) == 1:
            st.info("Choose another run to compare with this one.", icon=":material/lightbulb:")
        states = [runs[i].state for i in chosen]
        working = any(state in AT_WORK for state in states)
        st.fragment(lay_over, run_every=REFRESH_S if working else None)(chosen, names, states)
