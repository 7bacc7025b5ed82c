"""Every fault does what it says, and hits what it says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from objectfs.sim import Fault, S3Server

from .conftest import Wire, connect

BODY = bytes(range(256)) * 40
GET = b"GET /bucket/k HTTP/1.1\r\nHost: x\r\n\r\n"
Opener = Callable[[], Wire]


@pytest.fixture
def stored(memory: S3Server, wire: Opener) -> S3Server:
    head = b"PUT /bucket/k HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    assert wire().send(head + BODY).response()[0] == 200
    memory.clear_requests()
    return memory


def test_status_leaves_the_operation_undone(stored: S3Server, wire: Opener) -> None:
    fault = stored.faults.add(
        Fault(operation="DeleteObject", status=503, code="SlowDown", headers={"Retry-After": "1"})
    )
    connection = wire()
    status, headers, body = connection.send(b"DELETE /bucket/k HTTP/1.1\r\nHost: x\r\n\r\n").response()
    assert (status, headers["retry-after"]) == (503, "1")
    assert b"<Code>SlowDown</Code>" in body
    assert connection.send(GET).response()[2] == BODY
    assert fault.hits == 1
    assert connection.send(b"DELETE /bucket/k HTTP/1.1\r\nHost: x\r\n\r\n").response()[0] == 204


def test_after_times_key_and_part(stored: S3Server, wire: Opener) -> None:
    fault = stored.faults.add(Fault("GetObject", key="k", after=1, times=2, status=500))
    connection = wire()
    seen = [connection.send(GET).response()[0] for _ in range(5)]
    assert seen == [200, 500, 500, 200, 200]
    assert fault.hits == 2
    stored.faults.add(Fault(key="other", status=500))
    assert connection.send(GET).response()[0] == 200
    stored.faults.add(Fault("GetObject", times=None, status=500))
    assert [connection.send(GET).response()[0] for _ in range(3)] == [500] * 3
    stored.faults.clear()
    assert connection.send(GET).response()[0] == 200


def test_close_at_every_byte(stored: S3Server, wire: Opener) -> None:
    request = b"GET /bucket/k HTTP/1.1\r\nHost: x\r\nRange: bytes=0-19\r\n\r\n"
    complete = wire().send(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")).read_all()
    # Without its Connection header the answer is this much shorter.
    size = len(complete) - len(b"Connection: close\r\n")
    for count in range(size + 1):
        stored.faults.add(Fault(close_at=count))
        answer = wire().send(request).read_all()
        assert len(answer) == count
        assert answer[:15] == b"HTTP/1.1 206 Pa"[:count]


@pytest.mark.parametrize("count", [None, 0, 100])
def test_reset(stored: S3Server, wire: Opener, count: int | None) -> None:
    stored.faults.add(Fault(reset=True, close_at=count))
    connection = wire()
    connection.send(GET)
    with pytest.raises(ConnectionResetError):
        connection.read_all()


def test_stall_until_the_server_stops(stored: S3Server, wire: Opener) -> None:
    stored.faults.add(Fault(stall=True))
    connection = wire()
    connection.send(GET)
    # Another connection is served meanwhile; the stalled request is on record, unanswered.
    assert wire().send(GET).response()[0] == 200
    assert stored.requests[0].status is None
    connection.sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        connection.sock.recv(1)
    connection.sock.settimeout(10)
    stored.stop()
    assert connection.read_all() == b""


def test_delay(stored: S3Server, wire: Opener) -> None:
    stored.faults.add(Fault(delay=0.2))
    start = time.monotonic()
    assert wire().send(GET).response()[2] == BODY
    assert 0.19 < time.monotonic() - start < 5


def test_hold_until_the_event(stored: S3Server, wire: Opener) -> None:
    event = threading.Event()
    stored.faults.add(Fault(hold=event))
    held = wire().send(GET + GET)
    assert wire().send(GET).response()[2] == BODY
    held.sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        held.sock.recv(1)
    held.sock.settimeout(10)
    event.set()
    # The pipelined request behind the held one is answered too.
    assert held.response()[2] == BODY
    assert held.response()[2] == BODY


def test_truncate(stored: S3Server, wire: Opener) -> None:
    stored.faults.add(Fault(truncate=100))
    answer = wire().send(GET).read_all()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(BODY) in head
    assert body == BODY[:100]


def test_corrupt(stored: S3Server, wire: Opener) -> None:
    stored.faults.add(Fault(corrupt=300))
    status, _, body = wire().send(GET).response()
    assert status == 200
    assert [i for i in range(len(BODY)) if body[i] != BODY[i]] == [300]


def test_drop_headers_and_replace_body(stored: S3Server, wire: Opener) -> None:
    connection = wire()
    stored.faults.add(Fault(drop_headers=("ETag", "Last-Modified")))
    headers = connection.send(GET).response()[1]
    assert "etag" not in headers
    assert "last-modified" not in headers
    assert "content-type" in headers
    stored.faults.add(Fault(body=b"<Error><Code>InternalError</Code></Error>"))
    status, _, body = connection.send(GET).response()
    assert (status, body) == (200, b"<Error><Code>InternalError</Code></Error>")


def test_faults_on_files(tmp_path: Any) -> None:
    with S3Server(tmp_path, verify_signatures=False) as server:
        s3 = connect(server)
        s3.put_object(Bucket="bucket", Key="k", Body=BODY)
        server.faults.add(Fault("GetObject", corrupt=300))
        wire = Wire(server)
        body = wire.send(GET).response()[2]
        assert [i for i in range(len(BODY)) if body[i] != BODY[i]] == [300]
        server.faults.add(Fault("GetObject", truncate=1000))
        assert wire.send(GET).read_all().endswith(b"\r\n\r\n" + BODY[:1000])
        wire.close()
        s3.close()
