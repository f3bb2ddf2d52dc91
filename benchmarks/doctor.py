"""Is the doctor right? Runs that are broken on purpose, and healthy ones: what it finds, how soon, and whether its first remedy helps.

    python -m benchmarks.doctor [--only NAME ...] [--seeds 1] [--first-seed 0] [--threads N] [--keep DIR] [--again DIR]

Broken runs train for 600 steps after the damage; the doctor looks every 50 steps, as it would on the page. If it has one of the
fitting findings, its first remedy is applied to the run at that point, and both runs continue for 400 steps: the remedy has helped if
the Fréchet distance of 2,000 images is then lower. A remedy that is a new run has only those 400 steps. Healthy runs are watched
in the same way from their first step: any finding there (except informational ones) is a false alarm.

--keep saves all measured rows; --again checks saved rows again without training, after a rule was changed.
All of it takes half an hour or more on two cores; --only runs a part.
"""

import argparse
import contextlib
import copy
import functools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gan import latent
from gan import progress as terminal
from gan.config import TrainConfig
from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.data.form import Form
from gan.doctor.diagnosis import Finding, diagnose, examine
from gan.doctor.remedies import Remedy
from gan.doctor.rules import FIGURES, RULES
from gan.events import Intervention, Metrics
from gan.judging.judge import Judge, JudgeCache
from gan.networks.sampling import sample
from gan.recipes import recipe
from gan.runs.watch import Preparation, Watch
from gan.training import step as step_module
from gan.training.execution import choose_execution
from gan.training.loop import Control, layer_norms, train
from gan.training.state import Diverged, TrainState, new_state

LOOK_EVERY, NORMS_EVERY, JUDGE_EVERY = 50, 50, 150  # steps
COMPARED = 2000  # images, at the end
WITHIN = 600  # steps from the damage in which it must be found
AFTER = 400  # steps that the run continues with the remedy, and without it
HEALTHY_UNTIL = 400  # steps of a healthy run before it is damaged
DEVICE = torch.device("cpu")
THREADS: int | None = None  # all cores
Rows = dict[str, list[Any]]


# What to train.

QUICK = recipe("quick-digits").config.change(duration_unit="steps", duration=1, grid_every=1_000_000, snapshot_every=1_000_000)
NO_NORM = QUICK.change(generator_norm="none", discriminator_norm="none")
HINGE = QUICK.change(loss="hinge")
CRITIC = QUICK.change(discriminator_norm="none", lr_g=2e-4, lr_d=2e-4)


@dataclass(frozen=True)
class Healthy:
    """A run without anything to find."""

    name: str
    config: TrainConfig
    steps: int


def _of(name: str, **changes: Any) -> TrainConfig:
    return recipe(name).config.change(duration_unit="steps", duration=1, grid_every=1_000_000, snapshot_every=1_000_000, **changes)


HEALTHY = (
    Healthy("quick-digits, longer", QUICK, 2400),
    *(Healthy(f"quick-digits, seed {seed}", QUICK.change(seed=seed), 1000) for seed in range(1, 5)),
    *(Healthy(f"lecture, seed {seed}", _of("lecture", seed=seed), 1300) for seed in range(2)),
    *(Healthy(f"pyimagesearch, seed {seed}", _of("pyimagesearch", seed=seed), 1400) for seed in range(2)),
    *(Healthy(f"quick-digits on Fashion-MNIST, seed {seed}", QUICK.change(data="fashion-mnist", seed=seed), 900) for seed in range(2)),
    Healthy("lecture on Fashion-MNIST", _of("lecture", data="fashion-mnist", seed=2), 1300),
    Healthy("smoothed labels, dropout, noise", QUICK.change(real_label=0.9, dropout=0.3, instance_noise=0.1, seed=5), 900),
    Healthy("conditional", QUICK.change(conditional=True, seed=6), 900),
    Healthy("packing of 2", QUICK.change(packing=2, seed=7), 900),
    Healthy("hinge", HINGE.change(seed=8), 900),
    Healthy("hinge, spectral norm", HINGE.change(spectral_norm=True, discriminator_norm="none", lr_d=2e-4, lr_g=2e-4, seed=9), 1200),
    Healthy("relativistic, R1 and R2", CRITIC.change(loss="relativistic", r1=1.0, r2=1.0, seed=10), 1200),
    Healthy(
        "wgan-gp at 28 pixels",
        CRITIC.change(loss="wasserstein", gradient_penalty=10, d_steps=3, beta1_g=0, beta1_d=0, beta2=0.9, seed=11),
        1000,
    ),
    Healthy("faces at 32 pixels", QUICK.change(data="faces", image_size=32, channels=3, lr_g=2e-4, lr_d=2e-4, seed=12), 1000),
)


