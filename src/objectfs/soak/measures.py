"""What is measured of a process, at rest: between two rounds, when nothing is under way, after garbage was collected
and freed memory was given back to the system. What is there then is held by somebody, or in pieces."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from objectfs.backends.machine import trim

MIB = 1 << 20
CORES = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure that must not grow.

    ``room`` is by how much it may rise in the measured time, for the reason in ``why``: the limit of its slope is that,
    divided by the time. So the longer a run is, the slower the growth that it finds.
    """

    name: str
    title: str
    room: float
    why: str
    bytes: bool = False


MEASURES = (
    Measure(
        "rss",
        "Resident memory",
        (48 + 8 * CORES) * MIB,
        "blocks that threads keep for next time, and pieces between what is used",
        True,
    ),
    Measure("native", "Native memory (the C libraries' own)", MIB / 8, "connections that are kept open", True),
    Measure("descriptors", "File descriptors", 24, "connections that are kept open"),
    Measure("threads", "Threads", 10 + CORES, "thread pools that fill when they are used, threads that are ending"),
    Measure("objects", "Python objects known to the garbage collector", 4_000, "caches of botocore and of the library"),
    Measure("blocks", "Blocks of Python's allocator", 24_000, "caches and free lists of the interpreter"),
)
BY_NAME = {measure.name: measure for measure in MEASURES}


@dataclass(frozen=True, slots=True)
class Sample:
    """``time`` is in seconds since the workload began. None is what cannot be measured here."""

    time: float
    operations: int
    rss: int | None
    native: int | None
    descriptors: int | None
    threads: int
    objects: int
    blocks: int


def take(began: float, operations: int) -> Sample:
    """The figures of this process; ``began`` is of ``time.monotonic()``. Garbage is collected first, and what is free
    is given back."""
    gc.collect()
    engine = sys.modules.get("objectfs._native")
    (trim if engine is None else engine.trim)()  # else the figure is the most that the process ever needed
    return Sample(
        time=round(time.monotonic() - began, 3),
        operations=operations,
        rss=rss(),
        native=native(),
        descriptors=descriptors(),
        threads=threads(),
        objects=len(gc.get_objects()),
        blocks=sys.getallocatedblocks() if hasattr(sys, "getallocatedblocks") else 0,
    )


def rss() -> int | None:
    """Bytes of this process that are in memory; None where the system does not say in ``/proc``."""
    with suppress(OSError, ValueError, AttributeError), open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return None


def native() -> int | None:
    """Bytes that the C libraries hold; None where the engine was not loaded, or without its memory tracer."""
    engine = sys.modules.get("objectfs._native")
    count: int | None = engine.debug_outstanding_bytes(0.0) if engine is not None else None
    return count


def descriptors() -> int | None:
    for folder in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return len(os.listdir(folder)) - 1  # without the one that lists them
    return None


def threads() -> int:
    """The C libraries' too, where the system tells them."""
    with suppress(OSError):
        return len(os.listdir("/proc/self/task"))
    return threading.active_count()
