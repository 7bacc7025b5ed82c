"""A proxy that leads every CONNECT to one server, whatever its host: names that no resolver knows become reachable."""

from __future__ import annotations

import contextlib
import socket

from .listener import Listener


class Forwarder(Listener):
    """Tunnels to ``("127.0.0.1", port)``."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.destination = port
        self.url = f"http://{self.host}"

    def serve(self, near: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (piece := near.recv(4096)):
                return
            head += piece
        if not head.startswith(b"CONNECT "):
            near.sendall(b"HTTP/1.1 405 Only tunnels\r\nContent-Length: 0\r\n\r\n")
            return
        with self.opened(socket.create_connection(("127.0.0.1", self.destination))) as far:
            near.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            self.lead(near, far)

    def lead(self, near: socket.socket, far: socket.socket) -> None:
        """Both ways, until both have ended."""
        back = self.start(self._pipe, far, near)
        self._pipe(near, far)
        back.join()

    def _pipe(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 18):
                target.sendall(piece)
        with contextlib.suppress(OSError):  # what one side has ended, the other is told
            target.shutdown(socket.SHUT_WR)
