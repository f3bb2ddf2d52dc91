"""One training step: the discriminator's, then the generator's. Knows nothing about events, threads or data sets."""

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gan.draws import normal_like, own, whole
from gan.networks.dcgan import Discriminator, Generator
from gan.training import augment, losses
from gan.training.learning import autocast, learn, mean_answer
from gan.training.schedule import moves_penalties, penalty_is_due, scheduled
from gan.training.state import TrainState
from gan.training.translate_step import update_translators


def draw_z(state: TrainState, n: int) -> torch.Tensor:
    """n latent vectors from the run's own random generator: (n, latent_dim)."""
    z = torch.empty(whole(n, state.rng), state.config.latent_dim, device=state.device)
    drawn = z.normal_(generator=state.rng) if state.config.latent_distribution == "normal" else z.uniform_(-1, 1, generator=state.rng)
    return own(drawn, state.rng)


def train_step(state: TrainState, real: torch.Tensor, labels: torch.Tensor | None = None) -> None:
    """`d_steps` steps of the discriminator, then `g_steps` of the generator (Goodfellow et al. 2014, algorithm 1).

    Args:
        state: changed in place.
        real: float images (d_steps * own_batch, channels, image_size, image_size) in [-1, 1] on the state's device.
        labels: their classes, int64 (d_steps * own_batch,), if the config is conditional; the inputs, images like `real`, if the run
            translates images.
    """
    set_noise(state)
    fade_start(state)
    state.follow_schedule()
    update_networks(state, real, labels, penalty_is_due(state.config, state.step))
    count_step(state)


def set_noise(state: TrainState) -> None:
    """Before a step: sets the instance noise, which falls evenly to 0 if the config says so."""
    config = state.config
    if config.instance_noise:
        left = max(0.0, 1 - state.images_seen / config.instance_noise_fade) if config.instance_noise_fade else 1.0
        state.noise.fill_(config.instance_noise * left)


def fade_start(state: TrainState) -> None:
    """Before a step: leaves less and less of the blurred pictures with which the generators started."""
    images = state.config.principal_components
    for network in (state.generator, state.averaged):
        if isinstance(network, Generator) and network.blurred and not network.blurred.over:
            network.blurred.fade(max(0.0, 1 - state.images_seen / images))


def count_step(state: TrainState) -> None:
    """After a step: updates counters and averaged weights."""
    state.step += 1
    state.summed += 1
    state.images_seen += state.config.batch_size * state.config.d_steps
    _average(state)


def update_networks(state: TrainState, real: torch.Tensor, labels: torch.Tensor | None, penalized: bool = True) -> None:
    """The part of a step that changes networks and sums, all of it on the device, so it can be one graph.

    labels: classes, or for a run that translates images its inputs; see Feed.next().
    penalized: whether the penalties are due, if they are not due in every step; see penalty_is_due().
    """
    config = state.config
    if config.translates:
        assert labels is not None
        update_translators(state, labels, real)
        return
    measured: list[torch.Tensor] = []
    parts = real.split(state.own_batch)
    classes: tuple[torch.Tensor | None, ...] = labels.split(state.own_batch) if labels is not None else (None,) * len(parts)
    for i, (images, part_labels) in enumerate(zip(parts, classes, strict=True)):
        kept = config.reuse_fakes and i == len(parts) - 1 and config.frozen != "generator"
        fake, *measured_d = _discriminator_step(state, images, part_labels, kept, penalized)
        measured += measured_d
    for i in range(config.g_steps):
        measured += _generator_step(state, images, part_labels, fake if config.reuse_fakes and i == 0 else None)
    with torch.no_grad():
        numbers = torch.stack([part.detach() for part in measured])
        if state.ranks:  # at every step, because rank 0 may save the sums after any
            numbers = state.ranks.whole_mean(numbers)
        of_d, of_g = numbers[: 3 * len(parts)].view(-1, 3).mean(0), numbers[3 * len(parts) :].view(-1, 2).mean(0)
        sums, finite = state.sums[:5], state.sums[5:]
        sums += torch.stack([of_d[0], of_g[0], of_d[1], of_d[2], of_g[1]])
        finite += sums.isfinite()


