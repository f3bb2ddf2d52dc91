"""Imports run downward: pages -> ui -> gan, and within gan from floor to floor. No work at import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# The packages of gan, from the ground up. A package imports from lower floors only; modules on the ground see no package.
FLOORS = [
    {"data", "networks"},
    {"training", "judging"},
    {"distributed"},
    {"runs"},
    {"cluster"},
    {"doctor", "explore"},
    {"inside", "course"},
    {"serving"},
    {"cli"},
]
FLOOR = {package: number for number, packages in enumerate(FLOORS, 1) for package in packages}
TOP = len(FLOORS) + 1  # __main__, which may import everything
MODULES = sorted((ROOT / "gan").rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The modules and names that a file imports, dotted."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return names


def package(parts: tuple[str, ...]) -> str:
    """The package of gan that a dotted name or a path lies in; empty for modules directly in gan."""
    return parts[1] if len(parts) > 1 and parts[1] in FLOOR else ""


def test_every_package_has_a_floor() -> None:
    assert {path.parent.name for path in MODULES if path.parent.name != "gan"} == set(FLOOR)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_gan_imports_downward_and_never_streamlit_or_plotly(path: Path) -> None:
    names = imported(path)
    assert not {n for n in names if n.split(".")[0] in {"streamlit", "ui", "pages", "plotly"}}
    own = package(path.relative_to(ROOT).parts[:-1])
    floor = TOP if path.stem == "__main__" else FLOOR.get(own, 0)
    others = {package(tuple(name.split("."))) for name in names if name.startswith("gan.")} - {"", own}
    assert all(FLOOR[other] < floor for other in others), f"{path} imports {sorted(others)}"


def test_the_command_line_starts_without_the_flop_counter_and_triton_and_a_step_of_training_loads_no_compiler(tmp_path: Path) -> None:
    """Neither do scoring a run and opening a generator. The compiler and SymPy take about four seconds, which a visitor would wait for.

    In one process: starting takes a while.
    """
    code = (
        "import pathlib, sys, gan.cli.train, gan.cli.results\n"
        "print([name for name in ('torch.utils.flop_counter', 'triton', 'gan.distributed', 'gan.cluster', 'ray') if name in sys.modules])\n"
        "import torch\n"
        "from gan.config import TrainConfig\n"
        "from gan.networks.generator_file import load_generator\n"
        "from gan.recipes import RECIPES\n"
        "from gan.runs.folder import save_generator\n"
        "from gan.runs.watch import _copied\n"
        "from gan.training.memory import memory_estimate\n"
        "from gan.training.state import new_state\n"
        "from gan.training.step import train_step\n"
        "config = TrainConfig(batch_size=4, generator_filters=4, discriminator_filters=4, precision='fp32')\n"
        "for recipe in RECIPES.values(): memory_estimate(recipe.config)\n"
        "memory_estimate(RECIPES['conditional'].config.change(spectral_norm=True, minibatch_std=True, dropout=0.5))\n"
        "state = new_state(config, torch.device('cpu'), threads=1)\n"
        "train_step(state, torch.zeros(4, 1, 28, 28))\n"
        "config = config.change(conditional=True, spectral_norm=True, discriminator_norm='none')\n"
        "state = new_state(config, torch.device('cpu'), class_names=('a', 'b'), threads=1)\n"
        "_copied(state.generator, state), _copied(state.discriminator, state)\n"
        "save_generator(pathlib.Path(sys.argv[1]), state)\n"
        "load_generator(pathlib.Path(sys.argv[1]))\n"
        "print([name for name in ('torch._dynamo', 'sympy') if name in sys.modules])\n"
    )
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path / "g.safetensors")], cwd=ROOT, capture_output=True, text=True)
    assert result.stdout == "[]\n[]\n", result.stderr


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--version"], ["recipes"], ["recipes", "--json"], ["recipes", "--help"]])
def test_commands_that_compute_nothing_start_without_torch(words: list[str]) -> None:
    """Importing it takes seconds."""
    code = (
        f"import sys; sys.argv = ['gan', *{words}]; from gan.__main__ import cli; cli(standalone_mode=False); print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.endswith("False\n")


def _cycle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle; empty if there is none."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return path[path.index(name) :]
        if name in done:
            return []
        for other in sorted(graph.get(name, ())):
            if found := visit(other, [*path, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := visit(name, []))), [])


def test_no_modules_import_each_other_in_a_circle() -> None:
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in MODULES if path.stem != "__init__"}
    graph = {name: imported(path) & modules.keys() for name, path in modules.items()}
    assert _cycle(graph) == []


def test_a_circle_would_be_found() -> None:
    assert _cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert _cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_pages_hold_no_torch_training() -> None:
    inner = ("gan.networks.dcgan", "gan.networks.layers", "gan.networks.winograd", "gan.training.losses", "gan.training.step", "starlette")
    for path in (ROOT / "pages").glob("*.py"):
        assert not {n for n in imported(path) if n.startswith(inner)}, path.name


def test_the_library_does_not_import_torchvision() -> None:
    """It takes longer to import than torch: it loads the compiler."""
    for path in MODULES:
        assert not {name for name in imported(path) if name.split(".")[0] == "torchvision"}, path.name
