"""TLS that fails: an error soon that says so, and no request to a server that is not to be trusted."""

from __future__ import annotations

import contextlib
import gc
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import objectfs
from objectfs import errors
from objectfs.sim import S3Server
from objectfs.sim.sockets import tls

from .conftest import BACKENDS, Make
from .support import MiB, check, ramp, until


def wrong_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "_names", lambda host, domains: (["other.example"], []))


def expired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "_DAYS", -0.5)


def wrong_authority(monkeypatch: pytest.MonkeyPatch) -> None:
    pass


def soon(verb: Callable[[], object]) -> None:
    """Run it, in less than the ten seconds that the C library's own waiting takes at least."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(verb)
        until(future.done, 9)
        future.result()


@pytest.mark.parametrize("spoil", [wrong_name, expired, wrong_authority])
def test_a_certificate_that_is_not_trusted(
    connect: Make, monkeypatch: pytest.MonkeyPatch, spoil: Callable[..., None]
) -> None:
    """That will not change: it is not tried again. The C library would wait for up to 30 s before it says so."""
    with S3Server(tls=True, buckets=("bucket",)) as other, monkeypatch.context() as patch:
        spoil(patch)
        with S3Server(tls=True, buckets=("bucket",)) as server:
            trusted = other.ca_file if spoil is wrong_authority else server.ca_file
            client = connect(endpoint_url=server.endpoint_url, verify=trusted, max_attempts=3)
            with pytest.raises(errors.TLSError) as caught:
                soon(lambda: client.get("bucket", "k"))
            check(caught.value, "GetObject", "bucket", "k", None)
            assert not caught.value.retryable
            assert "TLS with 127.0.0.1 failed: " in str(caught.value)
            assert "verify=" in str(caught.value)
            assert "ertificate" in caught.value.message or "hostname" in caught.value.message
            assert client.stats()["retries"] == 0
            assert server.requests == []


VERBS: dict[str, Callable[[objectfs.Client], Any]] = {
    "PutObject": lambda client: client.put("bucket", "k", b"x"),
    "CreateMultipartUpload": lambda client: client.put("bucket", "k", ramp(20 * MiB)),
    "ListObjectsV2": lambda client: list(client.list("bucket")),
    "HeadObject": lambda client: client.head("bucket", "k"),
}


@pytest.mark.parametrize("operation", VERBS)
def test_of_each_verb(connect: Make, monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    wrong_name(monkeypatch)
    with S3Server(tls=True, buckets=("bucket",)) as server:
        client = connect(endpoint_url=server.endpoint_url, verify=server.ca_file, max_attempts=3)
        with pytest.raises(errors.TLSError) as caught:
            VERBS[operation](client)
        check(caught.value, operation, "bucket", None if operation == "ListObjectsV2" else "k", None)
        assert client.stats()["retries"] == 0
        assert server.requests == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_it_may_be_trusted_all_the_same(connect: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong_name(monkeypatch)
    with S3Server(tls=True, buckets=("bucket",)) as server:
        client = connect(endpoint_url=server.endpoint_url, verify=False)
        client.put("bucket", "k", b"x")
        assert bytes(client.get("bucket", "k")) == b"x"


class Listener:
    """Accepts connections and does with each what ``handle`` does; the connection closes when that returns."""

    def __init__(self, handle: Callable[[socket.socket], None]) -> None:
        self._handle = handle
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self.accepted = 0
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.accepted += 1
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(60)
            self._handle(connection)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(60)


@pytest.fixture
def listen() -> Iterator[Callable[[Callable[[socket.socket], None]], Listener]]:
    with contextlib.ExitStack() as stack:

        def make(handle: Callable[[socket.socket], None]) -> Listener:
            listener = Listener(handle)
            stack.callback(listener.close)
            return listener

        yield make


def test_a_handshake_that_is_cut(connect: Make, listen: Callable[..., Listener]) -> None:
    """As a connection that is refused: each attempt makes one, and there are no more than max_attempts."""
    listener = listen(lambda connection: connection.recv(1))
    client = connect(endpoint_url=listener.url, max_attempts=3)
    with pytest.raises(errors.ConnectionFailedError) as caught:
        client.get("bucket", "k")
    check(caught.value, "GetObject", "bucket", "k", None)
    assert caught.value.retryable
    assert not isinstance(caught.value, errors.TLSError)
    assert listener.accepted == 3
    assert client.stats()["retries"] == 2


def test_a_handshake_that_the_server_refuses(connect: Make, listen: Callable[..., Listener]) -> None:
    """It has no protocol or cipher in common with us, and will not have one the next time."""

    def refuse(connection: socket.socket) -> None:
        head = connection.recv(5, socket.MSG_WAITALL)
        connection.recv(struct.unpack(">H", head[3:])[0], socket.MSG_WAITALL)
        connection.sendall(b"\x15\x03\x03\x00\x02\x02\x28")  # handshake_failure, fatal

    listener = listen(refuse)
    client = connect(endpoint_url=listener.url, max_attempts=3)
    with pytest.raises(errors.TLSError) as caught:
        client.get("bucket", "k")
    check(caught.value, "GetObject", "bucket", "k", None)
    assert listener.accepted == 1
    assert "alert" in str(caught.value).lower()


def test_a_handshake_that_is_not_answered(connect: Make, listen: Callable[..., Listener]) -> None:
    """The time for a connection is that for its handshake too."""
    over = threading.Event()
    listener = listen(lambda connection: over.wait(60) and None)
    try:
        client = connect(endpoint_url=listener.url, connect_timeout=0.5)
        with pytest.raises(errors.TimeoutError, match="no TLS handshake within the connect timeout") as caught:
            soon(lambda: client.get("bucket", "k"))
        check(caught.value, "GetObject", "bucket", "k", None)
    finally:
        over.set()


@pytest.mark.skipif("sdk" not in BACKENDS, reason="of sockets in Python")
def test_a_handshake_that_is_cancelled(sim: S3Server, listen: Callable[..., Listener]) -> None:
    """Nobody waits for its end: the server sees it at once."""
    greeted, ended = threading.Event(), threading.Event()

    def watch(connection: socket.socket) -> None:
        while connection.recv(65536):
            greeted.set()
        ended.set()

    listener = listen(watch)
    with (
        objectfs.Client(
            backend="sdk",
            endpoint_url=listener.url,
            region="us-east-1",
            anonymous=True,
            connect_timeout=600,
        ) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        future = pool.submit(client.get, "bucket", "k")
        assert greeted.wait(60)
        client.close()
        with pytest.raises(errors.CancelledError):
            future.result(60)
    assert ended.wait(60)


@pytest.mark.skipif("sdk" not in BACKENDS, reason="of sockets in Python")
def test_a_server_that_resets_before_the_handshake(
    monkeypatch: pytest.MonkeyPatch, listen: Callable[..., Listener]
) -> None:
    """Python before 3.13 forgets the socket that it had begun to make: it is closed all the same."""
    from urllib3.connection import HTTPConnection

    connects = HTTPConnection._new_conn

    def connect_and_wait(self: Any) -> socket.socket:
        made = connects(self)
        poll = select.poll()
        poll.register(made, select.POLLIN)
        assert poll.poll(60_000)  # the reset is here
        return made

    monkeypatch.setattr(HTTPConnection, "_new_conn", connect_and_wait)

    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    listener = listen(reset)
    with objectfs.Client(
        backend="sdk", endpoint_url=listener.url, region="us-east-1", anonymous=True, max_attempts=1
    ) as client:
        with pytest.raises(errors.ConnectionFailedError):
            client.get("bucket", "k")
        gc.collect()  # the warning of a socket that was forgotten is an error of this test
