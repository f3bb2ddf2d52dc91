"""Which version of this project and of Python a process runs: a run needs the same on the server and on its worker."""

import functools
import hashlib
import platform
from pathlib import Path

import torch

import gan


@functools.cache
def version() -> dict[str, str]:
    """Versions by name: python, torch, project, and `code`, 12 hex digits of the library's source."""
    digest = hashlib.blake2b(digest_size=6)
    root = Path(gan.__file__).parent
    for file in sorted(root.rglob("*.py")):
        digest.update(f"{file.relative_to(root).as_posix()}\0".encode() + file.read_bytes())
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, "torch": torch.__version__, "project": gan.__version__, "code": digest.hexdigest()}


def difference(ours: dict[str, str], theirs: dict[str, str]) -> str:
    """What keeps a node with other versions from training this server's runs, as a sentence about "it"; empty if nothing does.

    Another release of torch may round differently, so resuming would not be exact.
    """
    names = {"python": "Python", "torch": "torch", "project": "this project"}
    for name, called in names.items():
        if ours[name] != theirs.get(name):
            return f"it has {called} {theirs.get(name)}, but the server has {ours[name]}: install the server's version there"
    if ours["code"] != theirs.get("code"):
        return "its copy of this project differs from the server's, though both have the same version: copy the server's there"
    return ""
