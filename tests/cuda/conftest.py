"""Builds the stand-in for CUDA once per session, and runs the scenarios on it in one process."""

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

HERE = Path(__file__).parent
SOURCES = ("counting", "capture", "memory", "kernels", "device", "cublas")


def missing() -> str:
    """What is missing to build the stand-in, in a sentence; empty if nothing is."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return "the stand-in for CUDA is for Linux on x86-64"
    if not torch.version.cuda:
        return "this torch was built without CUDA"
    if shutil.which("g++") is None:
        return "the stand-in for CUDA is compiled by g++, and there is none"
    if headers() is None:
        return "the CUDA headers are missing, which come with the package triton"
    return ""


def headers() -> Path | None:
    """Where CUDA's headers are: triton brings them, and torch for Linux brings triton."""
    found = importlib.util.find_spec("triton")
    folder = Path(found.origin).parent / "backends" / "nvidia" / "include" if found and found.origin else None
    return folder if folder and (folder / "cuda_runtime_api.h").is_file() else None


def must_run() -> bool:
    """Continuous integration on Linux has everything: there a rehearsal that is skipped is a fault."""
    return os.environ.get("CI") == "true" and platform.system() == "Linux" and platform.machine() == "x86_64"


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which torch finds the stand-in in CUDA's place."""
    if reason := missing():
        if must_run():
            pytest.fail(reason)
        pytest.skip(reason)
    out, sources = tmp_path_factory.mktemp("stand_in"), HERE / "stand_in"
    runtime, driver = out / "libcudart_stand_in.so", out / "driver" / "libcuda.so.1"
    driver.parent.mkdir()
    compiler = ["g++", "-std=c++17", "-O1", "-Wall", "-fPIC", "-shared"]
    # As one file: the headers that the parts share are read once.
    (whole := out / "whole.cpp").write_text("".join(f'#include "{sources / name}.cpp"\n' for name in SOURCES))
    _run([*compiler, f"-I{headers()}", str(whole), "-o", str(runtime)])
    _run([*compiler, "-Wl,-soname,libcuda.so.1", str(sources / "driver.cpp"), "-o", str(driver)])
    return {"LD_PRELOAD": str(runtime), "LD_LIBRARY_PATH": str(driver.parent)}


@pytest.fixture(scope="session")
def rehearsed(stand_in: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The results of the scenarios in rehearsal.py, by name."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WORKSHOP_")}
    output = _run([sys.executable, "-W", "ignore", "-m", "tests.cuda.rehearsal"], environment | stand_in | {"OMP_NUM_THREADS": "1"})
    seen = (json.loads(line) for line in output.splitlines() if line.startswith("{"))
    return {one["scenario"]: one for one in seen}


@pytest.fixture
def rehearse(rehearsed: dict[str, dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    """The result of a scenario."""

    def find(name: str) -> dict[str, Any]:
        assert "failed" not in rehearsed[name], rehearsed[name]["failed"]
        return rehearsed[name]

    return find


def _run(command: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=HERE.parent.parent, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout
