"""A blurred picture that a generator adds at first to what its convolutions draw: the principal components of its images."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

BLURRED = "blurred."  # names of its tensors in a generator begin so
SIDE = 16  # pixels of the blurred picture, at most
MOST_IMAGES = 2048  # components of more change little
AT_ONCE = 64  # images that are held as floats at once
BRIGHTEST = 0.96  # pixels beyond, of [-1, 1], count as this: what tanh makes of a number has no end


class BlurredPicture(nn.Module):
    """z (N, latent_dim) -> (N, channels, size, size), whose tanh are pixels: linear in z, of few pixels, enlarged bilinearly.

    begin() makes it the principal components of images (Pearson 1901; Turk and Pentland 1991 for pictures of faces); before, it is 0.

    Attributes:
        share: of the picture that is still there: 1 at the beginning, 0 at the end; -1 before it has begun.
        over: whether it can be left out. False while nobody has said so, as in a network from a file.
    """

    share: torch.Tensor
    spread: torch.Tensor

    def __init__(self, latent_dim: int, channels: int, size: int) -> None:
        super().__init__()
        self.side = min(SIDE, size // 2)
        self.channels = channels
        self.over = False
        self.weight = nn.Parameter(torch.zeros(channels * self.side**2, latent_dim))
        self.bias = nn.Parameter(torch.zeros(channels * self.side**2))
        self.register_buffer("share", torch.full((1,), -1.0))
        # A product with a matrix: on a GPU, the gradient of torch's own bilinear enlargement differs in the last bits each time.
        # In NumPy: on the meta device, where networks are built for their shapes alone, arithmetic makes torch load its compiler.
        places = ((np.arange(size) + 0.5) * self.side / size - 0.5).clip(0, self.side - 1)
        spread = (1 - np.abs(places - np.arange(self.side)[:, None])).clip(0)
        self.register_buffer("spread", torch.tensor(spread, dtype=torch.float32))  # (side, size)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        picture = F.linear(z, self.weight, self.bias).unflatten(1, (self.channels, self.side, self.side))
        return self.share * (self.spread.T @ picture @ self.spread)

    @torch.no_grad()
    def begin(self, images: torch.Tensor, deviation: float, mirrored: bool = False) -> None:
        """Makes it draw the mean of images plus their principal components, as varied as the images are.

        Computed on the processor in 64 bits, so that the same images give the same 32 bits on every device.

        Args:
            images: uint8 (N, channels, size, size).
            deviation: of each number of z.
            mirrored: their mirror images count as well.
        """
        weight, bias = principal_components(images, self.side, self.weight.shape[1], mirrored)
        self.weight.copy_(weight / deviation)
        self.bias.copy_(bias)
        self.share.fill_(1.0)

    def fade(self, share: float) -> None:
        """Leaves at most this share of it, 0 to 1. What has not begun, or is over, does not change. No device has to be waited for."""
        self.share.clamp_(max=share)
        self.over = share <= 0

    def omit(self) -> None:
        """Leaves nothing of it from the start. It is still computed for a while: an optimizer has moments of all weights, or of none."""
        self.share.zero_()


def principal_components(images: torch.Tensor, side: int, count: int, mirrored: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """The directions in which blurred images vary most.

    Args:
        images: uint8 (N, C, H, W), N at least 1; of more than MOST_IMAGES, so many at equal distances.
        side: pixels of a blurred image.
        count: how many directions.
        mirrored: their mirror images count as well.

    Returns:
        directions, float64 (C * side * side, count): each a unit vector times the standard deviation of images along it, the largest
        first, 0 where there are no more. And the mean, float64 (C * side * side,). Both of atanh(pixel): tanh makes pixels of their sums.
    """
    chosen = torch.linspace(0, len(images) - 1, min(len(images), MOST_IMAGES)).round().long()
    parts = (images[some].cpu().float() for some in chosen.split(AT_ONCE))
    blurred = torch.cat([F.adaptive_avg_pool2d(part, side) for part in parts]).double().div(127.5).sub(1)
    if mirrored:
        blurred = torch.cat([blurred, blurred.flip(3)])
    rows = blurred.flatten(1).clamp(-BRIGHTEST, BRIGHTEST).atanh()
    mean = rows.mean(0)
    centered = rows - mean
    variances, vectors = torch.linalg.eigh(centered.T @ centered / len(rows))  # in rising order
    found = min(count, len(variances))
    directions = torch.zeros(len(mean), count, dtype=torch.float64)
    directions[:, :found] = vectors[:, -found:].flip(1) * variances[-found:].flip(0).clamp(min=0).sqrt()
    # A direction and its opposite are as good. The one whose largest number is positive is taken.
    return directions * directions.gather(0, directions.abs().argmax(0, keepdim=True)).sign(), mean
