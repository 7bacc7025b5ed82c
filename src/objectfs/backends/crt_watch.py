"""Operations of the engine on asyncio loops: one descriptor for each loop, drained in batches."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import weakref
from typing import Any

from objectfs import _native

__all__ = ["Watchers"]


class Watchers:
    """The watchers of one engine, one for each loop that has used it."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Watcher] = weakref.WeakKeyDictionary()

    def future(self, op: Any, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """See ``Op.future``. Called on the loop's thread."""
        with self._lock:
            watcher = self._by_loop.get(loop)
            if watcher is None:
                watcher = self._by_loop[loop] = _Watcher(self._engine, loop)
            # Only when it is known here: had Ctrl-C struck in between, its descriptors would be closed, and their
            # numbers the next watcher's, which the loop takes for those that it watches already.
            if not watcher.listens:
                watcher.listen(loop)
        return watcher.future(op)

    def close(self) -> None:
        with self._lock:
            for watcher in self._by_loop.values():
                watcher.close()
            self._by_loop.clear()


class _Watcher:
    def __init__(self, engine: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)  # the loop is the key of a weak dictionary whose value this is
        self._futures: dict[Any, asyncio.Future[None]] = {}
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._notifier = _native.Notifier(engine, self._writer.fileno())
        self._finalize = weakref.finalize(self, _close_pair, self._notifier, self._reader, self._writer)
        self.listens = False

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the loop look at the descriptor. Twice is no harm."""
        drain = weakref.WeakMethod(self._drain)

        def ready() -> None:
            method = drain()
            if method is not None:
                method()

        try:
            loop.add_reader(self._reader, ready)
        except NotImplementedError:  # Windows' proactor loop watches no descriptors: a thread does
            self.listens = True
            self._reader.setblocking(True)
            threading.Thread(
                target=_relay,
                args=(self._reader, weakref.ref(loop), ready),
                name="objectfs-watch",
                daemon=True,
            ).start()
        self.listens = True

    def future(self, op: Any) -> asyncio.Future[None]:
        loop = self._loop()
        assert loop is not None  # the caller runs on it
        future = self._futures.get(op)
        if future is None or future.cancelled():
            future = loop.create_future()
            if op.watch(self._notifier):
                self._futures[op] = future
            else:
                future.set_result(None)
        return future

    def _drain(self) -> None:
        try:
            while len(self._reader.recv(4096)) == 4096:
                pass
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            return  # closed meanwhile
        for op in self._notifier.drain():
            if op.advance():
                future = self._futures.pop(op, None)
                if future is not None and not future.done():
                    future.set_result(None)

    def close(self) -> None:
        """The engine is closed: every operation has ended, and nothing more will be heard of them."""
        loop = self._loop()
        for future in list(self._futures.values()):
            with contextlib.suppress(RuntimeError):  # the loop is closed
                future.get_loop().call_soon_threadsafe(_resolve, future)
        self._futures.clear()
        if loop is not None and not loop.is_closed():
            with contextlib.suppress(NotImplementedError, RuntimeError):
                loop.remove_reader(self._reader)
        self._finalize()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _close_pair(notifier: Any, reader: socket.socket, writer: socket.socket) -> None:
    # first the notifier: the number of a closed descriptor may become somebody else's socket
    notifier.close()
    reader.close()
    writer.close()


def _relay(reader: socket.socket, loop: weakref.ref[asyncio.AbstractEventLoop], ready: Any) -> None:
    import select

    while True:
        try:
            select.select([reader], [], [])
        except (OSError, ValueError):
            return
        target = loop()
        if target is None or target.is_closed():
            return
        seen = threading.Event()

        def once(seen: threading.Event = seen) -> None:
            try:
                ready()
            finally:
                seen.set()

        try:
            target.call_soon_threadsafe(once)
        except RuntimeError:
            return
        del target
        seen.wait()
