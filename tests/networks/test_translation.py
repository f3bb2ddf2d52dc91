"""The networks and steps of `pix2pix` and `cyclegan`, next to the papers' formulas written plainly (Isola et al. 2017; Zhu et al. 2017)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan.config import TrainConfig
from gan.networks.build import new_networks
from gan.networks.layers import Dropout
from gan.networks.translation import PATCH_HALVINGS, InstanceNorm, PatchLayers, TwoGenerators, UNet, feature_maps
from gan.recipes import recipe
from gan.training.memory import memory_estimate
from gan.training.state import TrainState, new_state
from gan.training.step import train_step

Weights = dict[str, torch.Tensor]
SMALL = {"generator_filters": 4, "discriminator_filters": 4, "image_size": 28, "channels": 1, "batch_size": 3, "precision": "fp32"}


def batch_normalized(x: torch.Tensor, w: Weights, name: str) -> torch.Tensor:
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
    scale, offset = w[f"{name}.weight"][:, None, None], w[f"{name}.bias"][:, None, None]
    return scale * (x - mean) / (variance + 1e-5).sqrt() + offset


def instance_normalized(x: torch.Tensor) -> torch.Tensor:
    return (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()


def dropped(x: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    """Half of the features, doubled: each 16-bit number below 0 keeps one, in the order of memory (N, H, W, C)."""
    numbers = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None, generator=draws).view(torch.int16)[: x.numel()]
    n, c, h, w = x.shape
    return x * 2 * (numbers < 0).view(n, h, w, c).permute(0, 3, 1, 2)


def plain_unet(x: torch.Tensor, w: Weights, draws: torch.Generator) -> torch.Tensor:
    """28 -> 14 -> 7 -> 4 -> 2 -> 1 and back; the kernel between 7 and 4 pixels is 3."""
    sides = [28, 14, 7, 4, 2, 1]
    kernels = [4, 4, 3, 4, 4]
    skips = []
    for i in range(5):
        bias = w.get(f"encoder.{i}.conv.bias")
        assert w[f"encoder.{i}.conv.weight"].shape[-1] == kernels[i] and (bias is not None) == (i in (0, 4))
        x = F.conv2d(x, w[f"encoder.{i}.conv.weight"], bias, 2, 1)
        assert x.shape[-1] == sides[i + 1]
        if i not in (0, 4):
            x = batch_normalized(x, w, f"encoder.{i}.norm")
        x = torch.where(x > 0, x, 0.2 * x)
        skips.append(x)
    for i in range(5):
        if i:
            x = torch.cat([x, skips[4 - i]], 1)
        x = F.conv_transpose2d(x, w[f"decoder.{i}.conv.weight"], w.get(f"decoder.{i}.conv.bias"), 2, 1)
        if i == 4:
            return torch.tanh(x)
        x = batch_normalized(x, w, f"decoder.{i}.norm")
        x = (dropped(x, draws) if i < 3 else x).clamp(min=0)
    raise AssertionError


def plain_patches(x: torch.Tensor, w: Weights, name: str, norm: Callable[[torch.Tensor, str], torch.Tensor]) -> torch.Tensor:
    """Patches of 34 pixels: two convolutions with stride 2, one with stride 1, and the answer."""
    for i, stride in ((1, 2), (2, 2), (3, 1)):
        x = F.conv2d(x, w[f"{name}patch_conv{i}.weight"], w.get(f"{name}patch_conv{i}.bias"), stride, 1)
        x = norm(x, f"{name}patch_norm{i}") if i > 1 else x
        x = torch.where(x > 0, x, 0.2 * x)
    return F.conv2d(x, w[f"{name}answer.weight"], w[f"{name}answer.bias"], 1, 1)


def reflected(x: torch.Tensor, by: int) -> torch.Tensor:
    side = x.shape[-1]
    places = [abs(i) if i < side else 2 * (side - 1) - i for i in range(-by, side + by)]
    return x[:, :, places][:, :, :, places]


def plain_resnet(x: torch.Tensor, w: Weights, name: str) -> torch.Tensor:
    x = instance_normalized(F.conv2d(reflected(x, 3), w[f"{name}.first.weight"])).clamp(min=0)
    for layer in ("down1", "down2"):
        x = instance_normalized(F.conv2d(x, w[f"{name}.{layer}.weight"], None, 2, 1)).clamp(min=0)
    for i in range(6):
        block = f"{name}.blocks.{i}"
        inside = instance_normalized(F.conv2d(reflected(x, 1), w[f"{block}.conv1.weight"])).clamp(min=0)
        x = x + instance_normalized(F.conv2d(reflected(inside, 1), w[f"{block}.conv2.weight"]))
    for layer in ("up1", "up2"):
        x = instance_normalized(F.conv_transpose2d(x, w[f"{name}.{layer}.weight"], None, 2, 1, 1)).clamp(min=0)
    return torch.tanh(F.conv2d(reflected(x, 3), w[f"{name}.last.weight"], w[f"{name}.last.bias"]))


class PlainAdam:
    """Kingma and Ba 2015, algorithm 1, with beta 1 = 0.5 and beta 2 = 0.999."""

    def __init__(self, w: Weights) -> None:
        self.w, self.t = w, 0
        self.m, self.v = ({name: torch.zeros_like(p) for name, p in w.items()} for _ in range(2))

    def step(self, loss: torch.Tensor, lr: float) -> None:
        self.t += 1
        for (name, p), g in zip(self.w.items(), torch.autograd.grad(loss, list(self.w.values())), strict=True):
            self.m[name], self.v[name] = 0.5 * self.m[name] + 0.5 * g, 0.999 * self.v[name] + 0.001 * g.square()
            with torch.no_grad():
                p -= lr * self.m[name] / (1 - 0.5**self.t) / ((self.v[name] / (1 - 0.999**self.t)).sqrt() + 1e-8)


@contextmanager
def in_float64(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TrainState, Weights, Weights, torch.Generator]]:
    """A new state in float64, plain copies of its generator's and discriminator's weights, and a copy of its random generator."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    try:
        state = new_state(config, torch.device("cpu"), class_names=("a", "b"))
        for network in (state.generator, state.discriminator, state.averaged):
            network.double()
        draws = torch.Generator()
        draws.set_state(state.rng.get_state())
        g, d = ({n: p.detach().clone().requires_grad_() for n, p in x.named_parameters()} for x in (state.generator, state.discriminator))
        yield state, g, d, draws
        for network, plain in ((state.generator, g), (state.discriminator, d)):
            for name, p in network.named_parameters():
                assert p.dtype == torch.float64 and (p - plain[name]).abs().max().item() < 1e-10, name
    finally:
        torch.set_default_dtype(torch.float32)


