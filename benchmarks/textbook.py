"""The sources' training loops, written as tutorials write them: what the engine is compared with.

A DataLoader that decodes and transforms each image anew, sigmoid and BCELoss, .item() at every step, the discriminator
not frozen in the generator's step, 32-bit numbers. python -m benchmarks.textbook lecture --seconds 20
"""

import argparse
import json
import time

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from gan import datasets
from gan.bench import peak_memory


def digits(split, size=28):
    """The embedded MNIST as an ImageDataset."""
    loading = datasets.load("mnist", size, 1, split)
    while True:
        try:
            next(loading)
        except StopIteration as stop:
            return stop.value


class Digits(Dataset):
    """MNIST as torchvision gives it: a PIL image, transformed each time that it is asked for."""

    def __init__(self, split, transform):
        self.images = digits(split).images[:, 0].numpy()
        self.transform = transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.transform(Image.fromarray(self.images[i]))


def initialize(module):
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def lecture():
    def up(inputs, outputs, kernel, stride, padding):
        return nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)

    def down(inputs, outputs, kernel):
        return nn.Conv2d(inputs, outputs, kernel, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2), nn.Dropout(0.2)

    generator = nn.Sequential(
        *up(100, 128, 4, 1, 0), *up(128, 64, 3, 2, 1), *up(64, 32, 4, 2, 1), nn.ConvTranspose2d(32, 1, 4, 2, 1, bias=False), nn.Tanh()
    )
    discriminator = nn.Sequential(
        *(nn.Conv2d(1, 32, 4, 2, 1, bias=False), nn.LeakyReLU(0.2), nn.Dropout(0.2)),
        *down(32, 64, 4),
        *down(64, 128, 3),
        *(nn.Conv2d(128, 1, 4, 1, 0, bias=False), nn.Sigmoid(), nn.Flatten(0)),
    )
    adam_g = torch.optim.Adam(generator.parameters(), 3e-4, (0.75, 0.999))
    adam_d = torch.optim.Adam(discriminator.parameters(), 2e-4, (0.9, 0.999))
    return generator, discriminator, adam_g, adam_d, {"batch_size": 128, "drop_last": True}, 28, "train"


def pyimagesearch():
    def up(inputs, outputs, kernel, padding):
        return nn.ConvTranspose2d(inputs, outputs, kernel, 2, padding, bias=False), nn.ReLU(), nn.BatchNorm2d(outputs)

    generator = nn.Sequential(
        *up(100, 128, 4, 0), *up(128, 64, 3, 1), *up(64, 32, 4, 1), nn.ConvTranspose2d(32, 1, 4, 2, 1, bias=False), nn.Tanh()
    )
    discriminator = nn.Sequential(
        *(nn.Conv2d(1, 32, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(32, 64, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten()),
        *(nn.Linear(3136, 512), nn.LeakyReLU(0.2), nn.Linear(512, 1), nn.Sigmoid(), nn.Flatten(0)),
    )
    generator.apply(initialize)
    discriminator.apply(initialize)
    adam = [torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999), weight_decay=2e-4 / 20) for n in (generator, discriminator)]
    return generator, discriminator, *adam, {"batch_size": 128}, 28, "all"


def polarsparc():
    def up(inputs, outputs, stride, padding):
        return nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()

    def down(inputs, outputs):
        return nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)

    generator = nn.Sequential(
        *(*up(100, 512, 1, 0), *up(512, 256, 2, 1), *up(256, 128, 2, 1), *up(128, 64, 2, 1)),
        *(nn.ConvTranspose2d(64, 1, 4, 2, 1, bias=False), nn.Tanh()),
    )
    discriminator = nn.Sequential(
        *(nn.Conv2d(1, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2), *down(64, 128), *down(128, 256), *down(256, 512)),
        *(nn.Conv2d(512, 1, 4, 1, 0, bias=False), nn.Sigmoid(), nn.Flatten(0)),
    )
    generator.apply(initialize)
    discriminator.apply(initialize)
    adam = [torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999)) for n in (generator, discriminator)]
    return generator, discriminator, *adam, {"batch_size": 64}, 64, "train"


SYSTEMS = {"lecture": lecture, "pyimagesearch": pyimagesearch, "polarsparc": polarsparc}


def noise(name, n):
    return torch.rand(n, 100, 1, 1) * 2 - 1 if name == "lecture" else torch.randn(n, 100, 1, 1)


def train(name, seconds, seed):
    """The loop. Returns the generator, and a row a step: loss_d, loss_g, D(x), D(G(z)) before D's step, and after it."""
    torch.manual_seed(seed)
    generator, discriminator, adam_g, adam_d, loading, size, split = SYSTEMS[name]()
    steps = [transforms.Resize(size)] if size != 28 else []
    transform = transforms.Compose([*steps, transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    loader = DataLoader(Digits(split, transform), shuffle=True, **loading)
    criterion = nn.BCELoss()
    rows, seen, start = [], 0, time.perf_counter()
    while True:
        for real in loader:
            n = len(real)
            ones, zeros = torch.ones(n), torch.zeros(n)

            adam_d.zero_grad()
            on_real = discriminator(real)
            loss_real = criterion(on_real, ones)
            loss_real.backward()
            fake = generator(noise(name, n))
            on_fake = discriminator(fake.detach())
            loss_fake = criterion(on_fake, zeros)
            loss_fake.backward()
            adam_d.step()

            adam_g.zero_grad()
            if name == "lecture":
                fake = generator(noise(name, n))
            after = discriminator(fake)
            loss_g = criterion(after, ones)
            loss_g.backward()
            adam_g.step()

            seen += n
            loss_d = loss_real.item() + loss_fake.item()
            rows.append((loss_d, loss_g.item(), on_real.mean().item(), on_fake.mean().item(), after.mean().item()))
            elapsed = time.perf_counter() - start
            if elapsed > seconds:
                return generator, rows, seen / elapsed


@torch.no_grad()
def draw(name, generator, n):
    """n images, uint8 (n, 1, size, size), in eval mode."""
    generator.eval()
    parts = [generator(noise(name, min(250, n - i))) for i in range(0, n, 250)]
    return ((torch.cat(parts) + 1) * 127.5).round().to(torch.uint8).numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", help="an .npz for 5,000 images of the trained generator")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    generator, rows, rate = train(options.system, options.seconds, options.seed)
    if options.images:
        np.savez(options.images, images=draw(options.system, generator, 5000))
    told = {"images_per_s": rate, "peak_memory_gb": peak_memory(torch.device("cpu")) / 2**30, "steps": len(rows)}
    if options.json:
        print(json.dumps(told))
    else:
        loss_d, loss_g, d_real, d_fake, _ = np.mean(rows[-50:], axis=0)
        print(f"{options.system}: {rate:,.0f} images/s, {told['peak_memory_gb']:.2f} GiB at most; the last steps:", end=" ")
        print(f"loss D {loss_d:.3f}, G {loss_g:.3f}, D(x) {d_real:.2f}, D(G(z)) {d_fake:.2f}")


if __name__ == "__main__":
    main()
