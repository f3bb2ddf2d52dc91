"""The part of a training step that differs for networks that translate images: pix2pix (Isola et al. 2017), CycleGAN (Zhu et al. 2017).

The order is that of all runs here: the discriminator's steps, then the generator's. CycleGAN's two generators take one step together, and so
do its two discriminators: their losses share no weights that learn, so this is the same as one step of each.
"""

import torch

from gan.config import TrainConfig
from gan.networks.translation import PairDiscriminator, TwoDiscriminators, TwoGenerators, UNet
from gan.training import losses
from gan.training.learning import autocast, learn, mean_answer
from gan.training.state import TrainState


def update_translators(state: TrainState, a: torch.Tensor, b: torch.Tensor) -> None:
    """`d_steps` steps of the discriminator, then `g_steps` of the generator. All of it on the device, so it can be one graph.

    Args:
        state: changed in place.
        a: images to translate, float (d_steps * own_batch, C, H, W) in [-1, 1].
        b: images of the other kind; with pix2pix, b[i] is what a[i] should become.
    """
    config = state.config
    measured: list[torch.Tensor] = []
    kind = CycleLosses if config.networks == "cyclegan" else PairLosses
    parts = [kind(state, *part) for part in zip(a.split(state.own_batch), b.split(state.own_batch), strict=True)]
    for part in parts:
        kept = config.reuse_fakes and part is parts[-1] and config.frozen != "generator"
        with autocast(state):
            with torch.set_grad_enabled(kept):
                part.translate()
            loss, *of_d = part.of_discriminator()
        measured += of_d
        if config.frozen != "discriminator":
            learn(state, loss, state.optimizer_d, state.discriminator)
    state.discriminator.requires_grad_(False)  # its weights need no gradients now
    try:
        for i in range(config.g_steps):
            with autocast(state):
                if i or not config.reuse_fakes:
                    parts[-1].translate()
                loss, *of_g = parts[-1].of_generator()
            measured += of_g
            if config.frozen != "generator":
                learn(state, loss, state.optimizer_g, state.generator)
    finally:
        state.discriminator.requires_grad_(True)
    with torch.no_grad():
        numbers = torch.stack([part.detach() for part in measured])
        if state.ranks:
            numbers = state.ranks.whole_mean(numbers)
        loss_d, d_real, d_fake = numbers[: 3 * len(parts)].view(-1, 3).mean(0)
        loss_g, d_after, distance = numbers[3 * len(parts) :].view(-1, 3).mean(0)
        sums, finite = state.sums[:6], state.sums[6:]
        sums += torch.stack([loss_d, loss_g, d_real, d_fake, d_after, distance])
        finite += sums.isfinite()


class PairLosses:
    """pix2pix: the losses for one batch of pairs."""

    def __init__(self, state: TrainState, a: torch.Tensor, b: torch.Tensor) -> None:
        assert isinstance(state.generator, UNet) and isinstance(state.discriminator, PairDiscriminator)
        self._config, self._a, self._b = state.config, a, b
        self._generator, self._discriminator = state.generator, state.discriminator
        self._fake = torch.empty(0)

    def translate(self) -> None:
        """Makes the outputs that both losses are about."""
        self._fake = self._generator(self._a)

    def of_discriminator(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """D's loss (Isola et al. 2017, equation 1), once more to report it, and its mean answers to real and to translated images."""
        on_real = self._discriminator(self._a, self._b).float()
        on_fake = self._discriminator(self._a, self._fake.detach()).float()
        loss = _discriminator_loss(self._config, on_real, on_fake)
        return loss, loss, mean_answer(self._config, on_real), mean_answer(self._config, on_fake)

    def of_generator(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """What G makes small (equation 4), the adversarial part of it, D's mean answer, and the mean distance to the targets, 0 to 1."""
        config = self._config
        on_fake = self._discriminator(self._a, self._fake).float()
        adversarial = losses.generator_loss(on_fake, config.loss)
        distance = (self._fake.float() - self._b).abs().mean()
        total = config.adversarial_weight * adversarial + config.l1_weight * distance
        return total, adversarial, mean_answer(config, on_fake), distance / 2


class CycleLosses:
    """CycleGAN: the losses for one batch of each kind. Reported numbers are means over both directions."""

    def __init__(self, state: TrainState, a: torch.Tensor, b: torch.Tensor) -> None:
        assert isinstance(state.generator, TwoGenerators) and isinstance(state.discriminator, TwoDiscriminators)
        self._config, self._a, self._b = state.config, a, b
        self._generator, self._discriminator = state.generator, state.discriminator
        self._buffer, self._rng = state.buffer, state.rng
        self._fake_a = self._fake_b = torch.empty(0)

    def translate(self) -> None:
        """Makes the outputs that both losses are about."""
        self._fake_b, self._fake_a = self._generator.to_b(self._a), self._generator.to_a(self._b)

    def of_discriminator(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """The sum of both D's losses (Zhu et al. 2017, equation 1), their mean, and their mean answers to real and to translated images."""
        shown_a, shown_b = self._fake_a.detach(), self._fake_b.detach()
        if self._buffer:
            shown_a, shown_b = self._buffer.swap(0, shown_a, self._rng), self._buffer.swap(1, shown_b, self._rng)
        config, of_a, of_b = self._config, self._discriminator.of_a, self._discriminator.of_b
        reals, fakes = (of_a(self._a).float(), of_b(self._b).float()), (of_a(shown_a).float(), of_b(shown_b).float())
        loss = _discriminator_loss(config, reals[0], fakes[0]) + _discriminator_loss(config, reals[1], fakes[1])
        on_real, on_fake = (torch.stack([mean_answer(config, answers) for answers in of]).mean() for of in (reals, fakes))
        return loss, loss / 2, on_real, on_fake

    def of_generator(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """What both G make small (equation 3, section 5.2), the adversarial part of it, D's mean answer, and the cycles' error, 0 to 1."""
        config, to_a, to_b = self._config, self._generator.to_a, self._generator.to_b
        answers = self._discriminator.of_a(self._fake_a).float(), self._discriminator.of_b(self._fake_b).float()
        adversarial = losses.generator_loss(answers[0], config.loss) + losses.generator_loss(answers[1], config.loss)
        cycle = _distance(to_a(self._fake_b), self._a) + _distance(to_b(self._fake_a), self._b)
        total = adversarial + config.cycle_weight * cycle
        if config.identity_weight:
            total = total + config.identity_weight * (_distance(to_b(self._b), self._b) + _distance(to_a(self._a), self._a))
        return total, adversarial / 2, torch.stack([mean_answer(config, of) for of in answers]).mean(), cycle / 4


def _distance(images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The mean absolute difference of two batches, 0 to 2."""
    return (images.float() - targets).abs().mean()


def _discriminator_loss(config: TrainConfig, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Over all patches; half of it if the config says so (Isola et al. 2017, section 3.3)."""
    loss = losses.discriminator_loss(real, fake, config.loss, config.real_label, config.fake_label)
    return loss / 2 if config.mean_loss_d else loss
