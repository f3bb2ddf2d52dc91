import copy
import dataclasses
import itertools
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import nn

from gan import devices
from gan.accelerators import Accelerator, Facts
from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.events import Done, Event, Intervention, Metrics, Samples, Snapshot
from gan.images import to_float
from gan.networks.sampling import sample
from gan.training import augment, execution, graphs
from gan.training import feed as feeds
from gan.training import loop as training
from gan.training import step as step_module
from gan.training.loop import Control, extend, train
from gan.training.state import Diverged, Execution, TrainState, new_state
from gan.training.step import train_step

pytestmark = pytest.mark.long  # all of them together; last by name, they would leave the other processes idle
CPU = torch.device("cpu")


def weights(network: nn.Module) -> list[torch.Tensor]:
    return [t.clone() for t in network.state_dict().values()]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def without_time(event: Event) -> Event:
    return dataclasses.replace(event, elapsed_s=0, images_per_s=0) if isinstance(event, Metrics) else event


def as_text(events: Iterable[Event]) -> list[str]:
    return [repr(without_time(e)) for e in events]


def batch(blobs: Any, config: TrainConfig) -> torch.Tensor:
    return to_float(blobs.images[: config.batch_size])


def test_the_step_equals_the_textbook_loop(config: TrainConfig, blobs: Any) -> None:
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


def test_each_optimizer_moves_its_own_network_only(config: TrainConfig, blobs: Any) -> None:
    for still, moved in (("lr_g", "discriminator"), ("lr_d", "generator")):
        state = new_state(config.change(**{still: 1e-7}), CPU)
        params = {n: [p.clone() for p in getattr(state, n).parameters()] for n in ("generator", "discriminator")}
        train_step(state, batch(blobs, config))
        change = {
            n: max((p - q).abs().max().item() for p, q in zip(getattr(state, n).parameters(), params[n], strict=True)) for n in params
        }
        rest = "generator" if moved == "discriminator" else "discriminator"
        assert change[moved] > 1e-4 > 1e-6 > change[rest]


SWITCHES = [
    {"loss": "hinge", "spectral_norm": True},
    {"loss": "wasserstein", "weight_clip": 0.01, "optimizer": "rmsprop", "d_steps": 2},
    {"loss": "wasserstein", "gradient_penalty": 10, "discriminator_norm": "none", "instance_noise": 0.1},
    {"loss": "relativistic", "r1": 1.0, "r2": 1.0, "discriminator_norm": "none"},
    {"feature_matching": True, "diffaugment": "color, translation, cutout"},
    {"diffaugment": "translation, cutout", "augmentation_target": 0.6, "horizontal_flip": True, "d_steps": 2},
    {"label_flips": 0.2, "instance_noise": 0.2, "instance_noise_fade": 60},
    {"packing": 2, "minibatch_std": True, "g_steps": 2, "mean_loss_d": True},
    {"networks": "mlp", "r1": 1.0, "packing": 4, "dropout": 0.2},
    {"conditional": True, "loss": "hinge", "reuse_fakes": False},
    {"networks": "residual", "initialization": "fixup", "loss": "relativistic", "r1": 1.0, "r2": 1.0, "dropout": 0.1},
    {"generator_spectral_norm": True, "minibatch_discrimination": True, "initialization": "orthogonal", "orthogonal_penalty": 1e-3},
    {"networks": "biggan", "conditional": True, "self_attention": True, "loss": "hinge", "r1": 1.0, "minibatch_discrimination": True},
    {"networks": "stylegan", "minibatch_std": True, "r1": 1.0, "penalty_every": 3, "reuse_fakes": False},
    {"networks": "stylegan", "conditional": True, "gradient_penalty": 1.0, "r2": 1.0, "penalty_every": 2, "style_mixing": 0, "d_steps": 2},
]


@pytest.fixture
def named(blobs: Any) -> Any:
    return dataclasses.replace(blobs, labels=torch.arange(50) % 3, class_names=("a", "b", "c"))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("switch", SWITCHES, ids=str)
