"""The state of an object that is being written: the part that is being filled, and the upload behind it.

One call at a time; the blocking and the async file see to that.
"""

from __future__ import annotations

import os
from typing import Any, TypeVar

from objectfs import errors
from objectfs.backends.base import PutOptions, Steps, StreamUpload
from objectfs.backends.memory import PartMemory
from objectfs.backends.tagging import see_to
from objectfs.core import Core
from objectfs.types import PutResult

__all__ = ["Writing"]

T = TypeVar("T")

SMALL = 64 * 1024
"""Bytes of the part's memory at first; it doubles. Most objects are far smaller than a part."""

BORROW = 8
"""Parts that a write must have to be sent from the caller's memory where that may change after the call, which then
waits until all is sent: with fewer, the parts of several writes together keep more connections busy."""

_inherited: list[Any] = []
"""Uploads of a parent process, kept for ever: freeing them would act on what is the parent's."""


class Writing:
    """An object open for writing. Nothing is sent before the first part is full."""

    def __init__(self, core: Core, bucket: str, key: str, options: PutOptions) -> None:
        self._core, self.bucket, self.key = core, bucket, key
        self._upload: StreamUpload | None = core.backend().upload(bucket, key, options)
        self._options = options
        self._pid = os.getpid()
        self._part: int = self._upload.part_size
        self._lease = self._upload.lease
        self._memory: PartMemory = bytearray(min(SMALL, self._part))
        self._lease.force(len(self._memory))
        self._filled = 0
        self._error: BaseException | None = None
        self.position = 0
        self.result: PutResult | None = None

    @property
    def foreign(self) -> bool:
        """Whether it belongs to the process that this one was forked from."""
        return self._pid != os.getpid()

    # -- writing -----------------------------------------------------------------------------------------------------
    def put(self, data: memoryview) -> bool:
        """Copy what fits into the part that is being filled; False if it does not fit, and nothing was done."""
        filled = self._filled + len(data)
        if self._error is not None or self._upload is None or filled > self._part:
            return False
        if filled > len(self._memory):
            more = self._room(filled) - len(self._memory)
            if not self._lease.take(more):
                return False
            self._grow(more)
        self._copy(data)
        self.position += len(data)
        return True

    def write(self, data: memoryview, lasting: bool) -> Steps[int]:
        """All of ``data``; the number of its bytes.

        Args:
            lasting: it is of memory that never changes (bytes), and may be borrowed for longer than the call.
        """
        self._require_usable()
        length = len(data)
        yield from self._or_give_up(self._write(data, lasting))
        self.position += length
        return length

    def _write(self, data: memoryview, lasting: bool) -> Steps[None]:
        borrows = lasting or len(data) >= BORROW * self._part
        borrowed = False
        while len(data) > self._part - self._filled:
            if borrows and not self._filled:  # from where it lies
                size = self._part
                yield from self._send(data[:size], None)
                data = data[size:]
                borrowed = True
                continue
            room = self._part - self._filled
            yield from self._need(self._part)
            self._copy(data[:room])
            data = data[room:]
            memory, self._memory = self._memory, bytearray()
            with memoryview(memory) as view:
                yield from self._send(view[: self._filled], memory)
            self._filled = 0
            self._memory = yield from self._require_upload().memory()
        yield from self._need(self._filled + len(data))
        self._copy(data)
        if borrowed and not lasting:
            yield from self._require_upload().settle()

    def _send(self, part: memoryview, memory: PartMemory | None) -> Steps[None]:
        upload = self._require_upload()
        yield from upload.send(part, memory)
        self._part = upload.part_size

    def _need(self, filled: int) -> Steps[None]:
        """Have memory for so many bytes of the part."""
        if filled > len(self._memory):
            more = self._room(filled) - len(self._memory)
            gate = self._lease.ask(more)
            if gate is not None:
                yield gate
            self._grow(more)

    def _room(self, filled: int) -> int:
        size = max(len(self._memory), SMALL)
        while size < filled:
            size *= 2
        return min(size, max(self._part, filled))

    def _grow(self, more: int) -> None:
        grown = self._require_upload().new_memory(len(self._memory) + more)
        memoryview(grown)[: self._filled] = memoryview(self._memory)[: self._filled]
        self._memory = grown

    def _copy(self, data: memoryview) -> None:
        filled = self._filled + len(data)
        memoryview(self._memory)[self._filled : filled] = data
        self._filled = filled

    # -- the end -----------------------------------------------------------------------------------------------------
    def complete(self) -> Steps[PutResult]:
        """Send what is left and make the object visible."""
        self._require_usable()
        upload = self._require_upload()
        self.result = yield from self._or_give_up(upload.complete(memoryview(self._memory)[: self._filled]))
        self._upload = None
        self._memory = bytearray()
        if self._options.given.get("tags"):
            yield from see_to(self._core.backend(), self.bucket, self.key, self._options, self.result)
        return self.result

    def abort(self, error: BaseException | None = None) -> Steps[None]:
        """Leave no object and no pending upload. Nothing if there is nothing to abort. With a GeneratorExit it waits
        for nothing."""
        upload, self._upload = self._upload, None
        self._memory = bytearray()
        if upload is None:
            return
        if self.foreign:
            _inherited.append(upload)
            return
        yield from upload.give_up(errors.CancelledError("the upload was aborted") if error is None else error)

    def drop(self) -> None:
        """:meth:`abort`, without waiting."""
        for _ in self.abort(GeneratorExit()):  # pragma: no cover - it does not wait
            break

    # -- what can go wrong -------------------------------------------------------------------------------------------
    def _or_give_up(self, steps: Steps[T]) -> Steps[T]:
        try:
            return (yield from steps)
        except BaseException as error:
            explained = self._explained(error)
            self._error = explained
            yield from self.abort(error)
            raise explained from None

    def _explained(self, error: BaseException) -> BaseException:
        if not isinstance(error, errors.ObjectFSError):
            return error
        if self._core.closed and isinstance(error, errors.CancelledError):
            error = errors.ClosedError("the client is closed")
        return error.about("PutObject", self.bucket, self.key)

    def _require_usable(self) -> None:
        if self.foreign:
            raise errors.ClosedError(
                "the object was opened in the process that this one was forked from",
                operation="PutObject",
                bucket=self.bucket,
                key=self.key,
                hint="Open it again in this process",
            )
        if isinstance(self._error, errors.ObjectFSError):
            raise self._error
        if self._error is not None:
            raise errors.CancelledError(
                f"the upload was interrupted and aborted: {type(self._error).__name__}",
                operation="PutObject",
                bucket=self.bucket,
                key=self.key,
            )
        if self._upload is None:
            raise ValueError("I/O operation on closed file.")

    def _require_upload(self) -> StreamUpload:
        assert self._upload is not None
        return self._upload
