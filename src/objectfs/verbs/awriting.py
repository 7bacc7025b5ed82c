"""Verbs that store and delete, for asyncio."""

# ruff: noqa: ASYNC109 - ``timeout=`` is the blocking client's too, and ends the transfer before it raises

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import Any, TypeVar, Unpack

from objectfs import arguments as check
from objectfs.backends.base import ReadableBuffer
from objectfs.backends.drive import Progress, run
from objectfs.backends.tagging import tagged
from objectfs.clientbase import Path
from objectfs.errors import ObjectFSError
from objectfs.options import DeleteManyParams, DeleteParams, PutFileParams, PutManyParams, PutParams
from objectfs.streams import PutData, async_reader, has_buffer, in_thread, reader
from objectfs.types import OnError, PutResult
from objectfs.verbs.driving import AsyncDriver
from objectfs.verbs.manyjobs import put_many
from objectfs.verbs.resuming import resumed_put

__all__ = ["AsyncWriteVerbs"]

K = TypeVar("K", bound="str | tuple[str, str | None]")

AT_ONCE = 4000
"""Keys of an async iterable that are deleted together."""


class AsyncWriteVerbs(AsyncDriver):
    """Verbs of AsyncClient."""

    async def put(
        self,
        bucket: str,
        key: str,
        data: PutData,
        *,
        timeout: float | None = None,
        progress: Progress | None = None,
        **options: Unpack[PutParams],
    ) -> PutResult:
        """See :meth:`objectfs.Client.put`."""
        asked = check.put_options("PutParams", options)
        if has_buffer(data):
            return await self._run(
                "PutObject",
                bucket,
                key,
                lambda backend: tagged(backend, bucket, key, asked, backend.put(bucket, key, data, asked)),
                timeout,
                progress,
                options=asked,
            )
        check.check_call(bucket, key, timeout, progress)
        self._core.check_options(asked, bucket)
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

            upload = tagged(backend, bucket, key, asked, backend.put_stream(bucket, key, read_on, asked))
            return run(upload, timeout, step)

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
        timeout: float | None = None,
        progress: Progress | None = None,
        **options: Unpack[PutFileParams],
    ) -> PutResult:
        """See :meth:`objectfs.Client.put_file`."""
        name = check.text_path(path)
        asked = check.put_options("PutFileParams", options)
        return await self._run(
            "PutObject",
            bucket,
            key,
            resumed_put(self._core, bucket, key, name, asked)
            if asked.resume
            else lambda backend: tagged(backend, bucket, key, asked, backend.put_file(bucket, key, name, asked)),
            timeout,
            progress,
            options=asked,
        )

    async def put_many(
        self,
        bucket: str,
        items: Mapping[str, ReadableBuffer] | Iterable[tuple[str, ReadableBuffer]],
        *,
        on_error: OnError = "raise",
        timeout: float | None = None,
        progress: Progress | None = None,
        **options: Unpack[PutManyParams],
    ) -> dict[str, Any]:
        """See :meth:`objectfs.Client.put_many`."""
        asked = check.put_options("PutManyParams", options)
        return await self._run(
            "PutObject",
            bucket,
            check.MANY,
            put_many(bucket, items, on_error, asked),
            timeout,
            progress,
            options=asked,
        )

    async def delete(
        self,
        bucket: str,
        key: str,
        *,
        timeout: float | None = None,
        **options: Unpack[DeleteParams],
    ) -> None:
        """See :meth:`objectfs.Client.delete`."""
        asked = check.delete_options("DeleteParams", options)
        await self._run(
            "DeleteObject", bucket, key, lambda backend: backend.delete(bucket, key, asked), timeout, options=asked
        )

    async def delete_many(
        self,
        bucket: str,
        keys: Iterable[K] | AsyncIterable[K],
        *,
        timeout: float | None = None,
        **options: Unpack[DeleteManyParams],
    ) -> dict[K, Exception]:
        """See :meth:`objectfs.Client.delete_many`. Here ``keys`` may also be an async iterable."""
        if isinstance(keys, AsyncIterable):
            return await self._delete_as_they_come(bucket, keys, timeout, options)
        items = (check.check_version_item(key, bucket) for key in check.several(keys, "keys"))
        asked = check.delete_options("DeleteManyParams", options)
        failures: Any = await self._run(
            "DeleteObjects",
            bucket,
            check.MANY,
            lambda backend: backend.delete_many(bucket, items, asked),
            timeout,
            options=asked,
        )
        found: dict[K, Exception] = failures
        return found

    async def _delete_as_they_come(
        self, bucket: str, keys: AsyncIterable[K], timeout: float | None, options: DeleteManyParams
    ) -> dict[K, Exception]:
        """A few requests' worth at a time."""
        clock = asyncio.get_running_loop().time
        deadline = None if check.check_timeout(timeout) is None else clock() + (timeout or 0.0)
        failures: dict[K, Exception] = {}
        batch: list[K] = []

        async def delete() -> None:
            left = None if deadline is None else max(0.0, deadline - clock())
            failures.update(await self.delete_many(bucket, batch, timeout=left, **options))
            batch.clear()

        async for key in keys:
            batch.append(key)
            if len(batch) == AT_ONCE:
                await delete()
        await delete()
        return failures
