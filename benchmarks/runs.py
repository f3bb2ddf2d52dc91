"""Two runs at once in one process, as on the server, compared with one alone.

python -m benchmarks.runs: alternates one run (WORKSHOP_MAX_RUNS=1) and two (=2), each in its own process.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gan.config import TrainConfig
from gan.recipes import recipe
from gan.runs.manager import RunManager
from gan.runs.run import Run
from gan.runs.states import AT_WORK


def leg(name: str, runs: int, seconds: float, device: str = "cpu", config: TrainConfig | None = None) -> float:
    """Images/s of several runs together, from the moment at which all of them have measured something.

    config: settings that differ from the recipe's.

    Raises:
        RuntimeError: a run ended early.
    """
    config = (config or recipe(name).config).change(duration=1_000_000, duration_unit="steps")
    with tempfile.TemporaryDirectory() as folder:
        manager = RunManager(Path(folder), max_runs=runs, device=device)
        try:
            started = [manager.submit(config.change(seed=i), name) for i in range(runs)]
            while not all(len(run.history) for run in started):
                time.sleep(0.05)
                _check(started)
            begin, before = time.perf_counter(), _images_seen(started)
            time.sleep(seconds)
            while _images_seen(started) == before:  # a busy machine may give them no time meanwhile
                _check(started)
                time.sleep(0.01)
            _check(started)
            return (_images_seen(started) - before) / (time.perf_counter() - begin)
        finally:
            manager.shutdown()


def _images_seen(started: list[Run]) -> int:
    return sum(run.status()["images_seen"] for run in started)


def _check(started: list[Run]) -> None:
    if ended := [run for run in started if run.state not in AT_WORK]:
        raise RuntimeError(f"a run ended as {ended[0].state}: {ended[0].error}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="quick-digits")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--leg", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.leg:
        print(json.dumps(leg(options.recipe, options.leg, options.seconds)))
        return
    ratios = []
    for _ in range(options.rounds):
        rates = []
        for runs in (1, 2):
            command = [sys.executable, "-m", "benchmarks.runs", "--recipe", options.recipe, "--seconds", str(options.seconds)]
            done = subprocess.run([*command, "--leg", str(runs)], check=True, capture_output=True, encoding="utf-8")
            rates.append(float(json.loads(done.stdout.splitlines()[-1])))
        ratios.append(rates[1] / rates[0])
        print(f"one alone {rates[0]:,.0f} images/s, two together {rates[1]:,.0f}: {ratios[-1]:.2f}", flush=True)
    print(f"two compared with one: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
