from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan.config import TrainConfig
from gan.networks.build import new_discriminator, new_generator
from gan.networks.dcgan import Discriminator, Generator, count_parameters, initialize
from gan.networks.layers import (
    Doubling,
    Dropout,
    FromLatent,
    FromPixels,
    Halving,
    MinibatchStd,
    RepeatedConv,
    ToLogit,
    ToPixels,
    _kernel_gradient,
)
from gan.recipes import recipe


@pytest.mark.parametrize("size", [28, 32, 64, 128, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes(size: int, channels: int) -> None:
    config = TrainConfig(image_size=size, channels=channels, latent_dim=5, generator_filters=4, discriminator_filters=4)
    images = Generator(config)(torch.randn(3, 5))
    assert images.shape == (3, channels, size, size)
    assert images.abs().max() <= 1
    assert Discriminator(config)(images).shape == (3,)


def shapes(network: Generator | Discriminator) -> list[tuple[int, ...]]:
    convolutions: list[Any] = [m for m in network.modules() if hasattr(m, "kernel_size")]
    return [(*m.weight.shape, m.kernel_size[0], m.stride[0], m.padding[0]) for m in convolutions]


def test_the_lectures_networks_are_the_lectures() -> None:
    config = recipe("lecture").config
    assert shapes(Generator(config)) == [
        (100, 128, 4, 4, 4, 1, 0),
        (128, 64, 3, 3, 3, 2, 1),
        (64, 32, 4, 4, 4, 2, 1),
        (32, 1, 4, 4, 4, 2, 1),
    ]
    assert shapes(Discriminator(config)) == [
        (32, 1, 4, 4, 4, 2, 1),
        (64, 32, 4, 4, 4, 2, 1),
        (128, 64, 3, 3, 3, 2, 1),
        (1, 128, 4, 4, 4, 1, 0),
    ]
    norms = [m for m in Discriminator(config).modules() if isinstance(m, nn.BatchNorm2d)]
    assert [n.num_features for n in norms] == [64, 128]
    assert [m.p for m in Discriminator(config).modules() if isinstance(m, Dropout)] == [0.2] * 3


def test_pyimagesearchs_networks_are_the_tutorials() -> None:
    config = recipe("pyimagesearch").config
    generator, discriminator = Generator(config), Discriminator(config)
    kinds = [type(m).__name__ for m in generator.layers]
    assert kinds == ["FromLatent", "ReLU", "BatchNorm2d", *["Doubling", "ReLU", "BatchNorm2d"] * 2, "ToPixels", "Tanh"]
    kinds = [type(m).__name__ for m in (*discriminator.layers, discriminator.logit)]
    assert kinds == ["FromPixels", "LeakyReLU", "Dropout", "Halving", "LeakyReLU", "Dropout", "Flatten", "Linear", "LeakyReLU", "Linear"]
    assert shapes(discriminator) == [(32, 1, 4, 4, 4, 2, 1), (64, 32, 4, 4, 4, 2, 1)]
    dense = [(m.in_features, m.out_features) for m in discriminator.modules() if isinstance(m, nn.Linear)]
    assert dense == [(3136, 512), (512, 1)] and all(m.bias is not None for m in discriminator.modules() if hasattr(m, "weight"))


@pytest.mark.parametrize("how", ["pytorch", "dcgan"])
def test_initial_biases_are_torchs(how: str) -> None:
    network = Discriminator(recipe("pyimagesearch").config)
    initialize(network, how, torch.Generator().manual_seed(0))
    layers: Any = network.layers
    for module, fan_in in ((layers.conv7, 32 * 16), (layers.dense, 3136)):
        assert 0.9 * fan_in**-0.5 < module.bias.abs().max() <= fan_in**-0.5
    bound = 3136**-0.5
    assert 0.99 * bound < layers.dense.weight.abs().max() <= bound  # dense layers keep torch's default


def test_dcgan_has_the_reference_implementations_parameter_counts() -> None:
    """pytorch/examples, dcgan: 3,576,704 in the generator, 2,765,568 in the discriminator (ngf = ndf = 64, nz = 100)."""
    config = recipe("dcgan").config
    assert count_parameters(Generator(config)) == 3_576_704
    assert count_parameters(Discriminator(config)) == 2_765_568


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_first_and_last_layer_equal_the_convolutions_that_they_are(layout: torch.memory_format) -> None:
    first, last = FromLatent(6, 8, 4, 1, 0, bias=False), ToLogit(8, 1, 4, 1, 0, bias=False)
    z, x = torch.randn(5, 6), torch.randn(5, 8, 4, 4).contiguous(memory_format=layout)
    torch.testing.assert_close(first(z), nn.functional.conv_transpose2d(z[:, :, None, None], first.weight))
    torch.testing.assert_close(last(x), nn.functional.conv2d(x, last.weight).flatten())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bias", [False, True])
def test_layers_at_the_pixels_equal_the_convolutions_that_they_are(layout: torch.memory_format, channels: int, bias: bool) -> None:
    first, last = FromPixels(channels, 8, 4, 2, 1, bias=bias).double(), ToPixels(8, channels, 4, 2, 1, bias=bias).double()
    images = torch.randn(5, channels, 28, 28, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    maps = torch.randn(5, 8, 14, 14, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    pairs = [
        (first(images), nn.functional.conv2d(images, first.weight, first.bias, 2, 1), (images, first.weight)),
        (last(maps), nn.functional.conv_transpose2d(maps, last.weight, last.bias, 2, 1), (maps, last.weight)),
    ]
    for ours, theirs, inputs in pairs:
        torch.testing.assert_close(ours, theirs)
        gradients = [torch.autograd.grad(y.square().sum(), inputs, retain_graph=True) for y in (ours, theirs)]
        for a, b in zip(*gradients, strict=True):
            torch.testing.assert_close(a, b)


def test_initial_weights_come_from_the_generator_given_and_are_as_asked() -> None:
    config = recipe("dcgan").config
    one, two = (Generator(config) for _ in range(2))
    for network in (one, two):
        initialize(network, "dcgan", torch.Generator().manual_seed(3))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    weights = torch.cat([m.weight.flatten() for m in one.modules() if isinstance(m, nn.ConvTranspose2d)])
    assert abs(weights.mean()) < 1e-4 and abs(weights.std() - 0.02) < 1e-4
    initialize(one, "pytorch", torch.Generator().manual_seed(3))
    bound = (64 * 16) ** -0.5  # 1 / sqrt(fan_in); for a transposed convolution torch counts weight.shape[1]
    conv32 = one.layers.conv32
    assert isinstance(conv32, nn.ConvTranspose2d)
    weight = conv32.weight
    assert 0.99 * bound < weight.abs().max() <= bound


def test_drawing_weights_leaves_the_global_random_numbers_alone() -> None:
    network = Generator(TrainConfig())
    before = torch.get_rng_state()
    for how in ("pytorch", "dcgan"):
        initialize(network, how, torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_dropout_keeps_the_share_and_the_mean(layout: torch.memory_format) -> None:
    drop = Dropout(0.2)
    drop.rng = torch.Generator().manual_seed(0)
    x = torch.ones(64, 32, 7, 7).contiguous(memory_format=layout)
    y = drop(x)
    share = (y == 0).float().mean().item()
    assert abs(share - 0.2) < 0.005  # 100,352 draws: four standard errors are 0.005
    assert y[y > 0].unique().numel() == 1 and y.max().item() == pytest.approx(1 / 0.8, rel=1e-4)
    assert y.stride() == x.stride()
    columns = (y == 0).float().mean(dim=(0, 2, 3))
    assert columns.min() > 0.15 and columns.max() < 0.25  # the mask has no stripes
    drop.rng.manual_seed(0)
    assert torch.equal(drop(x), y)
    assert torch.equal(drop.eval()(x), x)


def test_dropout_of_an_odd_number_of_features() -> None:
    drop = Dropout(0.5)
    drop.rng = torch.Generator().manual_seed(0)
    assert drop(torch.ones(1, 3, 1, 1)).shape == (1, 3, 1, 1)


SWITCHES = [
    {"networks": "mlp"},
    {"generator_norm": "none", "discriminator_norm": "none"},
    {"generator_upsampling": "resize"},
    {"generator_extra_layers": 2},
    {"spectral_norm": True},
    {"minibatch_std": True},
    {"minibatch_std": True, "discriminator_head": "dense"},
    {"minibatch_std": True, "networks": "mlp"},
    {"networks": "residual", "minibatch_std": True, "conditional": True},
    {"networks": "residual", "spectral_norm": True},
    {"minibatch_std": True, "minibatch_discrimination": True},
    {"minibatch_discrimination": True, "networks": "mlp"},
    {"generator_spectral_norm": True, "conditional": True},
    {"networks": "stylegan", "minibatch_std": True, "conditional": True, "packing": 1},
    {"networks": "stylegan", "packing": 2},
    {"conditional": True},
    {"conditional": True, "spectral_norm": True, "minibatch_std": True},
]


@pytest.mark.parametrize("switch", SWITCHES, ids=str)
@pytest.mark.parametrize("size", [28, 64])
def test_every_switch_keeps_the_shapes(switch: dict[str, str | int], size: int) -> None:
    config = TrainConfig(image_size=size, channels=3, latent_dim=5, generator_filters=4, discriminator_filters=4, **switch)
    labels = torch.tensor([0, 1, 1, 0]) if config.conditional else None
    generator, discriminator = new_generator(config, 2), new_discriminator(config, 2)
    for network in (generator, discriminator):
        initialize(network, "dcgan", torch.Generator().manual_seed(0))
    images = generator(torch.randn(4, 5), labels)
    assert images.shape == (4, 3, size, size) and discriminator(images, labels).shape == (4 // config.packing,)


def test_mlps_networks_are_the_lectures() -> None:
    config = recipe("mlp").config
    dense = [
        [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, nn.Linear)]
        for network in (Generator(config), Discriminator(config))
    ]
    assert dense[0] == [(100, 256), (256, 512), (512, 1024), (1024, 12288)]
    assert dense[1] == [(12288, 1024), (1024, 512), (512, 256), (256, 1)]
    assert sum(isinstance(m, nn.BatchNorm1d) for m in Generator(config).modules()) == 3


def test_a_packed_discriminator_judges_images_together() -> None:
    config = TrainConfig(packing=2, discriminator_filters=4, discriminator_norm="none")
    network = Discriminator(config)
    images = torch.randn(6, 1, 28, 28)
    answers = network(images)
    assert answers.shape == (3,)
    images[5] = 0
    changed = network(images)
    assert torch.equal(answers[:2], changed[:2]) and answers[2] != changed[2]


def test_spectral_normalization_brings_the_largest_singular_value_to_1() -> None:
    config = TrainConfig(spectral_norm=True, discriminator_norm="none", discriminator_filters=8)
    networks = [Discriminator(config) for _ in range(2)]
    for network in networks:
        initialize(network, "pytorch", torch.Generator().manual_seed(0))
    for _ in range(50):
        networks[0](torch.randn(2, 1, 28, 28))  # each look is an iteration
    for module in networks[0].modules():
        if isinstance(module, nn.Conv2d):
            assert torch.linalg.matrix_norm(module.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)
    weights = [[p.clone() for p in n.state_dict().values()] for n in (networks[1], Discriminator(config))]
    again = Discriminator(config)
    initialize(again, "pytorch", torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(weights[0], again.state_dict().values(), strict=True))


def test_minibatch_deviation_by_hand() -> None:
    x = torch.tensor([[[[1.0]], [[5.0]]], [[[3.0]], [[5.0]]]])  # two images, two features: deviations 1 and 0
    out = MinibatchStd()(x)
    assert out.shape == (2, 3, 1, 1) and out[:, 2].flatten().tolist() == pytest.approx([0.5, 0.5], abs=1e-3)


def test_the_projection_is_the_class_embedding_times_the_pooled_features() -> None:
    config = TrainConfig(conditional=True, discriminator_filters=4)
    network = Discriminator(config, 3).eval()
    images, labels = torch.randn(5, 1, 28, 28), torch.tensor([0, 1, 2, 1, 0])
    features = network.features(images)
    expected = network.logit(features) + torch.einsum("nchw,nc->n", features, network.embedding.weight[labels])
    torch.testing.assert_close(network(images, labels), expected)


def test_conditional_networks_ask_for_classes() -> None:
    config = TrainConfig(conditional=True, generator_filters=4, discriminator_filters=4)
    for network, x in ((Generator(config, 3), torch.randn(2, 64)), (Discriminator(config, 3), torch.randn(2, 1, 28, 28))):
        with pytest.raises(ValueError, match="give labels from 0 to 2"):
            network(x)


def test_resize_convolution_has_no_transposed_layer_but_the_first() -> None:
    layers = Generator(TrainConfig(generator_upsampling="resize")).layers
    assert [type(m).__name__ for m in layers if isinstance(m, nn.ConvTranspose2d)] == ["FromLatent"]
    assert [m.kernel_size for m in layers if isinstance(m, nn.Conv2d)] == [(3, 3)] * 3


@pytest.mark.parametrize(
    "upsampling, size, kinds",
    [
        ("resize", 28, [FromLatent, nn.Conv2d, RepeatedConv, RepeatedConv]),
        ("resize", 32, [FromLatent, RepeatedConv, RepeatedConv, RepeatedConv]),
        ("mixed", 28, [FromLatent, Doubling, RepeatedConv, RepeatedConv]),
        ("mixed", 64, [FromLatent, Doubling, Doubling, RepeatedConv, RepeatedConv]),
        ("transposed", 32, [FromLatent, Doubling, Doubling, ToPixels]),
    ],
)
def test_a_generator_draws_the_same_in_training_as_when_it_samples(
    upsampling: Literal["transposed", "mixed", "resize"], size: Literal[28, 32, 64], kinds: list[type[nn.Module]]
) -> None:
    config = TrainConfig(generator_upsampling=upsampling, image_size=size, generator_norm="none", generator_filters=4)
    generator = Generator(config).double()
    assert [type(m) for m in generator.layers if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)] == kinds
    z = torch.randn(3, config.latent_dim, dtype=torch.float64)
    torch.testing.assert_close(generator.train()(z), generator.eval()(z))


@pytest.mark.parametrize("outputs", [3, 5])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [4, 7, 16])
def test_a_convolution_of_repeated_pixels_equals_its_parent(outputs: int, bias: bool, size: int) -> None:
    """The result, the gradients, also for the map before, and the gradients of a gradient."""
    found = []
    for kind in (RepeatedConv, nn.Conv2d):
        torch.manual_seed(0)
        layer = kind(6, outputs, 3, 1, 1, bias=bias).double()
        x = torch.randn(2, 6, size, size, dtype=torch.float64, requires_grad=True)
        y = layer(F.interpolate(x, scale_factor=2))
        (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        found.append([y, slope, *torch.autograd.grad(slope.square().sum(), [x, *layer.parameters()])])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)
    layer = RepeatedConv(6, outputs, 3, 1, 1, bias=bias)
    repeated = F.interpolate(torch.randn(2, 6, size, size), scale_factor=2)
    with torch.autocast("cpu", torch.bfloat16):
        short = layer(repeated)
    assert short.dtype == torch.bfloat16
    torch.testing.assert_close(short.float(), layer(repeated), rtol=2**-5, atol=2**-5)


@pytest.mark.parametrize("small, large, k", [(4, 8, 4), (4, 7, 3), (7, 14, 4), (8, 16, 4)])
def test_a_kernels_gradient_is_torchs(small: int, large: int, k: int) -> None:
    rng = torch.Generator().manual_seed(0)
    a, b = torch.randn(3, 5, small, small, generator=rng), torch.randn(3, 6, large, large, generator=rng)
    kernel = torch.zeros(5, 6, k, k)
    expected = torch.ops.aten.convolution_backward(a, b, kernel, None, [2, 2], [1, 1], [1, 1], False, [0, 0], 1, [False, True, False])[1]
    for layout in (torch.contiguous_format, torch.channels_last):
        found = _kernel_gradient(b.contiguous(memory_format=layout), a.contiguous(memory_format=layout), k)
        assert found.is_contiguous(memory_format=torch.channels_last)  # the layout of kernels: no copy is needed
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind, parent", [(Halving, nn.Conv2d), (Doubling, nn.ConvTranspose2d)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("small, large, k", [(4, 8, 4), (4, 7, 3), (7, 14, 4)])
def test_the_small_convolutions_equal_their_parents(
    kind: type[Halving | Doubling], parent: type[torch.nn.Conv2d | torch.nn.ConvTranspose2d], bias: bool, small: int, large: int, k: int
) -> None:
    rng = torch.Generator().manual_seed(0)
    ours, theirs = kind(6, 10, k, 2, 1, bias=bias), parent(6, 10, k, 2, 1, bias=bias)
    with torch.no_grad():
        for weight in ours.parameters():
            weight.uniform_(-0.1, 0.1, generator=rng)
    theirs.load_state_dict(ours.state_dict())
    size = large if kind is Halving else small
    x = torch.randn(3, 6, size, size, generator=rng)
    told = []
    for module in (ours, theirs):
        inputs = x.clone().requires_grad_()
        output = module(inputs)
        weigh = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
        first = torch.autograd.grad((output * weigh).sum(), (inputs, *module.parameters()), retain_graph=True)
        # A gradient penalty differentiates the gradient again.
        (slope,) = torch.autograd.grad((output.square() * weigh).sum(), inputs, create_graph=True)
        second = torch.autograd.grad(slope.square().sum(), (inputs, *module.parameters()), allow_unused=True)
        told.append([output, *first, *(t for t in second if t is not None)])
    for a, b in zip(*told, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        a, b = ours(x), theirs(x)
    assert a.dtype == torch.bfloat16 and torch.equal(a, b)
    # Compared with sums in fp32 of the same rounded numbers: without instructions for bf16, torch's own sums round after each image.
    exact = parent(6, 10, k, 2, 1, bias=bias)
    exact.load_state_dict({name: weight.bfloat16().float() for name, weight in ours.state_dict().items()})
    expected = torch.autograd.grad(exact(x.bfloat16().float()), [*exact.parameters()], 2 * a.detach().float())
    for one, other in zip(torch.autograd.grad(a.square().sum(), [*ours.parameters()]), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=2**-7, atol=2**-7)  # each number is rounded to 8 bits, once
    ours.requires_grad_(False)
    ours(x.clone().requires_grad_()).sum().backward()
    assert all(p.grad is None for p in ours.parameters())


@pytest.mark.parametrize(
    "fields",
    [{}, {"packing": 2}, {"minibatch_std": True}, {"conditional": True}, {"networks": "mlp"}, {"discriminator_head": "dense"}],
    ids=lambda fields: next(iter(fields), "plain"),
)
def test_two_batches_at_once_are_judged_as_one_after_the_other(fields: dict[str, int | str]) -> None:
    config = TrainConfig(discriminator_filters=4, **fields)
    rng = torch.Generator().manual_seed(0)
    at_once, in_turn = Discriminator(config, 3), Discriminator(config, 3)
    initialize(at_once, config.initialization, rng)  # the same in every run of this test
    in_turn.load_state_dict(at_once.state_dict())
    batches = [torch.rand(6, 1, 28, 28, generator=rng) * 2 - 1, torch.rand(6, 1, 28, 28, generator=rng) - 1]
    labels = torch.tensor([0, 1, 2, 2, 0, 1]) if config.conditional else None
    found, expected = at_once.forward_each(batches, labels), [in_turn(images, labels) for images in batches]
    for answers, its in zip(found, expected, strict=True):
        assert answers.shape == its.shape == (6 // config.packing,)
        torch.testing.assert_close(answers, its)
    for both in (found, expected):
        (both[0].square().mean() - both[1].mean()).backward()
    for one, other in zip(at_once.parameters(), in_turn.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-5)
    # Each batch moved the running statistics, the first before the second.
    for name, statistic in at_once.named_buffers():
        torch.testing.assert_close(statistic, in_turn.get_buffer(name), msg=name)
