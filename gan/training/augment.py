"""Random changes to images on their way to the discriminator. Pure functions of tensors and a torch.Generator."""

from collections.abc import Callable

import torch

from gan.draws import own, whole

Change = Callable[..., torch.Tensor]  # of images, by amounts per image


def mirror(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Each image (N, C, H, W) mirrored left to right with probability 1/2."""
    return torch.where(_uniform(images, rng) < 0.5, images.flip(-1), images)


def jitter(images: torch.Tensor, strength: float, rng: torch.Generator) -> torch.Tensor:
    """Brightness and contrast of each image (N, C, H, W) in [-1, 1] scaled by 1 +- strength, as torchvision's ColorJitter.

    Brightness scales pixels in [0, 1], contrast their distance from the image's mean.
    """
    brightness, contrast = ((_uniform(images, rng) * 2 - 1) * strength + 1 for _ in range(2))
    unit = ((images + 1) / 2 * brightness).clamp(0, 1)
    mean = unit.mean(dim=(1, 2, 3), keepdim=True)
    return ((unit - mean) * contrast + mean).clamp(0, 1) * 2 - 1


def diffaugment(images: torch.Tensor, policy: str, rng: torch.Generator, chance: torch.Tensor | None = None) -> torch.Tensor:
    """Differentiable augmentation (Zhao et al. 2020, section 4): what the discriminator sees of real and generated images.

    Args:
        images: (N, C, H, W) in [-1, 1].
        policy: any of "color" (brightness +-0.5, saturation x 0 to 2, contrast x 0.5 to 1.5), "translation" (up to an
            eighth of the side, the rest filled with 0) and "cutout" (a square of half the side set to 0), joined by commas.
        chance: the probability of each of these changes, drawn for each image and each change alone: a tensor (), 0 to 1. By default,
            every image gets every change.
    """
    size = images.shape[-1]
    if "color" in policy:
        images = _changed(images, _brighten, _uniform(images, rng) - 0.5, chance, rng)
        images = _changed(images, _saturate, _uniform(images, rng) * 2, chance, rng)
        images = _changed(images, _contrast, _uniform(images, rng) + 0.5, chance, rng)
    if "translation" in policy:
        reach = (size + 4) // 8
        images = _changed(images, _translate, _places(images, -reach, reach + 1, rng), chance, rng)
    if "cutout" in policy:
        images = _changed(images, _cut, _places(images, 0, size + 1 - size // 2 % 2, rng), chance, rng)
    return images


def _brighten(images: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    return images + offset


def _saturate(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    mean = images.mean(1, keepdim=True)
    return (images - mean) * factor + mean


def _contrast(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - mean) * factor + mean


def _translate(images: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """shift: rows and columns (N, 2, 1, 1)."""
    n, _, size, _ = images.shape
    place = torch.arange(size, device=images.device)
    rows, columns = (place + shift[..., 0] + 1).clamp(0, size + 1).unbind(1)  # into images with a border of one zero pixel
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1))
    images = padded.permute(0, 2, 3, 1)[torch.arange(n, device=images.device)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return images.permute(0, 3, 1, 2)


def _cut(images: torch.Tensor, center: torch.Tensor) -> torch.Tensor:
    """center: row and column (N, 2, 1, 1)."""
    size = images.shape[-1]
    hole = size // 2
    place, begin = torch.arange(size, device=images.device), center[..., 0] - hole // 2
    rows, columns = ((place >= begin) & (place < begin + hole)).unbind(1)
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)


def turn(images: torch.Tensor, rng: torch.Generator, chance: torch.Tensor, mirrored: bool) -> torch.Tensor:
    """Quarter turns, each of 0 to 3 equally likely, and mirroring (Karras et al. 2020, appendix B, "pixel blitting").

    Unlike turning every image, turning a share of them does not teach the generator to draw turned images: upright ones stay the most
    frequent (section 2.2).

    Args:
        images: (N, C, H, W) with H = W.
        chance: the probability that an image is turned, and that it is mirrored: a tensor (), 0 to 1.
        mirrored: whether mirror images may come up. An image is mirrored left to right half of the time if it is drawn.
    """
    turns = torch.where(_drawn(images, chance, rng), torch.floor(_uniform(images, rng) * 4), 0)
    flip = _drawn(images, chance / 2, rng) if mirrored else torch.zeros_like(turns, dtype=torch.bool)
    return _where((turns > 0) | flip, images, _turn, turns, flip)


def _turn(images: torch.Tensor, turns: torch.Tensor, flip: torch.Tensor) -> torch.Tensor:
    images = torch.where(flip, images.flip(-1), images)
    images = torch.where((turns == 1) | (turns == 3), images.transpose(2, 3), images)
    images = torch.where((turns == 1) | (turns == 2), images.flip(2), images)
    return torch.where((turns == 2) | (turns == 3), images.flip(3), images)


# Above this probability, generated images begin to look augmented (Karras et al. 2020, section 2.2).
MOST_OFTEN = 0.8
# Batches between two changes of the probability, as in the paper.
STEER_EVERY = 4
# The number of real images over which the probability can move by 1. The paper's runs see 25 million images and take 500,000. Runs here
# see 50,000 to a million, and D has learned a few hundred images by heart after 20,000.
RAMP = 100_000


def steer(strength: torch.Tensor, sureness: torch.Tensor, target: float, batch_size: int) -> None:
    """After a batch: every STEER_EVERY batches, moves the probability of changes one step (Karras et al. 2020, section 3.1).

    Args:
        strength: changed in place, without waiting for the device: the probability, and the sum and number of `sureness` since it moved.
        sureness: how sure D is of this batch's real images: the mean of sign(D(x)), from -1 to 1, a tensor ().
        target: of the mean; above it, the probability rises, below it, the probability falls.
        batch_size: real images in a batch.
    """
    chance, total, batches = strength.unbind()
    total, batches = total + sureness, batches + 1
    due = batches >= STEER_EVERY
    moved = (chance + torch.sign(total / batches - target) * (batch_size * STEER_EVERY / RAMP)).clamp(0, MOST_OFTEN)
    strength.copy_(torch.stack([torch.where(due, moved, chance), torch.where(due, 0, total), torch.where(due, 0, batches)]))


def _uniform(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """One number in [0, 1) per image: (N, 1, 1, 1)."""
    return own(torch.rand(whole(len(images), rng), 1, 1, 1, device=images.device, generator=rng), rng)


def _drawn(images: torch.Tensor, chance: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """True for each image with this probability: (N, 1, 1, 1)."""
    return _uniform(images, rng) < chance


def _places(images: torch.Tensor, least: int, end: int, rng: torch.Generator) -> torch.Tensor:
    """A row and a column per image, whole numbers from `least` to below `end`: (N, 2, 1, 1)."""
    places = own(torch.randint(least, end, (2, whole(len(images), rng), 1), device=images.device, generator=rng), rng, dim=1)
    return places.transpose(0, 1)[..., None]


def _changed(images: torch.Tensor, change: Change, amount: torch.Tensor, chance: torch.Tensor | None, rng: torch.Generator) -> torch.Tensor:
    """Applies a change to all images, or to those that are drawn with a probability, `chance`. amount: of the change, (N, ...)."""
    return change(images, amount) if chance is None else _where(_drawn(images, chance, rng), images, change, amount)


def _where(drawn: torch.Tensor, images: torch.Tensor, change: Change, *amounts: torch.Tensor) -> torch.Tensor:
    """Applies a change to the images that are drawn. drawn: (N, 1, 1, 1).

    A CPU changes only these, which are few while the chance is low. A GPU changes all and keeps some: it would have to wait for
    their number, and a graph has fixed sizes.
    """
    if images.device.type != "cpu":
        return torch.where(drawn, change(images, *amounts), images)
    places = drawn.flatten().nonzero()[:, 0]
    if not len(places):
        return images
    return images.index_copy(0, places, change(images[places], *(amount[places] for amount in amounts)).to(images.dtype))
