"""The style-based networks and steps of `stylegan-small`, next to the papers' formulas written plainly (Karras et al. 2019, 2020)."""

import math
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F

from gan import latent
from gan.config import TrainConfig
from gan.networks.build import new_discriminator, new_generator
from gan.networks.dcgan import initialize
from gan.networks.sampling import acts_in_training, sample, sample_as_in_training
from gan.networks.stylegan import StyledConv, StyleGenerator, enlarged, shrunk, split_of_styles
from gan.recipes import recipe
from gan.training.memory import memory_estimate
from gan.training.state import TrainState, new_state
from gan.training.step import train_step

CPU = torch.device("cpu")
Weights = dict[str, torch.Tensor]
SMALL = {"generator_filters": 4, "discriminator_filters": 4, "latent_dim": 6, "batch_size": 4, "precision": "fp32"}


def plain_filter(x: torch.Tensor, taps: list[float], before: int, after: int) -> torch.Tensor:
    """Each map with a filter in both directions, with so many zeros before and after each row and column."""
    n, c, h, w = x.shape
    row = torch.tensor(taps, dtype=x.dtype) / sum(taps)
    padded = F.pad(x.reshape(n * c, 1, h, w), (before, after, before, after))
    y = F.conv2d(padded, row.outer(row)[None, None])
    return y.reshape(n, c, *y.shape[2:])


def spread(x: torch.Tensor) -> torch.Tensor:
    """A zero after each row and column."""
    y = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    y[:, :, ::2, ::2] = x
    return y


def taps_between(small: int, large: int) -> list[float]:
    return [1.0, 3.0, 3.0, 1.0] if large == 2 * small else [1.0, 2.0, 1.0]


def plain_enlarged(x: torch.Tensor, size: int) -> torch.Tensor:
    taps = taps_between(x.shape[-1], size)
    after = 1 if len(taps) == 4 else 0
    return 4 * plain_filter(spread(x), taps, 2 if len(taps) == 4 else 1, after)


