"""Runs that translate images: what trains, what is saved, what comes out of the data set, what is scored."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.data.translation import with_held_out
from gan.events import Metrics, Samples
from gan.judging import similarity
from gan.judging.features import About
from gan.networks.sampling import translate
from gan.networks.translation import Translator
from gan.recipes import recipe
from gan.runs.folder import RunFolder
from gan.runs.fork import fork
from gan.runs.record import prepare, record
from gan.runs.translation_scores import translation_scores
from gan.training.feed import Feed, epoch_images
from gan.training.image_buffer import ImageBuffer
from gan.training.loop import Control, draw_grid, train
from gan.training.ranks import refuse_settings
from gan.training.saved_state import check_values
from gan.training.schedule import scheduled
from gan.training.state import TrainState, new_state

CPU = torch.device("cpu")
TINY: dict[str, Any] = {
    "image_size": 28,
    "channels": 1,
    "generator_filters": 4,
    "discriminator_filters": 4,
    "batch_size": 3,
    "precision": "fp32",
    "duration_unit": "steps",
    "log_every": 2,
    "grid_images": 16,
}


def small(name: str, **changes: Any) -> TrainConfig:
    return recipe(name).config.change(**{**TINY, "duration": 4, **changes})


def images(n: int = 40) -> ImageDataset:
    """Pairs, of two classes: an image is dark or bright, and its partner the other way round."""
    numbers = torch.randint(0, 100, (n, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(n) % 2
    bright = numbers + 150 * labels[:, None, None, None].to(torch.uint8)
    return with_held_out(ImageDataset("own", bright, labels, ("dark", "bright"), inputs=255 - bright), None)


def same(a: TrainState, b: TrainState) -> bool:
    one, other = a.state_dict(), b.state_dict()
    tensors = [(one[n][k], other[n][k]) for n in ("generator", "discriminator", "averaged") for k in one[n]]
    buffers = [(one[n], other[n]) for n in ("buffer", "buffer_filled", "rng", "sums") if n in one]
    return one.keys() == other.keys() and all(torch.equal(x, y) for x, y in tensors + buffers)


@pytest.mark.parametrize("name", ["pix2pix", "cyclegan"])
def test_a_resumed_run_equals_one_that_never_stopped_and_replays(name: str, tmp_path: Path) -> None:
    dataset, config = images(), small(name, image_buffer=4, horizontal_flip=True)
    straight = new_state(config.change(duration=7), CPU, class_names=dataset.class_names)
    metrics = [event for event in train(straight, dataset) if isinstance(event, Metrics)]
    assert metrics and all(m.distance is not None and 0 < m.distance < 1 for m in metrics)
    folder = RunFolder(tmp_path)
    folder.write_config(config, name)
    list(record(folder, prepare(folder, config, dataset, CPU), dataset, Control()))
    continued = prepare(folder, config.change(duration=7), dataset, CPU)
    assert continued.step == 4
    list(record(folder, continued, dataset, Control()))
    assert same(straight, continued)
    rows, _ = folder.read_metrics()
    assert [row["step"] for row in rows] == [2, 4, 6] and all(0 < row["distance"] < 1 for row in rows)


def test_a_state_from_before_the_live_weights_still_loads() -> None:
    state = new_state(TrainConfig(generator_filters=4, discriminator_filters=4), CPU)
    stored = state.state_dict()
    for name in ("adversarial_weight", "l1_weight", "cycle_weight", "identity_weight"):
        del stored["config"][name]
    check_values(stored)
    state.load_state_dict(stored)
    assert state.config.l1_weight == 100


def test_a_damaged_buffer_is_refused() -> None:
    state = new_state(small("cyclegan", image_buffer=4), CPU, class_names=("a", "b"))
    for name, value, rule in (
        ("buffer", torch.full((2, 4, 1, 28, 28), float("nan")), "buffer has a number that is not finite"),
        ("buffer", torch.zeros(2, 3, 1, 28, 28), r"buffer has shape \(2, 3, 1, 28, 28\)"),
        ("buffer_filled", torch.tensor([5.0, 0.0]), "buffer_filled must be whole numbers up to 4"),
        ("buffer_filled", torch.tensor([0.5, 0.0]), "buffer_filled must be whole numbers up to 4"),
    ):
        with pytest.raises(ValueError, match=rule):
            state.load_state_dict({**state.state_dict(), name: value})


def test_weights_of_losses_change_while_a_run_trains_and_in_forks(tmp_path: Path) -> None:
    dataset, config = images(), small("pix2pix")
    folder = RunFolder(tmp_path / "parent")
    folder.write_config(config, "pix2pix")
    control = Control()
    control.change("l1_weight", 0.0)
    state = prepare(folder, config, dataset, CPU)
    list(record(folder, state, dataset, control))
    assert state.config.l1_weight == 0 and [c.field for c in folder.read_script()] == ["l1_weight"]
    child = RunFolder(tmp_path / "child")
    fork(folder, child.path, state.step, {"adversarial_weight": 0.5})
    assert (child.read_config()[0].l1_weight, child.read_config()[0].adversarial_weight) == (0, 0.5)


@pytest.mark.parametrize("frozen", ["generator", "discriminator"])
@pytest.mark.parametrize("name", ["pix2pix", "cyclegan"])
def test_a_frozen_network_does_not_change(name: str, frozen: str) -> None:
    dataset, config = images(), small(name, frozen=frozen, duration=2, d_steps=2, g_steps=2, reuse_fakes=False)
    state = new_state(config, CPU, class_names=dataset.class_names)
    before = {n: [p.clone() for p in getattr(state, n).parameters()] for n in ("generator", "discriminator")}
    list(train(state, dataset))
    for network, parameters in before.items():
        moved = [not torch.equal(old, new) for old, new in zip(parameters, getattr(state, network).parameters(), strict=True)]
        assert not any(moved) if network == frozen else all(moved)


def test_both_images_of_a_pair_are_mirrored_alike() -> None:
    dataset, config = images(), small("pix2pix", horizontal_flip=True)
    outputs, inputs = Feed(new_state(config, CPU), dataset).next(0)
    assert inputs is not None and torch.allclose(outputs, -inputs, atol=1e-6)


def test_each_class_comes_in_its_own_order_once_per_pass() -> None:
    numbers = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1).expand(10, 1, 28, 28)
    dataset = ImageDataset("own", numbers, torch.tensor([0] * 3 + [1] * 7), ("a", "b"))
    config = small("cyclegan", batch_size=3)
    feed = Feed(new_state(config, CPU, class_names=("a", "b")), dataset)
    assert epoch_images(config, dataset) == 3  # ten images: five of each, in whole batches
    batches = [feed.next(3 * i) for i in range(7)]
    firsts = [[round(float((image[0, 0, 0] + 1) * 127.5)) for image in batch] for pair in batches for batch in pair if batch is not None]
    of_b, of_a = ([n for batch in firsts[k::2] for n in batch] for k in range(2))
    assert all(sorted(of_a[i : i + 3]) == [0, 1, 2] for i in range(0, 21, 3))
    assert all(sorted(of_b[i : i + 7]) == [3, 4, 5, 6, 7, 8, 9] for i in range(0, 21, 7)) and of_b[:7] != of_b[7:14]
    again = Feed(new_state(config, CPU, class_names=("a", "b")), dataset).next(9)
    assert all(torch.equal(x, y) for x, y in zip(again, batches[3], strict=True) if x is not None and y is not None)


def test_a_set_that_does_not_fit_is_refused() -> None:
    dataset = images()
    with pytest.raises(ValueError, match="has no pairs of images, but networks pix2pix need them: images of A and B side by side"):
        epoch_images(small("pix2pix"), ImageDataset("own", dataset.images))
    with pytest.raises(ValueError, match=r"own holds 1 pair, fewer than one batch of 3: add pairs$"):
        epoch_images(small("pix2pix"), ImageDataset("own", dataset.images[:1], inputs=dataset.images[:1]))
    with pytest.raises(ValueError, match="has 3 classes, but networks cyclegan translate between two"):
        epoch_images(small("cyclegan"), ImageDataset("own", dataset.images, torch.zeros(36).long(), ("a", "b", "c")))
    with pytest.raises(ValueError, match="image_buffer must be 0 with 2 ranks"):
        refuse_settings(small("cyclegan"), 2)


def test_the_grid_shows_held_out_images_in_rows() -> None:
    dataset = images()
    assert dataset.held_out is not None and dataset.held_out.inputs is not None
    state = new_state(small("pix2pix"), CPU)
    grid = torch.from_numpy(draw_grid(state, dataset)).view(6, 6, 1, 28, 28)
    rows = torch.arange(12) % len(dataset.held_out)
    assert torch.equal(torch.cat([grid[0], grid[3]]), dataset.held_out.inputs[rows])
    assert torch.equal(torch.cat([grid[2], grid[5]]), dataset.held_out.images[rows])
    assert isinstance(state.averaged, Translator)
    assert torch.equal(grid[1], translate(state.averaged, grid[0]))
    state = new_state(small("cyclegan"), CPU, class_names=("dark", "bright"))
    grid = torch.from_numpy(draw_grid(state, dataset)).view(6, 6, 1, 28, 28)
    assert isinstance(state.averaged, Translator)
    assert grid[0].max() < 100 and grid[3].min() >= 150
    assert torch.equal(grid[1], translate(state.averaged, grid[0])) and torch.equal(grid[2], translate(state.averaged, grid[1], back=True))
    assert torch.equal(grid[4], translate(state.averaged, grid[3], back=True)) and torch.equal(grid[5], translate(state.averaged, grid[4]))
    samples = [event for event in train(new_state(small("pix2pix", duration=1), CPU), dataset) if isinstance(event, Samples)]
    assert samples[0].images.shape == (36, 1, 28, 28)


def test_a_full_buffer_shows_half_earlier_images() -> None:
    rng = torch.Generator().manual_seed(0)
    buffer = ImageBuffer(1, 5, (1, 1, 1), CPU)
    number, shown = 0, []
    for _ in range(100):
        new = torch.arange(number, number + 4, dtype=torch.float32).view(4, 1, 1, 1)
        out = buffer.swap(0, new, rng).flatten().tolist()
        shown += [out[i] < number + i for i in range(4)] if number >= 8 else []
        number += 4
    assert buffer.filled.item() == 5 and 0.4 < sum(shown) / len(shown) < 0.6
    assert ImageBuffer(1, 0, (1, 1, 1), CPU).swap(0, new, rng) is new


def test_a_schedule_may_start_later() -> None:
    config = TrainConfig(schedule_start=100, schedule_images=300, schedule="linear", lr_end=0)
    assert [scheduled(config, seen).rate for seen in (0, 100, 200, 300, 400)] == [1, 1, 0.5, 0, 0]


def test_similarity_next_to_formulas() -> None:
    x = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert similarity.l1(x, x) == 0 and similarity.ssim(x, x) == pytest.approx(1)
    black, white = torch.zeros_like(x), torch.full_like(x, 255)
    assert similarity.l1(black, white) == 1
    assert similarity.ssim(black, white) == pytest.approx(0.01**2 / (1 + 0.01**2), rel=1e-3)  # equal structure: none
    assert similarity.ssim(x, 255 - x) < -0.5


class FakeJudge:
    """What translation_scores() asks of a judge, without a data set: a network that sees brightness."""

    class network:
        about = About("brightness", 28, 1, "attributes", ("bright", "striped"))

        @staticmethod
        def features(images: Any) -> Any:
            return images

        @staticmethod
        def probabilities(images: Any) -> Any:
            mean = images.mean((1, 2, 3)) / 255
            return np.stack([mean, np.zeros_like(mean)], 1)

    def judged(self, samples: int) -> int:
        return min(samples, 4)

    def glance(self, images: Any) -> dict[str, Any]:
        return {"images": len(images), "fd": 1.0}


def test_pairs_are_scored_next_to_the_identity_and_the_mean() -> None:
    dataset = images()
    assert dataset.held_out is not None and dataset.held_out.inputs is not None
    state = new_state(small("pix2pix"), CPU)
    before = {name: tensor.clone() for name, tensor in state.discriminator.state_dict().items()}
    row = translation_scores(FakeJudge(), state, dataset, 500)  # type: ignore[arg-type]
    assert isinstance(state.averaged, Translator)
    outputs = translate(state.averaged, dataset.held_out.inputs[:4])
    assert row["l1"] == pytest.approx(similarity.l1(outputs, dataset.held_out.images[:4])) and row["images"] == 4
    assert row["l1_identity"] == pytest.approx(similarity.l1(dataset.held_out.inputs[:4], dataset.held_out.images[:4]))
    assert 0.2 < row["l1_mean"] < 0.4 and -1 <= row["ssim"] <= 1 and 0 <= row["d_accuracy"] <= 1 and row["d_held_out"] is not None
    assert all(torch.equal(tensor, before[name]) for name, tensor in state.discriminator.state_dict().items())


def test_classes_are_scored_by_what_the_judges_network_sees() -> None:
    dataset = images()
    state = new_state(small("cyclegan"), CPU, class_names=dataset.class_names)
    row = translation_scores(FakeJudge(), state, dataset, 500)  # type: ignore[arg-type]
    assert row["changed_identity"] == 0 and 0 <= row["changed"] <= 1 and row["others"] == 1
    assert 0 < row["cycle"] < 1 and row["images"] == 4
    nothing = FakeJudge()
    nothing.network = type("Blind", (), {"about": About("blind", 28, 1, "nothing", ())})  # type: ignore[assignment, misc]
    assert "changed" not in translation_scores(nothing, state, dataset, 500)  # type: ignore[arg-type]
