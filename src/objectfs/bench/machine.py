"""Where a run is made, and from which source."""

from __future__ import annotations

import os
import platform
import subprocess
from contextlib import suppress
from pathlib import Path

from objectfs.bench.results import Machine


def machine() -> Machine:
    model = platform.processor() or platform.machine()
    with suppress(OSError), open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), model)
    return Machine(
        cpu=model,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory=_memory(),
        kernel=platform.release(),
        python=platform.python_version(),
        platform=platform.platform(),
    )


def _memory() -> int:
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 0


def commit() -> str | None:
    """Of the checkout that the working directory is in, with ``+`` where it is changed; None where there is none.

    ``OBJECTFS_BENCH_COMMIT`` is taken instead where it is set.
    """
    given = os.environ.get("OBJECTFS_BENCH_COMMIT")
    if given:
        return given
    here = Path.cwd()
    if not any((folder / ".git").exists() for folder in (here, *here.parents)):
        return None
    with suppress(OSError, subprocess.SubprocessError):
        name = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout.strip()
        return f"{name}+" if changed else name
    return None
