"""A run from before the library was split into packages: it is read, drawn, resumed, forked and replayed as before.

fixtures/README.md says how the folder was made. Within one process equal replays are equal bit for bit. The fixture came from one
processor, and another adds numbers in another order, so "the same weights" is a bound here, with room on both sides: weights that begin
with relative errors of 1e-6 end up to 0.1 of the way away from it, a forgotten change of a learning rate 0.65 of the way.
"""

import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan.config import TrainConfig
from gan.data.datasets import ImageDataset, load
from gan.events import Intervention, Metrics
from gan.images import enlarge, tile
from gan.networks.generator_file import load_generator
from gan.networks.sampling import sample
from gan.runs.folder import RunFolder
from gan.runs.fork import fork
from gan.runs.manager import RunManager
from gan.runs.record import prepare, record
from gan.training.loop import Control, train
from gan.training.state import TrainState, new_state
from tests.conftest import finish

FIXTURE = Path(__file__).parent / "fixtures" / "flat-library"
CPU = torch.device("cpu")
AVERAGED_AT, DROPOUT_AT = 10, 11  # the last generator that was kept before dropout began
WEIGHTS_BOUND = 0.2  # of the distance that the weights moved
ROWS_BOUND = 0.03  # nats and probabilities
CHANGES = [Intervention(4, "lr_g", 2e-4, 8e-4), Intervention(11, "dropout", 0.0, 0.5)]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> ImageDataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKSHOP_DATA", str(tmp_path_factory.mktemp("data")))
        dataset: ImageDataset = finish(load("mnist", 28, 1))
    return dataset


@pytest.fixture
def old(folders: Path) -> RunFolder:
    """A copy that can be written into."""
    return RunFolder(Path(shutil.copytree(FIXTURE, folders / "checkpoints" / "old")))


