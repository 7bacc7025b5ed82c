"""Ranges of one object that lie near each other, fetched together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from objectfs import errors
from objectfs.backends.base import Backend, GetOptions, Steps
from objectfs.types import Buffer

__all__ = ["COALESCE", "MOST", "Span", "get_ranges", "spans"]

COALESCE = 64 * 1024
"""Bytes between two ranges up to which they are one request. A request costs 50 µs of CPU or more on either side of the
connection and some 20 ms to its first byte; in 50 µs one core moves 100 KB, and in 20 ms one connection 1 to 2 MB. So
64 KiB that nobody wanted are always cheaper than another request, and bytes within a region cost no money."""

MOST = 8 * 1024 * 1024
"""Bytes of one request that has come of several ranges with gaps between them: more of them go better in parallel, and
whoever keeps a slice keeps that much memory."""


@dataclass(slots=True)
class Span:
    """A range that is requested, and the places of the ranges that lie in it."""

    start: int
    end: int
    places: list[int] = field(default_factory=list)


def spans(ranges: Sequence[tuple[int, int]], gap: int, most: int = MOST) -> list[Span]:
    """What to request for half-open ranges, in the object's order; empty ranges are left out.

    Args:
        gap: bytes between two ranges up to which they go together; 0: each range goes alone, equal ones once.
        most: bytes of a request up to which ranges apart from each other are added to it. Ranges that overlap go
            together whatever their length: no byte is fetched twice.
    """
    found: list[Span] = []
    for start, end, place in sorted((start, end, place) for place, (start, end) in enumerate(ranges) if end > start):
        last = found[-1] if found else None
        if last is not None:
            if gap:
                apart = start - last.end
                together = apart < 0 or (apart <= gap and max(end, last.end) - last.start <= most)
            else:
                together = (start, end) == (last.start, last.end)
            if together:
                last.end = max(last.end, end)
                last.places.append(place)
                continue
        found.append(Span(start, end, [place]))
    return found


def get_ranges(
    backend: Backend, bucket: str, key: str, ranges: Sequence[tuple[int, int]], gap: int, options: GetOptions
) -> Steps[list[Buffer]]:
    """:meth:`Backend.get_ranges` of spans, and the ranges as parts of those."""
    wanted = spans(ranges, gap)
    results: list[Any] = [None] * len(ranges)
    asked = [(span.start, span.end) for span in wanted] or list(ranges[:1])  # of nothing: whether the object is there
    buffers = yield from backend.get_ranges(bucket, key, asked, options)
    for span, buffer in zip(wanted, buffers, strict=False):
        end = span.start + len(buffer)
        for place in span.places:
            start, wanted_end = ranges[place]
            if start >= end and start > 0:
                raise errors.InvalidRangeError(
                    f"the range from {start} to {wanted_end} begins at or behind the end of the object ({end} bytes)",
                    operation="GetObject",
                    bucket=bucket,
                    key=key,
                )
            results[place] = backend.part_of(buffer, start - span.start, min(wanted_end, end) - span.start)
    for place, (start, end) in enumerate(ranges):
        if start == end:
            results[place] = backend.part_of(buffers[0], 0, 0)
    return results
