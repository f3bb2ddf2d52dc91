"""The directions that are found are those that a toy generator was built with."""

import pytest
import torch
from torch import nn

from gan import latent
from gan.config import TrainConfig
from gan.explore import directions
from gan.networks.dcgan import Generator
from gan.training.state import new_state

CPU = torch.device("cpu")


class Toy(Generator):
    """A generator of dense layers, whose first one is known."""

    def __init__(self, weight: torch.Tensor, *rest: torch.nn.Module) -> None:  # weight: (features, d)
        super().__init__(TrainConfig(networks="mlp", generator_filters=4))
        self.latent_dim = weight.shape[1]
        first = nn.Linear(weight.shape[1], len(weight), bias=False)
        first.weight.data = weight
        self.layers = nn.Sequential(first, *rest, nn.Linear(len(weight), 1))


def rotated(d: int, seed: int) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(d, d, generator=torch.Generator().manual_seed(seed)))[0]


def same_axes(found: torch.Tensor, wanted: torch.Tensor, at_least: float = 0.999) -> torch.Tensor:
    """Whether each direction is the expected one or its opposite, with the length of one standard deviation."""
    cosines = (found * wanted).sum(1) / found.norm(dim=1) / wanted.norm(dim=1)
    return cosines.abs().min() > at_least


@pytest.mark.parametrize(("distribution", "length"), [("normal", 1.0), ("uniform", 3**-0.5)])
def test_the_components_of_a_linear_generator_are_its_axes(distribution: str, length: float) -> None:
    axes, outputs = rotated(6, 0), rotated(20, 1)
    stretch = torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0, 0.5])
    toy = Toy(outputs[:, :6] @ torch.diag(stretch) @ axes)  # z's coordinate along axes[i] is stretched by stretch[i]
    found = directions.find(toy, "pca", 4, distribution)
    assert found.numbers == (1, 2, 3, 4)
    assert same_axes(found.vectors, axes[:4], 0.99)
    assert found.vectors.norm(dim=1).tolist() == pytest.approx([length] * 4, abs=1e-5)
    assert found.shares == pytest.approx((stretch**2 / (stretch**2).sum())[:4].tolist(), rel=0.1)
    assert torch.equal(found.vectors, directions.find(toy, "pca", 4, distribution).vectors)


def test_the_way_back_to_z_is_least_squares() -> None:
    toy = Toy(torch.randn(30, 5, generator=torch.Generator().manual_seed(3)), nn.ReLU())
    found = directions.principal(toy, 3, samples=2000)
    z = latent.from_seeds(range(2000), 5)
    with torch.inference_mode():
        features = toy.layers[1](toy.layers[0](z))
    axes = torch.linalg.svd(features - features.mean(0), full_matrices=False)[2][:3]
    along = (features - features.mean(0)) @ axes.T
    solution = torch.linalg.lstsq(along, z - z.mean(0)).solution
    assert same_axes(found.vectors, solution)


def test_a_component_that_grows_to_both_sides_has_no_direction() -> None:
    # Through a pair of ReLUs go z_0 and |z_0|, both far stronger than what follows them; |z_0| is no direction of z.
    toy = Toy(torch.tensor([[9.0, 0, 0], [-9, 0, 0], [0, 2, 0], [0, 0, 1]]), nn.ReLU())
    toy.layers[0].bias = nn.Parameter(torch.tensor([0.0, 0, 10, 10]))  # the other two always pass
    found = directions.find(toy, "pca", 3)
    assert len(found) == 3 and same_axes(found.vectors, torch.eye(3), 0.99)
    assert found.shares[0] > 0.6 and sum(found.shares) < 0.8  # |z_0| has the rest


def test_the_closed_form_by_hand() -> None:
    # A'A of the rows (3, 0) and (4, 5) is ((25, 20), (20, 25)): eigenvalues 45 and 5, eigenvectors (1, 1) and (1, -1).
    found = directions.find(Toy(torch.tensor([[3.0, 0.0], [4.0, 5.0]])), "sefa", 2)
    half = 0.5**0.5
    torch.testing.assert_close(found.vectors.abs(), torch.full((2, 2), half))
    assert found.vectors[0].prod() > 0 > found.vectors[1].prod()
    assert found.shares == pytest.approx((0.9, 0.1))


def test_single_dimensions_and_other_methods() -> None:
    class Picture(Toy):
        def __call__(self, z: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
            return (z * torch.tensor([0.1, 3.0, 1.0])).sum(1)[:, None, None, None].expand(-1, 1, 2, 2)

    found = directions.find(Picture(torch.eye(3)), "raw", 2, "uniform")
    assert found.numbers == (1, 2)
    torch.testing.assert_close(found.vectors, torch.eye(3)[1:] * 3**-0.5)
    assert found.only([1]).numbers == (2,) and found.only([1]).shares == found.shares[1:]
    with pytest.raises(ValueError, match="'guess'"):
        directions.find(Picture(torch.eye(3)), "guess", 2)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"image_size": 64, "channels": 3, "latent_distribution": "uniform", "generator_order": "activation_first"},
        {"image_size": 128, "generator_upsampling": "resize", "generator_norm": "none"},
        {"networks": "mlp", "latent_dim": 3},
        {"conditional": True},
    ],
    ids=str,
)
def test_every_kind_of_generator_has_directions(config: TrainConfig, settings: dict[str, int | str]) -> None:
    made = new_state(config.change(**{"latent_dim": 20} | settings), CPU, class_names=("cats", "dogs"))
    assert isinstance(made.averaged, Generator)
    generator = made.averaged.eval().requires_grad_(False)
    d, distribution = made.config.latent_dim, made.config.latent_distribution
    label = 1 if made.config.conditional else None
    for method in directions.METHODS:
        found = directions.find(generator, method, 16, distribution, label)
        assert found.vectors.shape == (len(found), d) and 1 <= len(found) <= min(16, d), method
        assert found.vectors.isfinite().all() and list(found.shares) == sorted(found.shares, reverse=True)
        assert found.vectors.norm(dim=1).tolist() == pytest.approx([latent.deviation(distribution)] * len(found), rel=1e-4)
    state = torch.get_rng_state()
    directions.find(generator, "pca", 4, distribution, label)
    assert torch.equal(state, torch.get_rng_state())


def test_a_class_has_components_of_its_own(config: TrainConfig) -> None:
    made = new_state(config.change(conditional=True, latent_dim=20, initialization="pytorch"), CPU, class_names=("cats", "dogs"))
    assert isinstance(made.averaged, Generator)
    cats, dogs = (directions.find(made.averaged.eval(), "pca", 3, label=label).vectors for label in (0, 1))
    assert not torch.allclose(cats, dogs, atol=1e-3)


def test_usual_lengths() -> None:
    for distribution, squares in (("normal", 1), ("uniform", 1 / 3)):
        low, high = latent.usual_lengths(100, distribution)
        assert low < (100 * squares) ** 0.5 < high
        lengths = latent.from_seeds(range(500), 100, distribution).norm(dim=1)
        assert 0.95 < ((lengths > low) & (lengths < high)).float().mean() <= 1
