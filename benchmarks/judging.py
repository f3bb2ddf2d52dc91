"""What judging a run while it trains costs it.

python -m benchmarks.judging: alternates runs that are judged and runs that are not, each leg in a process of its own, as the server
trains them. Speed is images_seen over elapsed_s of the whole run, so that making the judge ready counts too.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gan.manager import RunManager
from gan.recipes import recipe
from gan.runs import AT_WORK

MARK = "LEG "


def leg(name: str, seconds: float) -> dict[str, float]:
    """One run: its speed, how often it was judged, and what share of its time that took."""
    with tempfile.TemporaryDirectory() as folder:
        manager = RunManager(Path(folder), device="cpu")
        run = manager.submit(recipe(name).config.change(duration=seconds, duration_unit="seconds"), name)
        while run.state in AT_WORK:
            time.sleep(0.2)
        status, rows = run.status(), run.folder.read_judged()
        manager.shutdown()
        if status["state"] != "finished":
            raise SystemExit(f"the run is {status['state']}: {status['error']}")
    cost = sum(row["elapsed_s"] for row in rows if row["step"] < status["step"])  # the last one comes when training has ended
    return {
        "images_per_s": status["images_seen"] / status["elapsed_s"],
        "judged": len(rows),
        "share": cost / status["elapsed_s"],
        "each_s": statistics.median(row["elapsed_s"] for row in rows) if rows else 0.0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="quick-digits")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--leg", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.leg:
        print(MARK + json.dumps(leg(options.recipe, options.seconds)))
        return
    ratios = []
    for number in range(options.rounds):
        found = {}
        for judged in ("0", "1") if number % 2 else ("1", "0"):
            command = [sys.executable, "-m", "benchmarks.judging", "--recipe", options.recipe, "--seconds", str(options.seconds), "--leg"]
            environment = os.environ | {"WORKSHOP_JUDGE": judged}
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            line = next(line for line in done.stdout.splitlines() if line.startswith(MARK))
            found[judged] = json.loads(line.removeprefix(MARK))
        without, judging = found["0"], found["1"]
        ratios.append(judging["images_per_s"] / without["images_per_s"])
        print(
            f"alone {without['images_per_s']:,.0f} images/s, judged {judging['judged']} times (each {judging['each_s']:.2f} s, "
            f"{judging['share']:.1%} of the time) {judging['images_per_s']:,.0f}: {ratios[-1]:.3f}",
            flush=True,
        )
    print(f"{options.recipe}, judged against alone: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
