"""Where a download goes: new memory, the caller's memory, or a file that appears when it is complete."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable
from typing import Any, Protocol

from objectfs import errors
from objectfs.backends.digests import Digest
from objectfs.backends.memory import writable_view
from objectfs.backends.sdk_body import SharedFile
from objectfs.types import ObjectInfo

__all__ = ["Buffer", "FileSink", "MemorySink", "Sink", "ViewSink"]

FILE_BLOCK = 1024 * 1024
"""Bytes that pass from the socket to the file at a time, unless memory_limit is small."""

LEAST_BLOCK = 64 * 1024

Receive = Callable[[memoryview, int], int]
"""Reads into the view until it is full or the body ends; is told what came before; returns the count."""


class Buffer(bytearray):
    """Downloaded bytes: :class:`objectfs.types.Buffer` on Python's own memory."""

    info: ObjectInfo | None = None

    def part(self, start: int, end: int) -> Buffer:
        """Those bytes as a buffer: a copy, for Python before 3.12 has no class whose memory is another's; or the
        whole."""
        if (start, end) == (0, len(self)):
            return self
        with memoryview(self) as whole, whole[start:end] as view:
            found = Buffer(view)
        found.info = self.info
        return found

    def __bytes__(self) -> bytes:
        with memoryview(self) as view:
            return view.tobytes()

    def __repr__(self) -> str:
        return f"<objectfs.Buffer of {len(self)} bytes>"


class Sink(Protocol):
    """The destination of one download's content."""

    sequential: bool
    """Whether bytes must come in order, in one stream."""

    def open(self, length: int) -> None:
        """The content will have ``length`` bytes. Called again when the first request is tried again."""

    def receive(self, offset: int, length: int, receive: Receive) -> int:
        """Take ``length`` bytes to ``offset``; the number that came."""

    def write(self, offset: int, data: memoryview) -> None:
        """Put bytes that are already in memory."""

    def read(self, offset: int, length: int) -> Any:
        """Content that has been received, to be checked."""


class MemorySink:
    """New memory of the content's size."""

    sequential = False

    def __init__(self) -> None:
        self.buffer = Buffer()

    def open(self, length: int) -> None:
        if len(self.buffer) != length:
            self.buffer = Buffer(length)

    def receive(self, offset: int, length: int, receive: Receive) -> int:
        with memoryview(self.buffer) as whole, whole[offset : offset + length] as view:
            return receive(view, 0)

    def write(self, offset: int, data: memoryview) -> None:
        self.buffer[offset : offset + len(data)] = data

    def read(self, offset: int, length: int) -> Any:
        return memoryview(self.buffer)[offset : offset + length]


class ViewSink:
    """The caller's memory. It stays exported until the last thread that writes to it has let go."""

    sequential = False

    def __init__(self, buffer: Any) -> None:
        self._view = writable_view(buffer)
        self.length = 0

    def __enter__(self) -> ViewSink:
        return self

    def __exit__(self, *_: object) -> None:
        self._view.release()

    def open(self, length: int) -> None:
        if length > len(self._view):
            raise errors.BufferTooSmallError(f"{length} bytes do not fit into a buffer of {len(self._view)}")
        self.length = length

    def receive(self, offset: int, length: int, receive: Receive) -> int:
        with self._slice(offset, length) as view:
            return receive(view, 0)

    def write(self, offset: int, data: memoryview) -> None:
        with self._slice(offset, len(data)) as view:
            view[:] = data

    def read(self, offset: int, length: int) -> Any:
        return self._slice(offset, length)

    def _slice(self, offset: int, length: int) -> memoryview:
        try:
            return self._view[offset : offset + length]
        except ValueError:  # released: the caller has given up
            raise errors.CancelledError("the operation was cancelled") from None


class FileSink:
    """A temporary file beside ``path`` that takes its name when complete.

    A ``path`` that exists and is no regular file (a device, a pipe) is written to in place, in order:
    replacing ``/dev/stdout`` by a file is not what anybody wants.
    """

    def __init__(self, path: str, bucket: str, key: str, block: int = FILE_BLOCK) -> None:
        self._path = path
        self._block = block
        self._where: dict[str, Any] = {"operation": "GetObject", "bucket": bucket, "key": key}
        self._temporary: str | None = None
        self._length: int | None = None
        self._sent = 0
        self.digest: Digest | None = None
        """Sees what is written in order, and cannot be read again."""
        try:
            self.sequential = self._is_special()
            if self.sequential:
                descriptor = os.open(path, os.O_WRONLY | _FLAGS)
            else:
                # short, so that it is not too long where the name itself is not
                self._temporary = os.path.join(os.path.dirname(path), f".objectfs-{secrets.token_hex(8)}.tmp")
                descriptor = os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o666)
        except OSError as error:
            raise self._local(error) from None
        self._file = SharedFile(descriptor)

    def _is_special(self) -> bool:
        try:
            mode = os.stat(self._path).st_mode
        except FileNotFoundError:
            return False
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self._path)
        return not stat.S_ISREG(mode)

    def _local(self, error: OSError) -> errors.LocalFileError:
        plain = OSError(error.errno, error.strerror, self._path)  # the temporary file's name helps nobody
        return errors.LocalFileError.from_oserror(plain, **self._where)

    def __enter__(self) -> FileSink:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self._temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)
            self._temporary = None

    def open(self, length: int) -> None:
        if self._sent and length != self._length:
            raise errors.ObjectChangedError("the object was replaced while it was read", **self._where)
        self._length = length

    def receive(self, offset: int, length: int, receive: Receive) -> int:
        done = 0
        scratch = memoryview(bytearray(min(length, self._block)))
        while done < length:
            want = min(len(scratch), length - done)
            with scratch[:want] as view:
                got = receive(view, done)
                self.write(offset + done, view[:got])
            done += got
            if got < want:
                break
        return done

    def write(self, offset: int, data: memoryview) -> None:
        try:
            if self.sequential:
                # an attempt that failed half way has sent its bytes already
                data = data[max(0, self._sent - offset) :]
                self._file.write_next(data)
                if self.digest is not None:
                    self.digest.update(data)
                self._sent += len(data)
            else:
                self._file.write_at(data, offset)
        except OSError as error:
            raise self._local(error) from None

    def read(self, offset: int, length: int) -> Any:
        try:
            return self._file.read_at(length, offset)
        except OSError as error:
            raise self._local(error) from None

    def commit(self) -> None:
        """Put the complete file under its name."""
        if self._temporary is None:
            return
        self._file.close()
        try:
            os.replace(self._temporary, self._path)
        except OSError as error:
            raise self._local(error) from None
        self._temporary = None


_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
