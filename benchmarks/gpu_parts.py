"""What python -m benchmarks.gpu measures, part by part. Each part is a list of units, and each unit yields rows of the table.

Knows nothing about processes, time limits and tables: benchmarks/gpu.py runs it.
"""

import math
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode

from benchmarks import compare, runs
from benchmarks.textbook import load_mnist
from gan import latent
from gan import progress as terminal
from gan.config import TrainConfig
from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.data.form import Form
from gan.devices import cores
from gan.events import Metrics
from gan.explore.models import PRETRAINED, ModelCache, find_model
from gan.images import to_float
from gan.judging.judge import JudgeCache
from gan.networks import winograd
from gan.networks.sampling import sample
from gan.recipes import RECIPES, recipe
from gan.runs.folder import save_generator
from gan.runs.manager import RunManager
from gan.runs.run import Run
from gan.runs.states import AT_WORK
from gan.training import bench, graphs
from gan.training.feed import Feed
from gan.training.loop import train
from gan.training.state import Execution, TrainState, new_state
from gan.training.step import train_step

FIRST_WITHIN = 1e-4  # before the first update: only the order of additions differs. TF32, with 10 bits, is off by about 1e-3
EPSILON = 1e-3  # epsilon of the compared optimizers: with Adam's default, a rounding error in a gradient near zero decides a whole step
ROUNDING = 2.0**-23  # relative rounding error of a weight in fp32
TIMES_ROUNDING = 10.0  # after updates: as a multiple of the effect of rounding errors in the initial weights on the CPU
GRAPH_WITHIN = 1e-2  # a graph launches the same kernels, but cuDNN may choose others in each recording
ANSWERS = ("loss_d", "loss_g", "d_real", "d_fake", "d_fake_after")
LEFT_MIB = 64.0  # memory that may stay allocated after a run: the allocator's blocks, and a cuBLAS workspace or two
MIB = 2**20


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        part, what: which measurement, of what.
        value: the measured value, in `unit`; None if there is none.
        against: what it is compared with, in the same unit: another speed, or an upper limit.
        verdict: "" for a plain value; "ok" or "off" if there is a limit; "failed"; "left out".
        note: the rest, in words.
    """

    part: str
    what: str
    value: float | None = None
    unit: str = ""
    against: float | None = None
    verdict: str = ""
    note: str = ""


@dataclass(frozen=True)
class Amounts:
    """How much is measured.

    Attributes:
        seconds: of one turn of a loop.
        rounds: turns.
        recipes: how many of a part's recipes; 0 for all.
        filters: of the networks, 0 for the recipe's own.
        batch: of a comparison with the CPU, whose steps are slow.
        steps: of a comparison.
        judged: generated images.
        quality_s: times after which images are scored: quick-digits, then dcgan.
        at_once: how many runs train together.
        knobs: number of changes to the run whose memory is watched.
    """

    seconds: float = 2.0
    rounds: int = 2
    recipes: int = 0
    filters: int = 0
    batch: int = 16
    steps: int = 2
    judged: int = 5000
    quality_s: tuple[tuple[float, ...], tuple[float, ...]] = ((5.0, 15.0), (35.0,))
    at_once: tuple[int, ...] = (1, 2, 4)
    knobs: int = 20


REHEARSAL = Amounts(0.05, 1, 0, 4, 4, 2, 100, ((0.1,), ()), knobs=2)


@dataclass(frozen=True)
class Bench:
    """Where to measure, and how much."""

    device: torch.device
    amounts: Amounts = Amounts()

    def recipes(self, *names: str) -> list[str]:
        return list(names)[: self.amounts.recipes or None]

    def config(self, name: str, **changes: Any) -> TrainConfig:
        """A recipe's settings, without what a run draws and saves."""
        filters = self.amounts.filters
        small = {"generator_filters": filters, "discriminator_filters": filters} if filters else {}
        return recipe(name).config.change(seed=0, grid_every=1_000_000, snapshot_every=1_000_000, **small, **changes)


Unit = tuple[str, Callable[[], Iterator[Row]]]  # what is measured, and how


