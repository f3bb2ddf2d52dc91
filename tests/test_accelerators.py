"""If a GPU cannot be used, the app says what is wrong, what to install, and that training runs on the CPU."""

import subprocess
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gan import accelerators, devices
from gan.accelerators import Facts, diagnose, runs_on
from gan.runs.manager import RunManager
from tests.test_command_line import call

CODE = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")
GOOD = Facts("2.14.1+cu130", "13.0", CODE, True, 1, "", "", True, "580.65.06", True, "Tesla T4", (7, 5), 15 * 2**30, 15 * 2**30)
UNSEEN = replace(GOOD, architectures=(), available=False, count=0, capability=None, free=None, total=None)
TOO_OLD = (
    "CUDA initialization: The NVIDIA driver on your system is too old (found version 12020). Please update your GPU driver by "
    "downloading and installing a new version. (Triggered internally at /c10/cuda/CUDAFunctions.cpp:119.)"
)
NO_CUDA = diagnose(replace(UNSEEN, torch="2.14.1+cpu", cuda=""))


def test_a_gpu_that_works_is_used_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    found = diagnose(GOOD)
    assert found.usable and found.passed_over == found.refusal == found.problem == ""
    monkeypatch.setattr(devices, "accelerator", lambda index=0: found)
    assert devices.choose_device("auto").type == devices.choose_device("cuda").type == "cuda"
    assert devices.choose_device("cpu").type == "cpu" and devices.passed_over("auto") == ""


@pytest.mark.parametrize(
    "facts, words",
    {
        "a driver too old": (replace(UNSEEN, driver="535.104.05"), "driver 535.104.05 is too old for torch 2.14.1+cu130 with CUDA 13.0"),
        "what it needs": (replace(UNSEEN, driver="535.104.05"), "needs 580 or newer"),
        "too old, torch says": (replace(UNSEEN, driver="580.1", message="The NVIDIA driver on your system is too old"), "is too old"),
        "too old for 12": (replace(UNSEEN, cuda="12.8", driver="470.1"), "needs 525 or newer"),
        "no CUDA": (replace(UNSEEN, torch="2.14.1+cpu", cuda=""), "torch 2.14.1+cpu is built without CUDA, but Tesla T4 needs it"),
        "how to get it": (replace(UNSEEN, cuda=""), "uv pip install --reinstall --torch-backend auto torch torchvision"),
        "no driver": (replace(UNSEEN, driver="", name="", passed_in=False), "no NVIDIA driver is loaded for the NVIDIA GPU"),
        "a container": (replace(UNSEEN, passed_in=False), "docker run --gpus all"),
        "something else": (replace(UNSEEN, message="Error 804: forward compatibility"), "does not find Tesla T4 (Error 804"),
        "a card too old": (
            replace(GOOD, name="GTX 1080", capability=(6, 1)),
            "GTX 1080 has compute capability 6.1, and torch 2.14.1+cu130",
        ),
        "its torch": (replace(GOOD, capability=(6, 1)), "--torch-backend cu126"),
        "a card older than any torch": (replace(GOOD, capability=(3, 5)), "It needs a card of compute capability 5.0 or newer"),
        "a card too new": (replace(GOOD, architectures=("sm_75", "sm_90"), capability=(12, 0)), "--torch-backend auto"),
        "no memory": (replace(GOOD, free=100 * 2**20), "Tesla T4 has no memory left (0.1 of 15.0 GiB free)"),
        "not even for its context": (replace(GOOD, free=None, message="CUDA error: out of memory"), "Tesla T4 has no memory left. End"),
        "a broken card": (replace(GOOD, message="CUDA error: uncorrectable ECC error"), "does not work (CUDA error: uncorrectable ECC"),
    }.values(),
)
def test_a_gpu_that_cannot_be_used_is_said(facts: Facts, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = diagnose(facts)
    assert not found.usable and words in found.passed_over and words in found.refusal
    assert found.passed_over.startswith("Training runs on the CPU because the GPU cannot be used: ")
    monkeypatch.setattr(devices, "accelerator", lambda index=0: found)
    assert devices.choose_device("auto").type == "cpu" and devices.passed_over("auto") == found.passed_over
    assert devices.passed_over("cpu") == devices.passed_over("cuda") == ""
    with pytest.raises(ValueError) as refused:
        devices.choose_device("cuda")
    assert str(refused.value) == f"device cuda {found.refusal}" and "runs on the CPU" not in found.refusal


@pytest.mark.parametrize(
    "facts, words",
    [
        (Facts("2.14.1", "13.0"), "this machine has no NVIDIA GPU"),
        (replace(UNSEEN, hidden="CUDA_VISIBLE_DEVICES=-1"), "CUDA_VISIBLE_DEVICES=-1 hides"),
    ],
)
def test_no_gpu_and_a_hidden_one_are_no_news_unless_asked_for(facts: Facts, words: str) -> None:
    found = diagnose(facts)
    assert not found.usable and found.passed_over == "" and words in found.refusal and "Choose auto or cpu" in found.refusal


@pytest.mark.parametrize(
    "capability, architectures, fits",
    [
        ((7, 5), CODE, True),
        ((8, 9), CODE, True),  # machine code of 8.6 runs on 8.9
        ((12, 1), CODE, True),
        ((7, 0), CODE, False),
        ((6, 1), CODE, False),
        ((11, 0), CODE, False),  # a major version of its own
        ((8, 0), ("sm_86",), False),  # a lower minor version
        ((9, 0), ("sm_90a",), True),
        ((9, 1), ("sm_90a",), False),
        ((10, 3), ("sm_100f",), True),
        ((12, 0), ("sm_75", "compute_75"), True),  # PTX is translated on newer cards
        ((7, 0), ("compute_75",), False),
        ((7, 5), ("gfx90a",), False),
    ],
)
def test_code_runs_on_its_major_version_and_ptx_on_newer_cards(
    capability: tuple[int, int], architectures: tuple[Any, ...], fits: bool
) -> None:
    assert runs_on(capability, architectures) is fits


def test_what_torch_says_while_it_looks_is_kept_and_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    def available() -> bool:
        warnings.warn(TOO_OLD, UserWarning, stacklevel=2)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", available)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(accelerators, "_driver", lambda: "535.104.05")
    monkeypatch.setattr(accelerators, "_ask_driver", lambda facts: replace(facts, name="Tesla T4", passed_in=True))
    monkeypatch.setattr(accelerators, "_hidden", lambda: "")
    accelerators.accelerator.cache_clear()
    try:
        found = accelerators.accelerator()  # warnings are errors here
        assert found.facts.message.startswith("CUDA initialization: The NVIDIA driver") and "Triggered" not in found.facts.message
        assert "driver 535.104.05 is too old" in found.passed_over
        assert not torch.cuda.is_available()  # nor later, when another library looks
        assert accelerators.accelerator() is found
    finally:
        accelerators.accelerator.cache_clear()


def test_an_error_on_the_first_touch_is_a_fact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Tesla T4")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: list(CODE))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (7, 5))

    def full(index: int) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB\nmore lines")

    monkeypatch.setattr(torch.cuda, "mem_get_info", full)
    facts = accelerators._try_out(Facts("2.14.1", "13.0", available=True), 0)
    assert facts.message == "CUDA out of memory. Tried to allocate 20.00 MiB" and facts.capability == (7, 5)
    assert "Tesla T4 has no memory left" in diagnose(facts).problem


def test_nvidia_smi_is_asked_for_so_long_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerators.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    asked = {}

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess:
        asked.update(options)
        return subprocess.CompletedProcess(command, 0, "Tesla T4, 535.104.05\nTesla T4, 535.104.05\n", "")

    monkeypatch.setattr(subprocess, "run", run)
    facts = accelerators._ask_driver(Facts())
    assert (facts.name, facts.driver, facts.passed_in) == ("Tesla T4", "535.104.05", True) and asked["timeout"] <= 5

    def hang(command: list[str], **options: Any) -> None:
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    assert accelerators._ask_driver(Facts(driver="1.2")) == Facts(driver="1.2")


@pytest.mark.parametrize(
    "text, version",
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\nGCC version: 12.2", "535.104.05"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build", "580.65.06"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.95.05  Release Build", "580.95.05"),
        ("something else", ""),
    ],
)
def test_the_drivers_version_is_read_from_the_kernel(text: str, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerators.Path, "read_text", lambda self, encoding: text)
    assert accelerators._driver() == version


