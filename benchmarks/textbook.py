"""The sources' training loops, written as their authors write them: the engine is compared with these.

    python -m benchmarks.textbook lecture|pyimagesearch|polarsparc [--seconds 20] [--seed 0] [--device cpu]

A Dataset of PIL images with torchvision's transforms, a DataLoader, Sequential networks that end in a sigmoid, BCELoss,
Adam with its defaults, `.item()` at every step. It uses nothing of the engine except the digits' files. It stays slow on purpose:
anything that makes it faster belongs in the engine.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass

import numpy as np
import torch
from PIL import Image
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset

from gan.data import datasets

Transform = Callable[[Image.Image], torch.Tensor]


@dataclass(frozen=True)
class Step:
    """What a loop logs: losses in nats, and the discriminator's mean answers; D(G(z)) before and after its own step."""

    loss_d: float
    loss_g: float
    d_real: float
    d_fake: float
    d_fake_after: float


@dataclass
class System:
    """Networks, optimizers and data of one source, and how it draws z."""

    generator: nn.Module
    discriminator: nn.Module
    optimizer_g: optim.Optimizer
    optimizer_d: optim.Optimizer
    loader: DataLoader
    noise: Callable[[int], torch.Tensor]  # n -> (n, 100, 1, 1)
    fresh_z: bool = False  # the generator's step draws a new z
    device: torch.device | str = "cpu"

    def to(self, device: torch.device) -> "System":
        self.generator.to(device)
        self.discriminator.to(device)
        self.device = device
        return self


def load_mnist(split: str, image_size: int = 28) -> datasets.ImageDataset:
    """The included digits: "train", or "all" with the test images after them."""
    loading = datasets.load("mnist", image_size, 1, split)
    while True:
        try:
            next(loading)
        except StopIteration as stop:
            return stop.value


class MNIST(Dataset):
    """Like torchvision.datasets.MNIST: an image is created and transformed each time it is requested."""

    def __init__(self, split: str, transform: Transform) -> None:
        mnist = load_mnist(split)
        assert mnist.labels is not None
        self.data, self.targets, self.transform = mnist.images[:, 0], mnist.labels, transform

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.data[index].numpy())), int(self.targets[index])


def _transform(image_size: int | None = None) -> Transform:
    """An image as a tensor in [-1, 1], resized first if a size is given."""
    # Imported here: torchvision is slower to import than torch, and every test process reads this file.
    from torchvision import transforms

    resized = [transforms.Resize(image_size)] if image_size else []
    transform: Transform = transforms.Compose([*resized, transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    return transform


def normal_z(n: int) -> torch.Tensor:
    return torch.randn(n, 100, 1, 1)


def uniform_z(n: int) -> torch.Tensor:
    return torch.rand(n, 100, 1, 1) * 2 - 1


def weights_init(m: nn.Module) -> None:
    """As in Radford et al. 2016: (transposed) convolutions N(0, 0.02), scales of normalization N(1, 0.02)."""
    if isinstance(m, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(m.weight, 0.0, 0.02)
    elif isinstance(m, nn.BatchNorm2d):
        nn.init.normal_(m.weight, 1.0, 0.02)
        nn.init.zeros_(m.bias)


def lecture() -> System:
    """A university lecture's DCGAN: uniform z, LeakyReLU in both networks, dropout, PyTorch's default initial weights, a new z for G."""
    generator = nn.Sequential(
        nn.ConvTranspose2d(100, 128, 4, 1, 0, bias=False),
        nn.BatchNorm2d(128),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(128, 64, 3, 2, 1, bias=False),
        nn.BatchNorm2d(64),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False),
        nn.BatchNorm2d(32),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(32, 1, 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, 32, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.2),
        nn.Conv2d(32, 64, 4, 2, 1, bias=False),
        nn.BatchNorm2d(64),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.2),
        nn.Conv2d(64, 128, 3, 2, 1, bias=False),
        nn.BatchNorm2d(128),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.2),
        nn.Conv2d(128, 1, 4, 1, 0, bias=False),
        nn.Sigmoid(),
    )
    transform = _transform()
    return System(
        generator,
        discriminator,
        optim.Adam(generator.parameters(), lr=3e-4, betas=(0.75, 0.999)),
        optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.9, 0.999)),
        DataLoader(MNIST("train", transform), batch_size=128, shuffle=True, drop_last=True),
        uniform_z,
        fresh_z=True,
    )


