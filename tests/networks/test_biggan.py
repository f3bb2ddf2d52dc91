"""BigGAN's networks and a step of `biggan-small`, next to the paper's formulas written plainly (Brock et al. 2019, appendix B)."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan import latent
from gan.config import TrainConfig
from gan.explore import directions
from gan.networks.biggan import Attention, BigDiscriminator, BigGenerator, BlockUp, EnlargedConv, ShrunkConv
from gan.networks.build import new_discriminator, new_generator
from gan.networks.dcgan import Generator, initialize
from gan.networks.layers import MinibatchDiscrimination, SpectralNorm
from gan.recipes import recipe
from gan.training.losses import orthogonal_penalty
from gan.training.state import new_state
from gan.training.step import train_step
from tests.networks.test_residual import PlainAdam

SMALL = {"generator_filters": 4, "discriminator_filters": 4, "latent_dim": 8, "batch_size": 4, "precision": "fp32"}


class Plain:
    """A network's weights by name; those that are normalized are divided by their singular values (Miyato et al. 2018, algorithm 1)."""

    def __init__(self, network: nn.Module) -> None:
        self.learned = {name: p.detach().clone().requires_grad_() for name, p in network.named_parameters()}
        self.vectors = {name: v.clone() for name, v in network.named_buffers() if name[-2:] in ("_u", "_v")}

    def weight(self, name: str) -> torch.Tensor:
        """In training: each use is one power iteration."""
        w = self.learned[f"{name}.parametrizations.weight.original"]
        u, v = (f"{name}.parametrizations.weight.0._{end}" for end in "uv")
        with torch.no_grad():
            matrix = w.reshape(len(w), -1)
            self.vectors[u] = matrix @ self.vectors[v] / (matrix @ self.vectors[v]).norm()
            self.vectors[v] = matrix.T @ self.vectors[u] / (matrix.T @ self.vectors[u]).norm()
        return w / (self.vectors[u] @ w.reshape(len(w), -1) @ self.vectors[v])

    def conv(self, x: torch.Tensor, name: str) -> torch.Tensor:
        w, bias = self.weight(name), self.learned.get(f"{name}.bias")
        out = F.conv2d(x, w, padding=w.shape[-1] // 2)
        return out if bias is None else out + bias[:, None, None]


def normalized(x: torch.Tensor) -> torch.Tensor:
    centered = x - x.mean((0, 2, 3), keepdim=True)
    return centered / (centered.square().mean((0, 2, 3), keepdim=True) + 1e-5).sqrt()


def enlarged(x: torch.Tensor, size: int) -> torch.Tensor:
    places = torch.arange(size) * x.shape[-1] // size
    return x[:, :, places][:, :, :, places]


def shrunk(x: torch.Tensor) -> torch.Tensor:
    places = range(0, x.shape[-1], 2)
    return torch.stack([torch.stack([x[:, :, i : i + 2, j : j + 2].mean((2, 3)) for j in places], 2) for i in places], 2)


def attended(x: torch.Tensor, net: Plain, name: str) -> torch.Tensor:
    """Zhang et al. 2019, equations 1 to 3; keys and values from 2 x 2 maxima."""
    query, key, value = (net.conv(x, f"{name}.{kind}") for kind in ("query", "key", "value"))
    n, _, side, _ = x.shape
    key, value = (m.reshape(n, -1, side // 2, 2, side // 2, 2).amax((3, 5)) for m in (key, value))
    scores = torch.einsum("ncij,nckl->nijkl", query, key).exp()
    found = torch.einsum("nijkl,nckl->ncij", scores / scores.sum((3, 4), keepdim=True), value)
    return x + net.learned[f"{name}.strength"] * net.conv(found, f"{name}.found")


def plain_generator(z: torch.Tensor, labels: torch.Tensor, net: Plain) -> torch.Tensor:
    first, *parts = z[:, :2], z[:, 2:4], z[:, 4:6], z[:, 6:8]
    x = (first @ net.weight("layers.dense").T + net.learned["layers.dense.bias"]).reshape(len(z), -1, 4, 4)
    for size, part in zip((7, 14, 28), parts, strict=True):
        block, inside = f"layers.block{size}", x
        y = torch.cat([net.learned["embedding.weight"][labels], part], 1)
        for i in (1, 2):
            gain, shift = (y @ net.weight(f"{block}.norm{i}.{kind}").T for kind in ("gain", "shift"))
            inside = F.relu(normalized(inside) * (1 + gain)[:, :, None, None] + shift[:, :, None, None])
            inside = net.conv(enlarged(inside, size), f"{block}.conv{i}")
        x = inside + net.conv(enlarged(x, size), f"{block}.shortcut")
        x = attended(x, net, "layers.attention14") if size == 14 else x
    x = normalized(x) * net.learned["layers.norm.weight"][:, None, None] + net.learned["layers.norm.bias"][:, None, None]
    return net.conv(F.relu(x), "layers.to_pixels").tanh()


def plain_discriminator(x: torch.Tensor, labels: torch.Tensor, net: Plain) -> torch.Tensor:
    for size in (28, 14, 7, 4):
        block = f"layers.block{size}"
        inside = net.conv(x if size == 28 else F.relu(x), f"{block}.conv1")
        inside = net.conv(F.relu(inside), f"{block}.conv2")
        x = x + inside if size == 4 else shrunk(inside) + shrunk(net.conv(x, f"{block}.shortcut"))
        x = attended(x, net, "layers.attention14") if size == 28 else x
    features = F.relu(x).sum((2, 3))
    return features @ net.weight("logit")[0] + net.learned["logit.bias"] + (net.weight("embedding")[labels] * features).sum(1)


def plain_orthogonal_penalty(net: Plain) -> torch.Tensor:
    total = torch.zeros(())
    for name, p in net.learned.items():
        if p.dim() > 1 and not name.startswith("embedding"):
            product = p.flatten(1) @ p.flatten(1).T
            total = total + (product * (1 - torch.eye(len(p)))).square().sum()
    return total


def test_a_step_is_the_papers_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps: hinge loss, two steps of D, spectral normalization in both networks, orthogonal penalty, averaged weights."""
    config = recipe("biggan-small").config.change(**SMALL, average_half_life=8, orthogonal_penalty=0.01)
    assert (config.beta1_g, config.beta1_d, config.loss, config.d_steps, config.self_attention) == (0, 0, "hinge", 2, True)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    try:
        state = new_state(config, torch.device("cpu"), class_names=("a", "b", "c"))
        for network in (state.generator, state.discriminator, state.averaged):
            network.double()
        with torch.no_grad():  # attention begins without effect, which would hide its gradients
            for network in (state.generator, state.discriminator):
                for p in network.parameters():
                    p.add_(0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
        draws = torch.Generator()
        draws.set_state(state.rng.get_state())
        g, d = Plain(state.generator), Plain(state.discriminator)
        averaged = {n: p.clone() for n, p in state.averaged.named_parameters()}
        adam_g, adam_d = PlainAdam(g.learned), PlainAdam(d.learned)
        for i in range(2):
            rng = torch.Generator().manual_seed(i)
            real, labels = torch.rand(8, 1, 28, 28, generator=rng) * 2 - 1, torch.randint(3, (8,), generator=rng)
            train_step(state, real, labels)

            for part in (slice(0, 4), slice(4, 8)):
                fake = plain_generator(torch.empty(4, 8).normal_(generator=draws), labels[part], g)
                on_real = plain_discriminator(real[part], labels[part], d)
                on_fake = plain_discriminator(fake.detach(), labels[part], d)
                adam_d.step(F.relu(1 - on_real).mean() + F.relu(1 + on_fake).mean(), config.lr_d, config.beta2)
            loss = -plain_discriminator(fake, labels[4:], d).mean() + 0.01 * plain_orthogonal_penalty(g)
            adam_g.step(loss, config.lr_g, config.beta2)
            decay = 0.5 ** (8 / min(8, 0.05 * 8 * (i + 1)))
            averaged = {n: decay * p + (1 - decay) * g.learned[n].detach() for n, p in averaged.items()}
        for network, plain in ((state.generator, g.learned), (state.discriminator, d.learned), (state.averaged, averaged)):
            for name, p in network.named_parameters():
                assert p.dtype == torch.float64 and (p - plain[name]).abs().max().item() < 1e-10, name
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("size", [(4, 7), (4, 8), (7, 14)], ids=str)
def test_resizing_convolutions_are_a_convolution_and_resizing(size: tuple[int, int]) -> None:
    _, large = size
    up, down = EnlargedConv(3, 5, large).double(), ShrunkConv(3, 5).double()
    rng = torch.Generator().manual_seed(0)
    x, y = (torch.randn(2, 3, n, n, dtype=torch.float64, generator=rng) for n in size)
    torch.testing.assert_close(up(x), F.conv2d(enlarged(x, large), up.weight, up.bias, padding=1))
    torch.testing.assert_close(down(y), shrunk(F.conv2d(y, down.weight, down.bias, padding=1)))


def built(**changes: Any) -> tuple[BigGenerator, BigDiscriminator]:
    config = recipe("biggan-small").config.change(**(SMALL | changes))
    generator, discriminator = new_generator(config, 3), new_discriminator(config, 3)
    assert isinstance(generator, BigGenerator) and isinstance(discriminator, BigDiscriminator)
    for network in (generator, discriminator):
        initialize(network, config.initialization, torch.Generator().manual_seed(0))
    return generator.eval(), discriminator


@pytest.mark.parametrize(("size", "parts"), [(28, [3, 3, 2, 2]), (64, [2] * 5), (128, [2, 2, 2, 2, 1, 1])])
def test_each_block_gets_a_part_of_z(size: int, parts: list[int]) -> None:
    generator, discriminator = built(image_size=size, channels=3, latent_dim=10)
    assert generator.z_parts == parts
    widths = [m.conv2.out_channels for m in generator.layers if isinstance(m, BlockUp)]
    assert widths == [4 * 2**i for i in reversed(range(len(parts) - 1))]
    assert sum(p.numel() for p in generator.layers[0].parameters()) >= 16 * widths[0] * (parts[0] + 1)
    assert sum(isinstance(m, Attention) for m in generator.layers) == sum(isinstance(m, Attention) for m in discriminator.layers) == 1
    z = torch.randn(2, 10)
    images = generator(z, torch.tensor([0, 1]))
    assert images.shape == (2, 3, size, size) and discriminator(images, torch.tensor([0, 1])).shape == (2,)
    with pytest.raises(ValueError, match="give labels from 0 to 2"):
        generator(z)
    with pytest.raises(ValueError, match=f"latent_dim must be at least {len(parts)} with networks biggan at {size} pixels"):
        TrainConfig(networks="biggan", image_size=size, latent_dim=len(parts) - 1)


def test_without_classes_z_alone_sets_the_gains() -> None:
    generator, discriminator = built(conditional=False, self_attention=False)
    assert not generator.classes and not any(isinstance(m, Attention) for m in generator.layers)
    z = torch.randn(2, 8)
    z[1, :6] = z[0, :6]
    one, two = generator(z)  # they differ by the last block's part of z alone
    assert (one - two).abs().mean() > 1e-4 and discriminator(generator(z)).shape == (2,)


def test_directions_know_the_part_of_each_block() -> None:
    generator, _ = built()
    weights, z = generator.first_weights(), torch.randn(1, 8)
    assert weights.shape == (8, 16 * 16 + 2 * (16 + 16 + 16 + 8 + 8 + 4))
    assert weights[:2, 256:].abs().max() == 0 == weights[2:, :256].abs().max()
    block: Any = generator.layers.block7
    torch.testing.assert_close(z[:, 2:4] @ weights[2:4, 256:272], z[:, 2:4] @ block.norm1.gain.weight[:, -2:].T)
    features = generator.first_features(z, torch.tensor([1]))
    assert features.shape == (1, 8 * 14 * 14)
    z[:, 6:] = 0  # the last block's part
    assert torch.equal(features, generator.first_features(z, torch.tensor([1])))
    for method in directions.METHODS:
        found = directions.find(generator, method, 3, label=2)
        assert len(found) and found.vectors.shape[1] == 8


def test_orthogonal_weights_begin_at_right_angles_and_the_penalty_keeps_them_there() -> None:
    generator = Generator(TrainConfig(generator_filters=4, latent_dim=8))
    initialize(generator, "orthogonal", torch.Generator().manual_seed(0))
    first: Any = generator.layers[0]
    torch.testing.assert_close(first.weight.flatten(1) @ first.weight.flatten(1).T, torch.eye(8), atol=1e-6, rtol=0)
    # By hand: rows (1, 2) and (3, 4) have the product 11, which counts twice; with a third row (0, 1), also 2 and 4.
    for rows, expected in (([[1.0, 2], [3, 4]], 2 * 121), ([[1.0, 2], [3, 4], [0, 1]], 2 * (121 + 4 + 16))):
        dense = nn.Linear(2, len(rows))
        dense.weight.data = torch.tensor(rows)
        assert orthogonal_penalty(nn.Sequential(dense, nn.Embedding(3, 3))).item() == pytest.approx(expected)
        turned = nn.ConvTranspose2d(2, len(rows), 1)  # there, filters lie along the second axis
        turned.weight.data = torch.tensor(rows).T[:, :, None, None].contiguous()
        assert orthogonal_penalty(turned).item() == pytest.approx(expected)


def test_averaged_singular_vectors_count_by_their_direction() -> None:
    weight = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    norm = SpectralNorm(weight, 0)
    for _ in range(200):
        norm(weight)
    exact = weight / torch.linalg.matrix_norm(weight, 2)
    torch.testing.assert_close(norm(weight), exact)
    norm.get_buffer("_u").mul_(0.9)
    torch.testing.assert_close(norm.eval()(weight), exact)


def test_minibatch_discrimination_by_hand() -> None:
    layer = MinibatchDiscrimination(3)
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    numbers = (x @ layer.compared.weight.detach().T).view(4, 32, 5)
    expected = [[sum((-(numbers[i, k] - numbers[j, k]).abs().sum()).exp() for j in range(4)) for k in range(32)] for i in range(4)]
    found = layer(x)
    assert found.shape == (4, 35) and torch.equal(found[:, :3], x)
    torch.testing.assert_close(found[:, 3:], torch.tensor(expected))
    alone = MinibatchDiscrimination(3 * 4)(torch.randn(1, 3, 2, 2))
    assert alone.shape == (1, 35, 2, 2) and (alone[:, 3:] == 1).all()


def test_truncation_draws_again_what_is_beyond_and_keeps_the_rest() -> None:
    plain, truncated = (latent.from_seeds([3, 4], 200, "normal", threshold) for threshold in (None, 0.5))
    inside = plain.abs() <= 0.5
    assert torch.equal(plain[inside], truncated[inside]) and 0 < inside.sum() < 400
    assert truncated.abs().max() <= 0.5 and truncated[~inside].std() > 0.2
    assert torch.equal(truncated[1:], latent.from_seeds([4], 200, "normal", 0.5))
    with pytest.raises(ValueError, match=r"truncation must be at least 0.04; got 0"):
        latent.from_seeds([1], 4, threshold=0)