@pytest.mark.parametrize(
    "value, hides", [(None, False), ("0", False), ("0,1", False), ("", True), ("-1", True), ("-1,0", True), ("void", True)]
)
def test_gpus_that_are_hidden_on_purpose(value: str | None, hides: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NVIDIA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if value is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert bool(accelerators._hidden()) is hides


def test_the_command_line_says_so_and_trains_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(devices, "accelerator", lambda index=0: NO_CUDA)
    tiny = [
        part for name in ("generator_filters=4", "discriminator_filters=4", "batch_size=8", "precision=fp32") for part in ("--set", name)
    ]
    begin = ["train", *tiny, "--steps", "1", "--no-judge", "--json", "--out", tmp_path / "run"]
    status, out, error = call(monkeypatch, capsys, *begin, "--device", "auto")
    assert status == 0 and NO_CUDA.passed_over in error.splitlines() and NO_CUDA.passed_over not in out
    status, _, error = call(monkeypatch, capsys, "resume", tmp_path / "run", "--steps", "1", "--no-judge", "--json", "--device", "cpu")
    assert status == 0 and "GPU" not in error  # who asked for the CPU has it
    status, _, error = call(monkeypatch, capsys, "bench", "--device", "cuda")
    assert status == 2 and NO_CUDA.refusal in error and len(error.splitlines()) == 1


def test_the_server_keeps_the_sentence_and_logs_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(devices, "accelerator", lambda index=0: NO_CUDA)
    assert RunManager(tmp_path, device="auto").passed_over == NO_CUDA.passed_over == caplog.messages[0]
    assert RunManager(tmp_path, device="cpu").passed_over == ""
    with pytest.raises(ValueError, match="is built without CUDA"):
        RunManager(tmp_path, device="cuda")
