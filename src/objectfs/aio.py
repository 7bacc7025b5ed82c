"""The client for asyncio."""

# ruff: noqa: ASYNC109 - ``timeout=`` is the blocking client's too, and ends the transfer before it raises

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any

from objectfs import arguments as check
from objectfs.backends.base import GetOptions, ReadableBuffer, Steps
from objectfs.backends.drive import Progress, run
from objectfs.clientbase import Path
from objectfs.errors import NotFoundError, ObjectFSError
from objectfs.listing import Listing
from objectfs.streams import PutData, async_reader, has_buffer, in_thread, reader
from objectfs.transfer.opening import AsyncOpenVerbs
from objectfs.types import Buffer, ListPage, ObjectInfo, OnError, Prefix, PutResult
from objectfs.verbs.aversions import AsyncVersionVerbs

__all__ = ["AsyncClient"]


class AsyncClient(AsyncOpenVerbs, AsyncVersionVerbs):
    """:class:`objectfs.Client` with awaitable verbs: the same settings, arguments, results and errors.

    It belongs to no loop and starts no thread for what the engine does; cancelling a task cancels its
    transfer. ``progress`` is called on the loop. Streams (file objects, iterables, async iterables) given to
    :meth:`put` are read on a thread beside the loop, one part at a time.
    """

    # -- reading ---------------------------------------------------------------------------------------------
    async def get(
        self,
        bucket: str,
        key: str,
        start: int | None = None,
        end: int | None = None,
        *,
        version_id: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> Buffer:
        """See :meth:`objectfs.Client.get`."""
        options = check.get_options(start, end, version_id, if_match, if_none_match, headers)
        return await self._run(
            "GetObject", bucket, key, lambda backend: backend.get(bucket, key, options), timeout, progress
        )

    async def get_into(
        self,
        bucket: str,
        key: str,
        buffer: Any,
        start: int | None = None,
        end: int | None = None,
        *,
        version_id: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> int:
        """See :meth:`objectfs.Client.get_into`."""
        options = check.get_options(start, end, version_id, if_match, if_none_match, headers)
        return await self._run(
            "GetObject", bucket, key, lambda backend: backend.get_into(bucket, key, buffer, options), timeout, progress
        )

    async def get_file(
        self,
        bucket: str,
        key: str,
        path: Path,
        start: int | None = None,
        end: int | None = None,
        *,
        version_id: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> ObjectInfo:
        """See :meth:`objectfs.Client.get_file`."""
        name = check.text_path(path)
        options = check.get_options(start, end, version_id, if_match, if_none_match, headers)
        return await self._run(
            "GetObject", bucket, key, lambda backend: backend.get_file(bucket, key, name, options), timeout, progress
        )

    async def get_many(
        self,
        bucket: str,
        keys: Iterable[str],
        *,
        on_error: OnError = "raise",
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> list[Any]:
        """See :meth:`objectfs.Client.get_many`."""
        names = [check.check_key(key, bucket) for key in check.several(keys, "keys")]
        check.check_on_error(on_error)
        return await self._run(
            "GetObject",
            bucket,
            check.MANY,
            lambda backend: backend.get_many(bucket, names, on_error),
            timeout,
            progress,
        )

    async def get_ranges(
        self,
        bucket: str,
        key: str,
        ranges: Iterable[tuple[int, int]],
        *,
        version_id: str | None = None,
        if_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> list[Buffer]:
        """See :meth:`objectfs.Client.get_ranges`."""
        pairs = check.ranges(ranges)
        options = check.get_options(None, None, version_id, if_match, None, headers)
        return await self._run(
            "GetObject", bucket, key, lambda backend: backend.get_ranges(bucket, key, pairs, options), timeout, progress
        )

    async def head(
        self,
        bucket: str,
        key: str,
        *,
        version_id: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> ObjectInfo:
        """See :meth:`objectfs.Client.head`."""
        options = check.get_options(None, None, version_id, if_match, if_none_match, headers)
        return await self._run("HeadObject", bucket, key, lambda backend: backend.head(bucket, key, options), timeout)

    async def exists(self, bucket: str, key: str, *, timeout: float | None = None) -> bool:
        """See :meth:`objectfs.Client.exists`."""
        try:
            await self._run("HeadObject", bucket, key, lambda backend: backend.head(bucket, key, GetOptions()), timeout)
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
    ) -> AsyncIterator[ObjectInfo | Prefix]:
        """See :meth:`objectfs.Client.list`."""
        check.check_listing(bucket, prefix, delimiter, start_after, limit, timeout)

        def ask(token: Any, size: int | None) -> Steps[ListPage[ObjectInfo | Prefix]]:
            return self._core.backend().list_page(
                bucket,
                prefix=prefix,
                delimiter=delimiter or None,
                start_after=start_after or None,
                token=token,
                max_keys=size,
            )

        return self._pages(Listing("ListObjectsV2", bucket, ask, limit), timeout)

    # -- writing ---------------------------------------------------------------------------------------------
    async def put(
        self,
        bucket: str,
        key: str,
        data: PutData,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        storage_class: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> PutResult:
        """See :meth:`objectfs.Client.put`."""
        options = check.put_options(content_type, metadata, storage_class, if_match, if_none_match, headers)
        if has_buffer(data):
            return await self._run(
                "PutObject",
                bucket,
                key,
                lambda backend: backend.put(bucket, key, data, options),
                timeout,
                progress,
            )
        check.check_call(bucket, key, timeout, progress)
        loop = asyncio.get_running_loop()
        read = async_reader(data, loop) if isinstance(data, AsyncIterable) else reader(data)
        backend = self._core.backend()

        def work(check_cancelled: Callable[[], None]) -> PutResult:
            def read_on(size: int) -> Any:
                check_cancelled()
                return read(size)

            def step(moved: int) -> None:
                check_cancelled()
                if progress is not None:
                    loop.call_soon_threadsafe(progress, moved)

            return run(backend.put_stream(bucket, key, read_on, options), timeout, step)

        try:
            return await in_thread(work)
        except ObjectFSError as error:
            error.about("PutObject", bucket, key)
            raise

    async def put_file(
        self,
        bucket: str,
        key: str,
        path: Path,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        storage_class: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> PutResult:
        """See :meth:`objectfs.Client.put_file`."""
        name = check.text_path(path)
        options = check.put_options(content_type, metadata, storage_class, if_match, if_none_match, headers)
        return await self._run(
            "PutObject", bucket, key, lambda backend: backend.put_file(bucket, key, name, options), timeout, progress
        )

    async def put_many(
        self,
        bucket: str,
        items: Mapping[str, ReadableBuffer],
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        storage_class: str | None = None,
        if_none_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> dict[str, PutResult]:
        """See :meth:`objectfs.Client.put_many`."""
        check.check_items(items, bucket)
        options = check.put_options(content_type, metadata, storage_class, None, if_none_match, headers)
        return await self._run(
            "PutObject", bucket, check.MANY, lambda backend: backend.put_many(bucket, items, options), timeout, progress
        )

    async def delete(
        self, bucket: str, key: str, *, version_id: str | None = None, timeout: float | None = None
    ) -> None:
        """See :meth:`objectfs.Client.delete`."""
        await self._run("DeleteObject", bucket, key, lambda backend: backend.delete(bucket, key, version_id), timeout)

    async def delete_many(
        self, bucket: str, keys: Iterable[str], *, timeout: float | None = None
    ) -> dict[str, Exception]:
        """See :meth:`objectfs.Client.delete_many`."""
        names = (check.check_key(key, bucket) for key in check.several(keys, "keys"))
        return await self._run(
            "DeleteObjects", bucket, check.MANY, lambda backend: backend.delete_many(bucket, names), timeout
        )

    # -- everything else -------------------------------------------------------------------------------------
    async def call(self, operation: str, /, *, timeout: float | None = None, **params: Any) -> dict[str, Any]:
        """See :meth:`objectfs.Client.call`."""
        if not isinstance(operation, str):
            raise TypeError(f"operation must be a string, not {type(operation).__name__}")
        bucket, key = params.get("Bucket"), params.get("Key")
        answer: dict[str, Any] = await self._drive(
            operation, bucket, key, self._core.backend().call(operation, params), check.check_timeout(timeout)
        )
        return answer

    async def health(self, *, timeout: float = 10.0) -> dict[str, Any]:
        """See :meth:`objectfs.Client.health`."""
        with self._core.examination() as report:
            await self.call("ListBuckets", timeout=timeout)
        return report

    async def aclose(self) -> None:
        """:meth:`close`, without holding up the loop while what runs comes to its end."""
        try:
            await asyncio.to_thread(self._core.close)
        except RuntimeError:  # at exit no thread can be had any more, and there is nothing left to wait for
            self._core.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
