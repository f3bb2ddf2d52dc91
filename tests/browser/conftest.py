"""A real server and a real Chromium. Without a browser the tests are skipped, with the reason; in CI that is a failure."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, BrowserContext, Error, Page, ViewportSize, expect

from benchmarks.browser import EXECUTABLE, FLAGS, MISSING
from gan.config import TrainConfig
from gan.runs.folder import save_generator
from gan.training.state import new_state
from tests.browser.steps import EMPTY, visit

ROOT = Path(__file__).parent.parent.parent
ALL_FLAGS = [*FLAGS, "--disable-component-update", "--disable-sync"]
ALL_FLAGS += ["--js-flags=--max-opt=2"]  # a test's pages live for seconds: the last stage of optimization costs more than it saves
ADMIN_TOKEN = "open sesame, please"
FAILED = pytest.StashKey[bool]()  # of a test
WIDE: ViewportSize = {"width": 1280, "height": 720}
CALM: dict[str, object] = {"reduced_motion": "reduce"}
expect.set_options(timeout=30_000)  # of a machine with other work


def fits_a_phone(page: Page) -> None:
    """Waits until nothing is wider than a phone's 390 px: charts take a moment to follow the window."""
    page.wait_for_function("() => document.documentElement.scrollWidth <= 390")


@pytest.fixture(scope="session", autouse=True)
def needs_a_browser() -> None:
    if EXECUTABLE is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, object]:
    return {"executable_path": EXECUTABLE, "args": ALL_FLAGS}


class Server:
    """The app in its own process, with its own folders and one pretrained generator. more: of its environment."""

    def __init__(self, folder: Path, **more: str) -> None:
        self.checkpoints, self.log = folder / "checkpoints", folder / "log"
        config = TrainConfig(generator_filters=8, precision="fp32")
        save_generator(self.checkpoints / "pretrained" / "digits.safetensors", new_state(config, torch.device("cpu")))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = os.environ | {
            "WORKSHOP_CHECKPOINTS": str(self.checkpoints),
            "WORKSHOP_DATA": str(folder / "data"),
            "WORKSHOP_DEVICE": "cpu",
            "WORKSHOP_ADMIN_TOKEN": ADMIN_TOKEN,
            "WORKSHOP_JUDGE": "0",  # a test of scores brings its own
            "STREAMLIT_SERVER_BASE_URL_PATH": "workshop",  # so every address is tested behind a prefix
            **more,
        }
        self.environment = environment
        self.command = [sys.executable, "-m", "tests.browser.small_app", "run", "app.py", "--server.port", str(port)]
        self.command += ["--server.address", "127.0.0.1"]
        self.address = f"http://127.0.0.1:{port}/workshop"
        self.start()

    def start(self) -> None:
        """Starts the process and waits until it answers."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(self.command, cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60
        while not self.answers():
            assert self.process.poll() is None and time.monotonic() < deadline, self.end()
            time.sleep(0.2)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=1):
                return True
        except OSError:
            return False

    def end(self) -> str:
        """Sends SIGTERM, waits, and returns what the server printed."""
        self.process.terminate()
        self.process.wait(30)
        return self.log.read_text()


@pytest.fixture(scope="session")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that all tests share."""
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    assert "Traceback" not in (log := server.end()) and ADMIN_TOKEN not in log, log


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture(autouse=True)
def a_failure_leaves_no_run_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """An active run of a failed test would keep the runs of the next tests waiting: a new process starts none of them."""
    yield
    if request.node.stash.get(FAILED, False) and "process" in request.fixturenames:
        process: Server = request.getfixturevalue("process")
        process.end()
        process.start()


@pytest.fixture(scope="session")
def server(process: Server) -> str:
    """Its address."""
    return process.address


def watched(page: Page) -> Iterator[Page]:
    """A page that fails its test when its script, or the app's, raises an error."""
    errors: list[str] = []

    def note(error: Error) -> None:
        errors.append(error.stack or str(error))

    page.on("pageerror", note)
    page.set_default_timeout(30_000)
    yield page
    page.remove_listener("pageerror", note)
    assert not errors, "\n".join(errors)


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, object]) -> dict[str, object]:
    """A fresh page animates nothing, unless its test says otherwise: each frame of an animation costs processor time."""
    return browser_context_args | CALM


@pytest.fixture
def fresh(context: BrowserContext) -> Iterator[Page]:
    """A page in a browser context of its own, which has compiled no script yet: for a second participant, or a test of loading."""
    yield from watched(context.new_page())


@pytest.fixture(scope="session")
def kept(browser: Browser) -> Iterator[list[Page]]:
    """The tab that most tests share, because its browser context has their scripts: none before the first, and after one that failed."""
    tabs: list[Page] = []
    yield tabs
    for tab in tabs:
        tab.context.close()


def forget(tabs: list[Page]) -> None:
    """Empties the tab and what it stored: its next visitor has never been here. Tests leave it on an address of the app."""
    for tab in tabs:
        if tab.url == EMPTY:
            continue
        tab.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
        tab.context.clear_cookies()
        tab.goto(EMPTY)


def lent(kept: list[Page], browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The shared tab for one test: as wide, light and calm as a fresh page. One that fails takes it along."""
    if not kept:
        kept.append(browser.new_context(viewport=WIDE, color_scheme="light", reduced_motion="reduce").new_page())
    shared = kept[0]
    fine = False
    try:
        shared.set_viewport_size(WIDE)
        shared.emulate_media(color_scheme="light", reduced_motion="reduce")
        yield from watched(shared)
        fine = not request.node.stash.get(FAILED, False)
    finally:
        shared.unroute_all()
        if not fine:
            kept.remove(shared)
            shared.context.close()


@pytest.fixture(scope="module")
def visitor_of_the_file(kept: list[Page]) -> Iterator[list[Page]]:
    """The shared tab, with one visitor for all tests of a file."""
    yield kept
    forget(kept)


@pytest.fixture
def left_tab(request: pytest.FixtureRequest, browser: Browser, visitor_of_the_file: list[Page]) -> Iterator[Page]:
    """One tab, and one visitor, for all tests of a file that ask for it: empty, or on the page where the test before left it."""
    yield from lent(visitor_of_the_file, browser, request)


@pytest.fixture
def tab(left_tab: Page, server: str) -> Page:
    """The same, empty or on a page with little on it: for tests that follow each other on the same page. They move with visit()."""
    if left_tab.url != EMPTY:
        visit(left_tab, f"{server}/compare", "Compare")
    return left_tab


@pytest.fixture
def newcomer(request: pytest.FixtureRequest, browser: Browser, kept: list[Page]) -> Iterator[Page]:
    """The shared tab, empty, for a visitor who has never been here and leaves after one test."""
    forget(kept)
    yield from lent(kept, browser, request)
    forget(kept)


@pytest.fixture
def page(newcomer: Page) -> Page:
    """The page that tests use, unless their file says otherwise."""
    return newcomer
