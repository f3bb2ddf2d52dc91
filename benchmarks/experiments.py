"""The experiments of the lesson "Do DCGAN's rules hold?": how both runs of each one end, with seeds other than the lesson's.

    python -m benchmarks.experiments [--only batch-norm ...] [--seeds 1 2] [--set lr_g=0.001 ...]

Each run goes through the app's own queue and scoring, one after the other. A baseline is trained once per seed. FD is the last score
of 500 images with its standard error, as the lesson shows it; the floor is the score of as many real images.
"""

import argparse
import tempfile
import time
from pathlib import Path

from gan.config import TrainConfig, parse_setting
from gan.course.experiments import EXPERIMENTS, result
from gan.doctor.checkup import Checkups
from gan.judging.judgements import Judgement
from gan.runs.manager import RunManager


class Bench:
    """Trains each run once and remembers its score."""

    def __init__(self, manager: RunManager) -> None:
        self.manager, self.checkups = manager, Checkups()
        self.known: dict[str, tuple[Judgement | None, str]] = {}

    def score(self, config: TrainConfig) -> tuple[Judgement | None, str]:
        """The last score, and a line about the run."""
        key = config.model_dump_json()
        if key not in self.known:
            run = self.manager.submit(config)
            while run.at_work:
                time.sleep(0.2)
            scores, status = run.folder.read_judged(), run.status()
            found = ", ".join(finding.key for finding in self.checkups.of(run).findings()) or "nothing found"
            last = scores[-1] if scores else None
            fd = f"FD {last.fd:.1f} ± {last.fd_error:.1f} (floor {last.fd_floor:.1f})" if last else "no score"
            self.known[key] = last, f"{fd}, {status.step} steps in {status.elapsed_s:.0f} s, {status.state}, {found}"
        return self.known[key]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(EXPERIMENTS), default=list(EXPERIMENTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--set", nargs="*", type=parse_setting, default=[], metavar="FIELD=VALUE", help="changes the run with the change")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        manager = RunManager(Path(folder))
        bench = Bench(manager)
        try:
            for seed in options.seeds:
                for name in options.only:
                    baseline, changed = (config.change(seed=seed) for config in EXPERIMENTS[name].configs())
                    (before, said), (after, then) = bench.score(baseline), bench.score(changed.change(**dict(options.set)))
                    print(f"{name}, seed {seed}: {result(before, after)}\n  baseline: {said}\n  changed:  {then}", flush=True)
        finally:
            manager.shutdown()


if __name__ == "__main__":
    main()
