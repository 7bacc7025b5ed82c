"""The state of an object that is being read: what is in memory, what is on its way, what to ask for next.

One read at a time; the blocking and the async file see to that. All numbers are explained in docs/design/0009-open.md.
"""

from __future__ import annotations

import dataclasses
import io
import os
import time
from collections.abc import Callable
from typing import Any

from objectfs import errors
from objectfs.backends.base import GetOptions, RangeRead, Steps
from objectfs.core import Core
from objectfs.transfer.segments import Flight, Segment, Segments
from objectfs.transfer.whole import Whole
from objectfs.types import ObjectInfo

__all__ = ["PREFETCH", "Reading"]

KiB = 1024
MiB = 1024 * 1024

FIRST = 256 * KiB
"""Bytes of the first request: 3 ms at 90 MB/s beside 30 ms to the first byte."""

BLOCK = 64 * KiB
"""Bytes that are fetched at least: after a seek the next small reads are most likely near."""

FIRST_WINDOW = 1 * MiB
"""Bytes that are read ahead when reading turns out to be sequential."""

GROWTH = 4
"""By which the window grows each time a read has to wait for it."""

SLOW = 0.01
"""Seconds that a read waits where more ranges on their way would help: a round trip to S3 takes more, 8 MiB from a
server nearby less."""

IN_WINDOW = 4
"""Ranges that a window is cut into, where that makes them no larger than a part."""

MOST = 16
"""Ranges of one reader on their way."""

PREFETCH = 128 * MiB
"""Bytes that are read ahead at most, unless ``prefetch=`` says otherwise: 16 connections with 8 MiB each."""

KEEP = 8 * MiB
"""Bytes behind the position that are kept, the longest unused going first."""

START = 32 * KiB
"""At the beginning of an object reading is taken for sequential after so many bytes; after a seek, see ``_jump``."""

WHOLE = 32 * MiB
"""Bytes up to which an object is read into memory as a whole, where the endpoint answers no ranges."""

_inherited: list[Any] = []
"""Segments of a parent process, kept for ever: freeing them would act on what is the parent's."""


