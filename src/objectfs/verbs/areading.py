"""Verbs that read, for asyncio."""

# ruff: noqa: ASYNC109 - ``timeout=`` is the blocking client's too, and ends the transfer before it raises

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
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
from objectfs.verbs.driving import AsyncDriver
from objectfs.verbs.resuming import resumed_get

__all__ = ["AsyncReadVerbs"]


class AsyncReadVerbs(AsyncDriver):
    """Verbs of AsyncClient."""

    async def get(
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
        """See :meth:`objectfs.Client.get`."""
        asked = check.get_options("GetParams", options, start, end)
        return await self._run(
            "GetObject", bucket, key, lambda backend: backend.get(bucket, key, asked), timeout, progress, options=asked
        )

    async def get_into(
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
        """See :meth:`objectfs.Client.get_into`."""
        asked = check.get_options("GetParams", options, start, end)
        return await self._run(
            "GetObject",
            bucket,
            key,
            lambda backend: backend.get_into(bucket, key, buffer, asked),
            timeout,
            progress,
            options=asked,
        )

    async def get_file(
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
        """See :meth:`objectfs.Client.get_file`."""
        name = check.text_path(path)
        asked = check.get_options("GetFileParams", options, start, end)
        return await self._run(
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

    async def get_many(
        self,
        bucket: str,
        keys: Iterable[str],
        *,
        on_error: OnError = "raise",
        timeout: float | None = None,
        progress: Progress | None = None,
        **options: Unpack[GetManyParams],
    ) -> list[Any]:
        """See :meth:`objectfs.Client.get_many`."""
        names = [check.check_key(key, bucket) for key in check.several(keys, "keys")]
        check.check_on_error(on_error)
        asked = check.get_options("GetManyParams", options)
        return await self._run(
            "GetObject",
            bucket,
            check.MANY,
            lambda backend: backend.get_many(bucket, names, on_error, asked),
            timeout,
            progress,
            options=asked,
        )

    async def get_ranges(
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
        """See :meth:`objectfs.Client.get_ranges`."""
        pairs = check.ranges(ranges)
        gap = COALESCE if coalesce is None else check.check_coalesce(coalesce)
        asked = check.get_options("RangesParams", options)
        return await self._run(
            "GetObject",
            bucket,
            key,
            lambda backend: get_ranges(backend, bucket, key, pairs, gap, asked),
            timeout,
            progress,
            options=asked,
        )

    async def head(
        self,
        bucket: str,
        key: str,
        *,
        timeout: float | None = None,
        **options: Unpack[HeadParams],
    ) -> ObjectInfo:
        """See :meth:`objectfs.Client.head`."""
        asked = check.get_options("HeadParams", options)
        return await self._run(
            "HeadObject", bucket, key, lambda backend: backend.head(bucket, key, asked), timeout, options=asked
        )

    async def exists(
        self,
        bucket: str,
        key: str,
        *,
        timeout: float | None = None,
        **options: Unpack[HeadParams],
    ) -> bool:
        """See :meth:`objectfs.Client.exists`."""
        asked = check.get_options("HeadParams", options)
        try:
            await self._run(
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
    ) -> AsyncIterator[ObjectInfo]: ...
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
    ) -> AsyncIterator[ObjectInfo | Prefix]: ...
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
    ) -> AsyncIterator[ObjectInfo | Prefix]:
        """See :meth:`objectfs.Client.list`."""
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
