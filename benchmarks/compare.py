"""The engine next to the sources' own loops, on this machine: speed, memory, and what is learned in equal time.

    python -m benchmarks.compare speed [--recipe NAME] [--rounds 20] [--seconds 3] [--threads N] [--seed 0] [--device auto]
    python -m benchmarks.compare reach [--recipe quick-digits] [--goal lecture] [--set FIELD=VALUE ...] [--threads N] [--seed 0] [--device
    auto]
    python -m benchmarks.compare logs --recipe NAME [--seeds 0,1,2] [--epochs 5 | --steps N] [--textbook] [--device auto]

speed: the two alternate in turns of a few seconds, each in its own process, because machines drift, and a shared one changes its speed
from minute to minute. Ratios are computed per round. Other work only makes them slower, and not both equally (the engine's 16-bit
numbers wait for memory sooner), so the fastest quarter of the turns says most about two loops that have the machine to themselves. If
other work takes the processor all the time, use --threads 1: two threads that wait for each other collapse.
reach: how soon a recipe's images are as good as another recipe's at its end, which is trained first. How long the source's loop would
take for as many images is estimated from its speed.
logs: the means of each epoch, averaged over the seeds, next to the source's published ones; with --steps, single batches.
"""

import argparse
import contextlib
import statistics
import sys
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch

from benchmarks import textbook
from benchmarks.textbook import load_mnist
from gan import latent
from gan import progress as terminal
from gan.data.datasets import ImageDataset
from gan.devices import choose_device, cores, describe_device
from gan.events import Event, Metrics
from gan.images import to_uint8
from gan.judging.judge import Judge, JudgeCache
from gan.networks.sampling import sample
from gan.recipes import recipe
from gan.training import bench
from gan.training.execution import choose_execution
from gan.training.feed import epoch_images
from gan.training.loop import train
from gan.training.state import TrainState, new_state
from gan.training.step import train_step

# recipe -> the loop to compare it with
PAIRS = {"quick-digits": "lecture", "lecture": "lecture", "pyimagesearch": "pyimagesearch", "polarsparc": "polarsparc"}
JUDGED = 5000  # generated images
MATMUL_S = 1.5  # spent on matrix products; the fastest one counts
SOURCE_S = 20.0  # spent on measuring a source's loop, to estimate its end

# What the sources print: epoch -> means of loss G, loss D, D(x), D(G(z)); batch -> loss G, loss D. Losses as here: in nats, D's the
# sum of its two halves. It is unknown whether the lecture prints D(G(z)) before or after D's step.
EPOCHS: dict[str, dict[int, tuple[float, ...]]] = {
    "lecture": {
        1: (1.5605, 1.1140, 0.6317, 0.3734),
        5: (1.1126, 1.1822, 0.5889, 0.4044),
        10: (0.9531, 1.2424, 0.5651, 0.4332),
        20: (1.0939, 1.1151, 0.6087, 0.3894),
    },
    "pyimagesearch": {1: (4.65, 0.37), 2: (1.53, 0.95), 3: (1.13, 1.10), 20: (1.0835, 1.1242)},
}
BATCHES: dict[str, dict[int, tuple[float, ...]]] = {"polarsparc": {0: (2.23, 1.71), 50: (8.91, 0.033)}}
LATER = {"polarsparc": ((1.0, 6.0), (0.04, 1.0))}  # the range of most later losses of G and D
COLUMNS = ("loss G", "loss D", "D(x)", "D(G(z))", "after D's step")


