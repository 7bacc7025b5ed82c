"""Clients that are slow, or silent, or too many: each loses its connection, and nobody else notices."""

from __future__ import annotations

import resource
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest

from objectfs.sim import Fault, Limits, Profile, S3Server

from .conftest import Wire

PUT = b"PUT /bucket/k HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
GET = b"GET /bucket/big HTTP/1.1\r\nHost: x\r\n\r\n"
LIST = b"GET /bucket HTTP/1.1\r\nHost: x\r\n\r\n"
FOREVER = 3600.0


def serve(idle: float = FOREVER, head: float = FOREVER, stall: float = FOREVER, connections: int = 1000) -> S3Server:
    limits = Limits(idle=idle, head=head, stall=stall, connections=connections)
    return S3Server(verify_signatures=False, limits=limits)


def drip(connection: Wire, data: bytes, seconds: float) -> bytes:
    """Send a byte at a time, never pausing for long, until the server answers or ``seconds`` have passed."""
    connection.sock.settimeout(0.02)
    end = time.monotonic() + seconds
    for byte in data:
        try:
            connection.sock.send(bytes((byte,)))
            return connection.sock.recv(65536) + connection.read_all()
        except TimeoutError:
            assert time.monotonic() < end, "the server still waits"
        except ConnectionError:
            return b""
    raise AssertionError("the server took it all")


def test_an_idle_connection_is_closed_without_a_word() -> None:
    with serve(idle=0.2) as server:
        fresh, used = Wire(server), Wire(server)
        assert used.send(LIST).response()[0] == 200
        assert used.read_all() == b""
        assert fresh.read_all() == b""
        fresh.close()
        used.close()


def test_a_busy_connection_is_not_idle() -> None:
    with serve(idle=0.4, head=0.4) as server:
        connection = Wire(server)
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            assert connection.send(LIST).response()[0] == 200
        connection.close()


def test_a_head_has_a_time_however_steadily_it_comes() -> None:
    with serve(head=0.3) as server:
        connection = Wire(server)
        answer = drip(connection, LIST[:-4] + b"\r\nX: " + b"x" * 5000, 5)
        connection.close()
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"<Code>RequestTimeout</Code>" in answer


def test_empty_lines_do_not_count_as_a_head() -> None:
    with serve(idle=0.3) as server:
        connection = Wire(server)
        assert drip(connection, b"\r\n" * 5000, 5) == b""
        connection.close()


def test_a_body_must_go_on() -> None:
    with serve(stall=0.3) as server:
        silent, dripping = Wire(server), Wire(server)
        silent.send(PUT + b"x" * 1000)
        assert b"<Code>RequestTimeout</Code>" in silent.read_all()
        dripping.send(PUT)
        assert b"<Code>RequestTimeout</Code>" in drip(dripping, b"x" * 90000, 5)
        silent.close()
        dripping.close()
        assert "k" not in server.store.buckets["bucket"].objects


def test_a_slow_body_that_goes_on_is_taken() -> None:
    with serve(stall=0.4) as server:
        connection = Wire(server).send(PUT)
        end = time.monotonic() + 1.2
        sent = 0
        while time.monotonic() < end:
            connection.send(b"x" * 1024)
            sent += 1024
            connection.sock.settimeout(0.05)
            with pytest.raises(TimeoutError):
                connection.sock.recv(1)
        connection.sock.settimeout(10)
        assert connection.send(b"x" * (100000 - sent)).response()[0] == 200
        connection.close()


def test_an_answer_that_nobody_takes_is_given_up() -> None:
    with serve(stall=0.3) as server:
        server.store.add_synthetic("bucket", "big", 1 << 40)
        connection = Wire(server).send(GET)
        loop = server._loop
        assert loop is not None
        assert connection.sock.recv(100)
        end = time.monotonic() + 10
        while loop._peers and time.monotonic() < end:
            threading.Event().wait(0.02)
        assert not loop._peers
        connection.close()


def test_a_fault_may_take_longer_than_a_client() -> None:
    with serve(idle=0.2, head=0.2, stall=0.2) as server:
        server.faults.add(Fault(delay=0.8))
        connection = Wire(server).send(LIST)
        assert connection.response()[0] == 200
        connection.close()