def _two_classes(dataset: ImageDataset) -> ImageDataset:
    assert dataset.labels is not None
    rows = torch.nonzero(dataset.labels < 2)[:, 0]
    return replace(dataset, images=dataset.images[rows], labels=dataset.labels[rows])


def _few(dataset: ImageDataset) -> ImageDataset:
    rows = np.linspace(0, len(dataset) - 1, 200).round().astype(int)
    return replace(dataset, images=dataset.images[rows], labels=None if dataset.labels is None else dataset.labels[rows])


@torch.no_grad()
def _average_without_ramp(state: TrainState) -> None:
    """The usual way: a fixed decay from the first step on, given by the half-life."""
    half_life = state.config.average_half_life
    decay = 0.5 ** (state.config.batch_size / half_life) if half_life else 0.0
    get_ema_multi_avg_fn(decay)(*state._averaged_tensors, 0)


@dataclass(frozen=True)
class Broken:
    """A run with something wrong.

    Attributes:
        expected: findings that fit; others do not count.
        config: its settings at the start; trouble in them is there from the first step.
        changes: live settings to change at step HEALTHY_UNTIL.
        data: changes its data set.
        averaging: replaces the engine's averaging.
        after: steps that the run continues after the finding.
    """

    name: str
    expected: tuple[str, ...]
    config: TrainConfig = QUICK
    changes: dict[str, Any] = field(default_factory=dict)
    data: Callable[[ImageDataset], ImageDataset] | None = None
    averaging: Callable[[TrainState], None] | None = None
    after: int = AFTER

    @property
    def damaged_at(self) -> int:
        return HEALTHY_UNTIL if self.changes else 0


UNSTABLE = ("d-winning", "g-winning", "collapse", "classes-missing", "divergence", "exploding", "oscillation", "vanishing", "nan")
BROKEN = (
    Broken("D's rate x 20", UNSTABLE, changes={"lr_d": 0.04}),
    Broken("G's rate x 20", UNSTABLE, changes={"lr_g": 0.04}),  # these networks take it, and nothing is found
    Broken("no batch normalization, rates of 0.02", UNSTABLE, NO_NORM.change(lr_g=0.02, lr_d=0.02)),
    Broken("2 latent dimensions", ("tiny-latent", "low-variety", "collapse", "classes-missing", "d-winning"), QUICK.change(latent_dim=2)),
    Broken("two classes in the sampler", ("classes-missing", "d-overfitting"), data=_two_classes),
    Broken("200 images", ("d-overfitting", "memorization"), data=_few, after=1200),  # memorizing does its harm late
    Broken("dropout 0.9", ("g-winning", "divergence"), changes={"dropout": 0.9}),
    Broken("half of the labels flipped", ("g-winning", "divergence"), changes={"label_flips": 0.5}),
    # 0.9999 a step, from the first step on
    Broken("averaging at 0.9999 without a ramp", ("averaging",), QUICK.change(average_half_life=443_600), averaging=_average_without_ramp),
    Broken("generator frozen", ("d-winning",), changes={"frozen": "generator"}),
)


# How it is measured.


@functools.cache
def _judges() -> JudgeCache:
    return JudgeCache()


def _judge(config: TrainConfig) -> Judge:
    return terminal.drain(_judges().get(config.data, *Form.of(config)))


@functools.cache
def _dataset(name: str, image_size: int, channels: int, split: str) -> ImageDataset:
    return terminal.drain(datasets.load(name, image_size, channels, split))


