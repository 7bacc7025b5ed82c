"""One budget of memory for everything that runs on a client: docs/design/0012-budget.md.

Whoever holds memory has a :class:`Lease`. It may always have what it needs to go on (:meth:`Lease.force`), takes more
where there is room (:meth:`Lease.take`), and waits for it where it can (:meth:`Lease.ask`).

Nobody waits for what a program may keep. What a wait is for is memory under requests: those end whatever the program
does. When none of them is under way and still there is no room, the first in the queue is let through.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, TypeVar

from objectfs import errors
from objectfs.backends.base import Op, Steps

__all__ = ["Budget", "Lease"]

T = TypeVar("T")

LOOK = 0.05
"""Seconds between two looks of who waits: for Ctrl-C, and at whether anything is still on its way."""

FRESH = 1.0
"""Seconds for which who has just been given memory, or whose request has just ended, counts as under way: a busy
machine takes its time between one request and the next."""

TRIM = 0.2
"""Seconds between two calls of ``trim`` at least."""

SHORT = 1.0
"""Seconds for which those above their share take no more, after one below its share went without."""


class Budget:
    """Bytes that all of one client may hold together. From any thread.

    Args:
        limit: what ``memory_limit`` says.
        apart: bytes of it that are given away for good, by what for: the C library's pool of part buffers, the blocks
            that threads receive into.
        trim: gives memory that has been freed back to the system; called when somebody has to go without.
    """

    def __init__(self, limit: int, trim: Callable[[], None] = lambda: None, **apart: int) -> None:
        self.limit = limit
        self._trim = trim
        self._trimmed = 0.0
        self.apart = apart
        self.room = max(0, limit - sum(apart.values()))
        """Bytes to lend."""
        self._pid = os.getpid()
        # a lease may be dropped, and so give back, by a garbage collection anywhere in here
        self._lock = threading.RLock()
        self._held: Counter[str] = Counter()
        self._holders: Counter[str] = Counter()
        self._total = 0
        self._peak = 0
        self._waits = 0
        self._forced = 0
        self._queue: deque[_Ticket] = deque()
        self._leases: weakref.WeakSet[Lease] = weakref.WeakSet()
        self._still: float | None = None  # since when nothing has been under way
        self._short = 0.0
        self._closed = False

    def lease(self, kind: str) -> Lease:
        """For a new holder of some kind: a name in :meth:`describe`."""
        return Lease(self, kind)

    def lend(self, kind: str, size: int, make: Callable[[Lease], Steps[T]]) -> Steps[T]:
        """The steps that ``make`` makes, with so many bytes for their time."""
        lease = self.lease(kind)
        try:
            gate = lease.ask(size)
            if gate is not None:
                yield gate
            return (yield from lease.during(make(lease)))
        finally:
            lease.close()

    def share(self, kind: str) -> int:
        """Bytes for each holder of a kind, where they have half of the room together."""
        return self.room // 2 // max(1, self._holders[kind])

    def describe(self) -> dict[str, Any]:
        """For ``client.stats()``."""
        with self._lock:
            return {
                "limit": self.limit,
                "apart": dict(self.apart),
                "held": self._total,
                "held_by": {kind: size for kind, size in self._held.items() if size},
                "holders": {kind: count for kind, count in self._holders.items() if count},
                "waiters": len(self._queue),
                "peak": self._peak,
                "waits": self._waits,
                "beyond_limit": self._forced,
            }

    def close(self) -> None:
        """Who waits hears that the client is closed."""
        with self._lock:
            self._closed = True
            queue, self._queue = self._queue, deque()
        for ticket in queue:
            ticket.settle(errors.ClosedError("the client is closed"))

    # -- under the lock ----------------------------------------------------------------------------------------------
    def _grant(self, lease: Lease, size: int) -> None:
        lease.held += size
        lease.since = time.monotonic()
        self._held[lease.kind] += size
        self._total += size
        self._peak = max(self._peak, self._total)

    def _admit(self) -> list[_Ticket]:
        """Who may go on."""
        granted = []
        while self._queue and self._total + self._queue[0].size <= self.room:
            ticket = self._queue.popleft()
            self._grant(ticket.lease, ticket.size)
            granted.append(ticket)
        return granted

    def tight(self) -> None:
        """Somebody went without: what has been given back shall not lie about in the allocator."""
        now = time.monotonic()
        if now - self._trimmed >= TRIM:
            self._trimmed = now
            self._trim()

    # -- for leases and tickets --------------------------------------------------------------------------------------
    def _give(self, lease: Lease, size: int) -> None:
        with self._lock:
            lease.held -= size
            self._held[lease.kind] -= size
            self._total -= size
            self._still = None
            granted = self._admit()
        for ticket in granted:
            ticket.settle(None)

    def look(self) -> None:
        """By who waits: see whether there is room, or never will be."""
        with self._lock:
            granted = self._admit()
            if not self._queue or any(lease.moves() for lease in tuple(self._leases)):
                self._still = None
            elif self._still is None:
                self._still = time.monotonic()
            elif time.monotonic() - self._still >= LOOK:
                self._still = None
                ticket = self._queue.popleft()
                self._forced += 1
                self._grant(ticket.lease, ticket.size)
                granted.append(ticket)
        for ticket in granted:
            ticket.settle(None)

    def _withdraw(self, ticket: _Ticket) -> None:
        with self._lock:
            with contextlib.suppress(ValueError):
                self._queue.remove(ticket)
            granted = self._admit()
        for other in granted:
            other.settle(None)


class Lease:
    """What one holder has of a budget. For one thread at a time; dropped, it gives everything back."""

    __slots__ = ("__weakref__", "_budget", "held", "kind", "ops", "since")

    def __init__(self, budget: Budget, kind: str) -> None:
        self._budget = budget
        self.kind = kind
        self.held = 0
        """Bytes."""
        self.ops: list[Op[Any]] = []
        """Under way, and the end of each will give memory back."""
        self.since = 0.0
        with budget._lock:
            budget._holders[kind] += 1
            budget._leases.add(self)

    def moves(self) -> bool:
        """Whether it will give something back whatever the program does."""
        if not self.held:
            return False
        return time.monotonic() - self.since < FRESH or any(not op.done() for op in tuple(self.ops))

    def take(self, size: int) -> bool:
        """Have so many bytes more if there is room and nobody waits. An eighth of the room is left to those who must
        have something."""
        budget = self._budget
        with budget._lock:
            if not budget._queue and budget._total + size <= budget.room - budget.room // 8:
                budget._grant(self, size)
                return True
        budget.tight()
        return False

    def take_ahead(self, size: int) -> bool:
        """The same for what may never be wanted: all holders of the kind have half of the room, and where that is
        short, each no more than its share."""
        budget = self._budget
        with budget._lock:
            mine = self.held + size <= budget.share(self.kind)
            if not mine and time.monotonic() < budget._short:
                return False
            if budget._held[self.kind] + size <= budget.room // 2 and self.take(size):
                return True
            if mine:
                budget._short = time.monotonic() + SHORT
            return False

    def force(self, size: int) -> None:
        """Have so many bytes more in any case: what a holder cannot go on without."""
        budget = self._budget
        with budget._lock:
            if budget._total + size > budget.room:
                budget._forced += 1
            budget._grant(self, size)

    def ask(self, size: int) -> Op[None] | None:
        """Have so many bytes more when it is this one's turn. None: it has them; else an operation to yield first.

        Raises:
            ClosedError: the client is closed.
        """
        budget = self._budget
        if budget._pid != os.getpid():
            raise errors.ClosedError("the client belongs to the process that this one was forked from")
        with budget._lock:
            if budget._closed:
                raise errors.ClosedError("the client is closed")
            if not budget._queue and budget._total + size <= budget.room:
                budget._grant(self, size)
                return None
            budget._waits += 1
            ticket = _Ticket(budget, self, size)
            budget._queue.append(ticket)
        budget.tight()
        budget.look()
        return ticket

    def give(self, size: int) -> None:
        """Have so many bytes less."""
        if size and self._budget._pid == os.getpid():  # else it is the parent's
            self._budget._give(self, size)

    def clear(self) -> None:
        """Give all back."""
        self.give(self.held)

    def close(self) -> None:
        """Give all back. Once only, and nothing after it."""
        self.ops.clear()
        budget = self._budget
        if self.kind and budget._pid == os.getpid():
            with budget._lock:
                kind, size, self.kind = self.kind, self.held, ""
                budget._holders[kind] -= 1
                if size:
                    self.held = 0
                    budget._held[kind] -= size
                    budget._total -= size
                budget._still = None
                granted = budget._admit()
            for ticket in granted:
                ticket.settle(None)

    def __del__(self) -> None:
        if getattr(self, "kind", ""):
            self.close()

    def watch(self, op: Op[Any]) -> None:
        """An operation whose end will give memory back has begun."""
        self.ops.append(op)

    def unwatch(self, op: Op[Any]) -> None:
        """It has ended."""
        with contextlib.suppress(ValueError):
            self.ops.remove(op)
        self.since = time.monotonic()

    def during(self, steps: Steps[T]) -> Steps[T]:
        """Steps whose operations all count as under way."""
        op: Op[Any] | None = None
        try:
            op = next(steps)
            while True:
                self.watch(op)
                try:
                    value = yield op
                except GeneratorExit:
                    steps.close()
                    raise
                except BaseException as error:
                    self.unwatch(op)
                    op = steps.throw(error)
                else:
                    self.unwatch(op)
                    op = steps.send(value)
        except StopIteration as stop:
            result: T = stop.value
            return result


class _Ticket:
    """A place in the queue: an operation that is done when there is room."""

    __slots__ = ("_budget", "_calls", "_error", "_event", "lease", "size")

    def __init__(self, budget: Budget, lease: Lease, size: int) -> None:
        self._budget = budget
        self.lease, self.size = lease, size
        self._event = threading.Event()
        self._error: Exception | None = None
        self._calls: list[Callable[[], None]] = []

    def settle(self, error: Exception | None) -> None:
        """It has its memory, or will not get any."""
        with self._budget._lock:
            if self._event.is_set():
                return
            self._error = error
            self._event.set()
            calls, self._calls = self._calls, []
        for call in calls:
            call()

    def wait(self, timeout: float | None = None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = LOOK if deadline is None else min(LOOK, deadline - time.monotonic())
            if self._event.wait(max(0.0, left)):
                return True
            self._budget.look()
            if deadline is not None and time.monotonic() >= deadline:
                return self._event.is_set()

    def done(self) -> bool:
        return self._event.is_set()

    def result(self) -> None:
        if not self._event.is_set():
            raise RuntimeError("the operation is not done")
        if self._error is not None:
            raise self._error

    def cancel(self, force: bool = False) -> None:
        self._budget._withdraw(self)
        self.settle(errors.CancelledError("the operation was cancelled"))

    def when_done(self, callback: Callable[[], None]) -> bool:
        """Have ``callback`` called by whoever makes room; False if there is some already."""
        with self._budget._lock:
            if self._event.is_set():
                return False
            self._calls.append(callback)
            return True

    def future(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        future: asyncio.Future[None] = loop.create_future()

        def resolve() -> None:
            if not future.done():
                future.set_result(None)

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(resolve)

        def look() -> None:
            if not future.done():
                self._budget.look()
                loop.call_later(LOOK, look)

        if self.when_done(tell):
            look()
        else:
            resolve()
        return future

    @property
    def transferred(self) -> int:
        return 0
