"""The losses, as pure functions of the discriminator's answers, gradients and weights. They know nothing about training.

With loss "bce", an answer is a logit, whose sigmoid is a probability. With the other losses it is an unbounded score.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrize import is_parametrized


def bce(logits: torch.Tensor, label: float | torch.Tensor) -> torch.Tensor:
    """Mean binary cross entropy of logits (any shape) against labels in [0, 1] (one, or one per logit), in nats.

    Equal to F.binary_cross_entropy_with_logits, without a target tensor if there is only one label:
    -label log sigmoid(l) - (1 - label) log sigmoid(-l) = softplus(l) - label l.
    """
    if isinstance(label, torch.Tensor):
        return (F.softplus(logits) - label * logits).mean()
    loss = F.softplus(-logits) if label == 1 else F.softplus(logits) if label == 0 else F.softplus(logits) - label * logits
    return loss.mean()


def discriminator_loss(
    real: torch.Tensor,
    fake: torch.Tensor,
    kind: str = "bce",
    real_label: float | torch.Tensor = 1.0,
    fake_label: float | torch.Tensor = 0.0,
) -> torch.Tensor:
    """The discriminator's loss.

    Args:
        real: answers to real images, (N,).
        fake: answers to generated images, (N,).
        kind: "bce", -E[log D(x)] - E[log(1 - D(G(z)))] (Goodfellow et al. 2014, equation 1), with labels;
            "hinge", E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))] (Miyato et al. 2018, equation 16);
            "wasserstein", E[D(G(z))] - E[D(x)] (Arjovsky et al. 2017, algorithm 1);
            "relativistic", E[softplus(D(G(z)) - D(x))] over pairs (Jolicoeur-Martineau 2018, RpGAN);
            "least_squares", E[(D(x) - 1)^2] + E[D(G(z))^2] (Mao et al. 2017, equation 9, without its factor 1/2).
        real_label, fake_label: for "bce": one number, or one per logit.
    """
    match kind:
        case "hinge":
            return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
        case "wasserstein":
            return fake.mean() - real.mean()
        case "relativistic":
            return F.softplus(fake - real).mean()
        case "least_squares":
            return (real - 1).square().mean() + fake.square().mean()
    return bce(real, real_label) + bce(fake, fake_label)


def generator_loss(fake: torch.Tensor, kind: str = "bce", real: torch.Tensor | None = None) -> torch.Tensor:
    """The generator's loss.

    Args:
        fake: answers to generated images, (N,).
        kind: "bce", -E[log D(G(z))], which does not saturate (Goodfellow et al. 2014, section 3); "hinge" and
            "wasserstein", -E[D(G(z))]; "relativistic", E[softplus(D(x) - D(G(z)))]; "least_squares", E[(D(G(z)) - 1)^2].
        real: answers to real images, (N,); needed only by "relativistic".
    """
    match kind:
        case "hinge" | "wasserstein":
            return -fake.mean()
        case "relativistic":
            assert real is not None
            return F.softplus(real - fake).mean()
        case "least_squares":
            return (fake - 1).square().mean()
    return bce(fake, 1.0)


def feature_matching(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """||E f(x) - E f(G(z))||^2 over the discriminator's features (N, ...) (Salimans et al. 2016, section 3.1)."""
    return (real.mean(0) - fake.mean(0)).square().sum()


def zero_centered_penalty(gradient: torch.Tensor) -> torch.Tensor:
    """E[||grad D||^2] / 2 for gradients (N, ...) at real images (R1) or fakes (R2) (Mescheder et al. 2018, equation 9)."""
    return gradient.flatten(1).square().sum(1).mean() / 2


def one_centered_penalty(gradient: torch.Tensor) -> torch.Tensor:
    """E[(||grad D|| - 1)^2] for gradients (N, ...) between real images and fakes (Gulrajani et al. 2017, equation 3)."""
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def orthogonal_penalty(network: nn.Module) -> torch.Tensor:
    """The sum of ||W'W * (1 - I)||^2 over a network's weights (Brock et al. 2019, equation 3), where W's columns are filters.

    It pushes filters of one layer toward right angles and leaves their lengths alone. Embeddings do not count, as in the authors' code.
    Spectral normalization does not change the weights that count.
    """
    total = torch.zeros((), device=next(network.parameters()).device)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            weight = dict(module.named_parameters())["parametrizations.weight.original" if is_parametrized(module) else "weight"]
            filters = (weight.transpose(0, 1) if isinstance(module, nn.ConvTranspose2d) else weight).float().flatten(1)
            lengths = filters.square().sum(1)
            # ||W'W|| is also ||WW'||: the smaller of both products is enough, less what the diagonal of W'W adds.
            product = filters @ filters.T if len(filters) < filters.shape[1] else filters.T @ filters
            total = total + product.square().sum() - lengths.square().sum()
    return total


def equilibrium(kind: str = "bce", real_label: float = 1.0, fake_label: float = 0.0) -> tuple[float | None, float | None, float | None]:
    """The equilibrium, where generated images are distributed like the data: (loss_d, loss_g, D's answer); None if there is no such level.

    With "bce", the best D then answers the mean of the labels, p (Goodfellow et al. 2014, proposition 1 and theorem 1); with
    labels 1 and 0 that is 1/2, with losses of 2 ln 2 and ln 2. Flipped labels do not change that mean. Relativistic losses
    are ln 2 at equilibrium, where fakes score like real images. With least squares, the best D answers 1/2. Hinge and Wasserstein scores
    have no fixed level.
    """
    if kind == "least_squares":
        return 0.5, 0.25, 0.5
    if kind == "relativistic":
        return math.log(2), math.log(2), None
    if kind != "bce":
        return None, None, None
    p = (real_label + fake_label) / 2
    return -2 * (p * math.log(p) + (1 - p) * math.log(1 - p)), -math.log(p), p
