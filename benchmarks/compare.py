"""The engine against the textbook loops, alternating, each leg in a process of its own.

python -m benchmarks.compare speed                        images/s, ratios, memory, share of the peak, quality in equal time
python -m benchmarks.compare logs --recipe lecture --seeds 0,1,2 --epochs 5     epoch means beside the source's log
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks import textbook
from gan import latent
from gan.bench import matmul_peak, peak_memory, step_flops
from gan.devices import cores
from gan.events import Metrics
from gan.images import to_float
from gan.recipes import recipe
from gan.training import epoch_images, new_state, sample, train

CPU = torch.device("cpu")
AGAINST = {"quick-digits": "lecture", "lecture": "lecture", "pyimagesearch": "pyimagesearch", "polarsparc": "polarsparc"}
JUDGED = 5000  # images of each kind

# What the sources print. G's loss, D's loss (the sum of its halves), D(x), D(G(z)); by epoch, as far as they say.
LOGS = {
    "lecture": {
        1: (1.5605, 1.1140, 0.6317, 0.3734),
        5: (1.1126, 1.1822, 0.5889, 0.4044),
        10: (0.9531, 1.2424, 0.5651, 0.4332),
        20: (1.0939, 1.1151, 0.6087, 0.3894),
    },
    "pyimagesearch": {1: (4.65, 0.37), 2: (1.53, 0.95), 3: (1.13, 1.10), 20: (1.0835, 1.1242)},
    "polarsparc": {},  # by batch: 0: G 2.23, D 1.71; 50: 8.91, 0.033; later D mostly 0.04 to 1.0, G 1 to 6
}


def engine(name: str, seconds: float, seed: int, images: str) -> dict[str, float | str]:
    """One leg of the engine; saves images of its averaged generator."""
    config = recipe(name).config.change(duration=seconds, duration_unit="seconds", seed=seed)
    dataset = textbook.digits(config.data_split, config.image_size)
    state = new_state(config, CPU)
    for _ in train(state, dataset):
        pass
    told = {"images_per_s": state.images_seen / state.elapsed_s, "peak_memory_gb": peak_memory(CPU) / 2**30}
    told |= {"precision": state.execution.precision, "threads": state.execution.threads}
    np.savez(images, images=sample(state.averaged, latent.noise(range(JUDGED), config.latent_dim, config.latent_distribution)))
    return told


class Judge:
    """Frechet distance in the features of a small CNN, trained here on the digits' labels: "FD (digits-CNN)"."""

    def __init__(self) -> None:
        everything = textbook.digits("all")
        reals, labels = everything.images, everything.labels
        rng = torch.Generator().manual_seed(0)
        torch.manual_seed(0)
        convs = nn.Sequential(
            *(nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(32 * 49, 64), nn.ReLU()),
        )
        head = nn.Linear(64, 10)
        adam = torch.optim.Adam([*convs.parameters(), *head.parameters()], 1e-3)
        for _ in range(2):
            for batch in torch.randperm(60_000, generator=rng).split(128):
                adam.zero_grad()
                F.cross_entropy(head(convs(to_float(reals[batch]))), labels[batch]).backward()
                adam.step()
        self._network = convs.eval()
        with torch.no_grad():
            right = head(self.features(reals[60_000:])).argmax(1) == labels[60_000:]
        self.accuracy = right.float().mean().item()
        self._held_out = self.features(reals[60_000 : 60_000 + JUDGED])
        self.floor = frechet(self._held_out, self.features(reals[:JUDGED]))

    @torch.no_grad()
    def features(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, 1, size, size) -> (N, 64)."""
        return torch.cat([self._network(F.interpolate(to_float(part), size=(28, 28), mode="area")) for part in images.split(1000)])

    def distance(self, path: str) -> float:
        """FD of the images in an .npz from held-out real ones."""
        with np.load(path, allow_pickle=False) as stored:
            return frechet(self._held_out, self.features(torch.from_numpy(stored["images"])))


def frechet(a: torch.Tensor, b: torch.Tensor) -> float:
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) of features (N, d) (Heusel et al. 2017)."""
    a, b = a.double(), b.double()
    ca, cb = torch.cov(a.T), torch.cov(b.T)
    roots = torch.linalg.eigvals(ca @ cb).real.clamp_min(0).sqrt().sum()
    return float((a.mean(0) - b.mean(0)).square().sum() + ca.trace() + cb.trace() - 2 * roots)


