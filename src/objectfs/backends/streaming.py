"""Objects whose bytes come one after another, of unknown number: what both backends do with them.

:class:`StreamBase` is pushed to, part by part, by whoever has the bytes; :func:`put_stream` pulls them out of a
``read`` and pushes them on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from objectfs import errors
from objectfs.backends.base import Op, PutOptions, ReadableBuffer, Steps, StreamUpload
from objectfs.backends.digests import Digest, mismatch
from objectfs.backends.leftovers import Pending
from objectfs.backends.memory import readable_view
from objectfs.backends.parts import MAX_PARTS, stream_part_size
from objectfs.types import PutResult

__all__ = ["MEMORY", "StreamBase", "put_stream", "stream_memory"]

MEMORY = 128 * 1024 * 1024
"""Bytes of one stream's parts on their way, where memory_limit does not say less: sixteen of 8 MiB, which at 90 MB/s
each are more than most machines' networks take."""


class StreamBase:
    """:class:`~objectfs.backends.base.StreamUpload`, all but the requests.

    Args:
        part_size: of the first parts, in bytes.
        memory: bytes of parts that may be on their way; one part may always.
    """

    def __init__(self, bucket: str, key: str, options: PutOptions, part_size: int, memory: int) -> None:
        self.bucket, self.key, self.options = bucket, key, options
        self._least = part_size
        self._memory = memory
        self._number = 1
        self._flying: deque[tuple[Op[Any], int, bytearray | None]] = deque()
        self._bytes = 0
        self._digest = None if options.expected is None else Digest(options.expected.algorithm)
        self.pending: Pending | None = None
        """The multipart upload, from before its first request."""

    # -- what a backend does -----------------------------------------------------------------------------------------
    def single(self, data: memoryview) -> Steps[PutResult]:
        """PutObject."""
        raise NotImplementedError

    def begin(self, first: memoryview) -> Steps[Op[Any] | None]:
        """Set ``pending``, create the upload, start its first part; None if that has been answered already."""
        raise NotImplementedError

    def start(self, number: int, part: memoryview) -> Op[Any]:
        """Start UploadPart; the operation is in ``pending.parts``."""
        raise NotImplementedError

    def sent(self, answer: Any) -> None:
        """Note the answer to the oldest part on its way."""
        raise NotImplementedError

    def finish(self) -> Steps[PutResult]:
        """CompleteMultipartUpload."""
        raise NotImplementedError

    # -- the contract ------------------------------------------------------------------------------------------------
    @property
    def part_size(self) -> int:
        return stream_part_size(self._number, self._least)

    def send(self, part: memoryview, memory: bytearray | None) -> Steps[bytearray | None]:
        if self._digest is not None:
            self._digest.update(part)
        spare: bytearray | None = None
        while self._flying and self._bytes + len(part) > self._memory:
            spare = (yield from self._oldest()) or spare
        if self._number > MAX_PARTS:
            raise errors.InvalidRequestError(
                f"the stream is longer than {MAX_PARTS} parts",
                operation="UploadPart",
                bucket=self.bucket,
                key=self.key,
                hint="Set a larger part_size=",
            )
        if self._number == 1:
            op = yield from self.begin(part)
        else:
            op = self.start(self._number, part)
        self._number += 1
        if op is None:
            spare = memory
        else:
            self._flying.append((op, len(part), memory))
            self._bytes += len(part)
        while self._flying and self._flying[0][0].done():
            spare = (yield from self._oldest()) or spare
        return spare if spare is not None and len(spare) == self.part_size else None

    def _oldest(self) -> Steps[bytearray | None]:
        op, size, memory = self._flying[0]
        answer = yield op
        self.sent(answer)
        self._flying.popleft()
        self._bytes -= size
        if self.pending is not None and op in self.pending.parts:
            self.pending.parts.remove(op)
        return memory

    def settle(self) -> Steps[None]:
        while self._flying:
            yield from self._oldest()

    def complete(self, last: memoryview) -> Steps[PutResult]:
        if self._number == 1:
            return (yield from self.single(last))
        if last:
            yield from self.send(last, None)
        expected = self.options.expected
        if self._digest is not None and expected is not None and self._digest.value() != expected.value:
            raise mismatch(self._digest, expected, "PutObject", self.bucket, self.key)
        yield from self.settle()
        return (yield from self.finish())

    def give_up(self, error: BaseException) -> Steps[None]:
        self._flying.clear()
        if self.pending is not None:
            yield from self.pending.give_up(error)


def put_stream(upload: StreamUpload, read: Callable[[int], ReadableBuffer]) -> Steps[PutResult]:
    """Send what ``read`` gives, until it gives nothing."""
    try:
        memory = bytearray(upload.part_size)
        part, ended = _read_part(read, memory)
        spare: bytearray | None = None
        while not ended:
            # whether there is more decides about this part too: an object of one part is one PUT
            following = bytearray(upload.part_size) if spare is None else spare
            view, ended = _read_part(read, following)
            if not view:
                break
            spare = yield from upload.send(part, memory)
            part, memory = view, following
        return (yield from upload.complete(part))
    except BaseException as error:
        yield from upload.give_up(error)
        raise


def _read_part(read: Callable[[int], ReadableBuffer], memory: bytearray) -> tuple[memoryview, bool]:
    """Fill the memory from the stream: what was read, and whether the stream has ended."""
    view = memoryview(memory)
    filled = 0
    while filled < len(memory):
        chunk = read(len(memory) - filled)
        if chunk is None:
            raise errors.InvalidRequestError("the stream is in non-blocking mode: it gave None instead of bytes")
        with readable_view(chunk) as data:
            if not data:
                return view[:filled], True
            if len(data) > len(memory) - filled:
                raise errors.InvalidRequestError("the stream gave more bytes than it was asked for")
            view[filled : filled + len(data)] = data
            filled += len(data)
    return view, False


def stream_memory(limit: int | None, part_size: int, connections: int) -> int:
    """Bytes of parts that may be on their way, under a client's settings. Two parts more are being filled."""
    return max(part_size, min(MEMORY, (limit or MEMORY) - 2 * part_size, connections * part_size))
