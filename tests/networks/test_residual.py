"""The residual networks and a step of `r3gan-small`, next to the paper's formulas written plainly (Huang et al. 2024)."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan.config import TrainConfig
from gan.networks.dcgan import Discriminator, Generator, initialize
from gan.networks.residual import Basis, Enlarge, Residual, Shrink, fixup_deviations, groups_of
from gan.recipes import recipe
from gan.training.memory import memory_estimate
from gan.training.state import new_state
from gan.training.step import train_step

Weights = dict[str, torch.Tensor]
SMALL = {"generator_filters": 8, "discriminator_filters": 8, "latent_dim": 6, "batch_size": 4, "precision": "fp32"}


def plain_enlarged(x: torch.Tensor, size: int) -> torch.Tensor:
    """Zeros between the pixels, then the filter 1 2 1 in both directions."""
    n, c, _, _ = x.shape
    spread = x.new_zeros(n, c, size, size)
    spread[:, :, ::2, ::2] = x
    row = torch.tensor([0.5, 1.0, 0.5], dtype=x.dtype)
    return F.conv2d(spread.reshape(n * c, 1, size, size), row.outer(row)[None, None], padding=1).reshape(n, c, size, size)


def plain_shrunk(x: torch.Tensor) -> torch.Tensor:
    """The filter 1 2 1 in both directions, then every other pixel."""
    n, c, h, _ = x.shape
    row = torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype)
    return F.conv2d(x.reshape(n * c, 1, h, h), row.outer(row)[None, None], padding=1).reshape(n, c, h, h)[:, :, ::2, ::2]


def plain_block(x: torch.Tensor, w: Weights, name: str) -> torch.Tensor:
    inside = F.leaky_relu(F.conv2d(x, w[f"{name}.expand.weight"]) + w[f"{name}.expand.bias"][:, None, None], 0.2)
    kernel = w[f"{name}.grouped.weight"]
    size = kernel.shape[1]  # channels in a group
    parts = [F.conv2d(inside[:, i : i + size], kernel[i : i + size], padding=1) for i in range(0, len(kernel), size)]
    inside = F.leaky_relu(torch.cat(parts, 1) + w[f"{name}.grouped.bias"][:, None, None], 0.2)
    return x + F.conv2d(inside, w[f"{name}.compress.weight"])


def plain_generator(z: torch.Tensor, w: Weights) -> torch.Tensor:
    x = torch.einsum("ni,ci,chw->nchw", z, w["layers.dense.weight"], w["layers.basis.weight"])
    for size in (4, 7, 14, 28):
        if size > 4:
            x = plain_enlarged(F.conv2d(x, w[f"layers.conv{size}.weight"]), size)
        x = plain_block(x, w, f"layers.block{size}")
    return F.conv2d(x, w["layers.image.weight"])


def plain_discriminator(x: torch.Tensor, w: Weights) -> torch.Tensor:
    x = F.conv2d(x, w["layers.pixels.weight"])
    for size in (28, 14, 7, 4):
        x = plain_block(x, w, f"layers.block{size}")
        if size > 4:
            x = F.conv2d(plain_shrunk(x), w[f"layers.conv{(size + 1) // 2}.weight"])
    return torch.einsum("nchw,chw->nc", x, w["layers.basis.weight"][:, 0]) @ w["logit.weight"][0]


class PlainAdam:
    """Kingma and Ba 2015, algorithm 1."""

    def __init__(self, w: Weights) -> None:
        self.w, self.t = w, 0
        self.m, self.v = ({name: torch.zeros_like(p) for name, p in w.items()} for _ in range(2))

    def step(self, loss: torch.Tensor, lr: float, beta2: float) -> None:
        self.t += 1
        for (name, p), g in zip(self.w.items(), torch.autograd.grad(loss, list(self.w.values())), strict=True):
            self.m[name], self.v[name] = g, beta2 * self.v[name] + (1 - beta2) * g.square()  # beta 1 is 0
            with torch.no_grad():
                p -= lr * self.m[name] / ((self.v[name] / (1 - beta2**self.t)).sqrt() + 1e-8)


def test_a_step_is_the_papers_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps: relativistic loss, both penalties, Adam without momentum, cosine schedules, averaged weights."""
    config = recipe("r3gan-small").config.change(**SMALL, schedule_images=16, average_half_life_end=8)
    assert (config.beta1_g, config.beta1_d, config.loss, config.reuse_fakes) == (0, 0, "relativistic", False)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    try:
        state = new_state(config, torch.device("cpu"))
        for network in (state.generator, state.discriminator, state.averaged):
            network.double()
        with torch.no_grad():  # the last layers of blocks are 0, which would hide the others' gradients
            for network in (state.generator, state.discriminator):
                for p in network.parameters():
                    p.add_(0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
        draws = torch.Generator()
        draws.set_state(state.rng.get_state())
        g, d = ({n: p.detach().clone().requires_grad_() for n, p in x.named_parameters()} for x in (state.generator, state.discriminator))
        averaged = {n: p.clone() for n, p in state.averaged.named_parameters()}
        adam_g, adam_d = PlainAdam(g), PlainAdam(d)
        for i in range(3):
            real = torch.rand(4, config.channels, 28, 28, generator=torch.Generator().manual_seed(i)) * 2 - 1
            train_step(state, real)

            way = (1 - math.cos(math.pi * min(1, 4 * i / 16))) / 2
            rate, beta2, weights = 1 - 0.75 * way, 0.9 + 0.09 * way, [r * (1 - 0.9 * way) for r in (config.r1, config.r2)]
            x = real.requires_grad_()
            fake = plain_generator(torch.empty(4, 6).normal_(generator=draws), g).detach().requires_grad_()
            on_real, on_fake = plain_discriminator(x, d), plain_discriminator(fake, d)
            loss = F.softplus(on_fake - on_real).mean()
            for images, answers, weight in ((x, on_real, weights[0]), (fake, on_fake, weights[1])):
                (gradient,) = torch.autograd.grad(answers.sum(), images, create_graph=True)
                loss = loss + weight / 2 * gradient.square().sum((1, 2, 3)).mean()
            adam_d.step(loss, config.lr_d * rate, beta2)
            fake = plain_generator(torch.empty(4, 6).normal_(generator=draws), g)
            adam_g.step(F.softplus(plain_discriminator(real, d) - plain_discriminator(fake, d)).mean(), config.lr_g * rate, beta2)
            seen = 4 * (i + 1)
            half_life = min(8 * (1 - math.cos(math.pi * min(1, seen / 16))) / 2, 0.05 * seen)
            averaged = {n: p + (1 - 0.5 ** (4 / half_life)) * (g[n].detach() - p) for n, p in averaged.items()}
        for network, plain in ((state.generator, g), (state.discriminator, d), (state.averaged, averaged)):
            for name, p in network.named_parameters():
                assert p.dtype == torch.float64 and (p - plain[name]).abs().max().item() < 1e-10, name
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("size", "enlarged"), [(4, 7), (4, 8), (7, 14)])
def test_resampling_is_the_filter_and_can_be_differentiated_twice(size: int, enlarged: int) -> None:
    x = torch.randn(2, 3, enlarged, enlarged, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    small = x[:, :, :size, :size].contiguous()
    torch.testing.assert_close(Enlarge(enlarged)(small), plain_enlarged(small, enlarged))
    torch.testing.assert_close(Shrink()(x), plain_shrunk(x))
    assert Shrink()(x).shape[-1] == size
    for layer, given in ((Enlarge(enlarged), small), (Shrink(), x)):
        assert torch.autograd.gradcheck(layer, given[:1, :1].requires_grad_())
        assert torch.autograd.gradgradcheck(layer, given[:1, :1].requires_grad_())


def test_at_first_each_block_changes_nothing_and_values_keep_their_variance() -> None:
    config = TrainConfig(networks="residual", initialization="fixup", generator_filters=32, discriminator_filters=32, image_size=32)
    generator, discriminator = Generator(config), Discriminator(config)
    for network in (generator, discriminator):
        initialize(network, "fixup", torch.Generator().manual_seed(0))
    blocks = [m for m in generator.layers if isinstance(m, Residual)]
    x = torch.randn(2, 256, 4, 4)
    assert len(blocks) == 4 and torch.equal(blocks[0](x), x)
    assert all(not m.bias.any() for m in generator.modules() if isinstance(m, nn.Conv2d) and m.bias is not None)
    inner: Any = blocks[0].expand
    wanted = math.sqrt(2) * 4**-0.25 / 16  # ReLU; four blocks; 256 inputs
    assert inner.weight.std().item() == pytest.approx(wanted, rel=0.02) == pytest.approx(fixup_deviations(generator)[inner], rel=0.02)
    patterns: Any = next(m for m in generator.layers if isinstance(m, Basis))
    assert patterns.weight.std().item() == pytest.approx(1, rel=0.05)
    z = torch.randn(64, config.latent_dim, generator=torch.Generator().manual_seed(1))
    assert generator.layers[:3](z).std().item() == pytest.approx(1, rel=0.1)


def test_groups_have_at_least_16_channels_of_equal_number() -> None:
    assert [groups_of(n) for n in (8, 16, 24, 32, 64, 80, 88, 96, 1536)] == [1, 1, 1, 2, 4, 5, 4, 6, 96]


@pytest.mark.parametrize("size", [28, 32, 64, 128])
def test_widths_double_towards_4_pixels(size: int) -> None:
    config = TrainConfig(networks="residual", image_size=size, generator_filters=4, discriminator_filters=4, channels=3)
    generator, discriminator = Generator(config), Discriminator(config)
    images = generator(torch.randn(2, config.latent_dim))
    assert images.shape == (2, 3, size, size) and discriminator(images).shape == (2,)
    widths = [m.compress.out_channels for m in generator.layers if isinstance(m, Residual)]
    assert widths == [4 * 2**i for i in reversed(range(len(widths)))]
    assert widths[::-1] == [m.compress.out_channels for m in discriminator.layers if isinstance(m, Residual)]
    assert memory_estimate(config) > memory_estimate(config.change(generator_filters=4, batch_size=32))


def test_fixup_needs_blocks_and_weights_that_are_not_divided() -> None:
    with pytest.raises(ValueError, match="initialization must be pytorch or dcgan with networks dcgan"):
        TrainConfig(initialization="fixup")
    with pytest.raises(ValueError, match="initialization must be pytorch or dcgan with spectral_norm"):
        TrainConfig(initialization="fixup", networks="residual", spectral_norm=True)
    assert TrainConfig(networks="residual", r1=1, r2=1).r1 == 1  # no normalization, whatever discriminator_norm says
