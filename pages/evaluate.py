"""Evaluate: how good a generator is, beside real images. What is shown stands in the address."""

import json
from collections.abc import Generator

import streamlit as st

from gan import glossary
from gan.events import Progress
from gan.explore.models import Model
from gan.judging.evaluation import SAMPLES, Evaluation, as_csv, as_object, direction, evaluate, in_turn, unseen, with_spread
from gan.judging.judge import Figure, Judge, Report
from gan.networks.generator_file import CheckpointError
from gan.runs.run import explain
from ui.charts import shares_chart
from ui.choose_model import choose_model
from ui.components.visitor import heading
from ui.explore.common import stamp
from ui.judging import CANCELLED, judge_for
from ui.page_files import DATA, EXPLORE
from ui.progress import drain
from ui.text import plain
from ui.workshop import evaluations, manager, models

COUNTS = (500, 1000, 2000, 5000, 10_000)
MOST = 4  # evaluations side by side


def kept() -> list[Evaluation]:
    """What this visitor has had judged, the newest last."""
    found = [evaluations().get(key) for key in st.session_state.setdefault("evaluated", [])]
    return [evaluation for evaluation in found if evaluation]


def judge_it(model: Model, key: tuple[str, int, int]) -> Evaluation | None:
    """Judges a generator with a bar and a way out; None with the reason on the page. key: see Evaluation."""
    judge = judge_for(model.config)
    if judge is None:
        return None

    def work(judge: Judge) -> Generator[Progress, None, Report]:
        return (yield from evaluate(models().get(model), judge, key[2]))

    try:
        report = drain(in_turn(work(judge)), "cancel_evaluation")
    except (ValueError, OSError) as error:
        st.error(f"This generator cannot be evaluated: {plain(explain(error).rstrip('.'))}.", icon=":material/error:")
        return None
    done = Evaluation(key, model.config, model.step, report)
    evaluations().add(done)
    return done


def figures(done: Evaluation) -> None:
    """Each figure with its spread, beside what real images get."""
    report = done.report
    real = "new real images" if unseen(report, done.config) else "held-out real images"
    st.markdown(
        f"**{plain(done.name)}**, step {done.step:,}: {report.images:,} images compared with {report.real:,} {real} of "
        f"**{plain(report.data)}**, in the features of **{plain(report.features)}**."
    )
    with st.grid("auto", min_column_width=155):
        for figure in report.figures:
            with st.container(border=True):
                st.metric(plain(figure.name), short(figure.value, None), help=plain(f"{meaning(figure)} {way(figure)}"))
                error = f"± {short(figure.spread, None)}  \n" if figure.spread is not None else ""
                st.caption(f"{error}Real images: {short(figure.floor, figure.floor_spread)}", help=glossary.explain("floor"))
    st.caption(
        "± is the standard error over parts of the images; of KID the standard deviation over subsets.",
        help=glossary.explain("standard error"),
    )


def meaning(figure: Figure) -> str:
    """What a score measures: the glossary's words where it has the term."""
    term = glossary.TERMS.get(figure.name.split(" (")[0]) or glossary.TERMS.get(figure.key)
    return term.text if term else figure.help


def way(figure: Figure) -> str:
    """Which way is good, as a sentence."""
    return f"{direction(figure)[0].upper()}{direction(figure)[1:]}."


def short(value: float, spread: float | None) -> str:
    """A figure with as many digits as its size asks for."""
    return with_spread(value, spread, 1 if abs(value) >= 100 else 2 if abs(value) >= 10 else 3)


