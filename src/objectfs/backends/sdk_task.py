"""One function of an operation while it runs on a thread, and the connection that it may be waiting for.

A blocked ``recv`` cannot be interrupted from Python, and a client that answers Ctrl-C within 200 ms cannot wait for a
read timeout of a minute. So each connection (:mod:`objectfs.backends.sdk_connections`) knows the task that uses it, and
cancelling the task shuts the socket down: the blocked call returns at once, on every platform.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from objectfs.errors import CancelledError

if TYPE_CHECKING:
    from objectfs.backends.sdk_ops import Operation

__all__ = ["Task", "Times", "current_task", "set_current_task"]

_running = threading.local()
_connections_lock = threading.Lock()


def current_task() -> Task | None:
    """The task that runs on this thread."""
    return getattr(_running, "task", None)


def set_current_task(task: Task | None) -> None:
    """Say which task this thread runs from now on."""
    _running.task = task


class Times:
    """Of the request that a task is making: nanoseconds of ``time.perf_counter_ns``; 0 for what has not been."""

    __slots__ = ("attempt", "began", "connected", "connection", "first", "operation", "retry_delay", "sending", "sent")

    def __init__(self) -> None:
        self.operation, self.attempt, self.retry_delay = "other", 1, 0
        self.clear()

    def clear(self) -> None:
        self.began = self.sending = self.sent = self.first = 0
        self.connected = 0
        """How long a new connection took."""
        self.connection: Any = None
        """A weak reference to the one in use."""


class Task:
    """One function of an operation, running on one thread, on at most one connection at a time."""

    __slots__ = (
        "__weakref__",
        "_connection",
        "answer",
        "headers",
        "moved",
        "operation",
        "order",
        "status",
        "target",
        "times",
        "wrapping",
    )

    def __init__(self, operation: Operation[Any]) -> None:
        self.operation = operation
        self.moved = 0
        self.headers: Mapping[str, str] = {}
        """Further headers for the request that this task is making."""
        self.status: int | None = None
        """Of the last answer, as it came."""
        self.answer: Mapping[str, str] = {}
        """The headers of that answer, names in lower case."""
        self.target: str | None = None
        """What the request that this task is making asks for, as it was signed."""
        self.order: list[bytes] = []
        """Of a listing of versions: which entries are versions and which delete markers, one after the other."""
        self.times = Times()
        self.wrapping: Any = None
        """The socket of the TLS handshake that is under way: the connection has only the one that it was made from."""
        self._connection: Any = None

    def at(self, position: int) -> None:
        """Note that ``position`` bytes of content have been moved; a retry that starts over counts nothing
        twice."""
        if position > self.moved:
            self.moved = position

    def check(self) -> None:
        """Raise CancelledError if the operation has been cancelled."""
        if self.operation.cancelled:
            raise CancelledError("the operation was cancelled")

    def sleep(self, seconds: float) -> None:
        """Sleep, but not after a cancel."""
        self.operation.cancel_event.wait(seconds)
        self.check()

    def adopt(self, connection: Any) -> None:
        with _connections_lock:
            self._connection = connection
            connection.objectfs_task = weakref.ref(self)
        self.times.connection = weakref.ref(connection)
        self.check()

    def cut(self) -> None:
        """Shut down the socket that this task waits for."""
        with _connections_lock:
            connection = self._connection
            # the connection went back to the pool and to another task: not ours to cut
            if connection is None or connection.objectfs_task() is not self:
                return
            for sock in (self.wrapping, getattr(connection, "sock", None)):
                if sock is not None:
                    with contextlib.suppress(OSError):
                        # the plain socket's: of a TLS socket, shutdown() would wait for the peer's answer
                        socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def finish(self) -> None:
        with _connections_lock:
            self._connection = None


def _after_fork_in_child() -> None:
    """A thread of the parent may have held it."""
    global _connections_lock
    _connections_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
