"""Verbs that read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Unpack

from objectfs import arguments as check
from objectfs.backends.base import Steps
from objectfs.backends.drive import Progress
from objectfs.clientbase import Path
from objectfs.errors import NotFoundError
from objectfs.listing import Listing
from objectfs.options import GetManyParams, GetParams, HeadParams, ListParams, RangesParams
from objectfs.types import Buffer, ListPage, ObjectInfo, OnError, Prefix
from objectfs.verbs.driving import Driver

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

        Args:
            start, end: a half-open range in bytes; a negative ``start`` is a suffix. ``end`` is cut to the
                object.
            if_match, if_none_match: ETags.
            headers: further request headers.

        Raises:
            NotFoundError, AccessDeniedError, PreconditionFailedError (also for "not modified"),
            InvalidRangeError: ``start`` lies at or behind the end of the object.
            ChecksumError, TruncatedError: after the last attempt.
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
        **options: Unpack[GetParams],
    ) -> ObjectInfo:
        """As :meth:`get`, into a file that appears under ``path`` when it is complete, replacing what was
        there.

        Raises:
            LocalFileError: the file cannot be written: ``errno`` says why.
        """
        name = check.text_path(path)
        asked = check.get_options("GetParams", options, start, end)
        return self._run(
            "GetObject",
            bucket,
            key,
            lambda backend: backend.get_file(bucket, key, name, asked),
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
        """Many whole objects (GetObject each), in the order of ``keys``.

        Args:
            on_error: ``raise`` the first failure and cancel the rest, or ``return`` each in its key's place.
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
        timeout: float | None = None,
        progress: Progress | None = None,
        **options: Unpack[RangesParams],
    ) -> list[Buffer]:
        """Many half-open ranges of one object (GetObject each), in the order given.

        Raises:
            ObjectChangedError: the object was replaced meanwhile.
            InvalidRangeError: a range begins behind the end of the object.
        """
        pairs = check.ranges(ranges)
        asked = check.get_options("RangesParams", options)
        return self._run(
            "GetObject",
            bucket,
            key,
            lambda backend: backend.get_ranges(bucket, key, pairs, asked),
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
        """What is known of an object (HeadObject)."""
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
        """Whether there is such an object (HeadObject). AccessDeniedError where that may not be known."""
        asked = check.get_options("HeadParams", options)
        try:
            self._run(
                "HeadObject", bucket, key, lambda backend: backend.head(bucket, key, asked), timeout, options=asked
            )
        except NotFoundError:
            return False
        return True

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
            start_after: begin behind this key.
            limit: at most so many entries.
            timeout: seconds for each page.
        """
        check.check_listing(bucket, prefix, delimiter, start_after, limit, timeout)
        asked = check.list_options(options)

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
