"""What this machine allows: cores, memory, certificates. Read once, where a default depends on it."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator

__all__ = [
    "ca_bundle",
    "cgroup_memory_limit",
    "default_memory_limit",
    "event_loops",
    "memory_available",
    "trim",
    "usable_cores",
]

MiB = 1024 * 1024
GiB = 1024 * MiB

NO_LIMIT = 1 << 60
"""Bytes; cgroup v1 writes "no limit" as a huge number."""


def usable_cores() -> int:
    """Cores that this process may use: its affinity, cut by the cgroup's quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        if quota != "max":
            cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass  # no cgroup v2 here: the affinity stands
    return cores


def event_loops() -> int:
    """Event loops of the engine: one for each core up to 8. One carries about 2 GB/s."""
    return max(1, min(8, usable_cores()))


@functools.cache
def memory_available() -> int:
    """Bytes of memory that this process may come to use: the machine's, or the container's limit if lower."""
    limits = []
    try:
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        limits.append(4 * GiB)  # a platform that does not say (Windows): a modest laptop
    container = cgroup_memory_limit()
    return min(limits) if container is None else min(*limits, container)


def cgroup_memory_limit(root: str = "/") -> int | None:
    """Bytes of memory that the process's cgroups allow, v2 or v1; None where they set no limit.

    A container sees its own group as the root of the hierarchy; elsewhere the process's group and each above it counts
    (systemd's MemoryMax= of a slice).
    """
    limits = []
    for folder, path, name in _memory_groups(root):
        parts = [part for part in path.split("/") if part and part != ".."]
        for depth in range(len(parts) + 1):
            try:
                with open(os.path.join(folder, *parts[:depth], name), encoding="ascii") as file:
                    text = file.read().strip()
            except OSError:
                continue
            if text.isdigit() and int(text) < NO_LIMIT:
                limits.append(int(text))
    return min(limits, default=None)


def _memory_groups(root: str) -> Iterator[tuple[str, str, str]]:
    """Where hierarchies that may limit memory are mounted, the process's path in each, and the limit's name."""
    mounted = os.path.join(root, "sys/fs/cgroup")
    v2, v1 = "", ""
    try:
        with open(os.path.join(root, "proc/self/cgroup"), encoding="utf-8", errors="replace") as file:
            for line in file:
                _, controllers, path = line.rstrip("\n").split(":", 2)
                if not controllers:
                    v2 = path
                elif "memory" in controllers.split(","):
                    v1 = path
    except (OSError, ValueError):
        pass  # no /proc here: the roots stand
    yield mounted, v2, "memory.max"
    yield os.path.join(mounted, "unified"), v2, "memory.max"  # systemd's hybrid layout
    yield os.path.join(mounted, "memory"), v1, "memory.limit_in_bytes"


def default_memory_limit() -> int:
    """Bytes for all that a client holds: a quarter of what there is, from 256 MiB to 2 GiB.

    2 GiB is what aws-c-s3 itself takes up to 75 Gb/s; downloads into the caller's memory use none of it.
    """
    return max(256 * MiB, min(2 * GiB, memory_available() // 4))


def trim() -> None:
    """Give memory that has been freed and that malloc keeps for later back to the system, where malloc can."""
    import ctypes  # which not every program needs

    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library than glibc has no such function
        ctypes.CDLL(None).malloc_trim(0)


def ca_bundle(verify: bool | str) -> bytes | None:
    """The certificates to trust as PEM, or None for the system's own store."""
    if isinstance(verify, str):
        if os.path.isdir(verify):
            parts = []
            for name in sorted(os.listdir(verify)):
                if name.endswith((".pem", ".crt")):
                    with open(os.path.join(verify, name), "rb") as file:
                        parts.append(file.read())
            return b"\n".join(parts)
        with open(verify, "rb") as file:
            return file.read()
    return None
