"""The servers that are measured, each in a process of its own: ours, one that only moves bytes, and nginx."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from objectfs.sim.bench.client import Address

_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{ worker_connections 256; }}
http {{
    access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""


class Server:
    """A process that serves, bound to a processor."""

    def __init__(self, process: subprocess.Popen[str], address: Address) -> None:
        self.process = process
        self.address = address

    def memory(self, field: str = "VmRSS") -> float:
        """Resident memory in MiB: VmRSS now, VmHWM its peak."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError(f"no {field} in /proc")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def start(kind: str, cpu: int | None, **options: Any) -> Server:
    """Start this module in a process: ``sim`` with the arguments of S3Server, or ``raw``."""
    arguments = json.dumps({"kind": kind, "cpu": cpu, **options})
    command = [sys.executable, "-m", "objectfs.sim.bench.servers", arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.stdout.close()
        raise RuntimeError(f"the {kind} server did not start: it ended with {process.wait()}")
    return Server(process, ("127.0.0.1", int(line)))


def start_nginx(cpu: int | None, folder: Path, size: int) -> Server | None:
    """nginx with a file of that size named ``big``; None where it is not installed."""
    command = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin")
    if command is None:
        return None
    (folder / "www").mkdir(parents=True)
    (folder / "www" / "big").write_bytes(os.urandom(size))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # As root its worker would become nobody, who may not read the folder.
    user = "user root;" if hasattr(os, "geteuid") and os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port, user=user))
    pin = ["taskset", "-c", str(cpu)] if cpu is not None and shutil.which("taskset") else []
    process = subprocess.Popen(
        [*pin, command, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")], text=True
    )
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return Server(process, ("127.0.0.1", port))
        except ConnectionError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"nginx does not answer: {(folder / 'error.log').read_text()}") from None
            time.sleep(0.02)


def _serve_sim(options: dict[str, Any]) -> None:
    from objectfs.sim.server import S3Server

    synthetic = options.pop("synthetic")
    # As from the command line: without it, the log of requests would be the largest thing in memory.
    server = S3Server(**options, log_bytes=4 << 20)
    if synthetic:
        server.store.add_synthetic("bucket", "big", synthetic)
    with server:
        print(server.port, flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


def _serve_raw(size: int) -> None:
    """Answer any head with a body of ``size``, or of 4 KiB if it asks for /small, and read what a PUT announces."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(listener.getsockname()[1], flush=True)
    selector = selectors.DefaultSelector()
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ)
    # Written to, so that it is memory and not one page of zeros again and again.
    big, small = memoryview(os.urandom(size)), memoryview(os.urandom(4096))
    buffer = memoryview(bytearray(1 << 20))
    # What is left to send and to read on each connection.
    state: dict[socket.socket, list[Any]] = {}
    heads = {len(body): b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) for body in (big, small, b"")}

    def drop(sock: socket.socket) -> None:
        selector.unregister(sock)
        sock.close()
        del state[sock]

    def answer(sock: socket.socket, out: list[Any]) -> None:
        try:
            while out[0]:
                sent = sock.send(out[0][0])
                out[0][0] = out[0][0][sent:]
                if not out[0][0]:
                    del out[0][0]
        except BlockingIOError:
            selector.modify(sock, selectors.EVENT_WRITE)
        except ConnectionError:
            drop(sock)
        else:
            selector.modify(sock, selectors.EVENT_READ)

    while True:
        for key, mask in selector.select():
            sock = key.fileobj
            if sock is listener:
                new, _ = listener.accept()
                new.setblocking(False)
                new.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(new, selectors.EVENT_READ)
                state[new] = [[], 0]
                continue
            assert isinstance(sock, socket.socket)
            current = state[sock]
            if mask & selectors.EVENT_WRITE:
                answer(sock, current)
                continue
            try:
                count = sock.recv_into(buffer)
            except BlockingIOError:
                continue
            except ConnectionError:
                count = 0
            if not count:
                drop(sock)
                continue
            if current[1]:
                current[1] -= count
                if current[1]:
                    continue
                body: memoryview | bytes = b""
            else:
                head = bytes(buffer[: min(count, 4096)])
                end = head.find(b"\r\n\r\n") + 4
                if head.startswith(b"PUT"):
                    at = head.find(b"content-length: ")
                    current[1] = int(head[at + 16 : head.find(b"\r", at)]) - (count - end)
                    if current[1]:
                        continue
                body = small if head.startswith(b"GET /bucket/small") else big
            current[0] = [memoryview(heads[len(body)]), memoryview(body)] if body else [memoryview(heads[0])]
            answer(sock, current)


def main() -> None:
    options = json.loads(sys.argv[1])
    kind, cpu = options.pop("kind"), options.pop("cpu")
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    if kind == "sim":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        _serve_sim(options)
    else:
        _serve_raw(**options)


if __name__ == "__main__":
    assert threading.current_thread() is threading.main_thread()
    main()
