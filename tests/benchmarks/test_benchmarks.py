"""The loops that the engine is compared with compute the same."""

from collections import Counter
from collections.abc import Sized
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from benchmarks import load, textbook
from benchmarks.gpu_parts import EPSILON, TIMES_ROUNDING, add_rounding_errors
from benchmarks.serving import Workshop
from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.events import Metrics
from gan.networks import winograd
from gan.recipes import recipe
from gan.training.loop import train
from gan.training.state import TrainState, new_state

ANSWERS = ("loss_d", "loss_g", "d_real", "d_fake", "d_fake_after")


@pytest.mark.parametrize("name", textbook.SYSTEMS)
def test_the_engine_and_the_textbook_are_the_same_mathematics(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = recipe(name).config.change(
        batch_size=8, duration=2, duration_unit="steps", log_every=1, dropout=0, precision="fp32", average_half_life=0
    )
    size = config.image_size
    images = torch.randint(0, 256, (8, 1, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    dataset = ImageDataset("noise", images, torch.zeros(8, dtype=torch.int64))
    monkeypatch.setattr(textbook, "load_mnist", lambda split: dataset)  # its loader is replaced anyway
    state = new_state(config, torch.device("cpu"))
    expected = _textbook_rows(name, state, images)
    disturbed = [_textbook_rows(name, state, images, rounding_seed=seed) for seed in (1, 2)]
    _are_the_same(config, images, expected, disturbed, within=1e-3)  # Winograd's convolutions where they pay
    monkeypatch.setattr(winograd, "pays", lambda *_: False)
    _are_the_same(config, images, expected, disturbed, within=1e-4)  # torch's


def _are_the_same(
    config: TrainConfig, images: torch.Tensor, expected: list[textbook.Step], disturbed: list[list[textbook.Step]], within: float
) -> None:
    """Compares two steps of the engine with those of the source's own loop."""
    state = new_state(config, torch.device("cpu"))
    for group in (*state.optimizer_g.param_groups, *state.optimizer_d.param_groups):
        group["eps"] = EPSILON
    rows = [event for event in train(state, ImageDataset("noise", images)) if isinstance(event, Metrics)]
    assert len(rows) == len(expected) == 2
    for i, row in enumerate(rows):
        for field in ANSWERS:
            value = getattr(expected[i], field)
            # The growth of rounding errors in this system on this CPU: in some systems a thousandfold by the second step.
            rounding = max(abs(getattr(other[i], field) - value) for other in disturbed)
            assert getattr(row, field) == pytest.approx(value, rel=within, abs=TIMES_ROUNDING * rounding), (row.step, field)
            assert TIMES_ROUNDING * rounding < 0.02 * abs(value), (row.step, field)  # a wrong constant is off by more


def _textbook_rows(name: str, state: TrainState, images: torch.Tensor, rounding_seed: int | None = None) -> list[textbook.Step]:
    """Two steps of the source's own loop, from the state's weights and latent vectors; with a seed, from weights with random rounding errors."""
    config, system = state.config, textbook.SYSTEMS[name]()
    with torch.no_grad():
        for ours, theirs in ((state.generator, system.generator), (state.discriminator, system.discriminator)):
            for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
                b.copy_(a)
    if rounding_seed is not None:
        add_rounding_errors((*system.generator.parameters(), *system.discriminator.parameters()), rounding_seed)
    # Adam's first steps have one length whatever the gradient's size, so a rounding error in the sign of a gradient near zero would
    # grow, differently on each CPU. A larger epsilon makes such steps short.
    optimizers = ((state.optimizer_g, cast(Optimizer, system.optimizer_g)), (state.optimizer_d, cast(Optimizer, system.optimizer_d)))
    for our, their in optimizers:
        assert [group["eps"] for group in our.param_groups] == [group["eps"] for group in their.param_groups]
        for group in their.param_groups:
            group["eps"] = EPSILON
    for module in system.discriminator.modules():
        if isinstance(module, nn.Dropout):  # draws its own numbers in either
            module.p = 0.0
    draws = torch.Generator()
    draws.set_state(state.rng.get_state())
    assert textbook.uniform_z(1000).abs().max() <= 1 and textbook.normal_z(1000).abs().max() > 1

    def noise(n: int) -> torch.Tensor:
        z = torch.empty(n, config.latent_dim)
        z = z.normal_(generator=draws) if config.latent_distribution == "normal" else z.uniform_(-1, 1, generator=draws)
        return z.view(n, -1, 1, 1)

    system.noise, system.loader = noise, [(images / 127.5 - 1, None)]  # type: ignore[assignment]  # one batch is enough
    loop = textbook.train(system)
    return [next(loop) for _ in range(2)]


@pytest.mark.parametrize("name", textbook.SYSTEMS)
def test_the_textbook_s_settings_are_the_recipe_s(name: str) -> None:
    config, system = recipe(name).config, textbook.SYSTEMS[name]()
    assert system.loader.batch_size == config.batch_size and system.fresh_z is not config.reuse_fakes
    assert len(cast(Sized, system.loader.dataset)) == (70_000 if config.data_split == "all" else 60_000)
    image, label = system.loader.dataset[0]
    assert image.shape == (1, config.image_size, config.image_size) and label == 5
    assert image.min() == -1 and 0.9 < image.max() <= 1
    for optimizer, lr, beta1 in ((system.optimizer_g, config.lr_g, config.beta1_g), (system.optimizer_d, config.lr_d, config.beta1_d)):
        (group,) = optimizer.param_groups
        assert (group["lr"], group["betas"], group["weight_decay"]) == (lr, (beta1, config.beta2), config.weight_decay)
    assert textbook.generate(system, 3).shape == (3, 1, config.image_size, config.image_size) and system.generator.training


def test_the_load_s_clients_tell_what_a_stream_left_out_and_how_late_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told = SimpleNamespace(port=1, run_id="a", began=100.0)
    crowd = load.Crowd(cast(Workshop, told), log_every=10)
    monkeypatch.setattr(load.time, "perf_counter", lambda: 103.5)
    step = crowd._take("viewer 0", {"step": [40, 70], "elapsed_s": [0.5, 1.0]}, opened=101.5, before=None)  # there before: thinned
    assert step == 70 and not crowd.tally.delays and not crowd.tally.errors
    step = crowd._take("viewer 0", {"step": [80, 90], "elapsed_s": [2.0, 3.0]}, opened=101.5, before=step)
    assert crowd.tally.delays == [1.5, 0.5] and not crowd.tally.errors
    crowd._take("viewer 0", {"step": [110], "elapsed_s": [3.25]}, opened=101.5, before=step)
    assert crowd.tally.delays == [1.5, 0.5, 0.25] and crowd.tally.errors.total() == 1 and crowd.tally.newest == {"viewer 0": 3.25}


def test_the_load_s_ratios_are_taken_round_by_round() -> None:
    def period(kind: str, speed: int, errors: list[str] | tuple[Any, ...] = ()) -> load.Period:
        tally = load.Tally(delays=[0.5] if kind != "nobody" else [], errors=Counter(errors))
        return load.Period(kind, 0, 10, 0.1, (1000, 1020), tally, speed)

    periods = [period("nobody", 100), period("viewers", 98), period("viewers and sessions", 90, ["status 500 for /"])]
    periods += [period("viewers and sessions", 190), period("viewers", 200), period("nobody", 200)]
    table = load.table(periods)
    assert "0.990 (0.980 to 1.000)" in table and "0.925 (0.900 to 0.950)" in table
    assert "1 errors: status 500 for /" in table and "+2.0%" in table
