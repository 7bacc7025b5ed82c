"""What the network between an engine and its endpoint is like, by the ranges of parallel downloads and by requests that
had the server for themselves. See docs/design/0015-pace.md.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from objectfs.backends.crt_lessons import Link
from objectfs.backends.crt_waits import connecting

__all__ = ["BUSY", "Network"]

MiB = 1024 * 1024

BUSY = 0.85
"""Of the cores' time: from here on the processor is the limit."""

LEAST_PART = MiB
"""Of a download. A request costs as much processor time as half a MiB of content."""

FAR = 0.002
"""Seconds to a first byte: on the machine itself it is a tenth of that, in S3 Express twice as much."""

DISTANT = 0.008
"""Likewise: three answers at once bring the first of them ten milliseconds sooner where one takes thirty, as from S3,
and are only more work for a server in the same room, which may read some MiB before it begins to answer."""

FRESH = 0.5
"""Weight of the last transfer's times beside those of all before it."""


class Network:
    """Of one engine."""

    def __init__(
        self,
        sums: Callable[[], tuple[int, int, int, int, int]],
        alone: Callable[[], list[int]] = list,
        waits: Callable[[], tuple[list[int], list[int]]] = lambda: ([], []),
        bandwidth: Callable[[], float] = float,
    ) -> None:
        """All from the engine: ``pace``, ``alone``, (``first_waits``, ``waits``), and ``bandwidth``."""
        self._sums = sums
        self._alone = alone
        self._waits = waits
        self._bandwidth = bandwidth
        self._alone_before = 0.0  # in another process
        self._connecting_before = 0.0  # likewise
        self._seen = (0, 0, 0, 0, 0)
        self._lock = threading.Lock()
        self.latency = 0.0
        """Seconds to the first byte; 0 before anybody knows."""
        self.carries = 0.0
        """Bytes a second of a connection, once they come; likewise."""
        self._doubtful = False
        self._recalled = False
        self.seen = 0.0
        """When it was last measured, in seconds since 1970."""

    @property
    def alone(self) -> float:
        """Seconds to the first byte of an answer while nothing else was asked for: the lower median of the last few; 0
        before anybody knows."""
        waits = sorted(self._alone())
        return waits[(len(waits) - 1) // 2] / 1e9 if waits else self._alone_before

    @property
    def near(self) -> bool:
        """Whether answers come at once, except those that wait for others."""
        return 0 < self.alone < FAR

    @property
    def far(self) -> bool:
        """Whether it pays to save a round trip. Where answers wait for each other, more requests at a time would only
        wait longer."""
        return self.latency >= FAR and not self.near

    @property
    def distant(self) -> bool:
        """Whether it pays to ask for the same several times at once, if little is asked for."""
        return (self.alone or self.latency) >= DISTANT

    @property
    def connecting(self) -> float:
        """Seconds that a new connection costs its first request; 0 before anybody knows."""
        found = connecting(*self._waits())
        return self._connecting_before if found is None else found

    def forget_connecting(self) -> None:
        """What another process has told of it; the engine forgets what this one has."""
        self._connecting_before = 0.0

    @property
    def slowness(self) -> float:
        """Seconds that a connection takes for a byte, and half as long again; 0 before anybody knows."""
        return 1.5 / self.carries if self.carries else 0.0

    def slowed(self) -> int:
        return self._sums()[4]

    def look(self, busy: float) -> None:
        """At a transfer that is over, in which the processor was so busy: where that was the limit, answers have waited
        for it, and tell little of the network."""
        with self._lock:
            now = self._sums()
            answers, size, waited, received = (now[i] - self._seen[i] for i in range(4))
            if not answers or received <= 0:
                return
            self._seen = now
            latency, carries = waited / answers / 1e9, size / received * 1e9
            if busy >= BUSY and self.carries and not self._recalled:
                return
            self._recalled = False
            doubtful, self._doubtful = self._doubtful, busy >= BUSY
            if self.carries and not doubtful:
                latency = FRESH * latency + (1 - FRESH) * self.latency
                carries = FRESH * carries + (1 - FRESH) * self.carries
            self.latency, self.carries = latency, carries
            self.seen = time.time()

    def lesson(self) -> Link | None:
        """None if nothing was measured in this process."""
        with self._lock:
            if not self.seen:
                return None
            return Link(
                saved=round(self.seen),
                first_byte=self.latency,
                connection_rate=self.carries,
                alone=self.alone,
                connecting=self.connecting,
                bandwidth=self._bandwidth(),
            )

    def recall(self, told: Link) -> None:
        """What another process has measured, until this one has."""
        with self._lock:
            if told.first_byte and told.connection_rate:
                self.latency, self.carries = told.first_byte, told.connection_rate
                self._alone_before = told.alone
                self._connecting_before = told.connecting
                self._doubtful = self._recalled = True

    def part(self, size: int, connections: int, most: int) -> int:
        """Bytes of the parts of such a download: no more than leave all connections something to do, but so many that
        a connection receives at least as long as it waits. From far away, a large one has as many for each of them."""
        if not self.carries:
            return most
        if size >= connections * most:
            rounds = math.ceil(size / (connections * most))
            return _rounded(size / (connections * rounds), most) if self.far else most
        worth = self.latency * self.carries
        wanted = max(size / connections, worth, LEAST_PART)
        return _rounded(wanted, most)


def _rounded(wanted: float, most: int) -> int:
    """Up to whole 64 KiB, but no more than ``most``."""
    return min(most, math.ceil(wanted / 65536) * 65536)
