"""python -m benchmarks.gpu, rehearsed on the CPU."""

import json
import math
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import gpu, gpu_parts
from benchmarks.gpu_parts import PARTS, REHEARSAL, Amounts, Bench, Part, Row, SameDraws, deviation
from gan.accelerators import Accelerator, Facts
from gan.networks import winograd
from gan.training.state import Execution, TrainState, new_state
from gan.training.step import train_step

CPU = torch.device("cpu")
FEW = Bench(CPU, replace(REHEARSAL, recipes=1, seconds=0.01))


def rows(name: str, setup: Bench = FEW) -> list[Row]:
    """A part's rows, however long it takes here: a busy machine leaves nothing out."""
    return list(gpu.measure(name, replace(PARTS[name], limit_s=math.inf), setup, time.perf_counter()))


@pytest.fixture(scope="module")
def compared() -> list[Row]:
    """Every recipe on the CPU, compared with itself."""
    return rows("correct", Bench(CPU, REHEARSAL))


def test_every_recipe_equals_itself_on_the_cpu(compared: list[Row]) -> None:
    assert {row.what.split(",")[0] for row in compared} == set(gpu_parts.RECIPES)
    assert {row.verdict for row in compared} == {"ok"} and {row.value for row in compared} == {0.0}


def spoil_the_device(monkeypatch: pytest.MonkeyPatch, spoil: Callable[..., Any]) -> None:
    """From now on, the first state that is made, the device's, is broken; the references are not."""
    real, made = gpu_parts.new_state, []

    def new_state(*arguments: Any, **named: Any) -> TrainState:
        made.append(real(*arguments, **named))
        if len(made) == 1:
            spoil(made[0])
        return made[-1]

    monkeypatch.setattr(gpu_parts, "new_state", new_state)


@torch.no_grad()
def other_last_layer(state: TrainState) -> None:
    list(state.discriminator.parameters())[-1].mul_(1.5)


def test_a_device_that_computes_something_else_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    spoil_the_device(monkeypatch, other_last_layer)
    first, _ = rows("correct")
    assert first.verdict == "off" and first.value > first.against == gpu_parts.FIRST_WITHIN


def longer_steps(state: TrainState) -> None:
    state.config = state.config.change(lr_d=1.05 * state.config.lr_d)


def test_a_device_whose_steps_are_a_little_longer_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    spoil_the_device(monkeypatch, longer_steps)
    first, later = rows("correct", replace(FEW, amounts=Amounts(recipes=1)))
    assert first.verdict == "ok" and first.value == 0
    assert later.verdict == "off" and later.value > 3 * later.against, later


def test_rounding_errors_widen_the_bound_but_only_as_far_as_they_reach(compared: list[Row]) -> None:
    later = {row.what.split(",")[0]: row for row in compared if "before" not in row.what}
    assert later["mlp"].against < 1e-3 < 0.1 > later["glasses-tuned"].against
    assert all(row.against >= gpu_parts.FIRST_WITHIN for row in compared)


def test_a_numberless_answer_is_off_whatever_its_place() -> None:
    assert deviation([0.5, 1.0], [0.5, 1.1]) == pytest.approx(0.1 / 1.1) and deviation([0.0], [0.001]) == pytest.approx(0.01)
    for ours, theirs in (([1.0, float("nan")], [1.0, 1.0]), ([1.0, 1.0], [float("nan"), 1.0])):
        assert deviation(ours, theirs) == float("inf")
    assert gpu_parts._checked("correct", "x", float("inf"), 1).verdict == "off"


@pytest.mark.parametrize("name", ["glasses", "wgan-gp"])  # with dropout, mirroring and jitter; with a penalty between real and fake
def test_the_same_draws_serve_states_with_other_draws_of_their_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "pays", lambda *_: False)
    config = FEW.config(name, batch_size=4, precision="fp32")
    real = torch.zeros(config.batch_size * config.d_steps, config.channels, config.image_size, config.image_size)

    def sums(seed: int, same: bool) -> torch.Tensor:
        state = new_state(config, CPU, execution=Execution("fp32", True, 1))
        state.rng.manual_seed(seed)
        if not same:
            train_step(state, real)
        else:
            with SameDraws(3):
                train_step(state, real)
        return state.sums

    assert torch.equal(sums(1, True), sums(2, True)) and not torch.equal(sums(1, False), sums(2, False))


@pytest.mark.parametrize("name", ["speed", "share", "pictures", "together"])
def test_a_part_gives_figures(name: str) -> None:
    found = rows(name, Bench(CPU, replace(FEW.amounts, at_once=(1, 2), seconds=0.2 if name in ("pictures", "together") else 0.01)))
    assert found and all(row.part == name and row.value > 0 and row.verdict == "" for row in found), found
    assert {"speed": 1, "share": 1, "pictures": 3, "together": 2}[name] == len(found)


@pytest.mark.parametrize("name", ["graph", "memory"])
def test_what_only_a_gpu_has_is_left_out_with_the_reason(name: str) -> None:
    (row,) = rows(name)
    assert row.verdict == "left out" and "only a GPU" in row.note and row.value is None


