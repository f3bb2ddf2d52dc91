"""The figure of the lesson "Do DCGAN's rules hold?": experiments to predict and start, and their two runs side by side."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from gan.course.experiments import BASELINE, EXPERIMENTS, Experiment, Guess, Pair, result
from gan.course.own_runs import OwnRun, own_run, own_runs
from gan.course.rules import RULES
from gan.doctor.rules import rule
from gan.glossary import explain
from gan.judging.judgements import Judgement
from gan.networks.generator_file import CheckpointError
from gan.recipes import DEFAULT
from gan.runs.run import Run
from gan.runs.states import AT_REST, AT_WORK, RunState
from ui.charts import COLORS, changed, distance_chart
from ui.comparison import curve, grid_remarks, look_at
from ui.components.compare_view import compare_view
from ui.components.visitor import visitor
from ui.form_words import refusal
from ui.learn.run_line import begin, run_line
from ui.page_files import COMPARE
from ui.text import plain
from ui.workshop import checkups, course_progress, manager

CHOSEN, GUESSED, FAULT = "experiment", "experiment_guess_", "experiment_fault"  # in the session
REFRESH_S, QUEUE_S = 3.0, 10.0  # while one of the runs trains, or only waits
GUESSES = {Guess.BETTER: "Better", Guess.SAME: "About the same", Guess.WORSE: "Worse"}
RESULTS = {
    Guess.BETTER: "the change made the images better",
    Guess.SAME: "the change made no difference beyond the error",
    Guess.WORSE: "the change made the images worse",
}


def experiments(page: str) -> Mapping[str, Any]:
    """Draws the figure. It reports nothing: the app records what meets the goals. page: the page's url_path."""
    answers = course_progress().answers(visitor().id, RULES.id)
    runs = own_runs(manager().runs(), visitor().id, checkups())
    done = {name for name, experiment in EXPERIMENTS.items() if name in answers and experiment.is_done(runs)}
    chosen = st.pills(
        "Experiments",
        list(EXPERIMENTS),
        default=next(iter(EXPERIMENTS)),
        format_func=lambda name: f"{':material/check: ' if name in done else ''}{EXPERIMENTS[name].title}",
        key=CHOSEN,
        required=True,
    )
    experiment = EXPERIMENTS[chosen or next(iter(EXPERIMENTS))]
    with st.container(border=True, key="experiment_card"):
        _claim(experiment)
        pair = _find(experiment, runs)
        _start(experiment, pair, answers.get(experiment.id))
        if fault := st.session_state.pop(FAULT, ""):
            st.error(plain(fault), icon=":material/error:")
        if any(pair):
            pace = _pace([run.state for run in pair if run is not None])
            names = tuple(run.id if run else None for run in pair)
            show = partial(_runs, experiment, names, answers.get(experiment.id), pace, page)
            st.fragment(show, run_every=pace)()
    return {}


def _find(experiment: Experiment, runs: Sequence[OwnRun]) -> Pair:
    return experiment.find(runs, lambda config: manager().shorten(config, visitor()))


def _is_missing(run: OwnRun | None) -> bool:
    """Whether a run has to be started: there is none, or it ended early."""
    return run is None or (run.state in AT_REST and run.state is not RunState.FINISHED)


def _claim(experiment: Experiment) -> None:
    st.markdown(f"**{experiment.title}**")
    st.markdown(f"{experiment.claim} [{experiment.source.title}]({experiment.source.address})")
    baseline, changes = experiment.configs()
    differ = [changed(name, old, getattr(changes, name)) for name, old in baseline if getattr(changes, name) != old]
    st.caption(f"Baseline: the recipe {DEFAULT}. Changed: {'; '.join(differ)}.")


def _start(experiment: Experiment, pair: Pair, predicted: str | None) -> None:
    """The prediction, and the button that starts what has not been started."""
    missing = [_is_missing(run) for run in pair]
    if not any(missing) and predicted is not None:
        return
    key = f"{GUESSED}{experiment.id}"
    if predicted is None:
        st.segmented_control("With the change, the images get", list(Guess), format_func=GUESSES.__getitem__, key=key)
    label = {2: "Start both runs", 1: "Start the other run", 0: "See the result"}[sum(missing)]
    is_open = predicted is None and st.session_state.get(key) is None
    unable = not visitor().known or is_open
    note = "Predict first. " if is_open else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            label, type="primary", icon=":material/science:", disabled=unable, on_click=start, args=(experiment.id,), key="experiment_start"
        )
        st.caption(f"{note}{_cost(missing)}")


def _cost(missing: list[bool]) -> str:
    if not any(missing):
        return "You have both runs already."
    time = (
        "They train for about 40 seconds each on an idle server, one at a time."
        if all(missing)
        else "It trains for about 40 seconds on an idle server."
    )
    again = "" if all(missing) or missing[0] else " You have the baseline already."
    return f"{time}{again}"


