"""Does a run find the right number of processor threads when other work comes and goes?

    python -m benchmarks.busy [--recipe quick-digits] [--busy 0 1 2 4] [--cycles 2] [--seconds 7]
    python -m benchmarks.busy --browser [--rounds 2]

Each contender has its own process: one run that chooses its threads while it trains, and one for each fixed number. The choosing run
starts on an idle machine. Then the given number of other processes do nothing but count, and it has 10 seconds to find its threads.
From then on, all contenders train in turns next to the same processes; SIGSTOP stops those that do not have their turn. "of the best"
is the median, over the cycles, of its speed divided by that of the best fixed number in the same cycle. "others" is how many cores
unrelated processes used meanwhile: if it is not about 0, the machine was not idle.

With --browser, all of it happens in the real server, while a headless Chromium on the same cores shows the run's Train page: one
server per contender, in turns. The run starts alone, the browser comes, and images are counted from 10 seconds later on.

The cores are this process's own, so `taskset -c 0,1 python -m benchmarks.busy` measures two of many.
"""

import argparse
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import TracebackType
from typing import NamedTuple

import torch

from benchmarks.browser import launch
from benchmarks.serving import Workshop
from gan.devices import cores
from gan.events import Event, ThreadChange
from gan.recipes import recipe
from gan.training.bench import CLASSES, random_images
from gan.training.execution import choose_execution
from gan.training.loop import Control, train
from gan.training.state import Execution, TrainState, new_state

CPU = torch.device("cpu")
SETTLES_S = 10.0  # time for the run to find its threads
LEAD_S = 0.5  # of a turn, before images are counted
ENDLESS = 10**7  # steps


class Turn(NamedTuple):
    """One contender's results in its turn.

    Attributes:
        images_per_s: images/s.
        changed_s: seconds until the last change of threads; 0 for none.
        threads: at the end.
        seconds: by the clock.
        cpu_s: processor time of its process.
    """

    images_per_s: float
    changed_s: float
    threads: int
    seconds: float
    cpu_s: float


# In a child process, which holds one run.
_state: TrainState
_events: Iterator[Event]


def numbers() -> list[int]:
    """The fixed numbers of threads to compare with: one, two, four and so on, and all cores."""
    return sorted({*(2**i for i in range(cores().bit_length()) if 2**i <= cores()), cores()})


def _begin(name: str, execution: Execution, fixed: bool) -> None:
    global _state, _events
    config = recipe(name).config.change(duration=ENDLESS, duration_unit="steps", log_every=1)
    _state = new_state(config, CPU, class_names=CLASSES if config.conditional else (), execution=execution)
    control = Control()
    if fixed:
        control.repeat((), until=ENDLESS)
    _events = train(_state, random_images(config), control)


def _turn(seconds: float) -> Turn:
    seen, start, start_cpu_s, changed_s = _state.images_seen, time.perf_counter(), time.process_time(), 0.0
    while (now_s := time.perf_counter() - start) < seconds:
        if isinstance(next(_events), ThreadChange):
            changed_s = now_s
    cpu_s = time.process_time() - start_cpu_s
    return Turn((_state.images_seen - seen) / now_s, changed_s, _state.execution.threads, now_s, cpu_s)


class Contender:
    """A process with one run, stopped except during its turns. A context manager that ends it."""

    def __init__(self, name: str, execution: Execution, fixed: bool) -> None:
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        self._pid = self._pool.submit(os.getpid).result()
        self._pool.submit(_begin, name, execution, fixed).result()
        os.kill(self._pid, signal.SIGSTOP)

    def __enter__(self) -> "Contender":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.kill(self._pid, signal.SIGCONT)
        self._pool.shutdown()

    def turn(self, seconds: float) -> Turn:
        os.kill(self._pid, signal.SIGCONT)
        try:
            return self._pool.submit(_turn, seconds).result()
        finally:
            os.kill(self._pid, signal.SIGSTOP)


def used_s(pids: list[int]) -> float:
    """Core-seconds that the machine has worked so far, without these processes; 0 if the system does not say."""
    try:
        with open("/proc/stat", encoding="utf-8") as file:
            user, nice, system, _, _, *interrupts = (int(ticks) for ticks in file.readline().split()[1:8])
        ours = 0
        for pid in pids:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                ours += sum(int(ticks) for ticks in file.read().rpartition(")")[2].split()[11:13])
    except (OSError, ValueError):
        return 0.0
    return (user + nice + system + sum(interrupts) - ours) / os.sysconf("SC_CLK_TCK")


@contextmanager
def busy(processes: int) -> Iterator[list[int]]:
    """Processes that do nothing but count; yields their ids."""
    counting = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield [process.pid for process in counting]
    finally:
        for process in counting:
            process.kill()
            process.wait()


