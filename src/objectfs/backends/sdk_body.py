"""Bodies: a response's into memory with no copy between, memory and files as a request's."""

from __future__ import annotations

import contextlib
import http.client
import os
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

from objectfs import errors
from objectfs.backends.sdk_task import Task

__all__ = ["FileBody", "MemoryBody", "SharedFile", "fill", "finish"]

RECEIVE_BLOCK = 1024 * 1024
"""Bytes that are asked of the socket at a time: large enough that the interpreter's share of the CPU is
small."""


def fill(body: Any, view: memoryview, task: Task, position: int) -> int:
    """Read a response's body into ``view`` until that is full or the body ends; the number of bytes.

    ``position`` is what the task had received before.
    """
    read = _reader(body)
    done = 0
    while done < len(view):
        with view[done : done + RECEIVE_BLOCK] as piece:
            got = read(piece)
        if not got:
            break
        done += got
        task.at(position + done)
        task.check()
    return done


def _reader(body: Any) -> Any:
    """The function that reads into a buffer.

    urllib3's readinto() makes a bytes object and copies it. Underneath lies http.client's, which receives
    into the buffer itself.
    """
    response = _plain_response(body)
    if response is not None:
        return response.readinto
    return getattr(body, "readinto", None) or partial(_read_into, body)


def _read_into(body: Any, piece: memoryview) -> int:
    """For bodies that have no readinto(), as in botocore 1.38.0."""
    data: bytes = body.read(len(piece))
    piece[: len(data)] = data
    return len(data)


def _plain_response(body: Any) -> http.client.HTTPResponse | None:
    """http.client's response, if nobody else has to look at what it receives: there is no checksum, and no content
    coding (botocore asks for none)."""
    response = getattr(getattr(body, "_raw_stream", None), "_fp", None)
    plain = type(body).__name__ == "StreamingBody" and isinstance(response, http.client.HTTPResponse)
    return response if plain else None


def finish(body: Any) -> None:
    """Take the end of a body that was read to its last byte: gives the connection back, checks the
    checksum."""
    response = _plain_response(body)
    if response is None:
        body.read(1)
    elif response.isclosed():  # http.client has seen the last byte. urllib3 has seen none, and would miss them all
        body._raw_stream.release_conn()


_HAS_PREAD: bool = hasattr(os, "pread")  # Windows has neither pread nor pwrite


class MemoryBody:
    """Memory as a request's body: read in slices that are not copied."""

    def __init__(self, view: memoryview, task: Task) -> None:
        self._view = view
        self._task = task
        self._position = 0
        self._sending = False

    def __len__(self) -> int:
        return len(self._view)

    def read(self, size: int | None = -1) -> memoryview | bytes:
        if size is None or size < 0:
            size = len(self._view) - self._position
        if self._position >= len(self._view) or size == 0:
            return b""
        piece = self._view[self._position : self._position + size]
        self._position += len(piece)
        self._task.check()
        self._note()
        return piece

    def _note(self) -> None:
        # botocore reads the body for the checksum and the signature first; those bytes have not been sent
        connection = self._task._connection
        if connection is not None:
            self._task.at(self._position)

    def seek(self, offset: int, whence: int = 0) -> int:
        base = 0 if whence == 0 else self._position if whence == 1 else len(self._view)
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def seekable(self) -> bool:
        return True


class SharedFile:
    """An open file that several threads read or write at offsets, and that is closed with its last user.

    Closing it under a thread that is about to write would let that write hit whatever file the number goes to
    next.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._users = 0
        self._closing = False

    @contextlib.contextmanager
    def use(self) -> Iterator[int]:
        """The file's descriptor, valid inside the block."""
        with self._lock:
            if self._closing:
                raise errors.CancelledError("the operation was cancelled")
            self._users += 1
        try:
            yield self._descriptor
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            close = self._closing and self._users == 0
        if close:
            os.close(self._descriptor)

    def close(self) -> None:
        with self._lock:
            if self._closing:
                return
            self._closing = True
            close = self._users == 0
        if close:
            os.close(self._descriptor)

    def write_at(self, data: memoryview, offset: int) -> None:
        with self.use() as descriptor:
            while data:
                if _HAS_PREAD:
                    count = os.pwrite(descriptor, data, offset)
                else:
                    with self._lock:
                        os.lseek(descriptor, offset, os.SEEK_SET)
                        count = os.write(descriptor, data)
                data = data[count:]
                offset += count

    def write_next(self, data: memoryview) -> None:
        """Write where the last write ended, as to a pipe."""
        with self.use() as descriptor:
            while data:
                data = data[os.write(descriptor, data) :]

    def read_at(self, size: int, offset: int) -> bytes:
        with self.use() as descriptor:
            if _HAS_PREAD:
                return os.pread(descriptor, size, offset)
            with self._lock:
                os.lseek(descriptor, offset, os.SEEK_SET)
                return os.read(descriptor, size)

    def stat(self) -> os.stat_result:
        with self.use() as descriptor:
            return os.fstat(descriptor)


class FileBody(MemoryBody):
    """A range of a file as a request's body. A file that ends within it has changed while it was sent."""

    def __init__(self, file: SharedFile, offset: int, length: int, task: Task) -> None:
        super().__init__(memoryview(b""), task)
        self._file = file
        self._offset = offset
        self._length = length

    def __len__(self) -> int:
        return self._length

    def read(self, size: int | None = -1) -> bytes:
        left = self._length - self._position
        size = left if size is None or size < 0 else min(size, left)
        if size <= 0:
            return b""
        self._task.check()
        try:
            data = self._file.read_at(size, self._offset + self._position)
        except OSError as error:
            raise errors.LocalFileError.from_oserror(error) from None
        if not data:
            raise errors.ObjectChangedError("the file became shorter while it was sent")
        self._position += len(data)
        self._note()
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        base = 0 if whence == 0 else self._position if whence == 1 else self._length
        self._position = max(0, base + offset)
        return self._position
