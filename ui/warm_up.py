"""Loads what the first press of Train needs when the server starts. Otherwise the page would freeze while it loads."""

import importlib
import logging
import threading

log = logging.getLogger(__name__)

# Train's own modules, and those that Streamlit loads at the first table.
MODULES = ("ui.train.new_run", "ui.train.run", "pandas", "pyarrow.compute")


def warm_up() -> threading.Thread:
    """Starts a thread that loads everything, about 1 s of processor time; the server answers meanwhile."""
    thread = threading.Thread(target=_load, name="warm-up", daemon=True)
    thread.start()
    return thread


def _load() -> None:
    try:
        for module in MODULES:
            importlib.import_module(module)
    except Exception:  # the server works without it: the page that needs it loads it, or says what is wrong
        log.exception("warming up failed")