class Reading:
    """An object open for reading.

    Args:
        options: of every request; ``start`` and ``end`` are not used.
        prefetch: bytes that may be read ahead.
        slack: bytes that whoever reads is likely to ask for beyond what it asks for first (its buffer's size).
    """

    def __init__(self, core: Core, bucket: str, key: str, options: GetOptions, prefetch: int, slack: int) -> None:
        self._core, self.bucket, self.key = core, bucket, key
        self._options = options
        self._part: int = core.backend().part_size
        self._limit = prefetch
        self._slack = slack
        self._pid = os.getpid()
        self._closed = False
        self._budget = core.backend().budget
        self._lease = self._budget.lease("readers")
        self.segments = Segments(self._lease, self._part)
        self.size = 0
        self._etag: str | None = None
        self._describe: Callable[[], ObjectInfo] | None = None  # what the first answer says
        self._info: ObjectInfo | None = None
        self._several = False  # answers, so that what the first one is worth says nothing of the whole
        self._algorithm: str | None = None  # of the checksum that the whole was held to
        self.position = 0
        self._current: Segment | None = None
        self._next = 0  # where a sequential read would begin
        self._run = 0  # bytes that have been read without a jump
        self._sequential = START  # when that many have been, the object is read ahead
        self._window = 0
        self._ahead = 0  # up to here all is in memory or on its way
        self._waited = 0.0  # seconds, the last time
        self._trigger = 0  # from this position on there is more to ask for
        self._whole: Whole | None = None

    # -- the beginning and the end -----------------------------------------------------------------------------------
    @property
    def info(self) -> ObjectInfo:
        """What the first answer said of the object. Made when somebody asks: it costs a twentieth of the wait for a
        server nearby."""
        if self._info is None:
            assert self._describe is not None
            info = self._describe()
            self._info = dataclasses.replace(info, checksum_validated=self._algorithm) if self._several else info
        return self._info

    def open(self) -> Steps[None]:
        """The first range, which tells what there is."""
        size = min(FIRST, self._part)
        if not self._lease.take(size):
            size = min(size, BLOCK)
            self._lease.force(size)
        memory = bytearray(size)
        options = dataclasses.replace(self._options, start=0, end=len(memory))
        try:
            try:
                read = yield from self._core.backend().read_range(self.bucket, self.key, memory, options)
            except errors.UnsupportedError as error:
                self._lease.give(size)
                if error.status in (None, 200) and (yield from self._open_all()):
                    return
                error.hint = error.hint or "Use get(), get_into() or get_file(), which take what such an endpoint sends"
                raise
        except BaseException:
            self._lease.close()
            raise
        self._describe, self._etag, self.size = read.describe, read.etag, read.size
        self._options = self._options.pinned(read.etag, read.version_id)  # the conditions have been answered
        self._ahead = read.length
        if read.length:
            segment = Segment(0, read.length, memory, None)
            self.segments.add(segment)
            self._current = segment
        else:
            self._lease.give(size)
        self._expect_whole(read.length)

    def _open_all(self) -> Steps[bool]:
        """Have all of a small object in memory, for an endpoint that answers no ranges; False where it is large."""
        backend = self._core.backend()
        head = yield from backend.head(self.bucket, self.key, self._options)
        if head.size > WHOLE or not self._lease.take(head.size):
            return False
        self._options = self._options.pinned(head.etag, head.version_id)
        found: Any = yield from backend.get(self.bucket, self.key, self._options)
        if len(found) != head.size:
            return False
        self._info = found.info or head
        self._etag, self.size, self._ahead = self._info.etag, head.size, head.size
        if self.size:
            self._current = Segment(0, self.size, bytearray(found), None)
            self.segments.add(self._current)
        return True

    def _expect_whole(self, there: int) -> None:
        """Be ready to validate the object as a whole, of which the first range has brought the beginning."""
        if there >= self.size:  # with that range, if at all
            return
        self._several = True
        if (self._options.checksum or self._core.config.checksum) != "off":
            ask_at = min(START, there) if self._limit else there
            patience = min(KEEP, max(BLOCK, self._budget.share("readers") // 4))
            self._whole = Whole(self._core, self.bucket, self.key, self._options, self.size, ask_at, patience)

    def close(self) -> None:
        """Cancel what is on its way, wait for nothing."""
        self._closed = True
        self._current = None
        if self._pid != os.getpid():
            _inherited.append((self.segments.abandon(), self._whole))
            return
        self.segments.clear()
        if self._whole is not None:
            self._whole.close()
        self._lease.close()

    @property
    def foreign(self) -> bool:
        """Whether it belongs to the process that this one was forked from."""
        return self._pid != os.getpid()

    # -- reading -----------------------------------------------------------------------------------------------------
    def take(self, view: memoryview) -> int:
        """What is in memory from the position on, at most what fits; 0 where the next byte is not."""
        position, size, filled = self.position, len(view), 0
        segment = self._current
        while filled < size:
            if segment is None or not segment.start <= position < segment.end:
                segment = self.segments.find(position)
                if segment is None or segment.flight is not None or self._held(segment, position):
                    break
                self._current = segment
                self.segments.touch(segment)
            offset = position - segment.start
            count = min(size - filled, segment.end - position)
            view[filled : filled + count] = memoryview(segment.memory)[offset : offset + count]
            filled += count
            position += count
        if filled:
            self._advance(filled, size - filled)
        return filled

    def take_bytes(self, limit: int, line: bool = False) -> bytes:
        """What is in memory from the position on, in one piece; empty where the next byte is not.

        Args:
            limit: bytes at most, where it is not negative.
            line: only up to and with the next newline.
        """
        position, segment = self.position, self._current
        if segment is None or not segment.start <= position < segment.end:
            segment = self.segments.find(position)
            if segment is None or segment.flight is not None or self._held(segment, position):
                return b""
            self._current = segment
            self.segments.touch(segment)
        offset, stop = position - segment.start, len(segment)
        if limit >= 0:
            stop = min(stop, offset + limit)
        end = (segment.memory.find(b"\n", offset, stop) + 1 or stop) if line else stop
        self._advance(end - offset, 0)
        return bytes(memoryview(segment.memory)[offset:end])

    def _advance(self, count: int, left: int) -> None:
        """So many bytes have been read, and ``left`` more are wanted now."""
        if self.position != self._next:
            self._jump(self.position)
        if self._whole is not None and self._whole.follow(self.position, self.position + count, self.segments):
            self._validated()
        self._run += count
        self.position += count
        self._next = self.position
        if self.position >= self._trigger and self._run + left >= self._sequential and left <= self._part:
            self._read_ahead(self.position, left)

    def _held(self, segment: Segment, position: int) -> bool:
        """Whether a segment, in memory, is held back: the object's last, before there is something to hold it to."""
        whole = self._whole
        return whole is not None and segment.end == self.size and position <= whole.reached and whole.pending()

    def _validated(self) -> None:
        """The object is what the server has."""
        assert self._whole is not None
        self._algorithm, self._info, self._whole = self._whole.algorithm, None, None

    def read(self, view: memoryview) -> Steps[int]:
        """Some bytes from the position on; 0 at the end of the object, or where ``view`` is empty."""
        wanted = min(len(view), self.size - self.position)
        if wanted <= 0:
            return 0
        self.check()
        count = self.take(view)
        if count:
            return count
        if wanted > self._direct_from() and self.segments.find(self.position) is None:
            return (yield from self._direct(view[:wanted]))
        yield from self._bring(wanted)
        return self.take(view)

    def bring(self) -> Steps[bool]:
        """Have the next byte in memory; False at the end of the object."""
        if self.position >= self.size:
            return False
        self.check()
        yield from self._bring(1)
        return True

    def _bring(self, wanted: int) -> Steps[None]:
        position = self.position
        if position != self._next:
            self._jump(position)
        if self._whole is not None and self._whole.full():
            yield from self._whole.wait()
        segment = yield from self._bring_segment(position, wanted)
        if self._held(segment, position):
            assert self._whole is not None
            yield from self._whole.wait()

    def _bring_segment(self, position: int, wanted: int) -> Steps[Segment]:
        segment = self.segments.find(position)
        if segment is None:
            segment = self._fetch(position, wanted)
        flight = segment.flight
        if flight is None:
            return segment
        if self._run + wanted >= self._sequential:
            if not flight.done():
                # waits of less than SLOW are the bandwidth's, and no window makes them shorter
                most = self._limit if self._waited >= SLOW else min(self._limit, IN_WINDOW * self._part)
                self._window = max(self._window, min(most, max(FIRST_WINDOW, self._window * GROWTH)))
            if wanted <= self._part:  # what is behind a larger read's first range, that read fetches itself
                self._read_ahead(position, wanted)
        before = time.monotonic()
        yield from self._land(segment, flight)
        self._waited = time.monotonic() - before
        return segment

    def read_bytes(self, size: int) -> Steps[bytes]:
        """So many bytes, which the object must have."""
        # bytes cannot be written to, but a BytesIO takes new ones and gives them back without a copy
        memory = io.BytesIO(bytes(size))
        if size:
            view = memory.getbuffer()
            filled = 0
            while filled < size:
                with view[filled:] as rest:
                    filled += yield from self.read(rest)
            view.release()
        value = memory.getvalue()
        return value if len(value) == size else value[:size]

    # -- what to ask for ---------------------------------------------------------------------------------------------
    def _jump(self, position: int) -> None:
        """A read does not begin where the last one ended."""
        self._next = position
        segment = self.segments.find(position)
        if segment is not None:  # there, or coming: reading goes on, but for what was leapt over
            self.segments.drop_flights(before=position)
            if not self._window:  # nothing has been read ahead so far, and this is no reason to begin
                self._run = 0
            return
        self.segments.drop_flights()
        self._run = self._window = 0
        self._ahead = position
        self._trigger = position
        self._sequential = 0  # set with the first read from here

    def _fetch(self, position: int, wanted: int) -> Segment:
        """Ask for what a read needs that nobody has asked for yet."""
        if not self._sequential:  # the first read after a jump: three alike are sequential
            self._sequential = 2 * wanted + BLOCK
        size = max(wanted + self._slack, BLOCK)
        if self._run + wanted >= self._sequential:
            size = max(size, self._step(self._window))
        end = self.segments.gap(position, min(position + min(size, self._part), self.size))
        return self._ask(position, end, required=True)

    def _direct_from(self) -> int:
        """Bytes from which on a read goes straight to where it is wanted: where memory is short, most do."""
        return max(BLOCK, min(self._part, self._budget.share("readers")))

    def _ask(self, start: int, end: int, required: bool) -> Segment:
        """A range, or as much of it as there is memory for where somebody waits for its first byte.

        Raises:
            MemoryError: there is none for what nobody waits for.
        """
        if self._whole is not None:
            self._whole.catch_up(self.segments)
        if self._whole is None or not self._whole.pending():
            self.segments.trim(self.position, min(KEEP, self._budget.share("readers") // 8))
        size = end - start
        needed = self._part if size > self._part // 2 else size
        memory = self.segments.spare(needed)
        if memory is None:
            if not (self._lease.take(needed) if required else self._lease.take_ahead(needed)):
                if not required:
                    raise MemoryError
                self.segments.drop_spares()
                needed = size = min(size, BLOCK)
                self._lease.force(needed)
            memory = bytearray(needed)
        try:
            segment = self._start(start, start + size, memory)
        except BaseException:
            self._lease.give(len(memory))
            raise
        self._ahead = start + size
        return segment

    def _read_ahead(self, position: int, wanted: int) -> None:
        """Fill the window that begins at ``position``, from where at least ``wanted`` bytes are needed now."""
        if self._whole is not None and self._whole.full():  # what is there already stays until it can be validated
            return
        # long ranges cost less, so they grow with what has been read; more than a few at a time only where they are
        # waited for
        least = max(FIRST_WINDOW, min(1 << self._run.bit_length() - 1 if self._run else 0, IN_WINDOW * self._part))
        self._window = max(self._window, min(self._limit, least))
        window = max(self._window, min(wanted, self._limit))
        step = self._step(window)
        window = min(window, MOST * step)
        self._ahead = max(self._ahead, position)
        while self._ahead < self.size and self._ahead + step <= position + window:
            there = self.segments.find(self._ahead)
            if there is not None:
                self._ahead = there.end
                continue
            end = self.segments.gap(self._ahead, min(self._ahead + step, self.size))
            try:
                self._ask(self._ahead, end, required=False)
            except (MemoryError, errors.ObjectFSError):  # the read that needs these bytes asks again, and says it
                break
        self._trigger = self.size if self._ahead >= self.size else self._ahead + step - window

    def _step(self, window: int) -> int:
        """Bytes of a range: where many readers share little memory, short ones."""
        share = max(BLOCK, self._budget.share("readers") // IN_WINDOW)
        return min(self._part, max(FIRST, window // IN_WINDOW), share)

    def _start(self, start: int, end: int, memory: bytearray) -> Segment:
        if self._whole is not None:
            self._whole.fetched(start)
        size = end - start
        options = dataclasses.replace(self._options, start=start, end=end)
        with memoryview(memory) as view:
            flight = Flight(self._core.backend().read_range(self.bucket, self.key, view[:size], options))
        segment = Segment(start, end, memory, flight)
        try:
            flight.begin()
            self.segments.add(segment)
        except BaseException:
            self.segments.refuse(segment)
            raise
        self.segments.touch(segment)
        return segment

    def _land(self, segment: Segment, flight: Flight[RangeRead]) -> Steps[None]:
        """Wait for a segment."""
        try:
            read: RangeRead = yield from flight.wait()
            self._require_same(read.size, read.etag)
        except BaseException as error:
            self.segments.drop(segment)
            self.segments.drop_flights()  # what failed with it must not fail the next read too, which asks again
            self._ahead = segment.start
            self._trigger = 0
            raise self._explained(error) from None
        segment.flight = None
        self.segments.touch(segment)

    def _direct(self, view: memoryview) -> Steps[int]:
        """A read that is larger than what is read ahead: in parallel, straight to where it is wanted."""
        start = self.position
        if start != self._next:
            self._jump(start)
        end = start + len(view)
        end = self.segments.gap(start, end)
        view = view[: end - start]
        options = dataclasses.replace(self._options, start=start, end=end)
        if self._whole is not None:
            self._whole.fetched(start)
        self._ahead = end
        if self._sequential and self._run + len(view) >= self._sequential:  # the next one shall not find nothing
            self._window = max(self._window, min(self._limit, IN_WINDOW * self._part))
            self._read_ahead(end, 0)
        try:
            count = yield from self._core.backend().get_into(self.bucket, self.key, view, options)
            if count != len(view):
                raise errors.ObjectChangedError("the object became shorter while it was read")
        except BaseException as error:
            raise self._explained(error) from None
        if self._whole is not None and (yield from self._whole.follow_direct(start, view, self.segments)):
            self._validated()
        self._run += count
        self.position = self._next = end
        if not self._sequential:
            self._sequential = start + count
        return count

    # -- what can go wrong -------------------------------------------------------------------------------------------
    def check(self) -> None:
        """Raise what stands against a further request: closed, or another process."""
        if self._closed:
            raise ValueError("I/O operation on closed file.")
        if self._pid != os.getpid():
            raise errors.ClosedError(
                "the object was opened in the process that this one was forked from",
                operation="GetObject",
                bucket=self.bucket,
                key=self.key,
                hint="Open it again in this process",
            )
        if self._core.closed:
            raise errors.ClosedError("the client is closed", operation="GetObject", bucket=self.bucket, key=self.key)

    def _require_same(self, size: int, etag: str | None) -> None:
        if size != self.size or etag != self._etag:
            raise errors.ObjectChangedError("the object was replaced while it was read")

    def _explained(self, error: BaseException) -> BaseException:
        """The error as the reader's user should see it."""
        if not isinstance(error, errors.ObjectFSError):
            return error
        if self._core.closed and isinstance(error, errors.CancelledError):
            return errors.ClosedError("the client is closed", operation="GetObject", bucket=self.bucket, key=self.key)
        changed = isinstance(error, (errors.PreconditionFailedError, errors.InvalidRangeError))
        if changed and not isinstance(error, errors.ObjectChangedError):
            fields = error.fields()
            fields.pop("message")
            error = errors.ObjectChangedError("the object was replaced while it was read", **fields)
        return error.about("GetObject", self.bucket, self.key)
