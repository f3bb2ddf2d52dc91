"""What a container may use: the limits of the control groups that a process is in (Linux, version 1 and 2).

Only reads files. https://docs.kernel.org/admin-guide/cgroup-v2.html and .../cgroup-v1/memory.html describe their format.
"""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")
_NO_LIMIT = 2**60  # version 1 says "no limit" with the largest number of pages


def memory_left(root: Path = ROOT) -> int | None:
    """Bytes that the process may still take; None if no group limits it.

    A group's limit also holds for the groups inside it, so the lowest limit counts. Files that the kernel has cached and can drop count as
    free.
    """
    left = []
    for folder in _folders(root, ""):
        if (limit := _whole(folder / "memory.max")) is not None and (used := _whole(folder / "memory.current")) is not None:
            left.append(limit - used + _inactive(folder, "inactive_file"))
    for folder in _folders(root, "memory"):
        limit, used = _whole(folder / "memory.limit_in_bytes"), _whole(folder / "memory.usage_in_bytes")
        if limit is not None and used is not None and limit < _NO_LIMIT:
            left.append(limit - used + _inactive(folder, "total_inactive_file"))
    return max(0, min(left)) if left else None


def processors(root: Path = ROOT) -> float | None:
    """Processor time that the process may use, in processors (1.5, for example); None if no group limits it."""
    quotas = []
    for folder in _folders(root, ""):
        words = _text(folder / "cpu.max").split()  # "150000 100000", or "max 100000"
        if len(words) == 2 and words[0].isdecimal() and words[1].isdecimal() and int(words[1]):
            quotas.append(int(words[0]) / int(words[1]))
    for folder in _folders(root, "cpu"):
        quota, period = _whole(folder / "cpu.cfs_quota_us"), _whole(folder / "cpu.cfs_period_us")  # a quota of -1: no limit
        if quota and period:
            quotas.append(quota / period)
    return min(quotas) if quotas else None


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """The folder of the process's group for a controller, then its parents. controller: "" for version 2."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller not in controllers.split(","):
            continue
        mounts = [root / "sys/fs/cgroup" / name for name in (("", "unified") if not controller else (controller, controllers))]
        for mount in dict.fromkeys(mounts):
            # In a container the path may be the host's, while the mount is the group itself: then only the mount exists.
            parts = [part for part in path.split("/") if part not in ("", ".", "..")]
            for depth in range(len(parts), -1, -1):
                if (folder := mount.joinpath(*parts[:depth])).is_dir():
                    yield folder


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):  # another system, or a group without this limit
        return ""


def _whole(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdecimal() and len(text) < 30 else None


def _inactive(folder: Path, name: str) -> int:
    """Bytes of cached files that the kernel drops first."""
    for line in _text(folder / "memory.stat").splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdecimal():
            return int(value)
    return 0
