"""The log of requests: what it tells, and what it does not show."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import pytest

from objectfs.sim import Fault, S3Server

from .conftest import Wire, connect

GET = b"GET /bucket/k HTTP/1.1\r\nHost: x\r\nRange: bytes=0-9\r\n\r\n"


def finished(server: S3Server, index: int) -> Any:
    """The record when the server is through with it, which may be a moment after the client is."""
    deadline = time.monotonic() + 10
    while server.requests[index].ended is None:
        assert time.monotonic() < deadline
        server.run(lambda: None)
    return server.requests[index]


def test_what_a_record_tells() -> None:
    with S3Server() as server:
        before = time.monotonic()
        s3 = connect(server)
        s3.put_object(Bucket="bucket", Key="k", Body=b"content")
        s3.get_object(Bucket="bucket", Key="k", Range="bytes=1-3")["Body"].read()
        put, get = finished(server, 0), finished(server, 1)
        s3.close()
    assert (put.method, put.operation, put.bucket, put.key) == ("PUT", "PutObject", "bucket", "k")
    assert (put.status, put.error, put.body_size, put.range) == (200, None, 7, None)
    assert (get.operation, get.range, get.status) == ("GetObject", "bytes=1-3", 206)
    assert get.headers["host"] == f"127.0.0.1:{server.port}"
    assert put.connection == get.connection == 1
    for record in (put, get):
        assert before <= record.started <= record.answered <= record.ended <= time.monotonic()
        assert record.seconds == record.ended - record.started


def test_bytes_sent(memory: S3Server, wire: Callable[[], Wire]) -> None:
    memory.store.add_synthetic("bucket", "k", 1 << 40)
    whole = wire().send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")).read_all()
    assert finished(memory, 0).sent == len(whole)
    # A client that goes away: what it could not get was not sent.
    greedy = wire().send(GET.replace(b"0-9", b"0-"))
    greedy.sock.recv(1000)
    greedy.close()
    record = finished(memory, 1)
    assert 1000 <= record.sent < 1 << 30
    memory.faults.add(Fault(close_at=100))
    assert len(wire().send(GET).read_all()) == 100
    assert finished(memory, 2).sent == 100
    memory.faults.add(Fault(reset=True))
    with pytest.raises(ConnectionResetError):
        wire().send(GET).read_all()
    assert (memory.requests[3].status, memory.requests[3].sent) == (None, 0)


def test_secrets_are_kept_but_not_shown(memory: S3Server, wire: Callable[[], Wire]) -> None:
    key = base64.b64encode(bytes(range(32))).decode()
    with S3Server(tls=True) as server:
        server.add_access_key("temporary", "secret", time.time() + 600, "the-session-token")
        s3 = connect(
            server,
            aws_access_key_id="temporary",
            aws_secret_access_key="secret",
            aws_session_token="the-session-token",
        )
        s3.put_object(
            Bucket="bucket", Key="k", Body=b"x", SSECustomerAlgorithm="AES256", SSECustomerKey=bytes(range(32))
        )
        s3.close()
        put = server.requests[0]
    signature = put.headers["authorization"].rpartition("Signature=")[2]
    assert put.headers["x-amz-security-token"] == "the-session-token"
    assert put.headers["x-amz-server-side-encryption-customer-key"] == key
    for text in (repr(put), repr(put.headers), str(put.headers), f"{put}", str([put])):
        assert not [secret for secret in (signature, "the-session-token", key) if secret in text]
    assert "Credential=temporary/" in repr(put)
    assert "PutObject 'bucket/k'" in repr(put)
    # In a presigned URL, and in an Authorization of another kind.
    wire().send(
        b"GET /bucket/k?X-Amz-Signature=sesame&X-Amz-Security-Token=sesame&X-Amz-Date=now HTTP/1.1\r\nHost: x\r\n"
        b"Authorization: Basic sesame\r\nx-amz-copy-source-server-side-encryption-customer-key: sesame\r\n\r\n"
    ).response()
    record = memory.requests[0]
    assert record.query["X-Amz-Signature"] == "sesame"
    assert "sesame" not in repr(record)
    assert "sesame" not in repr(record.query)
    assert "'X-Amz-Date': 'now'" in repr(record.query)
