"""The experiments of "Do DCGAN's rules hold?": legal settings that differ in what is claimed, fair comparisons, and the mission."""

from typing import Any

import pytest

from gan.config import TrainConfig
from gan.course.experiments import BASELINE, EXPERIMENTS, Guess, result
from gan.course.lesson import Evidence
from gan.course.own_runs import OwnRun
from gan.course.rules import RULES, Aim
from gan.events import Intervention
from gan.judging.judgements import Judgement
from gan.owners import LONGEST_NAME, clean_name
from gan.recipes import recipe
from gan.runs.states import RunState

ONE, OTHER = EXPERIMENTS["batch-norm"], EXPERIMENTS["mirrored"]


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_the_runs_differ_in_nothing_but_the_change(experiment: Any) -> None:
    baseline, changed = experiment.configs()
    differ = {name for name, value in baseline if getattr(changed, name) != value}
    assert differ == set(experiment.changes) and differ
    assert baseline == recipe("quick-digits").config.change(**experiment.baseline)
    assert changed.seed == baseline.seed


def test_experiments_are_named_and_sourced() -> None:
    names = [experiment.name for experiment in EXPERIMENTS.values()]
    assert len({*names, BASELINE}) == len(names) + 1
    for experiment in EXPERIMENTS.values():
        assert clean_name(experiment.name) == experiment.name and len(experiment.name) <= LONGEST_NAME
        assert experiment.source.address.startswith("https://") and experiment.claim.endswith(".")


def run(config: TrainConfig, state: RunState = RunState.FINISHED, **more: Any) -> OwnRun:
    return OwnRun(f"run-{state}", config, state, int(config.duration), **more)


def both(experiment: Any, **more: Any) -> list[OwnRun]:
    return [run(config, **more) for config in experiment.configs()]


def test_its_runs_are_found_by_their_settings_finished_ones_first() -> None:
    baseline, changed = ONE.configs()
    waiting, done, stopped = (run(baseline, state) for state in (RunState.QUEUED, RunState.FINISHED, RunState.STOPPED))
    assert ONE.find([]) == (None, None)
    assert ONE.find([stopped, waiting]) == (waiting, None) and ONE.find([waiting, done]) == (done, None)
    assert ONE.find([run(baseline.change(log_every=5)), run(changed)])[0] is not None, "measured more often"
    assert ONE.find(both(OTHER))[1] is None, "the same baseline, another change"
    short = lambda config: config.change(duration=300)  # noqa: E731
    assert ONE.find([done], short) == (None, None) and ONE.find([run(short(baseline))], short)[0] is not None


@pytest.mark.parametrize("more", [{"changes": (Intervention(5, "lr_d", 1e-3, 2e-3),)}, {"parent": "another-run"}])
def test_a_run_that_was_touched_or_forked_is_none_of_them(more: dict[str, Any]) -> None:
    assert ONE.find(both(ONE, **more)) == (None, None) and not ONE.is_done(both(ONE, **more))


def test_both_runs_must_have_reached_the_same_end() -> None:
    baseline, changed = ONE.configs()
    assert ONE.is_done(both(ONE)) and not ONE.is_done([run(baseline)])
    assert not ONE.is_done([run(baseline), run(changed, RunState.STOPPED)])
    assert not ONE.is_done([run(baseline), run(changed.change(duration=300))])
    assert ONE.is_done([run(baseline), run(baseline.change(duration=300)), run(changed.change(duration=300))])


def score(fd: float | None, error: float | None = 1.0) -> Judgement:
    return Judgement({"step": 1000, "fd": fd, "fd_error": error})


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (score(10.0), score(20.0), Guess.WORSE),
        (score(20.0), score(10.0), Guess.BETTER),
        (score(10.0), score(12.8), Guess.SAME),  # 2 standard errors of the difference are 2.83
        (score(10.0), score(12.9), Guess.WORSE),
        (score(10.0, None), score(10.0, None), Guess.SAME),
        (score(None), score(10.0), None),
        (None, score(10.0), None),
        (score(10.0), None, None),
    ],
)
def test_a_result_must_be_clearer_than_its_error(before: Any, after: Any, expected: Guess | None) -> None:
    assert result(before, after) == expected


def test_the_mission_counts_experiments_that_were_predicted_and_finished() -> None:
    def met(answers: dict[str, str], *runs: OwnRun) -> set[str]:
        return set(RULES.newly_met(Evidence(answers=answers, find_runs=lambda: runs)))

    assert met({}, *both(ONE), *both(OTHER)) == set() == met({"<b>": "same"}, *both(ONE))
    assert met({"batch-norm": "worse"}) == {Aim.PREDICTED}
    assert met({"batch-norm": "worse"}, *both(OTHER)) == {Aim.PREDICTED}
    assert met({"batch-norm": "worse"}, *both(ONE)) == {Aim.PREDICTED, Aim.ONE}
    assert met({"batch-norm": "worse", "mirrored": "same"}, *both(ONE), *both(OTHER)) == {Aim.PREDICTED, Aim.ONE, Aim.ANOTHER}
