"""Objects whose bytes come one after another, of unknown number: what both backends do with them.

:class:`StreamBase` is pushed to, part by part, by whoever has the bytes; :func:`put_stream` pulls them out of a
``read`` and pushes them on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from objectfs import errors
from objectfs.backends.base import Op, PutOptions, ReadableBuffer, SentPart, Steps, StreamUpload
from objectfs.backends.budget import Budget
from objectfs.backends.digests import Digest, mismatch
from objectfs.backends.done import Done
from objectfs.backends.leftovers import Pending
from objectfs.backends.memory import PartMemory, readable_view
from objectfs.backends.parts import MAX_PARTS, stream_part_size
from objectfs.types import PutResult

__all__ = ["MEMORY", "StreamBase", "put_stream", "stream_memory"]

MEMORY = 128 * 1024 * 1024
"""Bytes of one stream's parts on their way, where memory_limit does not say less: sixteen of 8 MiB, which at 90 MB/s
each are more than most machines' networks take."""

READ = 1024 * 1024
"""Bytes that a stream is asked for at a time: what it answers with is memory too."""

LEAST_PART = 5 * 1024 * 1024
"""Bytes of a part at least, the last one excepted: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""


class StreamBase:
    """:class:`~objectfs.backends.base.StreamUpload`, all but the requests.

    Args:
        budget: what the parts' memory is taken from.
        part_size: of the first parts, in bytes.
        connections: no more parts on their way than that.
        smaller: parts may be smaller, where many streams share little memory.
    """

    def __init__(
        self,
        bucket: str,
        key: str,
        options: PutOptions,
        budget: Budget,
        part_size: int,
        connections: int,
        smaller: bool,
    ) -> None:
        self.bucket, self.key, self.options = bucket, key, options
        self.lease = budget.lease("writers")
        if smaller and part_size > LEAST_PART and budget.share("writers") < 2 * part_size:
            part_size = LEAST_PART
        self._least = part_size
        self._fixed: int | None = None
        self._budget, self._connections = budget, connections
        self._memory = stream_memory(budget.room, part_size, connections)
        self._spare: PartMemory | None = None
        self._number = 1
        self._flying: deque[tuple[Op[Any], int, PartMemory | None]] = deque()
        self._bytes = 0
        self._unseen = 0  # of parts that had landed before anybody waited for them: progress has not heard of them
        self._own = 0  # of those on their way, the ones in memory of ours
        self._digest = None if options.expected is None else Digest(options.expected.algorithm)
        self.pending: Pending | None = None
        """The multipart upload, from before its first request."""
        self.created: Callable[[str, str | None], None] | None = None

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

    def adopt(self, upload_id: str, algorithm: str | None) -> Steps[None]:
        """Set ``pending`` to an upload that is there."""
        raise NotImplementedError

    def known(self, part: SentPart) -> None:
        """Note a part that is there, in its turn."""
        raise NotImplementedError

    # -- the contract ------------------------------------------------------------------------------------------------
    @property
    def part_size(self) -> int:
        return self._fixed or stream_part_size(self._number, self._least)

    def of_size(self, size: int) -> None:
        self._fixed = size
        self._memory = stream_memory(self._budget.room, size, self._connections)

    def have(self, part: SentPart, content: memoryview, memory: PartMemory) -> None:
        if self._digest is not None:
            self._digest.update(content)
        self._number += 1
        self._flying.append((Done(part), 0, None))  # in its turn: the parts are completed in their order
        self._keep(memory)
        self._collect()

    def new_memory(self, size: int) -> PartMemory:
        return bytearray(size)

    def memory(self) -> Steps[PartMemory]:
        while True:
            self._collect()
            spare, self._spare = self._spare, None
            if spare is not None:
                return spare
            size = self.part_size
            if not self._own:  # nothing that would come back
                gate = self.lease.ask(size)
                if gate is not None:
                    yield gate
                return self.new_memory(size)
            if self.lease.take(size):
                return self.new_memory(size)
            yield from self._oldest()

    def send(self, part: memoryview, memory: PartMemory | None) -> Steps[None]:
        if self._digest is not None:
            self._digest.update(part)
        while self._flying and self._bytes + len(part) > self._memory:
            yield from self._oldest()
        if self._number > MAX_PARTS:
            raise errors.InvalidRequestError(
                f"the stream is longer than {MAX_PARTS} parts",
                operation="UploadPart",
                bucket=self.bucket,
                key=self.key,
                hint="Set a larger part_size=",
            )
        if self.pending is None:
            op = yield from self.begin(part)
        else:
            op = self.start(self._number, part)
        self._number += 1
        if op is None:
            self._keep(memory)
        else:
            self._flying.append((op, len(part), memory))
            self._bytes += len(part)
            if memory is not None:
                self._own += 1
                self.lease.watch(op)
        self._collect()

    def _collect(self) -> None:
        """Take the answers that have come."""
        while self._flying and self._flying[0][0].done():
            self._unseen += self._flying[0][1]
            self._landed(self._flying[0][0].result())

    def _oldest(self) -> Steps[None]:
        self._landed((yield self._flying[0][0]))

    def _landed(self, answer: Any) -> None:
        if isinstance(answer, SentPart):
            self.known(answer)
        else:
            self.sent(answer)
        op, size, memory = self._flying.popleft()
        self._bytes -= size
        if self.pending is not None and op in self.pending.parts:
            self.pending.parts.remove(op)
        if memory is not None:
            self._own -= 1
            self.lease.unwatch(op)
            self._keep(memory)

    def _keep(self, memory: PartMemory | None) -> None:
        """Memory of a part that has been sent: for the next one, or given back."""
        if memory is None:
            return
        if self._spare is None and len(memory) == self.part_size:
            self._spare = memory
        else:
            self.lease.give(len(memory))

    def settle(self) -> Steps[None]:
        while self._flying:
            yield from self._oldest()
        if self._unseen:
            unseen, self._unseen = self._unseen, 0
            yield Done(None, unseen)

    def complete(self, last: memoryview) -> Steps[PutResult]:
        result = yield from self._complete(last)
        self.lease.close()
        return result

    def _complete(self, last: memoryview) -> Steps[PutResult]:
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
        self._spare = None
        self.lease.close()
        if self.pending is not None:
            yield from self.pending.give_up(error)


def put_stream(upload: StreamUpload, read: Callable[[int], ReadableBuffer]) -> Steps[PutResult]:
    """Send what ``read`` gives, until it gives nothing."""
    try:
        size = upload.part_size
        gate = upload.lease.ask(2 * size + READ)  # all at once: who holds some does not wait for the rest
        if gate is not None:
            yield gate
        memory, following = upload.new_memory(size), upload.new_memory(size)
        part, ended = _read_part(read, memory)
        while not ended:
            # whether there is more decides about this part too: an object of one part is one PUT
            view, ended = _read_part(read, following)
            if not view:
                break
            yield from upload.send(part, memory)
            part, memory = view, following
            if not ended:
                following = yield from upload.memory()
        return (yield from upload.complete(part))
    except BaseException as error:
        yield from upload.give_up(error)
        raise


def _read_part(read: Callable[[int], ReadableBuffer], memory: PartMemory) -> tuple[memoryview, bool]:
    """Fill the memory from the stream: what was read, and whether the stream has ended."""
    view = memoryview(memory)
    filled = 0
    while filled < len(memory):
        chunk = read(min(READ, len(memory) - filled))
        if chunk is None:
            raise errors.InvalidRequestError("the stream is in non-blocking mode: it gave None instead of bytes")
        with readable_view(chunk) as data:
            if not data:
                return view[:filled], True
            if len(data) > min(READ, len(memory) - filled):
                raise errors.InvalidRequestError("the stream gave more bytes than it was asked for")
            view[filled : filled + len(data)] = data
            filled += len(data)
    return view, False


def stream_memory(room: int, part_size: int, connections: int) -> int:
    """Bytes of one stream's parts that may be on their way. Two parts more are being filled."""
    return max(part_size, min(MEMORY, room - 2 * part_size, connections * part_size))
