"""Lists to choose a run from: readable names, and ids for the address and for searching."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from gan.config import TrainConfig
from gan.runs.manager import RunManager
from gan.runs.names import label, listed
from gan.runs.run import Run
from tests.conftest import ADA
from tests.pages.apps import button, labels, texts
from tests.waiting import ended, wait_for
from ui import page_files as pages

Open = Callable[..., AppTest]
LISTS = {pages.TRAIN: "run", pages.INSIDE: "run", pages.EXPLORE: "from", pages.EVALUATE: "from"}


@pytest.mark.parametrize("which", LISTS, ids=lambda page: page.stem)
def test_every_list_names_a_run_and_holds_its_id(open_page: Open, finished: Run, which: Path) -> None:
    at = open_page(which)
    assert listed(label(finished), finished.id) in at.selectbox(key=LISTS[which]).options
    assert label(finished).startswith("Ada · quick-digits · ")


@pytest.mark.parametrize("which", LISTS, ids=lambda page: page.stem)
def test_the_address_holds_the_id_and_changes_with_the_choice(open_page: Open, finished: Run, which: Path) -> None:
    key = LISTS[which]
    at = open_page(which, **{key: finished.id})
    assert at.selectbox(key=key).value == finished.id and at.query_params[key] == finished.id
    at.selectbox(key=key).select_index(0).run()
    assert key not in at.query_params and at.selectbox(key=key).index == 0
    at.query_params[key] = finished.id  # back in the browser
    at.run()
    assert at.selectbox(key=key).value == finished.id and not at.exception


def test_a_renamed_run_stays_chosen(open_page: Open, manager: RunManager, finished: Run) -> None:
    at = open_page(pages.TRAIN, run=finished.id)
    manager.rename(finished.id, "my *best*", ADA)
    at.run()
    assert at.selectbox(key="run").value == finished.id
    assert f"Ada · my *best* · {finished.id}" in at.selectbox(key="run").options and not at.warning


@pytest.mark.parametrize("which", LISTS, ids=lambda page: page.stem)
def test_what_is_not_there_is_said_until_it_is_dismissed(open_page: Open, finished: Run, which: Path) -> None:
    at = open_page(which, **{LISTS[which]: "[x](y)"})
    for _ in range(3):
        assert r"\[x\]\(y\) on this server" in texts(at.warning)
        at.run()
    button(at, "Dismiss").click().run()
    assert "on this server" not in texts(at.warning) and "Dismiss" not in labels(at)


def test_a_damaged_run_is_listed_by_its_id(open_page: Open, manager: RunManager, config: TrainConfig) -> None:
    run = manager.submit(config, "quick-digits", ADA)
    wait_for(ended(run))
    run.folder.config_file.write_text("{")
    at = open_page(pages.TRAIN)
    assert at.selectbox(key="run").options == ["New run", run.id]


@pytest.mark.parametrize(("which", "key"), [(pages.COMPARE, "runs"), (pages.DATA, "set")], ids=["compare", "data"])
def test_compare_and_data_say_it_until_it_is_dismissed_too(open_page: Open, finished: Run, which: Path, key: str) -> None:
    at = open_page(which, **{key: "gone"})
    for _ in range(3):
        assert "gone on this server" in texts(at.warning)
        at.run()
    button(at, "Dismiss").click().run()
    assert "on this server" not in texts(at.warning)