class Trainer:
    """A run that continues from turn to turn, like train(): what it records or measures at its start is not part of any turn."""

    def __init__(self, config: TrainConfig, device: torch.device, dataset: ImageDataset, execution: Execution | None = None) -> None:
        config = config.change(duration=1_000_000, duration_unit="steps")
        self.state = new_state(config, device, class_names=dataset.class_names, execution=execution)
        self._events = train(self.state, dataset)
        next(self._events)  # the grid before the first step; the graph is recorded by then

    def advance(self, seconds: float) -> float:
        """Trains for this long -> images/s."""
        seen, start = self.state.images_seen, time.perf_counter()
        while time.perf_counter() - start < seconds or self.state.images_seen == seen:
            next(self._events)
        bench.wait(self.state.device)
        return (self.state.images_seen - seen) / (time.perf_counter() - start)

    def train_until(self, seconds: float) -> None:
        """Trains for this many seconds of training."""
        while self.state.elapsed_s < seconds:
            next(self._events)

    def metrics(self) -> Metrics:
        return next(event for event in self._events if isinstance(event, Metrics))


class SameDraws(TorchFunctionMode):
    """Inside, all random numbers are drawn on the CPU and then copied, because each kind of device draws different numbers."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._rng = torch.Generator().manual_seed(seed)

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if kwargs.get("generator") is None:
            return func(*args, **kwargs)
        kwargs = {**kwargs, "generator": self._rng}
        if args and isinstance(args[0], torch.Tensor):  # in place: normal_, uniform_, random_
            drawn = torch.empty(args[0].shape, dtype=args[0].dtype)
            func(drawn, *args[1:], **kwargs)
            return args[0].copy_(drawn)
        device = kwargs.pop("device", None)  # rand, randint
        return func(*args, **kwargs).to(device)


def _fp32(threads: int | None = None) -> Execution:
    return Execution("fp32", True, threads or cores())


def deviation(ours: list[float], theirs: list[float]) -> float:
    """The largest difference, relative to the value, or to 0.1 for values below 0.1, because a mean near zero has few significant digits.

    Infinite if a value is not a number.
    """
    if not all(map(math.isfinite, (*ours, *theirs))):
        return math.inf
    return max(abs(a - b) / max(abs(b), 0.1) for a, b in zip(ours, theirs, strict=True))


def _checked(part: str, what: str, value: float, within: float, unit: str = "relative", note: str = "") -> Row:
    if not math.isfinite(value):
        return Row(part, what, None, unit, within, "off", "a result is NaN or infinite")
    return Row(part, what, value, unit, within, "ok" if value <= within else "off", note)


# Every recipe against the CPU.


def correct(setup: Bench) -> Iterator[Unit]:
    for name in setup.recipes(*RECIPES):
        yield name, partial(_correct, setup, name)


def _correct(setup: Bench, name: str) -> Iterator[Row]:
    """The first steps in fp32, from the same weights, images and draws. The CPU uses torch's own convolutions.

    After updates, rounding errors grow, in some recipes a thousandfold. The growth is measured on the CPU, with rounding errors in the
    initial weights.
    """
    config = setup.config(name, batch_size=setup.amounts.batch, precision="fp32")
    data, cpu = bench.random_images(config), torch.device("cpu")
    with mock.patch.object(winograd, "pays", lambda *_: False):
        measured = _first_steps(setup, config, data, setup.device)
        reference = _first_steps(setup, config, data, cpu)
        disturbed = [_first_steps(setup, config, data, cpu, seed) for seed in (1, 2)]
    known = [
        i for i, answer in enumerate(ANSWERS) if answer in ("loss_d", "d_real", "d_fake")
    ]  # before any update, unless D takes several steps
    if config.d_steps == 1:
        first = deviation([measured[0][i] for i in known], [reference[0][i] for i in known])
        yield _checked("correct", f"{name}, before any update", first, FIRST_WITHIN)
    rounding = max(deviation(answers[-1], reference[-1]) for answers in disturbed)
    within = max(FIRST_WITHIN, TIMES_ROUNDING * rounding)
    note = f"rounding errors in the initial weights: {rounding:.2g}"
    yield _checked("correct", f"{name}, after {len(measured)} steps", deviation(measured[-1], reference[-1]), within, note=note)


def _first_steps(
    setup: Bench, config: TrainConfig, data: ImageDataset, device: torch.device, rounding_seed: int | None = None
) -> list[list[float]]:
    """Losses and D's answers of each of the first steps on a device; with a seed, from weights with random rounding errors."""
    state = new_state(config, device, class_names=data.class_names, execution=_fp32())
    for optimizer in (state.optimizer_d, state.optimizer_g):
        for group in optimizer.param_groups:
            group["eps"] = EPSILON
    if rounding_seed is not None:
        add_rounding_errors((*state.generator.parameters(), *state.discriminator.parameters()), rounding_seed)
    with SameDraws(seed=1):
        return list(_answers(state, data, setup.amounts.steps))


