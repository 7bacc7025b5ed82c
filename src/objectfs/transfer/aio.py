"""Objects open in an asyncio program: the same state as the blocking files', awaited."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from objectfs.backends.base import Steps
from objectfs.backends.drive import CLEANUP_GRACE, arun
from objectfs.errors import ObjectFSError
from objectfs.transfer.reader import Unclosed, target_position
from objectfs.transfer.reading import Reading
from objectfs.transfer.writing import Writing
from objectfs.types import ObjectInfo, PutResult

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["AsyncReader", "AsyncWriter"]

T = TypeVar("T")


class _File(Unclosed):
    """What both have in common. Calls of several tasks wait for each other."""

    name: str
    mode: str

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._turn = asyncio.Lock()
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    async def _run(self, steps: Steps[T]) -> T:
        return await arun(steps, self._timeout)

    def require_open(self) -> None:
        """Raise ValueError where it is closed."""
        if self._closed:
            raise ValueError("I/O operation on closed file.")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("an open object cannot be pickled: open it again where it is needed")


class AsyncReader(_File):
    """What ``await client.open(bucket, key, "rb")`` of an :class:`objectfs.AsyncClient` gives.

    As ``io.BufferedReader``, with awaitable methods; ``async for`` yields lines. A cancelled read moves nothing, and
    the next one goes on where it stood.
    """

    mode = "rb"

    def __init__(self, reading: Reading, timeout: float | None) -> None:
        super().__init__(timeout)
        self._reading = reading
        self.name = f"s3://{reading.bucket}/{reading.key}"

    @property
    def info(self) -> ObjectInfo:
        """What the first answer said of the object: size, ETag, type, metadata."""
        return self._reading.info

    async def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill the buffer; fewer bytes only at the end of the object."""
        with memoryview(buffer) as given:
            async with self._turn:
                self.require_open()
                if not given.nbytes:
                    return 0
                with given.cast("B") as view:
                    return await self._fill(view)

    async def _fill(self, view: memoryview) -> int:
        reading = self._reading
        before = reading.position
        if reading.foreign:
            reading.check()
        filled = reading.take(view)
        try:
            while filled < len(view):
                with view[filled:] as rest:
                    count = await self._run(reading.read(rest))
                if not count:
                    break
                filled += count
        except BaseException:
            reading.position = before
            raise
        return filled

    async def read(self, size: int | None = -1, /) -> bytes:
        """``size`` bytes, fewer only at the end of the object; all that is left where it is negative or None."""
        reading = self._reading
        async with self._turn:
            self.require_open()
            left = max(0, reading.size - reading.position)
            if reading.foreign:
                reading.check()
            before = reading.position
            try:
                return await self._run(reading.read_bytes(left if size is None or size < 0 else min(size, left)))
            except BaseException:
                reading.position = before
                raise

    async def read1(self, size: int = -1, /) -> bytes:
        """Some bytes, at most ``size`` where it is not negative: what is there, or what comes first."""
        reading = self._reading
        async with self._turn:
            self.require_open()
            if reading.foreign:
                reading.check()
            while size:
                if data := reading.take_bytes(size):
                    return data
                if not await self._run(reading.bring()):
                    break
            return b""

    async def readall(self) -> bytes:
        """All that is left."""
        return await self.read()

    async def readline(self, size: int | None = -1, /) -> bytes:
        """Up to and with the next ``\\n``; at most ``size`` bytes where it is not negative."""
        reading = self._reading
        limit = -1 if size is None else size
        async with self._turn:
            self.require_open()
            if reading.foreign:
                reading.check()
            before = reading.position
            line = b""
            try:
                while limit < 0 or len(line) < limit:
                    piece = reading.take_bytes(limit - len(line) if limit >= 0 else -1, line=True)
                    if not piece:
                        if not await self._run(reading.bring()):
                            break
                        continue
                    line = line + piece if line else piece
                    if line.endswith(b"\n"):
                        break
            except BaseException:
                reading.position = before
                raise
            return line

    async def readlines(self) -> list[bytes]:
        """All lines that are left."""
        return [line async for line in self]

    async def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """As of any file. Makes no request."""
        async with self._turn:
            self.require_open()
            reading = self._reading
            reading.position = target_position(reading.position, reading.size, offset, whence)
            return reading.position

    async def tell(self) -> int:
        self.require_open()
        return self._reading.position

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    async def aclose(self) -> None:
        """Cancel what is on its way. Waits for nothing."""
        self._close()

    async def close(self) -> None:
        """:meth:`aclose`, by the name that files have for it."""
        self._close()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._reading.close()

    def _drop(self) -> None:
        self._close()

    async def __aenter__(self) -> AsyncReader:
        self.require_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._lines()

    async def _lines(self) -> AsyncIterator[bytes]:
        while line := await self.readline():
            yield line

    def __repr__(self) -> str:
        return f"<objectfs.AsyncReader of {self.name}{' closed' if self._closed else ''}>"


class AsyncWriter(_File):
    """What ``await client.open(bucket, key, "wb")`` of an :class:`objectfs.AsyncClient` gives.

    The object appears with ``close()``. A write that is cancelled or fails aborts the upload; so do an exception in the
    ``async with`` block, :meth:`abort`, and dropping it unclosed.
    """

    def __init__(self, writing: Writing, mode: str, timeout: float | None) -> None:
        super().__init__(timeout)
        self._writing = writing
        self.mode = mode
        self.name = f"s3://{writing.bucket}/{writing.key}"

    @property
    def result(self) -> PutResult | None:
        """The answer to the upload; None before ``close()``, and when there is no object."""
        return self._writing.result

    async def write(self, data: ReadableBuffer, /) -> int:
        """All of ``data``, which must not change until this has ended; the number of its bytes."""
        with memoryview(data) as given:
            async with self._turn:
                self.require_open()
                if not given.nbytes:
                    return 0
                with given.cast("B") as view:
                    if not self._writing.foreign and self._writing.put(view):
                        return len(view)
                    return await self._run(self._writing.write(view, type(data) is bytes))

    async def flush(self) -> None:
        """Nothing: S3 shows no part of an object."""
        self.require_open()

    async def tell(self) -> int:
        self.require_open()
        return self._writing.position

    async def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        raise io.UnsupportedOperation("seek: an object is written from its beginning to its end")

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    async def close(self) -> None:
        """Send what is left, and make the object visible."""
        async with self._turn:
            if not self._closed:
                self._closed = True
                await self._run(self._writing.complete())

    async def aclose(self) -> None:
        """:meth:`close`."""
        await self.close()

    async def abort(self, error: BaseException | None = None) -> None:
        """Close it without an object. Waits a second at most for the server; the rest is done in the background."""
        if self._closed:
            return
        self._closed = True
        if error is not None and not isinstance(error, Exception):  # cancelled: not a moment
            self._writing.drop()
            return
        with contextlib.suppress(ObjectFSError):  # it goes on without us, and is logged if it comes to nothing
            await arun(self._writing.abort(error), CLEANUP_GRACE)

    def _drop(self) -> None:
        self._closed = True
        self._writing.drop()

    async def __aenter__(self) -> AsyncWriter:
        self.require_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            await self.abort(value)
        else:
            await self.close()

    def __repr__(self) -> str:
        return f"<objectfs.AsyncWriter of {self.name}{' closed' if self._closed else ''}>"
