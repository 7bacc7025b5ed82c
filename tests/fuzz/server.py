"""A server on loopback that answers as the bytes of a case will have it: plain sockets, a thread for each of them."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable

from .draw import Draw
from .honest import Request
from .lies import Reply, reply

__all__ = ["HostileServer"]

LIES_TOLD = 4
"""Requests of a case that are lied to. Those behind are answered honestly, or nothing would ever end well."""
SIZE = 24
"""Bytes of a case that one of those answers is drawn from."""
IDLE = 0.05
"""Seconds that a connection is kept after a lie: who waits for more than is sent waits no longer."""
PATIENCE = 10.0


class HostileServer:
    """Answers requests of one case at a time; :meth:`begin` makes the next case."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._lies = b""
        self._open: set[socket.socket] = set()
        self._closed = False
        self.log: list[tuple[Request, Reply]] = []
        self._threads: set[threading.Thread] = set()

    def __enter__(self) -> HostileServer:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in tuple(self._threads):
            thread.join(PATIENCE)

    def begin(self, lies: bytes = b"") -> None:
        """From here on, the answers are drawn from these bytes; with none, they are honest."""
        with self._lock:
            self._lies, self.log = lies, []

    @property
    def connections(self) -> int:
        with self._lock:
            return len(self._open)

    def _start(self, function: Callable[..., None], *arguments: object) -> None:
        def run() -> None:
            try:
                function(*arguments)
            finally:
                self._threads.discard(thread)

        thread = threading.Thread(target=run, daemon=True)
        self._threads.add(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError):
                connection.settimeout(PATIENCE)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                received = b""
                while (left := self._one(connection, received)) is not None:
                    received = left
        finally:
            with self._lock:
                self._open.discard(connection)

    def _one(self, connection: socket.socket, received: bytes) -> bytes | None:
        """Answer one request; what has come behind it, or None where the connection is done with."""
        while b"\r\n\r\n" not in received:
            if not (piece := connection.recv(65536)):
                return None
            received += piece
        connection.settimeout(PATIENCE)
        head, _, received = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        asked = Request(*first.split(" ")[:2], {name.lower(): value.strip() for name, _, value in pairs})
        with self._lock:
            asked.number = len(self.log)
            start = asked.number * SIZE
            lies = self._lies[start : start + SIZE] if asked.number < LIES_TOLD else b""
            made = reply(Draw(lies), asked)
            self.log.append((asked, made))
        if not made.early:
            if "expect" in asked.headers:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            rest = _body(connection, asked, received)
            if rest is None:
                return None
            received = rest
        _send(connection, made)
        if made.ends == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return None
        if made.ends == "close":
            _finish(connection)
            return None
        if not made.honest:
            connection.settimeout(IDLE)
        return received


def _send(connection: socket.socket, made: Reply) -> None:
    if not made.slow:
        connection.sendall(made.wire)
        return
    small = made.wire[:400]
    for at in range(0, len(small), 7):
        connection.sendall(small[at : at + 7])
    connection.sendall(made.wire[400:])


def _body(connection: socket.socket, asked: Request, received: bytes) -> bytes | None:
    """Read the request's body; what has come behind it."""
    if "chunked" in asked.headers.get("transfer-encoding", ""):
        while not received.endswith(b"\r\n\r\n"):  # no line of a body here is empty
            if not (piece := connection.recv(65536)):
                return None
            received = received[-8:] + piece
        return b""
    left = int(asked.headers.get("content-length", "0"))
    while left > len(received):
        left -= len(received)
        if not (received := connection.recv(1 << 20)):
            return None
    return received[left:]


def _finish(connection: socket.socket) -> None:
    """Close without the reset that unread bytes would make, which would take what was sent with it."""
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(1)
    while connection.recv(1 << 20):
        pass