def test_every_switch_trains_resumes_exactly_and_moves_both_networks(
    config: TrainConfig, named: Any, switch: dict[str, Any], precision: str
) -> None:
    config = config.change(**switch, precision=precision)
    whole = new_state(config, CPU, class_names=named.class_names)
    before = weights(whole.generator), weights(whole.discriminator)
    metrics, saved = [], {}
    for event in train(whole, named):
        if isinstance(event, Metrics):
            metrics.append(event)
            saved[whole.step] = copy.deepcopy(whole.state_dict())
    assert not same(before[0], weights(whole.generator)) and not same(before[1], weights(whole.discriminator))
    assert [m.scores for m in metrics] == [config.has_scores] * 2
    assert all(0 <= m.d_real <= 1 for m in metrics if not m.scores)
    assert metrics[-1].images_seen == 10 * 8 * config.d_steps

    second = new_state(config, CPU, class_names=named.class_names)
    second.load_state_dict(saved[5])
    list(train(second, named))
    for name in ("generator", "discriminator", "averaged"):
        assert same(weights(getattr(whole, name)), weights(getattr(second, name))), name
    assert torch.equal(whole.augmentation, second.augmentation)


def test_the_gradient_is_each_images_own(config: TrainConfig) -> None:
    """Against finite differences along a random direction, in a discriminator without batch normalization."""
    state = new_state(config.change(discriminator_norm="none", r1=1.0), CPU)
    discriminator, rng = state.discriminator.double(), torch.Generator().manual_seed(0)
    images, direction = (torch.randn(3, 1, 28, 28, generator=rng, dtype=torch.float64) for _ in range(2))
    images.requires_grad_()
    gradient = step_module._gradient(discriminator(images), images)
    with torch.no_grad():
        ahead, behind = (discriminator(images + step * direction) for step in (1e-6, -1e-6))
    found = (gradient * direction.flatten(1)).sum(1).float()
    torch.testing.assert_close(found, ((ahead - behind) / 2e-6).float(), rtol=1e-3, atol=1e-6)


def test_clipped_weights_stay_within_the_bound(config: TrainConfig, blobs: Any) -> None:
    state = new_state(config.change(loss="wasserstein", weight_clip=0.01, optimizer="rmsprop"), CPU)
    list(train(state, blobs))
    assert max(p.abs().max().item() for p in state.discriminator.parameters()) <= 0.01 + 1e-9


def test_flipped_labels_are_the_share_asked_for(config: TrainConfig) -> None:
    state = new_state(config.change(label_flips=0.25, real_label=0.9, fake_label=0.1), CPU)
    real, fake = step_module._targets(state, torch.zeros(20_000))
    for labels, own, other in ((real, 0.9, 0.1), (fake, 0.1, 0.9)):
        assert isinstance(labels, torch.Tensor)
        assert set(labels.mul(10).round().int().tolist()) == {1, 9}
        assert (labels - other).abs().lt(1e-6).float().mean().item() == pytest.approx(0.25, abs=0.015)
        assert (labels - own).abs().lt(1e-6).any()


def test_instance_noise_has_its_size_and_fades(config: TrainConfig) -> None:
    state = new_state(config.change(instance_noise=0.5, instance_noise_fade=1000), CPU)
    for seen, expected in ((0, 0.5), (500, 0.25), (1000, 0.0), (2000, 0.0)):
        state.images_seen = seen
        step_module.set_noise(state)
        assert step_module._seen(state, torch.zeros(64, 1, 28, 28)).std().item() == pytest.approx(expected, abs=0.01)


def test_several_steps_take_several_batches_and_epochs_count_images(config: TrainConfig, blobs: Any) -> None:
    state = new_state(config.change(d_steps=3, duration=2, duration_unit="epochs"), CPU)
    list(train(state, blobs))
    assert (state.step, state.images_seen) == (4, 96)  # 2 epochs of 48 images, 24 a step


