"""Python's sockets with nothing above them: the limit that a Python program can reach.

Four threads, each with a connection of its own; no signatures, no retries, no checksums.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from objectfs.bench.engine.clients import Bytes

THREADS = 4
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)


class Raw:
    def __init__(self, endpoint: str) -> None:
        url = urlsplit(endpoint)
        self._address = (url.hostname, url.port or 80)
        self._host = url.netloc
        self._pool = ThreadPoolExecutor(THREADS)

    def _connect(self) -> socket.socket:
        sock = socket.create_connection(self._address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def _request(self, sock: socket.socket, method: str, target: str, fields: str = "") -> None:
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

    def _body_into(self, sock: socket.socket, view: memoryview) -> None:
        length, early = self._head(sock)
        if length != len(view):
            raise ConnectionError(f"{length} bytes announced, not {len(view)}")
        view[: len(early)] = early
        done = len(early)
        while done < length:
            count = sock.recv_into(view[done:], 0, socket.MSG_WAITALL)
            if not count:
                raise ConnectionResetError("closed in the body")
            done += count

    def _each(self, work: Callable[[int], object]) -> None:
        for future in [self._pool.submit(work, index) for index in range(THREADS)]:
            future.result()

    def get_into(self, bucket: str, key: str, view: memoryview) -> Bytes:
        share = -(-len(view) // THREADS)

        def work(index: int) -> None:
            first = index * share
            part = view[first : first + share]
            with self._connect() as sock:
                span = f"Range: bytes={first}-{first + len(part) - 1}\r\n"
                self._request(sock, "GET", f"/{bucket}/{key}", span)
                self._body_into(sock, part)

        self._each(work)
        return view

    def put(self, bucket: str, key: str, data: bytearray) -> None:
        view = memoryview(data)
        share = -(-len(view) // THREADS)

        def work(index: int) -> None:
            part = view[index * share : (index + 1) * share]
            with self._connect() as sock:
                self._request(sock, "PUT", f"/{bucket}/{key}.{index}", f"Content-Length: {len(part)}\r\n")
                sock.sendall(part)
                self._head(sock)

        self._each(work)

    def get_many(self, bucket: str, keys: Sequence[str], size: int) -> Sequence[Bytes]:
        results: list[Bytes] = [None] * len(keys)

        def work(index: int) -> None:
            with self._connect() as sock:
                for number in range(index, len(keys), THREADS):
                    self._request(sock, "GET", f"/{bucket}/{keys[number]}")
                    results[number] = data = bytearray(size)
                    self._body_into(sock, memoryview(data))

        self._each(work)
        return results

    def get_file(self, bucket: str, key: str, path: str) -> None:
        with self._connect() as sock, open(path, "wb", buffering=0) as file:
            self._request(sock, "GET", f"/{bucket}/{key}")
            left, early = self._head(sock)
            file.write(early)
            left -= len(early)
            scratch = memoryview(bytearray(1 << 20))
            while left:
                count = sock.recv_into(scratch[: min(len(scratch), left)])
                if not count:
                    raise ConnectionResetError("closed in the body")
                file.write(scratch[:count])
                left -= count

    def close(self) -> None:
        self._pool.shutdown()


def make(endpoint: str) -> Raw:
    return Raw(endpoint)
