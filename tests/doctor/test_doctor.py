"""Every rule of the doctor on handmade rows just beyond its limits and just short of them, and its remedies."""

import itertools
import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from gan.config import TrainConfig
from gan.doctor.checkup import Checkup, Checkups
from gan.doctor.diagnosis import Finding, diagnose, examine, total_norm
from gan.doctor.remedies import ADVICE, REGARDLESS, Remedy, Situation, remedies
from gan.doctor.rules import FIGURES, RULES, SEVERITIES, Condition, Rule, rule
from gan.events import Intervention, Metrics
from gan.recipes import RECIPES
from gan.runs.folder import RunFolder
from gan.runs.run import Run
from tests.test_command_line import gan  # noqa: F401
from tests.test_documentation import ROOT

LAST = 4500
HEALTHY = {"d_real": 0.65, "d_fake": 0.35, "loss_d": 1.1, "loss_g": 1.2, "d_fake_after": 0.34}


def metrics(until: int = LAST, every: int = 10, first: int = 1, **columns: Any) -> list[dict[str, float | None]]:
    """Rows of metrics.jsonl; a column is a number, or a function of the step."""
    told = HEALTHY | columns
    return [
        {"step": step, "images_seen": 64 * step} | {name: value(step) if callable(value) else value for name, value in told.items()}
        for step in range(first - 1 + every, until + 1, every)
    ]


def norms(
    until: int = LAST, every: int = 50, g: float | Callable[[int], float] = 1.0, d: float | Callable[[int], float] = 1.0
) -> list[dict[str, int | dict[str, dict[str, float | None]]]]:
    """Rows of norms.jsonl."""

    def of(value: float | Callable[[int], float], step: int) -> dict[str, float | None]:
        return {"a": 0.6 * (value(step) if callable(value) else value), "b": 0.8 * (value(step) if callable(value) else value), "c": None}

    return [
        {"step": step, "weights": {}, "gradients": {"generator": of(g, step), "discriminator": of(d, step)}}
        for step in range(every, until + 1, every)
    ]


def judged(until: int = LAST, every: int = 150, **columns: Any) -> list[dict[str, Any]]:
    """Rows of judge.jsonl, by default of a run that gets better and better."""
    told = {
        "images": 500,
        "fd": lambda step: 60 / (1 + step / 300),
        "fd_error": 0.5,
        "fd_floor": 1.5,
        "coverage": 0.8,
        "coverage_floor": 0.96,
        "diversity": 10.5,
        "diversity_real": 11.0,
        "raw_diversity": 10.5,
        "shares": [0.1] * 10,
        "missing": [],
        "copying": 0.45,
        "d_train": 0.8,
        "d_held_out": 0.7,
        "d_fake": -0.8,
        "d_accuracy": 0.7,
    } | columns
    return [
        {"step": step} | {name: value(step) if callable(value) else value for name, value in told.items()}
        for step in range(every, until + 1, every)
    ]


def _fd(values: dict[str, float]) -> dict[str, Any]:
    """FD by step: 20 until it gets better by `gain`, and then worse now and then."""
    good = 20 * (1 - values["gain"])
    bad = good * values["worse"]
    return {"fd": lambda step: 20 if step <= 2400 else good if step % 300 else bad}


