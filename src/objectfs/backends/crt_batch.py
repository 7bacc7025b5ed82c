"""Many objects or ranges with one crossing each way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from objectfs import _native, errors
from objectfs.backends import machine
from objectfs.backends.answers import require_one
from objectfs.backends.base import GetOptions, Steps
from objectfs.backends.beside import side_by_side
from objectfs.backends.crt_answers import answered, make_info, object_size, query
from objectfs.backends.crt_errors import failure
from objectfs.backends.crt_get import WHOLE_OBJECT, GetVerbs
from objectfs.backends.crt_steps import all_of, followed
from objectfs.types import Buffer, OnError

__all__ = ["BatchVerbs"]

PROBE = 16
"""Objects of a batch that are read before the memory for the others is chosen."""

BESIDE = 16
"""Objects that are larger than what was asked for, and whose rest is fetched at the same time."""

SMALL = 64 * 1024
"""Bytes up to which an object is collected by the C library and copied once: cheaper than setting up a parallel
download."""

SPARSE = 4
"""Every so many objects one has to be larger than SMALL if memory for the largest is to be made, and left, for each."""


@dataclass(frozen=True)
class Room:
    """Memory that each object of a batch is received in."""

    size: int = 0
    """Bytes; 0 to let the C library collect it."""
    sparse: bool = False
    """Most objects fill little of it."""
    known: bool = True
    """Whether that is what suits these objects."""


UNKNOWN = Room(known=False)


class BatchVerbs(GetVerbs):
    """Verbs of CrtBackend."""

    def get_many(self, bucket: str, keys: Sequence[str], on_error: OnError, options: GetOptions) -> Steps[list[Any]]:
        results: list[Any] = []
        # The first few tell how large these objects are: memory of that size can then be given to the C library
        # beforehand, which saves the growing of its own buffer, a copy, and two page faults of three. They are waited
        # for, so if the bucket's last batch has told it, that is believed.
        known = self._room_for(bucket, len(keys))
        room = known or UNKNOWN
        probe = PROBE if known is None and len(keys) > 2 * PROBE else len(keys)
        ranged = True
        for chunk in (keys[:probe], keys[probe:]):
            if chunk:
                found, ranged = yield from self._get_chunk(bucket, chunk, on_error, room, options)
                results.extend(found)
                room = self._room_of(bucket, found, len(keys)) if ranged else Room()
        target = self._targets.get(bucket)
        if len(keys) > 2 * PROBE and target is not None:
            target.engine.paces.batch = (bucket, room if ranged else None)
        return results

    def _room_of(self, bucket: str, found: Sequence[Any], count: int) -> Room:
        """What suits objects like these."""
        far = self.target(bucket).engine.paces.late.far
        sizes = [len(item) for item in found if not isinstance(item, Exception)]
        largest = min(max(sizes, default=0), 2 * self.part_size)
        if largest <= SMALL:
            return Room()
        if 2 * sum(sizes) >= largest * len(sizes):
            return Room(largest)
        # Large objects among small ones: each gets as much memory, if only by address. From far away it is worth
        # that: whether an answer is late only shows in memory, and what is asked for in one piece waits once. From
        # near, where it costs less than the copies that it saves.
        worth = far or SPARSE * sum(size > SMALL for size in sizes) >= len(sizes)
        if worth and count * largest <= machine.memory_available() // 2:
            return Room(largest, sparse=True)
        return Room()

    def _room_for(self, bucket: str, count: int) -> Room | None:
        """For each object of such a batch, by what the last one found; None if it has to be found out."""
        target = self._targets.get(bucket)  # not by what may have to wait for a session
        of, room = target.engine.paces.batch if target is not None else ("", None)
        if of != bucket or room is None or count * room.size > machine.memory_available() // 2:
            return None
        known: Room = room
        return known

    @followed
    def _get_chunk(
        self, bucket: str, keys: Sequence[str], on_error: OnError, room: Room, options: GetOptions
    ) -> Steps[tuple[list[Any], bool]]:
        """The results, and whether the endpoint answers ranges. ``room``: to receive each object in."""
        region = self.session.learned_region(bucket)
        target = self.target(bucket)
        if room.sparse and _native.kept_bytes():
            # This is malloc's, which cannot use what is kept; and pages that the system has cost less than new ones.
            yield from self.aside(lambda: _native.trim(everything=False))  # 1 to 10 ms for each 64 MiB
        try:
            buffers = [self.buffer(room.size, room.sparse) if room.size else None for _ in keys]
        except MemoryError:
            if not room.sparse:  # else it is the addresses that are few (ulimit -v), not the memory
                raise
            room, buffers = Room(), [None for _ in keys]
        asked = room.size or self.part_size
        common = target.headers(options.sent("GetObject"), {"Range": f"bytes=0-{asked - 1}"})
        extra = query(options, "GetObject")
        part_size = room.size if room.size > self.part_size else 0  # one request for each object
        request, path, native, validate = _native.Request, target.path, target.native, self.validation(options)
        requests = [
            request(
                b"GetObject",
                b"GET",
                path(key, extra),
                native,
                common,
                recv=buffer,
                validate=validate,
                part_size=part_size,
            )
            for key, buffer in zip(keys, buffers, strict=True)
        ]
        late = target.engine.paces.late.after(0 if room.known else asked)  # what is long is not late
        responses = yield from all_of(
            target.engine.start(requests, window=self.window, stop_on_error=on_error == "raise", late=late, marks=True)
        )
        if on_error == "raise":
            self._raise_cause(bucket, keys, responses)
        results: list[Any] = []
        others: list[int] = []
        for key, response in zip(keys, responses, strict=True):
            if response.complete and response.end <= asked:  # what most batches consist of: at once
                body = response.take_body()
                body._describe(make_info, bucket, key, response, len(body))
                results.append(body)
            else:
                others.append(len(results))
                results.append(None)
        if others:
            found = yield from side_by_side(
                [self._one_of_many(bucket, keys[i], options, responses[i], buffers[i], asked) for i in others],
                BESIDE,
                lambda error: on_error != "raise" and not self.session.elsewhere(bucket, error, region),
            )
            for i, result in zip(others, found, strict=True):
                results[i] = result
        return results, all(response.status != 200 for response in responses)

    def _raise_cause(self, bucket: str, keys: Sequence[str], responses: Sequence[Any]) -> None:
        """The failure that stopped a batch, not the cancelling that it led to. Empty objects (416) are none."""
        for key, response in zip(keys, responses, strict=True):
            if response.error_code and response.status != 416 and response.error != "AWS_ERROR_S3_CANCELED":
                raise failure(response, "GetObject", bucket, key)

    def _one_of_many(
        self, bucket: str, key: str, options: GetOptions, response: Any, buffer: Any, asked: int
    ) -> Steps[Any]:
        if response.error_code or response.status >= 300:
            error = failure(response, "GetObject", bucket, key)
            if not isinstance(error, errors.InvalidRangeError):
                raise error
            response = yield from self._require_empty(bucket, key, options, error)
            buffer = None
        if buffer is not None:
            buffer._shrink(response.received)
            body = buffer
        else:
            body = response.take_body()
        total = answered(response, bucket, key, 0, asked, len(body), whole=True)[2]
        if total > len(body):
            return (yield from self._rest(bucket, key, options, response, 0, total, body))
        body._describe(make_info, bucket, key, response, total)
        return body

    def part_of(self, buffer: Any, start: int, end: int) -> Buffer:
        part: Buffer = buffer if (start, end) == (0, len(buffer)) else buffer._slice(start, end)
        return part

    @followed
    def get_ranges(
        self, bucket: str, key: str, ranges: Sequence[tuple[int, int]], options: GetOptions
    ) -> Steps[list[Buffer]]:
        target = self.target(bucket)
        common = target.headers(options.sent("GetObject"))
        asked = [(start, end) for start, end in ranges if end > start]
        if not asked:
            nothing: list[Any] = [_native.Buffer(0) for _ in ranges]
            if ranges:  # whether the object is there
                response = yield from self._head(bucket, key, options)
                for buffer in nothing:
                    buffer._describe(make_info, bucket, key, response, object_size(response))
            return nothing
        wanted = asked
        if max(end - start for start, end in asked) > WHOLE_OBJECT:  # no memory for what lies beyond the object
            total = object_size((yield from self._ranged(bucket, key, options, common, asked[0][0], asked[0][0] + 1)))
            wanted = [(start, max(start + 1, min(end, total))) for start, end in asked]
        requests, buffers = [], []
        for start, end in wanted:
            # a long range goes in parallel into memory of its own
            buffer = self.buffer(end - start) if end - start > self.part_size else None
            more = {"recv": buffer, "max_connections": self.large_connections} if buffer is not None else {}
            requests.append(self._get_request(target, key, common, options, f"{start}-{end - 1}", **more))
            buffers.append(buffer)
        longest = max(end - start for start, end in wanted)
        late = target.engine.paces.late.after(longest) if longest <= self.part_size else 0.0
        responses = yield from all_of(target.engine.start(requests, window=self.window, stop_on_error=True, late=late))
        for response in responses:  # the cause before the cancelled rest
            if response.error_code and response.status != 416 and response.error != "AWS_ERROR_S3_CANCELED":
                raise failure(response, "GetObject", bucket, key)
        etags = set()
        found: dict[tuple[int, int], Any] = {}
        for pair, (start, end), response, buffer in zip(asked, wanted, responses, buffers, strict=True):
            if response.error_code or response.status >= 300:
                error = failure(response, "GetObject", bucket, key)
                if not isinstance(error, errors.InvalidRangeError) or start > 0:
                    raise error
                response = yield from self._require_empty(bucket, key, options, error)
                buffer = _native.Buffer(0)
            elif buffer is None:
                buffer = response.take_body()
            else:
                buffer._shrink(response.received)
            total = answered(response, bucket, key, start, end, len(buffer))[2]
            buffer._describe(make_info, bucket, key, response, total)
            etags.add(response.header(b"etag"))
            found[pair] = buffer
        require_one(etags, bucket, key)
        return [found[start, end] if end > start else _native.Buffer(0) for start, end in ranges]
