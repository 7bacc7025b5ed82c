"""What ``put`` takes besides memory: file objects and iterables, sync and async, as one ``read(n)``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Iterator
from typing import Any, TypeVar

from objectfs.errors import CancelledError

__all__ = ["PutData", "async_reader", "has_buffer", "in_thread", "reader"]

T = TypeVar("T")

PutData = Any
"""Bytes-like, a binary file object, or an iterable of bytes-like."""


def has_buffer(data: Any) -> bool:
    """Whether ``data`` is memory."""
    try:
        memoryview(data).release()
    except TypeError:
        return False
    return True


def reader(data: Any) -> Callable[[int], Any]:
    """``read(n)`` over a binary file object or an iterable of bytes-like.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(data, str):
        raise TypeError("text has to be encoded: data.encode()")
    read = getattr(data, "read", None)
    if callable(read):
        return _FileReader(read).read
    if isinstance(data, Iterable) and not isinstance(data, dict):
        return _IterableReader(iter(data)).read
    if isinstance(data, AsyncIterable):
        raise TypeError("an async iterable needs objectfs.AsyncClient")
    raise TypeError(
        f"data must be bytes-like, a binary file object or an iterable of bytes-like, not {type(data).__name__}"
    )


class _FileReader:
    def __init__(self, read: Callable[[int], Any]) -> None:
        self._read = read

    def read(self, size: int) -> Any:
        data = self._read(size)
        if isinstance(data, str):
            raise TypeError("the file is opened as text: open it in binary mode ('rb')")
        if data is None:
            raise TypeError("the file is non-blocking and has no data: only blocking files can be sent")
        return data


class _IterableReader:
    """Cuts what an iterator yields to the sizes that are asked for. Empty items are no end."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items
        self._rest = memoryview(b"")

    def read(self, size: int) -> memoryview:
        while not self._rest:
            try:
                item = next(self._items)
            except StopIteration:
                return memoryview(b"")
            self._rest = _flat(item)
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


def _flat(item: Any) -> memoryview:
    try:
        view = memoryview(item)
    except TypeError:
        raise TypeError(f"the iterable must yield bytes-like, not {type(item).__name__}") from None
    return view.cast("B") if view.nbytes else memoryview(b"")


def async_reader(data: AsyncIterable[Any], loop: asyncio.AbstractEventLoop) -> Callable[[int], Any]:
    """``read(n)`` over an async iterable, for a thread beside ``loop``."""
    items = data.__aiter__()

    async def following() -> Any:
        return await anext(items)

    def iterate() -> Iterator[Any]:
        while True:
            try:
                yield asyncio.run_coroutine_threadsafe(_no_stop(following()), loop).result()
            except StopAsyncIteration:
                return
            except _End:
                return

    return _IterableReader(iterate()).read


class _End(Exception):
    """The end of an async iterable; StopAsyncIteration cannot pass through a future."""


async def _no_stop(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        return await coroutine
    except StopAsyncIteration:
        raise _End from None


async def in_thread(work: Callable[[Callable[[], None]], T], grace: float = 1.0) -> T:
    """Run ``work`` on a thread, which it must not outlive: it is given a function to call often, that raises
    CancelledError once this coroutine has been cancelled."""
    stop = threading.Event()
    told = False

    def check() -> None:
        nonlocal told
        if stop.is_set() and not told:  # once: what cleans up afterwards must not be interrupted again
            told = True
            raise CancelledError("the task was cancelled")

    loop = asyncio.get_running_loop()
    running = loop.run_in_executor(None, work, check)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        # first of all: a second cancel ends the wait below, and asyncio complains of an exception that nobody looked at
        running.add_done_callback(lambda future: future.cancelled() or future.exception())
        await asyncio.wait({running}, timeout=grace)
        raise
