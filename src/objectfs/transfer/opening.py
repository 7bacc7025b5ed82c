"""``open()`` of both clients."""

# ruff: noqa: ASYNC109 - ``timeout=`` is the blocking client's too, and ends the transfer before it raises

from __future__ import annotations

from typing import Any, Literal, Unpack, overload

from objectfs import arguments as check
from objectfs.backends.drive import arun, run
from objectfs.core import Core
from objectfs.errors import ObjectFSError
from objectfs.options import PutParams, RangesParams
from objectfs.transfer.aio import AsyncReader, AsyncWriter
from objectfs.transfer.atext import AsyncTextReader, AsyncTextWriter
from objectfs.transfer.modes import parse_mode, reading_options, text_layer, writing_options
from objectfs.transfer.reader import BUFFER, ObjectReader, RawReader, TextReader
from objectfs.transfer.reading import Reading
from objectfs.transfer.writer import ObjectWriter, RawWriter, TextWriter
from objectfs.transfer.writing import Writing

__all__ = ["AsyncOpenVerbs", "OpenVerbs"]


class OpenVerbs:
    """Mixed into :class:`objectfs.Client`."""

    _core: Core

    @overload
    def open(
        self,
        bucket: str,
        key: str,
        mode: Literal["rb"] = "rb",
        buffering: int = -1,
        encoding: None = None,
        errors: None = None,
        newline: None = None,
        *,
        prefetch: int | str | None = None,
        timeout: float | None = None,
        **options: Unpack[RangesParams],
    ) -> ObjectReader: ...
    @overload
    def open(
        self,
        bucket: str,
        key: str,
        mode: Literal["wb", "xb"],
        buffering: int = -1,
        encoding: None = None,
        errors: None = None,
        newline: None = None,
        *,
        prefetch: None = None,
        timeout: float | None = None,
        **options: Unpack[PutParams],
    ) -> ObjectWriter: ...
    @overload
    def open(
        self,
        bucket: str,
        key: str,
        mode: Literal["r", "rt"],
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        *,
        prefetch: int | str | None = None,
        timeout: float | None = None,
        **options: Unpack[RangesParams],
    ) -> TextReader: ...
    @overload
    def open(
        self,
        bucket: str,
        key: str,
        mode: Literal["w", "wt", "x", "xt"],
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        *,
        prefetch: None = None,
        timeout: float | None = None,
        **options: Unpack[PutParams],
    ) -> TextWriter: ...
    @overload
    def open(
        self,
        bucket: str,
        key: str,
        mode: str,
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        *,
        prefetch: int | str | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> Any: ...
    def open(
        self,
        bucket: str,
        key: str,
        mode: str = "rb",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        *,
        prefetch: int | str | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> Any:
        """An object as a file, for whatever takes files: ``zipfile``, ``csv``, ``json``, pandas, pyarrow, h5py …

        Reading (GetObject of ranges) begins with a small range and reads ahead in parallel once it is sequential. After
        a seek only what is asked for is fetched. All is of one object: each request names the ETag of the first answer.
        What is read from its beginning to its end is held to the server's checksum of the whole (HeadObject beside the
        ranges, if there are several; for an empty object too). Memory: ``prefetch`` and about 32 MiB for each open
        object, less where many are open, and all of a client together no more than its ``memory_limit`` leaves.

        Writing (PutObject; from the second part on CreateMultipartUpload, UploadPart, CompleteMultipartUpload) sends
        parts in parallel while it goes on. The object appears with ``close()``. An exception in the ``with`` block,
        ``abort()``, and dropping the file unclosed leave no object and no pending upload. Memory: 144 MiB at most with
        parts of 8 MiB; no more than ``memory_limit`` leaves, but always a part, of 5 MiB where many are open.

        Args:
            mode: ``r`` to read, ``w`` to write, ``x`` to write only if there is no such object (decided when it is
                closed); with ``b`` bytes, else text. The default is ``rb``, not ``r``.
            buffering: bytes of the buffer; 0 for the raw file.
            encoding: of text; UTF-8 by default, on every machine.
            errors, newline: as of Python's own ``open``.
            prefetch: bytes that may be read ahead (128 MiB); 0 for none.
            timeout: seconds that each read, write or ``close()`` may wait.
            options: as of :meth:`get` for reading (``version_id``, ``if_match`` …), as of :meth:`put` for writing
                (``content_type``, ``metadata``, ``if_match`` …).

        Returns:
            An ``io.BufferedReader``, ``io.BufferedWriter``, ``io.TextIOWrapper`` or, with ``buffering=0``, an
            ``io.RawIOBase``. Readers have ``info``, what was said of the object, with ``checksum_validated`` once all
            of it has been read and compared; writers ``result`` after ``close()`` (a PutResult), and ``abort()``.

        Raises:
            ValueError: there is no such mode, or the file is closed, as with any file.
            NotFoundError and others of :meth:`get`: at once, and with reads.
            ObjectChangedError: with reads, when the object was replaced after it was opened.
            ChecksumError: with the read that would bring the end, when all that was read is not what the server has.
            PreconditionFailedError and others of :meth:`put`: with writes and ``close()``.
            UnsupportedError: ``a`` and ``+``, which S3 cannot do; or reading more than 32 MiB from an endpoint without
                ranges.
        """
        check.check_call(bucket, key, timeout)
        parsed = parse_mode(mode, buffering, encoding, errors, newline, bucket, key)
        size = BUFFER if parsed.buffering < 0 else parsed.buffering
        file: Any
        if parsed.writes:
            put = writing_options(parsed, mode, options, prefetch)
            self._core.check_options(put, bucket)
            raw_writer = RawWriter(Writing(self._core, bucket, key, put), "xb" if parsed.exclusive else "wb", timeout)
            file = raw_writer if size == 0 else ObjectWriter(raw_writer, size)
            return text_layer(TextWriter, parsed, file) if parsed.text else file
        get, ahead = reading_options(mode, options, prefetch)
        self._core.check_options(get, bucket)
        reading = Reading(self._core, bucket, key, get, ahead, size)
        try:
            run(reading.open(), timeout)
        except ObjectFSError as error:
            error.about("GetObject", bucket, key)
            raise
        raw_reader = RawReader(reading, timeout)
        file = raw_reader if size == 0 else ObjectReader(raw_reader, size)
        return text_layer(TextReader, parsed, file) if parsed.text else file


class AsyncOpenVerbs:
    """Mixed into :class:`objectfs.AsyncClient`."""

    _core: Core

    @overload
    async def open(
        self,
        bucket: str,
        key: str,
        mode: Literal["rb"] = "rb",
        encoding: None = None,
        errors: None = None,
        newline: None = None,
        *,
        prefetch: int | str | None = None,
        timeout: float | None = None,
        **options: Unpack[RangesParams],
    ) -> AsyncReader: ...
    @overload
    async def open(
        self,
        bucket: str,
        key: str,
        mode: Literal["wb", "xb"],
        encoding: None = None,
        errors: None = None,
        newline: None = None,
        *,
        prefetch: None = None,
        timeout: float | None = None,
        **options: Unpack[PutParams],
    ) -> AsyncWriter: ...
    @overload
    async def open(
        self,
        bucket: str,
        key: str,
        mode: Literal["r", "rt"],
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        *,
        prefetch: int | str | None = None,
        timeout: float | None = None,
        **options: Unpack[RangesParams],
    ) -> AsyncTextReader: ...
    @overload
    async def open(
        self,
        bucket: str,
        key: str,
        mode: Literal["w", "wt", "x", "xt"],
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        *,
        prefetch: None = None,
        timeout: float | None = None,
        **options: Unpack[PutParams],
    ) -> AsyncTextWriter: ...
    @overload
    async def open(
        self,
        bucket: str,
        key: str,
        mode: str,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        *,
        prefetch: int | str | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> Any: ...
    async def open(
        self,
        bucket: str,
        key: str,
        mode: str = "rb",
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        *,
        prefetch: int | str | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> Any:
        """As :meth:`objectfs.Client.open`: a file whose methods are awaited, for use with ``async with``.

        Args: as there, without ``buffering``, which an awaited file has no use for.

        Returns:
            An :class:`~objectfs.transfer.aio.AsyncReader` or ``AsyncWriter``, in text modes an
            :class:`~objectfs.transfer.atext.AsyncTextReader` or ``AsyncTextWriter``.
        """
        check.check_call(bucket, key, timeout)
        parsed = parse_mode(mode, -1, encoding, errors, newline, bucket, key)
        if parsed.writes:
            put = writing_options(parsed, mode, options, prefetch)
            self._core.check_options(put, bucket)
            writing = Writing(self._core, bucket, key, put)
            writer = AsyncWriter(writing, "xb" if parsed.exclusive else "wb", timeout)
            return AsyncTextWriter(writer, parsed) if parsed.text else writer
        get, ahead = reading_options(mode, options, prefetch)
        self._core.check_options(get, bucket)
        reading = Reading(self._core, bucket, key, get, ahead, 0)
        try:
            await arun(reading.open(), timeout)
        except ObjectFSError as error:
            error.about("GetObject", bucket, key)
            raise
        reader = AsyncReader(reading, timeout)
        return AsyncTextReader(reader, parsed) if parsed.text else reader
