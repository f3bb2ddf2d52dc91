"""Runs killed with SIGKILL at random moments, and what is left afterward.

    python -m benchmarks.kills [--kills 20] [--seed 0]

Each run trains in its own process, through the server's RunManager, and saves far more often than usual, so many kills hit the
writing of a file. The process reports what it is about to write, what it has written and what it has logged. It is killed once or
twice, in any phase, from the first file of the run's folder on. After each kill, a new manager must list the run as interrupted,
every file must be complete except for the last line of a log, and everything written, or logged more than a second earlier, must be
there. Finally the run is resumed to its last step, and weights, random numbers and metrics must equal those of a run that was never
killed, bit for bit. One setting changes halfway.
"""

import argparse
import functools
import json
import multiprocessing
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, BinaryIO

import safetensors.torch
import torch
from PIL import Image

from gan.config import TrainConfig
from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.devices import cores
from gan.events import Intervention, Metrics
from gan.files import ABANDONED_S
from gan.networks import generator_file
from gan.recipes import recipe
from gan.runs import folder as checkpoint
from gan.runs import jsonlines, record
from gan.runs.folder import RunFolder
from gan.runs.manager import RunManager
from gan.training.loop import Control

# Each process is forked from one that has only loaded the libraries, which takes longer than a small run. On macOS, these libraries
# do not survive a fork.
PROCESSES: Any = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
PICTURES = "pictures"  # a small set in two classes
LIMIT_S = 120.0  # for one life of a run
LOST_AT_MOST_S = 1.0  # of what was logged
# The message to wait for before a kill, by its beginning: before the first step, while the folder is made and the data are loaded,
# and while it trains.
EARLY = ("began", "writing config.json", "wrote config.json", "writing status.json", "preparing")
TRIGGERS = (
    "writing state.pt",
    "writing states/",
    "writing generator",
    "writing samples/",
    "writing status.json",
    "adding metrics.jsonl",
    "logged",
    "wrote state.pt",
)


@dataclass(frozen=True)
class Case:
    """What to train; `changed` is the value of `lr_g` after a third of the steps."""

    name: str
    config: TrainConfig
    changed: float
    state_every_s: float

    @property
    def change_step(self) -> int:
        """A step at which metrics are logged."""
        every = self.config.log_every
        return int(self.config.duration) // 3 // every * every


def cases(tiny: bool = False) -> list[Case]:
    """Runs of several recipes. tiny: of networks so small that a run takes about a second."""
    common: dict[str, Any] = {"duration_unit": "steps", "precision": "fp32", "snapshot_every": 10, "grid_images": 16}
    if tiny:
        common |= {"data": PICTURES, "latent_dim": 4, "generator_filters": 4, "discriminator_filters": 4, "batch_size": 8, "log_every": 1}
        wanted: dict[str, dict[str, Any]] = {
            "quick-digits": {"duration": 60},
            "conditional": {"duration": 60},
            "lecture": {"duration": 60},
        }
    else:
        common |= {"batch_size": 16, "log_every": 2}
        small = {"data": PICTURES, "channels": 1, "generator_filters": 16, "discriminator_filters": 16}
        wanted = {
            "quick-digits": {"duration": 300},
            "lecture": {"duration": 300},
            "wgan-gp": {"duration": 100, "image_size": 28, **small},
            "conditional": {"duration": 300},
            "dcgan": {"duration": 120, **small, "generator_filters": 8, "discriminator_filters": 8},
        }
    every_s = 0.02 if tiny else 0.1
    return [
        Case(name, recipe(name).config.change(**common, **more), recipe(name).config.lr_g / 3, every_s) for name, more in wanted.items()
    ]


def draw_pictures(folder: Path, count: int) -> None:
    """A set of random gray images, 32 x 32, in two classes, below a data folder."""
    rng = random.Random(0)
    for i in range(count):
        path = folder / PICTURES / "ab"[i % 2] / f"{i:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.frombytes("L", (32, 32), rng.randbytes(32 * 32)).save(path)


# The process that is killed.