class Engine:
    """The engine's loop for a recipe."""

    def __init__(self, name: str, seed: int, threads: int, device: torch.device) -> None:
        self.config = recipe(name).config.change(seed=seed, grid_every=1_000_000)  # the plain loops draw no grids either
        self.state = new_state(self.config, device, execution=choose_execution(self.config, device, threads), threads=threads)
        self.dataset = load_mnist(self.config.data_split, self.config.image_size)
        self.batch_size, self.precision = self.config.batch_size * self.config.d_steps, self.state.execution.precision

    def advance(self, seconds: float) -> int:
        """Trains for this many seconds -> the number of real images shown."""
        state, seen = self.state, self.state.images_seen
        state.config = self.config.change(duration_unit="seconds", duration=state.elapsed_s + seconds)
        for _ in train(state, self.dataset):
            pass
        return state.images_seen - seen

    def step(self) -> None:
        config = self.config
        train_step(
            self.state, torch.zeros(self.batch_size, config.channels, config.image_size, config.image_size, device=self.state.device)
        )

    def images(self) -> np.ndarray:
        """The EMA generator's images: (JUDGED, C, H, W), uint8."""
        return sample(self.state.averaged, latent.from_seeds(range(JUDGED), self.config.latent_dim, self.config.latent_distribution))


class Textbook:
    """A source's own loop. Its images come from the generator itself, without averaging, as in the sources."""

    def __init__(self, name: str, seed: int, threads: int, device: torch.device) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        self.system = textbook.SYSTEMS[name]().to(device)
        self.steps = textbook.train(self.system)
        self.batch_size, self.precision = self.system.loader.batch_size or 1, "fp32"

    def advance(self, seconds: float) -> int:
        start = time.perf_counter()
        for count, _ in enumerate(self.steps, 1):
            if time.perf_counter() - start >= seconds:
                return count * self.batch_size
        raise AssertionError("the loop has no end")

    def step(self) -> None:
        next(self.steps)

    def images(self) -> np.ndarray:
        return to_uint8(textbook.generate(self.system, JUDGED))


# In a child process with one loop: the two wait for each other's turns, and neither has the other's memory.
_loop: Engine | Textbook
_device: torch.device


def _begin(kind: type[Engine | Textbook], name: str, seed: int, threads: int, device: torch.device) -> str:
    """-> the number format."""
    global _loop, _device
    _loop, _device = kind(name, seed, threads, device), device
    return _loop.precision


def _turn(seconds: float) -> tuple[float, float]:
    """-> images a second, and processor seconds a second."""
    start, start_cpu = time.perf_counter(), time.process_time()
    images = _loop.advance(seconds)
    bench.wait(_device)
    elapsed_s = time.perf_counter() - start
    return images / elapsed_s, (time.process_time() - start_cpu) / elapsed_s


def _end() -> tuple[float, float, float, np.ndarray]:
    """-> peak memory in GB, GFLOP an image, the matrix product's GFLOP/s, and images."""
    memory, flops = bench.peak_memory(_device), bench.count_flops(_loop.step) / _loop.batch_size
    images = _loop.images()
    return memory / 1e9, flops / 1e9, bench.matmul_speed(_device, _loop.precision, MATMUL_S) / 1e9, images


