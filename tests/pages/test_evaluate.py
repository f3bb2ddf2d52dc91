"""Evaluate as its script draws it: the scores of the command line, next to those of other generators."""

import csv
import json
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.events import Progress
from gan.judging import evaluation, features, reals
from gan.judging.judge import Judge, JudgeCache, Shares
from gan.networks.generator_file import load_generator
from gan.runs.folder import RunFolder, save_generator
from tests.conftest import finish
from tests.pages.apps import ENTRY, button, places, texts
from tests.pages.test_explore_views import state
from ui import workshop
from ui.text import plain


def part_of_mnist(n: int, seed: int) -> Any:
    pixels = torch.randint(0, 256, (n, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    return ImageDataset("mnist", pixels, torch.arange(n) % 2, ("even", "odd"))


@pytest.fixture
def judge() -> Judge:
    torch.manual_seed(0)
    network = features.FeatureNetwork(features.About("digits", 28, 1, "classes", ("even", "odd"))).eval().requires_grad_(False)
    training, test = part_of_mnist(300, 0), part_of_mnist(80, 1)
    return Judge(reals.part(training, test), network, *(network.features(part.images.numpy()) for part in (training, test)))


@pytest.fixture
def open_page(judge: Judge, folders: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Opens Evaluate on a server with a shipped generator and a run that has kept two, the first of them the best."""

    def get(self: Any, *key: Any) -> Generator[Progress, None, Any]:
        yield evaluation.Progress("Learning *digits*", 1, 2)
        return judge

    monkeypatch.setattr(datasets, "available", lambda: ["mnist"])
    monkeypatch.setattr(datasets, "to_download", lambda name: 0)
    monkeypatch.setattr(JudgeCache, "get", get)
    caches = (workshop.manager, workshop.models, workshop.judges, workshop.evaluations)
    for cache in caches:
        cache.cache_clear()
    made = state()
    save_generator(folders / "checkpoints" / "pretrained" / "digits.safetensors", made)
    run = RunFolder(folders / "checkpoints" / "a-run")
    run.path.mkdir()
    run.write_config(made.config, "quick-digits")
    for made.step, fd in ((5, 3.0), (9, 4.0)):
        run.save_generator(made)
        run.append_judged({"step": made.step, "fd": fd, "fd_error": 0.25, "fd_floor": 1.0})
    run.flush()

    def open_page(**address: Any) -> AppTest:
        at = AppTest.from_file(ENTRY, default_timeout=60)
        for name, value in address.items():
            at.query_params[name] = value
        at.run()
        at.switch_page("../pages/evaluate.py")
        at.run()
        assert not at.exception, at.exception
        return at

    yield open_page
    workshop.manager().shutdown()
    for cache in caches:
        cache.cache_clear()


def judge_it(at: AppTest) -> AppTest:
    button(at, "Evaluate").click().run()
    assert not at.exception and not at.error, (at.exception, texts(at.error))
    return at


def test_a_generator_is_judged_with_the_figures_of_the_command_line(open_page: Callable[..., AppTest], judge: Judge, folders: Path) -> None:
    at = open_page(samples="500")
    assert not at.metric and "Press Evaluate" in texts(at.caption)
    judge_it(at)
    where = places(at, "metric")
    assert where and places(at.run(), "metric") == where, "the scores do not move when the bar above them is gone"
    loaded = load_generator(folders / "checkpoints" / "pretrained" / "digits.safetensors")
    report = finish(evaluation.evaluate(loaded, judge, 500))
    shown = {metric.label.replace("\\", ""): metric.value for metric in at.metric}
    assert float(shown["FD (digits-CNN)"]) == pytest.approx(report["fd"].value, rel=5e-3, abs=1e-3) and len(shown) == len(report.figures)
    assert next(iter(shown)) == "FD (digits-CNN)" and list(shown)[1:3] == ["Coverage", "Copies"]
    inside = {metric.label.replace("\\", "") for metric in at.expander[0].metric}
    assert at.expander[0].label == f"{len(report.figures) - 3} more scores" and inside == set(list(shown)[3:])
    assert "60 images, compared with 60 new real images of **mnist**" in texts(at.caption)
    assert "60 were compared, but 500 are needed" in texts(at.markdown)
    assert "The data set mnist has no more real images" in texts(at.warning)
    assert any("Lower is better" in metric.help for metric in at.metric)
    assert at.get("plotly_chart")


def test_a_missing_class_is_named(open_page: Callable[..., AppTest], judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge.network, "probabilities", lambda found: np.eye(2, dtype=np.float32)[np.arange(len(found)) % 2])
    original = Judge._shares

    def shares(self: Any, *given: Any) -> Shares:
        found = original(self, *given)
        return type(found)(found.names, np.array([1.0, 0.0]), found.real, ("odd",))

    monkeypatch.setattr(Judge, "_shares", shares)
    at = judge_it(open_page())
    assert "Missing or rare: odd." in texts(at.markdown) and "Classes: 1 missing or rare" in [box.label for box in at.expander]


def test_a_run_opens_with_its_best_and_stands_beside_others(open_page: Callable[..., AppTest]) -> None:
    at = open_page(**{"from": "a-run"})
    assert at.select_slider(key="step").value == "best" and "Best: step 5, FD 3 ± 0.25" in texts(at.caption)
    judge_it(at)
    assert f"**{plain('a-run@5')}**, step 5" in texts(at.caption)
    at.select_slider(key="step").set_value("newest").run()
    assert not at.metric, "another generator is not judged unasked"
    judge_it(at)
    table = at.table[0].value
    assert list(table.columns) == [f"{plain('a-run@5')}, 60", f"{plain('a-run@9')}, 60", "Real images"]
    assert "FD (digits-CNN)" in table.index.str.replace("\\", "").tolist()
    again = open_page(**{"from": "a-run", "step": "9"})
    assert again.metric, "what the server has judged is there at once"
    button(at, "Clear the table").click().run()
    assert not at.table


def test_what_is_downloaded_is_what_is_shown(open_page: Callable[..., AppTest], judge: Judge, folders: Path) -> None:
    loaded = load_generator(folders / "checkpoints" / "pretrained" / "digits.safetensors")
    report = finish(evaluation.evaluate(loaded, judge, 500))
    found = [{"generator": "digits", **evaluation.as_object(report, loaded.config, loaded.step)}]
    rows = list(csv.DictReader(evaluation.as_csv(json.loads(json.dumps(found))).splitlines()))
    assert [row["figure"] for row in rows] == [figure.key for figure in report.figures]
    assert float(rows[0]["value"]) == report.figures[0].value and rows[0]["features"] == "digits-CNN"


def test_a_data_set_that_is_not_there_is_said(open_page: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "available", lambda: [])
    at = open_page()
    button(at, "Evaluate").click().run()
    assert "training images are not on this server" in texts(at.info) and not at.exception


def test_one_is_judged_at_a_time() -> None:
    def work(name: str) -> Generator[Progress, None, str]:
        yield evaluation.Progress(name, 0, 1)
        return name

    first, second = evaluation.in_turn(work("first")), evaluation.in_turn(work("second"))
    assert next(first).task == "first" and "another visitor" in next(second).task
    first.close()
    assert finish(second) == "second"