def drive(case: Case, root: Path, data: Path, pipe: Connection) -> None:
    """Creates or resumes the only run of a root, and reports what it does, with the time. data: WORKSHOP_DATA."""
    os.environ["WORKSHOP_DATA"] = str(data)

    def tell(*what: object) -> None:
        pipe.send_bytes(f"{time.perf_counter()} {' '.join(map(str, what))}".encode())  # a message this short is one write

    def name(path: Path) -> str:
        return str(path.relative_to(root)).partition("/")[2]

    @contextmanager
    def telling(path: Path, durable: bool = True) -> Iterator[BinaryIO]:
        tell("writing", name(path))
        with write_atomically(path, durable) as file:
            yield file
        tell("wrote", name(path))

    def telling_append(path: Path, lines: list[str]) -> None:
        tell("adding", name(path))
        append(path, lines)
        tell("added", name(path))

    def telling_metrics(folder: RunFolder, metrics: Metrics) -> None:
        append_metrics(folder, metrics)
        tell("logged", metrics.step)
        if metrics.step == case.change_step:
            known.wait()
            run.change("lr_g", case.changed)  # in the run's own thread, so it is in force from the next step on

    write_atomically, append, append_metrics = checkpoint.write_atomically, jsonlines.append, RunFolder.append_metrics
    checkpoint.write_atomically = jsonlines.write_atomically = telling
    jsonlines.append = telling_append
    RunFolder.append_metrics = telling_metrics  # type: ignore[method-assign, assignment]
    record.STATE_EVERY_S, record.KEPT_EVERY_S = case.state_every_s, 0.3
    known = threading.Event()  # the run's thread may be ahead of its name here
    tell("began")
    manager = workers(root)
    before = manager.runs()
    run = manager.resume(before[0].id) if before else manager.submit(case.config, case.name)
    known.set()
    while run.at_work:
        if run.preparing:
            tell("preparing", run.preparing.done)
        time.sleep(0.005)
    tell("ended", run.state, run.error)


def workers(root: Path) -> RunManager:
    """A manager whose runs use one processor thread each: another number changes the last bits."""
    return RunManager(root, max_runs=cores(), device="cpu")


# The process that kills, and looks.


@dataclass(frozen=True)
class Moment:
    """When to kill: `delay_s` after the first message that starts with `trigger`, once step `from_step` is logged."""

    from_step: int
    trigger: str
    delay_s: float

    @classmethod
    def draw(cls, rng: random.Random, case: Case, at_step: int) -> "Moment":
        """A random moment in a life that starts at a step."""
        if rng.random() < 0.25:
            return cls(0, rng.choice(EARLY), rng.choice((0.0, 0.001, 0.02, 0.25)) * rng.random())
        left = case.config.duration - at_step
        return cls(
            at_step + int(left * rng.uniform(0, 0.8)), rng.choice(TRIGGERS), rng.choice((0.0, 0.001, 0.003, 0.01, 0.05)) * rng.random()
        )

    def __str__(self) -> str:
        return f"{1000 * self.delay_s:.1f} ms after '{self.trigger}', from step {self.from_step}"


@dataclass(frozen=True)
class Life:
    """The messages of a killed process, and when it was killed. Times are from time.perf_counter(), the same in all processes."""

    said: list[tuple[float, str]]
    killed_at: float
    ended: bool  # by itself, before the kill

    def told(self, beginning: str) -> list[tuple[float, str]]:
        """(time, rest) of all messages with this beginning."""
        return [(at, what.removeprefix(beginning).strip()) for at, what in self.said if what.startswith(beginning)]


def live_and_kill(case: Case, root: Path, moment: Moment) -> Life:
    """Lets a process train until the moment, and kills it."""
    said: list[tuple[float, str]] = []
    mine, its = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=drive, args=(case, root, datasets.data_root().absolute(), its))
    process.start()
    its.close()  # the other end is the process's alone, and closes when it dies
    watchdog = threading.Timer(LIMIT_S, process.kill)
    watchdog.start()
    try:
        reached, killed_at = moment.from_step == 0, 0.0
        while True:
            try:
                at, _, what = mine.recv_bytes().decode().partition(" ")
            except EOFError:
                break
            said.append((float(at), what))
            reached = reached or (what.startswith("logged ") and int(what.split()[1]) >= moment.from_step)
            if reached and what.startswith(moment.trigger) and not killed_at:
                time.sleep(moment.delay_s)
                killed_at = time.perf_counter()
                process.kill()
    finally:
        watchdog.cancel()
        process.kill()
        process.join()
        process.close()
        mine.close()
    return Life(said, killed_at, any(what.startswith("ended") for _, what in said))


