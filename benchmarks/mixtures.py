"""How many modes of two-dimensional mixtures of Gaussians a GAN finds, with and without packing, next to published results.

    python -m benchmarks.mixtures                           # a few minutes on one core: narrow networks, few steps
    python -m benchmarks.mixtures --full --device cuda      # the published widths, rate and number of steps
    python -m benchmarks.mixtures --only ring --packing 2   # one row

The ring of 8 and the grid of 25 of Lin et al. 2018 (PacGAN, section 4.1), with the networks of their code (github.com/fjxmlzn/PacGAN): G
of four hidden layers with batch normalization and ReLU, D of three maxout layers of five pieces. Losses, packing and the order of a step
are
the engine's (gan.training.losses, gan.networks): D, then G on the same fakes; their code steps both at once. All trials of a row
train at once, as one batch of networks that share nothing: each has its own data, latent vectors, weights, moments and batch statistics.
"""

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from gan.devices import choose_device, describe_device
from gan.judging.metrics import kl_divergence
from gan.training import losses

PIECES = 5  # of maxout
BETA1 = 0.8
MOMENTUM = 0.05  # of the running statistics of batch normalization
BATCH = 100  # packs in a step
DATA = 100_000  # samples of the mixture in a trial's training data
JUDGED = 2500  # generated samples
TOLERANCE = 3  # a sample within this many standard deviations of its mode is of high quality
DRAWN_AT_ONCE = 64  # steps whose latent vectors are drawn together


