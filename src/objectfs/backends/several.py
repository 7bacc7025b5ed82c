"""Verbs side by side: their results as they come, within a bounded memory.

The verbs are as everywhere generators (see ``base.py``); :class:`Several` drives many of them, and is itself driven by
one who blocks or one who awaits. It starts what memory and number allow, and nothing starts while nobody asks for
results: that is the backpressure.

Memory is reserved before a verb begins and counted until its result has been handed over. How large an object is, only
its first answer tells. So a verb is lent ``room`` bytes to begin with, has to :meth:`~Admission.ask` before it takes
more, and waits where there is none. An object that fits into no memory is let through when nothing else runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from objectfs import errors
from objectfs.backends import started
from objectfs.backends.base import Admission, Op, Steps
from objectfs.backends.bell import Bell
from objectfs.backends.budget import Budget

__all__ = ["MEMORY", "Job", "Several"]

T = TypeVar("T")
L = TypeVar("L")

MEMORY = 128 * 1024 * 1024
"""Bytes under way and not yet handed over, if not said otherwise: at 30 ms to the first byte enough for 4 GB/s."""

LEAST_ROOM = 64 * 1024
"""Bytes that a verb of unknown size is lent at least: less would make two requests of most objects."""

RECENT = 32
"""Results whose sizes say what the next ones will be."""

LOOK = 0.05
"""Seconds between two looks where nothing rings: for Ctrl-C, and after the client has been closed by another thread."""

STOP_GRACE = 0.1
"""Seconds that what was abandoned is waited for: as for any call that is interrupted (``drive.py``)."""


@dataclass(slots=True)
class Job(Generic[L, T]):
    """A verb that is to run."""

    label: L
    make: Callable[[Admission], Steps[T]]
    room: int | None = None
    """Bytes that it needs; None where its first answer will tell."""


class Several(Generic[L, T]):
    """Verbs under way. For one thread at a time.

    Args:
        jobs: what to run; None in place of one: there is none now, but there will be.
        make_bell: what tells a blocked thread of ends.
        budget: the client's, from which all memory is taken.
        memory, most: bytes reserved, and verbs under way, at most.
        ordered: results in the order of the jobs.
        weigh: bytes of a result that wait for whoever takes it.
        counts: somebody wants to see progress within an operation, which costs a look at each.
    """

    def __init__(
        self,
        jobs: Iterator[Job[L, T] | None],
        make_bell: Callable[[], Bell],
        *,
        budget: Budget,
        memory: int,
        most: int,
        ordered: bool,
        weigh: Callable[[T], int],
        counts: bool = False,
    ) -> None:
        self._counts = counts
        self._jobs = jobs
        self._make_bell = make_bell
        self._bell: Bell | None = None
        self._memory, self._most, self._ordered, self._weigh = memory, most, ordered, weigh
        self._members: dict[_Member, None] = {}  # in the order of their jobs
        self._unheard: list[_Member] = []  # whose present operation nobody listens to yet
        self._by_op: dict[Any, _Member] = {}
        self._ended: deque[_Member] = deque()
        self._waiting: deque[_Member] = deque()  # for memory
        self._ready: dict[int, tuple[L, T | Exception, int]] = {}
        self._next = 0  # the job whose result is due, where they are ordered
        self._started = 0
        self._held: Job[L, T] | None = None
        self._more = True
        self._failure: Exception | None = None
        self._used = 0
        self._lease = budget.lease("iterators")
        self._recent: deque[int] = deque(maxlen=RECENT)
        self._draining = False
        self._moved = 0  # by operations that have ended
        self.seen = 0  # of what has been moved, by who drives this
        self.wake: asyncio.Future[None] | None = None

    # -- for drivers -------------------------------------------------------------------------------------------------
    def take(self) -> tuple[L, T | Exception] | None:
        """A result, if there is one now."""
        index = self._next if self._ordered else next(iter(self._ready), -1)
        found = self._ready.pop(index, None)
        if found is None:
            return None
        self._next += 1
        self._used -= found[2]
        self._lease.give(found[2])
        self._admit()
        self._fill()
        return found[0], found[1]

    def wait(self) -> Steps[bool]:
        """Wait until there may be a result to take, or another job; False when there will be none any more.

        Raises:
            Exception: the jobs' iterator did, and what it gave before has all been taken.
        """
        self._fill()
        self._settle()
        self._admit()
        self._settle()
        if self._deliverable():
            return True
        if not self._members and not self._more and self._held is None:
            if self._failure is not None:
                raise self._failure
            return False
        yield _AnyOp(self)
        self._settle()
        return True

    def drain(self) -> Steps[None]:
        """After an error: cancel what runs, and let it clean up. What it says is heard by nobody."""
        self._more, self._held, self._draining = False, None, True
        self._ended.extend(self._waiting)
        self._waiting.clear()
        self.cancel()
        try:
            self._settle()
            while self._members:
                yield _AnyOp(self)
                self._settle()
        finally:
            self._let_go()

    def hungry(self) -> bool:
        """Whether another job could start."""
        return self._more and self._held is None and self._has_place()

    def poke(self) -> None:
        """There are new jobs: called on the loop."""
        if self.wake is not None and not self.wake.done():
            self.wake.set_result(None)

    def cancel(self) -> None:
        for member in tuple(self._members):
            started.stop(member.ops)
            if member.op is not None:
                member.op.cancel()

    def close(self) -> None:
        """Cancel what runs, and wait a little for it to end."""
        self._more, self._held = False, None
        self.cancel()
        until = time.monotonic() + STOP_GRACE
        for member in self._members:
            started.wait(member.ops, until)
            if member.op is not None:
                member.op.wait(max(0.0, until - time.monotonic()))
        self._let_go()

    async def aclose(self) -> None:
        """The same on a loop."""
        self._more, self._held = False, None
        self.cancel()
        loop = asyncio.get_running_loop()
        ops = [op for member in self._members for op in (*member.ops, member.op) if _runs(op)]
        running = {op.future(loop) for op in ops}
        self._let_go()
        if running:
            await asyncio.wait(running, timeout=STOP_GRACE)

    def abandon(self) -> None:
        """Cancel what runs, and wait for nothing."""
        self._more, self._held = False, None
        self.cancel()
        self._let_go()

    def _let_go(self) -> None:
        members, self._members = list(self._members), {}
        for member in members:
            with contextlib.suppress(Exception):  # nobody asks any more how it went
                member.steps.close()
        self._ready.clear()
        self._by_op.clear()
        self._lease.close()
        if self._bell is not None:
            self._bell.close()
            self._bell = None

    # -- starting ----------------------------------------------------------------------------------------------------
    def _has_place(self) -> bool:
        return len(self._members) < self._most and len(self._members) + len(self._ready) < 2 * self._most

    def _reserve(self, job: Job[L, T]) -> int | None:
        """Memory for a verb; None where there is none now. One may always run."""
        if self._waiting:
            return None
        room = self._room() if job.room is None else job.room
        if not (self._members or self._ready):
            self._lease.force(room)
        elif self._used + room > self._memory or not self._lease.take(room):
            return None
        self._used += room
        return room

    def _room(self) -> int:
        """What a verb is lent that does not know its size: as much as the largest of late needed."""
        least = max(LEAST_ROOM, self._memory // (2 * self._most))
        return min(max(least, *self._recent) if self._recent else least, max(1, self._memory // 2))

    def _fill(self) -> None:
        while self._has_place():
            if self._held is None and self._more:
                try:
                    self._held = next(self._jobs)
                except StopIteration:
                    self._more = False
                except Exception as error:  # a key that is none: what came before is still delivered
                    self._more, self._failure = False, error
            room = None if self._held is None else self._reserve(self._held)
            if self._held is None or room is None:
                return
            job, self._held = self._held, None
            member = _Member(self, self._started, job.label, room)
            self._started += 1
            self._members[member] = None
            self._advance(member, partial(self._begin, job, member))

    @staticmethod
    def _begin(job: Job[L, T], member: _Member) -> Any:
        member.steps = job.make(member)
        return next(member.steps)

    # -- going on ----------------------------------------------------------------------------------------------------
    def _settle(self) -> None:
        """Go on with the verbs whose operations have ended."""
        while self._ended:
            member = self._ended.popleft()
            if member not in self._members or member.op is None or not member.op.done():
                continue  # heard of twice
            op, member.op = member.op, None
            self._moved += op.transferred
            try:
                value = op.result()
            except Exception as error:
                self._advance(member, partial(member.steps.throw, error))
            else:
                self._advance(member, partial(member.steps.send, value))
        self._fill()

    def _advance(self, member: _Member, go: Callable[[], Any]) -> None:
        """Run a verb up to its next operation, or to its end."""
        started.forget_ended(member.ops)
        try:
            op = started.resume(member.ops, go)
        except StopIteration as stop:
            self._finish(member, stop.value, self._weigh(stop.value))
        except (errors.ClosedError, errors.CancelledError) as error:
            if not self._draining:
                raise  # of the client: the others fare no better
            self._finish(member, error, 0)
        except errors.ObjectFSError as error:
            self._finish(member, error.with_traceback(None), 0)  # its frames hold memory
        except Exception as error:
            self._finish(member, error, 0)
        else:
            member.op = op
            if isinstance(op, _Gate):
                self._waiting.append(member)
            else:
                self._unheard.append(member)

    def _finish(self, member: _Member, result: Any, size: int) -> None:
        started.stop(member.ops)
        del self._members[member]
        self._used += size - member.room
        self._lease.give(max(0, member.room - size))
        if size > member.room:  # an endpoint that does not answer ranges
            self._lease.force(size - member.room)
        self._ready[member.index] = (member.label, result, size)
        if not isinstance(result, Exception):
            self._recent.append(size)

    def _deliverable(self) -> bool:
        return self._next in self._ready if self._ordered else bool(self._ready)

    def ask(self, member: _Member, size: int) -> Op[Any] | None:
        """See :class:`~objectfs.backends.base.Admission`."""
        more = size - member.room
        if more <= 0:
            return None
        if not self._waiting and self._used + more <= self._memory and self._lease.take(more):
            self._grant(member, size)
            return None
        return _Gate(size)

    def _grant(self, member: _Member, size: int) -> None:
        self._used += size - member.room
        member.room = size

    def _admit(self) -> None:
        """Let go on what waits for memory, as far as there is some; or one, if nothing else will give any back."""
        while self._waiting:
            member = min(self._waiting, key=lambda each: each.index) if self._ordered else self._waiting[0]
            gate: Any = member.op
            idle = len(self._waiting) == len(self._members) and not self._deliverable() and not self._ended
            more = gate.size - member.room
            if idle:
                self._lease.force(more)
            elif self._used + more > self._memory or not self._lease.take(more):
                return
            self._waiting.remove(member)
            self._grant(member, gate.size)
            gate.open = True
            self._ended.append(member)

    # -- waiting -----------------------------------------------------------------------------------------------------
    def look(self) -> bool:
        """Whether any operation has ended, by asking each."""
        self._ended.extend(member for member in self._members if member.op is not None and member.op.done())
        return bool(self._ended)

    def moved(self) -> int:
        """Bytes of content moved so far."""
        under_way: int = 0
        if self._counts:
            under_way = sum(member.op.transferred for member in self._members if member.op is not None)
        return self._moved + under_way

    @property
    def ended(self) -> bool:
        """Whether any operation is known to have ended."""
        return bool(self._ended)

    def block(self, timeout: float | None) -> bool:
        """Wait until an operation ends; whether one has."""
        if self._bell is None:
            self._bell = self._make_bell()
        unheard, self._unheard = self._unheard, []
        for member in unheard:
            if member in self._members and member.op is not None:
                self._by_op[member.op] = member
                if not self._bell.listen(member.op):
                    self._heard(member.op)
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._ended:
            left = LOOK if deadline is None else min(LOOK, deadline - time.monotonic())
            rung = self._bell.wait(max(0.0, left))
            for op in rung:
                self._heard(op)
            if not rung and (self.look() or (deadline is not None and time.monotonic() >= deadline)):
                break
        return bool(self._ended)

    def _heard(self, op: Any) -> None:
        member = self._by_op.pop(op, None)
        if member is not None:
            self._ended.append(member)

    def future(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        wake = self.wake = loop.create_future()
        unheard, self._unheard = self._unheard, []
        for member in unheard:
            if member in self._members and member.op is not None:
                member.op.future(loop).add_done_callback(partial(self._rung, member))
        if self._ended:
            self.poke()
        return wake

    def _rung(self, member: _Member, _: Any) -> None:
        self._ended.append(member)
        self.poke()


class _Member:
    """A verb under way: an :class:`~objectfs.backends.base.Admission`."""

    __slots__ = ("_several", "index", "label", "op", "ops", "room", "steps")

    def __init__(self, several: Several[Any, Any], index: int, label: Any, room: int) -> None:
        self._several = several
        self.index, self.label, self.room = index, label, room
        self.op: Any = None
        self.ops: list[Any] = []
        """What its steps have started (``started.py``)."""
        self.steps: Any = None

    def ask(self, size: int) -> Op[Any] | None:
        return self._several.ask(self, size)


class _Gate:
    """An operation that is done when there is memory."""

    __slots__ = ("open", "size")

    def __init__(self, size: int) -> None:
        self.size, self.open = size, False

    def wait(self, timeout: float | None = None) -> bool:
        return True

    def done(self) -> bool:
        return self.open

    def result(self) -> None:
        return None

    def cancel(self, force: bool = False) -> None:
        self.open = True

    def future(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        raise AssertionError("only Several waits for memory")

    @property
    def transferred(self) -> int:
        return 0


def _runs(op: Any) -> bool:
    return op is not None and not op.done()


class _AnyOp:
    """An operation that is done when any of several is."""

    __slots__ = ("_before", "_several")

    def __init__(self, several: Several[Any, Any]) -> None:
        self._several = several
        self._before = several.seen

    def wait(self, timeout: float | None = None) -> bool:
        return self._several.block(timeout)

    def done(self) -> bool:
        return self._several.ended

    def result(self) -> None:
        return None

    def cancel(self, force: bool = False) -> None:
        self._several.cancel()

    def future(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        return self._several.future(loop)

    @property
    def transferred(self) -> int:
        self._several.seen = self._several.moved()
        return self._several.seen - self._before
