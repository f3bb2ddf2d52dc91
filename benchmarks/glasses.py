"""Does arithmetic put glasses on? An independent network checks faces without glasses before and after.

    python -m benchmarks.glasses [--generator gan/explore/pretrained/faces.safetensors] [--attribute glasses] [--faces 200]

The direction and its strength come from gan.attributes, as in the Arithmetic view. The referee is another network, trained
here on the data's own labels from another seed (about a minute). The faces come from seeds that were not used before.
"""

import argparse
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from gan import latent
from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.events import Progress
from gan.explore import attributes
from gan.explore.attributes import Contrast
from gan.explore.models import SHIPPED
from gan.images import to_float
from gan.networks.generator_file import load_generator
from gan.networks.sampling import sample

FIRST_SEED = 1_000_000
REFEREE_SEED = 4321
STEPS, BATCH, LR = 400, 100, 6e-3
HELD_OUT = 1000

T = TypeVar("T")


def drain(work: Generator[Progress, None, T]) -> T:
    while True:
        try:
            next(work)
        except StopIteration as stop:
            result: T = stop.value
            return result


class Referee:
    """A CNN that recognizes a set's attributes. accuracy: of each on held-out images, 0 to 1."""

    def __init__(self, dataset: ImageDataset) -> None:
        assert dataset.attributes is not None
        channels, size = dataset.images.shape[1], dataset.images.shape[-1]
        learned = len(dataset) - HELD_OUT
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(REFEREE_SEED)
            layers: list[nn.Module] = []
            for before, after in ((channels, 24), (24, 48), (48, 64), (64, 64)):
                layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.1)]
            side = -(-size // 16)
            self.network = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * side**2, len(dataset.attribute_names)))
            optimizer = torch.optim.Adam(self.network.parameters(), LR)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=STEPS)
            for _ in range(STEPS):
                rows = torch.randint(0, learned, (BATCH,))
                images = to_float(dataset.images[rows])
                images = images + 0.1 * torch.randn_like(images)  # generated images are never that clean
                loss = F.binary_cross_entropy_with_logits(self.network(images), dataset.attributes[rows].float())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
        self.network.eval()
        right = self.judge(dataset.images[learned:].numpy()) == dataset.attributes[learned:].numpy()
        self.accuracy = right.mean(0)

    @torch.inference_mode()
    def judge(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, C, H, W) -> bool (N, attributes)."""
        return torch.cat([self.network(to_float(part)) > 0 for part in torch.from_numpy(images).split(500)]).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generator", type=Path, default=SHIPPED / "faces.safetensors")
    parser.add_argument("--attribute", default="glasses")
    parser.add_argument("--faces", type=int, default=200)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    loaded = load_generator(arguments.generator)
    config = loaded.config

    def draw(z: torch.Tensor) -> np.ndarray:
        return sample(loaded.network, z)

    found: dict[str, Contrast] = {contrast.name: contrast for contrast in drain(attributes.find(draw, config))}
    if arguments.attribute not in found:
        parser.error(f"--attribute must be one of {', '.join(found) or 'none: the data has no labels'}; got {arguments.attribute!r}")
    contrast = found[arguments.attribute]
    dataset = drain(datasets.load_for(config, "train"))
    if dataset.attributes is None:
        parser.error(f"the data set {config.data} has no attributes for a referee to learn from")
    place = dataset.attribute_names.index(arguments.attribute)
    referee = Referee(dataset)
    print(
        f"referee: {referee.accuracy[place]:.1%} right on held-out images ({arguments.attribute}); {referee.accuracy.mean():.1%} on average"
    )

    without = torch.empty(0, config.latent_dim)
    seed = FIRST_SEED
    while len(without) < arguments.faces:
        z = latent.from_seeds(range(seed, seed + 200), config.latent_dim, config.latent_distribution)
        seed += 200
        without = torch.cat([without, z[~referee.judge(draw(z))[:, place]]])[: arguments.faces]
    before = draw(without)
    said = referee.judge(before)
    others = [i for i in range(len(dataset.attribute_names)) if i != place]
    for strength in sorted({1.0, contrast.strength / 2, contrast.strength, contrast.strength + 1}):
        after = draw(attributes.move(without, contrast.difference, strength, config.latent_distribution))
        now = referee.judge(after)
        kept = (now[:, others] == said[:, others]).mean()
        change = np.abs(after.astype(np.int16) - before).mean()
        mark = "  <- the view's own" if strength == contrast.strength else ""
        print(
            f"strength {strength:g}: {now[:, place].mean():.1%} of {len(without)} have {arguments.attribute} now; "
            f"{kept:.1%} of their other attributes are as before; a pixel changes by {change:.1f} of 255{mark}"
        )


if __name__ == "__main__":
    main()