def test_augmentation_moves_images_and_keeps_gradients() -> None:
    rng = torch.Generator().manual_seed(0)
    image = torch.zeros(400, 1, 28, 28)
    image[:, :, 14, 14] = 1
    moved = augment.diffaugment(image, "translation", rng)
    places = moved.flatten(1).argmax(1)
    rows, columns = places // 28 - 14, places % 28 - 14
    assert moved.sum().item() == 400 and rows.min() == columns.min() == -4 and rows.max() == columns.max() == 4
    ones = torch.ones(400, 3, 32, 32, requires_grad=True)
    cut = augment.diffaugment(ones, "cutout", rng)
    holes = (cut[:, 0] == 0).sum((1, 2))
    assert holes.max() == 16 * 16 and holes.min() >= 8 * 8  # at a corner a quarter of the square lies inside
    cut.sum().backward()
    assert torch.equal(ones.grad, (cut != 0).float())
    assert not torch.equal(augment.diffaugment(image, "color", rng), image)


def test_a_change_takes_effect_at_the_next_step_and_replays(config: TrainConfig, blobs: Any) -> None:
    """Knobs moved while a run trains; then config and interventions again: the same weights."""
    control, state = Control(), new_state(config.change(log_every=1), CPU)
    wishes = {3: ("lr_g", 0.01), 5: ("dropout", 0.4), 6: ("d_steps", 2), 8: ("instance_noise", 0.1)}
    changes = []
    for event in train(state, blobs, control):
        if isinstance(event, Intervention):
            changes.append(event)
        if isinstance(event, Metrics) and event.step in wishes:
            control.change(*wishes[event.step])
    assert [(c.step, c.field, c.new) for c in changes] == [(step, *wish) for step, wish in wishes.items()]
    assert changes[0].old == config.lr_g and state.optimizer_g.param_groups[0]["lr"] == 0.01

    for stop in (None, 3, 7):
        again, script = new_state(config.change(log_every=1), CPU), Control()
        script.repeat(changes)
        if stop:
            part = new_state(config.change(log_every=1, duration=stop), CPU)
            list(train(part, blobs, script))
            again.load_state_dict(copy.deepcopy(part.state_dict()))
            script.repeat(c for c in changes if c.step >= stop)
        list(train(again, blobs, script))
        assert same(weights(state.generator), weights(again.generator)), stop
        assert same(weights(state.discriminator), weights(again.discriminator)), stop


def test_a_change_out_of_bounds_leaves_the_run_as_it_is(config: TrainConfig, blobs: Any) -> None:
    control = Control()
    with pytest.raises(ValueError, match="batch_size cannot change while a run trains; "):
        control.change("batch_size", 4)
    control.change("lr_g", -1.0)
    state = new_state(config, CPU)
    assert not [e for e in train(state, blobs, control) if isinstance(e, Intervention)]
    assert state.step == 12 and state.config.lr_g == config.lr_g


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_two_runs_in_threads_are_as_if_alone(config: TrainConfig, blobs: Any, precision: str) -> None:
    config = config.change(dropout=0.3, instance_noise=0.1, horizontal_flip=True, precision=precision, duration=40)
    alone = [new_state(config.change(seed=seed), CPU) for seed in (1, 2)]
    for state in alone:
        list(train(state, blobs))
    together = [new_state(config.change(seed=seed), CPU) for seed in (1, 2)]
    threads = [threading.Thread(target=lambda s=state: list(train(s, blobs))) for state in together]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a, b in zip(alone, together, strict=True):
        assert same(weights(a.generator), weights(b.generator))


def test_without_labels_conditional_is_refused(config: TrainConfig, blobs: Any) -> None:
    with pytest.raises(ValueError, match="has no labels, but conditional needs them"):
        feeds.epoch_images(config.change(conditional=True), blobs)
    with pytest.raises(ValueError, match="conditional needs a data set with labels"):
        new_state(config.change(conditional=True), CPU)


