"""Several evaluations side by side, and as files."""

import json

import streamlit as st

from gan.judging.evaluation import Evaluation, as_csv, as_object
from ui.evaluate.evaluations import forget
from ui.evaluate.scores import short
from ui.text import plain


def side_by_side(done: list[Evaluation]) -> None:
    """Several generators' scores, one column each."""
    st.subheader("Side by side")
    same = len({(e.report.data, e.report.features, e.report.images) for e in done}) == 1
    if not same:
        st.caption("Data set, features, or image count differ, so distances cannot be compared. Brackets: real images.")
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
    """Downloads of the scores, and a button to clear them."""
    rows = [{"generator": e.name, **as_object(e.report, e.config, e.step)} for e in done]
    icon = ":material/download:"
    with st.container(horizontal=True):
        st.download_button("JSON", json.dumps(rows, indent=1), "evaluation.json", "application/json", icon=icon, on_click="ignore")
        st.download_button("CSV", as_csv(rows), "evaluation.csv", "text/csv", icon=icon, on_click="ignore")
        if len(done) > 1:
            st.button("Clear the table", icon=":material/clear_all:", on_click=forget, args=(done[-1],))