def flat(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def replayed(
    config: TrainConfig, dataset: ImageDataset, script: Sequence[Intervention], steps: int = 16
) -> tuple[TrainState, list[Metrics]]:
    """The run trained again from its seed: where it ended, and its rows of metrics."""
    state, control = new_state(config.change(duration=steps), CPU, threads=1), Control()
    control.repeat(script, until=steps)
    return state, [event for event in train(state, dataset, control) if isinstance(event, Metrics)]


def weights_off(state: TrainState) -> float:
    """How far the EMA generator is from the fixture's, as a share of the distance that the fixture's weights moved."""
    stored, begin = load_generator(RunFolder(FIXTURE).generator_file(state.step)), new_state(state.config, CPU, threads=1)
    return float((flat(state.averaged) - flat(stored.network)).norm() / (flat(stored.network) - flat(begin.averaged)).norm())


def rows_off(rows: list[Metrics]) -> float:
    """The largest difference of a loss or an answer from the fixture's, before dropout began."""
    stored: list[dict[str, Any]] = RunFolder(FIXTURE).read_metrics()[0]
    pairs = list(zip(rows, stored, strict=False))[:DROPOUT_AT]
    return max(
        abs(getattr(row, name) - was[name]) for row, was in pairs for name in ("loss_d", "loss_g", "d_real", "d_fake", "d_fake_after")
    )


def test_everything_in_the_folder_is_read(old: RunFolder) -> None:
    assert old.fault() == "" and not old.is_being_written()
    config, stored = old.read_config()
    assert config.model_dump() == TrainConfig().model_dump() | json.loads((FIXTURE / "config.json").read_text())["config"]
    assert (stored["recipe"], stored["owner"], stored["data_images"], config.seed) == ("quick-digits", "Ada", 60000, 7)
    assert old.read_interventions() == CHANGES
    rows, end = old.read_metrics()
    assert [row["step"] for row in rows] == [*range(1, 17)] and end == old.metrics_file.stat().st_size
    assert [row["step"] for row in old.read_norms()] == [1, 8, 16]
    assert old.sample_steps() == [0, 8, 16] and old.generator_steps() == [10, 16] and old.state_step() == old.begun() == 16
    (judged,) = old.read_judged()
    best = old.best()
    assert best is not None and (best.step, best.fd) == (16, judged["fd"])


def test_the_app_lists_it_with_its_history(old: RunFolder) -> None:
    manager = RunManager(old.path.parent)
    try:
        (run,) = manager.runs()
        status = run.status()
        assert (run.id, run.state, status["step"], status["threads"], status["best_step"]) == ("old", "finished", 16, 1, 16)
        assert len(run.history) == 16 and [change["field"] for change in run.interventions] == ["lr_g", "dropout"]
        assert (run.live_config.lr_g, run.live_config.dropout) == (8e-4, 0.5)
    finally:
        manager.shutdown()


def test_its_last_generator_draws_the_grid_that_was_kept(old: RunFolder) -> None:
    state = old.load_state(old.read_config()[0], CPU, (), 1)
    loaded = load_generator(old.generator_file(16))
    assert torch.equal(flat(loaded.network), flat(state.averaged))
    with Image.open(io.BytesIO(old.read_samples(16))) as picture:
        kept = np.asarray(picture).astype(int)
    drawn = tile(enlarge(sample(loaded.network, state.fixed_z), 2), gap=2).astype(int).reshape(kept.shape)
    # Another processor may round a pixel to the next level; other weights change most pixels by many levels.
    assert np.abs(drawn - kept).max() <= 1 and np.mean(drawn != kept) < 0.01
    other = tile(enlarge(sample(load_generator(old.generator_file(10)).network, state.fixed_z), 2), gap=2).astype(int).reshape(kept.shape)
    assert np.abs(other - kept).max() > 1


def test_it_resumes_with_its_changed_settings_and_can_be_forked(old: RunFolder, digits: Any) -> None:
    child = fork(old, old.path.parent / "child", 16, {"lr_d": 1e-3})
    for folder, rates in ((old, (8e-4, 2e-4)), (child, (8e-4, 1e-3))):
        config = folder.read_config()[0].change(duration=20)
        with folder.locked():
            state = prepare(folder, config, digits, CPU, threads=1)
            assert (state.step, state.config.lr_g, state.config.lr_d, state.config.dropout) == (16, *rates, 0.5)
            for _ in record(folder, state, digits, Control()):
                pass
        assert state.step == 20 and [row["step"] for row in folder.read_metrics()[0]] == [*range(1, 21)]
        assert folder.generator_steps()[-1] == 20


def test_it_replays_from_its_seed(digits: Any) -> None:
    config, stored = RunFolder(FIXTURE).read_config()
    assert digits.fingerprint() == stored["data_fingerprint"]
    once, rows = replayed(config, digits, CHANGES)
    again, _ = replayed(config, digits, CHANGES)
    for network in ("generator", "discriminator", "averaged"):
        assert torch.equal(flat(getattr(once, network)), flat(getattr(again, network)))
    assert rows_off(rows) < ROWS_BOUND
    assert weights_off(replayed(config, digits, CHANGES, AVERAGED_AT)[0]) < WEIGHTS_BOUND
    if torch.backends.mkldnn.is_available():  # without oneDNN, maps have another memory layout, and dropout draws other features
        assert weights_off(once) < WEIGHTS_BOUND


@pytest.mark.parametrize("wrong", ["a change forgotten", "a change too small", "another rate of D", "another seed"])
def test_a_replay_with_another_learning_rate_is_beyond_the_bounds(digits: Any, wrong: str) -> None:
    config, script = RunFolder(FIXTURE).read_config()[0], CHANGES
    match wrong:
        case "a change forgotten":
            script = CHANGES[1:]
        case "a change too small":
            script = [replace(CHANGES[0], new=4e-4), CHANGES[1]]
        case "another rate of D":
            config = config.change(lr_d=4e-4)
        case "another seed":
            config = config.change(seed=8)
    state, rows = replayed(config, digits, script, AVERAGED_AT)
    assert rows_off(rows) > 2 * ROWS_BOUND
    if wrong != "another rate of D":  # the generator hardly feels it
        assert weights_off(state) > 2 * WEIGHTS_BOUND
