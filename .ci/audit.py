"""Compares the packages of a virtual environment with the published advisories, by pip-audit, which gets a folder of its own.

    python .ci/audit.py .venv

Fails where a hole is known and a release mends it. Holes that no release mends yet are printed. Where the advisories cannot be reached, it
says so and passes: tests/test_requirements.py keeps a list of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def audit(environment: Path) -> int:
    (packages,) = environment.glob("lib/python*/site-packages")
    python = str(environment / "bin" / "python")
    with tempfile.TemporaryDirectory() as folder:
        # The environment's own pip: making a virtual environment with another one takes as long as all the rest.
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--target", folder]
        install.append("pip-audit>=2.9,<3")
        if subprocess.run(install).returncode:
            print("pip-audit cannot be installed here, so nothing was compared")
            return 0
        command = [python, "-m", "pip_audit", "--path", str(packages), "--format", "json", "--progress-spinner", "off"]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        )
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(f"the advisories cannot be reached: {done.stderr.strip().splitlines()[-1:]}")
        return 0
    audited = [package for package in found if "vulns" in package]
    mendable = 0
    for package in audited:
        for hole in package["vulns"]:
            mended = ", ".join(hole["fix_versions"])
            mendable += bool(mended)
            print(f"{package['name']} {package['version']}: {hole['id']}, {f'mended in {mended}' if mended else 'not mended yet'}")
    print(f"{len(audited)} of {len(found)} installed packages were compared with the advisories")
    return 1 if mendable else 0


if __name__ == "__main__":
    sys.exit(audit(Path(sys.argv[1])))