@pytest.mark.parametrize(
    "profile",
    [Profile(bandwidth=2000), Profile(latency=1.0), Profile(connect=1.0), Profile(stalls=1.0, stall_time=0.6)],
)
def test_the_servers_own_pace_is_not_the_clients_fault(profile: Profile) -> None:
    """Each of these takes longer than a client may."""
    limits = Limits(idle=0.4, head=0.4, stall=0.4)
    with S3Server(verify_signatures=False, limits=limits, profile=profile) as server:
        server.store.add_synthetic("bucket", "big", 3000)
        connection = Wire(server)
        status, _, body = connection.send(GET).response()
        assert (status, len(body)) == (200, 3000)
        put = b"PUT /bucket/k HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000
        assert connection.send(put).response()[0] == 200
        connection.close()


def test_a_tls_handshake_has_a_time_too() -> None:
    with S3Server(tls=True, limits=Limits(idle=FOREVER, head=0.3, stall=FOREVER)) as server:
        connection = Wire(server)
        assert connection.send(b"\x16\x03\x01").read_all() == b""
        connection.close()
        context = ssl.create_default_context(cafile=server.ca_file)
        with socket.create_connection((server.host, server.port), timeout=10) as sock:
            context.wrap_socket(sock, server_hostname="localhost").close()


@pytest.fixture
def few() -> Iterator[S3Server]:
    with serve(connections=3) as server:
        yield server


def test_one_connection_too_many_replaces_the_one_idle_for_longest(few: S3Server) -> None:
    wires = [Wire(few) for _ in range(3)]
    for wire in wires:
        assert wire.send(LIST).response()[0] == 200
    extra = Wire(few)
    assert extra.send(LIST).response()[0] == 200
    for wire in wires:
        wire.sock.settimeout(0.1)
    closed = [wire for wire in wires if is_closed(wire)]
    assert len(closed) == 1
    for wire in (*wires, extra):
        wire.close()


def is_closed(wire: Wire) -> bool:
    try:
        return wire.sock.recv(1) == b""
    except TimeoutError:
        return False


def test_when_all_are_busy_the_new_one_is_sent_away(few: S3Server) -> None:
    wires = [Wire(few).send(PUT) for _ in range(3)]
    # The third is served when the server has read a part of its body.
    loop = few._loop
    assert loop is not None
    end = time.monotonic() + 10
    while sum(peer.connection.requests for peer in list(loop._peers)) < 3 and time.monotonic() < end:
        threading.Event().wait(0.01)
    refused = Wire(few)
    assert b"<Code>SlowDown</Code>" in refused.read_all()
    assert wires[0].send(b"x" * 100000).response()[0] == 200
    late = Wire(few)
    assert late.send(LIST).response()[0] == 200
    for wire in (*wires, refused, late):
        wire.close()


def test_no_descriptors_left_is_no_endless_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections wait in the backlog, the processor rests, and service goes on when there are descriptors again."""
    with serve() as server:
        connection = Wire(server)
        assert connection.send(LIST).response()[0] == 200
        # A request in progress, so that nobody can be closed to make room.
        connection.send(PUT)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        waiting = socket.socket()
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            waiting.connect((server.host, server.port))
            waiting.sendall(LIST)
            before = time.process_time()
            threading.Event().wait(0.5)
            spent = time.process_time() - before
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert spent < 0.25
        waiting.settimeout(10)
        assert waiting.recv(100).startswith(b"HTTP/1.1 200")
        waiting.close()
        connection.close()


def test_half_of_the_descriptors_are_for_connections() -> None:
    assert Limits(connections=10**9).most_connections() <= resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2
    assert Limits(connections=5).most_connections() == 5


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_other_machines_need_credentials_of_their_own(host: str) -> None:
    own = {"access_key": "own", "secret_key": "long-and-random"}
    for options in ({}, {"access_key": "own"}, {**own, "anonymous": True}, {**own, "verify_signatures": False}):
        with pytest.raises(ValueError, match="reachable from other machines"):
            S3Server(host=host, **options)
    S3Server(host=host, **own)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost", "LOCALHOST"])
def test_loopback_does_not(host: str) -> None:
    S3Server(host=host, anonymous=True, verify_signatures=False)
