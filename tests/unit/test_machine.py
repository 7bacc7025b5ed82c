"""What a machine and its containers allow, read from folders that look like theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from objectfs.backends import machine

MiB = 1024 * 1024
V1_NONE = "9223372036854771712"


def system(root: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


CASES = {
    "no cgroups": ({}, None),
    "v2, a container's own root": ({"sys/fs/cgroup/memory.max": "536870912\n", "proc/self/cgroup": "0::/\n"}, 512),
    "v2, no limit": ({"sys/fs/cgroup/memory.max": "max\n", "proc/self/cgroup": "0::/\n"}, None),
    "v2, a slice above the process's own group": (
        {
            "proc/self/cgroup": "0::/user.slice/one.service\n",
            "sys/fs/cgroup/user.slice/memory.max": "268435456\n",
            "sys/fs/cgroup/user.slice/one.service/memory.max": "1073741824\n",
        },
        256,
    ),
    "v2, the process's own group": (
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/memory.max": "max\n",
            "sys/fs/cgroup/a/b/memory.max": "134217728\n",
        },
        128,
    ),
    "v2, another namespace's path": (
        {"proc/self/cgroup": "0::/../../x\n", "sys/fs/cgroup/memory.max": "104857600\n"},
        100,
    ),
    "v1, a container's own root": (
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/\n4:memory:/docker/0123\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "209715200\n",
        },
        200,
    ),
    "v1, no limit": (
        {"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": V1_NONE + "\n"},
        None,
    ),
    "v1, the process's own group": (
        {
            "proc/self/cgroup": "9:hugetlb:/\n4:memory:/system.slice/x.service\n0::/system.slice/x.service\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": V1_NONE + "\n",
            "sys/fs/cgroup/memory/system.slice/x.service/memory.limit_in_bytes": "314572800\n",
        },
        300,
    ),
    "hybrid": (
        {"proc/self/cgroup": "1:name=systemd:/\n0::/s\n", "sys/fs/cgroup/unified/s/memory.max": "419430400\n"},
        400,
    ),
    "unreadable": ({"proc/self/cgroup": "nonsense\n", "sys/fs/cgroup/memory.max": "many\n"}, None),
}


@pytest.mark.parametrize(("files", "limit"), CASES.values(), ids=CASES)
def test_the_limit_of_a_container(tmp_path: Path, files: dict[str, str], limit: int | None) -> None:
    assert machine.cgroup_memory_limit(system(tmp_path, files)) == (None if limit is None else limit * MiB)


@pytest.mark.parametrize(
    ("machine_has", "container", "expected"),
    [
        (8192, None, 2048),  # a quarter
        (64 * 1024, None, 2048),  # at most
        (8192, 2048, 512),  # of what the container may have
        (8192, 512, 256),  # at least
        (1024, 64 * 1024, 256),
    ],
)
def test_the_default_memory_limit(
    monkeypatch: pytest.MonkeyPatch, machine_has: int, container: int | None, expected: int
) -> None:
    sizes = {"SC_PAGE_SIZE": MiB, "SC_PHYS_PAGES": machine_has}
    monkeypatch.setattr(machine.os, "sysconf", sizes.__getitem__, raising=False)
    monkeypatch.setattr(machine, "cgroup_memory_limit", lambda: None if container is None else container * MiB)
    machine.memory_available.cache_clear()
    try:
        assert machine.default_memory_limit() == expected * MiB
    finally:
        machine.memory_available.cache_clear()