@pytest.mark.parametrize("error", [graphs.NotRecorded("operation not permitted"), torch.OutOfMemoryError("out of memory")])
def test_a_graph_that_cannot_be_recorded_leaves_the_state_as_it_was(
    config: TrainConfig, blobs: Any, monkeypatch: pytest.MonkeyPatch, error: graphs.NotRecorded | torch.OutOfMemoryError
) -> None:
    """The GPU's path as far as a processor goes: recording trains, fails, and is undone; the run continues kernel by kernel.

    What the step itself raises is not blamed on the graph, and ends the run.
    """

    def capture(function: Callable[..., Any], inputs: tuple[torch.Tensor, None], rng: Any) -> None:
        state.device = CPU
        function(*inputs)
        raise error

    monkeypatch.setattr(training.graphs, "capture", capture)
    expected, state = new_state(config, CPU), new_state(config, CPU)
    for s in (expected, state):
        list(train(s, blobs))
    state.device = torch.device("cuda")  # as far as launcher() looks
    before = copy.deepcopy(state.state_dict())
    feed = feeds.Feed(expected, blobs)
    if isinstance(error, graphs.NotRecorded):
        update = training.launcher(state, feed)
        assert state.launch.startswith("kernel by kernel") and "operation not permitted" in state.launch
    else:
        with pytest.raises(torch.OutOfMemoryError):
            training.launcher(state, feed)
        assert not state.launch
    after = state.state_dict()
    for name in ("generator", "discriminator", "averaged"):
        assert same(list(before[name].values()), list(after[name].values()))
    assert torch.equal(before["rng"], after["rng"])
    assert all(
        torch.equal(before["optimizer_g"]["state"][i][key], after["optimizer_g"]["state"][i][key])
        for i in before["optimizer_g"]["state"]
        for key in before["optimizer_g"]["state"][i]
    )
    if isinstance(error, graphs.NotRecorded):
        images = feed.next(state.images_seen)
        update(*images)
        step_module.update_networks(expected, *images)
        assert same(weights(state.generator), weights(expected.generator))


def test_the_same_seed_gives_the_same_events_and_another_seed_others(config: TrainConfig, blobs: Any) -> None:
    config = config.change(dropout=0.3, horizontal_flip=True, color_jitter=0.1)
    runs = [as_text(train(new_state(c, CPU), blobs)) for c in (config, config, config.change(seed=1))]
    assert runs[0] == runs[1] != runs[2]


def test_runs_do_not_touch_the_global_random_numbers(config: TrainConfig, blobs: Any) -> None:
    state = new_state(config.change(dropout=0.3), CPU)
    before = torch.get_rng_state()
    list(train(state, blobs))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("stop_after", [1, 4, 7])
def test_saved_loaded_and_gone_on_equals_never_having_stopped(config: TrainConfig, blobs: Any, stop_after: int) -> None:
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


def test_events_come_when_they_should(config: TrainConfig, blobs: Any) -> None:
    config = config.change(duration=20, snapshot_every=10)
    events = list(train(new_state(config, CPU), blobs))
    assert [e.step for e in events if isinstance(e, Metrics)] == [5, 10, 15, 20]
    assert [e.step for e in events if isinstance(e, Samples)] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20]
    assert [e.step for e in events if isinstance(e, Snapshot)] == [1, 2, 4, 8, 10, 16, 20]
    metrics = [e for e in events if isinstance(e, Metrics)]
    assert [m.images_seen for m in metrics] == [40, 80, 120, 160]
    assert all(0 <= p <= 1 for m in metrics for p in (m.d_real, m.d_fake, m.d_fake_after))
    assert all(e.images.shape == (16, 1, 28, 28) for e in events if isinstance(e, Samples))


def test_metrics_are_means_over_the_steps(config: TrainConfig, blobs: Any) -> None:
    coarse, fine = (list(train(new_state(config.change(log_every=n), CPU), blobs)) for n in (5, 1))
    fine_losses = [e.loss_d for e in fine if isinstance(e, Metrics)]
    coarse_losses = [e.loss_d for e in coarse if isinstance(e, Metrics)]
    assert coarse_losses == pytest.approx([sum(fine_losses[i : i + 5]) / 5 for i in (0, 5)], rel=1e-5)


