"""The twin of ``many.py`` for asyncio."""

# ruff: noqa: ASYNC109 - ``timeout=`` is the blocking client's too, and ends the transfer before it raises

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, Literal, Unpack, overload

from objectfs import arguments as check
from objectfs.backends.drive import arun
from objectfs.options import GetManyParams
from objectfs.types import Buffer, OnError
from objectfs.verbs.driving import AsyncDriver
from objectfs.verbs.manyjobs import LATER, Item, Reading, told

__all__ = ["AsyncManyVerbs"]


class AsyncManyVerbs(AsyncDriver):
    """Part of :class:`objectfs.AsyncClient`."""

    @overload
    def iter_many(
        self,
        bucket: str,
        keys: Iterable[Item] | AsyncIterable[Item],
        *,
        max_in_flight: int | None = None,
        max_memory: int | str | None = None,
        on_error: Literal["raise"] = "raise",
        ordered: bool = False,
        timeout: float | None = None,
        **options: Unpack[GetManyParams],
    ) -> AsyncIterator[tuple[Item, Buffer]]: ...
    @overload
    def iter_many(
        self,
        bucket: str,
        keys: Iterable[Item] | AsyncIterable[Item],
        *,
        max_in_flight: int | None = None,
        max_memory: int | str | None = None,
        on_error: OnError = "raise",
        ordered: bool = False,
        timeout: float | None = None,
        **options: Unpack[GetManyParams],
    ) -> AsyncIterator[tuple[Item, Buffer | Exception]]: ...
    def iter_many(
        self,
        bucket: str,
        keys: Iterable[Item] | AsyncIterable[Item],
        *,
        max_in_flight: int | None = None,
        max_memory: int | str | None = None,
        on_error: OnError = "raise",
        ordered: bool = False,
        timeout: float | None = None,
        **options: Unpack[GetManyParams],
    ) -> AsyncIterator[tuple[Item, Buffer | Exception]]:
        """See :meth:`objectfs.Client.iter_many`; ``keys`` may be an async iterable too.

        Who leaves the loop early closes it with ``aclose()`` (``contextlib.aclosing``), or leaves that to asyncio.
        """
        check.check_call(bucket, check.MANY, timeout)
        asked = check.get_options("GetManyParams", options)
        self._core.check_options(asked, bucket)
        reading = Reading(bucket, asked, max_in_flight, max_memory, on_error, ordered)
        if isinstance(keys, AsyncIterable):
            return self._iter_many(reading, keys, timeout)
        return self._iter_many(reading, iter(check.several(keys, "keys")), timeout)

    async def _iter_many(
        self, reading: Reading, keys: Iterator[Item] | AsyncIterable[Item], timeout: float | None
    ) -> AsyncIterator[tuple[Item, Buffer | Exception]]:
        source: _Source | None = None
        if isinstance(keys, AsyncIterable):
            keys = source = _Source(keys)
        several = reading.begin(self._core.backend(), keys)
        try:
            with told(reading.bucket):
                while True:
                    if source is not None and several.hungry():
                        source.pull(several.poke)
                    found = several.take()
                    if found is not None:
                        yield reading.outcome(*found)
                    elif not await arun(several.wait(), timeout):
                        return
        finally:
            if source is not None:
                await source.close()
            await several.aclose()


class _Source(Iterator[Any]):
    """An async iterable, asked for one item after the other, as an iterator that gives LATER while there is none."""

    def __init__(self, items: AsyncIterable[Any]) -> None:
        self._items = aiter(items)
        self._asked: asyncio.Task[Any] | None = None

    def pull(self, then: Any) -> None:
        """Ask for an item, and call ``then`` when it has come."""
        if self._asked is None:
            self._asked = asyncio.ensure_future(self._one())
            self._asked.add_done_callback(lambda _: then())

    async def _one(self) -> Any:
        return await anext(self._items, _END)

    def __next__(self) -> Any:
        if self._asked is None or not self._asked.done():
            return LATER
        asked, self._asked = self._asked, None
        found = asked.result()
        if found is _END:
            raise StopIteration
        return found

    async def close(self) -> None:
        if self._asked is not None:
            self._asked.cancel()
            await asyncio.wait({self._asked})
        closing = getattr(self._items, "aclose", None)
        if closing is not None:
            await closing()


_END = object()
