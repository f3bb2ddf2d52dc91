"""A run's state of health in one line, as lists of runs show it."""

from pathlib import Path
from typing import Any

import pytest

from gan.doctor import checkup
from gan.doctor.summary import Outlook
from gan.events import Metrics
from gan.runs.run import Run
from gan.runs.states import RunState
from tests.doctor.test_doctor import write_sick_run
from ui.health import Health, health, health_line


@pytest.fixture
def sick(tmp_path: Path) -> Run:
    return Run(write_sick_run(tmp_path / "sick"))


def test_the_worst_finding_and_its_first_remedy_are_one_line(sick: Run) -> None:
    found = health(sick)
    assert found is not None and found.outlook is Outlook.ALARM and found.wrong
    assert found.text == "The discriminator wins since step 10"
    assert found.remedy == "Discriminator learning rate 0.01 → 0.0005"
    assert health_line(sick) == (
        ":red[:material/error: The discriminator wins since step 10.] Try: Discriminator learning rate 0.01 → 0.0005."
    )


def test_a_healthy_run_and_one_that_waits_have_no_line(tmp_path: Path, sick: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "state", RunState.QUEUED)
    assert health(sick) is None and health_line(sick) == ""
    assert not Health(Outlook.HEALTHY, "Nothing wrong so far").wrong


def test_a_damaged_run_has_no_line(sick: Run) -> None:
    sick.folder.config_file.write_text("{")
    assert health(sick) is None and health_line(sick) == ""


def test_an_ended_run_is_examined_once_until_its_files_change(sick: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "FRESH_S", 0)
    looked = []
    original = checkup.examine

    def examine(*arguments: Any) -> Any:
        looked.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(checkup, "examine", examine)
    assert health(sick) == health(sick) and len(looked) == 1
    sick.folder.append_metrics(Metrics(1000, 64000, 10.0, 6400.0, float("nan"), 6.0, 0.99, 0.01, 0.01))
    sick.folder.flush()
    found = health(sick)
    assert found is not None and found.text.startswith("Training produced NaN") and len(looked) == 2
