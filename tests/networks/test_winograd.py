from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from gan.config import TrainConfig
from gan.networks import winograd
from gan.networks.dcgan import Discriminator, Generator
from gan.networks.layers import Doubling, Halving
from gan.recipes import recipe
from gan.training.state import Execution, new_state
from gan.training.step import train_step

SIZES = [(1, 2, 3, 2, 2), (3, 5, 4, 2, 4), (2, 4, 6, 4, 4), (3, 3, 2, 6, 2)]


def both(
    n: int, a: int, b: int, height: int, width: int, transposed: bool, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """An input, a kernel and weights of the output, with small sides of height x width."""
    rng = torch.Generator().manual_seed(0)
    large, small = (n, b, 2 * height, 2 * width), (n, a, height, width)
    x = torch.randn(small if transposed else large, generator=rng, dtype=dtype)
    kernel = torch.randn(a, b, 4, 4, generator=rng, dtype=dtype)
    weigh = torch.randn(large if transposed else small, generator=rng, dtype=dtype)
    return x.requires_grad_(), kernel.requires_grad_(), weigh


def torchs(x: torch.Tensor, kernel: torch.Tensor, transposed: bool) -> torch.Tensor:
    return torch.convolution(x, kernel, None, [2, 2], [1, 1], [1, 1], transposed, [0, 0], 1)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_convolution_and_its_gradients_are_torchs(
    size: tuple[int, int, int, int, int], transposed: bool, layout: torch.memory_format
) -> None:
    x, kernel, weigh = both(*size, transposed)
    told = []
    for convolution in (winograd.convolution, torchs):
        # Leaves keep the layout of the input.
        result = convolution(x.contiguous(memory_format=layout), kernel.contiguous(memory_format=layout), transposed)
        told.append([result, *torch.autograd.grad((result * weigh).sum(), (x, kernel))])
    for ours, expected in zip(*told, strict=True):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


def test_images_that_do_not_fit_the_cache_are_transformed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    x, kernel, weigh = both(5, 3, 4, 4, 4, False)
    whole = winograd.convolution(x, kernel, False)
    gradients = torch.autograd.grad((whole * weigh).sum(), (x, kernel))
    monkeypatch.setattr(winograd, "CACHED", 2 * x[0].numel() * x.element_size())  # parts of 2, 2 and 1
    parts = winograd.convolution(x, kernel, False)
    assert torch.equal(parts, whole)
    for a, b in zip(torch.autograd.grad((parts * weigh).sum(), (x, kernel)), gradients, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("transposed", [False, True])
def test_it_can_be_differentiated_twice(transposed: bool) -> None:
    x, kernel, _ = both(2, 2, 3, 2, 2, transposed)
    assert torch.autograd.gradcheck(lambda x, kernel: winograd.convolution(x, kernel, transposed), (x, kernel))
    assert torch.autograd.gradgradcheck(lambda x, kernel: winograd.convolution(x, kernel, transposed), (x, kernel))


@pytest.mark.parametrize("transposed", [False, True])
def test_only_the_gradients_that_are_wanted_are_made(transposed: bool) -> None:
    x, kernel, weigh = both(2, 4, 4, 2, 2, transposed)
    expected = torch.autograd.grad((torchs(x, kernel, transposed) * weigh).sum(), (x, kernel))
    (winograd.convolution(x.detach(), kernel, transposed) * weigh).sum().backward()
    assert x.grad is None
    torch.testing.assert_close(kernel.grad, expected[1])
    (winograd.convolution(x, kernel.detach(), transposed) * weigh).sum().backward()
    torch.testing.assert_close(x.grad, expected[0])


@pytest.mark.parametrize("transposed", [False, True])
def test_in_16_bits_its_error_is_of_the_numbers_own_size(transposed: bool) -> None:
    x, kernel, weigh = both(4, 64, 128, 8, 8, transposed)
    with torch.no_grad():  # numbers that bf16 has, so that only the way of computing counts
        x.copy_(x.bfloat16()), kernel.copy_(kernel.bfloat16()), weigh.copy_(weigh.bfloat16())
    output = torchs(x, kernel, transposed)
    exact = [output, *torch.autograd.grad((output * weigh).sum(), (x, kernel))]
    errors = []
    for convolution in (winograd.convolution, torchs):
        result = convolution(x.bfloat16(), kernel.bfloat16(), transposed)
        found = [result, *torch.autograd.grad((result.double() * weigh).sum(), (x, kernel))]
        errors.append([float(((f - e).norm() / e.norm()).detach()) for f, e in zip(found, exact, strict=True)])
    # A bf16 number is right to 2**-9 of itself: torch's sum is rounded once, ours also at the transforms before and after.
    for ours, plain in zip(*errors, strict=True):
        assert plain < 2**-8 and ours < 2**-6


def test_it_is_for_many_channels_and_places() -> None:
    kernel = nn.Parameter(torch.zeros(256, 128, 4, 4))
    assert winograd.pays(kernel, 8, 8) and winograd.pays(kernel, 32, 4)
    assert not winograd.pays(kernel, 31, 4)  # 496 positions
    assert not winograd.pays(kernel, 64, 7)  # tiles are 2 x 2
    assert not winograd.pays(nn.Parameter(torch.zeros(256, 64, 4, 4)), 8, 8)
    assert not winograd.pays(nn.Parameter(torch.zeros(256, 128, 3, 3)), 8, 8)
    assert not winograd.pays(kernel.detach(), 8, 8)  # in fp32, without the kernel's gradient
    assert winograd.pays(kernel.detach().bfloat16(), 8, 8)
    half = nn.Parameter(torch.zeros(128, 64, 4, 4, dtype=torch.bfloat16))
    assert winograd.pays(half, 8, 16)
    assert not winograd.pays(half, 8, 8) and not winograd.pays(half.detach(), 8, 16) and not winograd.pays(half.float(), 8, 16)


@pytest.mark.parametrize("kind, parent, shape", [(Halving, nn.Conv2d, (8, 128, 16, 16)), (Doubling, nn.ConvTranspose2d, (8, 256, 8, 8))])
def test_a_wide_layer_equals_its_parent(
    kind: type[Halving | Doubling],
    parent: type[torch.nn.Conv2d | torch.nn.ConvTranspose2d],
    shape: tuple[int, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used = []
    original = winograd.convolution

    def convolution(*arguments: Any) -> torch.Tensor:
        used.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(winograd, "convolution", convolution)
    a, b = (128, 256) if kind is Halving else (256, 128)
    ours, theirs = kind(a, b, 4, 2, 1, bias=False), parent(a, b, 4, 2, 1, bias=False)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)
    assert len(used) == 1
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = ours(x), theirs(x)
    assert found.dtype == torch.bfloat16 and len(used) == 2
    torch.testing.assert_close(found, expected, rtol=2**-5, atol=2**-5)
    ours.eval()
    assert torch.equal(ours(x), theirs(x)) and len(used) == 2  # an image is the same whichever code draws it


def _moments(monkeypatch: pytest.MonkeyPatch, precision: str, pays: Callable[..., bool], filters: int = 64) -> list[torch.Tensor]:
    """Adam's first moments, a tenth or a half of the gradients, of both networks after one step of polarsparc's, at a fraction of its batch."""
    config = recipe("polarsparc").config.change(batch_size=8, generator_filters=filters, discriminator_filters=filters)
    real = torch.rand(8, config.channels, config.image_size, config.image_size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    monkeypatch.setattr(winograd, "pays", pays)
    state = new_state(config, torch.device("cpu"), execution=Execution(precision, True, 2))
    train_step(state, real)
    return [torch.cat([s["exp_avg"].flatten() for s in o.state.values()]) for o in (state.optimizer_d, state.optimizer_g)]


def _errors(found: list[torch.Tensor], exact: list[torch.Tensor]) -> list[float]:
    return [float((f - e).norm() / e.norm()) for f, e in zip(found, exact, strict=True)]


def test_a_step_of_wide_networks_has_torchs_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, never = winograd.pays, lambda *_: False
    exact = _moments(monkeypatch, "fp32", never)
    of_d, of_g = _errors(_moments(monkeypatch, "fp32", ours), exact)
    assert 0 < of_d < 1e-3  # it was used
    assert 0 < of_g < 0.03  # seen through D after a step whose length does not depend on the gradient's, only on its sign


def test_16_bits_cost_a_step_little_more_precision_than_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """With half the channels, because a processor that does not know bf16 takes 8 s for a step of the recipe's networks."""
    ours, never, used = winograd.pays, lambda *_: False, []
    monkeypatch.setattr(winograd, "CHANNELS", winograd.CHANNELS // 2)

    def counted(*given: Any) -> bool:
        used.append(ours(*given))
        return used[-1]

    exact = _moments(monkeypatch, "fp32", never, 32)
    found, again = _moments(monkeypatch, "bf16", counted, 32), _moments(monkeypatch, "bf16", counted, 32)
    assert sum(used) == 2 * 5
    assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True))
    for winograds, plain in zip(_errors(found, exact), _errors(_moments(monkeypatch, "bf16", never, 32), exact), strict=True):
        assert winograds < 1.5 * plain  # 0.12 and 0.10, 0.22 and 0.19: what 16 bits cost by themselves


def test_recipes_of_28_pixels_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "convolution", None)
    config = TrainConfig()
    images = Generator(config)(torch.randn(config.batch_size, config.latent_dim))
    Discriminator(config)(images).sum().backward()
