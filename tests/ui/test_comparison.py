import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gan.config import TrainConfig
from gan.data.imageset import ImageDataset
from gan.events import Intervention
from gan.judging.judgements import Judgement
from gan.networks.generator_file import CheckpointError
from gan.runs.folder import METRICS, RunFolder
from gan.runs.record import record
from gan.runs.run import Run
from gan.runs.stored import Status, StoredRun
from gan.training.loop import Control
from gan.training.state import new_state
from ui.comparison import Compared, Parent, curve, differences, grid_remarks, look_at, outcomes, parent_of, remarks, same_features


@pytest.fixture
def compared(config: TrainConfig) -> Callable[..., Any]:
    """Makes a compared run with a history of three rows."""

    def compared(
        run_id: str = "a",
        status: dict[str, Any] | None = None,
        changes: list[Intervention] | tuple[Any, ...] = (),
        parent: Parent | None = None,
        stored: dict[str, Any] | None = None,
        **fields: Any,
    ) -> Compared:
        rows = {name: [0.1, 0.2, 0.3] for name in METRICS} | {"step": [4, 8, 12], "images_seen": [32, 64, 96], "elapsed_s": [1.0, 2.0, 3.0]}
        status = {"state": "finished", "step": 14, "images_seen": 112, "elapsed_s": 3.5} | (status or {})
        stored = {"recipe": "quick-digits", **(stored or {})}
        about, at = StoredRun(stored), Status(status)
        return Compared(run_id, run_id, config.change(**fields), about, at, rows, rows, [0, 4, 14], list(changes), parent)

    return compared


def test_only_what_differs_is_listed_with_title_and_unit(compared: Callable[..., Any]) -> None:
    runs = [compared(), compared("b", latent_dim=32, lr_g=0.001, horizontal_flip=True, duration=2, duration_unit="epochs")]
    assert differences(runs) == [
        ("Mirror at random", ["no", "yes"]),
        ("Latent size (numbers)", ["4", "32"]),
        ("Train for", ["12 steps", "2 epochs"]),
        ("Generator learning rate", ["0.002", "0.001"]),
    ]
    assert differences([compared(), compared("b")]) == []


def test_networks_to_start_from_are_a_difference(compared: Callable[..., Any]) -> None:
    runs = [compared(stored={"origin": {"run": "faces-run", "step": 10_000}}), compared("b")]
    assert differences(runs) == [("Started from", ["faces-run, step 10000", "new networks"])]


def test_recipe_parent_data_changes_and_the_way_of_computing_count_too(compared: Callable[..., Any]) -> None:
    runs = [
        compared(
            changes=[Intervention(40, "lr_g", 0.0005, 0.001)],
            stored={"data_images": 50, "data_fingerprint": "abcdef0123"},
            status={"precision": "bf16", "device": "CPU"},
        ),
        compared(
            "b",
            parent=Parent("a", 1200, 1, {"lr_g": [0.0001, 0.0005]}),
            changes=[Intervention(1, "lr_g", 1, 0.0001), Intervention(2, "lr_g", 0.0005, 0.002), Intervention(3, "lr_g", 0.002, 0.003)],
            stored={"recipe": "", "data_images": 50, "data_fingerprint": "bcdef01234"},
        ),
    ]
    assert dict(differences(runs, {"a": "the first"})) == {
        "Recipe": ["quick-digits", "own settings"],
        "Forked from": ["–", "the first, step 1,200"],
        "Images in the data set": ["50 (abcdef)", "50 (bcdef0)"],
        "Generator learning rate": ["0.002 → 0.001 (step 40)", "0.002 → 0.003 (2 changes, the last at step 3)"],
        "Computed in": ["bf16, CPU", "–"],
    }
    assert curve(runs[1], {"a": "the first"}).fork == (1200, "forked from the first: Generator learning rate: 0.0001 → 0.0005")
    assert curve(compared(parent=Parent("a", 1))).fork == (1, "forked from a") and curve(runs[0]).fork is None


