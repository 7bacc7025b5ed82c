"""Who of many operations has ended: for a thread that waits for any of them. A loop has their futures."""

from __future__ import annotations

import contextlib
import math
import queue
import select
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Bell", "PollBell", "QueueBell"]

Connect = Callable[[Any, int], Any]


class Bell(Protocol):
    """One thread waits, others ring."""

    def listen(self, op: Any) -> bool:
        """Hear of the end of an operation; False if it has ended already."""

    def wait(self, timeout: float) -> list[Any]:
        """Operations that have ended since, waiting for at least one as many seconds. May name one twice."""

    def close(self) -> None:
        """Hear no more."""


class QueueBell:
    """Of operations that call back (:meth:`objectfs.backends.sdk_ops.Operation.when_done`)."""

    def __init__(self) -> None:
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def listen(self, op: Any) -> bool:
        ended = self._ended
        heard: bool = op.when_done(lambda: ended.put(op))
        return heard

    def wait(self, timeout: float) -> list[Any]:
        found = []
        try:
            found.append(self._ended.get(timeout=timeout))
            while True:
                found.append(self._ended.get_nowait())
        except queue.Empty:
            return found

    def close(self) -> None:
        """Callbacks that still come are heard by nobody."""


class PollBell:
    """Of the engine's operations, which make a descriptor readable: no thread of the C library runs Python. Also of
    those on threads of ours.

    Args:
        connect: makes the notifier of an engine and a descriptor (``_native.Notifier``).
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._notifiers: dict[Any, Any] = {}
        self._called: deque[Any] = deque()
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._poll: Any = None
        if hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(self._reader, select.POLLIN)

    def listen(self, op: Any) -> bool:
        if hasattr(op, "when_done"):
            found: bool = op.when_done(lambda: self._call(op))
            return found
        engine = op.engine
        notifier = self._notifiers.get(engine)
        if notifier is None:
            notifier = self._notifiers[engine] = self._connect(engine, self._writer.fileno())
        heard: bool = op.watch(notifier)
        return heard

    def wait(self, timeout: float) -> list[Any]:
        self._await(timeout)
        with contextlib.suppress(BlockingIOError, InterruptedError):
            while len(self._reader.recv(4096)) == 4096:
                pass
        found = [op for notifier in self._notifiers.values() for op in notifier.drain() if op.advance()]
        while self._called:
            found.append(self._called.popleft())
        return found

    def _await(self, timeout: float) -> None:
        """Until the reader is readable. poll(), where there is one: select() knows descriptors below 1,024 only."""
        if self._poll is not None:
            self._poll.poll(math.ceil(timeout * 1000))
        else:
            select.select([self._reader], [], [], timeout)

    def _call(self, op: Any) -> None:
        self._called.append(op)
        with contextlib.suppress(OSError):  # full, so that it is readable; or closed
            self._writer.send(b"\0")

    def close(self) -> None:
        for notifier in self._notifiers.values():
            notifier.close()
        self._reader.close()
        self._writer.close()