def start(name: str) -> None:
    """Records the prediction and starts the runs that the visitor does not have."""
    experiment, who = EXPERIMENTS[name], visitor()
    guess = st.session_state.get(f"{GUESSED}{name}")
    pair = _find(experiment, own_runs(manager().runs(), who.id, checkups()))
    try:
        for run, config, called in zip(pair, experiment.configs(), (BASELINE, experiment.name), strict=True):
            if _is_missing(run):
                begin(config, called, who)
        if guess in set(Guess):
            course_progress().answer(who.id, RULES.id, name, str(guess))
    except (ValueError, OSError) as error:
        st.session_state[FAULT] = refusal(error)


def _runs(experiment: Experiment, ids: tuple[str | None, ...], predicted: str | None, pace: float | None, page: str) -> None:
    """Both runs so far: their states, their images and distances, and the result once they have ended."""
    found: list[Run] = []
    for run_id in ids:
        try:
            found += [manager().get(run_id)] if run_id else []
        except KeyError:
            st.rerun()  # deleted meanwhile
    if _pace([run.state for run in found]) != pace:
        st.rerun()  # at another pace; and the mission above may be met now
    names = {run_id: name for run_id, name in zip(ids, (BASELINE, experiment.name), strict=True) if run_id}
    _states(found, names)
    if predicted in set(Guess):
        st.caption(f"Your prediction: {GUESSES[Guess(predicted)].lower()}.")
    if len(found) == 2 and predicted is not None and not any(run.state in AT_WORK for run in found):
        _result(found, predicted)
    begun = [run for run in found if run.sample_steps]
    if begun and (predicted is not None or len(found) == 1):
        try:
            compared = [look_at(run, names[run.id]) for run in begun]
        except CheckpointError:
            st.error("A run of this experiment cannot be read.", icon=":material/error:")
            return
        drawn = distance_chart([curve(run, names) for run in compared])
        compare_view(compared, drawn, "step", None, lambda at: None, grid_remarks(compared), page)
    if len(found) == 2:
        st.page_link(
            COMPARE, label="Compare all their curves", icon=":material/compare:", query_params={"runs": ",".join(r.id for r in found)}
        )


def _pace(states: list[RunState]) -> float | None:
    """Seconds between two looks at runs in these states; None if nothing changes."""
    working = set(states) & AT_WORK
    return None if not working else QUEUE_S if working == {RunState.QUEUED} else REFRESH_S


def _states(found: list[Run], names: dict[str, str]) -> None:
    with st.container(horizontal=True, gap="medium"):
        for i, run in enumerate(found):
            st.markdown(f':color[⬤]{{foreground="{COLORS[i]}"}} {names[run.id]}: {run_line(run)}', width="content")
    for run in found:
        if reason := run.status().reason:
            st.caption(plain(reason))


def _result(found: list[Run], predicted: str) -> None:
    """What was measured, next to the prediction."""
    pair = [own_run(run, checkups()) for run in found]
    if any(run.state is not RunState.FINISHED for run in pair):
        st.warning("Only runs that reached their end can be compared. Start the other one again.", icon=":material/pause_circle:")
        return
    last = [run.scores[-1] if run.scores else None for run in pair]
    outcome = result(*last)
    if outcome is None:
        st.info("These runs have no scores, so judge their images yourself.", icon=":material/visibility:")
        return
    right = (
        "You predicted that."
        if predicted == outcome
        else f"You predicted: {GUESSES[Guess(predicted)].lower()}."
        if predicted in set(Guess)
        else ""
    )
    show, icon = (st.success, ":material/check_circle:") if predicted == outcome else (st.info, ":material/lightbulb:")
    show(f"Measured: {RESULTS[outcome]}. {right}", icon=icon)
    rows = {"FD at the end": [_distance(score) for score in last], "The doctor": [_findings(run) for run in pair]}
    columns = ("Baseline", "With the change")
    st.table({column: {title: texts[i] for title, texts in rows.items()} for i, column in enumerate(columns)})
    floor = next((score.fd_floor for score in last if score and score.fd_floor is not None), None)
    if floor is not None:
        st.caption(f"For comparison: 500 real images get an FD of {floor:.2g}.", help=explain("FD"))


def _distance(score: Judgement | None) -> str:
    return "–" if score is None or score.fd is None else f"{score.fd:.3g} ± {score.fd_error or 0:.2g}"


def _findings(run: OwnRun) -> str:
    names = [rule(key).name for key in sorted(run.checked.findings)]
    return "; ".join(names) if names else "Nothing wrong"
