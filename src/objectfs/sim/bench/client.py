"""The clients: threads with a blocking socket each for large bodies, one thread with a selector for small ones."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
import selectors
import socket
import threading
import time
from collections.abc import Iterator

UNSIGNED = "UNSIGNED-PAYLOAD"
HOST = "localhost"

Address = tuple[str, int]


def request(method: str, target: str, headers: dict[str, str] | None = None, *, sign: bool = True) -> bytes:
    """A request head, signed with the keys test and testtest. Written apart from the server's verifier on purpose."""
    path, _, query = target.partition("?")
    fields = {"host": HOST, **(headers or {})}
    if sign:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        scope = f"{stamp[:8]}/us-east-1/s3/aws4_request"
        fields |= {"x-amz-content-sha256": UNSIGNED, "x-amz-date": stamp}
        names = sorted(name for name in fields if name != "content-length")
        lines = [method, path, query, *[f"{name}:{fields[name]}" for name in names], "", ";".join(names), UNSIGNED]
        hashed = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        key = b"AWS4testtest"
        for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}"):
            key = hmac.digest(key, part.encode(), "sha256")
        fields["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders={';'.join(names)}, Signature={key.hex()}"
        )
    return "\r\n".join([f"{method} {target} HTTP/1.1", *[f"{n}: {v}" for n, v in fields.items()], "", ""]).encode()


def connect(address: Address) -> socket.socket:
    sock = socket.create_connection(address)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _head(data: bytes) -> tuple[int, int]:
    """The length of the head that data starts with, and of the body that it announces."""
    end = data.find(b"\r\n\r\n")
    found = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", data[: end + 2])
    if end < 0 or found is None or data[9:10] != b"2":
        raise RuntimeError(f"unexpected answer: {data[:300]!r}")
    return end + 4, int(found[1])


def _more(sock: socket.socket) -> bytes:
    """What comes next, which is never nothing."""
    data = sock.recv(1 << 20)
    if not data:
        raise RuntimeError("the connection was closed in an answer")
    return data


class Client:
    """One keep-alive connection, with a buffer that bodies of any size pass through."""

    def __init__(self, address: Address, size: int = 8 << 20) -> None:
        self.sock = connect(address)
        self.buffer = memoryview(bytearray(size + 64 * 1024))

    def exchange(self, head: bytes, body: memoryview | None = None, times: int = 1) -> int:
        """Send a request with its body ``times`` over, read the answer away; returns the length of its body."""
        self.sock.sendall(head)
        for _ in range(times if body is not None else 0):
            self.sock.sendall(body)  # type: ignore[arg-type]
        have = self.sock.recv_into(self.buffer)
        start, length = _head(bytes(self.buffer[: min(have, 4096)]))
        left = start + length - have
        while left > 0:
            count = self.sock.recv_into(self.buffer[: min(left, len(self.buffer))])
            if not count:
                raise RuntimeError("the connection was closed in an answer")
            left -= count
        return length

    def content(self, head: bytes) -> bytes:
        """Send a request; the body of its answer."""
        self.sock.sendall(head)
        data = _more(self.sock)
        while b"\r\n\r\n" not in data:
            data += _more(self.sock)
        start, length = _head(data)
        while len(data) < start + length:
            data += _more(self.sock)
        return data[start:]

    def close(self) -> None:
        self.sock.close()


def bytes_per_second(
    address: Address, heads: list[bytes], body: memoryview | None, *, connections: int, seconds: float
) -> float:
    """Bytes of bodies, received or sent, over so many connections at once."""
    moved = [0] * connections
    failed: list[BaseException] = []
    ready = threading.Barrier(connections + 1)
    deadline = [0.0]

    def work(number: int) -> None:
        try:
            with contextlib.closing(Client(address)) as client:
                ready.wait()
                position = number
                while time.perf_counter() < deadline[0]:
                    received = client.exchange(heads[position % len(heads)], body)
                    moved[number] += received if body is None else len(body)
                    position += connections
        except BaseException as error:
            failed.append(error)
            ready.abort()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    deadline[0] = time.perf_counter() + seconds + 60
    with contextlib.suppress(threading.BrokenBarrierError):
        ready.wait()
    start = time.perf_counter()
    deadline[0] = start + seconds
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - start
    if failed:
        raise RuntimeError("a connection failed") from failed[0]
    return sum(moved) / elapsed


def requests_per_second(address: Address, head: bytes, *, connections: int, seconds: float) -> float:
    """Small requests, one at a time on each connection, from one thread: several would measure each other."""
    left: dict[socket.socket, int] = {}
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for _ in range(connections):
            sock = stack.enter_context(connect(address))
            selector.register(sock, selectors.EVENT_READ)
            left[sock] = 0
            sock.sendall(head)
        total = done = 0
        start = time.perf_counter()
        deadline = start + seconds
        while time.perf_counter() < deadline:
            for key, _ in selector.select(1):
                sock = key.fileobj  # type: ignore[assignment]
                data = sock.recv(65536)
                if not data:
                    raise RuntimeError("the connection was closed")
                if not total:
                    total = sum(_head(data))
                left[sock] += len(data)
                if left[sock] >= total:
                    left[sock] = 0
                    done += 1
                    sock.sendall(head)
        return done / (time.perf_counter() - start)


def fill(address: Address, bucket: str, keys: Iterator[str]) -> None:
    """Put small objects, many requests at a time."""
    batch: list[str] = []

    def put(sock: socket.socket) -> None:
        heads = [request("PUT", f"/{bucket}/{key}", {"content-length": "1"}, sign=False) + b"x" for key in batch]
        sock.sendall(b"".join(heads))
        answers = b""
        while answers.count(b"\r\n\r\n") < len(batch):
            answers += _more(sock)
        if answers.count(b"HTTP/1.1 200") != len(batch):
            raise RuntimeError(f"unexpected answer: {answers[:300]!r}")
        batch.clear()

    with connect(address) as sock:
        for key in keys:
            batch.append(key)
            if len(batch) == 50:
                put(sock)
        if batch:
            put(sock)


def list_all(address: Address, bucket: str, *, sign: bool) -> int:
    """List a bucket from its first page to its last; the number of keys, which must be in order."""
    token = ""
    count = 0
    last = b""
    with contextlib.closing(Client(address, 1 << 20)) as client:
        while True:
            target = f"/{bucket}?{token}list-type=2"
            page = client.content(request("GET", target, sign=sign))
            keys = re.findall(rb"<Key>([^<]*)</Key>", page)
            count += len(keys)
            if not keys or keys != sorted(keys) or keys[0] <= last:
                raise RuntimeError("a page of the listing is empty or out of order")
            last = keys[-1]
            found = re.search(rb"<NextContinuationToken>([^<]*)</NextContinuationToken>", page)
            if found is None:
                return count
            escaped = found[1].decode().replace("%", "%25").replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
            token = f"continuation-token={escaped}&"
