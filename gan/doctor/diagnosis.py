"""What is wrong with a run, judging by its own numbers: works through the table of rules and returns findings. Pure: no files, no pages.

    diagnose(config, metrics, norms, judged, interventions) -> findings

A rule is a few conditions that must all hold for some steps and some measurements in a row. A finding ends only after its figures have
been clearly healthy for a while, so it does not flicker. A missing row or number neither starts nor ends a finding.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gan.config import TrainConfig
from gan.doctor.remedies import Remedy, Situation, remedies
from gan.doctor.rules import FIGURES, RULES, SEVERITIES, Rule, Severity
from gan.events import Intervention
from gan.judging.judgements import Judgement, best_of
from gan.judging.verdict import excess
from gan.untrusted import is_number

Row = Mapping[str, Any]

BIN = 25  # steps: single losses are noisy, so rules look at their means over this many
MOST_BINS = 4000  # of a long run; beyond this the bins grow
EARLY = (50, 8)  # a gradient is compared with the median of this many measurements from this step on
LEAST_NORM = 1.0  # a gradient is compared with at least this
TELLING = 0.65  # share of D's answers that must be right before its answers to new images mean anything
TOPS = 6  # scorings in a row in which the most common class may change
USUAL_RATE = 5e-4  # learning rate at which the beginning takes as long as the rules say; at lower rates it takes longer,
SLOWEST = 4.0  # up to this many times
RUNAWAY = 10.0  # between the two rates: the slower network then cannot follow, and waiting for it changes nothing
FOOLED = -0.1  # gap between D's answers below which it prefers generated images
NOT_FINITE = ("infinite or not a number", "no longer a number")  # in a run's error; the second one is from earlier versions
PEAK = 0.25  # of the images: a class with this share stands out


@dataclass(frozen=True)
class Evidence:
    """One figure behind a finding.

    Attributes:
        figure: a key of FIGURES.
        text: its name on screen.
        value: its current value.
        shown: the value as text.
        limit: the rule, such as "above 0.95".
    """

    figure: str
    text: str
    value: float
    shown: str
    limit: str


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a run now.

    Attributes:
        key: the key of its rule.
        name: as shown on screen.
        severity: see Rule.
        began: the step at which its conditions began to hold.
        found: the step at which the rule was met.
        evidence: the current values of the rule's figures.
        why: why it happens.
        source: of the rule.
        remedies: what to try, the most promising first.
        recovering: whether its figures are healthy again at the last measurement. If they stay so, the finding ends.
    """

    key: str
    name: str
    severity: Severity
    began: int
    found: int
    evidence: tuple[Evidence, ...]
    why: str
    source: str
    remedies: tuple[Remedy, ...]
    recovering: bool = False


def diagnose(
    config: TrainConfig,
    metrics: Sequence[Row] = (),
    norms: Sequence[Row] = (),
    judged: Sequence[Row] = (),
    interventions: Sequence[Intervention] = (),
    error: str = "",
) -> list[Finding]:
    """What is wrong with a run at its last row: alarms first, then in the order of RULES.

    Args:
        config: the current settings.
        metrics: rows of metrics.jsonl.
        norms: rows of norms.jsonl.
        judged: rows of judge.jsonl.
        interventions: the changes of live settings so far.
        error: why the run failed, from its status; empty if it did not.

    Rows may be few, incomplete or damaged: what they lack counts as unknown.
    """
    return findings(examine(config, metrics, norms, judged, interventions), error)


def findings(case: "Case", error: str = "", recipe: TrainConfig | None = None) -> list[Finding]:
    """What is wrong with a run whose figures are known; see diagnose(). recipe: the settings of the run's recipe, if known."""
    found = []
    for rule in RULES:
        episode = case.episode(rule)
        if rule.key == "nan" and episode is None and any(words in error for words in NOT_FINITE):
            episode = (case.step, case.step)
        if episode:
            found.append(finding_of(rule, case, *episode, recipe))
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def finding_of(rule: Rule, case: "Case", began: int, seen: int, recipe: TrainConfig | None = None) -> Finding:
    """A rule's finding, with the case's last figures as evidence; see Finding and findings()."""
    evidence = []
    for condition in rule.conditions:
        value = case.last(condition.figure)
        if not math.isnan(value):
            figure = FIGURES[condition.figure]
            limit = (
                f"{'above' if condition.sign == '>' else 'below'} {condition.limit:{figure.format if figure.format.endswith('%') else 'g'}}"
            )
            evidence.append(Evidence(condition.figure, figure.text, value, f"{value:z{figure.format}}".replace("-", "−"), limit))
    situation = Situation(case.config, case.interventions, began, case.step, case.best, case.images_seen, case.classes, recipe)
    name, why = _wording(rule, case)
    advice = remedies(rule.key, situation)
    return Finding(rule.key, name, rule.severity, began, seen, tuple(evidence), why, rule.source, advice, case.recovering(rule))


