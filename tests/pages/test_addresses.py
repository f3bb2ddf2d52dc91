"""Addresses with nonsense: every page opens with any text in its parameters."""

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from gan.config import TrainConfig
from gan.runs.manager import RunManager
from tests.conftest import ADA
from tests.pages.apps import ENTRY
from tests.waiting import ended, wait_for
from ui import page_files as pages
from ui.components.visitor import WHO

NONSENSE = ["", "1e999", "-1", "nan", "99999999999999999999999", "a\x00b🙂", "x" * 3000, ",".join(["1"] * 800)]
CHOICES = ["view", "cells", "along", "look", "image", "memory", "easing", "mode", "count", "directions", "picture"]
NUMBERS = ["seed", "held_out", "at", "times", "jitter", "step", "smoothing", "frames", "fps", "pace", "samples", "psi"]
TEXTS = ["run", "runs", "set", "from", "class", "place", "seeds", "corners", "stops", "memory_seeds", "a", "b", "c", "pca", "layer"]
SWITCHES = ["closed", "every", "training", "everything"]


def visit(page: Path, **address: Any) -> None:
    at = AppTest.from_file(ENTRY, default_timeout=30)
    at.session_state[WHO] = ADA
    for name, value in address.items():
        at.query_params[name] = value
    if page != pages.HOME:
        at.switch_page(f"../pages/{page.name}")
    at.run()
    assert not at.exception, (address, at.exception)
    assert not [error.value for error in at.error if "ran into a problem" in error.value], address


@pytest.mark.parametrize("text", NONSENSE, ids=lambda text: ascii(text[:12]))
def test_every_page_bears_nonsense_in_every_parameter(manager: RunManager, config: TrainConfig, text: str) -> None:
    run = manager.submit(config, "quick-digits", ADA)
    wait_for(ended(run))
    everything = dict.fromkeys([*CHOICES, *NUMBERS, *TEXTS, *SWITCHES], text)
    for page in (pages.HOME, pages.DATA, pages.TRAIN, pages.EVALUATE):
        visit(page, **everything)
    visit(pages.COMPARE, **everything | {"runs": run.id})
    for look in ("", "Generator", "Discriminator", "Gradients"):
        visit(pages.INSIDE, **everything | {"run": run.id} | ({"look": look} if look else {}))
    for view in ("pad", "grid", "sliders", "arithmetic", "walk", "time", "memory", "image"):
        visit(pages.EXPLORE, **everything | {"view": view})
    visit(pages.EXPLORE, **everything)
