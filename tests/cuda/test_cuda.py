"""The GPU's paths, rehearsed without a GPU: README.md says how, and what this cannot show."""

from collections.abc import Callable
from typing import Any

import pytest

from gan.config import TrainConfig
from tests.cuda import conftest

GRAPH = "one CUDA graph per step"
# What has nothing to do with which kernels make a step.
NOT_COMPUTED = {"data", "data_split", "seed", "precision", "duration", "duration_unit", "log_every", "grid_every", "grid_images"}
NOT_COMPUTED |= {"snapshot_every", "stop_when_finished", "fit", "background"}
NOT_COMPUTED |= {"batch_norm_over"}  # of several ranks, whose steps are not recorded
NOT_COMPUTED |= {"batch_size", "latent_dim", "generator_filters", "discriminator_filters"}  # sizes, kept small here


def test_every_recipe_and_switch_is_one_graph_in_both_number_formats(rehearse: Callable[..., Any]) -> None:
    seen = rehearse("switches")
    whole = {"recorded": 1, "replays": 3, "spoiled": 0, "foreign": 0, "errors": 0, "pageable copies recorded": 0}
    assert {name: case for name, case in seen["cases"].items() if case != whole | {"launch": GRAPH, "stream": 0}} == {}
    assert seen["instances"] == 0  # each went with its run


def test_every_switch_is_rehearsed(rehearse: Callable[..., Any]) -> None:
    assert set(TrainConfig.model_fields) - NOT_COMPUTED - set(rehearse("switches")["turned"]) == set()


def test_two_runs_a_judge_and_visitors_share_a_gpu(rehearse: Callable[..., Any]) -> None:
    seen = rehearse("pairs")
    assert [(run["state"], run["step"], run["error"], run["launch"]) for run in seen["runs"]] == [("finished", 60, None, GRAPH)] * 2
    knobs = sum(run["knobs"] for run in seen["runs"])
    assert knobs >= 4 and seen["judged"] and seen["drawn"]  # all of it did happen at once
    assert seen["recorded"] == 2 + knobs
    assert seen["spoiled"] == seen["foreign"] == seen["errors"] == 0
    assert len(seen["kernels"]) == 1  # every recording holds the kernels of one step of one run
    assert seen["instances"] == seen["streams recorded on"] == 0  # graphs went with their runs, and no stream was new


def test_moved_knobs_and_ended_runs_keep_no_memory(rehearse: Callable[..., Any]) -> None:
    seen = rehearse("memory")
    assert seen["changes"] == 40 == len(seen["while"])
    assert max(seen["while"][5:]) <= seen["while"][5]
    assert seen["after"] <= seen["before"]
    assert seen["instances"] == 1 and seen["instances after"] == seen["graphs after"] == 0


def test_a_schedule_moves_learning_rates_on_the_device_and_records_again_for_beta_2(rehearse: Callable[..., Any]) -> None:
    seen = rehearse("beta 2 moves")
    assert (seen["recorded"], seen["replays"], seen["spoiled"], seen["errors"], seen["instances"]) == (3, 3, 0, 0, 0)
    assert seen["rate"] == "cuda:0" and seen["betas"][1] < 0.999


def test_a_run_whose_recording_fails_goes_on_kernel_by_kernel(rehearse: Callable[..., Any]) -> None:
    seen = rehearse("fallback")
    assert (
        seen["launches"]
        == ["kernel by kernel (a CUDA graph could not be recorded: CUDA error: operation not permitted when stream is capturing)"] * 3
        + [GRAPH] * 3
    )
    assert seen["steps"] == 6 and seen["replays"] == 3
    assert seen["streams"] == [0] * 6 and seen["stream"] == 0  # the thread is on its own stream again
    drawn = [later - before for before, later in zip(seen["draws"], seen["draws"][1:], strict=False)]
    assert min(drawn) == max(drawn) > 0  # a recording, failed or not, takes no random numbers from the run
    assert "CUDA out of memory" in seen["small"] and seen["small steps"] == 6


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_runs_move_from_cpu_to_gpu_and_back(rehearse: Callable[..., Any], optimizer: str) -> None:
    seen = rehearse(f"moves, {optimizer}")
    on_cpu = {"threads": 1, "launch": None, "precision": "fp32"}
    on_gpu = {"threads": None, "launch": GRAPH, "precision": "bf16"}  # "auto": what each device is best at
    told = [{key: status[key] for key in on_cpu} for status in seen["status"]]
    assert told == [on_cpu, on_gpu, on_cpu, on_gpu]
    assert [status["step"] for status in seen["status"]] == [3, 6, 9, 12]
    assert [status["device"][:3] for status in seen["status"]] == ["CPU", "GPU", "CPU", "GPU"]
    assert seen["optimizer"] == [["cpu"], ["cuda:0"], ["cpu"], ["cuda:1"]]  # the step counters too


@pytest.mark.parametrize("name, lies_on", [("fits", "cuda:0"), ("does not fit", "cpu")])
def test_no_step_waits_for_the_gpu(rehearse: Callable[..., Any], name: str, lies_on: str) -> None:
    seen = rehearse("feed")[name]
    assert seen["images"] == lies_on and seen["device"] == seen["labels"] == "cuda:0"
    assert seen["epochs"] > 4 and seen["launch"] == GRAPH
    assert seen["waits"][0] == seen["waits"][1]  # of 20 steps and of 60


def test_batches_arrive_unchanged(rehearse: Callable[..., Any]) -> None:
    assert rehearse("feed")["sent"]


def test_a_run_on_the_second_gpu_leaves_the_first_alone(rehearse: Callable[..., Any]) -> None:
    seen = rehearse("second")
    assert seen["launch"] == GRAPH and seen["precision"] == "bf16"
    assert seen["work on device 0"] == seen["errors"] == seen["foreign"] == 0 < seen["work on device 1"]


@pytest.mark.parametrize("name, places", [("pair", [0, 1]), ("four", [0, 0, 1, 1])])
def test_a_server_with_two_gpus_trains_on_both_and_gives_their_memory_back(
    rehearse: Callable[..., Any], name: str, places: list[int]
) -> None:
    seen = rehearse("every device")
    threads, runs, spare, free = seen[name]
    assert threads == places
    assert sorted(device for *_, device in runs) == [f"GPU cuda:{place}, Stand-in H100" for place in places]
    assert all(run[:4] == ["finished", 20, "", GRAPH] for run in runs)
    assert spare == [0, 0] and free == seen["free"]
    assert seen["spoiled"] == seen["foreign"] == seen["errors"] == 0
    assert min(seen["work on device 0"], seen["work on device 1"]) > 0


def test_a_device_has_its_index_and_fp32_has_32_bits(rehearse: Callable[..., Any]) -> None:
    seen = rehearse("second")
    assert seen["same"] and seen["index"] == 0
    assert seen["tf32"] == [False, False]


def test_the_command_line_trains_on_a_gpu(rehearse: Callable[..., Any]) -> None:
    seen = rehearse("first command")
    assert "finished at step 2" in seen["said"] and seen["launch"] == GRAPH


@pytest.mark.parametrize("ci, outcome", [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_without_a_compiler_the_reason_is_said_and_continuous_integration_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, ci: str, outcome: type[BaseException]
) -> None:
    if not conftest.headers() or conftest.platform.system() != "Linux":
        pytest.skip(conftest.missing())
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(conftest.shutil, "which", lambda name: None)
    with pytest.raises(outcome, match="g\\+\\+"):
        conftest.stand_in.__wrapped__(tmp_path_factory)  # type: ignore[attr-defined]  # the function under the fixture