def faults_after(life: Life, root: Path) -> tuple[list[str], str]:
    """The faults after a kill, and what is left in a few words."""
    listed = workers(root).runs()
    if not listed:
        made = [what for _, what in life.told("wrote") if what == "config.json"]
        return (["the run is not listed"] if made else []), "killed before the run existed"
    (run,) = listed
    folder, faults = RunFolder(run.folder.path), []
    whole = run.state == "finished" and run.status()["progress"] >= 1  # the kill came just after its last status was written
    if run.state != "interrupted" and not whole:
        faults.append(f"the run says {run.state} ({run.status()['error']})")
    faults += damaged(folder)
    for _, name in life.told("wrote"):
        if not (folder.path / name).exists() and not name.startswith("states/"):  # of these the oldest go
            faults.append(f"{name} was written, and is not there")
    steps = {row["step"] for row in folder.read_metrics()[0]}
    lost = [int(step) for at, step in life.told("logged") if at < life.killed_at - LOST_AT_MOST_S and int(step) not in steps]
    if lost:
        faults.append(f"the metrics of {len(lost)} steps are lost, which were logged more than {LOST_AT_MOST_S:g} s before: {lost[:5]}")
    parts = len(list(root.rglob("*.part")))
    state = folder.read_state(folder.state_file)["step"] if folder.state_file.exists() else "none"
    return faults, f"metrics to step {max(steps, default=0)}, state at {state}, {parts} half-written files aside"


def damaged(folder: RunFolder) -> list[str]:
    """Incomplete files of a run's folder. A log may lack the end of its last line."""
    faults = []
    for file in sorted(folder.path.rglob("*")):
        if file.is_dir() or file.name == ".lock" or file.suffix == ".part":
            continue
        try:
            match file.suffix:
                case ".json":
                    json.loads(file.read_text(encoding="utf-8"))
                case ".jsonl":
                    for line in file.read_bytes().split(b"\n")[:-1]:
                        json.loads(line)
                case ".safetensors":
                    generator_file.load_generator(file)
                case ".pt":
                    torch.load(file, weights_only=True)
                case ".png":
                    with Image.open(file) as image:
                        image.load()
                case _:
                    faults.append(f"{file.name} is not a known file")
        except Exception as error:  # any error of a reader for half a file
            faults.append(f"{file.name} is damaged: {error}")
    return faults


def resume_to_the_end(root: Path) -> RunFolder:
    """What a person does after the restart: press Resume.

    Raises:
        RuntimeError: the run does not reach its end.
    """
    manager = workers(root)
    (run,) = manager.runs()
    if run.state != "finished":  # it was faster than the kill
        run = manager.resume(run.id)
    while run.at_work:
        time.sleep(0.005)
    if run.state != "finished":
        raise RuntimeError(f"the resumed run is {run.state}: {run.status()['error']}")
    return RunFolder(run.folder.path)


@functools.cache
def load(config: TrainConfig) -> ImageDataset:
    loading = datasets.load_for(config)
    while True:
        try:
            next(loading)
        except StopIteration as stop:
            dataset: ImageDataset = stop.value
            return dataset


