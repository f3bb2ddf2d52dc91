"""Several ranks train one run: as one process does, and with an end that all of them share."""

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gan.cli import ranks as of_commands
from gan.config import TrainConfig
from gan.draws import Part, RankGenerator, own, whole
from gan.runs.folder import RunFolder
from gan.runs.record import record
from gan.training import state as of_training
from gan.training.loop import Control
from gan.training.ranks import refuse_settings
from tests.distributed import worker
from tests.forked import Forked

NETWORKS = ("generator", "discriminator", "averaged")
LIMIT_S = 120  # for everything in the two processes; then they are killed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What two ranks wrote; see worker.py. They are connected by loopback alone."""
    path = tmp_path_factory.mktemp("ranks")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    common |= {"GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo", "WORKSHOP_JUDGE": "0"}
    command = ["-m", "tests.distributed.worker", str(path)]
    processes: list[Forked] = []
    logs = [path / "rank0.log", path / "rank1.log"]
    try:
        for rank, log in enumerate(logs):
            with log.open("w") as file:
                variables = os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
                processes.append(Forked(command, variables, stdout=file.fileno(), stderr=file.fileno()))
        codes = [process.wait(LIMIT_S) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert codes == [0, -9], "\n".join(log.read_text()[-3000:] for log in logs)  # the last check kills rank 1
    yield path


@pytest.fixture(autouse=True)
def calm_adam(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the two processes."""
    monkeypatch.setattr(of_training, "Adam", worker.CALM_ADAM)


def _load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(path, weights_only=True)
    return loaded


def _distance(one: torch.Tensor, two: torch.Tensor, least: float = 1e-9) -> float:
    """Relative to the first, in the L2 norm, or to `least` if the first is smaller."""
    return float((one.double() - two.double()).norm() / one.double().norm().clamp_min(least))


def _farthest(one: dict[str, Any], two: dict[str, Any]) -> float:
    """Between two states: that of the tensor that differs most, among weights and running statistics. Biases begin at 0."""
    return max(_distance(value, two[network][name], 1e-2) for network in NETWORKS for name, value in one[network].items())


@pytest.mark.parametrize("name", worker.CONFIGS)
def test_two_ranks_train_to_what_one_process_trains_to(folder: Path, name: str) -> None:
    """The gradients of the whole batch, the same random numbers, and the same means in the log.

    Weights are not compared for two generators that translate into each other: L1's gradient is a sign, and in their many layers five steps
    make a rounding error a thousand times as large.
    """
    two, one = _load(folder / f"{name}.pt"), worker.trained(worker.begun(worker.BASE.change(**worker.CONFIGS[name])))
    for network, gradients in one["gradients"].items():
        assert _distance(gradients, two["gradients"][network]) < 1e-5, network
    assert torch.equal(one["state"]["rng"], two["state"]["rng"])
    assert len(one["metrics"]) == len(two["metrics"]) == 2
    for mine, theirs in zip(one["metrics"], two["metrics"], strict=True):
        for key in ("loss_d", "loss_g", "d_real", "d_fake", "d_fake_after"):
            assert theirs[key] == pytest.approx(mine[key], rel=1e-3, abs=1e-3), key
    if name != "two classes":
        assert _farthest(one["state"], two["state"]) < 1e-5
    assert two["state"]["changes"] == 1 and two["state"]["config"]["lr_g"] == worker.CHANGED.new


def test_a_run_that_is_stopped_and_resumed_is_equal_to_one_that_is_not(folder: Path) -> None:
    whole_run, halves = _load(folder / "whole" / "state.pt"), _load(folder / "halves" / "state.pt")
    assert whole_run["step"] == halves["step"] == worker.STEPS
    for network in NETWORKS:
        for name, value in whole_run[network].items():
            assert torch.equal(value, halves[network][name]), f"{network} {name}"
    assert torch.equal(whole_run["rng"], halves["rng"]) and torch.equal(whole_run["sums"], halves["sums"])
    logged = [(folder / run / "metrics.jsonl").read_text().splitlines() for run in ("whole", "halves")]
    timed = {"elapsed_s": 0, "images_per_s": 0}
    assert [json.loads(line) | timed for line in logged[0]] == [json.loads(line) | timed for line in logged[1]]
    assert len(logged[0]) == 2


def test_any_rank_can_halt_the_run_after_a_step_and_one_process_can_resume_it(folder: Path, tmp_path: Path) -> None:
    status = json.loads((folder / "half.json").read_text())
    assert (status["state"], status["step"], status["ranks"]) == ("stopped", 3, 2)
    state = worker.begun(worker.RUN)
    state.load_state_dict(_load(folder / "half.pt"))
    run = RunFolder(tmp_path / "alone")
    run.path.mkdir()
    run.write_config(worker.RUN, "")
    for _ in record(run, state, worker.blobs(worker.RUN), Control(), keep=False):
        pass
    assert state.step == worker.STEPS
    assert _farthest(_load(folder / "whole" / "state.pt"), state.state_dict()) < 1e-5


def test_all_ranks_stop_when_one_of_them_diverges(folder: Path) -> None:
    sentences = {(folder / f"diverged{rank}").read_text() for rank in range(2)}
    assert sentences == {"the generator computed a value that is infinite or not a number (NaN), at step 1"}


def test_when_a_rank_is_killed_the_run_ends_with_one_sentence_and_a_state_that_resumes(folder: Path) -> None:
    sentence = (folder / "killed.txt").read_text()
    assert sentence.startswith("The run ended because rank 1 of 2 ended without a word") and "resume the run" in sentence
    run = RunFolder(folder / "killed")
    status = run.read_status()
    assert (status.state, status.error) == ("failed", sentence)
    state = run.load_state(worker.RUN, worker.CPU, ("a", "b"))
    assert 1 <= state.step <= 3


def test_a_rank_takes_its_rows_of_numbers_that_are_drawn_for_the_whole_batch() -> None:
    rng = RankGenerator(torch.device("cpu"))
    rng.part = Part(1, 3, 4, packing=2)  # images 2 to 5 of 8
    assert (rng.part.images, rng.part.share) == (4, 0.5)
    assert whole(8, rng) == 16 and whole(4, rng, packed=True) == 8  # two batches
    assert own(torch.arange(16), rng).tolist() == [2, 3, 4, 5, 10, 11, 12, 13]
    assert own(torch.arange(8).view(2, 4), rng, packed=True, dim=1).tolist() == [[1, 2], [5, 6]]
    plain = torch.Generator()
    assert whole(8, plain) == 8 and own(torch.arange(8), plain).tolist() == list(range(8))


def test_a_batch_that_cannot_be_divided_is_refused() -> None:
    refuse_settings(TrainConfig(batch_size=4), 4)
    with pytest.raises(ValueError, match="batch_size must be at least 5 with 5 ranks: each takes a part of it; got 4"):
        refuse_settings(TrainConfig(batch_size=4), 5)
    with pytest.raises(ValueError, match="batch_size must be at least 6 with 3 ranks"):
        refuse_settings(TrainConfig(batch_size=4, packing=2), 3)
    with pytest.raises(ValueError, match="at least 8 with 4 ranks: batch_norm_over rank needs two images on each; got 4"):
        refuse_settings(TrainConfig(batch_size=4, batch_norm_over="rank"), 4)


def test_other_commands_refuse_to_run_several_times_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    command = of_commands.alone(lambda: done.append(1))
    command()
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Exception, match="start this command without torchrun"):
        command()
    monkeypatch.setenv("WORLD_SIZE", "1")
    command()
    assert done == [1, 1]
