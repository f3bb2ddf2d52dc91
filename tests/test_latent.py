import math

import pytest
import torch

from gan import latent


def test_a_seed_names_the_same_point_wherever_it_stands() -> None:
    together = latent.from_seeds([5, 9, 2**63 - 1], 16)
    assert torch.equal(together[1:2], latent.from_seeds([9], 16))
    assert together.shape == (3, 16)
    uniform = latent.from_seeds(range(200), 16, "uniform")
    assert uniform.abs().max() <= 1 and abs(uniform.mean()) < 0.05
    assert abs(latent.from_seeds(range(500), 16).std() - 1) < 0.05
    with pytest.raises(ValueError, match="seed"):
        latent.from_seeds([-1], 4)


def test_seeds_are_read_from_text() -> None:
    assert latent.parse_seeds("1, 2,10-13") == [1, 2, 10, 11, 12, 13]
    for text in ("", "a", "-1", "3-1", "1,,2", "1.5", "9" * 50, "0-99999999999", str(2**63), "٣"):
        with pytest.raises(ValueError):
            latent.parse_seeds(text)
    with pytest.raises(ValueError, match="at most 3"):
        latent.parse_seeds("1-4", most=3)


def test_slerp_by_hand() -> None:
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 4.0])
    half = latent.slerp(a, b, torch.tensor(0.5))
    torch.testing.assert_close(half, torch.tensor([3.0, 3.0]) / math.sqrt(2))  # 45 degrees, length half-way from 2 to 4
    third = latent.slerp(a, b, torch.tensor(1 / 3))
    assert math.atan2(third[1], third[0]) == pytest.approx(math.pi / 6, abs=1e-6)
    for t, end in ((0.0, a), (1.0, b)):
        torch.testing.assert_close(latent.slerp(a, b, torch.tensor(t)), end)


def test_slerp_of_parallel_opposite_and_zero_vectors_is_finite() -> None:
    a = torch.tensor([1.0, 2.0])
    for b in (a, -a, 2 * a, torch.zeros(2)):
        middle = latent.slerp(a, b, torch.tensor(0.5))
        assert middle.isfinite().all()
        torch.testing.assert_close(middle, (a + b) / 2)


def test_slerp_keeps_the_length_and_lerp_loses_it() -> None:
    a, b = latent.from_seeds([1, 2], 100)
    t = torch.linspace(0, 1, 11)[:, None]
    norms = latent.slerp(a, b, t).norm(dim=1)
    assert norms.min() >= min(a.norm(), b.norm()) - 1e-3
    assert latent.lerp(a, b, t).norm(dim=1).min() < 0.8 * norms.min()


def test_a_walk_visits_its_anchors() -> None:
    anchors = latent.from_seeds([1, 2, 3], 8)
    path = latent.walk(anchors, 21)
    assert path.shape == (21, 8)
    torch.testing.assert_close(path[[0, 10, 20]], anchors)
    loop = latent.walk(anchors, 30, closed=True)
    torch.testing.assert_close(loop[[0, 10, 20]], anchors)
    assert not torch.allclose(loop[-1], loop[0])
    torch.testing.assert_close(latent.walk(anchors[:2], 3, "lerp")[1], anchors[:2].mean(0))
    for arguments in ((anchors[:1], 5), (anchors, 1), (anchors, 5, "jump")):
        with pytest.raises(ValueError):
            latent.walk(*arguments)


def test_the_strongest_dimensions_are_found() -> None:
    class Toy:
        latent_dim = 3

        def __call__(self, z: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
            return (z * torch.tensor([0.1, 3.0, 1.0])).sum(1)[:, None, None, None].expand(-1, 1, 2, 2)

    found = latent.strongest_dimensions(Toy())
    assert [d for d, _ in found] == [1, 2, 0]
    assert [e for _, e in found] == pytest.approx([3.0, 1.0, 0.1], rel=1e-4)


def test_a_walk_that_rests_at_its_stops_by_hand() -> None:
    anchors = torch.tensor([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0]])
    even, smooth = (latent.walk(anchors, 9, "lerp", easing=easing) for easing in ("linear", "smooth"))
    # A quarter, half and three quarters of a leg's time: 3 t^2 - 2 t^3 = 0.15625, 0.5, 0.84375.
    torch.testing.assert_close(smooth[:5, 0], torch.tensor([0, 0.625, 2, 3.375, 4]))
    torch.testing.assert_close(smooth[4:, 1], smooth[:5, 0])
    torch.testing.assert_close(even[:5, 0], torch.tensor([0.0, 1, 2, 3, 4]))
    loop = latent.walk(anchors, 12, "slerp", closed=True, easing="smooth")
    torch.testing.assert_close(loop[[0, 4, 8]], anchors)
    with pytest.raises(ValueError, match="linear or smooth; got 'jump'"):
        latent.walk(anchors, 9, easing="jump")


def test_usual_lengths_are_those_of_the_tables() -> None:
    # Quantiles 0.01 and 0.99 of chi squared with 100 degrees of freedom are 70.06 and 135.81.
    assert latent.usual_lengths(100) == pytest.approx((70.06**0.5, 135.81**0.5), abs=0.06)
    low, high = latent.usual_lengths(100, "uniform")
    assert low < (100 / 3) ** 0.5 < high and high - low < 2 * 2.5 * (4 / 45 * 100) ** 0.5 / (2 * (100 / 3) ** 0.5)


def test_the_lattice_has_the_given_seeds_in_its_middle_and_others_around() -> None:
    seeds = [5, 6, 7, 8]
    assert [latent.lattice_seed(seeds, i, j) for j in (0, 1) for i in (0, 1)] == seeds
    others = [latent.lattice_seed(seeds, i, j) for i in range(-20, 20) for j in range(-20, 20) if {i, j} - {0, 1}]
    # (i, j) and (-i, -j) share one where both are odd.
    assert all(0 <= seed < 2**31 for seed in others) and len(set(others)) > 1300
    assert latent.lattice_seed(seeds, 2, 0) == 1444570870  # as ui/components/pad.js has it


@pytest.mark.parametrize("text", ["1", "1,2", "1-3", "3,2,1", "1,2,10-12,9,7,7", "9223372036854775806,9223372036854775807"])
def test_seeds_are_written_as_they_are_read(text: str) -> None:
    assert latent.seed_text(latent.parse_seeds(text)) == text
