"""Imports run downward: pages -> ui -> gan, and within gan as design says. Work at import is nobody's."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# From the ground up; a module may import those before its own layer only.
LAYERS = [
    {"accelerators", "files", "untrusted", "cgroups"},
    {"config", "devices", "events", "faces", "latent", "augment", "graphs", "cache", "owners", "metrics", "names"}
    | {"glossary", "connections", "gate", "logs", "winograd", "threads", "intensity", "budget"},
    {"leftout", "csvs", "decoding"},
    {"archives"},
    {"folders", "parts", "tars", "tables", "rows"},
    {"recipes", "losses", "images", "networks", "downloads", "charts", "turns", "directions", "terminal", "snippets", "vectors"}
    | {"judgements", "remedies", "idx", "imagefiles", "imageset", "states"},
    {"arrays"},
    {"published", "doctor"},
    {"datasets"},
    {"uploads", "reals"},
    {"features"},
    {"judge", "training", "attributes"},
    {"checkpoint", "bench", "limits", "watch", "sizes"},
    {"runs", "models", "export", "films", "projection", "evaluation"},
    {"manager", "comparison", "inside", "checkup"},
    {"streams"},
    {"server", "__main__"},
]


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return names


@pytest.mark.parametrize("path", sorted((ROOT / "gan").glob("*.py")), ids=lambda p: p.stem)
def test_gan_imports_downward_and_never_streamlit(path):
    names = imported(path)
    strangers = {"streamlit", "ui", "pages", "plotly"} - ({"plotly"} if path.stem == "charts" else set())
    assert not {n for n in names if n.split(".")[0] in strangers}
    if path.stem == "__init__":
        return
    level = next(i for i, layer in enumerate(LAYERS) if path.stem in layer)
    below = set().union(*LAYERS[:level])
    ours = {n.split(".")[1] for n in names if n.startswith("gan.")} & set().union(*LAYERS)
    assert ours - {path.stem} <= below, f"{path.stem} imports {ours - below}"


def test_pages_hold_no_torch_training():
    for path in (ROOT / "pages").glob("*.py"):
        assert not {n for n in imported(path) if n.startswith(("gan.networks", "gan.losses", "starlette"))}, path.name
