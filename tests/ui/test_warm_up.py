import logging
import sys

import pytest

from ui.warm_up import MODULES, warm_up


def test_what_the_first_press_needs_is_loaded(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        warm_up().join()
    assert not caplog.records and set(MODULES) <= sys.modules.keys()
