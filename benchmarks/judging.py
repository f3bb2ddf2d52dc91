"""What scoring costs a run while it trains.

    python -m benchmarks.judging [--recipe quick-digits] [--windows 20] [--seconds 8]

One run, in a process like the server's, is scored in every other window of time, and each pair of neighboring windows gives a
ratio. So a machine that is slow for minutes slows both sides equally, unlike alternating whole runs. Other work on the same cores
still disturbs it, so stop other work first. Speed is images_seen / elapsed_s, from metrics.jsonl. Preparing the judge comes before
the first window and is reported separately.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from gan.recipes import recipe
from gan.runs.manager import RunManager
from gan.runs.run import Run
from gan.runs.states import AT_WORK
from gan.runs.watch import Watch
from gan.training.state import TrainState

ENDS_BEFORE_S = 1.0  # before the end of a window, no new scoring starts, so each scoring is inside its window
PATIENCE_S = 300.0  # for the first scoring


class Windows:
    """Says when a run may be scored: always at first, then in every other window.

    Attributes:
        start: perf_counter() of the first window; None before.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.start: float | None = None

    def open(self) -> bool:
        """Whether a scoring may start now."""
        if self.start is None:
            return True
        number, past = divmod(time.perf_counter() - self.start, self.seconds)
        return number % 2 == 0 and past < self.seconds - ENDS_BEFORE_S

    def only_when_open(self) -> None:
        """Makes every watch of this process respect the windows."""
        due = Watch.due

        def due_when_open(watch: Watch, state: TrainState, at_the_end: bool = False) -> bool:
            return self.open() and due(watch, state, at_the_end)

        Watch.due = due_when_open  # type: ignore[method-assign, assignment]  # this process measures windows, all watches of it


def wait_for_first(run: Run) -> float:
    """Waits until the run has been scored once; returns the seconds of training until then."""
    deadline = time.perf_counter() + PATIENCE_S
    while not (judged := run.folder.read_judged()):
        if time.perf_counter() > deadline or run.state not in AT_WORK:
            raise SystemExit(f"the run was not scored; it is {run.state}: {run.status()['error'] or run.status()}")
        time.sleep(0.1)
    step = judged[0]["step"]
    columns = run.history.since(0, 10**9)
    return float(np.interp(step, columns["step"], columns["elapsed_s"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="quick-digits")
    parser.add_argument("--windows", type=int, default=20, help="pairs of a window with scoring and one without")
    parser.add_argument("--seconds", type=float, default=8, help="of a window")
    options = parser.parse_args()
    if options.windows < 1 or options.seconds <= ENDS_BEFORE_S:
        parser.error(f"a window must be longer than {ENDS_BEFORE_S:g} s")
    windows = Windows(options.seconds)
    windows.only_when_open()
    count, seconds = 2 * options.windows, options.seconds
    with tempfile.TemporaryDirectory() as folder:
        manager = RunManager(Path(folder), device="cpu")
        config = recipe(options.recipe).config.change(duration=PATIENCE_S + count * seconds + 60, duration_unit="seconds")
        run = manager.submit(config, options.recipe)
        print(f"{options.recipe}: scored for the first time after {wait_for_first(run):.1f} s of training", flush=True)
        windows.start = start = time.perf_counter()
        began = start - run.history.since(0, 10**9)["elapsed_s"][-1]  # of the run's clock, to a row
        time.sleep(count * seconds + 2.0)
        columns, judged = run.history.since(0, 10**9), run.folder.read_judged()
        manager.shutdown()
    edges = np.interp(start - began + seconds * np.arange(count + 1), columns["elapsed_s"], np.array(columns["images_seen"], float))
    speeds = np.diff(edges) / seconds
    ratios = speeds[0::2] / speeds[1::2]
    steps = np.interp(start - began + seconds * np.arange(count + 1), columns["elapsed_s"], columns["step"])
    within = [row for row in judged if steps[0] <= row["step"] <= steps[-1]]
    share = sum(row["elapsed_s"] for row in within) / (options.windows * seconds)
    error = statistics.stdev(ratios) / len(ratios) ** 0.5 if len(ratios) > 1 else float("nan")
    print(f"alone {np.median(speeds[1::2]):,.0f} images/s, with scoring {np.median(speeds[0::2]):,.0f}")
    print(
        f"{len(within)} scorings of {statistics.median(row['elapsed_s'] for row in within):.2f} s: {share:.1%} of the windows with scoring"
    )
    print(
        f"with scoring compared with alone: {np.median(ratios):.3f} in the median of {len(ratios)} pairs, mean {ratios.mean():.3f} ± {error:.3f} "
        f"({ratios.min():.3f} to {ratios.max():.3f}); aim: at least 0.95"
    )


if __name__ == "__main__":
    main()
