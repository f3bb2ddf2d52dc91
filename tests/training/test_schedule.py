"""Schedules: what they set, and that runs follow them exactly if they are resumed, forked, replayed or changed."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from gan.config import TrainConfig
from gan.events import Intervention, Metrics
from gan.runs.folder import RunFolder
from gan.runs.fork import fork
from gan.runs.record import prepare, record
from gan.training import step as steps
from gan.training.loop import Control, train
from gan.training.schedule import scheduled
from gan.training.state import TrainState, new_state

CPU = torch.device("cpu")
MOVED = {
    "schedule_images": 80,
    "lr_end": 0.25,
    "penalty_end": 0.1,
    "beta2": 0.9,
    "beta2_end": 0.99,
    "average_half_life": 0,
    "average_half_life_end": 16,
    "discriminator_norm": "none",
    "r1": 1.0,
}


def weights(state: TrainState) -> list[torch.Tensor]:
    return [t.clone() for network in (state.generator, state.discriminator, state.averaged) for t in network.state_dict().values()]


def same(a: TrainState, b: TrainState) -> bool:
    return all(torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


@pytest.mark.parametrize(
    ("kind", "seen", "way"),
    [
        ("linear", 0, 0),
        ("linear", 20, 0.25),
        ("linear", 80, 1),
        ("linear", 10**9, 1),
        ("cosine", 0, 0),
        ("cosine", 20, (1 - math.sqrt(0.5)) / 2),
        ("cosine", 40, 0.5),
        ("cosine", 81, 1),
    ],
)
def test_values_by_hand(config: TrainConfig, kind: str, seen: int, way: float) -> None:
    now = scheduled(config.change(**MOVED, schedule=kind), seen)
    assert now.rate == pytest.approx(1 - 0.75 * way, abs=1e-12) and now.penalty == pytest.approx(1 - 0.9 * way, abs=1e-12)
    assert now.beta2 == pytest.approx(0.9 + 0.09 * way, abs=1e-12) and now.half_life == pytest.approx(16 * way, abs=1e-12)


def test_beta2_moves_in_64_steps_and_ends_at_its_end(config: TrainConfig) -> None:
    moved = config.change(**MOVED | {"schedule_images": 6400})
    values = [scheduled(moved, seen).beta2 for seen in range(0, 7000, 10)]
    assert len(set(values)) == 65 and values == sorted(values) and (values[0], values[-1]) == (0.9, 0.99)


def test_without_a_schedule_nothing_moves(config: TrainConfig) -> None:
    still = config.change(**MOVED | {"schedule_images": 0})
    now = scheduled(still, 10**6)
    assert (now.rate, now.penalty, now.beta2, now.half_life) == (1, 1, 0.9, 0)
    only_rates = config.change(schedule_images=80, lr_end=0.5)
    now = scheduled(only_rates, 80)
    assert (now.rate, now.penalty, now.beta2, now.half_life) == (0.5, 1, config.beta2, config.average_half_life)


def test_every_step_uses_the_values_of_its_images(config: TrainConfig, blobs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    moved, used, decays = config.change(**MOVED), [], []
    state = new_state(moved, CPU)
    true_update, true_average = steps.update_networks, steps.get_ema_multi_avg_fn

    def update(state: TrainState, *batch: Any) -> None:
        groups = [optimizer.param_groups[0] for optimizer in (state.optimizer_g, state.optimizer_d)]
        used.append([(group["lr"], group["betas"][1]) for group in groups] + [float(state.penalty_share)])
        true_update(state, *batch)

    def average(decay: float) -> Any:
        decays.append(decay)
        return true_average(decay)

    monkeypatch.setattr("gan.training.loop.update_networks", update)
    monkeypatch.setattr(steps, "get_ema_multi_avg_fn", average)
    list(train(state, blobs))
    for i, (of_g, of_d, penalty) in enumerate(used):
        now = scheduled(moved, 8 * i)
        assert of_g == (moved.lr_g * now.rate, now.beta2) and of_d == (moved.lr_d * now.rate, now.beta2)
        assert penalty == pytest.approx(now.penalty, rel=1e-6)
        after = min(scheduled(moved, 8 * (i + 1)).half_life, 0.05 * 8 * (i + 1))
        assert decays[i] == pytest.approx(0.5 ** (8 / after))


def test_the_penalty_counts_for_the_share_that_is_left(config: TrainConfig, blobs: Any) -> None:
    """A schedule that has ended at half the penalty trains like a run with half the penalty."""
    settings = {"discriminator_norm": "none", "r2": 2.0}
    halved, half = new_state(config.change(**settings, schedule_images=1, penalty_end=0.5), CPU), new_state(config.change(**settings), CPU)
    half.config = half.config.change(r2=1.0)
    for state in (halved, half):
        state.images_seen = 8
        steps.train_step(state, torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(0)))
    assert same(halved, half)


@pytest.mark.parametrize("stop_after", [3, 7, 11])
def test_a_resumed_run_follows_the_schedule(config: TrainConfig, blobs: Any, stop_after: int) -> None:
    moved = config.change(**MOVED)
    whole, first, second = new_state(moved, CPU), new_state(moved.change(duration=stop_after), CPU), new_state(moved, CPU)
    list(train(whole, blobs))
    list(train(first, blobs))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    list(train(second, blobs))
    assert same(whole, second)
    still = new_state(config.change(**MOVED | {"schedule_images": 0}), CPU)
    list(train(still, blobs))
    assert not same(whole, still)


def test_a_knob_scales_the_rest_of_the_schedule_and_replays(config: TrainConfig, blobs: Any) -> None:
    moved = config.change(**MOVED, log_every=1)
    control, state, changes = Control(), new_state(moved, CPU), []
    for event in train(state, blobs, control):
        if isinstance(event, Intervention):
            changes.append(event)
        if isinstance(event, Metrics) and event.step == 4:
            control.change("lr_g", 0.01)
        if isinstance(event, Metrics) and event.step > 5:
            now = scheduled(moved, 8 * (event.step - 1))
            assert state.optimizer_g.param_groups[0]["lr"] == 0.01 * now.rate
            assert state.optimizer_d.param_groups[0]["lr"] == moved.lr_d * now.rate
    again, script = new_state(moved, CPU), Control()
    script.repeat(changes)
    list(train(again, blobs, script))
    assert len(changes) == 1 and same(state, again)


def test_a_fork_continues_the_schedule(config: TrainConfig, blobs: Any, tmp_path: Path) -> None:
    moved = config.change(**MOVED)
    parent = RunFolder(tmp_path / "parent")
    parent.path.mkdir()
    parent.write_config(moved.change(duration=6), "")
    list(record(parent, prepare(parent, moved.change(duration=6), blobs, CPU), blobs, Control()))
    child = fork(parent, tmp_path / "child", 6, {}, "steps", 6)
    state = prepare(child, child.read_config()[0], blobs, CPU)
    assert state.optimizer_g.param_groups[0]["lr"] == moved.lr_g * scheduled(moved, 48).rate < moved.lr_g
    list(train(state, blobs))
    whole = new_state(moved, CPU)
    list(train(whole, blobs))
    assert same(whole, state)
