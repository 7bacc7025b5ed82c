"""Objects open for reading, as Python's own files: raw, buffered, text."""

from __future__ import annotations

import contextlib
import io
import operator
import os
import warnings
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from objectfs.backends.base import Steps
from objectfs.backends.drive import run
from objectfs.transfer.reading import Reading
from objectfs.transfer.refusing import refuse_change
from objectfs.types import ObjectInfo

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["BUFFER", "ObjectReader", "RawReader", "TextReader", "Unclosed", "target_position"]

T = TypeVar("T")

BUFFER = 16 * 1024
"""Bytes of the buffered reader's buffer, unless ``buffering=`` says otherwise: what small reads cost of Python is
divided by it, and a small random read fetches as much beyond what was asked for."""


class Unclosed:
    """Mixed into files: one that is dropped unclosed says so, as Python's own do, and is closed."""

    closed: Any

    def _drop(self) -> None:
        self.close()  # type: ignore[attr-defined]

    def __del__(self) -> None:
        try:
            if self.closed:
                return
        except Exception:  # it was not made completely
            return
        try:
            # where warnings are errors, what this raises is reported as of any file
            warnings.warn(f"unclosed object {self!r}", ResourceWarning, stacklevel=2, source=self)
        finally:
            with contextlib.suppress(Exception):  # at exit much is gone already
                self._drop()


class RawReader(Unclosed, io.RawIOBase):
    """An object as a raw binary file: each read brings what there is without waiting, or waits for some bytes.

    As any raw file it is not for several threads at a time; :class:`ObjectReader` is. Reads raise what
    :meth:`objectfs.Client.get` raises, and ObjectChangedError when the object was replaced since it was opened.
    """

    mode = "rb"
    # in each class itself: h5py calls them with an exception pending, when only the first class is looked into
    write = truncate = refuse_change

    def __init__(self, reading: Reading, timeout: float | None) -> None:
        self._reading = reading
        self._timeout = timeout
        self._pid = os.getpid()
        self._closed = False
        self.name = f"s3://{reading.bucket}/{reading.key}"

    @property
    def info(self) -> ObjectInfo:
        """What the first answer said of the object."""
        return self._reading.info

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        reading = self._reading
        if self._closed or self._pid != os.getpid():
            self._unusable()
        with memoryview(buffer) as given:
            if not given.nbytes:
                return 0
            with given.cast("B") as view:
                return reading.take(view) or self._run(reading.read(view))

    def readall(self) -> bytes:
        if self._closed or self._pid != os.getpid():
            self._unusable()
        reading = self._reading
        return self._run(reading.read_bytes(max(0, reading.size - reading.position)))

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if self._closed:
            self._unusable()
        reading = self._reading
        reading.position = target_position(reading.position, reading.size, offset, whence)
        return reading.position

    def tell(self) -> int:
        if self._closed:
            self._unusable()
        return self._reading.position

    def readable(self) -> bool:
        if self._closed:
            self._unusable()
        return True

    def seekable(self) -> bool:
        if self._closed:
            self._unusable()
        return True

    def close(self) -> None:
        """Cancel what is on its way. Waits for nothing."""
        if not self._closed:
            self._closed = True
            try:
                self._reading.close()
            finally:
                super().close()

    def _run(self, steps: Steps[T]) -> T:
        return run(steps, self._timeout)

    def _unusable(self) -> NoReturn:
        if self._closed:
            raise ValueError("I/O operation on closed file.")
        self._reading.check()
        raise AssertionError("another process, and yet usable")  # pragma: no cover

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"at {self._reading.position} of {self._reading.size}"
        return f"<objectfs.RawReader of {self.name} {state}>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("an open object cannot be pickled: open it again where it is needed")


class ObjectReader(Unclosed, io.BufferedReader):
    """What ``open(bucket, key, "rb")`` gives: an ``io.BufferedReader`` whose raw file is a :class:`RawReader`. May be
    used from several threads, as any BufferedReader."""

    raw: RawReader
    write = truncate = refuse_change

    @property
    def info(self) -> ObjectInfo:
        """What the first answer said of the object: size, ETag, type, metadata."""
        return self.raw.info

    def __repr__(self) -> str:
        return f"<objectfs.ObjectReader of {self.raw.name}>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("an open object cannot be pickled: open it again where it is needed")


class TextReader(Unclosed, io.TextIOWrapper):
    """What ``open(bucket, key, "r")`` gives: an ``io.TextIOWrapper`` over an :class:`ObjectReader`."""

    @property
    def info(self) -> ObjectInfo:
        """What the first answer said of the object."""
        buffer: Any = self.buffer
        info: ObjectInfo = buffer.info
        return info

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("an open object cannot be pickled: open it again where it is needed")


def target_position(position: int, size: int, offset: Any, whence: int) -> int:
    """Where a seek leads, as Python's own files have it."""
    offset = operator.index(offset)
    if whence == io.SEEK_SET:
        target = offset
    elif whence == io.SEEK_CUR:
        target = position + offset
    elif whence == io.SEEK_END:
        target = size + offset
    else:
        raise ValueError(f"invalid whence ({whence}, should be 0, 1 or 2)")
    if target < 0:
        raise ValueError(f"negative seek value {target}")
    found: int = target
    return found