def _turns(changes: int) -> dict[str, Any]:
    """Class shares whose largest class changes this many times in any six scorings."""
    tops = [0]
    for i in range(LAST // 150):
        tops.append(tops[-1] + (i % 6 < math.ceil(changes)))
    return {"shares": lambda step: [0.5 if i == tops[step // 150 - 1] % 10 else 0.05 for i in range(10)]}


# The rows that give a figure its value: metrics, norms and scorings. v: its value; all: the values of all figures.
IN_METRICS = {
    "lost": lambda v, all: {"loss_g": None if v > 0 else 1.0},
    "lead": lambda v, all: {"d_real": 0.5 + v / 2, "d_fake": 0.5 - v / 2},
    "gap": lambda v, all: {"d_real": 0.5 + v / 2, "d_fake": 0.5 - v / 2},
}
IN_NORMS = {
    "gradient": lambda v, all: {"g": lambda step: v if step > 600 else v / all["gradient_growth"]},
    "g_gradient_share": lambda v, all: {"g": lambda step: v if step > 600 else 1.0},
}
IN_JUDGEMENTS = {
    "gain": lambda v, all: _fd(all),
    "variety": lambda v, all: {"diversity": 11 * v},
    "raw_variety": lambda v, all: {"raw_diversity": 11 * v},
    "averaging": lambda v, all: {"raw_diversity": 11 * all["variety"] * v},
    "coverage_share": lambda v, all: {"coverage": 0.96 * v},
    "fd_share": lambda v, all: {"fd": 1.5 * v},
    "stall": lambda v, all: {"fd": lambda step: 20 * v ** (math.log(step) / math.log(1.25))},  # as much in each fifth
    "missing": lambda v, all: {"missing": ["7"] if v > 0.5 else []},
    "missing_share": lambda v, all: {"shares": [0.01] * 100, "missing": [str(i) for i in range(round(100 * v))]},
    "overfit": lambda v, all: {"d_held_out": 0.8 - 1.6 * v},
    "copying": lambda v, all: {"copying": v},
    "turns": lambda v, all: _turns(v),
    "worse_errors": lambda v, all: {
        "fd": lambda step: 10 if step == 150 else 10 * all["worse"],
        "fd_error": 10 * (all["worse"] - 1) / v / math.sqrt(2),
    },
}


def rows_with(
    values: dict[str, float],
) -> tuple[list[dict[str, float | None]], list[dict[str, int | dict[str, dict[str, Any]]]], list[dict[str, float | list[float | str]]]]:
    """Rows in which the named figures have the given values; all others are those of a healthy run."""
    m: dict[str, Any] = {}
    n: dict[str, Any] = {}
    j: dict[str, Any] = {}
    for figure, value in values.items():
        for columns, figures in ((m, IN_METRICS), (n, IN_NORMS), (j, IN_JUDGEMENTS)):
            if figure in figures:
                columns |= figures[figure](value, values)
    return metrics(**m), norms(**n), judged(3600 if "gain" in values else LAST, 30 if "stall" in values else 150, **j)


def just(condition: Condition, wrong: bool) -> float:
    """A value of its figure a little beyond the limit, or a little short of it."""
    step = {"missing": 1, "turns": 1, "lost": 1}.get(condition.figure, max(abs(condition.limit), 0.05) * 0.03)
    if condition.figure in ("missing", "turns"):
        return math.ceil(condition.limit) if wrong else math.floor(condition.limit)
    if condition.figure == "latent":
        return 9 if wrong else 10
    if condition.figure == "missing_share":
        step = 0.02
    return condition.limit + step * (1 if (condition.sign == ">") == wrong else -1)


def config_with(values: dict[str, float]) -> TrainConfig:
    return TrainConfig(latent_dim=values.get("latent", 64))


def keys(found: list[Finding]) -> set[str]:
    return {finding.key for finding in found}


OTHERWISE = {"latent", "worse", "gradient_growth"}  # the first is a setting; the rows of "gain" and "gradient" give the others a value


def test_every_rule_has_figures_advice_and_rows() -> None:
    """Without one of them, the tests below end in a KeyError that names no place."""
    for which in RULES:
        figures = {condition.figure for condition in which.conditions}
        unknown, without_rows = figures - FIGURES.keys(), figures - {*IN_METRICS, *IN_NORMS, *IN_JUDGEMENTS} - OTHERWISE
        assert not unknown, f"add {unknown} to FIGURES in gan/doctor/rules.py"
        assert which.key in ADVICE, f"add {which.key} to ADVICE in gan/doctor/remedies.py"
        assert not without_rows, f"say in IN_METRICS, IN_NORMS or IN_JUDGEMENTS in this file which rows give {without_rows} a value"


@pytest.mark.parametrize("which", RULES, ids=lambda r: r.key)
def test_a_rule_speaks_just_beyond_its_limits_and_not_short_of_any(which: Rule) -> None:
    wrong = {condition.figure: just(condition, True) for condition in which.conditions}
    found = diagnose(config_with(wrong), *rows_with(wrong))
    (finding,) = [finding for finding in found if finding.key == which.key]
    assert 0 < finding.began <= finding.found <= LAST
    for evidence in finding.evidence:
        assert evidence.text == FIGURES[evidence.figure].text and evidence.shown and evidence.limit.split()[0] in ("above", "below")
    assert finding.why and finding.source and finding.severity in SEVERITIES
    for condition in which.conditions:
        if which.key == "exploding" and condition.figure == "gradient":
            continue  # see below: the two figures depend on each other
        short = wrong | {condition.figure: just(condition, False)}
        assert which.key not in keys(diagnose(config_with(short), *rows_with(short))), condition


def test_a_large_gradient_that_has_always_been_large_and_a_grown_one_that_is_small_are_no_explosion() -> None:
    assert "exploding" in keys(diagnose(TrainConfig(), norms=norms(d=lambda step: 200 if step > 600 else 5)))
    assert not diagnose(TrainConfig(), norms=norms(d=4000))
    assert not diagnose(TrainConfig(), norms=norms(d=lambda step: 90 if step > 600 else 1))


def test_a_healthy_run_is_left_alone_at_every_length() -> None:
    m, n, j = metrics(2500), norms(2500), judged(2500)
    for until in range(0, 2501, 130):
        sources: list[list[Any]] = [m, n, j]
        until_now = [[row for row in rows if row["step"] <= until] for rows in sources]
        assert diagnose(TrainConfig(), until_now[0], until_now[1], until_now[2]) == []
    assert diagnose(TrainConfig(), m) == diagnose(TrainConfig(), norms=n) == diagnose(TrainConfig(), judged=j) == []


def test_every_run_begins_with_a_discriminator_that_wins_and_bad_images() -> None:
    early = metrics(700, d_real=lambda step: 0.99 if step < 320 else 0.7, d_fake=lambda step: 0.01 if step < 320 else 0.3)
    bad = judged(700, diversity=lambda step: 1 if step < 300 else 10, coverage=lambda step: 0 if step < 300 else 0.5)
    for until in range(0, 701, 10):
        assert not diagnose(TrainConfig(), [r for r in early if r["step"] <= until], [], [r for r in bad if r["step"] <= until])


def test_a_slow_run_has_a_longer_beginning() -> None:
    rows = metrics(2000, d_real=lambda step: 0.995 if step < 600 else 0.7, d_fake=lambda step: 0.005 if step < 600 else 0.3)
    for rate, found in ((5e-4, True), (2e-4, False), (1e-2, True)):
        config = TrainConfig(lr_g=rate, lr_d=max(rate, 5e-4))
        assert any(diagnose(config, [row for row in rows if row["step"] <= until]) for until in range(0, 800, 25)) is found
    # What counts is how it began: a rate that was turned down since has not made the beginning longer.
    assert examine(TrainConfig(lr_g=1e-5), rows, interventions=[Intervention(900, "lr_g", 5e-4, 1e-5)]).pace == 1
    assert examine(TrainConfig(lr_g=1e-7, lr_d=1e-7), rows).pace == 4
    # Waiting for a network that can never follow changes nothing.
    assert examine(TrainConfig(lr_g=1e-7, lr_d=2e-3), rows).pace == examine(TrainConfig(lr_g=2e-3, lr_d=1e-7), rows).pace == 1
    assert examine(TrainConfig(lr_g=1e-4, lr_d=1e-3), rows).pace == 4


def test_what_is_wrong_from_the_start_began_at_the_start() -> None:
    (finding,) = diagnose(TrainConfig(), metrics(700, d_real=0.99, d_fake=0.01))
    assert (finding.key, finding.began) == ("d-winning", 10) and finding.found == rule("d-winning").after + rule("d-winning").steps


def test_a_finding_does_not_flicker_and_ends_when_it_is_well() -> None:
    def lead(step: int) -> float:
        between = 0.91 if step % 100 < 50 else 0.99  # on both sides of the limit, never on the healthy side of the release
        return 0.99 if step < 800 else between if step < 1600 else 0.5

    rows = metrics(2400, d_real=lambda step: 0.5 + lead(step) / 2, d_fake=lambda step: 0.5 - lead(step) / 2)
    seen = [bool(diagnose(TrainConfig(), [row for row in rows if row["step"] <= until])) for until in range(0, 2401, 25)]
    changes = sum(a != b for a, b in itertools.pairwise(seen))
    assert changes == 2 and seen[1500 // 25] and not seen[-1]
    once = metrics(2400, d_real=lambda step: 0.5 if step == 1000 else 0.99, d_fake=lambda step: 0.5 if step == 1000 else 0.01)
    assert [f.began for f in diagnose(TrainConfig(), once)] == [10]


def test_what_is_not_known_neither_begins_a_finding_nor_ends_it() -> None:
    blind: dict[str, Any] = {"diversity": 2.0, "raw_diversity": 2.0}
    holes = judged(1500, **blind)
    for row in holes[4:8]:
        row["diversity"] = row["raw_diversity"] = None
    assert "collapse" in keys(diagnose(TrainConfig(), judged=holes))
    assert diagnose(TrainConfig(), judged=[{"step": 150 * i} for i in range(30)]) == []
    assert "collapse" in keys(diagnose(TrainConfig(), judged=judged(1500, diversity=2.0, raw_diversity=None)))


def test_damaged_rows_are_taken_for_what_they_are() -> None:
    rng = random.Random(0)
    odd = [None, "x", True, float("nan"), float("inf"), [], {}, -1e300, 1e300, 0]
    rows = [*metrics(900), *judged(900), *norms(900)]
    spoilt = [{name: rng.choice(odd) if rng.random() < 0.3 else value for name, value in row.items()} for row in rows]
    rng.shuffle(spoilt)
    for finding in diagnose(TrainConfig(), spoilt, spoilt, spoilt):
        json.dumps(finding.began)
    assert diagnose(TrainConfig(), [7, None, "row"], [{}], [[]]) == []  # type: ignore[list-item]
    assert examine(TrainConfig()).step == 0 and math.isnan(examine(TrainConfig()).last("lead"))


@pytest.mark.parametrize("loss", ["hinge", "wasserstein", "relativistic"])
def test_scores_without_bounds_have_no_anchor(loss: str) -> None:
    config = TrainConfig(loss=loss, discriminator_norm="none", gradient_penalty=10.0)
    for real, fake in ((40.0, -40.0), (0.001, 0.0), (0.99, 0.01)):
        assert not diagnose(config, metrics(d_real=real, d_fake=fake, loss_d=-80.0, loss_g=40.0), norms(), judged())


def test_smoothed_and_flipped_labels_move_what_d_can_reach() -> None:
    rows = metrics(1500, d_real=0.895, d_fake=0.105)
    assert "d-winning" in keys(diagnose(TrainConfig(real_label=0.9, fake_label=0.1), rows))
    assert not diagnose(TrainConfig(), rows)
    flipped = metrics(1500, d_real=0.795, d_fake=0.205)
    assert "d-winning" in keys(diagnose(TrainConfig(label_flips=0.2), flipped))
    # Flipped from step 1,000 on alone: before, 0.59 apart was nothing to speak of.
    case = examine(TrainConfig(label_flips=0.2), flipped, interventions=[Intervention(1000, "label_flips", 0.0, 0.2)])
    times = case.times["metrics"]
    assert case.values["lead"][times <= 1000] == pytest.approx(0.59) and case.values["lead"][times > 1000] == pytest.approx(0.59 / 0.6)


def test_rows_may_be_as_seldom_or_as_many_as_they_like() -> None:
    for every in (1, 7, 50, 400):
        found = diagnose(TrainConfig(log_every=every), metrics(4000, every=every, d_real=0.99, d_fake=0.01))
        assert keys(found) == {"d-winning"}, every
    long = [{"step": 500 * i, **HEALTHY} for i in range(1, 20_001)]
    assert len(examine(TrainConfig(), long).times["metrics"]) <= 4001


@pytest.mark.parametrize("what", ["a value that is infinite or not a number (NaN)", "something that is no longer a number"])
def test_a_run_that_failed_for_its_numbers_says_so(what: str) -> None:
    error = f"Training diverged: the generator computed {what}, at step 731. What was kept is unharmed."
    (finding,) = diagnose(TrainConfig(lr_g=0.05), metrics(730), error=error)
    assert finding.key == "nan" and finding.remedies[0].changes == {"lr_g": 2e-4}
    assert not diagnose(TrainConfig(), metrics(730), error="The disk is full.")


def test_alarms_come_first() -> None:
    found = diagnose(TrainConfig(), metrics(d_real=0.99, d_fake=0.01), [], judged(missing=["3"], diversity=2.0, raw_diversity=2.0))
    assert [f.key for f in found] == ["d-winning", "collapse", "class-missing"]


# Remedies.


def extreme_configs() -> Iterator[TrainConfig]:
    yield from (recipe.config for recipe in RECIPES.values())
    yield TrainConfig(loss="hinge", spectral_norm=True, discriminator_norm="none", packing=4)
    yield TrainConfig(loss="relativistic", discriminator_norm="none", r1=1.0, r2=1.0)
    yield TrainConfig(frozen="generator", label_flips=0.5, dropout=0.9, instance_noise=1.0, lr_g=0.1, lr_d=0.1, latent_dim=2)
    yield TrainConfig(frozen="discriminator", lr_g=1e-7, lr_d=1e-7, d_steps=10, g_steps=10, real_label=0.6, fake_label=0.5)
    yield TrainConfig(generator_norm="none", discriminator_norm="none", lr_d=0.01, average_half_life=0, batch_size=3)
    yield TrainConfig(average_half_life=10_000_000, minibatch_std=True, diffaugment="translation, cutout", feature_matching=True)


@pytest.mark.parametrize("config", list(extreme_configs()), ids=lambda c: f"{c.loss}-{c.data}-{c.lr_d}")
def test_every_remedy_is_legal_changes_something_and_can_be_done(config: TrainConfig) -> None:
    for which in RULES:
        for began, changes in (
            (50, []),
            (3000, [Intervention(2900, "lr_d", 1e-4, config.lr_d), Intervention(2950, "dropout", 0.1, config.dropout)]),
        ):
            given = remedies(which.key, Situation(config, changes, began, 3500, 800, 64 * 3500, True))
            for remedy in given:
                other = config.change(**remedy.changes)
                assert remedy.changes and all(getattr(config, name) != value for name, value in remedy.changes.items()) and other != config
                assert remedy.why.endswith(".")
                if remedy.kind == "live":
                    assert set(remedy.changes) <= set(TrainConfig.live_fields())
                if remedy.kind == "fork":
                    assert not set(remedy.changes) & set(TrainConfig.fixed_fields()) and remedy.step is not None
            assert len({(r.kind, str(r.changes)) for r in given}) == len(given)


@pytest.mark.parametrize("which", [r for r in RULES if r.key not in REGARDLESS], ids=lambda r: r.key)
@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_a_frozen_network_leaves_one_remedy(which: Rule, network: Literal["generator", "discriminator"]) -> None:
    (only,) = remedies(which.key, Situation(TrainConfig(frozen=network), [], 500, 900, 300, 64 * 900))
    assert only.changes == {"frozen": "none"}
    undone = remedies(which.key, Situation(TrainConfig(frozen=network), [Intervention(450, "frozen", "none", network)], 500, 900))
    assert all(remedy.changes == {"frozen": "none"} for remedy in undone)


@pytest.mark.parametrize("key", [r.key for r in RULES if r.key not in REGARDLESS])
@pytest.mark.parametrize("rates", [{"lr_d": 1e-7}, {"lr_g": 1e-7}])
def test_a_network_that_hardly_learns_gets_a_rate_and_nothing_that_needs_it_to_learn(key: str, rates: dict[str, float]) -> None:
    given = remedies(key, Situation(TrainConfig(**rates), [], 500, 900, 300, 64 * 900))
    assert given and all(set(remedy.changes) <= {"lr_d", "lr_g"} for remedy in given)
    assert all(remedy.changes[name] >= 1e-4 for remedy in given for name in rates)


@pytest.mark.parametrize("which", RULES, ids=lambda r: r.key)
def test_every_rule_has_something_to_try(which: Rule) -> None:
    assert remedies(which.key, Situation(TrainConfig(), [], 500, 900, 300, 64 * 900))


def test_a_fork_that_undoes_a_change_continues_from_before_it_if_it_can() -> None:
    undoing = Remedy("fork", {"lr_d": 2e-3}, "From before.", 193, True)
    assert undoing.state_of([128, 190, 200, 448]) == 190 and undoing.why_from([128, 190, 448]) == "From before."
    assert undoing.state_of([448, 512]) == 448 and "no saved state from before" in undoing.why_from([448, 512])
    assert undoing.state_of([]) is None and undoing.why_from([]) == "From before."
    nearest = Remedy("fork", {"lr_d": 2e-3}, "The best one.", 193)
    assert nearest.state_of([128, 200]) == 200 and nearest.why_from([448]) == "The best one."
    assert Remedy("fork", {}, "The newest.").state_of([4, 8]) == 8


def test_what_was_changed_shortly_before_goes_back_first() -> None:
    changes = [
        Intervention(300, "lr_d", 5e-4, 1e-3),
        Intervention(900, "lr_d", 1e-3, 5e-3),
        Intervention(950, "lr_d", 5e-3, 0.01),
        Intervention(960, "g_steps", 1, 3),
        Intervention(970, "g_steps", 3, 1),  # is back as it was
        Intervention(1300, "dropout", 0.0, 0.1),  # came later
    ]
    config = TrainConfig(lr_d=0.01, dropout=0.1)
    given = remedies("d-winning", Situation(config, changes, 1000, 1300))
    assert (given[0].kind, given[0].changes, given[0].step) == ("fork", {"lr_d": 5e-4}, 300)
    assert (given[1].kind, given[1].changes) == ("live", {"lr_d": 5e-4})
    dropped = remedies("g-winning", Situation(TrainConfig(dropout=0.9), [Intervention(900, "dropout", 0.0, 0.9)], 910, 1300))
    assert [(r.kind, r.changes) for r in dropped[:2]] == [("live", {"dropout": 0.0}), ("fork", {"dropout": 0.0})]
    # A harmless change after a drastic one is not the first suspect.
    both = [Intervention(193, "lr_d", 2e-3, 2e-7), Intervention(257, "label_flips", 0.0, 0.04)]
    blamed = remedies("g-winning", Situation(TrainConfig(lr_d=2e-7, label_flips=0.04), both, 300, 448))
    assert [(r.kind, r.changes) for r in blamed[:2]] == [("fork", {"lr_d": 2e-3}), ("live", {"lr_d": 2e-3})]
    late = remedies("d-winning", Situation(config, changes[:1], 3000, 3300))
    assert all("put it back" not in remedy.why for remedy in late)


@pytest.mark.parametrize(
    ("key", "config", "began", "kind", "changes"),
    [
        ("d-winning", {"frozen": "generator"}, 3000, "live", {"frozen": "none"}),
        ("g-winning", {"frozen": "discriminator"}, 3000, "live", {"frozen": "none"}),
        ("g-winning", {"label_flips": 0.5}, 300, "live", {"label_flips": 0.0}),
        ("g-winning", {"dropout": 0.9}, 300, "live", {"dropout": 0.2}),
        ("g-winning", {"g_steps": 4}, 10, "live", {"g_steps": 1}),
        ("g-winning", {"real_label": 0.6, "fake_label": 0.5}, 300, "live", {"real_label": 0.9, "fake_label": 0.0}),
        ("d-winning", {"d_steps": 5, "g_steps": 2}, 300, "live", {"d_steps": 2}),
        ("d-winning", {"lr_d": 0.01}, 100, "new", {"lr_d": 2e-4}),
        ("d-winning", {"lr_d": 0.01}, 5000, "live", {"lr_d": 2e-4}),
        ("collapse", {"latent_dim": 2}, 300, "new", {"latent_dim": 64}),
        ("low-variety", {"latent_dim": 2}, 300, "new", {"latent_dim": 64}),
        ("collapse", {"generator_norm": "none"}, 300, "new", {"generator_norm": "batch"}),
        ("collapse", {}, 5000, "fork", {"lr_g": 1e-3, "lr_d": 1e-3}),
        ("d-overfitting", {}, 500, "fork", {"diffaugment": "translation, cutout"}),
        ("d-overfitting", {"channels": 3}, 500, "fork", {"diffaugment": "color, translation, cutout"}),
        ("averaging", {"average_half_life": 443_600}, 300, "fork", {"average_half_life": 1600}),
    ],
)
def test_the_first_remedy_fits_the_settings(
    key: str, config: dict[str, Any], began: int, kind: str, changes: dict[str, str | float]
) -> None:
    first = remedies(key, Situation(TrainConfig(**config), [], began, 6000, None, 64_000))[0]
    assert (first.kind, first.changes) == (kind, changes)


def back_to_the_recipe(key: str, began: int = 300, **settings: Any) -> list[Remedy]:
    """The remedies for a run of quick-digits with these settings that are new runs with the recipe's own values."""
    own = RECIPES["quick-digits"].config
    given = remedies(key, Situation(own.change(**settings), [], began, 6000, None, 64_000, recipe=own))
    return [remedy for remedy in given if remedy.kind == "new" and all(getattr(own, n) == v for n, v in remedy.changes.items())]


def test_a_run_that_went_wrong_early_can_go_back_to_its_recipe() -> None:
    (back,) = back_to_the_recipe("g-winning", generator_filters=4, lr_g=0.01, seed=3, duration=600)
    assert back.changes == {"generator_filters": 32, "lr_g": 2e-3}  # not to a tenth of the recipe's rate, which takes ten times as long
    (back,) = back_to_the_recipe("g-winning", discriminator_filters=4)
    assert back.why == "The recipe trains well with another value of this setting: start again with it."
    for key in ("d-winning", "collapse", "divergence", "oscillation", "exploding", "vanishing", "nan", "classes-missing"):
        assert back_to_the_recipe(key, lr_g=5e-3, lr_d=5e-3)[0].changes == {"lr_g": 2e-3, "lr_d": 2e-3}


def test_no_way_back_to_a_recipe_that_is_unchanged_or_far_away() -> None:
    assert not back_to_the_recipe("g-winning", seed=3)
    assert not back_to_the_recipe("g-winning", began=1200, discriminator_filters=4)
    assert not back_to_the_recipe("g-winning", data="fashion_mnist", discriminator_filters=4)
    assert not back_to_the_recipe("g-winning", discriminator_filters=4, generator_filters=4, beta1_g=0.6, beta1_d=0.6, beta2=0.9)


def test_the_table_in_the_documentation_is_that_of_the_code() -> None:
    table = (ROOT / "docs" / "doctor.md").read_text()
    for which in RULES:
        assert f"| {which.name} (`{which.key}`) | {which.severity} | {which} | {which.source} |" in table
        assert all(f"| {condition.figure} | {FIGURES[condition.figure].text} |" in table for condition in which.conditions)


# At a run's folder.


def write_sick_run(path: Path) -> RunFolder:
    """A run folder in which the discriminator wins."""
    folder = RunFolder(path)
    folder.path.mkdir(parents=True)
    folder.write_config(TrainConfig(), "quick-digits")
    folder.write_status(state="stopped", step=900, images_seen=57_600, elapsed_s=9.0, started=1.0, error=None)
    for step in range(10, 901, 10):
        folder.append_metrics(Metrics(step, 64 * step, step / 100, 6400.0, 0.02, 6.0, 0.99, 0.01, 0.01))
        folder.append_norms(step, {"weights": {}, "gradients": {"generator": {"a": 3.0, "b": 4.0}, "discriminator": {"a": None}}})
    folder.append_intervention(Intervention(5, "lr_d", 5e-4, 0.01))
    folder.flush()
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return write_sick_run(tmp_path / "checkpoints" / "sick")


def test_a_checkup_reads_the_folder_and_remembers(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    checkup = Checkups().of(Run(folder))
    (finding,) = checkup.findings()
    assert finding.key == "d-winning" and not checkup.judged
    assert finding.remedies[0].changes == {"lr_d": 5e-4}  # the run's settings are those of now
    with monkeypatch.context() as patch:
        patch.setattr(Checkup, "_look", lambda self: pytest.fail("looked again at once"))
        assert checkup.fresh and checkup.findings() == [finding] and checkup.version == 1
    checkup._looked = -math.inf
    assert checkup.findings() == [finding] and checkup.version == 1, "nothing else is found"
    monkeypatch.setattr(Checkup, "_look", lambda self: [])
    checkup._looked, checkup._stamp = -math.inf, None
    assert checkup.findings() == [] and checkup.version == 2


def test_a_checkup_knows_the_recipe(tmp_path: Path) -> None:
    folder = write_sick_run(tmp_path / "checkpoints" / "sick")
    folder.write_config(TrainConfig(generator_filters=4), "quick-digits")
    (found,) = Checkup(Run(folder)).findings()
    back = {"generator_filters": 32, "lr_d": 2e-3}  # the rate was changed while it trained
    assert ("new", back) in [(remedy.kind, remedy.changes) for remedy in found.remedies]


def test_norms_are_totals(folder: RunFolder) -> None:
    rows, end = folder.norms_since()
    assert total_norm(rows[0]["gradients"]["generator"]) == 5 and math.isnan(total_norm(rows[0]["gradients"]["discriminator"]))
    assert folder.norms_since(end) == ([], end) and math.isnan(total_norm(None))


def test_the_command_says_what_is_wrong_and_what_to_try(folder: RunFolder, gan: Callable[..., tuple[int, str, str]]) -> None:  # noqa: F811
    status, said, error = gan("doctor", "sick")
    assert status == 0 and not error
    assert said.startswith("ALARM: The discriminator wins, since step 10") and "Try now: lr_d 0.01 -> 0.0005." in said
    status, said, _ = gan("doctor", "sick", "--json")
    (finding,) = [json.loads(line) for line in said.splitlines()]
    assert finding["key"] == "d-winning" and finding["remedies"][0]["kind"] == "fork"
    folder.metrics_file.unlink()
    assert "nothing wrong so far" in gan("doctor", "sick")[1]
    assert gan("doctor", "nowhere")[0] == 2
