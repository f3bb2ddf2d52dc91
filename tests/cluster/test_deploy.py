"""The manifest for Kubernetes agrees with the rest of the project. It is read as text: nothing here reads YAML."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MANIFEST = (ROOT / "deploy" / "kuberay.yaml").read_text()


def test_the_manifest_names_the_version_of_ray_that_the_image_installs() -> None:
    (pinned,) = re.findall(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert re.findall(r'rayVersion: "(\S+)"', MANIFEST) == [pinned]
    image = (ROOT / "deploy" / "cluster.Dockerfile").read_text()
    assert "pip install --no-cache-dir -c constraints.txt -r requirements-cluster.txt" in image


def test_the_manifest_sets_variables_that_exist() -> None:
    documented = (ROOT / "docs" / "environment.md").read_text()
    used = set(re.findall(r"WORKSHOP_[A-Z_]+", MANIFEST))
    assert len(used) > 3 and not {name for name in used if f"`{name}`" not in documented}


def test_all_pods_ask_for_the_token_and_report_nothing() -> None:
    assert "mode: token" in MANIFEST
    assert MANIFEST.count("disable-usage-stats") == MANIFEST.count("RAY_USAGE_STATS_ENABLED") == MANIFEST.count("rayStartParams") == 2
