"""How alike two images are, pixel by pixel. Pure functions of uint8 images (N, C, H, W)."""

import torch
import torch.nn.functional as F

from gan.devices import one_thread

WINDOW, SIGMA = 11, 1.5  # of the Gaussian window (Wang et al. 2004, section III.B)
K1, K2 = 0.01, 0.03


def l1(images: torch.Tensor, targets: torch.Tensor) -> float:
    """The mean absolute difference, as a share of the range of pixels: 0 to 1."""
    return float((images.float() - targets.float()).abs().mean() / 255)


@one_thread()
def ssim(images: torch.Tensor, targets: torch.Tensor, batch: int = 100) -> float:
    """Mean structural similarity (Wang et al. 2004, equation 13) over all images and channels: 1 for equal images, at least -1.

    The window is cut off at the images' borders, so only places where it fits count.
    """
    place = torch.arange(WINDOW, dtype=torch.float32) - WINDOW // 2
    row = torch.exp(-place.square() / (2 * SIGMA**2))
    row = row / row.sum()

    def local(maps: torch.Tensor) -> torch.Tensor:
        return F.conv2d(F.conv2d(maps, row[None, None, None]), row[None, None, :, None])

    total = 0.0
    for x, y in zip(images.split(batch), targets.split(batch), strict=True):
        x, y = (of.float().flatten(0, 1)[:, None] / 255 for of in (x, y))
        mean_x, mean_y = local(x), local(y)
        var_x, var_y = local(x.square()) - mean_x.square(), local(y.square()) - mean_y.square()
        covariance = local(x * y) - mean_x * mean_y
        structure = (2 * covariance + K2**2) / (var_x + var_y + K2**2)
        similarity = (2 * mean_x * mean_y + K1**2) / (mean_x.square() + mean_y.square() + K1**2) * structure
        total += float(similarity.mean((1, 2, 3)).sum()) / images.shape[1]
    return total / len(images)