@dataclass(frozen=True)
class Mixture:
    """Gaussians of equal weight and spread.

    Attributes:
        name: as printed.
        means: (modes, 2).
        deviation: of each Gaussian, in both directions.
    """

    name: str
    means: torch.Tensor
    deviation: float

    def draw(self, shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
        """Samples (*shape, 2)."""
        modes = torch.randint(len(self.means), shape, generator=rng)
        return self.means[modes] + self.deviation * torch.randn(*shape, 2, generator=rng)


def _ring(modes: int) -> torch.Tensor:
    angles = torch.arange(modes) * (2 * math.pi / modes)
    return torch.stack([angles.cos(), angles.sin()], 1)


MIXTURES = {
    "ring": Mixture("ring of 8", _ring(8), 0.01),
    "grid": Mixture("grid of 25", torch.cartesian_prod(*[torch.arange(-4.0, 5.0, 2.0)] * 2), 0.05),
}
# Modes found, mean and standard error of ten trials (Lin et al. 2018, table 1): mixture -> packing -> row.
PUBLISHED = {"ring": {1: (6.3, 0.5), 2: (7.9, 0.1)}, "grid": {1: (17.3, 0.8), 2: (23.8, 0.7)}}


@dataclass(frozen=True)
class Setting:
    """The size of the networks and the length of training.

    Attributes:
        name: as printed.
        generator, discriminator: width of their hidden layers.
        lr: of both.
        steps: of each network.
        deviation: of the initial weights.
        fades: whether the rate falls evenly to 0, so samples settle on their modes in a short run.
    """

    name: str
    generator: int
    discriminator: int
    lr: float
    steps: int
    deviation: float
    fades: bool


FULL = Setting("full setting, as published", 400, 200, 1e-4, 400_000, 0.02, False)
CPU = Setting("scaled down for a CPU", 64, 32, 2e-3, 16_000, 0.02, True)


class Linears(nn.Module):
    """One linear layer of each of K networks: (K, N, inputs) -> (K, N, outputs)."""

    def __init__(self, networks: int, inputs: int, outputs: int, deviation: float, rng: torch.Generator, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(deviation * torch.randn(networks, inputs, outputs, generator=rng))
        self.bias = nn.Parameter(torch.zeros(networks, 1, outputs)) if bias else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.bmm(x, self.weight) if self.bias is None else torch.baddbmm(self.bias, x, self.weight)


class Norms(nn.BatchNorm1d):
    """Batch normalization in each of K networks by its own samples: (K, N, width) -> the same."""

    def __init__(self, networks: int, width: int) -> None:
        super().__init__(networks * width, momentum=MOMENTUM)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        networks, n, width = x.shape
        return super().forward(x.transpose(0, 1).reshape(n, networks * width)).view(n, networks, width).transpose(0, 1)


class Maxout(nn.Module):
    """The largest of PIECES linear layers (Goodfellow et al. 2013): (K, N, inputs) -> (K, N, outputs)."""

    def __init__(self, networks: int, inputs: int, outputs: int, deviation: float, rng: torch.Generator) -> None:
        super().__init__()
        self.pieces = Linears(networks, inputs, PIECES * outputs, deviation, rng)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # As a pooling over the pieces, channels last: its backward pass takes a third of amax's time on a CPU.
        pieces = self.pieces(x).view(1, x.shape[0] * x.shape[1], PIECES, -1).permute(0, 3, 1, 2)
        return F.max_pool2d(pieces, (1, PIECES)).permute(0, 2, 3, 1).reshape(*x.shape[:2], -1)


def generators(networks: int, setting: Setting, rng: torch.Generator) -> nn.Sequential:
    """K generators: latent vectors (K, N, 2) -> samples (K, N, 2)."""
    layers: list[nn.Module] = []
    before = 2
    for _ in range(4):
        layers += [Linears(networks, before, setting.generator, setting.deviation, rng, bias=False), Norms(networks, setting.generator)]
        layers += [nn.ReLU(inplace=True)]
        before = setting.generator
    return nn.Sequential(*layers, Linears(networks, before, 2, setting.deviation, rng))


class Discriminators(nn.Module):
    """K discriminators: samples (K, N, 2) -> logits (K, N / packing)."""

    def __init__(self, networks: int, packing: int, setting: Setting, rng: torch.Generator) -> None:
        super().__init__()
        self.packing = packing
        widths = [2 * packing] + 3 * [setting.discriminator]
        layers = [Maxout(networks, widths[i], widths[i + 1], setting.deviation, rng) for i in range(3)]
        self.layers = nn.Sequential(*layers, Linears(networks, widths[-1], 1, setting.deviation, rng))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        packs = x.reshape(
            len(x), -1, self.packing * x.shape[2]
        )  # m samples as one sample with m times the numbers (Lin et al. 2018, section 3)
        return self.layers(packs).squeeze(2)


@dataclass
class Trials:
    """K networks of each kind, and their training data (K, n, 2)."""

    generators: nn.Sequential
    discriminators: Discriminators
    data: torch.Tensor
    rng: torch.Generator  # on the device


def new_trials(mixture: Mixture, packing: int, trials: int, setting: Setting, seed: int, device: torch.device) -> Trials:
    """Trials before their first step. Their initial weights and data are the same on every device."""
    rng = torch.Generator().manual_seed(seed)
    g, d = generators(trials, setting, rng).to(device), Discriminators(trials, packing, setting, rng).to(device)
    return Trials(g, d, mixture.draw((trials, DATA), rng).to(device), torch.Generator(device).manual_seed(seed + 1))


def train(trials: Trials, setting: Setting) -> Iterator[int]:
    """Trains all trials, yielding the number of each completed step."""
    g, d, data, rng = trials.generators.train(), trials.discriminators, trials.data, trials.rng
    networks, device, size = len(data), data.device, BATCH * d.packing
    betas = (BETA1, 0.999)
    optimizer_g, optimizer_d = (torch.optim.Adam(n.parameters(), setting.lr, betas, fused=True) for n in (g, d))
    rows = torch.arange(networks, device=device)[:, None]
    for step in range(setting.steps):
        if setting.fades:
            for group in (*optimizer_g.param_groups, *optimizer_d.param_groups):
                group["lr"] = setting.lr * (1 - step / setting.steps)
        if step % DRAWN_AT_ONCE == 0:
            noise = torch.randn(DRAWN_AT_ONCE, networks, size, 2, generator=rng, device=device)
            picks = torch.randint(data.shape[1], (DRAWN_AT_ONCE, networks, size), generator=rng, device=device)
        real, fake = data[rows, picks[step % DRAWN_AT_ONCE]], g(noise[step % DRAWN_AT_ONCE])
        on_real, on_fake = d(torch.cat([real, fake.detach()], 1)).split(BATCH, 1)
        optimizer_d.zero_grad(set_to_none=True)
        # The mean over all networks, times their number: each network's gradient is that of its own loss.
        (networks * losses.discriminator_loss(on_real, on_fake)).backward()
        optimizer_d.step()
        d.requires_grad_(False)
        optimizer_g.zero_grad(set_to_none=True)
        (networks * losses.generator_loss(d(fake))).backward()
        optimizer_g.step()
        d.requires_grad_(True)
        yield step + 1


@torch.no_grad()
def generate(trials: Trials, n: int = JUDGED) -> torch.Tensor:
    """Samples (K, n, 2) of the generators, each independent of the others in the batch."""
    noise = torch.randn(len(trials.data), n, 2, generator=trials.rng, device=trials.data.device)
    trials.generators.eval()
    samples: torch.Tensor = trials.generators(noise)
    trials.generators.train()
    return samples.cpu()


@dataclass(frozen=True)
class Found:
    """What one generator's samples show of a mixture.

    Attributes:
        modes: those with at least one sample of high quality, which lies within three standard deviations of its nearest mode.
        quality: share of samples of high quality.
        kl: from the shares of the modes among these samples to equal shares, in nats ("reverse KL"); NaN if there are none.
    """

    modes: int
    quality: float
    kl: float


def judge(samples: torch.Tensor, mixture: Mixture) -> Found:
    """Coverage of samples (n, 2)."""
    modes = len(mixture.means)
    distances, nearest = torch.cdist(samples.double(), mixture.means.double()).min(1)
    good = nearest[distances < TOLERANCE * mixture.deviation]
    if not len(good):
        return Found(0, 0.0, math.nan)
    shares = np.bincount(good.numpy(), minlength=modes) / len(good)
    return Found(int((shares > 0).sum()), len(good) / len(samples), kl_divergence(shares, np.full(modes, 1 / modes)))


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """Mean and its standard error; the error of one value is NaN."""
    numbers = torch.tensor(values, dtype=torch.float64)
    return numbers.mean().item(), (numbers.std() / math.sqrt(len(values))).item() if len(values) > 1 else math.nan


def row(kind: str, packing: int, found: list[Found]) -> str:
    """One line of the table: these trials next to the published row."""
    modes, error = mean_and_error([f.modes for f in found])
    quality, quality_error = mean_and_error([100 * f.quality for f in found])
    kl, kl_error = mean_and_error([f.kl for f in found])
    published, published_error = PUBLISHED[kind][packing]
    apart = (modes - published) / math.hypot(error, published_error)
    called = f"{MIXTURES[kind].name}, {'GAN' if packing == 1 else f'packing {packing}'}"
    return (
        f"{called:24}{f'{modes:.1f} ± {error:.1f}':16}{f'{published:.1f} ± {published_error:.1f}':16}{f'{apart:+.1f}':18}"
        f"{f'{quality:.1f} ± {quality_error:.1f} %':18}{kl:.2f} ± {kl_error:.2f}"
    )


def _told(setting: Setting, trials: int) -> str:
    return (
        f"G 4 x {setting.generator}, D 3 x {setting.discriminator} maxout, Adam {setting.lr:g}{', falling to 0' if setting.fades else ''}, "
        f"{setting.steps:,} steps of {BATCH} packs, {trials} trials"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="the published setting, for a GPU: hours")
    parser.add_argument("--only", choices=MIXTURES)
    parser.add_argument("--packing", type=int, choices=(1, 2), help="only one of the two")
    parser.add_argument("--trials", type=int, help="10 with --full, as published, else 5")
    parser.add_argument("--steps", type=int, help="instead of the setting's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", type=choose_device, default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    setting = FULL if given.full else CPU
    setting, count = replace(setting, steps=given.steps or setting.steps), given.trials or (10 if given.full else 5)
    print(f"{setting.name}: {_told(setting, count)}")
    if not given.full:
        print(f"published: {_told(FULL, 10)}")
    print(f"{describe_device(given.device)}, {given.threads} threads; mean and standard error of the trials")
    print(f"{'':24}{'modes':16}{'published':16}{'apart, in s.e.':18}{'high quality':18}reverse KL")
    for kind in [given.only] if given.only else MIXTURES:
        for packing in [given.packing] if given.packing else (1, 2):
            began = time.perf_counter()
            trials = new_trials(MIXTURES[kind], packing, count, setting, given.seed, given.device)
            for _ in train(trials, setting):
                pass
            found = [judge(samples, MIXTURES[kind]) for samples in generate(trials)]
            print(f"{row(kind, packing, found)}    ({time.perf_counter() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
