"""How fast the server is, measured with raw sockets: ``python -m objectfs.sim.bench``.

The server runs in a process of its own on one processor, the clients (threads that each own a blocking
socket) on another. Requests are prepared beforehand, so that the client costs as little as it can.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

MIB = 1024 * 1024
UNSIGNED = "UNSIGNED-PAYLOAD"


def sign(method: str, path: str, query: str, host: str, headers: dict[str, str]) -> bytes:
    """A request head with its SigV4 signature; written apart from the server's verifier on purpose."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{stamp[:8]}/us-east-1/s3/aws4_request"
    fields = {"host": host, "x-amz-content-sha256": UNSIGNED, "x-amz-date": stamp, **headers}
    names = sorted(name for name in fields if name != "content-length")
    canonical = "\n".join([method, path, query, *[f"{n}:{fields[n]}" for n in names], "", ";".join(names), UNSIGNED])
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = b"AWS4testtest"
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    fields["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders={';'.join(names)}, Signature={key.hex()}"
    )
    target = f"{path}?{query}" if query else path
    lines = [f"{method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in fields.items()]]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Client:
    """One keep-alive connection."""

    def __init__(self, address: tuple[str, int], size: int) -> None:
        self.sock = socket.create_connection(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = memoryview(bytearray(max(size, 64) + 64 * 1024))

    def exchange(self, head: bytes, body: memoryview | None = None) -> int:
        """Send a request, read its response; returns the length of the body."""
        self.sock.sendall(head)
        if body is not None:
            self.sock.sendall(body)
        have = self.sock.recv_into(self.buffer)
        text = bytes(self.buffer[: min(have, 4096)])
        end = text.find(b"\r\n\r\n")
        if end < 0 or text[9:10] != b"2":
            raise RuntimeError(f"unexpected response: {text[:200]!r}")
        at = text.find(b"Content-Length: ")
        length = int(text[at + 16 : text.find(b"\r", at)])
        total = end + 4 + length
        while have < total:
            count = self.sock.recv_into(self.buffer[: total - have])
            if not count:
                raise RuntimeError("connection closed")
            have += count
        return length


def measure(
    address: tuple[str, int],
    connections: int,
    seconds: float,
    size: int,
    heads: list[bytes],
    body: memoryview | None = None,
) -> tuple[float, float]:
    """Requests and body bytes per second over that many connections."""
    counts = [0] * connections
    received = [0] * connections
    go = threading.Event()
    deadline = [0.0]

    def work(number: int) -> None:
        client = Client(address, size)
        go.wait()
        position = number
        while time.perf_counter() < deadline[0]:
            received[number] += client.exchange(heads[position % len(heads)], body)
            counts[number] += 1
            position += connections

    threads = [threading.Thread(target=work, args=(n,)) for n in range(connections)]
    for thread in threads:
        thread.start()
    start = time.perf_counter()
    deadline[0] = start + seconds
    go.set()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - start
    moved = sum(received) if body is None else sum(counts) * len(body)
    return sum(counts) / elapsed, moved / elapsed


def measure_small(address: tuple[str, int], connections: int, seconds: float, head: bytes) -> float:
    """Requests per second for small responses, from one selector thread: threads would measure themselves."""
    import selectors

    selector = selectors.DefaultSelector()
    for _ in range(connections):
        sock = socket.create_connection(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(sock, selectors.EVENT_READ, [0])
        sock.sendall(head)
    done = 0
    total = 0
    start = time.perf_counter()
    deadline = start + seconds
    while time.perf_counter() < deadline:
        for key, _ in selector.select(1):
            sock = key.fileobj  # type: ignore[assignment]
            data = sock.recv(65536)
            if not total:
                at = data.find(b"Content-Length: ")
                total = data.find(b"\r\n\r\n") + 4 + int(data[at + 16 : data.find(b"\r", at)])
            key.data[0] += len(data)
            if key.data[0] >= total:
                key.data[0] = 0
                done += 1
                sock.sendall(head)
    return done / (time.perf_counter() - start)


def run(options: argparse.Namespace) -> None:
    processors = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    pinned = len(processors) > 1
    # The clients get a processor other than the server's.
    arguments = [
        sys.executable,
        "-m",
        "objectfs.sim",
        "--synthetic",
        f"bucket/big={1024 * MIB}",
        *(["--cpu", str(processors[0])] if pinned else []),
        *options.server,
    ]
    if pinned:
        os.sched_setaffinity(0, {processors[1]})
    for verify in (True, False):
        server = subprocess.Popen(arguments + ([] if verify else ["--no-verify"]), stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[1]
            host = url.split("//")[1]
            address = (host.rpartition(":")[0], int(host.rpartition(":")[2]))
            _cases(options, "signed" if verify else "unverified", host, address)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


def _cases(options: argparse.Namespace, label: str, host: str, address: tuple[str, int]) -> None:
    def show(name: str, value: str) -> None:
        print(f"{label:10s} {name:40s} {value}", flush=True)

    def wanted(name: str) -> bool:
        return not options.only or name in options.only

    body = memoryview(os.urandom(8 * MIB))
    small = memoryview(os.urandom(4096))
    setup = Client(address, 8 * MIB)
    put: Callable[[str, memoryview], int] = lambda path, data: setup.exchange(  # noqa: E731
        sign("PUT", path, "", host, {"content-length": str(len(data))}), data
    )
    put("/bucket/stored", body)
    put("/bucket/small", small)
    ranges = [f"bytes={i * 8 * MIB}-{(i + 1) * 8 * MIB - 1}" for i in range(128)]
    if wanted("get"):
        for name, path, heads in (
            ("GET 8 MiB ranges, synthetic", "/bucket/big", ranges),
            ("GET 8 MiB, stored", "/bucket/stored", ["bytes=0-8388607"]),
        ):
            signed = [sign("GET", path, "", host, {"range": value}) for value in heads]
            rate, moved = measure(address, options.connections, options.seconds, 8 * MIB, signed)
            show(name, f"{moved / 1e9:6.2f} GB/s  {rate:8.0f}/s")
    if wanted("put"):
        for name, prefix in (("PUT 8 MiB, stored", "/bucket/put"), ("PUT 8 MiB, discarded", "/sink/put")):
            if prefix.startswith("/sink"):
                setup.exchange(sign("PUT", "/sink", "", host, {"content-length": "0"}))
            signed = [
                sign("PUT", f"{prefix}{n}", "", host, {"content-length": str(len(body))})
                for n in range(options.connections * 2)
            ]
            rate, moved = measure(address, options.connections, options.seconds, 1024, signed, body)
            show(name, f"{moved / 1e9:6.2f} GB/s  {rate:8.0f}/s")
    if wanted("small"):
        head = sign("GET", "/bucket/small", "", host, {})
        for connections in (1, 16, 64):
            rate = measure_small(address, connections, options.seconds, head)
            show(f"GET 4 KiB, {connections} connections", f"{rate:8.0f}/s")
    if wanted("list"):
        for number in range(5000):
            put(f"/bucket/list/some/prefix/key-{number:06d}", small[:0])
        head = sign("GET", "/bucket", "list-type=2&prefix=list%2F", host, {})
        rate = measure_small(address, 4, options.seconds, head)
        show("LIST 1000 keys a page", f"{rate * 1000:8.0f} keys/s")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="objectfs.sim.bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="per case")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--only", action="append", choices=("get", "put", "small", "list"))
    parser.add_argument("server", nargs="*", help="more arguments for the server, e.g. a directory")
    run(parser.parse_args(argv))
    return 0


if __name__ == "__main__":
    sys.exit(main())
