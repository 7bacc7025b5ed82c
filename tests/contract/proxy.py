"""A proxy that does what a test tells it to: passes on, refuses, wants a password, or dies in the middle."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from urllib.parse import urlsplit

from .listener import Listener

__all__ = ["Proxy"]

_PAGE = b"<html><body>the proxy's own words</body></html>"


class Proxy(Listener):
    """For CONNECT and for plain HTTP, on 127.0.0.1; leads to where the requests say, which is on this machine too.

    Args:
        refuses: the status that it answers with instead of passing anything on.
        password: ``user:password`` that it wants to see; else it answers 407.
    """

    def __init__(self, refuses: int | None = None, password: str | None = None) -> None:
        super().__init__()
        self.refuses = refuses
        self.password = password
        self.dies_after: int | None = None
        """Bytes that it passes back in all; then it breaks off all connections."""
        self.comes_back = True
        """Whether it passes on what comes after that."""
        self.heads: list[str] = []
        """What it was asked for: the first line of each connection."""
        self.passed = 0
        """Bytes that it has passed on, both ways."""
        self.stops_after: int | None = None
        """Of these; from then on it passes on nothing, until :attr:`goes_on` is set."""
        self.goes_on = threading.Event()
        self.stopped = threading.Event()
        self._back = 0
        self._dead = False

    def url(self, user: str = "") -> str:
        return f"http://{user + '@' if user else ''}{self.host}"

    def variables(self, user: str = "") -> dict[str, str]:
        """Under which clients find it."""
        names = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY")
        return dict.fromkeys(names, self.url(user))

    def __exit__(self, *error: object) -> None:
        self.goes_on.set()
        super().__exit__(*error)

    def serve(self, near: socket.socket) -> None:
        received = b""
        while b"\r\n\r\n" not in received:
            if not (piece := near.recv(65536)):
                return
            received += piece
        head, _, rest = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        with self._lock:
            self.heads.append(first)
            dead = self._dead and not self.comes_back
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = self.refuses
        if self.password is not None:
            wanted = "Basic " + base64.b64encode(self.password.encode()).decode()
            if headers.get("proxy-authorization") != wanted:
                status = 407
        if dead:
            return
        if status is not None:
            more = b'Proxy-Authenticate: Basic realm="proxy"\r\n' if status == 407 else b""
            near.sendall(
                b"HTTP/1.1 %d No\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, more, len(_PAGE))
                + _PAGE
            )
            near.shutdown(socket.SHUT_WR)
            while near.recv(65536):  # what is still sent: a reset would take the answer away
                pass
            return
        method, target, _ = first.split(" ")
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        with self.opened(socket.create_connection((parts.hostname, parts.port))) as far:
            if method == "CONNECT":
                near.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                far.sendall(rest)
            else:
                far.sendall(received)
            back = self.start(self._pipe, far, near, True)
            self._pipe(near, far, False)
            back.join()

    def _pipe(self, source: socket.socket, target: socket.socket, back: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 16):
                if self._counts(len(piece), back):
                    self.cut()
                    break
                if self.stops_after is not None and self.passed > self.stops_after:
                    self.stopped.set()
                    self.goes_on.wait()
                target.sendall(piece)
        with contextlib.suppress(OSError):  # what one side has ended, the other is told
            target.shutdown(socket.SHUT_WR)

    def _counts(self, size: int, back: bool) -> bool:
        """Whether it dies now."""
        with self._lock:
            self.passed += size
            self._back += size if back and self.dies_after is not None else 0
            if self._dead or self.dies_after is None or self._back <= self.dies_after:
                return False
            self._dead = True
            return True