def compare_speed(names: list[str], rounds: int, seconds: float, threads: int, seed: int, device: torch.device) -> None:
    """Prints the results of engine and textbook for each recipe."""
    print(f"{describe_device(device)}, {threads} threads; {rounds} rounds of {seconds:g} s a turn, median (least to most)")
    judge = terminal.drain(JudgeCache().get("mnist", 28, 1))
    known = f"the CNN gets {judge.network.about.accuracy:.1%} of the held-out digits right"
    print(f"FD ({judge.network.name}): {known}; real training digits get {judge.floor(JUDGED):.2f}", flush=True)
    for name in names:
        with contextlib.ExitStack() as stack:
            pools = {who: stack.enter_context(bench.fresh_process()) for who in ("textbook", "engine")}
            precision = {
                "textbook": pools["textbook"].submit(_begin, Textbook, PAIRS[name], seed, threads, device).result(),
                "engine": pools["engine"].submit(_begin, Engine, name, seed, threads, device).result(),
            }
            for pool in pools.values():
                pool.submit(_turn, seconds).result()  # warms up
            turns: dict[str, list[tuple[float, float]]] = {who: [] for who in pools}
            for number in range(rounds):
                for who in sorted(pools, reverse=number % 2 == 0):  # take turns at going first
                    turns[who].append(pools[who].submit(_turn, seconds).result())
            ends = {who: pool.submit(_end).result() for who, pool in pools.items()}
        print(f"\n{name}: the engine in {precision['engine']}, the textbook's {PAIRS[name]} in {precision['textbook']}")
        quick = {who: statistics.mean(sorted(speed for speed, _ in turns[who])[-max(1, rounds // 4) :]) for who in pools}
        rows: dict[str, tuple[str, dict[str, list[float]]]] = {
            "images/s": (",.0f", {who: [speed for speed, _ in turns[who]] for who in pools}),
            "images/s, fastest quarter": (",.0f", {who: [quick[who]] for who in pools}),
            "images a processor second": (",.0f", {who: [speed / used for speed, used in turns[who]] for who in pools}),
            "cores used": (".2f", {who: [used for _, used in turns[who]] for who in pools}),
            "peak memory, GB": (".2f", {who: [ends[who][0]] for who in pools}),
            "share of matrix product": (".1%", {who: [quick[who] * ends[who][1] / ends[who][2]] for who in pools}),
            "matrix product, GFLOP/s": (",.0f", {who: [ends[who][2]] for who in pools}),
            f"FD after {(rounds + 1) * seconds:g} s": (".2f", {who: [judge.distance(ends[who][3])] for who in pools}),
        }
        print(f"{'':26}{'textbook':28}{'engine':28}engine / textbook")
        for what, (form, values) in rows.items():
            ratios = [engine / plain for plain, engine in zip(values["textbook"], values["engine"], strict=True)]
            print(
                f"{what:26}{_spread(values['textbook'], form):28}{_spread(values['engine'], form):28}{_spread(ratios, '.2f')}", flush=True
            )


def _spread(values: list[float], form: str) -> str:
    middle = f"{statistics.median(values):{form}}"
    return f"{middle} ({min(values):{form}} to {max(values):{form}})" if len(values) > 1 else middle


def timed(state: TrainState, dataset: ImageDataset) -> Iterator[tuple[float, Event]]:
    """Events, with the seconds of training so far: work between two events does not count."""
    events, spent = train(state, dataset), 0.0
    while True:
        began = time.perf_counter()
        event = next(events, None)
        spent += time.perf_counter() - began
        if event is None:
            return
        yield spent, event


def distances(state: TrainState, judge: Judge) -> tuple[float, float]:
    """The Fréchet distances of the EMA generator and of the plain one."""
    config = state.config
    z = latent.from_seeds(range(JUDGED), config.latent_dim, config.latent_distribution)
    averaged, plain = (judge.distance(sample(network, z.to(state.device))) for network in (state.averaged, state.generator))
    return averaged, plain


def compare_reach(name: str, goal: str, settings: dict[str, str], seed: int, threads: int, device: torch.device) -> None:
    """Prints how long `goal` trains, how good it gets, and when `name` with these settings is as good."""
    print(f"{describe_device(device)}, {threads} threads; seconds of training alone, {JUDGED:,} images judged")
    judge = terminal.drain(JudgeCache().get("mnist", 28, 1))

    def start(which: str, **changes: Any) -> tuple[TrainState, ImageDataset]:
        config = recipe(which).config.change(seed=seed, grid_every=1_000_000, **changes)
        return new_state(config, device, execution=choose_execution(config, device, threads), threads=threads), load_mnist(
            config.data_split, config.image_size
        )

    state, dataset = start(goal)
    long = max(seconds for seconds, _ in timed(state, dataset))
    averaged, plain = distances(state, judge)
    what = f"FD ({judge.network.name})"
    print(
        f"{goal}: {what} {averaged:.2f} after {long:.0f} s, {state.step:,} steps; of its weights without averaging {plain:.2f}", flush=True
    )
    with bench.fresh_process() as pool:
        pool.submit(_begin, Textbook, PAIRS[goal], seed, threads, device).result()
        source_speed = max(pool.submit(_turn, SOURCE_S / 5).result()[0] for _ in range(5))
    source_s = state.images_seen / source_speed
    print(f"its source's loop, which averages nothing: {source_s:.0f} s at its {source_speed:,.0f} images/s", flush=True)
    wanted = {"without averaging": plain, "at their better": min(averaged, plain)}
    state, dataset = start(name, **settings)
    next_look = 1.0
    for seconds, event in timed(state, dataset):
        if isinstance(event, Metrics) and seconds >= next_look:
            found = distances(state, judge)[0]
            print(f"{name}: {what} {found:.2f} after {seconds:.1f} s, {state.step:,} steps", flush=True)
            for which in [which for which, distance in wanted.items() if found <= distance]:
                ratios = f"1/{long / seconds:.1f} of its time here, 1/{source_s / seconds:.1f} of its source's loop's"
                print(f"{name} is as good as {goal}'s weights {which} ({wanted.pop(which):.2f}): {ratios}", flush=True)
            if not wanted:
                return
            next_look = seconds * 1.1
    print(f"{name} ended after {seconds:.0f} s without being as good")


def engine_log(name: str, seed: int, points: int, every: int | None, threads: int, device: torch.device) -> np.ndarray:
    """Means over this many steps each (None: an epoch), for this many points: (points, 5), in the order of COLUMNS."""
    config = recipe(name).config
    dataset = load_mnist(config.data_split, config.image_size)
    every = every or epoch_images(config, dataset) // config.batch_size
    never = 1_000_000
    config = config.change(
        seed=seed, log_every=every, grid_every=never, snapshot_every=never, duration=points * every, duration_unit="steps"
    )
    metrics = [
        event
        for event in train(new_state(config, device, execution=choose_execution(config, device, threads), threads=threads), dataset)
        if isinstance(event, Metrics)
    ]
    return np.array([(m.loss_g, m.loss_d, m.d_real, m.d_fake, m.d_fake_after) for m in metrics])


def textbook_log(name: str, seed: int, points: int, every: int | None, threads: int, device: torch.device) -> np.ndarray:
    """Like engine_log, for the plain loop."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    system = textbook.SYSTEMS[PAIRS[name]]().to(device)
    every = every or len(system.loader)
    steps = [(s.loss_g, s.loss_d, s.d_real, s.d_fake, s.d_fake_after) for s in islice(textbook.train(system), points * every)]
    return np.array(steps).reshape(points, every, 5).mean(1)


def compare_logs(
    name: str, seeds: list[int], epochs: int, steps: int | None, with_textbook: bool, threads: int, device: torch.device
) -> None:
    """Prints losses and D's answers next to the source's."""
    points, every = (steps, 1) if steps else (epochs, None)
    runs: dict[str, np.ndarray] = {}  # (seeds, points, 5)
    for who, log in {"engine": engine_log, "textbook": textbook_log}.items():
        if who == "engine" or with_textbook:
            of_seeds = []
            for seed in seeds:
                of_seeds.append(log(name, seed, points, every, threads, device))
                print(f"{who}, seed {seed}: done", file=sys.stderr, flush=True)
            runs[who] = np.stack(of_seeds)
    published = BATCHES.get(name, {}) if steps else EPOCHS.get(name, {})
    first, what = (0, "batch") if steps else (1, "epoch")
    print(f"{name}, each {what}'s mean over the seeds {', '.join(map(str, seeds))}; loss D is the sum of its two halves")
    print(f"{what:8}{'':18}" + "".join(f"{column:>16}" for column in COLUMNS))
    for i in range(0, points, 50 if steps else 1):
        for who, values in runs.items():
            print(f"{first + i:<8}{who:18}" + _row(values[:, i].mean(0)))
        if first + i in published:
            print(f"{first + i:<8}{'source':18}" + _row(np.array(published[first + i])))
    if steps:
        _print_later(name, runs)
    else:
        _print_differences(published, runs)


def _print_differences(published: dict[int, tuple[float, ...]], runs: dict[str, np.ndarray]) -> None:
    """The newest published epoch that was trained, alone and with the two before it, compared with the source's numbers.

    Sources print few epochs. A line between two of them would mostly show the first epoch's fall, so the epochs before are
    compared with the published one itself. The spread between seeds says how much a single run of the source means.
    """
    points = next(iter(runs.values())).shape[1]
    known = [epoch for epoch in published if epoch <= points]
    if not known:
        return
    last = max(known)
    earlier = max((epoch for epoch in known if epoch < last), default=0)  # has its own numbers
    source = np.array(published[last])
    for who, values in runs.items():
        for begin in sorted({last, max(earlier + 1, last - 2)}):
            means = values[:, begin - 1 : last].mean(1)  # (seeds, 5)
            span = f"{begin} to {last}" if begin < last else f"{last}"
            differences = means.mean(0)[: len(source)] - source
            if len(source) == 4:  # the source has one D(G(z)), before or after D's step: compare both with it
                differences = np.append(differences, means.mean(0)[4] - source[3])
            print(f"{span:8}{who + ' - source':18}" + _row(differences))
            if len(means) > 1:
                print(f"{span:8}{'between seeds, sd':18}" + _row(means.std(0, ddof=1)))


def _print_later(name: str, runs: dict[str, np.ndarray]) -> None:
    """Share of the batches after the 50th whose losses are in the range of most of the source's."""
    (g_least, g_most), (d_least, d_most) = LATER[name]
    for who, values in runs.items():
        g, d = values[:, 51:, 0], values[:, 51:, 1]
        if g.size:
            inside_g, inside_d = ((g >= g_least) & (g <= g_most)).mean(), ((d >= d_least) & (d <= d_most)).mean()
            print(f"after batch 50, {who}: loss G in {g_least} to {g_most} in {inside_g:.0%}, D in {d_least} to {d_most} in {inside_d:.0%}")


def _row(values: np.ndarray) -> str:
    return "".join(f"{value:16.4f}" for value in values)


def main() -> None:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--threads", type=int, default=cores())
    shared.add_argument("--device", type=choose_device, default="auto")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    speed = commands.add_parser("speed", parents=[shared])
    speed.add_argument("--recipe", choices=PAIRS, action="append", help="may be repeated; all of them by default")
    speed.add_argument("--rounds", type=int, default=20)
    speed.add_argument("--seconds", type=float, default=3)
    speed.add_argument("--seed", type=int, default=0)
    reach = commands.add_parser("reach", parents=[shared])
    reach.add_argument("--recipe", choices=PAIRS, default="quick-digits")
    reach.add_argument("--goal", choices=PAIRS, default="lecture")
    reach.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a setting of the recipe; may be repeated")
    reach.add_argument("--seed", type=int, default=0)
    logs = commands.add_parser("logs", parents=[shared])
    logs.add_argument("--recipe", choices=[*EPOCHS, *BATCHES], required=True)
    logs.add_argument("--seeds", default="0,1,2")
    logs.add_argument("--epochs", type=int, default=5)
    logs.add_argument("--steps", type=int, help="print single batches instead, every 50th")
    logs.add_argument("--textbook", action="store_true", help="the plain loop's means as well")
    given = parser.parse_args()
    if given.command == "logs" and bool(given.steps) != (given.recipe in BATCHES):
        parser.error("--steps goes with polarsparc, whose source prints batches; the others print epochs")
    torch.set_num_threads(given.threads)
    if given.command == "speed":
        compare_speed(given.recipe or list(PAIRS), given.rounds, given.seconds, given.threads, given.seed, given.device)
    elif given.command == "reach":
        settings = dict(setting.partition("=")[::2] for setting in given.set)
        compare_reach(given.recipe, given.goal, settings, given.seed, given.threads, given.device)
    else:
        seeds = [int(seed) for seed in given.seeds.split(",")]
        compare_logs(given.recipe, seeds, given.epochs, given.steps, given.textbook, given.threads, given.device)


if __name__ == "__main__":
    main()
