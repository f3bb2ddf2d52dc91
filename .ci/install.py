"""Installs what pip would, but with uv, which unpacks on all cores. If uv cannot do it, pip does.

    .venv/bin/python .ci/install.py -c constraints.txt -r requirements-dev.txt

uv does not read pip's settings, so it gets them from here: indexes, folders of wheels, constraints, certificates.
"""

import ast
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
# pip's setting -> uv's option. pip takes the best version of all indexes. By default, uv takes that of the first index with the package.
OPTIONS = {"index-url": "--default-index", "extra-index-url": "--index", "find-links": "--find-links", "constraint": "--constraints"}
HARMLESS = {"disable-pip-version-check", "timeout", "default-timeout", "retries", "cache-dir", "no-cache-dir", "root-user-action"}
HARMLESS |= {"progress-bar", "no-input", "quiet", "no-color", "break-system-packages", "require-virtualenv", "no-compile"}


def settings(listed: str) -> list[tuple[str, str]]:
    """The lines of `pip config list`, such as "global.index-url='...'" or ":env:.index-url='...'": (setting, value)."""
    found = []
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        found.append((name.rpartition(".")[2], str(ast.literal_eval(value))))
    return found


def options(found: Sequence[tuple[str, str]]) -> tuple[list[str], dict[str, str]]:
    """pip's settings as uv's options, and as variables of its environment.

    Raises:
        ValueError: a setting has no counterpart in uv.
    """
    given, variables = ["--index-strategy", "unsafe-best-match"], {}
    for name, value in found:
        if name == "cert":
            variables["SSL_CERT_FILE"] = value
        elif name in OPTIONS:
            given += [part for one in value.split() for part in (OPTIONS[name], one)]
        elif name not in HARMLESS:
            raise ValueError(f"pip's setting {name} has no counterpart in uv")
    return given, variables


def by_uv(arguments: Sequence[str]) -> bool:
    """Whether uv installed everything."""
    listed = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=True).stdout
    try:
        given, variables = options(settings(listed))
    except ValueError as error:
        print(error)
        return False
    # The folder is next to the packages, so uv can link what it unpacks instead of copying it.
    with tempfile.TemporaryDirectory(dir=sys.prefix) as folder:
        if subprocess.run([*PIP, "install", "--quiet", "--target", f"{folder}/uv", "uv"]).returncode:
            return False
        command = [f"{folder}/uv/bin/uv", "pip", "install", "--python", sys.executable, "--cache-dir", f"{folder}/cache"]
        done = subprocess.run([*command, *given, *arguments], env=os.environ | variables)
    return done.returncode == 0


def main() -> int:
    if by_uv(arguments := sys.argv[1:]):
        return 0
    print("uv could not install this, so pip does")
    return subprocess.run([*PIP, "install", "--no-compile", *arguments]).returncode


if __name__ == "__main__":
    sys.exit(main())
