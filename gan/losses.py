"""The losses, as pure functions of the discriminator's logits. Know nothing of networks."""

import math

import torch
import torch.nn.functional as F


def bce(logits: torch.Tensor, label: float) -> torch.Tensor:
    """Mean binary cross entropy of logits (any shape) against one label in [0, 1], in nats.

    Equal to F.binary_cross_entropy_with_logits with a constant target, without the target tensor:
    -label log sigmoid(l) - (1 - label) log sigmoid(-l) = softplus(l) - label l.
    """
    loss = F.softplus(-logits) if label == 1 else F.softplus(logits) if label == 0 else F.softplus(logits) - label * logits
    return loss.mean()


def discriminator_loss(real: torch.Tensor, fake: torch.Tensor, real_label: float = 1.0, fake_label: float = 0.0) -> torch.Tensor:
    """-E[log D(x)] - E[log(1 - D(G(z)))] (Goodfellow et al. 2014, equation 1), the labels smoothed if asked.

    Args:
        real: logits of real images, any shape.
        fake: logits of generated images, any shape.
    """
    return bce(real, real_label) + bce(fake, fake_label)


def generator_loss(fake: torch.Tensor) -> torch.Tensor:
    """-E[log D(G(z))], the non-saturating loss (Goodfellow et al. 2014, section 3). `fake`: logits, any shape."""
    return bce(fake, 1.0)


def equilibrium(real_label: float = 1.0, fake_label: float = 0.0) -> tuple[float, float, float]:
    """Where the game rests when the generator draws as the data does: (loss_d, loss_g, D's answer).

    The best D then answers the mean of the two labels, p (Goodfellow et al. 2014, proposition 1 and theorem 1); with
    labels 1 and 0 that is 1/2, with losses of 2 ln 2 and ln 2.
    """
    p = (real_label + fake_label) / 2
    return -2 * (p * math.log(p) + (1 - p) * math.log(1 - p)), -math.log(p), p
