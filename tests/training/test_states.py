"""Saved states are compared with new ones before anything uses them; undamaged ones load bit for bit."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.inside.files import load_networks
from gan.networks.generator_file import CheckpointError
from gan.recipes import RECIPES
from gan.runs.folder import RunFolder, StateLost
from gan.runs.fork import fork
from gan.runs.record import record
from gan.training.loop import Control, train
from gan.training.state import TrainState, new_state
from tests.conftest import Recorded

CPU = torch.device("cpu")


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.stride() == other.stride() and torch.equal(one, other)
    return one == other


def trained(config: TrainConfig, steps: int = 3, **wishes: Any) -> tuple[TrainState, Any]:
    shape = (40, config.channels, config.image_size, config.image_size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    classes = ("a", "b") if config.networks == "cyclegan" else ("a", "b", "c")
    dataset = ImageDataset(config.data, images, torch.arange(40) % len(classes), classes, inputs=images.flip(0))
    state, control = new_state(config.change(duration=steps, duration_unit="steps"), CPU, class_names=dataset.class_names), Control()
    for name, value in wishes.items():
        control.change(name, value)
    for _ in train(state, dataset, control):
        pass
    return state, dataset


@pytest.fixture
def saved(tmp_path: Path, config: TrainConfig, blobs: ImageDataset, recorded: Recorded) -> RunFolder:
    """A run's folder with a state after a few steps: each test has a copy of its own."""

    def train_some(folder: RunFolder) -> None:
        folder.path.mkdir()
        folder.write_config(config, "quick-digits", blobs)
        folder.write_status(state="stopped", step=12)
        for _ in record(folder, new_state(config, CPU), blobs, Control()):
            pass

    return recorded.copy(tmp_path / "run", train_some)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("change", [{}, {"frozen": "generator"}, {"optimizer": "rmsprop"}], ids=["unchanged", "frozen", "rmsprop"])
def test_sound_states_load_bit_for_bit(name: str, change: dict[str, Any], tmp_path: Path) -> None:
    config = RECIPES[name].config.change(generator_filters=4, discriminator_filters=4, batch_size=4, precision="fp32", **change)
    state, dataset = trained(config)
    torch.save(state.state_dict(), tmp_path / "state.pt")
    loaded = new_state(state.config, CPU, class_names=dataset.class_names, execution=state.execution)
    loaded.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    state.follow_schedule()  # as the next step would: what a schedule moves is set before each step, and by loading
    assert same(loaded.state_dict(), state.state_dict())
    if change.get("frozen"):
        assert not state.optimizer_g.state_dict()["state"]  # never trained: it has no moments, and that is sound


def test_a_state_before_the_first_step_loads(config: TrainConfig) -> None:
    fresh = new_state(config, CPU)
    loaded = new_state(config, CPU)
    loaded.load_state_dict(copy.deepcopy(fresh.state_dict()))
    assert same(loaded.state_dict(), fresh.state_dict())


def test_a_state_of_another_device_loads_with_other_random_numbers(config: TrainConfig) -> None:
    state, _ = trained(config)
    stored = copy.deepcopy(state.state_dict()) | {"device": "cuda", "rng": torch.zeros(16, dtype=torch.uint8)}
    for group in (*stored["optimizer_g"]["param_groups"], *stored["optimizer_d"]["param_groups"]):
        group |= {"capturable": True, "fused": None, "lr": torch.tensor(0.1)}
    loaded = new_state(config, CPU, execution=state.execution)
    loaded.load_state_dict(stored)
    assert same(loaded.optimizer_g.state_dict()["state"], state.optimizer_g.state_dict()["state"])
    assert loaded.optimizer_g.param_groups[0]["lr"] == config.lr_g


def test_a_setting_that_another_torch_does_not_know_is_no_damage(config: TrainConfig) -> None:
    state, _ = trained(config)
    stored = copy.deepcopy(state.state_dict())
    for group in stored["optimizer_g"]["param_groups"]:
        del group["amsgrad"]
        group["invented"] = True
    new_state(config, CPU, execution=state.execution).load_state_dict(stored)


def moment(stored: dict[str, Any], key: str = "exp_avg") -> torch.Tensor:
    return stored["optimizer_d"]["state"][0][key]


def put(change: Callable[..., Any], key: str = "exp_avg") -> Callable[..., Any]:
    def damage(stored: dict[str, Any]) -> None:
        stored["optimizer_d"]["state"][0][key] = change(moment(stored, key))

    return damage


def relaid(stored: dict[str, Any]) -> None:
    """Puts the first moment of which the layout can differ into the other one."""
    for held in stored["optimizer_d"]["state"].values():
        if held["exp_avg"].dim() == 4 and not held["exp_avg"].is_contiguous():
            held["exp_avg"] = held["exp_avg"].contiguous()
            return
    raise AssertionError("there is none")


