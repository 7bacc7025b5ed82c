"""That the memory which a run will take is there."""

from __future__ import annotations

import contextlib
import errno
import mmap

from objectfs.backends.machine import cgroup_memory_limit

SHARE = 3
"""Times what a run moves: the client that takes most has it two and a half times, and a file once more."""

_PAGE = 4096
_POPULATE_WRITE = 23  # of madvise(2), Linux 5.14; Python has no name for it


def unused() -> int:
    """Bytes of memory that nobody uses, not even the page cache; 0 where the system does not tell."""
    with contextlib.suppress(OSError), open("/proc/meminfo") as file:
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith("MemFree:")), 0)
    return 0


def provide(moved: int) -> int:
    """Touch and give back as much memory as a run that moves ``moved`` bytes may take; how many bytes that was.

    A virtual machine tells its host which pages are free (free page reporting), and the host takes them: who touches
    them next waits for it, for up to 1.1 s a GiB of its processor time. Whom that hits is chance. A page that has been
    touched a moment ago is there. Never more than half of what nobody uses, so nothing has to make room, and an
    eighth of what a container may have: docs/design/0013-bench.md.
    """
    limit = cgroup_memory_limit()
    size = min(SHARE * moved, unused() // 2, *([] if limit is None else [limit // 8])) // _PAGE * _PAGE
    if not size:
        return 0
    try:
        # mypy sees the platform that it runs on; where these names are missing, nobody tells what is unused
        with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
            with contextlib.suppress(OSError):
                memory.madvise(mmap.MADV_HUGEPAGE)
            _touch(memory, size)
    except OSError:
        return 0  # no room for it: then it is not there, as before
    return size


def _touch(memory: mmap.mmap, size: int) -> None:
    try:
        memory.madvise(_POPULATE_WRITE)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        memory[::_PAGE] = bytes(size // _PAGE)  # an older kernel