class Patient:
    """A run in memory, with the rows that its folder would hold."""

    def __init__(self, config: TrainConfig, dataset: ImageDataset, state: TrainState | None = None, rows: Rows | None = None) -> None:
        self.dataset, self.judge = dataset, _judge(config)
        ready = Preparation()
        ready.judge = self.judge
        self.watch = Watch(ready)
        names = dataset.class_names if config.conditional else ()
        self.state = state or new_state(
            config, DEVICE, class_names=names, execution=choose_execution(config, DEVICE, THREADS), threads=THREADS
        )
        self.rows: Rows = rows or {"metrics": [], "norms": [], "judged": [], "interventions": []}
        self.error = ""
        self.kept: dict[int, dict[str, Any]] = {}

    def go(self, until: int, changes: dict[str, Any] | None = None, look: Callable[["Patient"], bool] | None = None) -> None:
        """Trains up to a step; every LOOK_EVERY steps, `look` can end it."""
        state, control = self.state, Control()
        for name, value in (changes or {}).items():
            control.change(name, value)
        state.config = state.config.change(duration=until, duration_unit="steps")
        try:
            for event in train(state, self.dataset, control):
                if isinstance(event, Intervention):
                    self.rows["interventions"].append(event)
                if not isinstance(event, Metrics):
                    continue
                self.rows["metrics"].append(asdict(event))
                if event.step % NORMS_EVERY == 0:
                    self.rows["norms"].append({"step": event.step, **layer_norms(state)})
                if event.step % JUDGE_EVERY == 0:
                    judged = self.watch.look(state, self.dataset)
                    if judged is not None:  # images of NaN weights cannot be scored
                        self.rows["judged"].append(judged)
                if event.step % LOOK_EVERY == 0:
                    self.kept[event.step] = copy.deepcopy(state.state_dict())
                    if look and look(self):
                        return
        except Diverged as error:
            self.error = str(error)
            if look:
                look(self)

    def findings(self) -> list[Finding]:
        return _findings(self.state.config, self.rows, None, self.error)

    def distance(self) -> float:
        """The current Fréchet distance, of many images; infinite if the weights are NaN."""
        if self.error:
            return float("inf")
        config = self.state.config
        z = latent.from_seeds(range(100_000, 100_000 + COMPARED), config.latent_dim, config.latent_distribution)
        return self.judge.distance(sample(self.state.averaged, z))

    def treated(self, remedy: Remedy) -> "Patient":
        """Another run with the remedy, as the app would make it; it has not continued yet."""
        rows = {name: list(values) for name, values in self.rows.items()}
        if remedy.kind == "new":
            return Patient(self.state.config.change(**remedy.changes), self.dataset)
        wanted = remedy.step if remedy.kind == "fork" and remedy.step is not None else self.state.step
        step = min(self.kept, key=lambda at: abs(at - wanted))
        stored = copy.deepcopy(self.kept[step])
        config = self.state.config.change(**remedy.changes)
        stored["config"] = config.model_dump()
        state = new_state(config, DEVICE, execution=self.state.execution)
        state.load_state_dict(stored)
        rows = {name: [row for row in values if _step(row) <= step] for name, values in rows.items()}
        return Patient(config, self.dataset, state, rows)


def _step(row: Any) -> int:
    step: int = row.step if isinstance(row, Intervention) else row["step"]
    return step


def _findings(config: TrainConfig, rows: Rows, until: int | None, error: str = "") -> list[Finding]:
    part = {name: [row for row in found if until is None or _step(row) <= until] for name, found in rows.items()}
    return [
        finding
        for finding in diagnose(config, part["metrics"], part["norms"], part["judged"], part["interventions"], error)
        if finding.severity != "information"
    ]


@contextlib.contextmanager
def _averaging(how: Callable[[TrainState], None] | None) -> Iterator[None]:
    """Replaces the engine's averaging of weights."""
    usual = step_module._average
    step_module._average = how or usual  # type: ignore[assignment]  # a function of the same shape, under another name
    try:
        yield
    finally:
        step_module._average = usual


# What is reported.


@dataclass
class Outcome:
    """The result of a broken run."""

    name: str
    finding: str = ""
    after: int | None = None  # steps from the damage
    also: list[str] = field(default_factory=list)
    early: list[str] = field(default_factory=list)  # before the damage
    remedy: str = ""
    untreated: float = float("nan")
    treated: float = float("nan")

    def __str__(self) -> str:
        found = f"{self.finding}, after {self.after} steps" if self.after is not None else "missed"
        if self.early:
            found += f" (before the damage: {', '.join(self.early)})"
        helped = (
            ""
            if np.isnan(self.treated)
            else f"{self.untreated:.1f} → {self.treated:.1f}, {'better' if self.treated < self.untreated else 'no better'}"
        )
        return f"| {self.name} | {found} | {self.remedy or '–'} | {helped or '–'} |"


