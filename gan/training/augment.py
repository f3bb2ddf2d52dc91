"""Random changes to images on their way to the discriminator. Pure functions of tensors and a torch.Generator."""

import torch

from gan.draws import own, whole


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
    n, _, size, _ = images.shape
    device = images.device
    if "color" in policy:
        offset = _uniform(images, rng) - 0.5
        images = images + (offset if chance is None else offset * _drawn(images, chance, rng))
        mean = images.mean(1, keepdim=True)
        factor = _uniform(images, rng) * 2
        images = (images - mean) * (factor if chance is None else torch.where(_drawn(images, chance, rng), factor, 1)) + mean
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        factor = _uniform(images, rng) + 0.5
        images = (images - mean) * (factor if chance is None else torch.where(_drawn(images, chance, rng), factor, 1)) + mean
    place = torch.arange(size, device=device)
    if "translation" in policy:
        reach = (size + 4) // 8
        shift = own(torch.randint(-reach, reach + 1, (2, whole(n, rng), 1), device=device, generator=rng), rng, dim=1)
        if chance is not None:
            shift = shift * _drawn(images, chance, rng).view(n, 1)
        rows, columns = (place + shift + 1).clamp(0, size + 1)  # into images with a border of one zero pixel
        padded = torch.nn.functional.pad(images, (1, 1, 1, 1))
        images = padded.permute(0, 2, 3, 1)[torch.arange(n, device=device)[:, None, None], rows[:, :, None], columns[:, None, :]]
        images = images.permute(0, 3, 1, 2)
    if "cutout" in policy:
        hole = size // 2
        center = own(torch.randint(0, size + 1 - hole % 2, (2, whole(n, rng), 1), device=device, generator=rng), rng, dim=1)
        rows, columns = (place >= center - hole // 2) & (place < center - hole // 2 + hole)
        inside = (rows[:, :, None] & columns[:, None, :])[:, None]
        images = images.masked_fill(inside if chance is None else inside & _drawn(images, chance, rng), 0)
    return images


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
