"""Text files of an asyncio program, over the binary ones: what ``io.TextIOWrapper`` is to the blocking files."""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any

from objectfs.transfer.aio import AsyncReader, AsyncWriter
from objectfs.transfer.modes import Mode
from objectfs.types import ObjectInfo, PutResult

__all__ = ["AsyncTextReader", "AsyncTextWriter"]

CHUNK = 64 * 1024
"""Bytes that are decoded at a time."""


class _Text:
    """What both have in common. Not for several tasks at a time, as text files are not for several threads."""

    def __init__(self, buffer: Any, mode: Mode) -> None:
        assert mode.encoding is not None
        self.buffer = buffer
        self.mode: str = buffer.mode.replace("b", "")
        self.name: str = buffer.name
        self.encoding = mode.encoding
        self.errors = mode.errors or "strict"
        self._newline = mode.newline

    @property
    def closed(self) -> bool:
        found: bool = self.buffer.closed
        return found

    async def aclose(self) -> None:
        """:meth:`close`."""
        await self.close()

    async def close(self) -> None:
        """Of a writer: send what is left, and make the object visible."""
        await self.buffer.close()

    def __repr__(self) -> str:
        state = " closed" if self.closed else ""
        return f"<objectfs.{type(self).__name__} of {self.name} encoding={self.encoding!r}{state}>"


class AsyncTextReader(_Text):
    """What ``await client.open(bucket, key, "r")`` of an :class:`objectfs.AsyncClient` gives.

    Decodes and reads lines as ``io.TextIOWrapper`` does. ``seek`` knows the beginning only. After a cancelled read the
    next goes on where it stood.
    """

    buffer: AsyncReader

    def __init__(self, buffer: AsyncReader, mode: Mode) -> None:
        super().__init__(buffer, mode)
        self._start()

    def _start(self) -> None:
        decoder: Any = codecs.getincrementaldecoder(self.encoding)(self.errors)
        if self._newline in (None, ""):
            decoder = io.IncrementalNewlineDecoder(decoder, translate=self._newline is None)
        self._decoder = decoder
        self._text = ""
        self._at = 0  # characters of the text that have been read
        self._ended = False

    @property
    def info(self) -> ObjectInfo:
        """What the first answer said of the object."""
        return self.buffer.info

    async def _more(self) -> bool:
        """Decode some more; False at the end."""
        if self._ended:
            return False
        data = await self.buffer.read1(CHUNK)
        self._text = self._text[self._at :] + self._decoder.decode(data, final=not data)
        self._at = 0
        self._ended = not data
        return True

    async def read(self, size: int | None = -1, /) -> str:
        """``size`` characters, fewer only at the end; all that is left where it is negative or None."""
        self.buffer.require_open()
        if size is None or size < 0:
            while not self._ended:
                # all of it at once: piece by piece would copy what is there each time
                data = await self.buffer.read()
                self._text = self._text[self._at :] + self._decoder.decode(data, final=True)
                self._at, self._ended = 0, True
            return self._cut(len(self._text))
        while len(self._text) - self._at < size and await self._more():
            pass
        return self._cut(self._at + size)

    async def readline(self, size: int | None = -1, /) -> str:
        """Up to and with the end of the line; at most ``size`` characters where it is not negative."""
        self.buffer.require_open()
        limit = -1 if size is None else size
        looked = 0  # characters behind the position that are known to have no end of a line in them
        while True:
            end = self._line_end(self._at + looked)
            if end < 0 and not (0 <= limit <= len(self._text) - self._at):
                # where an end of two characters may have begun, look again
                looked = max(0, len(self._text) - self._at - 1)
                if await self._more():
                    continue
            if end < 0:
                end = len(self._text)
            return self._cut(end if limit < 0 else min(end, self._at + limit))

    def _line_end(self, start: int) -> int:
        """Behind the first end of a line from ``start`` on; -1 if there is none."""
        text, newline = self._text, self._newline
        if newline == "":
            ends = [found for found in (text.find("\n", start), text.find("\r", start)) if found >= 0]
            if not ends:
                return -1
            end = min(ends)
            return end + (2 if text.startswith("\r\n", end) else 1)
        mark = newline or "\n"
        found = text.find(mark, start)
        return -1 if found < 0 else found + len(mark)

    def _cut(self, end: int) -> str:
        text = self._text[self._at : end]
        self._at += len(text)
        return text

    async def readlines(self) -> list[str]:
        """All lines that are left."""
        return [line async for line in self]

    async def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """To the beginning: ``seek(0)``.

        Raises:
            io.UnsupportedOperation: anywhere else.
        """
        self.buffer.require_open()
        if offset != 0 or whence != io.SEEK_SET:
            raise io.UnsupportedOperation("seek: asynchronous text goes to its beginning only")
        await self.buffer.seek(0)
        self._start()
        return 0

    async def __aenter__(self) -> AsyncTextReader:
        await self.buffer.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.buffer.__aexit__(kind, value, traceback)

    def __aiter__(self) -> AsyncIterator[str]:
        return self._lines()

    async def _lines(self) -> AsyncIterator[str]:
        while line := await self.readline():
            yield line


class AsyncTextWriter(_Text):
    """What ``await client.open(bucket, key, "w")`` of an :class:`objectfs.AsyncClient` gives: an :class:`AsyncWriter`
    that encodes, and translates newlines, as ``io.TextIOWrapper`` does."""

    buffer: AsyncWriter

    def __init__(self, buffer: AsyncWriter, mode: Mode) -> None:
        super().__init__(buffer, mode)
        self._encoder = codecs.getincrementalencoder(self.encoding)(self.errors)
        self._ends = os.linesep if self._newline is None else self._newline

    @property
    def result(self) -> PutResult | None:
        """The answer to the upload; None before ``close()``, and when there is no object."""
        return self.buffer.result

    async def write(self, text: str, /) -> int:
        """All of ``text``; the number of its characters."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self.buffer.require_open()
        ended = text.replace("\n", self._ends) if self._ends not in ("", "\n") else text
        await self.buffer.write(self._encoder.encode(ended))
        return len(text)

    async def writelines(self, lines: Any, /) -> None:
        """Each of ``lines``, as it is."""
        for line in lines:
            await self.write(line)

    async def flush(self) -> None:
        """Nothing: S3 shows no part of an object."""
        await self.buffer.flush()

    async def abort(self, error: BaseException | None = None) -> None:
        """Close it without an object."""
        await self.buffer.abort(error)

    async def __aenter__(self) -> AsyncTextWriter:
        await self.buffer.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            await self.abort(value)
        else:
            await self.close()
