"""Neither the allowed nor the installed versions have the vulnerabilities listed here; everything imported is declared.

The list is kept by hand, so that it works without a network; `.ci/audit.py` compares with the published advisories.
"""

import ast
import importlib.metadata
import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Hole:
    """A published vulnerability of a package that this app uses.

    Attributes:
        fixed: the first release without it.
        published: when, as the advisory says.
    """

    package: str
    fixed: str
    advisory: str
    published: str
    what: str


LAST_LOOKED = "2026-11-28"
HOLES = [
    Hole("pillow", "13.0.0", "GHSA-8g5g-8vmr-9782, CVE-2026-112403", "2026-10-19", "a JPEG overflows the decoder's buffer"),
    Hole("pillow", "13.0.0", "GHSA-v9pv-5gc8-w2m6, CVE-2026-96639", "2026-10-16", "an image's memory is used after a change of mode"),
    Hole("pillow", "12.3.0", "CVE-2026-59199", "2026-07-15", "paste() and crop() write out of bounds"),
    Hole("torch", "2.10.0", "GHSA-63cw-57p8-fm3p, CVE-2026-24747", "2026-01-27", "a file corrupts memory in spite of weights_only"),
    Hole("filelock", "3.20.1", "GHSA-w853-jp5j-5j7f, CVE-2025-68146", "2025-12-15", "a lock file follows a link and cuts its target"),
    Hole("filelock", "3.20.3", "GHSA-qmgc-5h2g-mvrw, CVE-2026-22701", "2026-01-09", "a soft lock follows a link"),
    Hole("starlette", "0.49.1", "GHSA-7f5h-v6xp-fcq8, CVE-2025-62727", "2025-10-28", "a Range header takes quadratic time"),
    Hole("starlette", "1.3.1", "PYSEC-2026-249, CVE-2026-54283", "2026-06-22", "a form's limits are ignored"),
    Hole("python-multipart", "0.0.22", "GHSA-wp53-j4wj-2cfg, CVE-2026-24486", "2026-01-25", "an upload's name leaves its folder"),
    Hole("python-multipart", "0.0.26", "GHSA-mj87-hwqh-73pj, CVE-2026-40347", "2026-04-15", "bytes around a form take long"),
    Hole("ray", "2.52.0", "GHSA-q279-jhrf-cc6v, CVE-2025-62593", "2025-11-26", "a web page reaches the dashboard by DNS rebinding"),
    Hole("ray", "2.54.0", "CVE-2026-27482", "2026-02-21", "the dashboard takes DELETE requests from browsers"),
    Hole("ray", "2.55.0", "GHSA-mw35-8rx3-xf9r, CVE-2026-41486", "2026-05-08", "a Parquet file runs code where Ray Data is loaded"),
    Hole("ray", "2.56.0", "CVE-2026-57516", "2026-07-01", "a tar file runs code in read_webdataset()"),
    Hole("python-multipart", "0.0.30", "GHSA-6jv3-5f52-599m, CVE-2026-53538", "2026-06-16", "fields hide behind a semicolon"),
]
# Import names that are not the package's, with a hyphen for each underscore.
PACKAGES = {"PIL": "pillow", "playwright": "pytest-playwright"}
OURS = {"gan", "ui", "pages", "tests", "benchmarks", "app"}


def requirements(*names: str) -> dict[str, Requirement]:
    lines = [line.split("#")[0].strip() for name in names for line in (ROOT / name).read_text().splitlines()]
    return {r.name.lower(): r for r in (Requirement(line) for line in lines if line and not line.startswith("-r"))}


def floor(requirement: Requirement) -> Version:
    (lowest,) = [Version(spec.version) for spec in requirement.specifier if spec.operator == ">="]
    return lowest


@pytest.mark.parametrize("hole", HOLES, ids=lambda hole: f"{hole.package} {hole.advisory}")
def test_neither_the_floor_nor_what_is_installed_has_a_known_hole(hole: Hole) -> None:
    assert floor(requirements("requirements.txt", "requirements-cluster.txt")[hole.package]) >= Version(hole.fixed), hole
    if hole.package == "ray" and importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install -r requirements-cluster.txt")
    assert Version(importlib.metadata.version(hole.package)) >= Version(hole.fixed), hole


@pytest.mark.parametrize("hole", HOLES, ids=lambda hole: f"{hole.package} {hole.advisory}")
def test_holes_are_listed_with_a_name_and_a_date(hole: Hole) -> None:
    assert hole.advisory.startswith(("GHSA-", "CVE-", "PYSEC-")) and hole.what
    assert "2025-01-01" <= hole.published <= LAST_LOOKED


def test_what_is_installed_is_what_the_requirements_admit() -> None:
    for name, requirement in requirements("requirements.txt", "requirements-dev.txt").items():
        assert requirement.specifier.contains(importlib.metadata.version(name)), requirement


def constraints() -> dict[str, Version]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pairs = [line.split("==") for line in lines]
    return {name: Version(version) for name, version in pairs}


def test_the_constraints_name_every_requirement_with_a_version_that_it_admits() -> None:
    pinned, required = constraints(), requirements("requirements.txt", "requirements-cluster.txt", "requirements-dev.txt")
    assert required.keys() - pinned.keys() == {"torch", "torchvision"}  # their build depends on the driver
    assert not [
        f"{name}=={pinned[name]}" for name in required.keys() & pinned.keys() if not required[name].specifier.contains(pinned[name])
    ]


def test_the_constraints_leave_the_build_of_torch_open() -> None:
    assert not [name for name in constraints() if name in ("torch", "torchvision", "triton") or name.startswith(("nvidia-", "cuda-"))]


def test_the_constraints_have_no_known_hole() -> None:
    pinned = constraints()
    assert not [hole for hole in HOLES if hole.package in pinned and pinned[hole.package] < Version(hole.fixed)]


def test_the_image_installs_the_constraints() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "COPY --chown=1000:1000 requirements.txt constraints.txt ." in dockerfile
    assert re.findall(r"pip install .*", dockerfile) == ['pip install --no-cache-dir -c constraints.txt -r requirements.txt "${TORCH}"']


@pytest.mark.parametrize(
    "folders, files",
    [
        (("gan", "ui", "pages"), ("requirements.txt", "requirements-cluster.txt")),
        (("tests", "benchmarks"), ("requirements.txt", "requirements-cluster.txt", "requirements-dev.txt")),
    ],
)
def test_everything_that_is_imported_is_declared(folders: tuple[str, ...], files: tuple[str, ...]) -> None:
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")] + [ROOT / "app.py"]
    imported = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.split(".")[0])
    strangers = {PACKAGES.get(name, name).lower().replace("_", "-") for name in imported - set(sys.stdlib_module_names) - OURS}
    assert strangers <= requirements(*files).keys() | {"packaging"}, strangers - requirements(*files).keys()


def test_ray_is_an_extra_that_one_module_imports() -> None:
    importing = [path for path in (ROOT / "gan").rglob("*.py") if re.search(r"^ *(?:import|from) ray\b", path.read_text(), re.MULTILINE)]
    assert importing == [ROOT / "gan" / "cluster" / "ray_cluster.py"]
    assert not re.search(r"^(?:import|from) ray\b", importing[0].read_text(), re.MULTILINE)  # and only when it is used
    assert "ray" not in requirements("requirements.txt")
