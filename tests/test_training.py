import copy
import dataclasses
import itertools

import pytest
import torch
from torch import nn

from gan import training
from gan.config import TrainConfig
from gan.datasets import ImageDataset
from gan.events import Metrics, Samples, Snapshot
from gan.images import to_float
from gan.training import Control, Diverged, new_state, sample, train, train_step

CPU = torch.device("cpu")


def weights(network: nn.Module) -> list[torch.Tensor]:
    return [t.clone() for t in network.state_dict().values()]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def without_time(event):
    return dataclasses.replace(event, elapsed_s=0, images_per_s=0) if isinstance(event, Metrics) else event


def as_text(events) -> list[str]:
    return [repr(without_time(e)) for e in events]


def batch(blobs, config):
    return to_float(blobs.images[: config.batch_size])


def test_the_step_equals_the_textbook_loop(config, blobs):
    """The two steps written plainly, with torch's own optimizers and no freezing, on the same draws."""
    config = config.change(reuse_fakes=False, latent_distribution="uniform", generator_activation="leaky_relu")
    state = new_state(config, CPU)
    generator, discriminator = copy.deepcopy(state.generator), copy.deepcopy(state.discriminator)
    rng = torch.Generator()
    rng.set_state(state.rng.get_state())
    real = batch(blobs, config)
    adam_g = torch.optim.Adam(generator.parameters(), config.lr_g, (config.beta1_g, config.beta2))
    adam_d = torch.optim.Adam(discriminator.parameters(), config.lr_d, (config.beta1_d, config.beta2))
    bce = nn.BCELoss()
    ones, zeros = torch.ones(8), torch.zeros(8)
    for _ in range(3):
        train_step(state, real)

        adam_d.zero_grad()
        fake = generator(torch.empty(8, 4).uniform_(-1, 1, generator=rng)).detach()
        loss_d = bce(torch.sigmoid(discriminator(real)), ones) + bce(torch.sigmoid(discriminator(fake)), zeros)
        loss_d.backward()
        adam_d.step()
        adam_g.zero_grad()
        loss_g = bce(torch.sigmoid(discriminator(generator(torch.empty(8, 4).uniform_(-1, 1, generator=rng)))), ones)
        loss_g.backward()
        adam_g.step()
    for ours, theirs in ((state.generator, generator), (state.discriminator, discriminator)):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_each_optimizer_moves_its_own_network_only(config, blobs):
    for still, moved in (("lr_g", "discriminator"), ("lr_d", "generator")):
        state = new_state(config.change(**{still: 1e-7}), CPU)
        params = {n: [p.clone() for p in getattr(state, n).parameters()] for n in ("generator", "discriminator")}
        train_step(state, batch(blobs, config))
        change = {
            n: max((p - q).abs().max().item() for p, q in zip(getattr(state, n).parameters(), params[n], strict=True)) for n in params
        }
        rest = "generator" if moved == "discriminator" else "discriminator"
        assert change[moved] > 1e-4 > 1e-6 > change[rest]


def test_the_same_seed_gives_the_same_events_and_another_seed_others(config, blobs):
    config = config.change(dropout=0.3, horizontal_flip=True, color_jitter=0.1)
    runs = [as_text(train(new_state(c, CPU), blobs)) for c in (config, config, config.change(seed=1))]
    assert runs[0] == runs[1] != runs[2]


def test_runs_do_not_touch_the_global_random_numbers(config, blobs):
    state = new_state(config.change(dropout=0.3), CPU)
    before = torch.get_rng_state()
    list(train(state, blobs))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("stop_after", [1, 4, 7])
