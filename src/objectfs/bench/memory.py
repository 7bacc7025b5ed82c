"""The memory of a run: how much was resident at most, and that what it will take is there."""

from __future__ import annotations

import contextlib
import mmap
import resource
import sys

#: Of what a run moves. The client that takes most has it two and a half times, and a file once more.
SHARE = 3
_PAGE = 4096
_POPULATE_WRITE = 23  # of madvise(2), Linux 5.14; Python has no name for it


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


def available() -> int | None:
    """Bytes that processes can get without swapping; None where the system does not tell."""
    with contextlib.suppress(OSError), open("/proc/meminfo") as file:
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable:")), None)
    return None


def provide(moved: int) -> int:
    """Touch and give back as much memory as a run that moves ``moved`` bytes may take; how many bytes that was.

    A virtual machine gives free pages back to its host (free page reporting), which takes them from then on as if they
    had never been used: who touches them next waits for the host, 0.2 s to 1.1 s a GiB of its processor time. Whom that
    hits is chance. A page that has been touched a moment ago is there. Nothing is done where the system does not tell
    how much memory it has, and never more than half of what is available.
    """
    size = min(SHARE * moved, (available() or 0) // 2) // _PAGE * _PAGE
    if not size:
        return 0
    # mypy sees the platform that it runs on; where these names are missing, so is /proc/meminfo.
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        with contextlib.suppress(OSError, AttributeError):
            memory.madvise(mmap.MADV_HUGEPAGE)
        try:
            memory.madvise(_POPULATE_WRITE)
        except OSError:  # an older kernel
            memory[::_PAGE] = bytes(size // _PAGE)
    return size
