"""How many connections a large transfer uses, and in parts of what size: what the engine's transfers have told.

The C library keeps to a plan: so many connections, parts of one size. What is best depends on the network (how long a
first byte takes, what one connection carries) and on the processor, so each endpoint's engine learns it. See
docs/design/0015-pace.md.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from objectfs.backends.crt_late import Lateness
from objectfs.backends.crt_lessons import LONGEST_HOLD, Lesson, Lessons
from objectfs.backends.crt_network import BUSY, Network

__all__ = ["Pace", "Paces", "Plan"]

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

LOADED = 0.75
"""Of one core's time, by one connection alone: the wait for its first byte is part of the rest."""

IDLE = 0.6
"""Of the cores' time: below it something else is, and more connections may bring more."""

WORSE = 0.9
"""Of the rate with all connections: below it, few are too few."""

BETTER = 1.1
"""Of the rate with fewer connections: from it on more of them were worth it."""

STEP = 2
"""So many times the connections at least: twice as many may bring 20 % where they cannot bring twice as much."""

LEAP = 4
"""So many times the connections at most: as many as would keep the processor busy, if each brought as much as these."""

FEWEST = 4
"""Connections that are left however often an endpoint says SlowDown."""


@dataclass(slots=True)
class Plan:
    """Of one transfer."""

    size: int
    """Bytes; to be set to those that there were, where they can be fewer than was asked for."""
    connections: int
    part_size: int
    busy: float = 0.0
    """Of the time of all cores, what the process has used when it is over."""


