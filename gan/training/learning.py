"""What every training step does, whatever the networks: the number format, a step of an optimizer, and the mean answer it reports."""

import torch
from torch import nn

from gan.config import TrainConfig
from gan.training.state import TrainState


def autocast(state: TrainState) -> torch.autocast:
    """Uses the number format of the state."""
    # Without autocast's cache of cast weights: all threads share it, and each clears it for all. Whether a weight that is used
    # twice was cast once or twice decides in which number format its gradients are added, so another run would change the last bits.
    return torch.autocast(state.device.type, torch.bfloat16, enabled=state.execution.precision == "bf16", cache_enabled=False)


def learn(state: TrainState, loss: torch.Tensor, optimizer: torch.optim.Optimizer, network: nn.Module) -> None:
    """One step of an optimizer down the gradient of a loss over the whole batch.

    torch's wrapper for several processes (DistributedDataParallel) expects one forward and one backward pass of one module. The
    discriminator is called through several methods, up to five times a step, and its gradients are wanted in only some of them. So the
    gradients are added up here, once, when a network's are complete.
    """
    optimizer.zero_grad(set_to_none=True)
    if state.ranks:
        (loss * state.ranks.part.share).backward()
        state.ranks.add_gradients(network.parameters())
    else:
        loss.backward()
    optimizer.step()


def mean_answer(config: TrainConfig, answers: torch.Tensor) -> torch.Tensor:
    """The mean probability of "real", or the mean score if the loss has no probabilities."""
    return (answers if config.has_scores else torch.sigmoid(answers)).mean()
