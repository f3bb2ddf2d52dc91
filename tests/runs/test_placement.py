"""Runs on several devices: which one each goes to, how many each takes, and what the refusals say."""

import threading
from collections.abc import Callable, Iterator

import pytest
import torch

from gan import devices
from gan.accelerators import Accelerator, Facts
from gan.config import TrainConfig
from gan.runs import manager as managing
from gan.runs import record as recording
from gan.runs.manager import RunManager
from gan.runs.placement import Place, best
from gan.runs.run import Run
from gan.runs.workplace import Here
from tests.waiting import wait_for

GIB = 2**30
FIRST, SECOND = torch.device("cuda:0"), torch.device("cuda:1")


@pytest.mark.parametrize(
    "free, runs, expected",
    [
        ((40, 79), (0, 0), SECOND),  # another program has a part of the first
        ((40, 79), (0, 3), SECOND),  # memory comes before the number of runs
        ((80, 78), (1, 0), SECOND),  # about equal: the one with fewer runs
        ((80, 78), (1, 1), FIRST),
        ((80, 80), (0, 0), FIRST),
        ((0, 0), (1, 0), SECOND),  # neither answers
    ],
)
def test_the_most_free_memory_wins_then_the_fewest_runs(free: tuple[int, int], runs: tuple[int, int], expected: torch.device) -> None:
    assert best([Place(FIRST, free[0] * GIB, runs[0]), Place(SECOND, free[1] * GIB, runs[1])]).device == expected


def test_the_names_of_several_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "accelerator", lambda index=0: Accelerator(index < 2, facts=Facts(count=2)))
    assert devices.choose_devices("cuda") == devices.choose_devices("cuda:0, cuda:1") == (FIRST, SECOND)
    assert devices.choose_devices("cuda:1,cuda:0") == (SECOND, FIRST)
    assert devices.choose_devices("cuda:1") == (SECOND,) and devices.choose_devices("cpu") == (torch.device("cpu"),)
    assert devices.choose_devices("auto") == (FIRST,)  # the others may be someone else's
    monkeypatch.setattr(devices, "free_memory", {FIRST: 1, SECOND: 2}.__getitem__)
    assert devices.choose_device("cuda:0,cuda:1") == SECOND and devices.choose_device("cuda") == FIRST
    for wrong, words in {
        "cuda:0,cuda:2": "there is no device cuda:2: this machine's last GPU is cuda:1",
        "cuda:0,cpu": "several devices must be GPUs, as in cuda:0,cuda:1; got 'cpu' in 'cuda:0,cpu'",
        "cuda:0,": "got '' in 'cuda:0,'",
        "cuda:0,cuda:0": "each device must be named once; got 'cuda:0,cuda:0'",
        "gpu": "auto, cpu, cuda or cuda:N, or several GPUs as in cuda:0,cuda:1; got 'gpu'",
    }.items():
        with pytest.raises(ValueError) as refused:
            devices.choose_devices(wrong)
        assert words in str(refused.value)


def test_all_gpus_are_those_that_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = Facts(count=3)
    broken = Accelerator(False, "Tesla K80 is too old for this torch", "Install another build", facts)
    monkeypatch.setattr(devices, "accelerator", lambda index=0: broken if index == 1 else Accelerator(True, facts=facts))
    assert devices.choose_devices("cuda") == (FIRST, torch.device("cuda:2"))
    assert devices.passed_over("cuda") == "Training leaves out cuda:1: Tesla K80 is too old for this torch. Install another build."
    monkeypatch.setattr(devices, "accelerator", lambda index=0: broken)
    with pytest.raises(ValueError, match="device cuda cannot be used: Tesla K80"):
        devices.choose_devices("cuda")
    assert devices.passed_over("cuda") == ""


def test_a_gpu_that_does_not_answer_has_no_free_memory(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def lost(device: torch.device) -> None:
        raise RuntimeError("CUDA error: the GPU has fallen off the bus")

    monkeypatch.setattr(torch.cuda, "mem_get_info", lost)
    assert devices.free_memory(SECOND) == 0 and "cuda:1 does not tell its free memory" in caplog.messages[0]


def test_a_wrong_device_in_the_environment_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "accelerator", lambda index=0: Accelerator(index < 2, facts=Facts(count=2)))
    monkeypatch.setenv("WORKSHOP_DEVICE", "cuda:0,cuda:5")
    with pytest.raises(ValueError, match=r"^WORKSHOP_DEVICE=cuda:0,cuda:5: there is no device cuda:5: this machine's last GPU is cuda:1$"):
        RunManager()


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> dict[torch.device, int]:
    """Free memory of two GPUs that are not there; RunManager(device="cuda") has both."""
    memory = {FIRST: 80 * GIB, SECOND: 80 * GIB}
    monkeypatch.setattr(managing, "choose_devices", lambda name: (FIRST, SECOND))
    monkeypatch.setattr(managing, "passed_over", lambda name: "")
    for module in (managing, recording):
        monkeypatch.setattr(module, "free_memory", memory.__getitem__)
        monkeypatch.setattr(module, "memory_estimate", lambda config: GIB)
    return memory


@pytest.fixture
def placed(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Where each run works, by run id. Runs load until the test ends."""
    where: dict[str, str] = {}
    end = threading.Event()

    def work(run: Run, place: Here) -> None:
        where[run.id] = str(place.device)
        end.wait(20)
        run._live = None

    monkeypatch.setattr(Run, "work", work)
    yield where
    end.set()


@pytest.fixture
def submit(data: None, config: TrainConfig, free: dict[torch.device, int], placed: dict[str, str]) -> Iterator[Callable[..., str]]:
    """Submits a run to a server with two runs a GPU, and says where it works; "" for one that waits."""
    manager = RunManager(max_runs=2, device="cuda")

    def send(needs: float = 0) -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(managing, "memory_estimate", lambda config: int(needs * GIB))
            run = manager.submit(config)
        if manager.position(run):
            return ""
        wait_for(lambda: run.id in placed)
        return placed[run.id]

    send.manager = manager  # type: ignore[attr-defined]
    yield send
    manager.closing.set()


def test_two_runs_go_to_two_gpus_and_four_fill_both(submit: Callable[..., str]) -> None:
    assert [submit() for _ in range(5)] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1", ""]
    manager: RunManager = submit.manager  # type: ignore[attr-defined]
    assert manager.next_place() is None and manager.next_device() == FIRST
    assert manager.most_at_work == 4 and [place.runs for place in manager.places()] == [2, 2]


def test_a_run_that_has_just_started_counts_with_the_memory_it_will_take(submit: Callable[..., str]) -> None:
    assert [submit(needs=30), submit(), submit()] == ["cuda:0", "cuda:1", "cuda:1"]
    manager: RunManager = submit.manager  # type: ignore[attr-defined]
    assert [place.free for place in manager.places()] == [50 * GIB, 80 * GIB]
    assert submit() == "cuda:0"  # the other has its two


def test_settings_are_refused_only_where_no_gpu_has_the_memory(
    submit: Callable[..., str], free: dict[torch.device, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "memory_estimate", lambda config: 30 * GIB)
    free[FIRST] = 10 * GIB
    assert submit() == "cuda:1"
    free[SECOND] = 20 * GIB
    with pytest.raises(ValueError, match=r"about 30\.0 GiB of memory, but only 20\.0 GiB are free on cuda:1, the GPU with the most: lower"):
        submit()