def pyimagesearch() -> System:
    """A PyImageSearch tutorial: all 70,000 digits, normalization after the activation, a discriminator with dense layers."""
    generator = nn.Sequential(
        nn.ConvTranspose2d(100, 128, 4, 2, 0, bias=False),
        nn.ReLU(),
        nn.BatchNorm2d(128),
        nn.ConvTranspose2d(128, 64, 3, 2, 1, bias=False),
        nn.ReLU(),
        nn.BatchNorm2d(64),
        nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False),
        nn.ReLU(),
        nn.BatchNorm2d(32),
        nn.ConvTranspose2d(32, 1, 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, 32, 4, 2, 1),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(32, 64, 4, 2, 1),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Flatten(),
        nn.Linear(3136, 512),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Linear(512, 1),
        nn.Sigmoid(),
    )
    generator.apply(weights_init)
    discriminator.apply(weights_init)
    transform = _transform()
    return System(
        generator,
        discriminator,
        optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999), weight_decay=2e-4 / 20),
        optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999), weight_decay=2e-4 / 20),
        DataLoader(MNIST("all", transform), batch_size=128, shuffle=True),
        normal_z,
    )


def polarsparc() -> System:
    """A PolarSPARC article: the reference DCGAN in one channel, on digits resized to 64 pixels."""
    generator = nn.Sequential(
        nn.ConvTranspose2d(100, 512, 4, 1, 0, bias=False),
        nn.BatchNorm2d(512),
        nn.ReLU(True),
        nn.ConvTranspose2d(512, 256, 4, 2, 1, bias=False),
        nn.BatchNorm2d(256),
        nn.ReLU(True),
        nn.ConvTranspose2d(256, 128, 4, 2, 1, bias=False),
        nn.BatchNorm2d(128),
        nn.ReLU(True),
        nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(True),
        nn.ConvTranspose2d(64, 1, 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, 64, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(64, 128, 4, 2, 1, bias=False),
        nn.BatchNorm2d(128),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(128, 256, 4, 2, 1, bias=False),
        nn.BatchNorm2d(256),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(256, 512, 4, 2, 1, bias=False),
        nn.BatchNorm2d(512),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(512, 1, 4, 1, 0, bias=False),
        nn.Sigmoid(),
    )
    generator.apply(weights_init)
    discriminator.apply(weights_init)
    transform = _transform(64)
    return System(
        generator,
        discriminator,
        optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999)),
        optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999)),
        DataLoader(MNIST("train", transform), batch_size=64, shuffle=True),
        normal_z,
    )


SYSTEMS = {"lecture": lecture, "pyimagesearch": pyimagesearch, "polarsparc": polarsparc}


def train(system: System) -> Iterator[Step]:
    """The endless loop over epochs; yields a Step after each batch."""
    generator, discriminator, device = system.generator, system.discriminator, system.device
    criterion = nn.BCELoss()
    while True:
        for real, _ in system.loader:
            real = real.to(device)
            ones, zeros = torch.ones(len(real), device=device), torch.zeros(len(real), device=device)

            # (1) Update D: maximize log(D(x)) + log(1 - D(G(z)))
            discriminator.zero_grad()
            output = discriminator(real).view(-1)
            loss_real = criterion(output, ones)
            loss_real.backward()
            d_real = output.mean().item()

            fake = generator(system.noise(len(real)).to(device))
            output = discriminator(fake.detach()).view(-1)
            loss_fake = criterion(output, zeros)
            loss_fake.backward()
            d_fake = output.mean().item()
            loss_d = loss_real + loss_fake
            system.optimizer_d.step()

            # (2) Update G: maximize log(D(G(z)))
            generator.zero_grad()
            if system.fresh_z:
                fake = generator(system.noise(len(real)).to(device))
            output = discriminator(fake).view(-1)
            loss_g = criterion(output, ones)
            loss_g.backward()
            d_fake_after = output.mean().item()
            system.optimizer_g.step()

            yield Step(loss_d.item(), loss_g.item(), d_real, d_fake, d_fake_after)


@torch.no_grad()
def generate(system: System, n: int) -> torch.Tensor:
    """n images of the plain generator in eval mode, (n, 1, H, W) in [-1, 1]."""
    system.generator.eval()
    images = torch.cat([system.generator(system.noise(min(250, n - start)).to(system.device)).cpu() for start in range(0, n, 250)])
    system.generator.train()
    return images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", type=torch.device, default="cpu")
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    system = SYSTEMS[arguments.system]().to(arguments.device)
    steps, start = [], time.perf_counter()
    for step in train(system):
        steps.append(astuple(step))
        if time.perf_counter() - start > arguments.seconds:
            break
    elapsed_s = time.perf_counter() - start
    loss_d, loss_g, d_real, d_fake, d_fake_after = np.mean(steps[-100:], axis=0)
    images = len(steps) * (system.loader.batch_size or 1)
    print(f"{arguments.system}: {len(steps)} steps, {images:,} images in {elapsed_s:.1f} s, {images / elapsed_s:,.0f} images/s")
    print(
        f"last 100 steps: loss D {loss_d:.3f}, G {loss_g:.3f}, D(x) {d_real:.3f}, D(G(z)) {d_fake:.3f}, after D's step {d_fake_after:.3f}"
    )


if __name__ == "__main__":
    main()
