"""What the tests' small servers have in common: a port on 127.0.0.1, a thread for each connection, an end to all."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Self

__all__ = ["Listener"]


class Listener:
    """Accepts connections within ``with``; at its end those that are open are cut, and no thread is left."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    def serve(self, connection: socket.socket) -> None:
        """Whatever this server does with a connection, on a thread of its own. An OSError ends it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # close() alone does not wake accept()
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(10)  # from here on there are no new ones
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def start(self, function: Callable[..., None], *arguments: object) -> threading.Thread:
        """Another thread, which is waited for at the end."""
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    @contextlib.contextmanager
    def opened(self, connection: socket.socket) -> Iterator[socket.socket]:
        """Within it, the connection is one of those that :meth:`cut` breaks off; closed afterwards."""
        with connection:
            with self._lock:
                self._open.add(connection)
            try:
                yield connection
            finally:
                with self._lock:
                    self._open.discard(connection)

    def idle(self) -> bool:
        """Whether it has no connection."""
        with self._lock:
            return not self._open

    def cut(self) -> None:
        """Break off all connections."""
        with self._lock:
            connections = tuple(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)  # already here: its thread may begin after the end has cut the others
            self.start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), self.opened(connection):
            self.serve(connection)
