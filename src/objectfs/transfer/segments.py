"""Ranges of an object in memory, or on their way into it."""

from __future__ import annotations

import bisect
import operator
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from objectfs.backends import started
from objectfs.backends.base import Op, RangeRead, Steps
from objectfs.backends.budget import Lease

__all__ = ["Flight", "Segment", "Segments"]

T = TypeVar("T")


class Flight(Generic[T]):
    """A verb whose first operation :meth:`begin` starts. Who needs its result waits with :meth:`wait`.

    What it starts is its own, and outlives the steps of whoever lets it go on.
    """

    __slots__ = ("_error", "_op", "_ops", "_steps", "_value")

    def __init__(self, steps: Steps[T]) -> None:
        self._steps = steps
        self._op: Op[Any] | None = None
        self._value: T | None = None
        self._error: BaseException | None = None
        self._ops: list[Op[Any]] = []  # that the steps have started, should they be interrupted

    def begin(self) -> None:
        """Start."""
        try:
            self._op = started.resume(self._ops, next, self._steps)
        except StopIteration as stop:
            self._value = stop.value

    def done(self) -> bool:
        """Whether the wait would be a short one."""
        return self._op is None or self._op.done()

    def poll(self) -> bool:
        """Go on as far as nothing has to be waited for; whether the verb has come to its end."""
        while self._op is not None and self._op.done():
            self._advance(self._op)
        return self._op is None

    def settle(self) -> Steps[None]:
        """To the end of the verb, whatever it is; raises only what comes from who waits (its timeout, Ctrl-C)."""
        while not self.poll():
            op = self._op
            assert op is not None
            try:
                yield op
            except BaseException as error:
                if not _is_outcome(error, op):
                    self.cancel()
                    raise

    def wait(self) -> Steps[T]:
        """To the end of the verb. Once only."""
        while (op := self._op) is not None:
            try:
                value = yield op
            except GeneratorExit:
                self.cancel()
                raise
            except BaseException as error:
                self._step(self._steps.throw, error)
            else:
                self._step(self._steps.send, value)
        return self.result()

    def result(self) -> T:
        """Of a verb that has come to its end."""
        if self._error is not None:
            raise self._error
        value: Any = self._value
        result: T = value
        return result

    def cancel(self) -> None:
        """Stop it; its memory stays in use until the backend has let go."""
        started.stop(self._ops)
        if self._op is not None:
            self._op.cancel()
        self._steps.close()

    def _advance(self, op: Op[Any]) -> None:
        try:
            value = op.result()
        except BaseException as error:
            self._step(self._steps.throw, error)
        else:
            self._step(self._steps.send, value)

    def _step(self, go_on: Callable[[Any], Op[Any]], value: Any) -> None:
        started.forget_ended(self._ops)
        try:
            self._op = started.resume(self._ops, go_on, value)
        except StopIteration as stop:
            self._op, self._value = None, stop.value
        except BaseException as error:
            started.stop(self._ops)
            self._op, self._error = None, error


def _is_outcome(error: BaseException, op: Op[Any]) -> bool:
    """Whether an error is what the operation came to."""
    if op.done():
        try:
            op.result()
        except BaseException as own:
            return own is error
    return False


class Segment:
    """``memory[: end - start]`` is, or will be when ``flight`` has landed, the object from ``start`` to ``end``."""

    __slots__ = ("end", "flight", "memory", "start", "used")

    def __init__(self, start: int, end: int, memory: bytearray, flight: Flight[RangeRead] | None) -> None:
        self.start = start
        self.end = end
        self.memory = memory
        self.flight = flight
        self.used = 0

    def __len__(self) -> int:
        return self.end - self.start


_start = operator.attrgetter("start")


class Segments:
    """The segments of one object: in order, none overlapping another.

    Args:
        lease: has the memory of all, and of the spares.
        spare_size: memory of this size is kept for the next segment, two pieces at most.
    """

    def __init__(self, lease: Lease, spare_size: int) -> None:
        self._lease = lease
        self._spare_size = spare_size
        self._all: list[Segment] = []
        self._spare: list[bytearray] = []
        self._clock = 0
        self.most_bytes = 0
        """The most memory that all have had at a time."""

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._all)

    def spare(self, size: int) -> bytearray | None:
        """Memory that a segment of that size has left, if there is any."""
        return self._spare.pop() if size == self._spare_size and self._spare else None

    def find(self, position: int) -> Segment | None:
        """The segment that has this byte."""
        index = bisect.bisect_right(self._all, position, key=_start) - 1
        if index >= 0 and position < self._all[index].end:
            return self._all[index]
        return None

    def gap(self, position: int, end: int) -> int:
        """Where the gap that begins at ``position`` ends: at the next segment, or at ``end``."""
        index = bisect.bisect_right(self._all, position, key=_start)
        return min(end, self._all[index].start) if index < len(self._all) else end

    def add(self, segment: Segment) -> None:
        bisect.insort(self._all, segment, key=_start)
        self.most_bytes = max(self.most_bytes, sum(len(each.memory) for each in self._all))

    def touch(self, segment: Segment) -> None:
        self._clock += 1
        segment.used = self._clock

    def refuse(self, segment: Segment) -> None:
        """Of a segment that could not begin: its memory stays that of whoever brought it."""
        if segment.flight is not None:
            segment.flight.cancel()
        if segment in self._all:
            self._all.remove(segment)

    def drop(self, segment: Segment) -> None:
        """Forget a segment, and cancel it if it is on its way."""
        self._all.remove(segment)
        if segment.flight is not None:
            segment.flight.cancel()  # the memory is not used again: the backend may still write to it
        elif len(segment.memory) == self._spare_size and len(self._spare) < 2:
            self._spare.append(segment.memory)
            return
        self._lease.give(len(segment.memory))

    def drop_flights(self, before: int | None = None) -> None:
        """Cancel what is on its way, or what of it ends at or before a position."""
        for segment in tuple(self._all):
            if segment.flight is not None and (before is None or segment.end <= before):
                self.drop(segment)

    def trim(self, position: int, keep: int) -> None:
        """Forget what was used longest ago, but for what is still to be read from ``position`` on, until no more than
        ``keep`` bytes are behind."""
        behind = [each for each in self._all if each.flight is None and not each.start <= position < each.end]
        ahead_end = position
        for each in self._all:  # what is read next without a gap is ahead, not behind
            if each.start <= ahead_end < each.end:
                ahead_end = each.end
        behind = [each for each in behind if not position <= each.start < ahead_end]
        total = sum(len(each.memory) for each in behind)
        for each in sorted(behind, key=operator.attrgetter("used")):
            if total <= keep:
                return
            total -= len(each.memory)
            self.drop(each)

    def clear(self) -> None:
        for segment in tuple(self._all):
            self.drop(segment)
        self.drop_spares()

    def drop_spares(self) -> None:
        spare, self._spare = self._spare, []
        self._lease.give(sum(map(len, spare)))

    def abandon(self) -> list[Segment]:
        """In a forked child: all segments, to be kept and never touched. They are the parent's."""
        segments, self._all = self._all, []
        return segments