def break_one(kind: Broken, seed: int, keep: Path | None, treat: bool = True) -> Outcome:
    """Trains a broken run, then continues it with the doctor's first remedy and without."""
    outcome = Outcome(kind.name if not seed else f"{kind.name}, seed {seed}")
    config = kind.config.change(seed=100 + seed)
    dataset = _dataset(config.data, config.image_size, config.channels, config.data_split)
    dataset = kind.data(dataset) if kind.data else dataset
    first: list[tuple[int, Finding]] = []

    def look(patient: Patient) -> bool:
        found = patient.findings()
        if patient.state.step <= kind.damaged_at:
            outcome.early += [finding.key for finding in found if finding.key not in outcome.early]
        elif not first:
            # What began earlier was not caused by the damage.
            first.extend((patient.state.step, f) for f in found if f.key in kind.expected and f.began >= kind.damaged_at)
            outcome.also = [finding.key for finding in found]
        return False

    with _averaging(kind.averaging):
        patient = _beginning(config, look) if kind.damaged_at else Patient(config, dataset)
        patient.go(kind.damaged_at + WITHIN, kind.changes, look)
        if first:
            step, finding = first[0]
            outcome.finding, outcome.after = finding.key, step - kind.damaged_at
        if first and treat:
            remedy = finding.remedies[0]
            outcome.remedy = f"{remedy.kind}: {', '.join(f'{name} → {value}' for name, value in remedy.changes.items())}"
            at_finding = Patient(patient.state.config, dataset)
            at_finding.kept = {at: stored for at, stored in patient.kept.items() if at <= step}
            at_finding.state.load_state_dict(patient.kept[step])
            treated = at_finding.treated(remedy)
            if step + kind.after > patient.state.step:
                patient.go(step + kind.after)
            untreated = Patient(patient.state.config, dataset)
            untreated.error = patient.error
            untreated.state.load_state_dict(patient.kept[max(at for at in patient.kept if at <= step + kind.after)])
            outcome.untreated = untreated.distance()
            treated.go(treated.state.step + kind.after)
            outcome.treated = treated.distance()
    if keep:
        _write(keep / f"broken-{kind.name}-{seed}.json", kind.name, patient, kind.damaged_at)
    return outcome


_BEGINNINGS: dict[str, Patient] = {}


def _beginning(config: TrainConfig, look: Callable[[Patient], bool]) -> Patient:
    """A healthy run of HEALTHY_UNTIL steps: trained once, and copied for all runs that are damaged there."""
    key = config.model_dump_json()
    if key not in _BEGINNINGS:
        healthy = Patient(config, _dataset(config.data, config.image_size, config.channels, config.data_split))
        healthy.go(HEALTHY_UNTIL)
        _BEGINNINGS[key] = healthy
    known = _BEGINNINGS[key]
    copied = known.treated(Remedy("live", {}, ""))
    copied.kept = dict(known.kept)
    look(copied)
    return copied


def _write(path: Path, name: str, patient: Patient, damaged_at: int | None) -> None:
    rows = {**patient.rows, "interventions": [asdict(change) for change in patient.rows["interventions"]]}
    norms = [{"step": row["step"], "gradients": row["gradients"]} for row in rows["norms"]]
    about = {"name": name, "config": patient.state.config.model_dump(), "damaged_at": damaged_at, "error": patient.error}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**about, **rows, "norms": norms}), encoding="utf-8")


def _watch(config: TrainConfig, rows: Rows, steps: int, error: str = "") -> list[tuple[int, Finding]]:
    """The findings in saved rows, each once, with the step of the look that found it."""
    known: dict[str, tuple[int, Finding]] = {}
    for step in range(LOOK_EVERY, steps + 1, LOOK_EVERY):
        for finding in _findings(config, rows, step, error if step + LOOK_EVERY > steps else ""):
            known.setdefault(finding.key, (step, finding))
    return list(known.values())


def _closest(config: TrainConfig, rows: Rows) -> dict[tuple[str, str], float]:
    """How close a run came to each condition: the worst value that lasted for as many measurements as the rule asks for."""
    case = examine(config, rows["metrics"], rows["norms"], rows["judged"], rows["interventions"])
    found = {}
    for rule in RULES:
        if not case.applies(rule) or rule.severity == "information":
            continue
        for condition in rule.conditions:
            times = case.times[FIGURES[condition.figure].base]
            values = case.values[condition.figure][times >= rule.after * case.pace]
            span = (
                rule.rows
                if not rule.steps
                else max(rule.rows, int((np.diff(times[times >= rule.after * case.pace]).cumsum() <= rule.steps).sum()))
            )
            windows = np.lib.stride_tricks.sliding_window_view(values, span) if len(values) >= span else np.zeros((0, span))
            windows = windows[~np.isnan(windows).all(1)]
            if len(windows):
                lasting = np.nanmin(windows, 1).max() if condition.sign == ">" else np.nanmax(windows, 1).min()
                found[rule.key, condition.figure] = float(lasting)
    return found