def add_rounding_errors(weights: Iterable[torch.Tensor], seed: int) -> None:
    """Changes weights on the CPU by about as much as rounding to fp32."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in weights:
            weight.mul_(1 + ROUNDING * torch.randn(weight.shape, generator=rng))


def _answers(state: TrainState, data: ImageDataset, steps: int) -> Iterator[list[float]]:
    """Losses and D's answers after each step, in the order of ANSWERS: sums over the steps so far, over their number."""
    n = state.config.batch_size * state.config.d_steps
    feed = Feed(state, data) if state.config.translates else None  # pairs, or images of two classes
    for step in range(steps):
        if feed:
            real, labels = feed.next(state.images_seen, state.config.d_steps)
        else:
            picks = torch.arange(step * n, (step + 1) * n) % len(data)
            real = to_float(data.images[picks].to(state.device)).contiguous(memory_format=torch.channels_last)
            labels = data.labels[picks].to(state.device) if state.config.conditional and data.labels is not None else None
        train_step(state, real, labels)
        yield [total / state.summed for total in state.sums[: len(ANSWERS)].tolist()]


# Speed.


def speed(setup: Bench) -> Iterator[Unit]:
    for name in setup.recipes(*compare.PAIRS):
        yield name, partial(_speed, setup, name)


def _speed(setup: Bench, name: str) -> Iterator[Row]:
    """The engine and its source's own loop, in turns, on the same device."""
    config = setup.config(name)
    engine = Trainer(config, setup.device, load_mnist(config.data_split, config.image_size))
    plain = compare.Textbook(compare.PAIRS[name], 0, cores(), setup.device)
    speeds: dict[str, list[float]] = {"engine": [], "plain": []}
    for number in range(setup.amounts.rounds + 1):
        torch.set_num_threads(engine.state.execution.threads)
        ours = engine.advance(setup.amounts.seconds)
        start = time.perf_counter()
        images = plain.advance(setup.amounts.seconds)
        bench.wait(setup.device)
        if number:  # the first turn warms up
            speeds["engine"].append(ours)
            speeds["plain"].append(images / (time.perf_counter() - start))
    best = {who: statistics.median(found) for who, found in speeds.items()}
    note = f"the engine in {engine.state.execution.precision}, {compare.PAIRS[name]}'s own loop in fp32"
    yield Row("speed", name, best["engine"], "images/s", best["plain"], note=note)


def share(setup: Bench) -> Iterator[Unit]:
    peaks: dict[str, float] = {}
    for name in setup.recipes(*RECIPES):
        yield name, partial(_share, setup, name, peaks)


def _share(setup: Bench, name: str, peaks: dict[str, float]) -> Iterator[Row]:
    """Operations per second of a recipe's convolutions and matrix products, compared with a large matrix product in the same number format."""
    config = setup.config(name)
    data = bench.random_images(config)
    trainer = Trainer(config, setup.device, data)
    trainer.advance(setup.amounts.seconds / 4)
    images_per_s = trainer.advance(setup.amounts.seconds / 2)
    precision, n = trainer.state.execution.precision, config.batch_size * config.d_steps
    if precision not in peaks:
        peaks[precision] = bench.matmul_speed(setup.device, precision, setup.amounts.seconds / 2) / 1e9
    real = torch.zeros(n, config.channels, config.image_size, config.image_size, device=setup.device)
    labels = torch.zeros(n, dtype=torch.int64, device=setup.device) if config.conditional else None
    flops = bench.count_flops(lambda: train_step(trainer.state, real, labels))
    note = f"{images_per_s:,.0f} images/s in {precision}"
    yield Row("share", name, images_per_s * flops / n / 1e9, "GFLOP/s", peaks[precision], note=note)


# One graph a step.


def graph(setup: Bench) -> Iterator[Unit]:
    for name in setup.recipes("quick-digits", "lecture", "dcgan", "wgan-gp"):
        yield name, partial(_graph, setup, name)


