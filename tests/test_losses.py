import math

import pytest
import torch
import torch.nn.functional as F

from gan import losses


@pytest.mark.parametrize("label", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_bce_equals_torch(label):
    logits = torch.tensor([-30.0, -2.0, 0.0, 0.3, 5.0, 30.0])
    expected = F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))
    torch.testing.assert_close(losses.bce(logits, label), expected)


def test_losses_by_hand():
    real, fake = torch.tensor([math.log(3.0)]), torch.tensor([math.log(1 / 3)])  # D(x) = 3/4, D(G(z)) = 1/4
    assert losses.discriminator_loss(real, fake).item() == pytest.approx(-2 * math.log(0.75))
    assert losses.generator_loss(fake).item() == pytest.approx(-math.log(0.25))


def test_at_rest_the_losses_are_2_ln_2_and_ln_2():
    assert losses.equilibrium() == pytest.approx((2 * math.log(2), math.log(2), 0.5))
    undecided = torch.zeros(8)
    assert losses.discriminator_loss(undecided, undecided).item() == pytest.approx(2 * math.log(2))
    assert losses.generator_loss(undecided).item() == pytest.approx(math.log(2))


def test_at_rest_with_smoothed_labels_no_other_answer_is_better():
    rest, _, score = losses.equilibrium(0.9, 0.1 / 2)
    for p in (score - 0.05, score, score + 0.05):
        logit = torch.tensor([math.log(p / (1 - p))])
        loss = losses.discriminator_loss(logit, logit, 0.9, 0.05).item()
        assert loss == pytest.approx(rest) if p == score else loss > rest