def leg(*command: str) -> dict[str, float]:
    """Runs one leg in a process of its own and reads its last line."""
    done = subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def speed(names: list[str], seconds: float, rounds: int) -> None:
    """The table: textbook and engine in turn, so that a slow minute of the machine hits both."""
    judge = Judge()
    print(f"{cores()} cores; FD (digits-CNN): accuracy of the CNN {judge.accuracy:.3f}, floor {judge.floor:.2f}")
    peaks = {precision: matmul_peak(precision, CPU) for precision in ("fp32", "bf16")}
    print(f"matrix-product peak: {peaks['fp32']:.0f} GFLOP/s in fp32, {peaks['bf16']:.0f} in bf16\n")
    for name in names:
        flops = step_flops(recipe(name).config) / recipe(name).config.batch_size / 1e9
        legs: dict[str, list[dict[str, float]]] = {"textbook": [], "engine": []}
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "images.npz")
            for i in range(rounds):
                told = leg("benchmarks.textbook", AGAINST[name], "--seconds", str(seconds), "--seed", str(i), "--images", path, "--json")
                legs["textbook"].append(told | {"fd": judge.distance(path)})
                told = leg("benchmarks.compare", "engine", "--recipe", name, "--seconds", str(seconds), "--seed", str(i), "--images", path)
                legs["engine"].append(told | {"fd": judge.distance(path)})
        precision = str(legs["engine"][0]["precision"])
        print(f"{name} ({precision}) against the textbook {AGAINST[name]}, {rounds} rounds of {seconds:g} s:")
        for who, results in legs.items():
            rates = [r["images_per_s"] for r in results]
            rate, memory = statistics.median(rates), max(r["peak_memory_gb"] for r in results)
            share = rate * flops / peaks[precision if who == "engine" else "fp32"]
            fds = " ".join(f"{r['fd']:.1f}" for r in results)
            spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
            print(f"  {who:9} {rate:8,.0f} images/s ({spread}), {memory:.2f} GiB, {share:.0%} of the peak, FD after {seconds:g} s: {fds}")
        ratios = [e["images_per_s"] / t["images_per_s"] for t, e in zip(legs["textbook"], legs["engine"], strict=True)]
        print(f"  ratio {statistics.median(ratios):.2f} ({', '.join(f'{r:.2f}' for r in ratios)})\n", flush=True)


def logs(name: str, seeds: list[int], epochs: int) -> None:
    """Epoch means of the engine beside what the source prints."""
    base = recipe(name).config
    dataset = textbook.digits(base.data_split, base.image_size)
    steps = epoch_images(base, dataset) // base.batch_size
    log_every = max(n for n in range(1, 21) if steps % n == 0)
    found: dict[int, list[np.ndarray]] = {}
    for seed in seeds:
        config = base.change(seed=seed, duration=epochs, duration_unit="epochs", log_every=log_every, grid_every=1_000_000)
        rows: dict[int, list[tuple[float, ...]]] = {}
        for event in train(new_state(config, CPU), dataset):
            if isinstance(event, Metrics):
                row = (event.loss_g, event.loss_d, event.d_real, event.d_fake, event.d_fake_after)
                rows.setdefault((event.step - 1) // steps + 1, []).append(row)
        for epoch, of_epoch in rows.items():
            found.setdefault(epoch, []).append(np.mean(of_epoch, axis=0))
    print(f"{name}, seeds {', '.join(map(str, seeds))}: mean over seeds (lowest to highest)")
    print(f"{'epoch':>12} {'G':>22} {'D':>22} {'D(x)':>22} {'D(G(z)) before':>22} {'after':>22}")

    def line(title: str, results: list[np.ndarray]) -> None:
        cells = (f"{np.mean(v):.3f} ({np.min(v):.3f} to {np.max(v):.3f})" for v in np.array(results).T)
        print(f"{title:>12} " + " ".join(f"{cell:>22}" for cell in cells))

    for epoch, results in sorted(found.items()):
        line(str(epoch), results)
        if epoch in LOGS[name]:
            print(f"{'source':>12} " + " ".join(f"{value:>22.3f}" for value in LOGS[name][epoch]))
    if epochs >= 5:
        line("3 to 5", [np.mean([found[e][i] for e in (3, 4, 5)], axis=0) for i in range(len(seeds))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "logs", "engine"], help="'engine' is one leg of 'speed'")
    parser.add_argument("--recipe", action="append", choices=AGAINST, help="may be repeated")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--images", default="images.npz")
    options = parser.parse_args()
    names = options.recipe or list(AGAINST)
    if options.what == "speed":
        speed(names, options.seconds, options.rounds)
    elif options.what == "logs":
        for name in names:
            logs(name, [int(seed) for seed in options.seeds.split(",")], options.epochs)
    else:
        print(json.dumps(engine(names[0], options.seconds, options.seed, options.images)))


if __name__ == "__main__":
    main()