def _wording(rule: Rule, case: "Case") -> tuple[str, str]:
    """A finding's name and reason. The gap between D's answers closes in three ways, and only one of them is a D that sees no difference."""
    if rule.key == "g-winning" and case.last("gap") < FOOLED:
        name = "The generator fools the discriminator"
        if case.config.frozen == "discriminator":
            return name, (
                "The discriminator finds generated images more real than real ones. It is frozen, so it cannot react, and the generator "
                "drifts to whatever it likes best."
            )
        return name, (
            "The discriminator finds generated images more real than real ones. It learns too slowly to follow the generator, which "
            "drifts to whatever the discriminator likes best."
        )
    if rule.key == "g-winning" and case.config.frozen == "discriminator":
        return rule.name, (
            "The discriminator gives real and generated images the same answer. It is frozen, so it cannot learn the difference, and "
            "the generator learns nothing from it."
        )
    if rule.key == "d-winning" and case.config.frozen == "generator":
        return rule.name, (
            "The discriminator is right about nearly every image, and sure of it. The generator is frozen, so it cannot react, and its "
            "images do not change."
        )
    return rule.name, rule.why


# The figures.


@dataclass(frozen=True)
class Case:
    """A run's figures over time.

    Attributes:
        config: the current settings.
        interventions: the changes of live settings so far.
        times: base -> steps of its measurements, rising.
        begins: base -> steps where each of these measurements began.
        values: figure -> float array like its base's steps; NaN if unknown.
        step: the last known step.
        images_seen: by then; 0 if unknown.
        best: the step of the best images, as the Train page has it; None before the first scores.
        classes: whether the images' classes are known.
        pace: how many times longer than usual this run's beginning takes.
    """

    config: TrainConfig
    interventions: tuple[Intervention, ...]
    times: dict[str, np.ndarray]
    begins: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    step: int
    images_seen: int
    best: int | None
    classes: bool
    pace: float = 1.0

    def last(self, figure: str) -> float:
        """The last known value of a figure; NaN if there is none."""
        values = self.values[figure]
        known = values[~np.isnan(values)]
        return float(known[-1]) if len(known) else math.nan

    def at(self, figure: str, steps: np.ndarray) -> np.ndarray:
        """A figure's values at these steps: at each, the last value measured by then."""
        times, values = self.times[FIGURES[figure].base], self.values[figure]
        places = np.searchsorted(times, steps, side="right") - 1
        return np.where(places >= 0, values[np.maximum(places, 0)], np.nan) if len(values) else np.full(len(steps), np.nan)

    def applies(self, rule: Rule) -> bool:
        """Whether the rule applies to a run with these settings."""
        return (not rule.losses or self.config.loss in rule.losses) and (rule.matching or not self.config.feature_matching)

    def recovering(self, rule: Rule) -> bool:
        """Whether one of the rule's figures is clearly healthy at the last measurement at which all of them are known."""
        steps = self.times[rule.base]
        columns = [self.at(condition.figure, steps) for condition in rule.conditions]
        known = np.flatnonzero(np.isfinite(np.array(columns)).all(axis=0))
        if not len(known):
            return False
        return any(bool(condition.is_over(values)[known[-1]]) for condition, values in zip(rule.conditions, columns, strict=True))

    def suspected(self, rule: Rule) -> tuple[int, int] | None:
        """The step since which the rule's conditions hold, and the step at which they will have held for long enough.

        None unless they hold for half of the measurements that the rule asks for. A measurement at which a figure is unknown is left out,
        as for findings. The second step counts on measurements as often as before.
        """
        if not self.applies(rule):
            return None
        steps = self.times[rule.base]
        columns = [self.at(condition.figure, steps) for condition in rule.conditions]
        holds, known = np.ones(len(steps), bool), np.ones(len(steps), bool)
        for condition, values in zip(rule.conditions, columns, strict=True):
            holds &= condition.holds(values)
            known &= ~np.isnan(values)
        places = np.flatnonzero(known)
        healthy = np.flatnonzero(~holds[places])
        lately = places[healthy[-1] + 1 :] if len(healthy) else places  # since the last healthy measurement
        begun = lately[steps[lately] >= rule.after * self.pace]
        if len(begun) < max(1, rule.rows // 2):
            return None
        began, last = int(self.begins[rule.base][lately[0]]), int(steps[-1])
        apart = math.ceil(np.median(np.diff(steps))) if len(steps) > 1 else last
        due = max(math.ceil(max(began, rule.after * self.pace)) + rule.steps, last + (rule.rows - len(begun)) * apart)
        return began, due

    def episode(self, rule: Rule) -> tuple[int, int] | None:
        """The step since when the rule's conditions hold, and the step at which it was met; None if there is no finding now."""
        if not self.applies(rule):
            return None
        steps, begins = self.times[rule.base], self.begins[rule.base]
        columns = [self.at(condition.figure, steps) for condition in rule.conditions]
        holds, over, known = np.ones(len(steps), bool), np.zeros(len(steps), bool), np.ones(len(steps), bool)
        for condition, values in zip(rule.conditions, columns, strict=True):
            holds &= condition.holds(values)
            over |= condition.is_over(values)
            known &= ~np.isnan(values)
        after = rule.after * self.pace
        began = seen = first = well = -1
        rows = 0
        for i, step in enumerate(steps.tolist()):
            if seen < 0:
                if holds[i]:
                    if first < 0:
                        first, rows = i, 0
                    rows += step >= after
                    if rows >= rule.rows and step - max(int(begins[first]), after) >= rule.steps:
                        began, seen, well, rows = int(begins[first]), step, -1, 0
                elif known[i]:
                    first = -1
            elif over[i]:
                well, rows = (i, 1) if well < 0 else (well, rows + 1)
                if rows >= rule.rows and step - int(begins[well]) >= rule.steps / 2:
                    began = seen = first = -1
            elif known[i]:
                well = -1
        return (began, seen) if seen >= 0 else None


def examine(
    config: TrainConfig,
    metrics: Sequence[Row] = (),
    norms: Sequence[Row] = (),
    judged: Sequence[Row] = (),
    interventions: Sequence[Intervention] = (),
) -> Case:
    """A run's rows -> its figures over time; see diagnose()."""
    metrics, norms, judged = _sound(metrics), _sound(norms), _sound(judged)
    times: dict[str, np.ndarray] = {}
    begins: dict[str, np.ndarray] = {}
    values: dict[str, np.ndarray] = {}
    times["metrics"], begins["metrics"], found = _losses(config, metrics, interventions)
    values |= found
    times["norms"] = begins["norms"] = _steps(norms)
    values |= _gradients(norms)
    times["judged"] = begins["judged"] = _steps(judged)
    found, best = _scorings(judged, config)
    values |= found
    step = max([int(rows[-1]["step"]) for rows in (metrics, norms, judged) if rows], default=0)
    seen = _number(metrics[-1].get("images_seen")) if metrics else math.nan
    classes = any(row.get("shares") for row in judged)
    start = np.zeros(1, np.int64)
    slower, faster = sorted(float(_setting(config, interventions, name, start)[0]) for name in ("lr_g", "lr_d"))
    pace = min(max(USUAL_RATE / (faster if faster > RUNAWAY * slower else slower), 1.0), SLOWEST)
    return Case(config, tuple(interventions), times, begins, values, step, 0 if math.isnan(seen) else int(seen), best, classes, pace)


def _number(value: object) -> float:
    """The number as a float; NaN for anything else."""
    return float(value) if is_number(value) else math.nan


def _sound(rows: Iterable[Row]) -> list[Row]:
    """The rows whose steps are whole numbers in rising order."""
    found: list[Row] = []
    for row in rows:
        step = row.get("step") if isinstance(row, Mapping) else None
        if isinstance(step, int) and not isinstance(step, bool) and step >= 0 and (not found or step > found[-1]["step"]):
            found.append(row)
    return found


def _steps(rows: Sequence[Row]) -> np.ndarray:
    return np.array([row["step"] for row in rows], dtype=np.int64)


def _column(rows: Sequence[Row], name: str) -> np.ndarray:
    return np.array([_number(row.get(name)) for row in rows], dtype=float)


def _setting(config: TrainConfig, interventions: Sequence[Intervention], name: str, steps: np.ndarray) -> np.ndarray:
    """A live setting's values at these steps."""
    values = np.full(len(steps), float(getattr(config, name)))
    for change in reversed(interventions):
        if change.field == name and not math.isnan(_number(change.old)):
            values[steps <= change.step] = change.old  # the steps after change.step are computed with the new value
    return values


def _losses(
    config: TrainConfig, rows: Sequence[Row], interventions: Sequence[Intervention]
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Figures of the metrics as means over bins: the bins' last steps, their first steps, and the figures."""
    names = ("lost", "gap", "lead")
    if not rows:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), {name: np.zeros(0) for name in names}
    steps = _steps(rows)
    columns = {name: _column(rows, name) for name in ("loss_d", "loss_g", "d_real", "d_fake")}
    real, fake, flips = (_setting(config, interventions, name, steps) for name in ("real_label", "fake_label", "label_flips"))
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = (columns["d_real"] - columns["d_fake"]) / (real - fake)
        asked = 1 - 2 * flips
        lead = np.where(asked > 0.1, gap / asked, np.nan)  # with random labels there is no lead
    lost = np.isnan(columns["loss_d"]) | np.isnan(columns["loss_g"])
    series = {"lost": lost.astype(float), "gap": gap, "lead": lead}

    size = BIN * -(-int(steps[-1]) // (BIN * MOST_BINS))
    numbers = (steps - 1) // max(size, BIN)
    starts = np.flatnonzero(np.diff(numbers, prepend=-2))
    ends = np.append(starts[1:], len(steps)) - 1
    binned = {name: _means(values, starts) for name, values in series.items()}
    if steps[-1] != (numbers[-1] + 1) * max(size, BIN) and not lost[-1]:  # an incomplete bin would still change
        starts, ends, binned = starts[:-1], ends[:-1], {name: values[:-1] for name, values in binned.items()}
    return steps[ends], steps[starts], binned


def _means(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Means of the known values from each start to the next."""
    known = ~np.isnan(values)
    count = np.add.reduceat(known.astype(float), starts)
    total = np.add.reduceat(np.where(known, values, 0.0), starts)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def total_norm(norms: object) -> float:
    """The norm of a whole network from the norms of its tensors, {name: norm}; NaN if none is known."""
    found = [number for value in norms.values() if not math.isnan(number := _number(value))] if isinstance(norms, Mapping) else []
    return math.sqrt(sum(number * number for number in found)) if found else math.nan


def _gradients(rows: Sequence[Row]) -> dict[str, np.ndarray]:
    """Figures of the norms."""
    steps = _steps(rows)

    def of(network: str) -> tuple[np.ndarray, np.ndarray]:
        column = []
        for row in rows:
            gradients = row.get("gradients")
            column.append(total_norm(gradients.get(network)) if isinstance(gradients, Mapping) else math.nan)
        values = np.array(column, dtype=float)
        early = values[(steps >= EARLY[0]) & ~np.isnan(values)][: EARLY[1]]
        # At least LEAST_NORM: while the discriminator wins at first, gradients are tiny, and later grow to their usual size.
        usual = max(float(np.median(early)), LEAST_NORM) if len(early) >= EARLY[1] // 2 else math.nan
        return values, values / usual if usual > 0 else np.full(len(values), np.nan)

    (g, g_share), (d, d_share) = of("generator"), of("discriminator")
    return {"gradient": np.fmax(g, d), "gradient_growth": np.fmax(g_share, d_share), "g_gradient_share": g_share}


def _scorings(rows: Sequence[Row], config: TrainConfig) -> tuple[dict[str, np.ndarray], int | None]:
    """Figures of the scored rows, and the step of the best one."""
    columns = {
        name: _column(rows, name)
        for name in (
            *("fd", "fd_error", "fd_floor", "coverage", "coverage_floor", "diversity", "diversity_real", "raw_diversity"),
            *("copying", "d_accuracy", "d_train", "d_held_out", "d_fake"),
        )
    }
    steps, fd = _steps(rows), columns["fd"]
    best = np.fmin.accumulate(fd) if len(fd) else fd
    with np.errstate(divide="ignore", invalid="ignore"):
        worse = fd / best
        place = np.array([int(np.nanargmin(fd[: i + 1])) if not np.isnan(b) else -1 for i, b in enumerate(best)], dtype=int)
        error = np.nan_to_num(columns["fd_error"])
        worse_errors = (fd - best) / np.maximum(np.hypot(error, error[place]) if len(fd) else error, 1e-9)
        variety = columns["diversity"] / columns["diversity_real"]
        raw = columns["raw_diversity"] / columns["diversity_real"]
        # 0 if D answers new real images like its training images, 1 if it answers them like generated ones (StyleGAN2-ADA's r_v).
        apart = columns["d_train"] - columns["d_fake"]
        # If it cannot tell real from generated images either, there is nothing to compare.
        telling = (apart > 0) & ~(columns["d_accuracy"] < TELLING if config.loss in ("bce", "hinge") else np.zeros(len(rows), bool))
        overfit = np.where(telling, (columns["d_train"] - columns["d_held_out"]) / apart, np.nan)
        values = {
            "fd": fd,
            "excess": excess(fd, columns["fd_floor"], columns["diversity_real"]),
            "floor_excess": excess(columns["fd_floor"], np.zeros(len(rows)), columns["diversity_real"]),
            "fd_share": fd / columns["fd_floor"],
            "latent": np.full(len(rows), float(config.latent_dim)),
            "worse": worse,
            "worse_errors": worse_errors,
            "variety": variety,
            "raw_variety": np.where(np.isnan(raw), variety, raw),
            "averaging": columns["raw_diversity"] / columns["diversity"],
            "coverage_share": columns["coverage"] / columns["coverage_floor"],
            "overfit": overfit,
            "copying": columns["copying"],
        }
    missing, shares = [], []
    for row in rows:
        names, found = row.get("missing"), row.get("shares")
        classes = found if isinstance(found, Sequence) and len(found) > 1 else None
        known = classes is not None and isinstance(names, Sequence) and not isinstance(names, str)
        missing.append((len(names), len(names) / len(classes)) if known else (math.nan, math.nan))  # type: ignore[arg-type]
        shares.append(classes)
    counts = np.array(missing, dtype=float).reshape(-1, 2)
    values |= {
        "missing": counts[:, 0],
        "missing_share": counts[:, 1],
        "turns": _turns(shares),
        "gain": _gain(steps, fd),
        "stall": _stall(steps, fd),
    }
    known_best = best_of(map(Judgement.of, rows))
    return {name: np.where(np.isfinite(column), column, np.nan) for name, column in values.items()}, known_best.step if known_best else None


def _turns(shares: Sequence[Sequence[Any] | None]) -> np.ndarray:
    """How often the most common class changed in the last TOPS scorings, if one stood out in each of them; else 0."""
    tops: list[tuple[int, float] | None] = []
    for found in shares:
        numbers = [_number(value) for value in found] if found else []
        known = numbers and not any(math.isnan(number) for number in numbers)
        tops.append(max(enumerate(numbers), key=lambda pair: pair[1]) if known else None)
    turns = np.full(len(tops), np.nan)
    for i in range(TOPS - 1, len(tops)):
        some = [top for top in tops[i + 1 - TOPS : i + 1] if top is not None]
        if len(some) == TOPS:
            stood_out = all(share >= PEAK for _, share in some)
            turns[i] = sum(a[0] != b[0] for a, b in itertools.pairwise(some)) if stood_out else 0
    return turns


def _gain(steps: np.ndarray, fd: np.ndarray) -> np.ndarray:
    """The share by which the best Fréchet distance fell in the last third of the steps; NaN with fewer than 4 scorings in it."""
    gain = np.full(len(fd), np.nan)
    for i in range(len(fd)):
        start = int(np.searchsorted(steps, steps[i] * 2 / 3, side="right"))
        before, since = fd[:start], fd[start : i + 1]
        if np.isfinite(before).sum() >= 4 and np.isfinite(since).sum() >= 4:
            best = float(np.nanmin(before))
            gain[i] = (best - float(np.nanmin(since))) / best if best > 0 else 0.0
    return gain


def _stall(steps: np.ndarray, fd: np.ndarray) -> np.ndarray:
    """The Fréchet distance, divided by the best one of the first four fifths of the steps; NaN before there is one."""
    stall = np.full(len(fd), np.nan)
    for i in range(len(fd)):
        before = fd[: int(np.searchsorted(steps, steps[i] * 4 / 5, side="right"))]
        if np.isfinite(before).any() and (best := float(np.nanmin(before))) > 0:
            stall[i] = fd[i] / best
    return stall
