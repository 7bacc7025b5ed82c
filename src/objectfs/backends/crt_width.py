"""How many connections a download to a file uses: as many as the network wants, or as few as the processor does."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Width"]

NARROW = 8
"""Connections where the processor is the limit, and nobody knows what one of them carries. What waits in the sockets
then fits into its cache (docs/design/0005-cpu.md)."""

NARROWEST = 2
"""Of each core: where one connection alone keeps a core busy, the second one is for its pauses."""

FAST = 250e6
"""Bytes a second of a connection: S3's carry 90 MB/s, and what carries so much more comes from near enough for the
processor to be the limit. (Below it a busy processor may be busy with something else.)"""

SPARE = 1.25
"""So much more than the processor's rate the connections must be able to carry."""

BUSY = 0.85
"""Of the cores' time: from here on the processor is the limit."""

LOADED = 0.75
"""Of one core's time, by one connection alone: the wait for its first byte is part of the rest."""

IDLE = 0.6
"""Of the cores' time: below it something else is, and more connections may bring more."""

WORSE = 0.9
"""Of the rate with all connections: below it, few are too few."""

LONGEST_HOLD = 64


@dataclass
class Width:
    """What the transfers of an engine have told.

    A transfer tells when it ran alone and was long enough. The next one is narrow if this one kept the processor busy,
    and wide again if being narrow cost throughput (then narrow is not tried again for a while, longer each time) or
    if the processor was not the limit any more.
    """

    wide: int
    """Connections of a transfer that the network limits."""
    cores: int
    long_enough: int
    """Bytes of a transfer that tells something: each connection has carried a part or more."""
    adapts: bool = True

    def __post_init__(self) -> None:
        self.connections = self.wide
        self.few = min(self.wide, NARROWEST * self.cores)
        self._lock = threading.Lock()
        self._running = 0
        self._overlapped = False
        self._rate = 0.0
        self._hold = 0
        self._next_hold = 4
        self.adapts = self.adapts and self.wide > NARROW

    @contextlib.contextmanager
    def transfer(self, size: int, single: float = 0.0, load: float = 0.0) -> Iterator[int]:
        """For the time of a transfer of ``size`` bytes: the connections that it may use.

        ``single``: bytes a second that one connection has just carried; 0 if nobody knows. ``load``: seconds of
        processor time that this process used in each second of it.
        """
        with self._lock:
            self._running += 1
            self._overlapped = self._overlapped or self._running > 1
            connections = self.connections
            if self.adapts and not self._overlapped and not self._hold and load >= LOADED and single >= FAST:
                connections = self.few  # already the first transfer: one connection has kept a core busy
            elif connections < self.wide and single > 0:
                connections = max(NARROWEST, min(self.wide, math.ceil(SPARE * self._rate / single)))
        wall, cpu = time.perf_counter(), time.process_time()
        complete = False
        try:
            yield connections
            complete = True
        finally:
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            with self._lock:
                self._running -= 1
                alone = not self._overlapped
                if self._running == 0:
                    self._overlapped = False
                if complete and alone and self.adapts and size >= self.long_enough and wall > 0:
                    self.told(size / wall, cpu / wall / self.cores, connections)

    def told(self, rate: float, busy: float, used: int) -> None:
        """What a transfer came to: bytes a second, its part of the time of all cores, and its connections."""
        if self.connections == self.wide:
            if self._hold:
                self._hold -= 1
            elif busy >= BUSY:
                self._rate = rate
                self.connections = NARROW
            elif used < self.wide:
                self._hold_off()  # one connection kept a core busy, few did not keep all of them so
        elif rate < self._rate * WORSE:
            self.connections = self.wide
            if busy < IDLE:
                self._hold_off()
            # else the processor has become slower, or has other things to do: judge anew
        elif busy < IDLE:
            self.connections = self.wide

    def _hold_off(self) -> None:
        self._hold = self._next_hold
        self._next_hold = min(2 * self._next_hold, LONGEST_HOLD)
