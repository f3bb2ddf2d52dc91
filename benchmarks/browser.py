"""The browser of benchmarks and tests: which one of this machine, and how it is started. Measures nothing by itself."""

import shutil

from playwright.sync_api import Browser, Playwright

# The first has no windows at all, and takes a tenth less processor time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
EXECUTABLE = next((path for name in NAMES if (path := shutil.which(name))), None)
MISSING = "no Chromium on this machine: install Debian's package chromium-headless-shell or chromium, or Google Chrome"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def launch(playwright: Playwright) -> Browser:
    """Starts the machine's Chromium without a window.

    Raises:
        FileNotFoundError: there is none.
    """
    if EXECUTABLE is None:
        raise FileNotFoundError(MISSING)
    return playwright.chromium.launch(executable_path=EXECUTABLE, args=FLAGS)
