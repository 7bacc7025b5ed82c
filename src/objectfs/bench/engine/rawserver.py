"""A server with nothing but sockets: as much of S3 as the benchmark's clients need, and no work for it.

One process, one thread, no signatures, no storage: a GET of ``<anything>-<size>`` is answered with that many
bytes of the benchmark's content, a PUT's body is read and dropped. It exists to tell whether the embedded
server is what is measured; ``python -m objectfs.bench.engine.rawserver --cpu 0`` prints its endpoint.
"""

from __future__ import annotations

import argparse
import os
import re
import selectors
import socket
import sys

from objectfs.bench.content import MIB, PERIOD

_BLOCK = memoryview(bytes(range(PERIOD)) * (4 * MIB // PERIOD))
_RANGE = re.compile(rb"\r\nrange: *bytes=(\d+)-(\d*)", re.I)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)
_EXPECT = re.compile(rb"\r\nexpect: *100-continue", re.I)
_SIZE = re.compile(rb"-(\d+)$")
_XML = b'<?xml version="1.0" encoding="UTF-8"?>'


class Connection:
    """One client: what it still has to send, what is still to be sent to it."""

    __slots__ = ("body_left", "head", "key", "method", "out", "scratch", "sock", "span")

    def __init__(self, sock: socket.socket, scratch: memoryview) -> None:
        self.sock = sock
        self.scratch = scratch
        self.head = b""
        self.body_left = 0
        self.method = self.key = b""
        self.out = memoryview(b"")
        self.span = (0, 0)

    def on_readable(self) -> None:
        while self.body_left:
            count = self.sock.recv_into(self.scratch[: min(len(self.scratch), self.body_left)])
            if count == 0:
                raise ConnectionResetError
            self.body_left -= count
            if self.body_left == 0:
                self._answer_upload()
                return
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionResetError
        self.head += data
        end = self.head.find(b"\r\n\r\n")
        if end >= 0:
            head, rest, self.head = self.head[: end + 2], self.head[end + 4 :], b""
            self._on_head(head, rest)

    def _on_head(self, head: bytes, rest: bytes) -> None:
        self.method, self.key, _ = head.split(b" ", 2)
        if self.method in (b"PUT", b"POST"):
            length = _LENGTH.search(head)
            self.body_left = (int(length[1]) if length else 0) - len(rest)
            if _EXPECT.search(head) and not rest:
                self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            if self.body_left <= 0:
                self._answer_upload()
            return
        path = self.key.partition(b"?")[0]
        named = _SIZE.search(path)
        size = int(named[1]) if named else 0
        fields = b'ETag: "0123456789abcdef0123456789abcdef"\r\nAccept-Ranges: bytes\r\n'
        fields += b"Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: binary/octet-stream\r\n"
        wanted = _RANGE.search(head)
        if wanted and self.method == b"GET":
            first = int(wanted[1])
            stop = min(int(wanted[2]) + 1 if wanted[2] else size, size)
            fields += b"Content-Range: bytes %d-%d/%d\r\n" % (first, stop - 1, size)
            status = b"206 Partial Content"
        else:
            first, stop, status = 0, size, b"200 OK"
        if self.method == b"DELETE":
            first, stop, status = 0, 0, b"204 No Content"
        self.out = memoryview(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n" % (status, stop - first, fields))
        self.span = (0, 0) if self.method != b"GET" else (first, stop)
        self.on_writable()

    def _answer_upload(self) -> None:
        fields = b'ETag: "0123456789abcdef0123456789abcdef"\r\n'
        body = b""
        if self.method == b"POST":
            path, _, query = self.key.partition(b"?")
            name = b"CompleteMultipartUploadResult" if b"uploadId" in query else b"InitiateMultipartUploadResult"
            _, bucket, key = path.split(b"/", 2)
            body = _XML + b"<%b><Bucket>%b</Bucket><Key>%b</Key><UploadId>u1</UploadId>" % (name, bucket, key)
            body += b"<ETag>&quot;0123456789abcdef0123456789abcdef-2&quot;</ETag></%b>" % name
            fields = b"Content-Type: application/xml\r\n"
        self.out = memoryview(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n%b" % (len(body), fields, body))
        self.span = (0, 0)
        self.on_writable()

    def on_writable(self) -> None:
        """Send until the socket is full or all is sent."""
        first, stop = self.span
        try:
            while True:
                buffers = [self.out] if self.out else []
                if first < stop:
                    phase = first % PERIOD
                    buffers.append(_BLOCK[phase : min(len(_BLOCK), phase + stop - first)])
                if not buffers:
                    return
                count = self.sock.sendmsg(buffers)
                taken = min(count, len(self.out))
                self.out = self.out[taken:]
                first += count - taken
                self.span = (first, stop)
        except BlockingIOError:
            return

    @property
    def sending(self) -> bool:
        return bool(self.out) or self.span[0] < self.span[1]


def serve(listener: socket.socket) -> None:
    """Serve until the process is ended."""
    selector = selectors.DefaultSelector()
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ, None)
    scratch = memoryview(bytearray(MIB))
    while True:
        for key, _ in selector.select():
            connection: Connection | None = key.data
            if connection is None:
                sock, _ = listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(sock, selectors.EVENT_READ, Connection(sock, scratch))
                continue
            try:
                if connection.sending:
                    connection.on_writable()
                else:
                    connection.on_readable()
            except BlockingIOError:
                pass
            except OSError:
                selector.unregister(connection.sock)
                connection.sock.close()
                continue
            events = selectors.EVENT_WRITE if connection.sending else selectors.EVENT_READ
            if events != key.events:
                selector.modify(connection.sock, events, connection)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpu", type=int)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    if options.cpu is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {options.cpu})
    listener = socket.create_server(("127.0.0.1", options.port), backlog=1024)
    print(f"endpoint=http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    try:
        serve(listener)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
