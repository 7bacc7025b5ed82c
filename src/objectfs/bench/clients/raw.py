"""Python's sockets with nothing above them, with TLS or without: the limit that a Python program can reach.

Threads with a connection each, which live as long as the client; no signatures, no retries, no checksums.
"""

from __future__ import annotations

import os
import platform
import re
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from objectfs.bench.clients.base import PART, Bytes, Missing, Target, Threaded, ignore
from objectfs.bench.clients.raw_parts import Parts
from objectfs.bench.scenarios import Item

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)
SEND = 1 << 20


class Raw(Threaded):
    def __init__(self, target: Target) -> None:
        super().__init__()
        if target.tls != (target.client == "raw-ssl"):
            raise Missing(f"see {'raw-ssl' if target.tls else 'raw-python'}")
        if target.signed:
            raise Missing("it signs nothing, and this server wants signatures")
        url = urlsplit(target.endpoint)
        self._target = target
        self._address = (str(url.hostname), url.port or 80)
        self._host = url.netloc
        self._context = ssl.create_default_context(cafile=target.ca_file) if target.tls else None
        self._local = threading.local()

    def _connect(self) -> socket.socket:
        sock = socket.create_connection(self._address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._context.wrap_socket(sock, server_hostname=self._address[0]) if self._context else sock

    @property
    def _socket(self) -> socket.socket:
        """This thread's connection."""
        found: socket.socket | None = getattr(self._local, "socket", None)
        if found is None:
            found = self._local.socket = self._connect()
        return found

    def _ask(self, sock: socket.socket, method: str, target: str, fields: str = "") -> None:
        sock.sendall(f"{method} {target} HTTP/1.1\r\nHost: {self._host}\r\n{fields}\r\n".encode())

    @staticmethod
    def _head(sock: socket.socket) -> tuple[int, bytes]:
        """The length of the body, and what of it came with the head."""
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            more = sock.recv(4096)
            if not more:
                raise ConnectionResetError("closed in the head")
            data += more
        head = data[: end + 2]
        if not head.startswith(b"HTTP/1.1 2"):
            raise ConnectionError(head.split(b"\r\n", 1)[0].decode())
        length = _LENGTH.search(head)
        return int(length[1]) if length else 0, data[end + 4 :]

    def _read(self, bucket: str, key: str, view: memoryview, start: int | None) -> None:
        sock, size = self._socket, len(view)
        span = "" if start is None else f"Range: bytes={start}-{start + size - 1}\r\n"
        self._ask(sock, "GET", f"/{bucket}/{key}", span)
        length, early = self._head(sock)
        if length != size:
            raise ConnectionError(f"{length} bytes announced, not {size}")
        view[: len(early)] = early
        done = len(early)
        while done < length:
            # The kernel waits for all of it; ssl's sockets have no such flag.
            count = sock.recv_into(view[done:]) if self._context else sock.recv_into(view[done:], 0, socket.MSG_WAITALL)
            if not count:
                raise ConnectionResetError("closed in the body")
            done += count

    def _write(self, target: str, data: Any) -> None:
        sock, view = self._socket, memoryview(data)
        self._ask(sock, "PUT", target, f"Content-Length: {len(view)}\r\n")
        for start in range(0, len(view), SEND):
            sock.sendall(view[start : start + SEND])
        self._head(sock)

    def get(self, bucket: str, item: Item) -> Bytes:
        data = bytearray(item.size)
        if threading.current_thread() is not threading.main_thread():
            self._read(bucket, item.key, memoryview(data), None)
            return data
        view, starts = memoryview(data), range(0, item.size, PART)
        self.each(
            lambda index: self._read(bucket, item.key, view[starts[index] : starts[index] + PART], starts[index]),
            len(starts),
            ignore,
        )
        return data

    def get_range(self, bucket: str, item: Item) -> Bytes:
        data = bytearray(item.size)
        self._read(bucket, item.key, memoryview(data), item.start or 0)
        return data

    def get_file(self, bucket: str, item: Item, path: str) -> None:
        starts = range(0, item.size, PART)
        with open(path, "wb", buffering=0) as file:

            def part(index: int) -> None:
                size = min(PART, item.size - starts[index])
                found: bytearray | None = getattr(self._local, "scratch", None)
                scratch = found if found is not None else bytearray(PART)
                self._local.scratch = scratch
                view = memoryview(scratch)[:size]
                self._read(bucket, item.key, view, starts[index])
                os.pwrite(file.fileno(), view, starts[index])

            self.each(part, len(starts), ignore)

    def put(self, bucket: str, item: Item, data: bytes) -> None:
        view = memoryview(data)
        if item.size <= PART or threading.current_thread() is not threading.main_thread():
            self._write(f"/{bucket}/{item.key}", view)
            return
        parts = Parts(self._target, bucket, item)

        def part(index: int) -> None:
            target, start, size = parts.targets[index]
            self._write(target, view[start : start + size])

        self.each(part, len(parts.targets), ignore)
        parts.finish()

    def put_file(self, bucket: str, item: Item, path: str) -> None:
        with open(path, "rb", buffering=0) as file:
            if item.size <= PART:
                self._write(f"/{bucket}/{item.key}", file.read())
                return
            parts = Parts(self._target, bucket, item)

            def part(index: int) -> None:
                target, start, size = parts.targets[index]
                self._write(target, os.pread(file.fileno(), size, start))

            self.each(part, len(parts.targets), ignore)
            parts.finish()

    def first_byte(self, bucket: str, item: Item) -> tuple[bytes, Callable[[], object]]:
        # Of a connection that is there already: what is not read of the last one ends it, so it is made anew in time.
        ready: socket.socket = getattr(self._local, "ready", None) or self._connect()
        self._ask(ready, "GET", f"/{bucket}/{item.key}")
        _, early = self._head(ready)
        byte = early[:1] or ready.recv(1)

        def close() -> None:
            ready.close()
            self._local.ready = self._connect()

        return byte, close

    def list(self, bucket: str, prefix: str) -> int:
        raise Missing("it does not read XML")

    def upload_tree(self, bucket: str, prefix: str, folder: str) -> None:
        raise Missing("it lists nothing, so it cannot fetch a tree")


def version() -> str:
    return f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}"


def make(target: Target) -> Raw:
    return Raw(target)
