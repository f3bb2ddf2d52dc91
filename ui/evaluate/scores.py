"""One evaluation: a verdict, three main scores, and the other scores and classes folded, each next to real images."""

import streamlit as st

from gan import glossary
from gan.judging.evaluation import Evaluation, direction, unseen, with_spread
from gan.judging.judge import Figure
from gan.judging.verdict import ENOUGH, MAIN, verdict
from ui.charts import shares_chart
from ui.text import plain


def scores(done: Evaluation) -> None:
    """The verdict, the three main scores, and the others in an expander."""
    report = done.report
    conclusion = verdict(report)
    sign = ":green[:material/check_circle:]" if conclusion.good else ":orange[:material/info:]"
    st.markdown(f"{sign} **{plain(conclusion.text)}**")
    if report.images < ENOUGH:
        st.warning(
            f"With {report.images:,} images, scores mean little: precision and density can look perfect by chance. {plain(_reason(done))}",
            icon=":material/warning:",
        )
    with st.grid("auto", min_column_width=200):
        for key in MAIN:
            _card(report[key])
    real = "new real images" if unseen(report, done.config) else "held-out real images"
    st.caption(
        f"**{plain(done.name)}**, step {done.step:,}. {report.images:,} images, compared with {report.real:,} {real} of **{plain(report.data)}**. "
        f"Features: **{plain(report.features)}**."
    )
    with st.expander(f"{len(report.figures) - len(MAIN)} more scores"):
        with st.grid("auto", min_column_width=155):
            for figure in report.figures:
                if figure.key not in MAIN:
                    _card(figure)
        st.caption(
            "± is the standard error over parts of the images. For KID: the standard deviation over subsets.",
            help=glossary.explain("standard error"),
        )


def _reason(done: Evaluation) -> str:
    """Why so few images were compared, and what to do."""
    if done.key[2] > done.report.images:
        return f"The data set {done.report.data} has no more real images to compare with."
    return f"Draw at least {ENOUGH:,}."


def _card(figure: Figure) -> None:
    """One score, next to the score of real images."""
    with st.container(border=True):
        st.metric(plain(figure.name), short(figure.value, None), help=plain(f"{meaning(figure)} {way(figure)}"))
        error = f"± {short(figure.spread, None)}  \n" if figure.spread is not None else ""
        st.caption(f"{error}Real images: {short(figure.floor, figure.floor_spread)}", help=glossary.explain("floor"))


def meaning(figure: Figure) -> str:
    """What a score measures, in the glossary's words if it has the term."""
    term = glossary.TERMS.get(figure.name.split(" (")[0]) or glossary.TERMS.get(figure.key)
    return term.text if term else figure.help


def way(figure: Figure) -> str:
    """Whether lower or higher is better, as a sentence."""
    return f"{direction(figure)[0].upper()}{direction(figure)[1:]}."


def short(value: float, spread: float | None) -> str:
    """A score with a sensible number of digits."""
    return with_spread(value, spread, 1 if abs(value) >= 100 else 2 if abs(value) >= 10 else 3)


def classes(done: Evaluation) -> None:
    """How often each class is generated, next to its share of the real images."""
    shares = done.report.shares
    if shares is None:
        return
    rare = f": {len(shares.missing)} missing or rare" if shares.missing else ""
    with st.expander(f"Classes{rare}"):
        if shares.missing:
            names = ", ".join(plain(name) for name in shares.missing)
            st.markdown(f"Missing or rare: {names}. Each appears less than a tenth as often as in real images.")
        elif done.report.images >= ENOUGH:
            st.markdown("No class is missing or rare (below a tenth of its share of real images).")
        drawn = shares_chart(shares.names, {"Generated images": shares.images, "Real images": shares.real})
        st.plotly_chart(drawn.figure, key="shares", alt=drawn.text, config={"displaylogo": False})
        st.caption(f"Classes as seen by the network {plain(done.report.features)}.")
