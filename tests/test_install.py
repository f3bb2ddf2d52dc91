"""Continuous integration installs with uv and pip's settings, and with pip if a setting has no counterpart in uv."""

import importlib.util
import subprocess
from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).parent.parent / ".ci" / "install.py"
LISTED = """:env:.disable-pip-version-check='1'
global.cert='/etc/certificates.crt'
global.constraint='/etc/constraints.txt'
global.extra-index-url='file:///a/simple file:///b/simple'
install.find-links='/wheels'
"""


@pytest.fixture
def install() -> Any:
    spec = importlib.util.spec_from_file_location("install", PATH)
    assert spec and spec.loader
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    return module


def test_pips_settings_are_uvs_options(install: Any) -> None:
    given, variables = install.options(install.settings(LISTED))
    assert given[:2] == ["--index-strategy", "unsafe-best-match"]
    assert given[2:] == [
        *("--constraints", "/etc/constraints.txt"),
        *("--index", "file:///a/simple", "--index", "file:///b/simple"),
        *("--find-links", "/wheels"),
    ]
    assert variables == {"SSL_CERT_FILE": "/etc/certificates.crt"}


@pytest.mark.parametrize("listed, uv_status", [("global.no-index='true'\n", 0), (LISTED, 2)])
def test_where_uv_cannot_pip_installs(install: Any, monkeypatch: pytest.MonkeyPatch, listed: str, uv_status: int) -> None:
    ran: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        is_uv = command[0].endswith("/uv")
        return subprocess.CompletedProcess(command, uv_status if is_uv else 0, listed if "config" in command else "")

    monkeypatch.setattr(install.subprocess, "run", run)
    monkeypatch.setattr(install.sys, "argv", ["install.py", "-r", "some.txt"])
    assert install.main() == 0
    assert ran[-1][-3:] == ["--no-compile", "-r", "some.txt"] and "pip" in ran[-1]
    assert any(command[0].endswith("/uv") for command in ran) == (listed == LISTED)
