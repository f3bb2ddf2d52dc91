"""Every command, setting and variable is documented."""

import re
from pathlib import Path

import click

from gan.__main__ import cli
from gan.data.datasets import NAMED
from gan.recipes import RECIPES

ROOT = Path(__file__).parent.parent
DOCS = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
README = (ROOT / "README.md").read_text(encoding="utf-8")


def code() -> list[Path]:
    return [*(ROOT / "gan").rglob("*.py"), *(ROOT / "ui").rglob("*.py"), *(ROOT / "pages").glob("*.py"), ROOT / "app.py"]


def test_every_command_and_option_is_documented() -> None:
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        (line,) = re.findall(rf"^{name} .*(?:\n .*)*", DOCS["cli"], re.MULTILINE)
        for option in (o for p in command.params for o in p.opts if o.startswith("--")):
            assert option in line, f"{name} {option}"


def test_every_recipe_is_documented() -> None:
    assert not [name for name in RECIPES if f"| `{name}` |" not in DOCS["recipes"]], "add a row to the table in docs/recipes.md"


def test_every_data_set_is_documented() -> None:
    assert not [name for name in NAMED if f"| `{name}` |" not in DOCS["recipes"]], "add a row to the table of data sets in docs/recipes.md"


def test_every_environment_variable_is_documented() -> None:
    used = set(re.findall(r"WORKSHOP_[A-Z_]+", " ".join(path.read_text() for path in code())))
    assert used == set(re.findall(r"\| `(WORKSHOP_[A-Z_]+)`", DOCS["environment"]))


def test_the_picture_of_the_architecture_has_every_file_once() -> None:
    picture = (ROOT / "docs" / "architecture.md").read_text().split("\n```\n")[1]
    drawn, folders, listed = [], [""], dict[str, list[str]]()
    for indent, name in re.findall(r"^( *)(\w+(?:/|\.py))", picture, re.MULTILINE):
        listed.setdefault(folders[len(indent) // 2], []).append(name)
        folders[len(indent) // 2 + 1 :] = [folders[len(indent) // 2] + name]
        if name.endswith(".py"):
            drawn.append(folders[-1])
    files = [path.relative_to(ROOT).as_posix() for path in code() if path.stem != "__init__"]
    assert sorted(drawn) == sorted(path for path in files if not path.startswith("pages/"))
    for folder, names in listed.items():
        if folder:
            assert names == sorted(names, key=lambda name: (name.endswith("/"), name)), (
                f"{folder}: files first, then folders, each from a to z"
            )


def test_every_file_that_the_docs_name_exists() -> None:
    files = [
        path.relative_to(ROOT).as_posix()
        for top in ("benchmarks", "docs", "gan", "pages", "tests", "ui")
        for path in (ROOT / top).rglob("*")
    ]
    for name, text in DOCS.items():
        for named in re.findall(r"`(\w+/[\w/]+\.(?:py|js|css))`", text):
            assert any(f"/{path}".endswith(f"/{named}") for path in [*files, "app.py"]), f"{name}: {named}"


def test_every_route_is_documented() -> None:
    routes = re.findall(r'Route\(f"\{prefix\}(\S+)"', (ROOT / "gan" / "serving" / "routes.py").read_text())
    assert len(routes) == 7
    for route in routes:
        assert f"GET {route.replace('{{', '{').replace('}}', '}')}" in DOCS["http"]


def test_the_readme_is_short_and_names_every_page_of_the_docs() -> None:
    assert len(README.splitlines()) <= 110
    assert not [name for name in DOCS if f"docs/{name}.md" not in README]


def test_every_benchmark_is_documented() -> None:
    parts = {"browser", "gpu_parts", "serving", "textbook"}  # used by others
    for path in (ROOT / "benchmarks").glob("*.py"):
        if path.stem != "__init__" and path.stem not in parts:
            assert f"python -m benchmarks.{path.stem}" in DOCS["benchmarks"], path.name


def test_links_between_the_docs_lead_somewhere() -> None:
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_the_space_has_what_hugging_face_asks() -> None:
    front = README.split("---")[1]
    for key in ("sdk: docker", "app_port: 7860", "suggested_hardware:"):
        assert key in front
    assert "7860" in (ROOT / "Dockerfile").read_text()