def _discriminator_step(
    state: TrainState, real: torch.Tensor, labels: torch.Tensor | None, keep_graph: bool, penalized: bool
) -> tuple[torch.Tensor, ...]:
    """One step of the discriminator -> the fakes, its loss, its mean answer to real images, and its mean answer to fakes.

    keep_graph: the generator will learn from these fakes. penalized: see update_networks().
    """
    config, discriminator = state.config, state.discriminator
    assert isinstance(discriminator, Discriminator)
    at_once = not config.penalizes_lazily  # the penalties are part of the loss
    with autocast(state):
        with torch.set_grad_enabled(keep_graph):
            fake = state.generator(draw_z(state, len(real)), labels)
        seen_real, seen_fake = _seen(state, real), _seen(state, fake.detach())
        seen_real.requires_grad_(config.r1 > 0 and at_once)
        seen_fake.requires_grad_(config.r2 > 0 and at_once)
        if (
            (config.r1 or config.r2) and at_once
        ) or config.spectral_norm:  # gradients of only one batch; weights that change with each call
            on_real, on_fake = discriminator(seen_real, labels), discriminator(seen_fake, labels)
        else:
            on_real, on_fake = discriminator.forward_each([seen_real, seen_fake], labels)
        on_real, on_fake = on_real.float(), on_fake.float()
    loss = losses.discriminator_loss(on_real, on_fake, config.loss, *_targets(state, on_real))
    if config.mean_loss_d:
        loss = loss / 2
    if config.augmentation_target:
        _steer(state, on_real.detach(), on_fake.detach())
    if config.frozen == "discriminator":
        return fake, loss, mean_answer(config, on_real), mean_answer(config, on_fake)
    total = loss
    if at_once:
        for penalty in _penalties(state, seen_real, seen_fake, labels, on_real, on_fake):
            total = total + penalty
    learn(state, total, state.optimizer_d, discriminator)
    if penalized and not at_once:
        seen_real, seen_fake = seen_real.detach().requires_grad_(config.r1 > 0), seen_fake.detach().requires_grad_(config.r2 > 0)
        with autocast(state):
            answers = [discriminator(seen, labels).float() if seen.requires_grad else None for seen in (seen_real, seen_fake)]
        sums = torch.stack(_penalties(state, seen_real, seen_fake, labels, *answers)).sum()
        learn(state, config.penalty_every * sums, state.optimizer_d, discriminator)
    if config.weight_clip:
        with torch.no_grad():
            for weight in discriminator.parameters():
                weight.clamp_(-config.weight_clip, config.weight_clip)
    return fake, loss, mean_answer(config, on_real), mean_answer(config, on_fake)


def _penalties(
    state: TrainState,
    seen_real: torch.Tensor,
    seen_fake: torch.Tensor,
    labels: torch.Tensor | None,
    on_real: torch.Tensor | None,
    on_fake: torch.Tensor | None,
) -> list[torch.Tensor]:
    """The penalties of the config, times their weights. on_real, on_fake: answers to the images, for R1 and R2."""
    config, penalties = state.config, []
    if config.r1 and on_real is not None:
        penalties.append(config.r1 * losses.zero_centered_penalty(_gradient(on_real, seen_real)))
    if config.r2 and on_fake is not None:
        penalties.append(config.r2 * losses.zero_centered_penalty(_gradient(on_fake, seen_fake)))
    if config.gradient_penalty:
        n, device = len(seen_real), seen_real.device
        mix = own(torch.rand(whole(n, state.rng), 1, 1, 1, device=device, generator=state.rng), state.rng)
        between = (mix * seen_real + (1 - mix) * seen_fake).detach().requires_grad_()
        with autocast(state):
            on_between = state.discriminator(between, labels).float()
        penalties.append(config.gradient_penalty * losses.one_centered_penalty(_gradient(on_between, between)))
    return [state.penalty_share * penalty for penalty in penalties] if moves_penalties(config) else penalties


