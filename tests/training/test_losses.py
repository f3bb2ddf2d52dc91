import math

import pytest
import torch
import torch.nn.functional as F

from gan.training import losses


@pytest.mark.parametrize("label", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_bce_equals_torch(label: float) -> None:
    logits = torch.tensor([-30.0, -2.0, 0.0, 0.3, 5.0, 30.0])
    expected = F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))
    torch.testing.assert_close(losses.bce(logits, label), expected)


def test_losses_by_hand() -> None:
    real, fake = torch.tensor([math.log(3.0)]), torch.tensor([math.log(1 / 3)])  # D(x) = 3/4, D(G(z)) = 1/4
    assert losses.discriminator_loss(real, fake).item() == pytest.approx(-2 * math.log(0.75))
    assert losses.generator_loss(fake).item() == pytest.approx(-math.log(0.25))


def test_at_rest_the_losses_are_2_ln_2_and_ln_2() -> None:
    assert losses.equilibrium() == pytest.approx((2 * math.log(2), math.log(2), 0.5))
    undecided = torch.zeros(8)
    assert losses.discriminator_loss(undecided, undecided).item() == pytest.approx(2 * math.log(2))
    assert losses.generator_loss(undecided).item() == pytest.approx(math.log(2))


def test_at_rest_with_smoothed_labels_no_other_answer_is_better() -> None:
    rest, _, score = losses.equilibrium("bce", 0.9, 0.05)
    for p in (score - 0.05, score, score + 0.05):
        logit = torch.tensor([math.log(p / (1 - p))])
        loss = losses.discriminator_loss(logit, logit, "bce", 0.9, 0.05).item()
        assert loss == pytest.approx(rest) if p == score else loss > rest


def test_the_other_losses_by_hand() -> None:
    real, fake = torch.tensor([0.5, 2.0]), torch.tensor([-3.0, 0.25])
    assert losses.discriminator_loss(real, fake, "hinge").item() == pytest.approx((0.5 + 0) / 2 + (0 + 1.25) / 2)
    assert losses.discriminator_loss(real, fake, "wasserstein").item() == pytest.approx(-2.75 / 2 - 2.5 / 2)
    pairs = [math.log1p(math.exp(-3.5)), math.log1p(math.exp(-1.75))]
    assert losses.discriminator_loss(real, fake, "relativistic").item() == pytest.approx(sum(pairs) / 2)
    for kind in ("hinge", "wasserstein"):
        assert losses.generator_loss(fake, kind).item() == pytest.approx(2.75 / 2)
    pairs = [math.log1p(math.exp(3.5)), math.log1p(math.exp(1.75))]
    assert losses.generator_loss(fake, "relativistic", real).item() == pytest.approx(sum(pairs) / 2)


def test_a_label_an_answer_equals_torch() -> None:
    logits, labels = torch.randn(50), torch.rand(50)
    torch.testing.assert_close(losses.bce(logits, labels), F.binary_cross_entropy_with_logits(logits, labels))


def test_penalties_and_feature_matching_by_hand() -> None:
    gradient = torch.tensor([[3.0, 4.0], [0.0, 1.0]])  # norms 5 and 1
    assert losses.zero_centered_penalty(gradient).item() == pytest.approx((25 + 1) / 2 / 2)
    assert losses.one_centered_penalty(gradient).item() == pytest.approx((16 + 0) / 2)
    assert losses.feature_matching(gradient, torch.tensor([[0.5, 2.5]])).item() == pytest.approx(1.0)


def test_where_nothing_rests_there_is_no_level() -> None:
    assert losses.equilibrium("wasserstein") == losses.equilibrium("hinge") == (None, None, None)
    same = torch.randn(8)
    loss_d, loss_g, score = losses.equilibrium("relativistic")
    assert score is None and losses.discriminator_loss(same, same, "relativistic").item() == pytest.approx(loss_d)
    assert losses.generator_loss(same, "relativistic", same).item() == pytest.approx(loss_g)
