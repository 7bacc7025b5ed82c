"""What several engines have in common: connections, and the pool of part buffers."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from objectfs import _native, errors
from objectfs.backends.drive import run
from objectfs.options import GetOptions
from objectfs.sim import Fault, S3Server

from .conftest import backend_for

MiB = 1024 * 1024

pytestmark = pytest.mark.skipif(
    not _native.Shared(1).bounds_connections, reason="the C library is linked dynamically: each engine is bounded alone"
)


def engines(shared: Any, *regions: str) -> list[Any]:
    return [
        _native.Engine(
            region=region,
            tls=False,
            part_size=5 * MiB,
            max_connections=8,
            memory_limit=256 * MiB,
            throughput_gbps=10.0,
            connect_timeout_ms=1000,
            read_timeout_s=10,
            max_retries=0,
            shared=shared,
        )
        for region in regions
    ]


def start(engine: Any, url: str, n: int) -> Any:
    host = _native.Endpoint(url)
    headers = _native.Headers([(b"Host", url.removeprefix("http://").encode())])
    requests = [_native.Request(b"GetObject", b"GET", b"/bucket/k", host, headers) for _ in range(n)]
    return engine.start(requests, window=n)


def test_engines_take_turns() -> None:
    gate = threading.Event()
    with S3Server(anonymous=True) as one, S3Server(anonymous=True) as two:
        for server in (one, two):
            server.faults.add(Fault("GetObject", hold=gate, times=None))
        shared = _native.Shared(3)
        made = engines(shared, "us-east-1", "eu-central-1")
        ops = [start(made[0], one.endpoint_url, 5), start(made[1], two.endpoint_url, 5)]
        wait_until(lambda: shared.connections()[2] >= 5)
        used, most, _ = shared.connections()
        assert (used, most) == (3, 3)
        gate.set()
        for op in ops:
            assert op.wait(10)
            assert all(response.status == 404 for response in op.result())
        wait_until(lambda: shared.connections()[0] == 0)
        assert shared.connections() == (0, 3, 0)
        close(shared, made)


def test_what_cannot_connect_gives_its_place_back() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        shared = _native.Shared(2)
        made = engines(shared, "us-east-1", "eu-central-1")
        ops = [start(engine, url, 6) for engine in made]
        for op in ops:
            assert op.wait(20)
            assert all(response.error_code for response in op.result())
        wait_until(lambda: shared.connections()[0] == 0)
        assert shared.connections()[2] == 0
        close(shared, made)


@pytest.mark.parametrize("which", [0, 1], ids=["who holds", "who waits"])
def test_cancelled_and_closed_in_the_queue(which: int) -> None:
    gate = threading.Event()
    with S3Server(anonymous=True) as server:
        server.faults.add(Fault("GetObject", hold=gate, times=None))
        shared = _native.Shared(2)
        made = engines(shared, "us-east-1", "eu-central-1")
        ops = [start(made[0], server.endpoint_url, 4)]
        wait_until(lambda: shared.connections()[0] == 2)
        ops.append(start(made[1], server.endpoint_url, 4))
        wait_until(lambda: shared.connections()[2] >= 4)
        ops[which].cancel()
        if which == 0:
            assert ops[0].wait(10)
        ops[1 - which].cancel()
        for op in ops:
            assert op.wait(10)
        wait_until(lambda: shared.connections() == (0, 2, 0))
        gate.set()
        close(shared, made)


def test_a_backend_closes_while_requests_wait() -> None:
    gate = threading.Event()
    with S3Server() as server:
        server.faults.add(Fault(hold=gate, times=None))
        backend = backend_for(server.endpoint_url, max_connections=2)
        backend.session._regions["far"] = "eu-central-1"
        found: list[Any] = []

        def get(bucket: str) -> None:
            try:
                run(backend.get_many(bucket, ["k"] * 5, "raise", GetOptions()))
            except errors.ObjectFSError as error:
                found.append(error)

        threads = [threading.Thread(target=get, args=(bucket,)) for bucket in ("bucket", "far")]
        for thread in threads:
            thread.start()
        wait_until(lambda: backend.stats()["connections"]["requests_waiting"] >= 2)
        backend.close()
        for thread in threads:
            thread.join(10)
        gate.set()
    assert [type(error) for error in found] == [errors.CancelledError] * 2


def close(shared: Any, made: list[Any]) -> None:
    for engine in made:
        assert engine.close()
    shared.close()


def wait_until(condition: Any) -> None:
    for _ in range(2000):
        if condition():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it did not come to that")