def _generator_step(
    state: TrainState, real: torch.Tensor, labels: torch.Tensor | None, fake: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """One step of the generator, on the given fakes or on new ones -> its loss, and the discriminator's mean answer to them."""
    config, discriminator = state.config, state.discriminator
    assert isinstance(discriminator, Discriminator)
    discriminator.requires_grad_(False)  # its weights need no gradients now
    try:
        with autocast(state):
            if fake is None:
                fake = state.generator(draw_z(state, len(real)), labels)
            features = discriminator.features(_seen(state, fake))
            answers = discriminator.judge(features, labels).float()
            if config.feature_matching:
                of_real = discriminator.features(_seen(state, real.detach())).float()
                loss = losses.feature_matching(_batch_mean(state, of_real), _batch_mean(state, features.float()))
            else:
                on_real = discriminator(_seen(state, real.detach()), labels).float() if config.loss == "relativistic" else None
                loss = losses.generator_loss(answers, config.loss, on_real)
        if config.frozen == "generator":
            return loss, mean_answer(config, answers)
        total = loss
        if config.orthogonal_penalty:
            total = loss + config.orthogonal_penalty * losses.orthogonal_penalty(state.generator)
        learn(state, total, state.optimizer_g, state.generator)
    finally:
        discriminator.requires_grad_(True)
    return loss, mean_answer(config, answers)


def _batch_mean(state: TrainState, features: torch.Tensor) -> torch.Tensor:
    """Features (N, ...), of several ranks as their mean over the whole batch, (1, ...)."""
    return state.ranks.whole_mean(features.mean(0, keepdim=True)) if state.ranks else features


def _steer(state: TrainState, on_real: torch.Tensor, on_fake: torch.Tensor) -> None:
    """Adapts the augmentation to how sure the discriminator is of these answers.

    Without labels, only the difference of two scores means something: then its sign counts, pair by pair.
    """
    answers = on_real - on_fake if state.config.loss in ("relativistic", "wasserstein") else on_real
    sureness = answers.sign().mean()
    if state.ranks:
        sureness = state.ranks.whole_mean(sureness)
    augment.steer(state.augmentation, sureness, state.config.augmentation_target, state.config.batch_size)


def _seen(state: TrainState, images: torch.Tensor) -> torch.Tensor:
    return as_shown(state, images, state.rng)


def as_shown(state: TrainState, images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """The discriminator's view of images, real ones and fakes alike; differentiable. rng: on the state's device."""
    config = state.config
    if config.augmentation_target:
        chance = state.augmentation[0]
        images = augment.turn(images, rng, chance, mirrored=config.horizontal_flip)
        images = augment.diffaugment(images, config.diffaugment, rng, chance)
    elif config.diffaugment != "off":
        images = augment.diffaugment(images, config.diffaugment, rng)
    if config.instance_noise:
        images = images + state.noise * normal_like(images, rng)
    return images


def _targets(state: TrainState, answers: torch.Tensor) -> tuple[float | torch.Tensor, float | torch.Tensor]:
    """The labels of real images and of fakes, some of them swapped if the config says so."""
    config = state.config
    labels = (config.real_label, config.fake_label)
    if not config.label_flips:
        return labels
    drawn = torch.rand(2, whole(len(answers), state.rng, packed=True), device=answers.device, generator=state.rng)
    flips = own(drawn, state.rng, packed=True, dim=1) < config.label_flips
    return tuple(own + (other - own) * flip for own, other, flip in zip(labels, labels[::-1], flips.float(), strict=True))  # type: ignore[return-value]


def _gradient(answers: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """The gradient of each answer with respect to its own images; it can be differentiated again: (len(answers), ...)."""
    (gradient,) = torch.autograd.grad(answers.sum(), images, create_graph=True)
    return gradient.float().reshape(len(answers), -1)


@torch.no_grad()
def _average(state: TrainState) -> None:
    """Moves the EMA generator toward the trained one (Karras et al. 2020, StyleGAN2-ADA, with its ramp)."""
    half_life = min(scheduled(state.config, state.images_seen).half_life, 0.05 * state.images_seen)
    decay = 0.5 ** (state.config.batch_size * state.config.d_steps / half_life) if half_life > 0 else 0.0
    get_ema_multi_avg_fn(decay)(*state._averaged_tensors, 0)
