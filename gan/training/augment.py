"""Random changes to images on their way to the discriminator. Pure functions of tensors and a torch.Generator."""

import torch


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


def diffaugment(images: torch.Tensor, policy: str, rng: torch.Generator) -> torch.Tensor:
    """Differentiable augmentation (Zhao et al. 2020, section 4): what the discriminator sees of real and generated images.

    Args:
        images: (N, C, H, W) in [-1, 1].
        policy: any of "color" (brightness +-0.5, saturation x 0 to 2, contrast x 0.5 to 1.5), "translation" (up to an
            eighth of the side, the rest filled with 0) and "cutout" (a square of half the side set to 0), joined by commas.
    """
    n, _, size, _ = images.shape
    device = images.device
    if "color" in policy:
        images = images + (_uniform(images, rng) - 0.5)
        mean = images.mean(1, keepdim=True)
        images = (images - mean) * (_uniform(images, rng) * 2) + mean
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = (images - mean) * (_uniform(images, rng) + 0.5) + mean
    place = torch.arange(size, device=device)
    if "translation" in policy:
        reach = (size + 4) // 8
        shift = torch.randint(-reach, reach + 1, (2, n, 1), device=device, generator=rng)
        rows, columns = (place + shift + 1).clamp(0, size + 1)  # into images with a border of one zero pixel
        padded = torch.nn.functional.pad(images, (1, 1, 1, 1))
        images = padded.permute(0, 2, 3, 1)[torch.arange(n, device=device)[:, None, None], rows[:, :, None], columns[:, None, :]]
        images = images.permute(0, 3, 1, 2)
    if "cutout" in policy:
        hole = size // 2
        center = torch.randint(0, size + 1 - hole % 2, (2, n, 1), device=device, generator=rng)
        rows, columns = (place >= center - hole // 2) & (place < center - hole // 2 + hole)
        images = images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)
    return images


def _uniform(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """One number in [0, 1) per image: (N, 1, 1, 1)."""
    return torch.rand(len(images), 1, 1, 1, device=images.device, generator=rng)
