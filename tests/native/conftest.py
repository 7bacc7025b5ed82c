"""Backends made by hand over the embedded server, and the leak check that every test here ends with."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OBJECTFS_MEMTRACE", "1")  # read once, when the engine is imported

import pytest

pytest.importorskip("objectfs._native", reason="the engine is not built")

from objectfs import _native, config
from objectfs.backends.crt import CrtBackend
from objectfs.backends.session import Session
from objectfs.sim import S3Server

# scripts/sanitize has a build of its own
SOURCE = Path(_native.__file__).resolve().parents[1]
"""The package under test, for child processes: the installed one, or the checkout's."""


@pytest.fixture(autouse=True)
def no_leak() -> Iterator[None]:
    """Set up before all others, so that everything is closed when it looks."""
    assert _native.debug_outstanding_bytes() is not None, "the memory tracer is off"
    yield
    gc.collect()
    assert _native.debug_outstanding_bytes() == 0


@pytest.fixture
def sim() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


def backend_for(url: str, **settings: Any) -> CrtBackend:
    values = {
        "endpoint_url": url,
        "access_key_id": "test",
        "secret_access_key": "testtest",
        "region": "us-east-1",
        "max_attempts": 1,
    }
    made = config.load({**values, **settings})
    return CrtBackend(Session(made), made)


@pytest.fixture
def make(sim: S3Server) -> Iterator[Callable[..., CrtBackend]]:
    """Makes backends; closes them at the end."""
    made = []

    def make(url: str | None = None, **settings: Any) -> CrtBackend:
        made.append(backend_for(url or sim.endpoint_url, **settings))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


@pytest.fixture
def crt(make: Callable[..., CrtBackend]) -> CrtBackend:
    return make()


def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait for what has no event: a counter of the server's, the state of a foreign thread."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.001)


class RawServer:
    """Accepts connections and lets a function answer each request: for answers that no S3 server gives."""

    def __init__(self, respond: Callable[[socket.socket, bytes], None]) -> None:
        self.respond = respond
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.release = threading.Event()
        self.connections: list[socket.socket] = []
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            self.threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
            self.threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            data = b""
            try:
                while b"\r\n\r\n" not in data:
                    chunk = connection.recv(65536)
                    if not chunk:
                        return
                    data += chunk
                self.respond(connection, data)
            except OSError:
                pass

    def __enter__(self) -> RawServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads[:1]:
            thread.join(5)
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self.threads[1:]:
            thread.join(5)


class Reader:
    """Takes one connection after the other, with little room for what it has not read. ``step`` reads some more."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.connection: socket.socket | None = None
        self.head = b""
        self.body = bytearray()

    def accept(self) -> None:
        self.listener.settimeout(20)
        self.connection, _ = self.listener.accept()
        self.connection.settimeout(20)
        self.head, self.body = b"", bytearray()
        while b"\r\n\r\n" not in self.head:
            self.head += self.connection.recv(4 * 1024)
        self.head, _, rest = self.head.partition(b"\r\n\r\n")
        self.body += rest

    def step(self, size: int) -> bool:
        """Whether there was more."""
        assert self.connection is not None
        piece = b""
        with contextlib.suppress(ConnectionResetError):
            piece = self.connection.recv(size)
        self.body += piece
        return bool(piece)

    def answer(self) -> None:
        assert self.connection is not None
        self.connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: "e"\r\nConnection: close\r\n\r\n')
        self.connection.close()

    def close(self) -> None:
        self.listener.close()
        if self.connection is not None:
            self.connection.close()


@pytest.fixture
def reader() -> Iterator[Reader]:
    made = Reader()
    yield made
    made.close()


@pytest.fixture
def remote(reader: Reader) -> Iterator[CrtBackend]:
    backend = backend_for(reader.url)
    yield backend
    backend.close()


def put(backend: CrtBackend, body: Any, **more: Any) -> Any:
    target = backend.target("bucket")
    headers = target.headers({"Content-Length": str(len(body))})
    request = _native.Request(b"PutObject", b"PUT", target.path("k"), target.native, headers, body=body, **more)
    return target.engine.start([request])


PRELUDE = """
import os, sys, threading, time, signal, asyncio, gc
from objectfs import _native, config, errors
from objectfs.backends.base import GetOptions, PutOptions
from objectfs.backends.crt import CrtBackend
from objectfs.backends.drive import arun, run
from objectfs.backends.session import Session
def make():
    made = config.load(dict(endpoint_url=os.environ["URL"], access_key_id="test", secret_access_key="testtest",
                            region="us-east-1", max_attempts=1))
    return CrtBackend(Session(made), made)
"""


def start_script(code: str, url: str, **more: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "URL": url, "PYTHONFAULTHANDLER": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def run_script(code: str, url: str, timeout: float = 180.0) -> str:
    """Run in a fresh process that must end by itself, with exit code 0 and nothing to say on stderr; its output."""
    process = start_script(code, url)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"it hung; stdout {out!r}, stderr {err!r}")
    assert (process.returncode, err) == (0, ""), out
    return out
