"""Objects open for writing, as Python's own files: raw, buffered, text."""

from __future__ import annotations

import contextlib
import io
import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from objectfs.backends.base import Steps
from objectfs.backends.drive import CLEANUP_GRACE, run
from objectfs.errors import ObjectFSError
from objectfs.transfer.reader import Unclosed
from objectfs.transfer.refusing import refuse_seek
from objectfs.transfer.writing import Writing
from objectfs.types import PutResult

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["ObjectWriter", "RawWriter", "TextWriter"]

T = TypeVar("T")


class RawWriter(Unclosed, io.RawIOBase):
    """An object as a raw binary file that takes all of each write. The object appears with :meth:`close`.

    As any raw file it is not for several threads at a time; :class:`ObjectWriter` is. Writes and :meth:`close` raise
    what :meth:`objectfs.Client.put` raises; the upload is then aborted, and each further call raises it again.
    """

    seek = truncate = refuse_seek

    def __init__(self, writing: Writing, mode: str, timeout: float | None) -> None:
        self._writing = writing
        self._timeout = timeout
        self._pid = os.getpid()
        self._closed = False
        self._aborted = False
        self.mode = mode
        self.name = f"s3://{writing.bucket}/{writing.key}"

    @property
    def result(self) -> PutResult | None:
        """The answer to the upload; None before :meth:`close`, and when there is no object."""
        return self._writing.result

    def write(self, data: ReadableBuffer, /) -> int:
        if self._closed:
            raise ValueError("I/O operation on closed file.")
        with memoryview(data) as given:
            if self._aborted or not given.nbytes:  # what buffers above still had goes nowhere
                return given.nbytes
            with given.cast("B") as view:
                if self._pid == os.getpid() and self._writing.put(view):
                    return len(view)
                return self._run(self._writing.write(view, type(data) is bytes))

    def writable(self) -> bool:
        if self._closed:
            raise ValueError("I/O operation on closed file.")
        return True

    def tell(self) -> int:
        if self._closed:
            raise ValueError("I/O operation on closed file.")
        return self._writing.position

    def close(self) -> None:
        """Send what is left, and make the object visible."""
        if self._closed:
            return
        self._closed = True
        try:
            if not self._aborted:
                self._run(self._writing.complete())
        finally:
            super().close()

    def abort(self, error: BaseException | None = None) -> None:
        """Leave no object, and no pending upload. Waits a second at most; the rest is done in the background."""
        if self._closed or self._aborted:
            return
        self._aborted = True
        if error is not None and not isinstance(error, Exception):  # Ctrl-C: not a moment
            self._writing.drop()
            return
        with contextlib.suppress(ObjectFSError):
            run(self._writing.abort(error), CLEANUP_GRACE)

    def _drop(self) -> None:
        self._aborted = True
        self._writing.drop()
        self.close()

    def _run(self, steps: Steps[T]) -> T:
        return run(steps, self._timeout)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self.abort(value)
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"at {self._writing.position}"
        return f"<objectfs.RawWriter of {self.name} {state}>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("an open object cannot be pickled: open it again where it is needed")


class _Aborts(Unclosed):
    """Files over a :class:`RawWriter`: an exception in their ``with`` block leaves no object, and neither does one that
    is dropped unclosed."""

    @property
    def _raw(self) -> RawWriter:
        raise NotImplementedError

    @property
    def result(self) -> PutResult | None:
        """The answer to the upload; None before ``close()``, and when there is no object."""
        return self._raw.result

    def abort(self, error: BaseException | None = None) -> None:
        """Close it without an object. Waits a second at most for the server; the rest is done in the background."""
        self._raw.abort(error)
        self.close()  # type: ignore[attr-defined]

    def _drop(self) -> None:
        self._raw._aborted = True
        self._raw._writing.drop()
        self.close()  # type: ignore[attr-defined]

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._raw.abort(value)
        self.close()  # type: ignore[attr-defined]

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("an open object cannot be pickled: open it again where it is needed")


class ObjectWriter(_Aborts, io.BufferedWriter):
    """What ``open(bucket, key, "wb")`` gives: an ``io.BufferedWriter`` whose raw file is a :class:`RawWriter`. May be
    used from several threads, as any BufferedWriter."""

    seek = truncate = refuse_seek

    def __init__(self, raw: RawWriter, buffer_size: int) -> None:
        super().__init__(raw, buffer_size)
        self._raw_writer = raw

    @property
    def _raw(self) -> RawWriter:
        return self._raw_writer

    def __repr__(self) -> str:
        return f"<objectfs.ObjectWriter of {self._raw_writer.name}>"


class TextWriter(_Aborts, io.TextIOWrapper):
    """What ``open(bucket, key, "w")`` gives: an ``io.TextIOWrapper`` over an :class:`ObjectWriter`."""

    seek = truncate = refuse_seek

    @property
    def _raw(self) -> RawWriter:
        buffer: Any = self.buffer
        raw: RawWriter = buffer._raw
        return raw
