"""A server that writes down each request, byte for byte, and answers what the test says."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import IO

from tests.contract.listener import Listener

__all__ = ["Recorded", "Recorder", "answer", "chunked"]


@dataclass(frozen=True)
class Recorded:
    """One request as it arrived; the body without its framing."""

    method: str
    target: str
    headers: Mapping[str, str]
    """Names in lower case; of a repeated one, the values joined."""
    body: bytes
    trailers: Mapping[str, str]

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


def answer(status: int, headers: Iterable[tuple[str, str]] = (), body: bytes = b"", length: int | None = None) -> bytes:
    """An HTTP answer; ``length`` is what Content-Length says where that is not the truth."""
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers)]
    if status not in (204, 304):
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode("utf-8") + body


def chunked(body: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """An answer of a length that is not told; nothing as ``end`` cuts it off."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nx-amz-request-id: REQUEST\r\nConnection: close\r\n\r\n"
    pieces = (body[start : start + 1000] for start in range(0, len(body), 1000))
    return head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + end


Handler = Callable[[Recorded], bytes]


class Recorder(Listener):
    """Answers each request with what ``handle`` returns, which a test may replace; connections stay open."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Recorded] = []
        self.handle: Handler = lambda _: answer(200)
        self.url = f"http://{self.host}"

    def take(self) -> list[Recorded]:
        """The requests since the last time."""
        taken, self.requests = self.requests, []
        return taken

    def serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection.makefile("rb") as stream:
            while first := stream.readline().decode("latin-1").rstrip("\r\n"):
                method, target, _ = first.split(" ", 2)
                headers = _fields(stream)
                if "expect" in headers:
                    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                trailers: dict[str, str] = {}
                if "chunked" in headers.get("transfer-encoding", ""):
                    body = _dechunk(stream, trailers)
                else:
                    body = stream.read(int(headers.get("content-length", "0")))
                if "aws-chunked" in headers.get("content-encoding", ""):
                    body = _dechunk(io.BytesIO(body), trailers)
                recorded = Recorded(method, target, headers, body, trailers)
                self.requests.append(recorded)
                reply = self.handle(recorded)
                connection.sendall(reply)
                if reply.lower().find(b"\r\nconnection: close\r\n") != -1:
                    return


def _fields(stream: IO[bytes]) -> dict[str, str]:
    fields: dict[str, str] = {}
    while line := stream.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip()
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def _dechunk(stream: IO[bytes], trailers: dict[str, str]) -> bytes:
    """HTTP's chunks, and those of aws-chunked, which may be signed."""
    body = b""
    while size := int(stream.readline().partition(b";")[0], 16):
        body += stream.read(size)
        assert stream.readline() == b"\r\n"
    trailers.update(_fields(stream))
    return body
