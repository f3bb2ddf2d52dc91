"""A sample of benchmarks/damage.py: damaged folders and states break no list, no page and no process."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from starlette.applications import Starlette
from starlette.testclient import TestClient

from benchmarks import damage
from gan.doctor.checkup import Checkups
from gan.explore import models
from gan.explore.models import ModelCache
from gan.networks.generator_file import CheckpointError
from gan.runs.folder import RunFolder
from gan.runs.manager import RunManager
from gan.serving import routes as server


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return damage.make_run(tmp_path_factory.mktemp("damage") / "base").path


def copy(base: Path, root: Path, name: str) -> RunFolder:
    import shutil

    shutil.copytree(base, root / name)
    return RunFolder(root / name)


@pytest.fixture
def runs(base: Path, folders: Path) -> RunFolder:
    """A folder of runs with a healthy one and one to be damaged."""
    root = folders / "runs"
    copy(base, root, damage.GOOD)
    return copy(base, root, damage.BAD)


def client(root: Path) -> TestClient:
    return TestClient(Starlette(routes=server.routes(RunManager(root), ModelCache(root), Checkups())))


def listed(root: Path) -> dict[str, Any]:
    """GET /api/runs: rows by id."""
    with client(root) as asking:
        return {row["id"]: row for row in asking.get("/api/runs").json()}


def test_damaged_folders_take_nothing_down(folders: Path) -> None:
    count, falls = damage.damaged_folders(16, 3, folders / "work")
    assert count == 16 and falls == {}


def test_damaged_states_are_refused_or_resumed(folders: Path) -> None:
    outcomes = damage.damaged_states(12, 3, folders / "work")
    assert [outcome for name, outcome in outcomes if name.endswith("sound")] == ["resumed", "resumed"]
    assert len(outcomes) == 14 and not [found for found in outcomes if found[1].startswith("fall")]
    assert sum(outcome.startswith("refused") for _, outcome in outcomes) >= 8


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("status.json", {}, "state is missing"),
        ("status.json", {"state": 3}, "state must be one of"),
        ("status.json", {"state": "finished", "step": True}, "step must be a whole number"),
        ("status.json", {"state": "finished", "started": 1e14}, "started must be seconds since 1970"),
        ("status.json", {"state": "finished", "error": []}, "error must be text or null"),
        ("config.json", {"owner": 1}, "owner must be text or null; got '1'"),
        ("config.json", {"recipe": {}}, "recipe must be text"),
        ("config.json", {"data_images": "many"}, "data_images must be a whole number"),
        ("config.json", {"parent": [1]}, "parent must be the run that it was forked from"),
        ("config.json", {"config": 5}, "does not hold a run's settings"),
    ],
)
def test_a_damaged_field_is_named_in_its_runs_row_alone(runs: RunFolder, name: str, content: dict[str, Any], said: str) -> None:
    path = runs.path / name
    stored = {} if name == "status.json" else json.loads(path.read_text())
    path.write_text(json.dumps({**stored, **content}))
    rows = listed(runs.path.parent)
    assert said in rows[damage.BAD]["error"] and name in rows[damage.BAD]["error"]
    assert rows[damage.GOOD]["state"] == "finished" and "error" not in rows[damage.GOOD]


@pytest.mark.parametrize("text", ['{"owner": 1e999}', '{"owner": "\\ud800"}', '{"seed": NaN}', "[" * 5000, ""])
def test_json_that_is_none_is_that_runs_problem_alone(runs: RunFolder, text: str) -> None:
    runs.config_file.write_text(text)
    rows = listed(runs.path.parent)
    assert "cannot be read as JSON" in rows[damage.BAD]["error"] and rows[damage.GOOD]["recipe"] == "quick-digits"


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), os.mkfifo, lambda p: p.symlink_to("nowhere")], ids=["folder", "pipe", "link"])
@pytest.mark.parametrize("name", ["config.json", "status.json", "metrics.jsonl"])
def test_what_is_no_file_is_said_and_never_waited_for(runs: RunFolder, name: str, make: Callable[..., Any]) -> None:
    (runs.path / name).unlink()
    make(runs.path / name)
    rows = listed(runs.path.parent)
    assert name in rows[damage.BAD]["error"] and "error" not in rows[damage.GOOD]


def test_files_with_odd_names_are_not_ours(runs: RunFolder) -> None:
    before = runs.sample_steps(), runs.generator_steps(), runs.state_steps()
    assert all(before)
    for odd in ("²²²²²²", "٣٣٣٣٣٣", "4", "-00001", "9" * 100, "1_0000"):
        for place in (f"samples/{odd}.png", f"generator-{odd}.safetensors", f"states/{odd}.pt"):
            (runs.path / place).touch()
    (runs.path / "samples" / "000099.png").mkdir()
    assert (runs.sample_steps(), runs.generator_steps(), runs.state_steps()) == before


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n"])
def test_a_damaged_grid_is_named(runs: RunFolder, content: bytes) -> None:
    step = runs.sample_steps()[-1]
    assert runs.read_samples(step).startswith(b"\x89PNG")
    for wrong in (content, runs.samples_file(step).read_bytes()[:-20]):
        runs.samples_file(step).write_bytes(wrong)
        with pytest.raises(CheckpointError, match=f"{step:06d}.png is damaged"):
            runs.read_samples(step)


@pytest.mark.parametrize(
    "line",
    [
        {"step": 5, "field": "data", "old": 1, "new": 2},
        {"step": 5, "field": ["lr_g"], "old": 1, "new": 2},
        {"step": 5, "field": "lr_g", "old": 1, "new": {}},
        {"step": -5, "field": "lr_g", "old": 0.1, "new": 0.2},
    ],
)
def test_a_change_that_cannot_be_one_is_left_out(runs: RunFolder, line: dict[str, Any]) -> None:
    before = runs.read_interventions()
    with runs.interventions_file.open("a") as file:
        file.write(json.dumps(line) + "\n")
    assert len(before) == 1 and runs.read_interventions() == before


def test_a_change_out_of_bounds_is_a_sentence(runs: RunFolder) -> None:
    with runs.interventions_file.open("a") as file:
        file.write('{"step": 6, "field": "lr_g", "old": 0.001, "new": 7}\n')
    run = RunManager(runs.path.parent).get(damage.BAD)
    with pytest.raises(CheckpointError, match=r"interventions.jsonl is damaged: lr_g must be"):
        _ = run.live_config


def test_a_generator_with_a_weight_that_is_no_number_is_refused(runs: RunFolder) -> None:
    import safetensors.torch

    path = runs.generator_file(runs.generator_steps()[-1])
    about = {next(iter(found)): found[next(iter(found))] for found in [metadata(path)]}
    tensors = safetensors.torch.load_file(path)
    for change, said in ((lambda t: t.fill_(float("nan")), "not finite"), (lambda t: t.to(torch.int8), "format torch.int8")):
        name = next(name for name, tensor in tensors.items() if tensor.is_floating_point())
        path.write_bytes(safetensors.torch.save({**tensors, name: change(tensors[name].clone())}, about))
        with pytest.raises(CheckpointError, match=said):
            models.load_generator(path)


def metadata(path: Path) -> dict[str, str]:
    import safetensors

    with safetensors.safe_open(path, "pt") as file:
        return file.metadata()


def test_runs_that_vanish_while_they_are_listed_are_left_out(runs: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each place that reads a run finds it deleted once."""
    root = runs.path.parent
    from gan.runs import folder as checkpoint

    monkeypatch.setattr(checkpoint.os.path, "lexists", vanishing(checkpoint.os.path.lexists))
    manager = RunManager(root)
    assert [run.id for run in manager.runs()] == [damage.GOOD]


def vanishing(there: Callable[..., Any]) -> Callable[..., Any]:
    """A lexists() that sees the damaged run only at the first look."""
    looks = []

    def lexists(path: Path) -> bool:
        if f"/{damage.BAD}/" in str(path):
            looks.append(path)
            return len(looks) == 1
        return there(path)

    return lexists


@pytest.mark.parametrize("address", ["/api/runs", "/api/models"])
def test_a_list_is_whole_while_runs_are_deleted(runs: RunFolder, base: Path, address: str) -> None:
    """A thread adds and deletes runs; every answer lists the healthy one."""
    import shutil
    import threading

    root, stop = runs.path.parent, threading.Event()

    def come_and_go() -> None:
        while not stop.is_set():
            shutil.copytree(base, root / ".coming")
            (root / ".coming").rename(root / "fleeting")
            (root / "fleeting").rename(root / ".going")
            shutil.rmtree(root / ".going")

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        with client(root) as asking:
            answers = [asking.get(address) for _ in range(25)]
    finally:
        stop.set()
        thread.join()
    key = "id" if address == "/api/runs" else "run"
    assert [answer.status_code for answer in answers] == [200] * 25
    assert all({damage.GOOD, damage.BAD} <= {row[key] for row in answer.json()} for answer in answers)
