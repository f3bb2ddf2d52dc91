"""`pip install .` gives everything that the library opens at run time, and the version is that of the CHANGELOG."""

import re
import tomllib
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from packaging.version import Version

import gan
from gan.__main__ import cli

ROOT = Path(__file__).parent.parent
LIBRARY = ROOT / "gan"


def setuptools_settings() -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    return settings


def folders() -> list[Path]:
    """The library's folders, without Python's caches."""
    return [LIBRARY, *(path for path in LIBRARY.rglob("*") if path.is_dir() and "__pycache__" not in path.parts)]


def installed(patterns: dict[str, list[str]]) -> set[Path]:
    """The files that are not Python and that an installation gets: setuptools takes each package's patterns from its own folder."""
    return {
        path
        for package, names in patterns.items()
        for name in names
        for path in (ROOT / package.replace(".", "/")).glob(name)
        if path.name[0] != "."
    }


def test_every_folder_with_code_is_a_package() -> None:
    assert setuptools_settings()["packages"]["find"] == {"include": ["gan*"]}
    assert [folder for folder in folders() if any(folder.glob("*.py")) and not (folder / "__init__.py").exists()] == []


def test_every_file_of_the_library_is_installed() -> None:
    there = {path for folder in folders() for path in folder.glob("[!.]*") if path.is_file() and path.suffix != ".py"}
    patterns = setuptools_settings()["package-data"]
    assert installed(patterns) == there
    # One pattern less, and this test would say so.
    for package in patterns:
        assert installed({name: found for name, found in patterns.items() if name != package}) < there


def test_the_library_opens_its_own_files_below_itself() -> None:
    """A file next to the packages is there in a checkout, and not after an installation."""
    opened = {}
    for path in LIBRARY.rglob("*.py"):
        for expression in re.findall(r"Path\(__file__\)\S*(?: / \S+)*", path.read_text(encoding="utf-8")):
            opened[f"{path.relative_to(LIBRARY)}: {expression}"] = expression
    assert len(opened) >= 4  # digits, feature networks, generators; and the script in an exported run, which opens what lies next to it
    climbing = re.compile(r"\.parents|\.parent\.parent|\.\./")
    assert not [where for where, expression in opened.items() if climbing.search(expression)]


def dated_versions() -> list[tuple[str, str]]:
    """The versions in CHANGELOG.md with their dates, newest first."""
    return re.findall(r"^## (\d+\.\d+\.\d+) - (\d{4}-\d{2}-\d{2})$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_version_is_the_newest_in_the_changelog() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" in settings["project"]["dynamic"] and settings["tool"]["setuptools"]["dynamic"]["version"] == {
        "attr": "gan.__version__"
    }
    assert gan.__version__ == dated_versions()[0][0]


def test_the_changelog_has_its_versions_in_order() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == ["Unreleased", *(f"{version} - {day}" for version, day in dated_versions())]
    versions, days = zip(*dated_versions(), strict=True)
    assert sorted(versions, key=Version, reverse=True) == list(versions) and sorted(days, reverse=True) == list(days)
    assert len(set(versions)) == len(versions)


def test_the_command_prints_its_version() -> None:
    assert CliRunner().invoke(cli, ["--version"]).output == f"DCGAN Workshop {gan.__version__}\n"
