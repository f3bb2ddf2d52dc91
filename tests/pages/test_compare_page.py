"""The Compare page as its script draws it, without a browser."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from gan.config import TrainConfig
from gan.runs.manager import RunManager
from gan.runs.names import label
from gan.runs.run import Run
from tests.doctor.test_doctor import write_sick_run
from tests.pages.apps import button, texts
from tests.waiting import ended, wait_for
from ui import page_files as pages
from ui.text import plain


@pytest.fixture
def train(manager: RunManager, config: TrainConfig) -> Callable[..., Any]:
    def train(**fields: Any) -> Run:
        run = manager.submit(config.change(**fields), "quick-digits")
        wait_for(ended(run))
        return run

    return train


def drawn(at: AppTest) -> dict[str, Any] | None:
    """What the component was given; None if there is none."""
    found = [c for c in at.get("bidi_component") if c.proto.component_name == "compare_view"]
    return json.loads(found[0].proto.json) if found else None


def names(at: AppTest) -> list[str]:
    return [run["name"] for run in drawn(at)["runs"]]


def table(at: AppTest, number: int) -> dict[str, list[str]]:
    frame = at.table[number].value
    return {title: list(frame.loc[title]) for title in frame.index}


def test_without_runs_the_page_says_what_to_do(open_page: Callable[..., AppTest]) -> None:
    at = open_page(pages.COMPARE)
    assert "no runs yet" in texts(at.info) and not at.multiselect
    assert "no run gone" not in texts(at.warning)


def test_with_runs_and_none_chosen_it_says_what_to_choose(open_page: Callable[..., AppTest], train: Callable[..., Any]) -> None:
    run = train()
    at = open_page(pages.COMPARE)
    assert "Choose runs to overlay" in texts(at.info) and drawn(at) is None
    (text,) = at.multiselect(key="compared").options
    assert text == f"{label(run)} · finished, step 12 · {run.id}"


def test_one_run_is_shown_and_a_second_one_asked_for(open_page: Callable[..., AppTest], train: Callable[..., Any]) -> None:
    run = train()
    at = open_page(pages.COMPARE, runs=run.id)
    assert "another run" in texts(at.info)
    assert len(drawn(at)["figures"]) == 4 and [r["id"] for r in drawn(at)["runs"]] == [run.id]
    assert [s.value for s in at.subheader] == ["Results so far"]
    at.multiselect(key="compared").set_value([]).run()
    assert "Choose runs to overlay" in texts(at.info) and "runs" not in at.query_params


def test_two_runs_are_laid_over_each_other(open_page: Callable[..., AppTest], train: Callable[..., Any]) -> None:
    first, second = train(), train(lr_g=0.001, latent_dim=8)
    at = open_page(pages.COMPARE, runs=first.id, along="Seconds", at="0.01")
    at.multiselect(key="compared").set_value([first.id, second.id]).run()
    assert not at.exception and at.query_params["runs"] == f"{first.id},{second.id}"
    assert names(at) == [label(first), label(second)]
    data = drawn(at)
    assert data["axis"] == "elapsed_s" and data["at"] == 0.01 and "different latent vectors" in data["notes"][0]
    assert [run["steps"] for run in data["runs"]] == [first.sample_steps, second.sample_steps]
    assert data["runs"][0]["color"] != data["runs"][1]["color"]
    figure = json.loads(data["figures"][0]["figure"])
    assert {trace["line"]["color"] for trace in figure["data"]} == {run["color"] for run in data["runs"]}
    assert table(at, 0) == {"Latent size (numbers)": ["4", "8"], "Generator learning rate": ["0.002", "0.001"]}
    assert table(at, 1)["Step"] == ["12", "12"]
    assert all(run["color"] in header for run, header in zip(data["runs"], at.table[0].value.columns, strict=True))
    at.slider(key="smoothing").set_value(0).run()
    assert len(json.loads(drawn(at)["figures"][0]["figure"])["data"]) == 2


def test_a_finding_is_on_the_wall_of_all_runs_and_in_the_legend(
    open_page: Callable[..., AppTest], manager: RunManager, train: Callable[..., Any], folders: Path
) -> None:
    run = train()
    sick = Run(write_sick_run(folders / "checkpoints" / "quick-digits-1123-050311-00f0"))
    said = ":red[:material/error: The discriminator wins since step 10.] Try: Discriminator learning rate 0.01 → 0.0005."
    at = open_page(pages.COMPARE)
    assert said in [m.value for m in at.markdown] and f"finished, step {run.status().step}" in [
        c.value.replace("\\", "") for c in at.caption
    ]
    at.button(key=f"wall_{sick.id}").click().run()
    assert at.query_params["runs"] == sick.id and f":small[{said}]" in [m.value for m in at.markdown]
    at.button(key=f"wall_{run.id}").click().run()
    assert [r["id"] for r in drawn(at)["runs"]] == [sick.id, run.id]
    assert not at.exception
    at = open_page(pages.COMPARE, runs=f"{sick.id},{run.id}")
    assert said not in [m.value for m in at.markdown] and not [b for b in at.button if b.label == "Add"], (
        "closed: its runs are not examined"
    )


def test_runs_with_the_same_settings_are_said_to_be_so(open_page: Callable[..., AppTest], train: Callable[..., Any]) -> None:
    at = open_page(pages.COMPARE, runs=f"{train().id},{train().id}")
    assert "same settings" in texts(at.caption) and len(at.table) == 1


def test_seven_runs_are_six(open_page: Callable[..., AppTest], manager: RunManager, train: Callable[..., Any]) -> None:
    one = train().folder.path
    ids = [f"wgan-gp-1123-05031{i}-00f{i}" for i in range(7)]
    for i in ids:
        shutil.copytree(one, one.parent / i)
    at = open_page(pages.COMPARE, runs=",".join(ids))
    assert f"Left out: {plain(label(manager.get(ids[0])))} · 00f6." in texts(at.warning)
    assert [run["id"] for run in drawn(at)["runs"]] == ids[:6]
    assert at.query_params["runs"] == ",".join(ids[:6])


@pytest.mark.parametrize("at_address", ["x", "1e999"])
def test_what_the_address_asks_for_and_cannot_have_is_a_sentence(
    open_page: Callable[..., AppTest], train: Callable[..., Any], at_address: str
) -> None:
    run = train()
    at = open_page(pages.COMPARE, runs=f"gone,[x](y),{run.id},{run.id},,../x", at=at_address)
    assert r"no run gone, \[x\]\(y\), ../x on this server" in texts(at.warning)
    assert [r["id"] for r in drawn(at)["runs"]] == [run.id] and drawn(at)["at"] is None


def test_a_damaged_run_is_a_sentence_and_the_others_are_shown(open_page: Callable[..., AppTest], train: Callable[..., Any]) -> None:
    damaged, run = train(), train()
    damaged.folder.config_file.write_text("{")
    at = open_page(pages.COMPARE, runs=f"{damaged.id},{run.id}")
    assert "settings cannot be read" in texts(at.error) and [r["id"] for r in drawn(at)["runs"]] == [run.id]
    at = open_page(pages.COMPARE, runs=damaged.id)
    assert drawn(at) is None
    run.folder.metrics_file.write_text('{"step": 5, "loss_d": "x", "elapsed_s": [1]}\n{"step": 9}\n')
    run.folder.status_file.write_text("{")
    at = open_page(pages.COMPARE, runs=run.id, along="Seconds")
    assert len(drawn(at)["figures"]) == 4


def test_a_run_at_work_stays_chosen_when_it_ends(
    open_page: Callable[..., AppTest], manager: RunManager, train: Callable[..., Any], config: TrainConfig
) -> None:
    older = train()
    run = manager.submit(config.change(duration=1_000_000), "quick-digits")
    wait_for(lambda: len(run.history) > 2)
    at = open_page(pages.COMPARE, runs=f"{run.id},{older.id}")
    assert " · training · " in at.multiselect(key="compared").options[0]
    assert [r["atWork"] for r in drawn(at)["runs"]] == [True, False] and table(at, 1)["State"] == ["training", "finished"]
    manager.stop(run.id)
    wait_for(ended(run))
    at.run()
    assert not at.exception and "stopped, step" in at.multiselect(key="compared").options[0]
    assert at.multiselect(key="compared").value == [run.id, older.id]
    assert [r["atWork"] for r in drawn(at)["runs"]] == [False, False]


def test_a_fork_and_its_parent_are_compared_from_its_own_page(
    open_page: Callable[..., AppTest], manager: RunManager, train: Callable[..., Any]
) -> None:
    parent = train()
    run = manager.fork(parent.id, 12, {"lr_g": 0.001}, "steps", 8)
    wait_for(ended(run))
    at = open_page(pages.TRAIN, run=run.id)
    button(at, "Compare").click().run()
    assert not at.exception and at.title[0].value == "Compare"
    assert [r["id"] for r in drawn(at)["runs"]] == [run.id, parent.id]
    assert table(at, 0) == {
        "Forked from": [f"{plain(label(parent))}, step 12", "–"],
        "Train for": ["20 steps", "12 steps"],
        "Generator learning rate": ["0.001", "0.002"],
    }
    assert "forked from another run" in texts(at.caption)
    assert "Generator learning rate: 0.002 \\u2192 0.001" in drawn(at)["figures"][0]["figure"]