class References:
    """The same runs, never killed; each is trained once, with and without the change of a setting."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: dict[tuple[str, bool], RunFolder] = {}

    def folder(self, case: Case, changed: bool) -> RunFolder:
        if (case.name, changed) not in self._made:
            folder = RunFolder(self._root / f"{case.name}-{changed}")
            folder.path.mkdir()
            folder.write_config(case.config, case.name)
            control = Control()
            state = record.prepare(folder, case.config, load(case.config), torch.device("cpu"), control, threads=1)
            if changed:
                control.repeat([Intervention(case.change_step, "lr_g", case.config.lr_g, case.changed)])
            for _ in record.record(folder, state, load(case.config), control):
                pass
            self._made[case.name, changed] = folder
        return self._made[case.name, changed]


def differences(folder: RunFolder, reference: RunFolder, config: TrainConfig) -> list[str]:
    """How a killed and resumed run differs from one that was never killed. Times may differ."""
    faults = []
    mine, others = (f.read_state(f.state_file) for f in (folder, reference))
    faults += [
        f"state.pt differs in {name}" for name in sorted({*mine, *others} - {"elapsed_s"}) if not same(mine.get(name), others.get(name))
    ]
    last = int(config.duration)
    for step in reference.generator_steps():
        if step not in folder.generator_steps():
            faults.append(f"the generator of step {step} is missing")
        elif step == last or step in (1, 64):
            a, b = (safetensors.torch.load(f.generator_file(step).read_bytes()) for f in (folder, reference))
            faults += [f"the generator of step {step} differs"] * (not same(a, b))
    if folder.sample_steps() != reference.sample_steps():
        faults.append("other grids were kept")
    rows, right = ([{**r, "elapsed_s": 0, "images_per_s": 0} for r in f.read_metrics()[0]] for f in (folder, reference))
    if missing := {row["step"] for row in right} - {row["step"] for row in rows}:
        faults.append(f"the metrics of {len(missing)} steps are missing: {sorted(missing)[:5]}")
    elif rows != right:
        faults.append("the metrics differ")
    if folder.read_interventions() != reference.read_interventions():
        faults.append("the interventions differ")
    return faults


def same(a: Any, b: Any) -> bool:
    """Equality of nested values; tensors are compared bit for bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def kill(total: int, its_cases: list[Case], folder: Path, rng: random.Random) -> list[str]:
    """Kills runs until the total is reached; prints one line per kill, and returns all faults. folder: an empty one.

    WORKSHOP_DATA must hold draw_pictures()'s set.
    """
    (folder / "references").mkdir()
    references, faults, kills = References(folder / "references"), [], 0
    PROCESSES.set_forkserver_preload(["gan.runs.manager"])
    for number in range(2 * total):
        if kills == total:
            break
        case = its_cases[number % len(its_cases)]
        root, at_step, found = folder / f"run-{number}", 0, []
        root.mkdir()
        for _ in range(min(rng.choice((1, 2)), total - kills)):
            moment = Moment.draw(rng, case, at_step)
            life = live_and_kill(case, root, moment)
            if not life.killed_at or life.ended:
                if not life.ended or any(what != "finished" for _, what in life.told("ended")):
                    found.append(f"the run reached neither the kill nor its end: it said {life.said[-1:]}")
                break
            kills += 1
            its_faults, there = faults_after(life, root)
            found += its_faults
            lived = life.killed_at - life.said[0][0]
            print(f"kill {kills}, {case.name}: {lived:.2f} s in, {moment}; {there}: {'; '.join(its_faults) or 'ok'}", flush=True)
            at_step = max((int(step) for _, step in life.told("logged")), default=at_step)
        if workers(root).runs():
            found += finish(case, root, references)
        faults += [f"{case.name}, run {number}: {fault}" for fault in found]
    if kills < total:
        faults.append(f"only {kills} of {total} kills came before the end of a run")
    return faults


def finish(case: Case, root: Path, references: References) -> list[str]:
    """Resumes a killed run to its end, prints a line, and returns the faults."""
    for part in root.rglob("*.part"):  # as if a minute had passed: half-written files that others may be writing are left alone for so long
        os.utime(part, (time.time() - 2 * ABANDONED_S,) * 2)
    (run,) = workers(root).runs()
    # A run that ended before it was killed is not resumed, so nobody clears its folder: the file that was being written may stay aside.
    aside = {part.name for part in root.rglob(".status.json.*.part")} if run.state == "finished" else set()
    try:
        resumed = resume_to_the_end(root)
    except (ValueError, RuntimeError) as error:
        faults = [str(error)]
    else:
        changed = bool(resumed.read_interventions())
        faults = differences(resumed, references.folder(case, changed), case.config) + damaged(resumed)
        faults += [f"{part.name} was left behind" for part in root.rglob("*.part") if part.name not in aside]
        if len(workers(root).runs()) != 1:
            faults.append("more than one run is listed")
    print(f"  resumed to step {case.config.duration:g}: {'; '.join(faults) or 'all as in a run that was never killed'}", flush=True)
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        os.environ["WORKSHOP_DATA"] = f"{folder}/data"
        draw_pictures(Path(folder) / "data", 400)
        start = time.perf_counter()
        faults = kill(options.kills, cases(), Path(folder), random.Random(options.seed))
    print(f"{options.kills} kills (seed {options.seed}) in {time.perf_counter() - start:.0f} s: {len(faults)} faults")
    for fault in faults:
        print(f"  {fault}")
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