def report(broken: list[Outcome], healthy: list[tuple[str, int, list[tuple[int, Finding]], dict[tuple[str, str], float]]]) -> None:
    """Prints both tables."""
    if broken:
        print("\n| broken on purpose | found | first remedy | FD without → with it |\n|---|---|---|---|")
        for outcome in broken:
            print(outcome)
        found = sum(outcome.after is not None and outcome.after <= WITHIN for outcome in broken)
        helped = sum(outcome.treated < outcome.untreated for outcome in broken)
        print(f"\n{found} of {len(broken)} found within {WITHIN} steps of the damage; the first remedy helped in {helped}.")
    if healthy:
        print("\n| healthy | steps | false alarms |\n|---|---|---|")
        for name, steps, alarms, _ in healthy:
            print(f"| {name} | {steps} | {', '.join(f'{f.key} at step {step}' for step, f in alarms) or 'none'} |")
        print(f"\n{sum(bool(found) for _, _, found, _ in healthy)} of {len(healthy)} healthy runs with a false alarm.")
        print("\n| rule | condition | closest that healthy runs came |\n|---|---|---|")
        for rule in RULES:
            for condition in rule.conditions:
                near = [
                    (closest[rule.key, condition.figure], name) for name, *_, closest in healthy if (rule.key, condition.figure) in closest
                ]
                if near:
                    value, name = (max if condition.sign == ">" else min)(near)
                    print(f"| {rule.key} | {condition} | {value:.3g} ({name}) |")


def again(folder: Path) -> None:
    """The doctor's view of saved rows."""
    healthy = []
    for path in sorted(folder.glob("*.json")):
        stored = json.loads(path.read_text(encoding="utf-8"))
        config = TrainConfig(**stored["config"])
        rows: Rows = {name: stored[name] for name in ("metrics", "norms", "judged")}
        rows["interventions"] = [Intervention(**change) for change in stored["interventions"]]
        steps = rows["metrics"][-1]["step"]
        found = _watch(config, rows, steps, stored["error"])
        if stored["damaged_at"] is None:
            healthy.append((stored["name"], steps, found, _closest(config, rows)))
        else:
            kind = next(kind for kind in BROKEN if kind.name == stored["name"])
            said = ", ".join(
                f"{'' if f.key in kind.expected else '('}{f.key} +{step - kind.damaged_at}{'' if f.key in kind.expected else ')'}"
                for step, f in found
            )
            fits = [f for _, f in found if f.key in kind.expected]
            remedy = f"; first {fits[0].remedies[0].kind} {fits[0].remedies[0].changes}" if fits else ""
            print(f"{kind.name}: {said or 'missed'}{remedy}")
    report([], healthy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", help="a part of a run's name, or 'broken' or 'healthy'; may be repeated")
    parser.add_argument("--seeds", type=int, default=1, help="of each broken kind")
    parser.add_argument(
        "--first-seed", type=int, default=0, help="of these seeds: others for choosing a limit than for claiming that it works"
    )
    parser.add_argument("--no-remedies", action="store_true", help="only look")
    parser.add_argument("--threads", type=int, help="of the processor; all cores by default. One where others work on the machine, too")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write the rows there")
    parser.add_argument("--rules", action="store_true", help="print the table of rules, and nothing else")
    parser.add_argument("--again", type=Path, metavar="DIR", help="look at rows that were kept")
    options = parser.parse_args()
    global THREADS
    THREADS = options.threads
    if options.rules:
        print("| finding | severity | found where | source |\n|---|---|---|---|")
        for rule in RULES:
            print(f"| {rule.name} (`{rule.key}`) | {rule.severity} | {rule} | {rule.source} |")
        return
    if options.again:
        again(options.again)
        return

    def wanted(kind: str, name: str) -> bool:
        return not options.only or any(only == kind or only in name for only in options.only)

    began = time.monotonic()
    broken, healthy = [], []
    for kind in BROKEN:
        for seed in range(options.first_seed, options.first_seed + options.seeds) if wanted("broken", kind.name) else ():
            broken.append(break_one(kind, seed, options.keep, not options.no_remedies))
            print(f"[{time.monotonic() - began:4.0f} s] {broken[-1]} {broken[-1].also}", flush=True)
    for well in HEALTHY:
        if wanted("healthy", well.name):
            config = well.config
            patient = Patient(config, _dataset(config.data, config.image_size, config.channels, config.data_split))
            patient.go(well.steps)
            found = _watch(config, patient.rows, well.steps, patient.error)
            healthy.append((well.name, well.steps, found, _closest(config, patient.rows)))
            said = [f"{finding.key} at step {step}" for step, finding in found]
            print(
                f"[{time.monotonic() - began:4.0f} s] {well.name}: {said or 'none'}, FD {patient.rows['judged'][-1]['fd']:.1f}", flush=True
            )
            if options.keep:
                _write(options.keep / f"healthy-{well.name}.json", well.name, patient, None)
    report(broken, healthy)
    print(f"\n{(time.monotonic() - began) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