def images(seed: int) -> torch.Tensor:
    return torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_a_step_of_pix2pix_is_the_papers_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps: U-Net with dropout, PatchGAN that sees the input, BCE (halved for D), 100 times L1, Adam."""
    config = recipe("pix2pix").config.change(**SMALL)
    assert (config.loss, config.l1_weight, config.mean_loss_d, config.beta1_g, config.beta1_d) == ("bce", 100, True, 0.5, 0.5)
    with in_float64(config, monkeypatch) as (state, g, d, draws):
        adam_g, adam_d = PlainAdam(g), PlainAdam(d)
        summed = torch.zeros(6)
        for i in range(3):
            a, b = images(i), images(100 + i)
            train_step(state, b, a)

            def answers(outputs: torch.Tensor, a: torch.Tensor = a) -> torch.Tensor:
                return plain_patches(torch.cat([a, outputs], 1), d, "layers.", lambda x, name: batch_normalized(x, d, name))

            fake = plain_unet(a, g, draws)
            on_real, on_fake = torch.sigmoid(answers(b)), torch.sigmoid(answers(fake.detach()))
            loss_d = -(on_real.log().mean() + (1 - on_fake).log().mean()) / 2
            adam_d.step(loss_d, config.lr_d)
            after = torch.sigmoid(answers(fake))
            loss_g, l1 = -after.log().mean(), (fake - b).abs().mean()
            summed += torch.stack([loss_d, loss_g, on_real.mean(), on_fake.mean(), after.mean(), l1 / 2]).detach()
            adam_g.step(loss_g + 100 * l1, config.lr_g)
        assert (state.sums[:6] - summed).abs().max().item() < 1e-10


def test_a_step_of_cyclegan_is_the_papers_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps: residual networks, LSGAN, cycles, identity, a buffer of two images, a rate that falls linearly."""
    config = recipe("cyclegan").config.change(**SMALL, image_buffer=2, schedule_start=3, schedule_images=15)
    assert (config.loss, config.cycle_weight, config.identity_weight, config.mean_loss_d) == ("least_squares", 10, 5, True)
    assert (config.schedule, config.lr_end) == ("linear", 0)
    with in_float64(config, monkeypatch) as (state, g, d, draws):
        adam_g, adam_d = PlainAdam(g), PlainAdam(d)
        buffers: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
        swapped = 0

        def answers(x: torch.Tensor, of: str) -> torch.Tensor:
            return plain_patches(x, d, f"{of}.", lambda x, _: instance_normalized(x))

        for i in range(3):
            a, b = images(i), images(100 + i)
            train_step(state, b, a)

            rate = 1 - max(0, 3 * i - 3) / 12
            fake_b, fake_a = plain_resnet(a, g, "to_b"), plain_resnet(b, g, "to_a")
            shown = []
            for buffer, fakes in zip(buffers, (fake_a, fake_b), strict=True):
                numbers = torch.rand(2, 3, generator=draws)
                of = []
                for k, fake in enumerate(fakes.detach()):
                    if len(buffer) < 2:
                        buffer.append(fake)
                    elif numbers[1, k] < 0.5:
                        slot = int(numbers[0, k] * 2)
                        fake, buffer[slot], swapped = buffer[slot], fake, swapped + 1
                    of.append(fake)
                shown.append(torch.stack(of))
            loss_d = sum(
                ((answers(real, of) - 1).square().mean() + answers(fake, of).square().mean()) / 2
                for real, fake, of in ((a, shown[0], "of_a"), (b, shown[1], "of_b"))
            )
            assert isinstance(loss_d, torch.Tensor)
            adam_d.step(loss_d, config.lr_d * rate)
            loss_g = (answers(fake_a, "of_a") - 1).square().mean() + (answers(fake_b, "of_b") - 1).square().mean()
            cycle = (plain_resnet(fake_b, g, "to_a") - a).abs().mean() + (plain_resnet(fake_a, g, "to_b") - b).abs().mean()
            same = (plain_resnet(b, g, "to_b") - b).abs().mean() + (plain_resnet(a, g, "to_a") - a).abs().mean()
            adam_g.step(loss_g + 10 * cycle + 5 * same, config.lr_g * rate)
        assert swapped and state.buffer and state.buffer.filled.tolist() == [2, 2]
        assert (state.buffer.images[1] - torch.stack(buffers[1])).abs().max().item() < 1e-10


