"""A proxy that leads every CONNECT to one server, whatever its host: names that no resolver knows become reachable."""

from __future__ import annotations

import contextlib
import socket
import threading


class Forwarder:
    """Tunnels to ``("127.0.0.1", port)``."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: set[socket.socket] = set()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(10)
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with contextlib.suppress(OSError), near:
            head = b""
            while b"\r\n\r\n" not in head:
                if not (piece := near.recv(4096)):
                    return
                head += piece
            if not head.startswith(b"CONNECT "):
                near.sendall(b"HTTP/1.1 405 Only tunnels\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", self._port)) as far:
                near.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                self._open |= {near, far}
                back = threading.Thread(target=self._pipe, args=(far, near), daemon=True)
                back.start()
                self._pipe(near, far)
                back.join()
                self._open -= {near, far}

    def _pipe(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 18):
                target.sendall(piece)
        with contextlib.suppress(OSError):  # what one side has ended, the other is told
            target.shutdown(socket.SHUT_WR)