def test_outcomes_of_a_run_and_of_one_that_has_nothing_yet(compared: Callable[..., Any]) -> None:
    run = compared(loss="hinge")
    empty = dataclasses.replace(compared("b", status={"step": 0, "images_seen": 0, "elapsed_s": 0.0}), rows={name: [] for name in METRICS})
    found = dict(outcomes([run, empty]))
    assert found["Images/s, on average"] == ["32", "–"] and found["Trained for"] == ["0:04", "0:00"]
    assert found["D(x), last"] == ["0.3 (score)", "–"] and found["Generator's loss, last"] == ["0.3", "–"]


def test_grids_lie_where_the_history_says_and_the_last_where_the_status_does(compared: Callable[..., Any]) -> None:
    assert compared().positions("step") == [0, 4, 14]
    assert compared().positions("images_seen") == [0, 32, 112]
    assert compared().positions("elapsed_s") == [0, 1, 3.5]
    assert compared(status={"elapsed_s": None}).positions("elapsed_s") == [0, 1, 3]


def test_what_cannot_be_compared_is_said(compared: Callable[..., Any]) -> None:
    same = [compared(), compared("b")]
    assert remarks(same) == grid_remarks(same) == []
    critic = compared("b", loss="hinge", latent_dim=8, grid_images=64, conditional=True)
    (scores, losses) = remarks([compared(), critic])
    assert scores.startswith("b: ") and "different losses" in losses
    (noise, count, by_class) = grid_remarks([compared(), critic])
    assert "different latent vectors" in noise and "first 16" in count and "conditional" in by_class
    assert "◆" in remarks([compared(changes=[Intervention(1, "lr_g", 1, 2)])])[0]
    assert "○" in remarks([compared(parent=Parent("a", 1))])[0]
    scored = [dataclasses.replace(run, judged=[Judgement({"step": 1, "features": run.name})]) for run in same]
    assert not same_features(scored) and "cannot be compared" in remarks(scored)[0]
    assert same_features([scored[0], same[1]]) and same_features([scored[0], scored[0]])


@pytest.mark.parametrize(
    "parent",
    [None, "a", {}, {"run": "a"}, {"run": "../a", "step": 1}, {"run": "a", "step": "1"}, {"run": "a", "step": -1}, {"run": 1, "step": 1}],
)
def test_a_parent_that_does_not_read_as_one_is_none(parent: dict[str, Any] | str | None) -> None:
    assert parent_of(StoredRun({"parent": parent})) is None
    assert parent_of(StoredRun({})) is None
    assert parent_of(StoredRun({"parent": {"run": "a", "step": 3}})) == Parent("a", 3)
    whole = {"run": "a", "step": 3, "changes": 2, "settings": {"lr_g": [1, 2], "lr_d": 3}}
    assert parent_of(StoredRun({"parent": whole})) == Parent("a", 3, 2, {"lr_g": [1, 2]})
    assert parent_of(StoredRun({"parent": whole | {"changes": "2", "settings": []}})) == Parent("a", 3)


def test_a_run_is_looked_at_as_it_lies_on_disk(tmp_path: Path, config: TrainConfig, blobs: ImageDataset) -> None:
    folder = RunFolder(tmp_path / "mine")
    folder.path.mkdir()
    folder.write_config(config, "quick-digits")
    control = Control()
    control.change("lr_g", 0.01)
    list(record(folder, new_state(config, torch.device("cpu")), blobs, control))
    stored = json.loads(folder.config_file.read_text()) | {"parent": {"run": "older", "step": 2}}
    folder.config_file.write_text(json.dumps(stored))
    with folder.metrics_file.open("a") as file:
        file.write('{"step": 11, "loss_d": "x"}\n')
    for step, fd in ((5, 4.0), (10, None), (12, 5.0)):
        folder.append_judged({"step": step, "fd": fd, "fd_error": 0.5, "features": "blobs-CNN"})
    folder.flush()
    run = look_at(Run(folder))
    assert [row["step"] for row in run.judged] == [5, 12] and curve(run).judged == [(5, 4.0), (12, 5.0)]
    assert ("Best FD", ["4 ± 0.5 at step 5"]) in outcomes([run]) and curve(run).features == "blobs-CNN"
    assert run.columns["step"] == [5, 10, 11] and run.grids[0] == 0 and run.grids[-1] == 12
    assert [change.new for change in run.changes] == [0.01] and run.parent == Parent("older", 2) and run.name == "mine"
    folder.config_file.write_text("{")
    with pytest.raises(CheckpointError):
        look_at(Run(folder))
