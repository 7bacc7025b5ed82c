"""How much memory a run had resident at most. Imported by workers: see :mod:`objectfs.bench.pages` for the runner's."""

from __future__ import annotations

import contextlib
import resource
import sys


def peak_rss() -> int:
    """Bytes of memory that this process or a child of it had resident at most.

    ``ru_maxrss`` of this process would also count what the parent had when it forked.
    """
    own = 0
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        own = next((int(line.split()[1]) for line in file if line.startswith("VmHWM:")), 0) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    if not own:
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit)


def forget_peak() -> None:
    """From now on, where the system can do that: what was needed to prepare and to compare does not count."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")