DAMAGES = {
    "moment of another shape": (put(lambda t: t[:1].clone()), "optimizer_d of parameter 0, exp_avg has shape"),
    "moment of another format": (put(lambda t: t.double()), "format torch.float64, not"),
    "moment without memory of its own": (put(lambda t: torch.zeros(()).expand(t.shape)), "strides"),
    "moment in another layout": (relaid, "lies in memory with strides"),
    "moment of another parameter": (
        lambda s: s["optimizer_d"]["state"][0].update(exp_avg_sq=moment(s)),
        "exp_avg_sq shares its memory with another tensor",
    ),
    "moment that is no tensor": (put(lambda t: [1.0]), "must be a tensor of numbers; got a list of 1"),
    "no moment": (lambda s: s["optimizer_d"]["state"][0].pop("exp_avg"), "must hold step, exp_avg, exp_avg_sq"),
    "no moments of one parameter": (lambda s: s["optimizer_d"]["state"].pop(0), "optimizer_d must hold moments of all of its"),
    "steps in a row": (put(lambda t: torch.ones(2), "step"), "step must be one number from 0 on"),
    "steps that are no number": (put(lambda t: torch.tensor(float("nan")), "step"), "step must be one number from 0 on"),
    "no group": (lambda s: s["optimizer_g"]["param_groups"].clear(), "optimizer_g must have 1 group"),
    "another order of parameters": (lambda s: s["optimizer_g"]["param_groups"][0]["params"].reverse(), "optimizer_g params must be"),
    "no epsilon": (lambda s: s["optimizer_g"]["param_groups"][0].pop("eps"), "optimizer_g eps is missing"),
    "another Adam": (lambda s: s["optimizer_g"]["param_groups"][0].update(amsgrad=True), "optimizer_g amsgrad must be False; got True"),
    "weights of another shape": (lambda s: s["generator"].update({next(iter(s["generator"])): torch.zeros(1)}), "generator."),
    "a weight too few": (lambda s: s["averaged"].popitem(), "averaged lacks"),
    "a weight too many": (lambda s: s["averaged"].update(more=torch.zeros(1)), "averaged has an unknown tensor more"),
    "a weight that is not a number": (lambda s: next(iter(s["discriminator"].values())).fill_(float("nan")), "is not finite"),
    "short sums": (lambda s: s.update(sums=torch.zeros(9)), "sums has shape (9,)"),
    "short random state": (lambda s: s.update(rng=s["rng"][:-1].clone()), "rng has shape"),
    "no random state": (lambda s: s.update(rng=None), "rng must be a tensor"),
    "no step": (lambda s: s.pop("step"), "step is missing"),
    "a step before the first": (lambda s: s.update(step=-1), "step must be a whole number from 0 on; got -1"),
    "endless": (lambda s: s.update(elapsed_s=float("inf")), "elapsed_s must be seconds from 0 on; got inf"),
    "no threads": (lambda s: s.update(threads=0), "threads must be a whole number from 1 on; got 0"),
    "another precision": (lambda s: s.update(precision="fp8"), "precision must be fp32 or bf16; got 'fp8'"),
    "no settings": (lambda s: s.update(config=[]), "config must be the run's settings; got a list of 0"),
    "a setting too few": (lambda s: s["config"].pop("lr_g"), "config lr_g is missing"),
    "a setting out of bounds": (lambda s: s["config"].update(lr_g=5), "lr_g must be"),
}


@pytest.mark.parametrize("damage, said", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_state_is_refused_in_a_sentence_and_changes_nothing(
    damage: Callable[..., Any], said: str, saved: RunFolder, config: TrainConfig
) -> None:
    stored = torch.load(saved.state_file, weights_only=True)
    damage(stored)
    state = new_state(config, CPU)
    before = copy.deepcopy(state.state_dict())
    with pytest.raises(ValueError) as refused:
        state.load_state_dict(stored)
    assert said in str(refused.value) and "\n" not in str(refused.value)
    assert same(state.state_dict(), before)
    torch.save(stored, saved.state_file)
    with pytest.raises(CheckpointError) as refused:
        saved.load_state(config, CPU)
    assert said in str(refused.value) and "state.pt" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("field, value", [("step", "1"), ("images_seen", None), ("changes", float("nan")), ("config", 3), ("rng", [1])])
def test_forks_lists_and_looks_refuse_a_damaged_state_too(
    field: str, value: float | list[int] | str | None, saved: RunFolder, tmp_path: Path
) -> None:
    stored = torch.load(saved.state_file, weights_only=True) | {field: value}
    torch.save(stored, saved.state_file)
    said = f"{field} must be"
    assert saved.state_step() is None and saved.state_file not in saved.usable_states().values()
    for use in (
        lambda: saved.read_state(saved.state_file),
        lambda: fork(saved, tmp_path / "child", 12, {}),
        lambda: load_networks(saved.state_file),
    ):
        with pytest.raises(CheckpointError, match=said):
            use()
    assert not (tmp_path / "child").exists()


def test_a_file_that_torch_did_not_write_is_not_given_to_its_reader(saved: RunFolder) -> None:
    for content in (b"", b"PK", b"\x80\x02}q\x00.", b"nonsense" * 100):
        saved.state_file.write_bytes(content)
        with pytest.raises(CheckpointError, match="cut short"):
            saved.read_state(saved.state_file)
        assert saved.state_step() is None


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.999])
def test_a_cut_state_is_said_to_be_cut_in_plain_words(kept: float, saved: RunFolder, config: TrainConfig) -> None:
    content = saved.state_file.read_bytes()
    saved.state_file.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(StateLost, match="it is cut short") as info:
        saved.load_state(config, CPU)
    assert "Reader" not in str(info.value)