def _graph(setup: Bench, name: str) -> Iterator[Row]:
    """A step as one recorded graph, and kernel by kernel: equal numbers, and speed."""
    if setup.device.type != "cuda":
        yield Row("graph", name, verdict="left out", note="only a GPU records graphs")
        return
    config = setup.config(name)
    data = bench.random_images(config)
    without = mock.patch.object(graphs, "capture", side_effect=graphs.NotRecorded("switched off to compare"))
    metrics = []
    for way in (mock.MagicMock(), without):
        with way:
            trainer = Trainer(config.change(log_every=10), setup.device, data, _fp32())
        found = trainer.metrics()
        metrics.append([float(getattr(found, answer)) for answer in ANSWERS])
        if way is not without and "graph" not in trainer.state.launch.split("(")[0]:
            yield Row("graph", f"{name}, recorded", verdict="off", note=trainer.state.launch)
    yield _checked("graph", f"{name}, 10 steps in fp32", deviation(*metrics), GRAPH_WITHIN)
    recorded = Trainer(config, setup.device, data)
    with without:
        one_by_one = Trainer(config, setup.device, data)
    speeds = {}
    for trainer in (recorded, one_by_one):
        trainer.advance(setup.amounts.seconds / 4)
        speeds[trainer] = trainer.advance(setup.amounts.seconds)
    yield Row(
        "graph",
        f"{name}, {recorded.state.execution.precision}",
        speeds[recorded],
        "images/s",
        speeds[one_by_one],
        note=recorded.state.launch,
    )


# Runs at once.


def together(setup: Bench) -> Iterator[Unit]:
    yield "quick-digits", partial(_together, setup)


def _together(setup: Bench) -> Iterator[Row]:
    """One, two and four runs at once, as on the server: images/s of all of them."""
    config = setup.config("quick-digits")
    alone = None
    for count in setup.amounts.at_once:
        with _unjudged():
            found = runs.leg("quick-digits", count, 3 * setup.amounts.seconds, str(setup.device), config)
        yield Row("together", f"{count} run{'s' if count > 1 else ''} of quick-digits", found, "images/s", alone)
        alone = alone or found


def _unjudged() -> Any:
    return mock.patch.dict(os.environ, WORKSHOP_JUDGE="0")


class Workshop:
    """A server's runs in a temporary folder. On exit, their threads have ended and their memory is free."""

    def __init__(self, setup: Bench) -> None:
        self._setup, self._folder = setup, tempfile.TemporaryDirectory()
        self.root = Path(self._folder.name)

    def __enter__(self) -> "Workshop":
        with _unjudged():
            self.manager = RunManager(self.root, max_runs=1, device=str(self._setup.device))
        return self

    def __exit__(self, *_: object) -> None:
        self.manager.shutdown()
        self._folder.cleanup()

    def start(self, **changes: Any) -> Run:
        """A run of quick-digits that has measured something."""
        run = self.manager.submit(self._setup.config("quick-digits", duration=1_000_000, duration_unit="steps", **changes))
        _wait(run, lambda: len(run.history) > 0)
        return run


def _wait(run: Run, until: Callable[[], bool]) -> None:
    """Raises: RuntimeError: the run ended before."""
    while not until():
        time.sleep(0.02)
        if run.state not in AT_WORK and not until():
            raise RuntimeError(f"the run ended as {run.state}: {run.error}")


# Pictures.


def pictures(setup: Bench) -> Iterator[Unit]:
    for name in setup.recipes("quick-digits", "dcgan"):
        yield name, partial(_pictures, setup, name)


def _pictures(setup: Bench, name: str) -> Iterator[Row]:
    """One image per call, as on the latent pages, alone and next to a run; and the cost for the run."""
    with Workshop(setup) as workshop:
        save_generator(
            workshop.root / PRETRAINED / "drawn.safetensors", new_state(setup.config(name), torch.device("cpu"), execution=_fp32(1))
        )
        model, cache = find_model(workshop.root, "drawn"), ModelCache(workshop.root)

        def draw(seconds: float) -> float:
            count, start = 0, time.perf_counter()
            while not count or time.perf_counter() - start < seconds:
                cache.images(model, model.z([count]))
                count += 1
            return count / (time.perf_counter() - start)

        draw(setup.amounts.seconds / 4)
        alone = draw(setup.amounts.seconds)
        yield Row("pictures", f"{name}'s, alone", alone, "pictures/s")
        run = workshop.start()
        undisturbed = _images_per_s(run, lambda: time.sleep(setup.amounts.seconds))
        found: list[float] = []
        drawer = threading.Thread(target=lambda: found.append(draw(setup.amounts.seconds)), name="pictures")

        def both() -> None:
            drawer.start()
            drawer.join()

        disturbed = _images_per_s(run, both)
        yield Row("pictures", f"{name}'s, next to a run", found[0], "pictures/s", alone)
        yield Row("pictures", f"the run next to {name}'s pictures", disturbed, "images/s", undisturbed, note="against the run alone")