def test_saved_loaded_and_gone_on_equals_never_having_stopped(config, blobs, stop_after):
    config = config.change(dropout=0.2)
    whole = new_state(config, CPU)
    metrics = [e for e in as_text(train(whole, blobs)) if e.startswith("Metrics")]

    first = new_state(config.change(duration=stop_after), CPU)
    part = list(train(first, blobs))
    second = new_state(config, CPU)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    part += train(second, blobs)
    for name in ("generator", "discriminator", "averaged"):
        assert same(weights(getattr(whole, name)), weights(getattr(second, name))), name
    assert [e for e in as_text(part) if e.startswith("Metrics")] == metrics


def test_events_come_when_they_should(config, blobs):
    config = config.change(duration=20, snapshot_every=10)
    events = list(train(new_state(config, CPU), blobs))
    assert [e.step for e in events if isinstance(e, Metrics)] == [5, 10, 15, 20]
    assert [e.step for e in events if isinstance(e, Samples)] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20]
    assert [e.step for e in events if isinstance(e, Snapshot)] == [1, 2, 4, 8, 10, 16, 20]
    metrics = [e for e in events if isinstance(e, Metrics)]
    assert [m.images_seen for m in metrics] == [40, 80, 120, 160]
    assert all(0 <= p <= 1 for m in metrics for p in (m.d_real, m.d_fake, m.d_fake_after))
    assert all(e.images.shape == (64, 1, 28, 28) for e in events if isinstance(e, Samples))


def test_metrics_are_means_over_the_steps(config, blobs):
    coarse, fine = (list(train(new_state(config.change(log_every=n), CPU), blobs)) for n in (5, 1))
    fine_losses = [e.loss_d for e in fine if isinstance(e, Metrics)]
    coarse_losses = [e.loss_d for e in coarse if isinstance(e, Metrics)]
    assert coarse_losses == pytest.approx([sum(fine_losses[i : i + 5]) / 5 for i in (0, 5)], rel=1e-5)


def test_grids_and_snapshots_are_log_spaced():
    steps = [s for s in range(1, 2000) if training.is_grid_step(s)]
    assert steps[:20] == [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64]
    assert max(b - a for a, b in itertools.pairwise(steps)) == 256


def test_the_loop_halts_within_a_step_and_goes_on(config, blobs):
    control, state = Control(), new_state(config.change(log_every=1), CPU)
    steps = []
    for event in train(state, blobs, control):
        if isinstance(event, Metrics):
            steps.append(event.step)
            if event.step == 3:
                control.halt()
    assert steps == [1, 2, 3] and state.step == 3
    control.clear()
    assert [e.step for e in train(state, blobs, control) if isinstance(e, Metrics)][-1] == 12


def test_an_epoch_shows_every_image_once_and_drops_the_rest(config):
    """Images that say their own number in their pixels, caught on the way into the step."""
    marked = torch.arange(20, dtype=torch.uint8).reshape(20, 1, 1, 1).expand(20, 1, 28, 28).contiguous()
    dataset = ImageDataset("marked", marked)
    seen: list[int] = []
    original = training.train_step

    def spy(state, real):
        seen.extend(((real[:, 0, 0, 0] + 1) * 127.5).round().int().tolist())
        original(state, real)

    training.train_step = spy
    try:
        list(train(new_state(config.change(duration=2, duration_unit="epochs"), CPU), dataset))
    finally:
        training.train_step = original
    first, second = seen[:16], seen[16:]
    assert len(set(first)) == 16 == len(set(second)) and first != second and len(second) == 16


def test_an_image_depends_on_its_own_z_alone(config, blobs):
    state = new_state(config, CPU)
    list(train(state, blobs))
    z = torch.randn(10, 4)
    together = sample(state.averaged, z, batch=10)
    alone = sample(state.averaged, z[3:4])
    assert (together[3].astype(int) - alone[0]).__abs__().max() <= 1
    state.generator.train()
    sample(state.generator, z)
    assert state.generator.training