def plain_shrunk(x: torch.Tensor) -> torch.Tensor:
    taps = taps_between((x.shape[-1] + 1) // 2, x.shape[-1])
    return plain_filter(x, taps, 1, 1)[:, :, ::2, ::2]


def dense(x: torch.Tensor, w: Weights, name: str, rate: float = 1.0) -> torch.Tensor:
    weight = w[f"{name}.weight"]
    return x @ (weight * rate / math.sqrt(weight.shape[1])).T + w[f"{name}.bias"] * rate


def active(x: torch.Tensor) -> torch.Tensor:
    return math.sqrt(2) * F.leaky_relu(x, 0.2)


def plain_mapping(z: torch.Tensor, w: Weights) -> torch.Tensor:
    x = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
    for i in range(1, 5):
        x = active(dense(x, w, f"mapping.dense{i}", 0.01))
    return x


def plain_modulated(x: torch.Tensor, style: torch.Tensor, w: Weights, name: str, size: int, demodulate: bool = True) -> torch.Tensor:
    """Weights of their own for each image (Karras et al. 2020, equations 1 and 3); each is convolved alone."""
    kernel = w[f"{name}.weight"]
    scale = dense(style, w, f"{name}.affine")
    found = []
    for image, factors in zip(x, scale, strict=True):
        own = kernel / math.sqrt(kernel[0].numel()) * factors[None, :, None, None]
        if demodulate:
            own = own / (own.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if size == x.shape[-1]:
            found.append(F.conv2d(image[None], own, padding=kernel.shape[-1] // 2))
        else:  # zeros between pixels, the kernel turned, the filter
            wide = F.conv2d(F.pad(spread(image[None])[:, :, :-1, :-1], (2, 2, 2, 2)), own.flip(2, 3))
            taps = taps_between(x.shape[-1], size)
            found.append(4 * plain_filter(wide, taps, len(taps) - 3, len(taps) - 3))
    return torch.cat(found)


def plain_synthesis(styles: torch.Tensor, w: Weights, sizes: tuple[int, ...], noises: Iterator[torch.Tensor]) -> torch.Tensor:
    """styles: (N, layers, d)."""
    x, image, number = w["layers.constant.weight"].repeat(len(styles), 1, 1, 1), None, 0
    for size in sizes:
        for name in [f"layers.conv{size}"] if size == 4 else [f"layers.up{size}", f"layers.conv{size}"]:
            x = plain_modulated(x, styles[:, number], w, f"{name}.conv", size)
            x = active(x + w[f"{name}.strength"] * next(noises) + w[f"{name}.conv.bias"][:, None, None])
            number += 1
        colors = plain_modulated(x, styles[:, number], w, f"layers.image{size}.conv", size, demodulate=False)
        colors = colors + w[f"layers.image{size}.conv.bias"][:, None, None]
        image = colors if image is None else plain_enlarged(image, size) + colors
    assert image is not None
    return image


def conv(x: torch.Tensor, w: Weights, name: str, stride: int = 1, padding: int = 0) -> torch.Tensor:
    weight = w[f"{name}.weight"]
    y = F.conv2d(x, weight / math.sqrt(weight[0].numel()), stride=stride, padding=padding)
    return y + w[f"{name}.bias"][:, None, None] if f"{name}.bias" in w else y


def plain_discriminator(x: torch.Tensor, w: Weights, sizes: tuple[int, ...]) -> torch.Tensor:
    x = active(conv(x, w, "layers.pixels"))
    for size in sizes[:0:-1]:
        name, taps = f"layers.block{size}", taps_between((size + 1) // 2, size)
        y = active(conv(x, w, f"{name}.conv1", padding=1))
        y = active(conv(plain_filter(y, taps, 2, 2), w, f"{name}.conv2", stride=2))
        x = (conv(plain_shrunk(x), w, f"{name}.skip") + y) / math.sqrt(2)
    deviation = (x.var(0, unbiased=False) + 1e-8).sqrt().mean()
    x = torch.cat([x, deviation.expand(len(x), 1, 4, 4)], 1)
    x = active(conv(x, w, "head.conv4", padding=1)).flatten(1)
    return dense(active(dense(x, w, "head.dense")), w, "logit")[:, 0]


class PlainAdam:
    """Kingma and Ba 2015, algorithm 1, with beta 1 = 0."""

    def __init__(self, w: Weights, lr: float, beta2: float) -> None:
        self.w, self.lr, self.beta2 = w, lr, beta2
        self.t = dict.fromkeys(w, 0)
        self.v = {name: torch.zeros_like(p) for name, p in w.items()}

    def step(self, loss: torch.Tensor) -> None:
        """Weights that the loss does not depend on are left out, with their own count of steps."""
        gradients = torch.autograd.grad(loss, list(self.w.values()), allow_unused=True)
        for (name, p), gradient in zip(self.w.items(), gradients, strict=True):
            if gradient is not None:
                self.t[name] += 1
                self.v[name] = self.beta2 * self.v[name] + (1 - self.beta2) * gradient.square()
                with torch.no_grad():
                    p -= self.lr * gradient / ((self.v[name] / (1 - self.beta2 ** self.t[name])).sqrt() + 1e-8)


def lively(state: TrainState) -> None:
    """Random noise strengths and biases, which start at 0 and would hide mistakes."""
    with torch.no_grad():
        for network in (state.generator, state.discriminator):
            for name, p in network.named_parameters():
                if name.endswith(("strength", "bias")):
                    p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))


@pytest.mark.parametrize("size", [28, 32])
def test_steps_are_the_papers_in_float64(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps: logistic loss, style mixing, noise, R1 every other step in an update of its own, the mean of w, averaged weights."""
    config = recipe("stylegan-small").config.change(**SMALL, image_size=size, penalty_every=2, r1=3, style_mixing=0.6, average_half_life=8)
    assert (config.beta1_g, config.beta1_d, config.loss, config.reuse_fakes, config.minibatch_std) == (0, 0, "bce", False, True)
    sizes = (4, 7, 14, 28) if size == 28 else (4, 8, 16, 32)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    try:
        state = new_state(config, CPU)
        lively(state)
        for network in (state.generator, state.discriminator, state.averaged):
            network.double()
        draws = torch.Generator()
        draws.set_state(state.rng.get_state())
        g, d = ({n: p.detach().clone().requires_grad_() for n, p in x.named_parameters()} for x in (state.generator, state.discriminator))
        averaged, mean_w = {n: p.clone() for n, p in state.averaged.named_parameters()}, torch.zeros(6)
        share = 2 / 3  # k / (k + 1) (Karras et al. 2020, appendix B)
        adam_g, adam_d = PlainAdam(g, config.lr_g, 0.99), PlainAdam(d, config.lr_d * share, 0.99**share)

        def fakes() -> torch.Tensor:
            nonlocal mean_w
            first = plain_mapping(torch.empty(4, 6).normal_(generator=draws), g)
            mean_w = mean_w + 0.005 * (first.detach().mean(0) - mean_w)
            second = torch.empty(4, 6).normal_(generator=draws)
            happens, place = torch.rand(4, 2, generator=draws).T
            second = plain_mapping(second, g)
            styles = first[:, None].repeat(1, 8, 1)
            for i in range(4):
                if happens[i] < 0.6:
                    styles[i, 1 + int(place[i] * 7) :] = second[i]
            noises = (torch.empty(4, 1, s, s).normal_(generator=draws) for s in (4, *(s for s in sizes[1:] for _ in range(2))))
            return plain_synthesis(styles, g, sizes, noises)

        for i in range(3):
            real = torch.rand(4, 3, size, size, generator=torch.Generator().manual_seed(i)) * 2 - 1
            train_step(state, real)

            on_real, on_fake = (plain_discriminator(x, d, sizes) for x in (real, fakes().detach()))
            adam_d.step(F.softplus(-on_real).mean() + F.softplus(on_fake).mean())
            if i % 2 == 0:
                x = real.clone().requires_grad_()
                (gradient,) = torch.autograd.grad(plain_discriminator(x, d, sizes).sum(), x, create_graph=True)
                adam_d.step(2 * 3 / 2 * gradient.square().sum((1, 2, 3)).mean())
            adam_g.step(F.softplus(-plain_discriminator(fakes(), d, sizes)).mean())
            half_life = min(8, 0.05 * 4 * (i + 1))
            averaged = {n: p + (1 - 0.5 ** (4 / half_life)) * (g[n].detach() - p) for n, p in averaged.items()}
        for network, plain in ((state.generator, g), (state.discriminator, d), (state.averaged, averaged)):
            for name, p in network.named_parameters():
                assert p.dtype == torch.float64 and (p - plain[name]).abs().max().item() < 1e-10, name
        assert isinstance(state.generator, StyleGenerator)
        assert (state.generator.mean_w - mean_w).abs().max() < 1e-12
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("small", "large"), [(4, 7), (4, 8), (7, 14)])
def test_the_filters_are_plain_ones_and_can_be_differentiated_twice(small: int, large: int) -> None:
    x = torch.randn(2, 3, large, large, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = x[:, :, :small, :small].contiguous()
    torch.testing.assert_close(enlarged(y, large), plain_enlarged(y, large))
    torch.testing.assert_close(shrunk(x), plain_shrunk(x))
    for filtered, given in ((lambda v: enlarged(v, large), y), (shrunk, x)):
        assert torch.autograd.gradcheck(filtered, given[:1, :1].requires_grad_())
        assert torch.autograd.gradgradcheck(filtered, given[:1, :1].requires_grad_())


def small(**changes: object) -> TrainConfig:
    return recipe("stylegan-small").config.change(**SMALL | changes)


def made(config: TrainConfig, classes: int = 0) -> StyleGenerator:
    generator = new_generator(config, classes)
    assert isinstance(generator, StyleGenerator)
    initialize(generator, config.initialization, torch.Generator().manual_seed(0))
    return generator


@pytest.mark.parametrize("size", [28, 32, 64, 128])
def test_sizes_and_widths(size: int) -> None:
    config = small(image_size=size, conditional=True, packing=1)
    generator, discriminator = made(config, 3), new_discriminator(config, 3)
    initialize(discriminator, "pytorch", torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1, 2, 0])
    images = generator(torch.randn(4, 6), labels)
    assert images.shape == (4, 3, size, size) and discriminator(images, labels).shape == (4,)
    assert 0.2 < images.std().item() < 5
    wide = new_generator(small(image_size=size, generator_filters=256))
    assert max(m.conv.out_channels for m in wide.layers if isinstance(m, StyledConv)) == 512


def test_an_image_depends_on_its_z_alone_and_noise_can_be_turned_off() -> None:
    generator = made(small()).eval()
    with torch.no_grad():
        for layer in generator.layers:
            if isinstance(layer, StyledConv):
                layer.strength.fill_(0.5)
    z = latent.from_seeds(range(3), 6)
    images = sample(generator, z)
    assert (sample(generator, z[1:2])[0] == images[1]).all() and (images[0] != images[1]).any()
    with torch.inference_mode():
        w = generator.styles(z)
        quiet, noisy = generator.draw(w, noise=False), generator.draw(w)
        assert not torch.equal(quiet, noisy)
        torch.testing.assert_close(generator.draw(w[:, None].repeat(1, generator.styles_count, 1)), noisy)
        for layer in generator.layers:
            if isinstance(layer, StyledConv):
                layer.strength.zero_()
        torch.testing.assert_close(generator.draw(w), quiet)
    assert acts_in_training(generator) and (sample_as_in_training(generator, z) != images).any()


def test_truncation_goes_to_the_mean_of_w() -> None:
    generator = made(small()).eval()
    generator.mean_w.copy_(torch.arange(6.0))
    w = torch.ones(2, 6)
    assert torch.equal(generator.truncated(w, 0.0)[0], generator.mean_w)
    torch.testing.assert_close(generator.truncated(w, 1.0), w)
    torch.testing.assert_close(generator.truncated(w, 0.5)[1], (1 + torch.arange(6.0)) / 2)


def test_mixed_styles_change_at_one_place_and_for_the_share_asked_for() -> None:
    generator = made(small(style_mixing=0.7))
    generator.rng = torch.Generator().manual_seed(0)
    w = torch.full((4000, 6), 7.0)
    styles = generator._mixed(w, None)
    own = (styles == 7).all(2)
    assert own[:, 0].all() and not (own[:, 1:] & ~own[:, :-1]).any()  # from one layer on, those of the other
    assert (~own[:, -1]).float().mean().item() == pytest.approx(0.7, abs=0.03)
    counts = own[~own[:, -1]].sum(1).bincount(minlength=8)[1:].float()
    assert counts.min() > 0.8 * counts.mean()  # each place as often


@pytest.mark.parametrize(
    ("size", "expected"),
    [(28, ((0, 3), (3, 5), (5, 8))), (32, ((0, 3), (3, 5), (5, 8))), (64, ((0, 3), (3, 5), (5, 10))), (128, ((0, 3), (3, 7), (7, 12)))],
)
def test_coarse_middle_and_fine_styles(size: int, expected: tuple[tuple[int, int], ...]) -> None:
    split = split_of_styles(size)
    assert tuple(split) == ("coarse", "middle", "fine") and tuple(split.values()) == expected
    assert expected[-1][1] == made(small(image_size=size)).styles_count
    # The first fine style is that of a convolution to larger maps.
    convolutions = [name for name, layer in made(small(image_size=size)).layers.named_children() if isinstance(layer, StyledConv)]
    assert all(convolutions[first].startswith("up") for first, _ in expected[1:])


def test_the_estimate_is_near_what_a_step_keeps() -> None:
    """Counts the feature maps that autograd keeps for one image, each once."""
    config = small(image_size=64, generator_filters=8, discriminator_filters=8, batch_size=3)
    generator, discriminator = made(config), new_discriminator(config)
    initialize(discriminator, "pytorch", torch.Generator().manual_seed(0))
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() == 4 and tensor.shape[0] == 3:
            kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        answers = discriminator(generator(torch.randn(3, 6)))
    assert answers.shape == (3,) and generator.map_numbers is not None and discriminator.map_numbers is not None
    numbers = 3 * (generator.map_numbers + discriminator.map_numbers)
    assert 0.7 < numbers / sum(kept.values()) < 1.3
    assert memory_estimate(config.change(batch_size=30)) - memory_estimate(config) == 9 * numbers * 4 * 4


def test_lazy_penalties_leave_the_usual_rates_alone_when_they_are_off() -> None:
    lazy = new_state(small(penalty_every=4, lr_d=2e-3), CPU).optimizer_d.param_groups[0]
    assert lazy["lr"] == pytest.approx(2e-3 * 0.8) and lazy["betas"][1] == pytest.approx(0.99**0.8)
    for changes in ({"penalty_every": 1}, {"r1": 0, "penalty_every": 4}):
        usual = new_state(small(**changes, lr_d=2e-3), CPU).optimizer_d.param_groups[0]
        assert (usual["lr"], usual["betas"]) == (2e-3, (0, 0.99))


def test_spectral_normalization_is_refused() -> None:
    with pytest.raises(ValueError, match="spectral_norm must be off with networks stylegan"):
        small(spectral_norm=True)