def test_images_are_judged_after_fixed_times(monkeypatch: pytest.MonkeyPatch) -> None:
    class Judge:
        network = type("Network", (), {"name": "digits-CNN"})

        def distance(self, images: np.ndarray) -> float:
            assert images.shape == (100, 1, 28, 28) and images.dtype == np.uint8
            return 12.0

        def floor(self, samples: int) -> float:
            return 0.5 if samples == 100 else None

    def get(*_: Any) -> Generator[None, None, Any]:
        yield from ()
        return Judge()

    monkeypatch.setattr(gpu_parts.JudgeCache, "get", get)
    (row,) = rows("quality")
    assert (row.value, row.against, row.unit, row.what) == (12.0, 0.5, "FD (digits-CNN)", "quick-digits after 0.1 s")


def broken(setup: Bench) -> Iterator[tuple[str, Callable[..., Any]]]:
    def fail() -> Iterator[Row]:
        yield Row("x", "first", 1.0)
        raise RuntimeError("CUDA error: out of luck\nmore lines")

    yield "first", fail
    yield "second", lambda: iter([Row("x", "second", 2.0)])


def test_a_unit_that_fails_is_a_row_and_the_next_one_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    found = list(gpu.measure("x", Part("", 60, broken), FEW, time.perf_counter()))
    assert [(row.what, row.verdict) for row in found] == [("first", ""), ("first", "failed"), ("second", "")]
    assert found[1].note == "RuntimeError: CUDA error: out of luck" and "Traceback" in capsys.readouterr().err


def test_units_beyond_a_part_s_time_are_left_out() -> None:
    found = list(gpu.measure("x", Part("", 60, broken), FEW, time.perf_counter() - 59))
    assert [(row.what, row.verdict) for row in found] == [("first", "left out"), ("second", "left out")]


ROW = json.dumps(asdict(Row("x", "a", 1.0)))
ONE = f"import sys; print({ROW!r}, flush=True); "


@pytest.mark.parametrize(
    "code, limit_s, note",
    [
        (ONE, 60, None),
        (ONE + "print('a library says hello')", 60, None),
        (ONE + "sys.stderr.write('why'); sys.exit(3)", 60, "ended with 3"),
        (ONE + "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", 60, "ended with -11"),
        (ONE + "import threading; threading.Event().wait()", 1.5, "ended after 1.5 s, its limit"),
    ],
)
def test_a_part_s_process_may_end_as_it_likes_and_its_rows_stay(
    code: str, limit_s: float, note: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = gpu.measure_apart("x", limit_s, [sys.executable, "-c", code])
    assert found[0] == Row("x", "a", 1.0) and len(found) == (2 if note else 1)
    if note:
        assert found[1].verdict == "failed" and note in found[1].note
    assert ("a library says hello" in capsys.readouterr().err) == ("hello" in code)


def test_the_table_and_what_the_command_ends_with() -> None:
    found = [
        Row("speed", "lecture", 5000.0, "images/s", 1250.0),
        Row("correct", "dcgan", 2e-5, "relative", 1e-4, "ok"),
        Row("graph", "dcgan", verdict="failed", note="why"),
    ]
    lines = gpu.table(found).splitlines()
    assert lines[0].split() == ["part", "what", "measured", "against", "ratio", "note"]
    assert lines[1].split() == ["speed", "lecture", "5,000", "images/s", "1,250", "4"]
    assert lines[2].split() == ["correct", "dcgan", "2e-05", "relative", "0.0001", "ok"]
    assert lines[3].split() == ["graph", "dcgan", "failed", "why"]
    assert gpu.status(found, True) == gpu.status(found, False) == 1
    off = [replace(found[1], verdict="off")]
    assert gpu.status(off, False) == 1 and gpu.status(off, True) == 0 and gpu.status(found[:2], False) == 0


def test_the_command_writes_one_table_and_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setattr(gpu, "measure_apart", lambda name, limit_s, command: [Row(name, " ".join(command[-2:]), 1.0)])
    for arguments in (
        ["--only", "memory", "--rehearse", "--json", str(tmp_path / "gpu.json")],
        ["--only", "memory", "--rehearse", "--json"],
    ):
        monkeypatch.setattr(sys, "argv", ["gpu", *arguments])
        assert gpu.main() == 0
        out = capsys.readouterr().out
        text = out if arguments[-1] == "--json" else (tmp_path / "gpu.json").read_text()
        found = json.loads(text)
        assert found["rehearsed"] and found["machine"]["torch"] == torch.__version__
        assert found["rows"] == [asdict(Row("memory", "memory --rehearse", 1.0))]
    assert out.startswith("{")


def test_without_a_gpu_the_command_says_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = Accelerator(False, "this machine has no NVIDIA GPU", facts=Facts("2.14"))
    monkeypatch.setattr("gan.devices.accelerator", lambda index=0: found)
    monkeypatch.setattr(sys, "argv", ["gpu"])
    assert gpu.main() == 2
    assert "this machine has no NVIDIA GPU" in (said := capsys.readouterr().err) and "--rehearse" in said


def test_all_parts_together_are_under_eight_minutes() -> None:
    assert sum(part.limit_s for part in PARTS.values()) + 10 < 8 * 60
    turns, amounts = len(gpu_parts.compare.PAIRS) * 2, Amounts()
    assert turns * (amounts.rounds + 1) * amounts.seconds < gpu.SPARE * PARTS["speed"].limit_s
    assert sum(max(times) for times in amounts.quality_s) < gpu.SPARE * PARTS["quality"].limit_s
