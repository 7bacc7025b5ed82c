"""A server that answers what a test tells it to, byte for byte."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .listener import Listener

Answer = bytes


@dataclass
class Asked:
    """One request."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    """As it came, or the beginning of a long one."""

    def range(self, size: int) -> tuple[int, int]:
        """The half-open range that is asked for, of an object of that size."""
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("range", ""))
        if found is None:
            return 0, size
        if not found[1]:
            return max(0, size - int(found[2])), size
        return int(found[1]), min(size, int(found[2]) + 1 if found[2] else size)


def answer(
    status: int, headers: Iterable[tuple[str, str]] = (), body: bytes = b"", length: int | None = -1, reason: str = "X"
) -> Answer:
    """An HTTP answer; ``length`` is what Content-Length says, -1 for the truth, None for no such header."""
    lines = [f"HTTP/1.1 {status} {reason}", "Connection: close", *(f"{name}: {value}" for name, value in headers)]
    if length is not None:
        lines.append(f"Content-Length: {len(body) if length < 0 else length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class RawServer(Listener):
    """Answers each request with what ``handle`` returns, and then closes the connection."""

    def __init__(self, handle: Callable[[Asked], Answer]) -> None:
        super().__init__()
        self._handle = handle
        self.asked: list[Asked] = []
        self.url = f"http://{self.host}"

    def serve(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        received = b""
        while b"\r\n\r\n" not in received:
            if not (piece := connection.recv(65536)):
                return
            received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        asked = Asked(*first.split(" ")[:2], {name.lower(): value.strip() for name, _, value in pairs})
        if "expect" in asked.headers:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        left = int(asked.headers.get("content-length", "0")) - len(body)
        asked.body = body
        chunked = "chunked" in asked.headers.get("transfer-encoding", "")
        while left > 0 or (chunked and not body.endswith(b"\r\n\r\n")):
            if not (piece := connection.recv(65536)):
                return
            left -= len(piece)
            asked.body += piece if len(asked.body) < 65536 else b""
            body = body[-4:] + piece
        self.asked.append(asked)
        connection.sendall(self._handle(asked))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
