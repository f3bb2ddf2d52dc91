"""Prints constraints.txt: the versions of everything that the requirements bring, as installed in this environment.

    make constraints    runs the tests, and writes the file if they pass

torch, torchvision and the CUDA libraries they bring are left out: which build is right depends on the machine's driver (see the Dockerfile).
"""

import importlib.metadata
import platform
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
FILES = ("requirements.txt", "requirements-cluster.txt", "requirements-dev.txt")
FREE = re.compile(r"torch|torchvision|triton|(nvidia|cuda)-.*")


def declared() -> Iterator[Requirement]:
    """The lines of the requirement files."""
    for name in FILES:
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            if (text := line.split("#")[0].strip()) and not text.startswith("-r"):
                yield Requirement(text)


def brought(requirement: Requirement) -> Iterator[Requirement]:
    """What an installed package requires here, with the extras that are asked for."""
    for text in importlib.metadata.requires(requirement.name) or []:
        needed = Requirement(text)
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *requirement.extras)):
            yield needed


def versions() -> dict[str, str]:
    """Every package that the requirements bring, directly or not, with its installed version."""
    found: dict[str, str] = {}
    waiting = list(declared())
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in found or requirement.extras:
            found[name] = importlib.metadata.version(name)
            waiting += brought(requirement)
    return {name: found[name] for name in sorted(found) if not FREE.fullmatch(name)}


def main() -> None:
    print(
        f"# The versions that the tests last passed with: {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {sys.platform}."
    )
    print("# Written by `make constraints`. Without torch, torchvision and CUDA: their build depends on the machine's driver.")
    print("\n".join(f"{name}=={version}" for name, version in versions().items()))


if __name__ == "__main__":
    main()