@pytest.mark.parametrize("size", [28, 32, 64])
def test_outputs_have_the_inputs_shape_and_the_discriminator_answers_patches(size: int) -> None:
    config = TrainConfig(networks="pix2pix", image_size=size, channels=3, generator_filters=4, discriminator_filters=4)
    a = torch.randn(2, 3, size, size)
    for networks in ("pix2pix", "cyclegan"):
        of = config.change(networks=networks)
        generator, discriminator = new_networks(of)
        outputs = generator(a)
        assert outputs.shape == a.shape and outputs.abs().max() <= 1
        answers: Any = discriminator(a, outputs) if networks == "pix2pix" else discriminator.of_b(outputs)  # type: ignore[operator, union-attr]
        assert answers.shape[:2] == (2, 1) and answers.shape[-1] == size // 4 - 2
        assert memory_estimate(of) > memory_estimate(of.change(batch_size=32)) > 0
    assert isinstance(generator, TwoGenerators)
    assert not torch.equal(generator.translate(a), generator.translate(a, back=True))


@pytest.mark.parametrize("patch", PATCH_HALVINGS)
def test_an_answer_depends_on_one_patch(patch: int) -> None:
    layers = PatchLayers(1, 2, patch, lambda width: nn.Identity())
    x = torch.randn(1, 1, 128, 128, requires_grad=True)
    answers = layers(x)
    middle = answers.shape[-1] // 2
    (gradient,) = torch.autograd.grad(answers[0, 0, middle, middle], x)
    seen = gradient[0, 0].abs().sum(0).nonzero().flatten()
    assert seen[-1] - seen[0] + 1 == patch


def test_noise_is_dropout_in_the_first_layers_of_the_decoder_while_training() -> None:
    config = TrainConfig(networks="pix2pix", image_size=64, generator_filters=4)
    unet = UNet(config)
    assert [any(isinstance(m, Dropout) for m in layer.modules()) for layer in unet.decoder.children()] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    assert [layer.conv.out_channels for layer in unet.encoder.children()] == [4, 8, 16, 32, 32, 32]  # type: ignore[union-attr]
    a = torch.randn(2, 1, 64, 64)
    assert not torch.equal(unet(a), unet(a))
    unet.eval()
    assert torch.equal(unet(a), unet(a))
    with pytest.raises(ValueError, match="only translates from A to B"):
        unet.translate(a, back=True)


def test_instance_normalization_is_torchs() -> None:
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.testing.assert_close(InstanceNorm()(x.contiguous(memory_format=layout)), nn.InstanceNorm2d(3)(x))


def test_the_memory_estimate_counts_the_feature_maps() -> None:
    """Against the outputs of all layers, which hooks count."""
    for networks in ("pix2pix", "cyclegan"):
        config = TrainConfig(networks=networks, image_size=64, generator_filters=4, discriminator_filters=4)
        generator, discriminator = new_networks(config)
        counted = 0

        def count(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            nonlocal counted
            counted += output.numel()

        for module in (*generator.modules(), *discriminator.modules()):
            if not list(module.children()):
                module.register_forward_hook(count)
        x = torch.randn(1, 1, 64, 64)
        outputs = generator(x)
        _ = discriminator(x, outputs) if networks == "pix2pix" else discriminator.of_b(outputs)  # type: ignore[operator, union-attr]
        assert 0.7 < feature_maps(config) / counted < 1.5, (feature_maps(config), counted)


def test_settings_without_a_meaning_are_refused() -> None:
    for settings, rule in (
        ({"conditional": True}, "conditional must be False with networks pix2pix"),
        ({"r1": 1}, "r1 must be 0.0 with networks pix2pix"),
        ({"loss": "relativistic"}, "loss must be bce, hinge or least_squares with networks pix2pix; got relativistic"),
        ({"data_split": "all"}, "data_split must be train with networks pix2pix"),
    ):
        with pytest.raises(ValueError, match=rule):
            TrainConfig(networks="pix2pix", **settings)
    with pytest.raises(ValueError, match="schedule_start must be less than schedule_images, 10; got 10"):
        TrainConfig(schedule_start=10, schedule_images=10)