@dataclass
class Pace:
    """What the transfers of one kind have told: downloads to memory, downloads to files, or uploads of one engine.

    A transfer tells when it ran alone and was long enough. Where the network was the limit, the next one has as many
    connections as the processor seems good for, and keeps them if that brings something. Where the processor was, they
    stay as they are, or become few if ``narrows``, until that costs throughput (then it is not tried again for a while,
    longer each time) or the processor is not the limit any more. Where the endpoint said SlowDown they are halved.
    """

    start: int
    """Connections to begin with."""
    most: int
    cores: int
    part_size: int
    adapts: bool = True
    narrows: bool = False

    def __post_init__(self) -> None:
        self.most = max(self.most, self.start)
        self.wide = self.start
        self.narrow = False
        self._lock = threading.Lock()
        self._running = 0
        self._overlapped = False
        self._rate = 0.0  # before it became narrow
        self._before = 0.0  # the rate with fewer connections, while it is not known whether more are better
        self._narrower = self.wide  # so many
        self._fresh = True  # connections have to be made, and to get up to speed: the next transfer tells
        self._narrowing = _Hold()
        self._climbing = _Hold()
        self.told_at = 0.0
        """When a transfer has told anything, in seconds since 1970; 0: none has since this was made."""

    @property
    def connections(self) -> int:
        """Of the next transfer, if nothing speaks against it."""
        return min(self.wide, NARROW) if self.narrow else self.wide

    @contextlib.contextmanager
    def transfer(
        self, size: int, single: float = 0.0, load: float = 0.0, slowed: Callable[[], int] = int
    ) -> Iterator[Plan]:
        """For the time of a transfer of ``size`` bytes: the connections that it may use.

        ``single``: bytes a second that one connection has just carried; 0 if nobody knows. ``load``: seconds of
        processor time that this process used in each second of it. ``slowed``: how often the endpoint said SlowDown.
        """
        with self._lock:
            self._running += 1
            self._overlapped = self._overlapped or self._running > 1
            plan = Plan(size, self._choose(single, load), self.part_size)
        refused, wall, cpu = slowed(), time.perf_counter(), time.process_time()
        complete = False
        try:
            yield plan
            complete = True
        finally:
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            plan.busy = cpu / wall / self.cores if wall > 0 else 0.0
            with self._lock:
                self._running -= 1
                alone = not self._overlapped
                if self._running == 0:
                    self._overlapped = False
                if self.adapts and slowed() > refused:
                    self.slow_down()
                elif complete and alone and self.adapts and plan.size >= self.wide * self.part_size and wall > 0:
                    self.told(plan.size / wall, plan.busy, plan.connections)

    def _choose(self, single: float, load: float) -> int:
        if not self.adapts or not self.narrows:
            return self.wide
        if not self._overlapped and not self._narrowing.left and load >= LOADED and single >= FAST:
            return min(self.wide, NARROWEST * self.cores)  # already the first: one connection has kept a core busy
        if self.narrow and single > 0:
            return max(NARROWEST, min(self.wide, math.ceil(SPARE * self._rate / single)))
        return self.connections

    def told(self, rate: float, busy: float, used: int) -> None:
        """What a transfer came to: bytes a second, its part of the time of all cores, and its connections."""
        self.told_at = time.time()
        if self.narrow:
            if rate < self._rate * WORSE:
                self.narrow = False
                if busy < IDLE:
                    self._narrowing.again()
                # else the processor has become slower, or has other things to do: judge anew
            elif busy < IDLE:
                self.narrow = False
            return
        held = self.narrows and self._narrowing.passes()
        if busy >= BUSY:
            self._before = 0.0
            if self.narrows and not held and self.wide > NARROW:
                self._rate = rate
                self.narrow = True
        elif used < self.wide:
            self._narrowing.again()  # one connection kept a core busy, few did not keep all of them so
        else:
            self._climb(rate, busy)

    def _climb(self, rate: float, busy: float) -> None:
        fresh, self._fresh = self._fresh, False
        if self._before:
            if rate < self._before * BETTER:
                if fresh:
                    return
                self.wide, self._before = self._narrower, 0.0
                self._climbing.again()
                return
            self._before = 0.0
        elif fresh or self._climbing.passes():  # or any number would be better than the first one
            return
        if self.wide < self.most:
            self._before, self._narrower, self._fresh = rate, self.wide, True
            step = min(LEAP, max(STEP, BUSY / max(busy, 0.01)))
            self.wide = min(math.ceil(self.wide * step), self.most)

    def lesson(self) -> Lesson | None:
        """None if nothing is learned, or was told: what was set by the user is no lesson."""
        if not self.adapts or not self.told_at:
            return None
        with self._lock:
            return Lesson(
                saved=round(self.told_at),
                connections=self.wide,
                before=self._narrower,
                rate=self._before,
                fresh=self._fresh,
                held=self._climbing.left,
                hold=self._climbing.length,
            )

    def recall(self, told: Lesson) -> None:
        """Go on where another process stopped, within the bounds of this one. Not with fewer connections than a process
        begins with: that an endpoint was asked for too much is its state of that hour."""
        if not self.adapts:
            return
        with self._lock:
            self.wide, self._narrower = (
                max(self.start, min(connections, self.most)) for connections in (told.connections, told.before)
            )
            self._fresh = told.fresh
            if self._narrower < self.wide:
                self._before = told.rate
            self._climbing = _Hold(told.held, told.hold)

    def slow_down(self) -> None:
        """The endpoint asks for less."""
        self.wide = max(min(FEWEST, self.wide), self.wide // 2)
        self._before = 0.0
        self._climbing.again()


class _Hold:
    """Transfers for which something that did not pay is not tried again: 4, and twice as many each time."""

    def __init__(self, left: int = 0, length: int = 2) -> None:
        self.left = left
        self.length = length

    def again(self) -> None:
        if not self.left:  # one that failed again after it, not several failures at once
            self.length = min(2 * self.length, LONGEST_HOLD)
        self.left = self.length

    def passes(self) -> bool:
        """Whether this transfer still counts as one of them."""
        if self.left:
            self.left -= 1
            return True
        return False


class Paces:
    """Of one engine."""

    def __init__(
        self,
        engine: Any,
        *,
        down: int,
        up: int,
        most: int,
        cores: int,
        part_size: int,
        connections_adapt: bool,
        parts_adapt: bool,
        hedges: bool,
    ) -> None:
        self._engine = engine
        self.network = Network(
            lambda: engine.pace,
            lambda: engine.alone,
            lambda: (engine.first_waits, engine.waits),
            lambda: engine.bandwidth,
        )
        self.late = Lateness(engine, hedges, self.network)
        self.filled = False
        """Whether the last object that was read into memory of the caller's was as large as that."""
        self.large = ""
        """The bucket whose last object was larger than a part."""
        self.crc: str | None = ""
        """The CRC that the last large object's checksum was; None: it had none; "": it was another, or nobody knows."""
        self.batch: tuple[str, Any] = ("", None)
        """The last large batch's bucket, and the memory that suits each of its objects (``crt_batch.Room``); None if
        nobody knows."""
        self.place = ""
        """The endpoint's name for those who keep the lessons."""
        self._parts_adapt = parts_adapt
        common: dict[str, Any] = {"most": most, "cores": cores, "part_size": part_size, "adapts": connections_adapt}
        self.memory = Pace(down, **common)
        self.files = Pace(down, narrows=True, **common)
        self.far_files = Pace(down, **common)  # whose connections carry too little for few of them to be enough
        self.uploads = Pace(up, **common)
        self.part_size = part_size

    @contextlib.contextmanager
    def download(self, size: int) -> Iterator[Plan]:
        """Of so many bytes, to memory."""
        bandwidth = self._engine.bandwidth
        with self.memory.transfer(size, slowed=self.network.slowed) as plan:
            if self._parts_adapt:
                plan.part_size = self.network.part(size, plan.connections, self.part_size)
            yield plan
        self._look(plan.busy, bandwidth)

    def _look(self, busy: float, bandwidth: float) -> None:
        """``bandwidth``: as it was known before."""
        self.network.look(busy)
        self.late.transferred(busy >= BUSY)
        if busy >= IDLE:  # what was measured is the processor's, and not the network's
            self._engine.bandwidth = bandwidth

    @contextlib.contextmanager
    def to_file(self, size: int, single: float, load: float) -> Iterator[Plan]:
        """``single`` and ``load``: as :meth:`Pace.transfer` takes them."""
        pace = self.far_files if self.network.far else self.files
        bandwidth = self._engine.bandwidth
        with pace.transfer(size, single, load, self.network.slowed) as plan:
            # few connections: the processor is the limit, to which each request is work
            if self._parts_adapt and plan.connections >= self.files.start:
                plan.part_size = self.network.part(size, plan.connections, self.part_size)
            yield plan
        self._look(plan.busy, bandwidth)

    @contextlib.contextmanager
    def upload(self, size: int) -> Iterator[Plan]:
        with self.uploads.transfer(size, slowed=self.network.slowed) as plan:
            yield plan

    def lessons(self) -> Lessons:
        """What this process has learned, for the next one."""
        download, download_to_file, upload = (pace.lesson() for pace in self._kept())
        return Lessons(
            network=self.network.lesson(), download=download, download_to_file=download_to_file, upload=upload
        )

    def recall(self, told: Lessons) -> None:
        """What the last process has learned."""
        if told.network is not None:
            self.network.recall(told.network)
            self._engine.bandwidth = told.network.bandwidth
        for pace, lesson in zip(self._kept(), (told.download, told.download_to_file, told.upload), strict=True):
            if lesson is not None:
                pace.recall(lesson)

    def _kept(self) -> tuple[Pace, ...]:
        """``files`` are not: there the processor is the limit, and one transfer tells."""
        return self.memory, self.far_files, self.uploads

    def describe(self) -> dict[str, Any]:
        """For ``stats()``: connections of the next transfer of each kind, and what the network is like, in seconds and
        bytes a second (None before anybody knows); what a new connection costs; when an answer counts as late, and
        (second requests that were sent, those that were faster); bytes a second of a connection, and of all at once."""
        return {
            "download": self.memory.connections,
            "download_to_file": (self.far_files if self.network.far else self.files).connections,
            "upload": self.uploads.connections,
            "first_byte": self.network.latency or None,
            "connecting": self.network.connecting or None,
            "late": self.late.after() or None,
            "hedged": self.late.hedged,
            "connection_rate": self.network.carries or None,
            "bandwidth": self._engine.bandwidth or None,
        }