def _images_per_s(run: Run, work: Callable[[], object]) -> float:
    """A run's images/s while something else is done, over at least one step: a busy machine may give the run no time meanwhile."""
    seen, start = run.status()["images_seen"], time.perf_counter()
    work()
    while (drawn := run.status()["images_seen"] - seen) == 0 and run.state in AT_WORK:
        time.sleep(0.01)
    return drawn / (time.perf_counter() - start)


# Memory.


def memory(setup: Bench) -> Iterator[Unit]:
    yield "quick-digits", partial(_memory, setup)


def _memory(setup: Bench) -> Iterator[Row]:
    """Memory left on the card after runs have ended, including one with changed knobs. A first run loads the libraries."""
    if setup.device.type != "cuda":
        yield Row("memory", "quick-digits", verdict="left out", note="only a GPU's memory is counted")
        return
    with Workshop(setup) as workshop:
        workshop.start()
    before = _held(setup.device)
    with Workshop(setup) as workshop:
        workshop.start()
    yield from _left("after a run", before, setup.device)
    torch.cuda.reset_peak_memory_stats(setup.device)
    with Workshop(setup) as workshop:
        run = workshop.start()
        for number in range(setup.amounts.knobs):
            workshop.manager.change(run.id, "lr_d", 1e-4 * (1 + (number + 1) / 100))
            _wait(run, partial(_changed, run, number + 1))
        most = torch.cuda.max_memory_allocated(setup.device) / MIB
    yield Row("memory", f"most in use with {setup.amounts.knobs} knobs moved", most, "MiB", note="images, networks, graph, workspaces")
    del run
    yield from _left(f"after a run with {setup.amounts.knobs} knobs moved", before, setup.device)


def _changed(run: Run, times: int) -> bool:
    return len(run.interventions) >= times


def _held(device: torch.device) -> dict[str, float]:
    """MiB: of tensors, of the allocator, of everyone on the card."""
    bench.wait(device)
    free, total = torch.cuda.mem_get_info(device)
    return {
        "tensors": torch.cuda.memory_allocated(device) / MIB,
        "allocator": torch.cuda.memory_reserved(device) / MIB,
        "card": (total - free) / MIB,
    }


def _left(when: str, before: dict[str, float], device: torch.device) -> Iterator[Row]:
    for what, held in _held(device).items():
        yield _checked("memory", f"{when}: {what}", held - before[what], LEFT_MIB, "MiB more")


# What is learned in a fixed time.


def quality(setup: Bench) -> Iterator[Unit]:
    for name, times in zip(("quick-digits", "dcgan"), setup.amounts.quality_s, strict=True):
        if times:
            yield name, partial(_quality, setup, name, times)


def _quality(setup: Bench, name: str, times: tuple[float, ...]) -> Iterator[Row]:
    """Fréchet distance of the EMA generator after this many seconds of training, compared with real images."""
    config = setup.config(name)
    dataset = terminal.drain(datasets.load_for(config), quiet=True)
    judge = terminal.drain(JudgeCache().get(config.data, *Form.of(config)), quiet=True)
    trainer, judged = Trainer(config, setup.device, dataset), setup.amounts.judged
    z = latent.from_seeds(range(judged), config.latent_dim, config.latent_distribution)
    for seconds in times:
        torch.set_num_threads(trainer.state.execution.threads)
        trainer.train_until(seconds)
        distance = judge.distance(sample(trainer.state.averaged, z))
        note = f"{trainer.state.step:,} steps; against what real images get"
        yield Row("quality", f"{name} after {seconds:g} s", distance, f"FD ({judge.network.name})", judge.floor(judged), note=note)


@dataclass(frozen=True)
class Part:
    """Units measured in one process.

    Attributes:
        about: what it measures, in a few words.
        limit_s: its time limit, including the start of the process.
    """

    about: str
    limit_s: float
    units: Callable[[Bench], Iterator[Unit]]


PARTS: dict[str, Part] = {
    "correct": Part("every recipe compared with the CPU's first steps in fp32", 60, correct),
    "speed": Part("the engine compared with its sources' own loops", 75, speed),
    "share": Part("share of the matrix product's speed", 45, share),
    "graph": Part("a step as one graph, compared with kernel by kernel", 50, graph),
    "together": Part("one, two and four runs at once", 50, together),
    "pictures": Part("pictures a second next to a run", 35, pictures),
    "memory": Part("memory given back after runs", 30, memory),
    "quality": Part("what is learned in a fixed time", 115, quality),
}