def test_grids_and_snapshots_are_log_spaced() -> None:
    steps = [s for s in range(1, 2000) if training.is_grid_step(s)]
    assert steps[:20] == [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64]
    assert max(b - a for a, b in itertools.pairwise(steps)) == 256


def test_the_loop_halts_within_a_step_and_goes_on(config: TrainConfig, blobs: Any) -> None:
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


def test_an_epoch_shows_every_image_once_and_drops_the_rest(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images whose pixels hold their index, recorded on the way into the step."""
    marked = torch.arange(20, dtype=torch.uint8).reshape(20, 1, 1, 1).expand(20, 1, 28, 28).contiguous()
    dataset = ImageDataset("marked", marked)
    seen: list[int] = []
    original = training.update_networks

    def spy(state: TrainState, real: torch.Tensor, *rest: Any) -> None:
        seen.extend(((real[:, 0, 0, 0] + 1) * 127.5).round().int().tolist())
        original(state, real, *rest)

    monkeypatch.setattr(training, "update_networks", spy)
    list(train(new_state(config.change(duration=2, duration_unit="epochs"), CPU), dataset))
    first, second = seen[:16], seen[16:]
    assert len(set(first)) == 16 == len(set(second)) and first != second and len(second) == 16


@pytest.mark.parametrize("images", [7, 8, 9, 15, 16, 20, 24])
def test_an_epoch_has_as_many_images_as_the_settings_say(config: TrainConfig, images: int) -> None:
    dataset = ImageDataset("few", torch.zeros(images, 1, 28, 28, dtype=torch.uint8))
    config = config.change(duration=1, duration_unit="epochs")
    per_epoch = config.images_per_epoch(images)
    state = new_state(config, CPU)
    if per_epoch is None:  # less than a batch: nothing to train on
        with pytest.raises(ValueError, match=r"7 images, fewer than one batch of 8"):
            list(train(state, dataset))
        return
    list(train(state, dataset))
    assert state.images_seen == per_epoch == {8: 8, 9: 8, 15: 8}.get(images, images // 8 * 8)


def test_a_duration_in_epochs_needs_to_know_how_long_an_epoch_is(config: TrainConfig) -> None:
    assert extend(config, "epochs", 2, Done(10, 80, 1.0), 16).duration == 7
    assert extend(config, "epochs", 2, Done(), None).duration == 2
    assert extend(config, "steps", 5, Done(10, 80, 1.0), None).duration == 15
    with pytest.raises(ValueError, match="give the duration in steps or seconds"):
        extend(config, "epochs", 2, Done(10, 80, 1.0), None)


def test_an_image_depends_on_its_own_z_alone(config: TrainConfig, blobs: Any) -> None:
    state = new_state(config, CPU)
    list(train(state, blobs))
    z = torch.randn(10, 4)
    together = sample(state.averaged, z, batch=10)
    alone = sample(state.averaged, z[3:4])
    assert (together[3].astype(int) - alone[0]).__abs__().max() <= 1
    state.generator.train()
    sample(state.generator, z)
    assert state.generator.training


def test_averaging_is_the_formula(config: TrainConfig, blobs: Any) -> None:
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


def test_a_nan_ends_the_loop_with_step_and_network(config: TrainConfig, blobs: Any) -> None:
    config = config.change(duration=30)
    state = new_state(config, CPU)
    with torch.no_grad():
        next(state.discriminator.parameters()).fill_(float("nan"))
    with pytest.raises(Diverged, match=r"the discriminator has a weight that is infinite or not a number \(NaN\), at step 1"):
        list(train(state, blobs))
    state = new_state(config, CPU)
    state.step = 16  # the next snapshot is far
    with torch.no_grad():
        next(state.generator.parameters()).fill_(float("inf"))
    with pytest.raises(Diverged, match=r"the generator computed a value that is infinite or not a number \(NaN\), at step 17"):
        list(train(state, blobs))


def test_a_set_that_does_not_fit_is_refused(config: TrainConfig, blobs: Any) -> None:
    with pytest.raises(ValueError, match=r"50 images, fewer than one batch of 64.*set batch_size to 50 or less"):
        list(train(new_state(config.change(batch_size=64), CPU), blobs))
    with pytest.raises(ValueError, match="shape"):
        list(train(new_state(config.change(channels=3), CPU), blobs))


def test_mirroring_and_jitter_stay_in_range_and_mirror_half(config: TrainConfig) -> None:
    state = new_state(config, CPU)
    real = torch.linspace(-1, 1, 28).expand(512, 1, 28, 28)
    flipped = (augment.mirror(real, state.rng)[:, 0, 0, 0] > 0).float().mean()
    assert 0.4 < flipped < 0.6
    jittered = augment.jitter(real, 0.5, state.rng)
    assert jittered.min() >= -1 and jittered.max() <= 1 and not torch.equal(jittered, real)


def test_bf16_learns_as_fp32_does(config: TrainConfig, blobs: Any) -> None:
    """Not equal, but close: mean losses over the first steps differ by a few percent at most."""
    losses = []
    for precision in ("fp32", "bf16"):
        state = new_state(config.change(precision=precision, generator_filters=8, discriminator_filters=8, log_every=12), CPU)
        losses.append(next(e for e in train(state, blobs) if isinstance(e, Metrics)).loss_d)
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


@pytest.mark.parametrize(
    ("bf16", "channels_first", "fewer_threads", "expected"),
    [
        (2.0, 0.8, 0.7, Execution("bf16", True, 4)),
        (1.1, 1.1, 1.1, Execution("fp32", True, 4)),
        (0.1, 2.0, 3.0, Execution("fp32", False, 1)),
    ],
)
def test_how_to_compute_is_chosen_by_measuring(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, bf16: float, channels_first: float, fewer_threads: float, expected: Execution
) -> None:
    def speedup(config: TrainConfig, old: Execution, new: Execution, clock: Callable[..., Any]) -> float:
        return bf16 if old.precision != new.precision else channels_first if old.channels_last != new.channels_last else fewer_threads

    monkeypatch.setattr(execution, "_speedup", speedup)
    execution._fastest.cache_clear()
    assert execution.choose_execution(config.change(precision="auto"), CPU, 4) == expected
    execution._fastest.cache_clear()
    named = Execution("fp32", True, 4)
    assert new_state(config.change(precision="fp32"), CPU, threads=4).execution == named


def test_the_measurement_itself_runs(config: TrainConfig) -> None:
    before = torch.get_num_threads()
    ratio = execution._speedup(config.change(conditional=True), Execution("fp32", True, 1), Execution("bf16", False, 1), time.thread_time)
    assert ratio > 0 and torch.get_num_threads() == before


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.choose_device("cpu").type == "cpu"
    for wrong in ("tpu", "cuda:", "cuda:x", "cpu:0", "cuda:0:1"):
        with pytest.raises(ValueError, match="auto, cpu, cuda or cuda:N"):
            devices.choose_device(wrong)
    monkeypatch.setattr(devices, "accelerator", lambda index=0: Accelerator(index < 2, facts=Facts(count=2)))
    for name, index in (("auto", 0), ("cuda", 0), ("cuda:1", 1)):
        assert devices.choose_device(name) == torch.device("cuda", index)  # and not torch.device("cuda"), which equals neither
    with pytest.raises(ValueError, match="this machine's last GPU is cuda:1"):
        devices.choose_device("cuda:2")
    monkeypatch.setattr(devices, "accelerator", lambda index=0: Accelerator(False, "this machine has no NVIDIA GPU"))
    assert devices.choose_device("auto").type == "cpu"
    with pytest.raises(ValueError, match="no NVIDIA GPU"):
        devices.choose_device("cuda")


def test_duration_in_steps_epochs_and_seconds() -> None:
    config = TrainConfig(duration=10, duration_unit="epochs")
    assert training.progress(config, Done(3, 50, 1), 10) == 0.5
    assert training.progress(config.change(duration_unit="steps"), Done(5, 1, 1), 10) == 0.5
    assert training.progress(config.change(duration_unit="seconds"), Done(5, 1, 20), 10) == 1


@pytest.mark.parametrize("frozen, learns", [("generator", "discriminator"), ("discriminator", "generator")])
def test_a_frozen_network_stays_while_the_other_learns_and_both_are_measured(
    config: TrainConfig, blobs: Any, frozen: str, learns: str
) -> None:
    control, state = Control(), new_state(config.change(log_every=1, dropout=0.2), CPU)
    events = train(state, blobs, control)
    while state.step < 3:
        next(events)
    control.change("frozen", frozen)
    change = next(e for e in events if isinstance(e, Intervention))
    assert (change.step, change.field, change.new, state.changes) == (3, "frozen", frozen, 1)
    before = {name: [p.clone() for p in getattr(state, name).parameters()] for name in (frozen, learns)}
    metrics = [e for e in events if isinstance(e, Metrics)]
    assert len(metrics) == 9 and all(m.loss_d > 0 and m.loss_g > 0 for m in metrics)
    assert all(torch.equal(p, q) for p, q in zip(before[frozen], getattr(state, frozen).parameters(), strict=True))
    assert not any(torch.equal(p, q) for p, q in zip(before[learns], getattr(state, learns).parameters(), strict=True) if p.dim() > 1)


def test_one_step_of_one_network_is_told_and_replays(config: TrainConfig, blobs: Any) -> None:
    changes: list[Any] = []
    state, control = new_state(config, CPU), Control()

    def go_on() -> list[Event]:
        events = list(train(state, blobs, control))
        changes.extend(e for e in events if isinstance(e, Intervention))
        return events

    control.step_once("both")
    assert [m.step for m in go_on() if isinstance(m, Metrics)] == [1] and changes == []
    before = [p.clone() for p in state.discriminator.parameters()]
    control.step_once("generator")
    events = go_on()
    assert [type(e) for e in events] == [Intervention, Metrics, Samples, Snapshot, Intervention]
    assert [(c.step, c.new) for c in changes] == [(1, "discriminator"), (2, "none")]
    assert same(before, list(state.discriminator.parameters()))
    go_on()
    assert state.step == 12

    again, script = new_state(config, CPU), Control()
    script.repeat(changes)
    list(train(again, blobs, script))
    assert same(weights(state.generator), weights(again.generator)) and same(weights(state.discriminator), weights(again.discriminator))


def test_slow_motion_shows_every_step_and_takes_no_training_time(config: TrainConfig, blobs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    control = Control()
    monkeypatch.setattr(time, "sleep", slept.append)
    clock = iter(range(1_000_000))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock) * 0.01)
    control.pace_s = 1.0
    state = new_state(config, CPU)
    events = list(train(state, blobs, control))
    assert [e.step for e in events if isinstance(e, Metrics)] == list(range(1, 13))
    assert [e.step for e in events if isinstance(e, Samples)] == list(range(13))
    assert slept and max(slept) <= 0.05
    assert state.elapsed_s < 3  # the pace alone would make it 12


def test_norms_are_those_of_the_weights_and_the_last_gradients(config: TrainConfig, blobs: Any) -> None:
    state = new_state(config, CPU)
    assert all(norm is None for norm in training.layer_norms(state)["gradients"]["generator"].values())
    list(train(state, blobs))
    told = training.layer_norms(state)
    for network in ("generator", "discriminator"):
        for name, parameter in getattr(state, network).named_parameters():
            assert told["weights"][network][name] == pytest.approx(parameter.norm().item())
            assert told["gradients"][network][name] == pytest.approx(parameter.grad.norm().item())


def test_images_of_256_pixels_train_and_are_sampled(config: TrainConfig) -> None:
    config = config.change(image_size=256, channels=3, batch_size=2, duration=1, grid_images=16)
    images = torch.randint(0, 256, (4, 3, 256, 256), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    state = new_state(config, CPU)
    grids = [event.images for event in train(state, ImageDataset("large", images)) if isinstance(event, Samples)]
    assert state.step == 1 and grids[-1].shape == (16, 3, 256, 256)