def histogram(done: Evaluation) -> None:
    """How often each class is drawn, beside how often it is real."""
    shares = done.report.shares
    if shares is None:
        return
    st.subheader("Classes")
    if shares.missing:
        names = ", ".join(plain(name) for name in shares.missing)
        st.warning(f"Missing or rare: {names}. Each appears less than a tenth as often as in real images.", icon=":material/warning:")
    else:
        st.caption("No class is missing: each appears at least a tenth as often as in real images.")
    drawn = shares_chart(shares.names, {"Generated images": shares.images, "Real images": shares.real})
    st.plotly_chart(drawn.figure, key="shares", alt=drawn.text, config={"displaylogo": False})
    st.caption(f"Classes as seen by the network {plain(done.report.features)}.")


def side_by_side(done: list[Evaluation]) -> None:
    """Several generators' figures, a column each."""
    st.subheader("Side by side")
    same = len({(e.report.data, e.report.features, e.report.images) for e in done}) == 1
    if not same:
        st.caption("Data set, features or image count differ, so distances are not comparable. Real images: in brackets.")
    keys = list(dict.fromkeys(figure.key for e in done for figure in e.report.figures))

    def cell(e: Evaluation, key: str) -> str:
        figure = next((f for f in e.report.figures if f.key == key), None)
        if figure is None:
            return "–"
        return short(figure.value, figure.spread) + ("" if same else f" ({short(figure.floor, None)})")

    names = {key: figure.name if same else figure.name.split(" (")[0] for e in done for figure in e.report.figures for key in [figure.key]}
    columns = {plain(f"{e.name}, {e.report.images:,}"): {plain(names[key]): plain(cell(e, key)) for key in keys} for e in done}
    if same:
        columns["Real images"] = {plain(names[key]): plain(short(done[0].report[key].floor, None)) for key in keys}
    with st.container(key="evaluate_table"):
        st.table(columns)


def downloads(done: list[Evaluation]) -> None:
    """The figures to take away, and a way to forget them."""
    found = [{"generator": e.name, **as_object(e.report, e.config, e.step)} for e in done]
    icon = ":material/download:"
    with st.container(horizontal=True):
        st.download_button("JSON", json.dumps(found, indent=1), "evaluation.json", "application/json", icon=icon, on_click="ignore")
        st.download_button("CSV", as_csv(found), "evaluation.csv", "text/csv", icon=icon, on_click="ignore")
        if len(done) > 1:
            st.button("Clear the table", icon=":material/clear_all:", on_click=forget, args=(done[-1],))


def forget(but: Evaluation) -> None:
    st.session_state["evaluated"] = [but.key]


def begin() -> None:
    """Whoever presses the button again after a cancelled comparison wants it."""
    st.session_state.pop(CANCELLED, None)


heading("Evaluate")
st.markdown("How realistic are a generator's images? Each score is next to the score of real images.")
model = choose_model()
if model:
    samples = st.select_slider(
        "Images to draw",
        COUNTS,
        SAMPLES,
        key="samples",
        bind="query-params",
        help="More images give more certain scores. With few images, distances are larger for real images too.",
    )
    pressed = st.button("Evaluate", type="primary", icon=":material/balance:", on_click=begin)
    try:
        key = (model.id, stamp(model), samples)
        done = evaluations().get(key) or (judge_it(model, key) if pressed else None)
    except (CheckpointError, OSError) as error:
        st.error(f"This generator cannot be used: {plain(explain(error))}", icon=":material/error:")
        done = None
    if done:
        st.session_state["evaluated"] = [*(e.key for e in kept() if e.key != key), key][-MOST:]
        figures(done)
        histogram(done)
    elif not pressed:
        st.caption("Press Evaluate. It takes a few seconds, or a minute for a new data set.")
    if len(kept()) > 1:
        side_by_side(kept())
    if kept():
        downloads(kept())
    with st.container(horizontal=True):
        address = {"from": model.run or model.id}
        st.page_link(EXPLORE, label="Explore this generator", icon=":material/explore:", query_params=address)
        st.page_link(DATA, label="Its data set", icon=":material/photo_library:", query_params={"set": model.config.data})
    if model.run and manager().get(model.run).at_work:
        st.caption("This run is still training: reload the page for its newest generator.")