def report(load: str, speeds: dict[int, list[float]], said: str) -> None:
    """A row of the table. speeds: images/s of each turn, by number of threads; 0 for the run that chooses."""
    medians = {threads: statistics.median(of) for threads, of in speeds.items()}
    best = max((threads for threads in speeds if threads), key=lambda threads: medians[threads])
    share = statistics.median(own / other for own, other in zip(speeds[0], speeds[best], strict=True))
    fixed = " | ".join(f"{medians[threads]:,.0f}" for threads in speeds if threads)
    print(f"| {load} | {fixed} | {medians[0]:,.0f} | {share:.0%} | {said} |", flush=True)


def heading(last: str) -> None:
    columns = ["next to", *(f"{threads} thread{'s' * (threads > 1)}" for threads in numbers()), "chosen", "of the best", last]
    row = " | ".join(columns)
    print(f"| {row} |\n|{'---|' * (row.count('|') + 1)}", flush=True)


def compare_processes(name: str, loads: list[int], cycles: int, seconds: float) -> None:
    """The table for processes that count."""
    execution = choose_execution(recipe(name).config, CPU, cores())
    print(f"{name}, {execution.precision}, {cores()} cores; images/s, medians of {cycles} turns of {seconds:g} s\n")
    heading("last change of threads | others")
    with ExitStack() as stack:
        contenders = {
            threads: stack.enter_context(Contender(name, replace(execution, threads=threads or cores()), threads > 0))
            for threads in (0, *numbers())
        }

        def measure(load: str, pids: list[int]) -> None:
            found = contenders[0].turn(SETTLES_S)
            speeds: dict[int, list[float]] = {threads: [] for threads in contenders}
            others = []
            for _ in range(cycles):
                for threads, contender in contenders.items():
                    contender.turn(LEAD_S)
                    before_s = used_s(pids)
                    turn = contender.turn(seconds)
                    speeds[threads].append(turn.images_per_s)
                    others.append((used_s(pids) - before_s - turn.cpu_s) / turn.seconds)
            said = f"after {found.changed_s:.1f} s, to {found.threads}" if found.changed_s else f"none, {found.threads}"
            report(load, speeds, f"{said} | {max(0.0, statistics.mean(others)):.2f}")

        for contender in contenders.values():
            contender.turn(2.0)  # warms up
        for processes in loads:
            if processes:
                contenders[0].turn(4.0)
            with busy(processes) as pids:
                measure(f"{processes} busy" if processes else "nothing", pids)


def in_the_server(threads: int, precision: str, seconds: float) -> float:
    """images/s of a run in the server that a browser shows. threads: 0: the run chooses."""
    from playwright.sync_api import sync_playwright

    with Workshop(SETTLES_S + 3 * seconds + 30, threads, precision) as workshop, sync_playwright() as playwright:
        time.sleep(5)
        chromium = launch(playwright)
        page = chromium.new_page()
        page.goto(f"http://127.0.0.1:{workshop.port}/train?run={workshop.run_id}")
        page.wait_for_function("() => document.querySelector('.rv-chart')?.data?.[0]?.x.length > 1", timeout=60_000)
        page.wait_for_timeout(1000 * SETTLES_S)
        seen, start = workshop.progress(), time.perf_counter()
        page.wait_for_timeout(1000 * seconds)
        speed = (workshop.progress() - seen) / (time.perf_counter() - start)
        chromium.close()
        changes = workshop.run_folder / "interventions.jsonl"
        times = len(changes.read_text(encoding="utf-8").splitlines()) if changes.exists() else 0
        print(f"{threads or 'chosen'}: {speed:,.0f} images/s, {times} changes of threads", file=sys.stderr, flush=True)
        return speed


def compare_with_a_browser(rounds: int, seconds: float) -> None:
    """The table for a browser."""
    precision = choose_execution(recipe("quick-digits").config, CPU, cores()).precision
    print(f"quick-digits in the server, {precision}, {cores()} cores; images/s, medians of {rounds} rounds of {seconds:g} s\n")
    heading("rounds of the one that chooses")
    speeds: dict[int, list[float]] = {threads: [] for threads in (0, *numbers())}
    for _ in range(rounds):
        for threads, of in speeds.items():
            of.append(in_the_server(threads, precision, seconds))
    report("Chromium", speeds, ", ".join(f"{speed:,.0f}" for speed in speeds[0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="quick-digits")
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2, 4], help="how many processes, load after load")
    parser.add_argument("--cycles", type=int, default=2)
    parser.add_argument("--seconds", type=float, help="of a turn: 7, or 10 with --browser")
    parser.add_argument("--browser", action="store_true", help="next to a browser that shows the run, in the server")
    parser.add_argument("--rounds", type=int, default=2, help="with --browser")
    options = parser.parse_args()
    if options.browser:
        compare_with_a_browser(options.rounds, options.seconds or 10.0)
    else:
        compare_processes(options.recipe, options.busy, options.cycles, options.seconds or 7.0)


if __name__ == "__main__":
    main()
