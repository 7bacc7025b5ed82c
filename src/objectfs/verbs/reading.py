"""Verbs that read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Unpack, overload

from objectfs import arguments as check
from objectfs.backends.base import Steps
from objectfs.backends.drive import Progress
from objectfs.backends.ranges import COALESCE, get_ranges
from objectfs.clientbase import Path
from objectfs.errors import NotFoundError
from objectfs.listing import Listing
from objectfs.options import GetFileParams, GetManyParams, GetParams, HeadParams, ListParams, RangesParams
from objectfs.types import Buffer, ListPage, ObjectInfo, OnError, Prefix
from objectfs.verbs.driving import Driver
from objectfs.verbs.resuming import resumed_get

__all__ = ["ReadVerbs"]


class ReadVerbs(Driver):
    """Verbs of Client."""

    def get(
        self,
        bucket: str,
        key: str,
        start: int | None = None,
        end: int | None = None,
        *,
        timeout: float | None = None,
        progress: Progress | None = None,
        **options: Unpack[GetParams],
    ) -> Buffer:
        """An object, or a range of it, in new memory (GetObject).

        Large objects are fetched in parallel ranges, all of the same object: each names the ETag of the first answer.
        HeadObject is used too for empty objects and ranges, and for the checksum of a large object.

        Args:
            start, end: a half-open range in bytes; a negative ``start`` is a suffix. ``end`` is cut to the
                object.

        Returns:
            Memory with the buffer protocol; ``info`` is what the answer said of the object.

        Raises:
            NotFoundError: there is no such object, version or bucket.
            AccessDeniedError: the credentials may not read it.
            PreconditionFailedError: a condition does not hold; also for "not modified".
            InvalidRangeError: ``start`` lies at or behind the end of the object.
            ObjectChangedError: the object was replaced while it was read.
            ChecksumError, TruncatedError: after the last attempt.
            InvalidRequestError: an option has a value that S3 does not take.
        """
        asked = check.get_options("GetParams", options, start, end)
        return self._run(
            "GetObject", bucket, key, lambda backend: backend.get(bucket, key, asked), timeout, progress, options=asked
        )

    def get_into(
        self,
        bucket: str,
        key: str,
        buffer: Any,
        start: int | None = None,
        end: int | None = None,
        *,
        timeout: float | None = None,
        progress: Progress | None = None,
        **options: Unpack[GetParams],
    ) -> int:
        """As :meth:`get`, into a writable, C-contiguous buffer (bytearray, mmap, numpy array …); the byte
        count.

        Args:
            buffer: it may be larger than the content. What lies behind that is left as it is, but for what an attempt
                wrote there that failed, if it brought more than the one that counts.

        Returns:
            The number of bytes written, from the start of the buffer. They are validated as those of :meth:`get`; a
            number cannot say against what: docs/integrity.md.

        Raises:
            TypeError, ValueError: it is no buffer; it is read-only or not contiguous.
            BufferTooSmallError: the content does not fit.
        """
        asked = check.get_options("GetParams", options, start, end)
        return self._run(
            "GetObject",
            bucket,
            key,
            lambda backend: backend.get_into(bucket, key, buffer, asked),
            timeout,
            progress,
            options=asked,
        )

    def get_file(
        self,
        bucket: str,
        key: str,
        path: Path,
        start: int | None = None,
        end: int | None = None,
        *,
        timeout: float | None = None,
        progress: Progress | None = None,
        **options: Unpack[GetFileParams],
    ) -> ObjectInfo:
        """As :meth:`get`, into a file that appears under ``path`` when it is complete, replacing what was
        there.

        Args:
            path: of a file, in a folder that exists.

        With ``resume=True`` it goes on where an earlier call stopped, in whatever process that was (HeadObject, then
        GetObject of what is missing): what has been fetched lies beside the file until it is complete.

        Returns:
            What the answer said of the object.

        Raises:
            LocalFileError: the file cannot be written: ``errno`` says why. With ``resume=True`` also EBUSY: somebody
                else is at it.
        """
        name = check.text_path(path)
        asked = check.get_options("GetFileParams", options, start, end)
        return self._run(
            "GetObject",
            bucket,
            key,
            resumed_get(self._core, bucket, key, name, asked)
            if asked.resume
            else lambda backend: backend.get_file(bucket, key, name, asked),
            timeout,
            progress,
            options=asked,
        )

    def get_many(
        self,
        bucket: str,
        keys: Iterable[str],
        *,
        on_error: OnError = "raise",
        timeout: float | None = None,
        progress: Progress | None = None,
        **options: Unpack[GetManyParams],
    ) -> list[Any]:
        """Many whole objects (GetObject each, and HeadObject for empty ones), in the order of ``keys``.

        Args:
            keys: of the objects; all results are in memory at the same time.
            on_error: ``raise`` the first failure and cancel the rest, or ``return`` each in its key's place.

        Returns:
            A Buffer for each key, or with ``on_error="return"`` the exception.

        Raises:
            NotFoundError and others of :meth:`get`: unless they are returned.
        """
        names = [check.check_key(key, bucket) for key in check.several(keys, "keys")]
        check.check_on_error(on_error)
        asked = check.get_options("GetManyParams", options)
        return self._run(
            "GetObject",
            bucket,
            check.MANY,
            lambda backend: backend.get_many(bucket, names, on_error, asked),
            timeout,
            progress,
            options=asked,
        )

    def get_ranges(
        self,
        bucket: str,
        key: str,
        ranges: Iterable[tuple[int, int]],
        *,
        coalesce: int | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
        **options: Unpack[RangesParams],
    ) -> list[Buffer]:
        """Many half-open ranges of one object (GetObject), in the order given. Those near each other are one
        request, and no byte is fetched twice.

        Args:
            ranges: pairs ``(start, end)`` in bytes, ``end`` not included; it is cut to the object.
            coalesce: bytes between two ranges up to which they are fetched together, what lies between them
                included: 65,536 if not given. What is put together so is not longer than 8 MiB. 0: each range with
                a request of its own.

        Returns:
            The content of each range. On ``crt`` ranges that were fetched together share their memory, which lives
            as long as any of them; so may equal ranges on ``sdk``.

        Raises:
            NotFoundError and others of :meth:`get`: as there.
            ObjectChangedError: the object was replaced meanwhile.
            InvalidRangeError: a range begins behind the end of the object.
        """
        pairs = check.ranges(ranges)
        gap = COALESCE if coalesce is None else check.check_coalesce(coalesce)
        asked = check.get_options("RangesParams", options)
        return self._run(
            "GetObject",
            bucket,
            key,
            lambda backend: get_ranges(backend, bucket, key, pairs, gap, asked),
            timeout,
            progress,
            options=asked,
        )

    def head(
        self,
        bucket: str,
        key: str,
        *,
        timeout: float | None = None,
        **options: Unpack[HeadParams],
    ) -> ObjectInfo:
        """What is known of an object (HeadObject).

        Returns:
            Size in bytes, ETag, type, metadata, and all headers of the answer.

        Raises:
            NotFoundError: there is no such object, version or bucket.
            AccessDeniedError: the credentials may not read it; without the permission to list, S3 also answers so where
                there is no such object.
            PreconditionFailedError: a condition does not hold; also for "not modified".
        """
        asked = check.get_options("HeadParams", options)
        return self._run(
            "HeadObject", bucket, key, lambda backend: backend.head(bucket, key, asked), timeout, options=asked
        )

    def exists(
        self,
        bucket: str,
        key: str,
        *,
        timeout: float | None = None,
        **options: Unpack[HeadParams],
    ) -> bool:
        """Whether there is such an object (HeadObject).

        Returns:
            False for what :meth:`head` raises NotFoundError of, also where there is no such bucket.

        Raises:
            AccessDeniedError: that may not be known.
            PreconditionFailedError: a condition does not hold.
        """
        asked = check.get_options("HeadParams", options)
        try:
            self._run(
                "HeadObject", bucket, key, lambda backend: backend.head(bucket, key, asked), timeout, options=asked
            )
        except NotFoundError:
            return False
        return True

    @overload
    def list(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: None = None,
        start_after: str | None = None,
        limit: int | None = None,
        *,
        timeout: float | None = None,
        **options: Unpack[ListParams],
    ) -> Iterator[ObjectInfo]: ...
    @overload
    def list(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: str | None = None,
        start_after: str | None = None,
        limit: int | None = None,
        *,
        timeout: float | None = None,
        **options: Unpack[ListParams],
    ) -> Iterator[ObjectInfo | Prefix]: ...
    def list(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: str | None = None,
        start_after: str | None = None,
        limit: int | None = None,
        *,
        timeout: float | None = None,
        **options: Unpack[ListParams],
    ) -> Iterator[ObjectInfo | Prefix]:
        """Objects, and prefixes where there is a delimiter, in the order of their UTF-8 bytes
        (ListObjectsV2).

        While one page is being consumed the next is on its way; memory holds two pages however long the
        listing is.

        Args:
            prefix: only keys that begin so.
            delimiter: keys that go on behind the prefix up to this text become one Prefix; mostly ``"/"``.
            start_after: begin behind this key.
            limit: at most so many entries.
            timeout: seconds for each page.

        Returns:
            An iterator; requests begin with the first entry asked of it, and end when it is closed or dropped.

        Raises:
            BucketNotFoundError: there is no such bucket; as all errors of requests, when entries are asked for.
            AccessDeniedError: the credentials may not list it.
        """
        check.check_listing(bucket, prefix, delimiter, start_after, limit, timeout)
        asked = check.list_options("ListParams", options)

        def ask(token: Any, size: int | None) -> Steps[ListPage[ObjectInfo | Prefix]]:
            return self._core.backend().list_page(
                bucket,
                prefix=prefix,
                delimiter=delimiter or None,
                start_after=start_after or None,
                token=token,
                max_keys=size,
                options=asked,
            )

        return self._pages(Listing("ListObjectsV2", bucket, ask, limit), timeout)
