"""A real server and a real Chromium. Without a browser the tests are skipped, with the reason; in CI that is a failure."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Page

from gan.checkpoint import save_generator
from gan.config import TrainConfig
from gan.training import new_state

ROOT = Path(__file__).parent.parent.parent
CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="session", autouse=True)
def needs_a_browser() -> None:
    if CHROMIUM is None:
        reason = "no Chromium on this machine: install Debian's package chromium, or Google Chrome"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, object]:
    return {"executable_path": CHROMIUM, "args": FLAGS}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with folders of its own and one shipped generator."""
    folder = tmp_path_factory.mktemp("server")
    config = TrainConfig(generator_filters=8, precision="fp32")
    save_generator(folder / "checkpoints" / "pretrained" / "digits.safetensors", new_state(config, torch.device("cpu")))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "WORKSHOP_CHECKPOINTS": str(folder / "checkpoints"),
        "WORKSHOP_DATA": str(folder / "data"),
        "WORKSHOP_DEVICE": "cpu",
        "STREAMLIT_SERVER_BASE_URL_PATH": "workshop",  # so that every address is tried behind a prefix
    }
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.address", "127.0.0.1"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}/workshop"
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=1)
            break
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
    yield address
    process.terminate()
    assert process.wait(30) is not None
    log_text = (folder / "log").read_text()
    assert "Traceback" not in log_text, log_text


@pytest.fixture
def page(page: Page) -> Iterator[Page]:
    """A page that fails its test when its script, or the app's, raises an error."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_default_timeout(30_000)
    yield page
    assert not errors
