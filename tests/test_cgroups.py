"""Limits of containers, from files in Linux's format."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from gan import cgroups
from gan.devices import cores, free_memory

CPU = torch.device("cpu")
GIB = 2**30


def system(root: Path, cgroup: str, files: dict[str, str], available: int = 64 * GIB) -> Path:
    """A root with /proc and /sys/fs/cgroup like in a container."""
    for name, text in {
        "proc/self/cgroup": cgroup,
        "proc/meminfo": f"MemTotal: 1 kB\nMemAvailable: {available // 1024} kB\n",
        **files,
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V2 = {
    "sys/fs/cgroup/memory.max": f"{4 * GIB}\n",
    "sys/fs/cgroup/memory.current": f"{3 * GIB}\n",
    "sys/fs/cgroup/cpu.max": "150000 100000\n",
}
V1 = {
    "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": f"{2 * GIB}\n",
    "sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes": f"{GIB // 2}\n",
    "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "250000\n",
    "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
}
V1_GROUPS = "9:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n"


def test_version_2(tmp_path: Path) -> None:
    root = system(tmp_path, "0::/\n", V2)
    assert cgroups.memory_left(root) == GIB and cgroups.processors(root) == 1.5
    assert free_memory(CPU, root) == GIB and cores(root) == 1


def test_version_1(tmp_path: Path) -> None:
    root = system(tmp_path, V1_GROUPS, V1)
    assert cgroups.memory_left(root) == 3 * GIB // 2 and cgroups.processors(root) == 2.5
    assert free_memory(CPU, root) == 3 * GIB // 2


def test_the_group_around_counts_where_it_allows_less(tmp_path: Path) -> None:
    outer, inner = "sys/fs/cgroup/pod", "sys/fs/cgroup/pod/app"
    files = {f"{inner}/memory.max": "max", f"{inner}/memory.current": f"{GIB}", f"{inner}/cpu.max": "max 100000"}
    files |= {f"{outer}/memory.max": f"{3 * GIB}", f"{outer}/memory.current": f"{GIB}", f"{outer}/cpu.max": "100000 100000"}
    root = system(tmp_path, "0::/pod/app\n", files)
    assert cgroups.memory_left(root) == 2 * GIB and cgroups.processors(root) == 1


def test_a_path_of_the_host_leaves_what_is_mounted(tmp_path: Path) -> None:
    root = system(tmp_path, "0::/kubepods.slice/pod7/app\n", V2)
    assert cgroups.memory_left(root) == GIB and cgroups.processors(root) == 1.5


def test_cached_files_count_as_free(tmp_path: Path) -> None:
    stat = {"sys/fs/cgroup/memory.stat": f"anon 5\ninactive_file {GIB // 2}\nactive_file 7\n"}
    assert cgroups.memory_left(system(tmp_path, "0::/\n", V2 | stat)) == 3 * GIB // 2


def test_more_used_than_allowed_leaves_nothing(tmp_path: Path) -> None:
    assert cgroups.memory_left(system(tmp_path, "0::/\n", V2 | {"sys/fs/cgroup/memory.current": f"{5 * GIB}"})) == 0


def test_the_machine_counts_where_it_has_less(tmp_path: Path) -> None:
    assert free_memory(CPU, system(tmp_path, "0::/\n", V2, available=GIB // 4)) == GIB // 4


@pytest.mark.parametrize(
    "cgroup, files",
    [
        ("0::/\n", {"sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/memory.current": "5\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}),
        ("0::/\n", {}),
        ("", V2),
        (
            "9:memory:/a\n4:cpu:/a\n",
            {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1"},
        ),
        ("0::/../..\n", {"sys/fs/cgroup/memory.max": "nonsense", "sys/fs/cgroup/cpu.max": "1 2 3"}),
    ],
)
def test_no_limit_is_no_limit(tmp_path: Path, cgroup: str, files: dict[str, Any]) -> None:
    root = system(tmp_path, cgroup, files)
    assert cgroups.memory_left(root) is None and cgroups.processors(root) is None
    assert free_memory(CPU, root) == 64 * GIB
    assert cores(root) == (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())


def test_another_system_has_none(tmp_path: Path) -> None:
    assert cgroups.memory_left(tmp_path) is None and cgroups.processors(tmp_path) is None
