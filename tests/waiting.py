"""Waiting for what another thread does."""

import time


def wait_for(condition, timeout_s=30.0):
    """Waits until a condition holds; a test that waits in vain fails here."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def ended(run):
    return lambda: not run.at_work