def test_averaging_is_the_formula(config, blobs):
    state = new_state(config.change(average_half_life=16), CPU)
    expected = [p.clone() for p in state.averaged.parameters()]
    for _ in range(30):
        train_step(state, batch(blobs, config))
        beta = 0.5 ** (8 / min(16, 0.05 * state.images_seen))
        expected = [beta * e + (1 - beta) * p for e, p in zip(expected, state.generator.parameters(), strict=True)]
    for a, b in zip(state.averaged.parameters(), expected, strict=True):
        torch.testing.assert_close(a, b.detach(), rtol=1e-4, atol=1e-6)
    state = new_state(config.change(average_half_life=0), CPU)
    train_step(state, batch(blobs, config))
    assert same(list(state.averaged.parameters()), list(state.generator.parameters()))


def test_a_nan_ends_the_loop_with_step_and_network(config, blobs):
    config = config.change(duration=30)
    state = new_state(config, CPU)
    with torch.no_grad():
        next(state.discriminator.parameters()).fill_(float("nan"))
    with pytest.raises(Diverged, match="the discriminator has a weight that is no longer a number, at step 1"):
        list(train(state, blobs))
    state = new_state(config, CPU)
    state.step = 16  # the next snapshot is far
    with torch.no_grad():
        next(state.generator.parameters()).fill_(float("inf"))
    with pytest.raises(Diverged, match=r"loss became nan between steps 16 and 20"):
        list(train(state, blobs))


def test_a_set_that_does_not_fit_is_refused(config, blobs):
    with pytest.raises(ValueError, match=r"50 images, fewer than one batch of 64.*set batch_size to 50 or less"):
        list(train(new_state(config.change(batch_size=64), CPU), blobs))
    with pytest.raises(ValueError, match="shape"):
        list(train(new_state(config.change(channels=3), CPU), blobs))


def test_mirroring_and_jitter_stay_in_range_and_mirror_half(config):
    config = config.change(horizontal_flip=True, batch_size=512)
    state = new_state(config, CPU)
    real = torch.linspace(-1, 1, 28).expand(512, 1, 28, 28)
    flipped = (training._augment(real, state)[:, 0, 0, 0] > 0).float().mean()
    assert 0.4 < flipped < 0.6
    state = new_state(config.change(horizontal_flip=False, color_jitter=0.5), CPU)
    jittered = training._augment(real, state)
    assert jittered.min() >= -1 and jittered.max() <= 1 and not torch.equal(jittered, real)


def test_bf16_learns_as_fp32_does(config, blobs):
    """Not equal, but the same course: mean losses over the first steps within a few per cent."""
    losses = []
    for precision in ("fp32", "bf16"):
        state = new_state(config.change(precision=precision, generator_filters=8, discriminator_filters=8, log_every=12), CPU)
        losses.append(next(e for e in train(state, blobs) if isinstance(e, Metrics)).loss_d)
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


def test_auto_precision_is_chosen_by_measuring(config, monkeypatch):
    for ratio, expected in ((2.0, "bf16"), (1.0, "fp32"), (0.1, "fp32")):
        monkeypatch.setattr(training, "_bf16_speedup", lambda *sizes, ratio=ratio: ratio)
        assert new_state(config.change(precision="auto"), CPU).precision == expected


def test_the_measurement_itself_runs(config):
    before = torch.get_num_threads()
    ratio = training._bf16_speedup(28, 1, 4, 4, 4)
    assert ratio > 0 and torch.get_num_threads() == before


def test_devices(monkeypatch):
    assert training.choose_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match="auto, cpu or cuda"):
        training.choose_device("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert training.choose_device("auto").type == "cpu"
    with pytest.raises(ValueError, match="no usable NVIDIA GPU"):
        training.choose_device("cuda")


def test_duration_in_steps_epochs_and_seconds():
    config = TrainConfig(duration=10)
    assert training.progress(config, 50, 1, 10) == 0.5
    assert training.progress(config.change(duration_unit="steps"), 5, 1, 10) == 0.5
    assert training.progress(config.change(duration_unit="seconds"), 5, 20, 10) == 1
