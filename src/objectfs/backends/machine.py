"""What this machine allows: cores, memory, certificates. Read once, where a default depends on it."""

from __future__ import annotations

import functools
import os

__all__ = ["ca_bundle", "default_memory_limit", "event_loops", "memory_available", "usable_cores"]

MiB = 1024 * 1024
GiB = 1024 * MiB


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
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path, encoding="ascii") as file:
                text = file.read().strip()
            if text.isdigit():
                limits.append(int(text))
        except OSError:
            continue
    return min(limits)


def default_memory_limit() -> int:
    """Bytes for the engine's part buffers: a quarter of what there is, from 256 MiB to 2 GiB.

    2 GiB is what aws-c-s3 itself takes up to 75 Gb/s; downloads into the caller's memory use none of it.
    """
    return max(256 * MiB, min(2 * GiB, memory_available() // 4))


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
