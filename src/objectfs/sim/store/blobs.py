"""Bodies at rest (blobs) and bodies arriving (sinks)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import Protocol

from objectfs.sim.http import Chunk

# Memory is taken in pieces that grow with what has really arrived, whatever length was announced.
FIRST_SEGMENT = 256 * 1024
SEGMENT = 16 * 1024 * 1024


class Blob(Protocol):
    """Immutable bytes of known size, readable in chunks from any offset."""

    @property
    def size(self) -> int: ...

    def chunks(self, start: int, stop: int) -> Iterator[Chunk]: ...

    def slice(self, start: int, stop: int) -> Blob: ...


class Sink(Protocol):
    """Where a body goes as it arrives: the socket reads into ``reserve()``, then ``commit()`` counts it."""

    def reserve(self, limit: int) -> memoryview:
        """Writable memory for at most ``limit`` more bytes (never empty)."""
        ...

    def commit(self, count: int) -> None: ...

    def finish(self) -> Blob: ...

    def abort(self) -> None: ...


class MemoryBlob:
    """Segments of memory; parts of a multipart upload stay the segments they arrived as."""

    __slots__ = ("segments", "size")

    def __init__(self, segments: list[memoryview]) -> None:
        self.segments = segments
        self.size = sum(map(len, segments))

    def chunks(self, start: int, stop: int) -> Iterator[Chunk]:
        if len(self.segments) == 1:
            return iter((self.segments[0][start:stop],))
        return iter(self._cut(start, stop))

    def slice(self, start: int, stop: int) -> Blob:
        return MemoryBlob(self._cut(start, stop))

    def _cut(self, start: int, stop: int) -> list[memoryview]:
        cut = []
        offset = 0
        for segment in self.segments:
            end = offset + len(segment)
            if end > start and offset < stop:
                cut.append(segment[max(start - offset, 0) : stop - offset])
            offset = end
        return cut


class MemorySink:
    """Collects a body in memory, in segments that double, and fit its announced size."""

    def __init__(self, size: int | None) -> None:
        self._expected = size
        self._segments: list[memoryview] = []
        self._current = memoryview(b"")
        self._used = 0
        self._total = 0

    def reserve(self, limit: int) -> memoryview:
        if self._used == len(self._current):
            self._close_segment()
            size = min(SEGMENT, max(FIRST_SEGMENT, self._total))
            if self._expected is not None:
                size = min(size, max(self._expected - self._total, limit))
            self._current = memoryview(bytearray(size))
        return self._current[self._used : self._used + limit]

    def commit(self, count: int) -> None:
        self._used += count
        self._total += count

    def _close_segment(self) -> None:
        if self._used:
            self._segments.append(self._current[: self._used])
        self._current = memoryview(b"")
        self._used = 0

    def finish(self) -> Blob:
        self._close_segment()
        return MemoryBlob([segment.toreadonly() for segment in self._segments])

    def abort(self) -> None:
        self._segments.clear()
        self._current = memoryview(b"")


class DocumentSink(MemorySink):
    """A small body that the service itself reads: XML, JSON."""

    def __init__(self) -> None:
        super().__init__(None)

    def getvalue(self) -> bytes:
        self._close_segment()
        return b"".join(self._segments)


_PATTERN_PERIOD = 251
_pattern: list[memoryview] = []


def _pattern_memory() -> memoryview:
    if not _pattern:
        _pattern.append(memoryview(bytes(range(_PATTERN_PERIOD)) * (4 * 1024 * 1024 // _PATTERN_PERIOD)))
    return _pattern[0]


def synthetic_bytes(start: int, stop: int) -> bytes:
    """The bytes of every synthetic object in a range: byte i is ``i % 251``.

    The period is prime: a part that lands at the wrong offset shows."""
    return b"".join(bytes(chunk) for chunk in PatternBlob(stop).memory_chunks(start, stop))


class PatternBlob:
    """A body of any size that takes no memory; see ``synthetic_bytes``."""

    __slots__ = ("base", "size")

    def __init__(self, size: int, base: int = 0) -> None:
        self.size = size
        self.base = base

    def memory_chunks(self, start: int, stop: int) -> Iterator[memoryview]:
        memory = _pattern_memory()
        start, stop = start + self.base, stop + self.base
        while start < stop:
            phase = start % _PATTERN_PERIOD
            chunk = memory[phase : min(len(memory), phase + stop - start)]
            yield chunk
            start += len(chunk)

    def chunks(self, start: int, stop: int) -> Iterator[Chunk]:
        return self.memory_chunks(start, stop)

    def slice(self, start: int, stop: int) -> Blob:
        return PatternBlob(stop - start, self.base + start)


class DiscardedBlob(PatternBlob):
    """What is left of a body that was not kept: its size. However it is joined, it reads as ``synthetic_bytes``."""

    __slots__ = ()


class JoinedBlob:
    """Blobs of any kinds behind one another."""

    __slots__ = ("_ends", "blobs", "size")

    def __init__(self, blobs: list[Blob]) -> None:
        self.blobs = blobs
        self._ends = list(accumulate(blob.size for blob in blobs))
        self.size = self._ends[-1] if blobs else 0

    def _cut(self, start: int, stop: int) -> Iterator[tuple[Blob, int, int]]:
        """The blobs that have bytes of the range, and which of their own bytes those are."""
        index = bisect_right(self._ends, start)
        while start < stop:
            blob = self.blobs[index]
            base = self._ends[index] - blob.size
            yield blob, start - base, min(stop - base, blob.size)
            start = self._ends[index]
            index += 1

    def chunks(self, start: int, stop: int) -> Iterator[Chunk]:
        for blob, low, high in self._cut(start, stop):
            yield from blob.chunks(low, high)

    def slice(self, start: int, stop: int) -> Blob:
        return JoinedBlob([blob.slice(low, high) for blob, low, high in self._cut(start, stop)])


def join_blobs(blobs: list[Blob]) -> Blob:
    """One blob of several, without copying."""
    if len(blobs) == 1:
        return blobs[0]
    memory = [blob for blob in blobs if isinstance(blob, MemoryBlob)]
    if len(memory) == len(blobs):
        return MemoryBlob([segment for blob in memory for segment in blob.segments])
    if all(isinstance(blob, DiscardedBlob) for blob in blobs):
        return DiscardedBlob(sum(blob.size for blob in blobs))
    return JoinedBlob(blobs)


class DiscardSink:
    """Counts a body and forgets it. What is stored is a synthetic object of the same size."""

    __slots__ = ("_scratch", "_total")

    def __init__(self, scratch: memoryview) -> None:
        self._scratch = scratch
        self._total = 0

    def reserve(self, limit: int) -> memoryview:
        return self._scratch[:limit]

    def commit(self, count: int) -> None:
        self._total += count

    def finish(self) -> Blob:
        return DiscardedBlob(self._total)

    def abort(self) -> None:
        pass
