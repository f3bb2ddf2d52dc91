"""This visitor's evaluations: made with a progress bar, remembered for the session."""

from collections.abc import Generator

import streamlit as st

from gan.events import Progress
from gan.explore.models import Model
from gan.judging.evaluation import Evaluation, evaluate, in_turn
from gan.judging.judge import Judge, Report
from gan.runs.run import explain
from ui.judging import CANCELED, judge_for
from ui.progress import drain
from ui.text import plain
from ui.workshop import evaluations, models

COUNTS = (500, 1000, 2000, 5000, 10_000)
MOST = 4  # evaluations side by side


def kept() -> list[Evaluation]:
    """This visitor's evaluations, newest last."""
    remembered = [evaluations().get(key) for key in st.session_state.setdefault("evaluated", [])]
    return [evaluation for evaluation in remembered if evaluation]


def judge_it(model: Model, key: tuple[str, int, int]) -> Evaluation | None:
    """Evaluates a generator with a progress bar and a Cancel button; None with the reason on the page. key: see Evaluation."""
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


def forget(but: Evaluation) -> None:
    st.session_state["evaluated"] = [but.key]


def begin() -> None:
    """Allows a canceled evaluation again."""
    st.session_state.pop(CANCELED, None)
